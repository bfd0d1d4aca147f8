//! LIST (RFC 3501 §6.3.8, RFC 5258, RFC 5819, RFC 6154) and LSUB.

use super::cursor::{Cursor, Parsed, Wrong, wrong};
use super::folder::status_items;
use crate::imap::command::{Command, List, ListReturn, ListSelect};

/// Most options in one list; there are four of each kind.
const MAX_OPTIONS: usize = 8;
/// Most patterns in one LIST; clients send one, webmail up to three.
const MAX_PATTERNS: usize = 32;

/// Most octets of all patterns together, each with the reference before it: every folder's
/// name is compared with all of them while nobody else is served.
const MAX_OCTETS: usize = 2_048;

#[derive(Clone, Copy)]
enum Select {
    Subscribed,
    Remote,
    RecursiveMatch,
    SpecialUse,
}

const SELECT: [(&str, Select); 4] = [
    ("SUBSCRIBED", Select::Subscribed),
    ("REMOTE", Select::Remote),
    ("RECURSIVEMATCH", Select::RecursiveMatch),
    ("SPECIAL-USE", Select::SpecialUse),
];

#[derive(Clone, Copy)]
enum Return {
    Subscribed,
    Children,
    SpecialUse,
    Status,
}

const RETURN: [(&str, Return); 4] = [
    ("SUBSCRIBED", Return::Subscribed),
    ("CHILDREN", Return::Children),
    ("SPECIAL-USE", Return::SpecialUse),
    ("STATUS", Return::Status),
];

pub(super) fn list(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let mut list = List::default();
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        list.select = select_options(cursor)?;
        cursor.space()?;
    }
    list.reference = cursor.astring()?;
    cursor.space()?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        cursor.list((false, MAX_PATTERNS), |cursor| {
            list.patterns.push(cursor.pattern()?);
            Ok(())
        })?;
    } else {
        list.patterns.push(cursor.pattern()?);
    }
    if cursor.take(b' ') {
        list.extended = true;
        list.ret = return_options(cursor)?;
    }
    cursor.end()?;
    let octets: usize = list.patterns.iter().map(|pattern| list.reference.len() + pattern.len()).sum();
    if octets > MAX_OCTETS {
        return wrong("The patterns are too long");
    }
    Ok(Command::List(list))
}

pub(super) fn lsub(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    cursor.space()?;
    let reference = cursor.astring()?;
    cursor.space()?;
    let pattern = cursor.pattern()?;
    cursor.end()?;
    if reference.len() + pattern.len() > MAX_OCTETS {
        return wrong("The pattern is too long");
    }
    Ok(Command::Lsub { reference, pattern })
}

fn select_options(cursor: &mut Cursor<'_>) -> Parsed<ListSelect> {
    let mut options = ListSelect::default();
    cursor.list((true, MAX_OPTIONS), |cursor| {
        match cursor.word(&SELECT).ok_or(Wrong::Syntax("Unknown selection option"))? {
            Select::Subscribed => options.subscribed = true,
            Select::Remote => options.remote = true,
            Select::RecursiveMatch => options.recursive_match = true,
            Select::SpecialUse => options.special_use = true,
        }
        Ok(())
    })?;
    // RFC 5258 §3.1: RECURSIVEMATCH widens another option and means nothing alone.
    if options.recursive_match && !options.subscribed && !options.special_use {
        return wrong("RECURSIVEMATCH needs another selection option");
    }
    Ok(options)
}

fn return_options(cursor: &mut Cursor<'_>) -> Parsed<ListReturn> {
    let mut options = ListReturn::default();
    cursor.word(&[("RETURN", ())]).ok_or(Wrong::Syntax("RETURN was expected"))?;
    cursor.space()?;
    cursor.list((true, MAX_OPTIONS), |cursor| {
        match cursor.word(&RETURN).ok_or(Wrong::Syntax("Unknown return option"))? {
            Return::Subscribed => options.subscribed = true,
            Return::Children => options.children = true,
            Return::SpecialUse => options.special_use = true,
            Return::Status => {
                cursor.space()?;
                options.status = status_items(cursor)?;
            }
        }
        Ok(())
    })?;
    Ok(options)
}
