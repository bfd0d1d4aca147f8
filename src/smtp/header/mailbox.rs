//! One mailbox, as it stands in From (RFC 5322 §3.4), read strictly.
//!
//! `addr-spec`, or a display name and `<addr-spec>`. The name is atoms, encoded words and
//! quoted strings; dots between atoms are let pass (`John Q. Public`), because the name is
//! replaced anyhow. Refused: lists, groups, comments, routes, and every address that
//! [`Path`] refuses, quoted local parts among them.

use std::fmt;

use super::super::{Path, PathFault};

/// A mailbox; its display name is not kept, ours replaces it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mailbox {
    pub path: Path,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MailboxFault {
    Empty,
    Several,
    Group,
    Comment,
    /// Characters that no display name has outside of quotes.
    Name,
    /// A quote without its end.
    Quote,
    /// Something stands after the address.
    Trailing,
    Address(PathFault),
}

impl fmt::Display for MailboxFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::Several => "names more than one address",
            Self::Group => "has a group",
            Self::Comment => "has a comment in parentheses",
            Self::Name => "has a name that is not well formed",
            Self::Quote => "has a quote without its end",
            Self::Trailing => "has something after the address",
            Self::Address(fault) => return write!(f, "is not well formed ({})", fault.sentence()),
        })
    }
}

impl Mailbox {
    /// Reads an unfolded field value without space around it.
    pub fn parse(text: &str) -> Result<Self, MailboxFault> {
        if text.is_empty() {
            return Err(MailboxFault::Empty);
        }
        let Some(open) = unquoted(text, '<')? else {
            // Without `<` it is an address alone; what else it could be is named.
            for (c, fault) in
                [(',', MailboxFault::Several), ('(', MailboxFault::Comment), (':', MailboxFault::Group)]
            {
                if unquoted(text, c)?.is_some() {
                    return Err(fault);
                }
            }
            return address(text);
        };
        let (name, rest) = (&text[..open], &text[open + 1..]);
        phrase(name)?;
        let (inside, after) = rest.split_once('>').ok_or(MailboxFault::Address(PathFault::Form))?;
        match after.trim_start_matches([' ', '\t']).chars().next() {
            None => address(inside),
            Some(',') => Err(MailboxFault::Several),
            Some('(') => Err(MailboxFault::Comment),
            Some(_) => Err(MailboxFault::Trailing),
        }
    }
}

fn address(text: &str) -> Result<Mailbox, MailboxFault> {
    // An encoded word is atext too, and some readers decode it inside an address.
    if text.contains("=?") {
        return Err(MailboxFault::Address(PathFault::Character));
    }
    Ok(Mailbox { path: Path::parse(text).map_err(MailboxFault::Address)? })
}

/// Where `wanted` first stands outside of quoted strings.
fn unquoted(text: &str, wanted: char) -> Result<Option<usize>, MailboxFault> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == wanted && !quoted => return Ok(Some(at)),
            _ => {}
        }
    }
    if quoted { Err(MailboxFault::Quote) } else { Ok(None) }
}

/// A display name: atoms and quoted strings, with space between them.
fn phrase(text: &str) -> Result<(), MailboxFault> {
    let mut rest = text.trim_matches([' ', '\t']);
    while let Some(first) = rest.chars().next() {
        rest = match first {
            '"' => quoted_string(rest)?,
            _ => {
                let end = rest.find([' ', '\t', '"']).unwrap_or(rest.len());
                word(&rest[..end])?;
                &rest[end..]
            }
        };
        let next = rest.trim_start_matches([' ', '\t']);
        if next.len() == rest.len() && !rest.is_empty() {
            return Err(MailboxFault::Name);
        }
        rest = next;
    }
    Ok(())
}

/// An atom of RFC 5322 §3.2.3 (an encoded word is one), dots included.
fn word(word: &str) -> Result<(), MailboxFault> {
    let atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c) || !c.is_ascii();
    match word.chars().find(|c| !atext(*c) || c.is_control()) {
        None => Ok(()),
        Some(',') => Err(MailboxFault::Several),
        Some('(' | ')') => Err(MailboxFault::Comment),
        Some(':' | ';') => Err(MailboxFault::Group),
        Some(_) => Err(MailboxFault::Name),
    }
}

/// Takes a quoted string off the front; gives what follows it.
fn quoted_string(text: &str) -> Result<&str, MailboxFault> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            c if c.is_control() && c != '\t' => return Err(MailboxFault::Name),
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok(&text[at + 1..]),
            _ => {}
        }
    }
    Err(MailboxFault::Quote)
}

#[cfg(test)]
mod tests {
    use super::super::super::PathFault;
    use super::{Mailbox, MailboxFault};

    #[test]
    fn reads() {
        for text in [
            "a@b.example",
            "<a@b.example>",
            "Alice <a@b.example>",
            "Alice B. Carol\t<a@b.example>",
            "\"Carol, Alice (\\\"x\\\") <x@y>\" <a@b.example>",
            "\"A\" B \"C\" <a@b.example>",
            "=?UTF-8?Q?B=C3=BCro?= =?UTF-8?B?w7w=?= <a@b.example>",
            "B\u{fc}ro <a@b.example>",
            "\"\" <a@b.example> ",
        ] {
            assert_eq!(
                Mailbox::parse(text.trim()).map(|m| m.path.to_string()),
                Ok("a@b.example".into()),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses() {
        use MailboxFault::{Address, Comment, Empty, Group, Name, Quote, Several, Trailing};
        for (text, fault) in [
            ("", Empty),
            ("a@b.example, c@d.example", Several),
            ("A <a@b.example>, c@d.example", Several),
            ("Team: a@b.example;", Group),
            ("Team: <a@b.example>;", Group),
            ("undisclosed-recipients:;", Group),
            ("<a@b.example>(<c@d.example>)", Comment),
            ("a@b.example (Alice)", Comment),
            ("(x) <a@b.example>", Comment),
            ("<a@b.example><c@d.example>", Trailing),
            ("<a@b.example> x", Trailing),
            ("a@b.example <c@d.example>", Name),
            ("=?utf-8?q?a@x?= <c@d.example>", Name),
            ("\"a\"b <c@d.example>", Name),
            ("a\"b\" <c@d.example>", Name),
            ("\"a <c@d.example>", Quote),
            ("\"a\u{1}\" <c@d.example>", Name),
            ("\"a@x\"@y.example", Address(PathFault::Quoted)),
            ("<\"a\"@y.example>", Address(PathFault::Quoted)),
            ("<@a,@b:c@d.example>", Address(PathFault::Route)),
            ("< a@b.example >", Address(PathFault::Character)),
            ("<>", Address(PathFault::Form)),
            ("A <a@b.example", Address(PathFault::Form)),
            ("A <=?utf-8?q?a?=@b.example>", Address(PathFault::Character)),
            ("a@b@c.example", Address(PathFault::Character)),
            ("<a@b.example>>", Trailing),
            ("x <<a@b.example>>", Trailing),
        ] {
            assert_eq!(Mailbox::parse(text), Err(fault), "{text:?}");
        }
    }
}
