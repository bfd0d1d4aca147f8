use super::*;
use crate::imap::command::Tag;
use crate::imap::response::parse;
use crate::imap::scan::{Event, Listing, Scanner};
use crate::policy::{FolderClass, Ground, Held, ReadChoice, Role};
use crate::types::{Address, GrantId, LoginName, MailboxId, UserId};

fn effective(role: &Role, read_state: ReadChoice) -> Effective {
    let user = (UserId(1), LoginName::parse("alice@example.org").unwrap());
    let mailbox = (MailboxId(2), Address::parse("support@example.org").unwrap());
    let grants = std::iter::once(Held::whole(GrantId(3), role));
    Effective::union(user, mailbox, grants, Ground { read_state, ..Ground::default() }, None).unwrap()
}

const ALL: &[&[u8]] = &[b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Seen", b"\\Draft", b"$a", b"\\*"];

#[test]
fn permanent_flags_follow_the_rights() {
    use FolderClass::{Drafts, Inbox, Sent};
    use ReadChoice::{Personal, Shared};
    let [reader, responder, manager] = Role::built_in();
    let full = r"(\Answered \Flagged \Deleted \Seen \Draft $a \*)";
    let no_deleted = r"(\Answered \Flagged \Seen \Draft $a \*)";
    for (role, state, class, read_only, flags, expected) in [
        (&reader, Shared, Inbox, false, "()", "READ-ONLY"),
        (&reader, Shared, Drafts, false, "()", "READ-ONLY"),
        (&reader, Personal, Inbox, false, r"(\Seen)", "READ-WRITE"),
        (&reader, Personal, Inbox, true, "()", "READ-ONLY"),
        (&responder, Shared, Inbox, false, no_deleted, "READ-WRITE"),
        (&responder, Shared, Sent, false, no_deleted, "READ-WRITE"),
        (&responder, Shared, Drafts, false, full, "READ-WRITE"),
        (&responder, Shared, Inbox, true, "()", "READ-ONLY"),
        (&manager, Shared, Inbox, false, full, "READ-WRITE"),
        (&manager, Shared, FolderClass::Aggregate, false, "()", "READ-ONLY"),
    ] {
        let effective = effective(role, state);
        let place = Place { read_only, ..Place::of(class) };
        assert_eq!(permanent_flags(&effective, &place, ALL), flags, "{} {class}", role.name);
        assert_eq!(access(&effective, &place), expected, "{} {class}", role.name);
    }
}

#[test]
fn upstream_decides_what_lasts() {
    let [_, responder, _] = Role::built_in();
    let place = Place::of(FolderClass::Inbox);
    let shared = effective(&responder, ReadChoice::Shared);
    assert_eq!(permanent_flags(&shared, &place, &[b"\\Seen", b"\\Foo", b"\\Recent"]), "(\\Seen)");
    let personal = effective(&responder, ReadChoice::Personal);
    assert_eq!(permanent_flags(&personal, &place, &[b"\\Flagged"]), "(\\Seen \\Flagged)");
    assert_eq!(shown_rights(&personal, &Place::of(FolderClass::Trash)).rfc_letters(), "lrswp");
}

/// What the client is told of one line.
fn told(line: &str, window: &Window<'_>) -> Result<String, String> {
    let mut out = Vec::new();
    match untagged(&parse(line.as_bytes()).unwrap(), window, &mut out) {
        Ok(None) => Ok(String::from_utf8(out).unwrap()),
        Ok(Some(drop)) => Err(drop.as_str().to_owned()),
        Err(doubt) => Err(format!("{doubt:?}")),
    }
}

#[test]
fn what_passes_and_what_does_not() {
    let [reader, responder, _] = Role::built_in();
    let (reader, responder) =
        (effective(&reader, ReadChoice::Shared), effective(&responder, ReadChoice::Shared));
    let none = Window {
        folder: None,
        opening: false,
        no_expunge: false,
        status: None,
        copy_uid: false,
        qresync: false,
    };
    let place = Place::of(FolderClass::Inbox);
    let open =
        Window { folder: Some(Folder { effective: &responder, place: place.clone() }), ..none.clone() };
    let opening =
        Window { folder: Some(Folder { effective: &reader, place }), opening: true, ..none.clone() };
    let by_number = Window { no_expunge: true, ..open.clone() };
    let items = [StatusItem::Messages, StatusItem::Unseen];
    let asked = Asked { upstream: b"Sent", client: b"Shared/support/Sent", items: &items };
    let status = Window { status: Some(asked), ..none.clone() };
    let moving = Window { copy_uid: true, ..open.clone() };
    for (line, window, expected) in [
        ("* 3 EXISTS\r\n", &open, Ok("* 3 EXISTS\r\n")),
        ("* 3 EXISTS\r\n", &by_number, Ok("* 3 EXISTS\r\n")),
        ("* 3 EXISTS\r\n", &none, Err("not_selected")),
        ("* 3 RECENT\r\n", &none, Err("not_selected")),
        ("* 3 EXPUNGE\r\n", &open, Ok("* 3 EXPUNGE\r\n")),
        ("* 3 EXPUNGE\r\n", &by_number, Err("Expunge")),
        ("* 3 EXPUNGE\r\n", &none, Err("not_selected")),
        ("* VANISHED 3\r\n", &open, Err("Vanished")),
        ("* FLAGS (\\Seen $a \\X)\r\n", &open, Ok("* FLAGS (\\Seen $a)\r\n")),
        ("* FLAGS (\\Seen)\r\n", &none, Err("not_selected")),
        ("* BYE Secret\r\n", &open, Err("Bye")),
        ("* PREAUTH\r\n", &none, Err("OutOfTurn")),
        ("P1 OK x\r\n", &none, Err("OutOfTurn")),
        ("+ x\r\n", &none, Err("OutOfTurn")),
        ("* OK Mailbox Secret is fine\r\n", &open, Err("text")),
        ("* NO [NONEXISTENT] Secret\r\n", &open, Err("text")),
        ("* OK [REFERRAL imap://x] y\r\n", &open, Err("text")),
        ("* OK [ALERT] Full\u{7}!\r\n", &none, Ok("* OK [ALERT] Full!\r\n")),
        ("* OK [UIDNEXT 4] Secret\r\n", &opening, Ok("* OK [UIDNEXT 4] Predicted next UID\r\n")),
        ("* OK [UIDVALIDITY 4] x\r\n", &opening, Ok("* OK [UIDVALIDITY 4] UIDs valid\r\n")),
        ("* OK [UIDVALIDITY 4] x\r\n", &open, Err("UidValidity")),
        ("* OK [CLOSED] x\r\n", &opening, Err("text")),
        ("* OK [CLOSED] x\r\n", &open, Err("Closed")),
        (
            "* OK [PERMANENTFLAGS (\\Seen \\*)] x\r\n",
            &opening,
            Ok("* OK [PERMANENTFLAGS ()] Flags you may change\r\n"),
        ),
        ("* OK [COPYUID 4 1:2 7,9] x\r\n", &moving, Ok("* OK [COPYUID 4 1:2 7,9] Moved UIDs\r\n")),
        ("* OK [COPYUID 4 1:2 7,9] x\r\n", &open, Err("text")),
        ("* CAPABILITY X\r\n", &open, Err("session")),
        ("* ENABLED X\r\n", &open, Err("session")),
        ("* LIST () \"/\" Secret\r\n", &open, Err("folders")),
        ("* LSUB () \"/\" Secret\r\n", &open, Err("folders")),
        ("* STATUS Secret (MESSAGES 1)\r\n", &status, Err("status")),
        ("* STATUS Sent (MESSAGES 1)\r\n", &open, Err("status")),
        (
            "* STATUS \"Sent\" (UIDNEXT 9 MESSAGES 1)\r\n",
            &status,
            Ok("* STATUS \"Shared/support/Sent\" (MESSAGES 1)\r\n"),
        ),
        ("* ACL Secret alice lr\r\n", &open, Err("unknown")),
        ("* METADATA Secret ()\r\n", &open, Err("unknown")),
        ("* QUOTA \"\" ()\r\n", &open, Err("folders")),
    ] {
        let told = told(line, window);
        assert_eq!(told.as_deref().map_err(String::as_str), expected, "{line}");
    }
}

/// What a writer makes of scanned input, and how many things it dropped.
fn written(input: &str, mut write: impl FnMut(&Event<'_>, &mut Vec<u8>) -> Option<Drop>) -> (String, usize) {
    let (mut scanner, mut out, mut at, mut dropped) = (Scanner::new(), Vec::new(), 0, 0);
    loop {
        let (used, event) = scanner.next(&input.as_bytes()[at..]);
        at += used;
        if event == Event::More {
            return (String::from_utf8(out).unwrap(), dropped);
        }
        assert!(!matches!(event, Event::Fault(_)));
        dropped += usize::from(write(&event, &mut out).is_some());
    }
}

#[test]
fn fetch_is_written_anew() {
    let plain = FetchView::default();
    let condstore = FetchView { condstore: true, ..plain };
    let renamed = FetchView { as_rfc822: true, hide_uid: true, ..plain };
    for (view, input, expected, dropped) in [
        (
            plain,
            "* 1 FETCH (UID 3 FLAGS (\\Seen \\Recent $x))\r\n",
            "* 1 FETCH (UID 3 FLAGS (\\Seen \\Recent $x))\r\n",
            0,
        ),
        (plain, "* 1 FETCH (FLAGS ())\r\n", "* 1 FETCH (FLAGS ())\r\n", 0),
        (plain, "* 1 FETCH (FLAGS (a% \\Foo b))\r\n", "* 1 FETCH (FLAGS (b))\r\n", 0),
        (plain, "* 1 FETCH (MODSEQ (5))\r\n", "", 1),
        (plain, "* 1 FETCH (MODSEQ (5) UID 4294967295)\r\n", "* 1 FETCH (UID 4294967295)\r\n", 1),
        (condstore, "* 7 FETCH (FLAGS () MODSEQ (50))\r\n", "* 7 FETCH (FLAGS () MODSEQ (50))\r\n", 0),
        (
            plain,
            "* 1 FETCH (X-GM-LABELS (\"Secret\") RFC822.SIZE 10 X-MAILBOX Secret)\r\n",
            "* 1 FETCH (RFC822.SIZE 10)\r\n",
            2,
        ),
        (plain, "* 1 FETCH (X-MAILBOX Secret)\r\n", "", 1),
        (renamed, "* 1 FETCH (BODY[] {3}\r\na)b UID 7)\r\n", "* 1 FETCH (RFC822 {3}\r\na)b)\r\n", 0),
        (
            plain,
            "* 1 FETCH (BODY[1.MIME]<0> \"x\" BODY (\"a\" NIL))\r\n",
            "* 1 FETCH (BODY[1.MIME]<0> \"x\" BODY (\"a\" NIL))\r\n",
            0,
        ),
    ] {
        let mut writer = FetchWriter::new(view);
        assert_eq!(written(input, |event, out| writer.event(event, out)), (expected.to_owned(), dropped));
    }
}

#[test]
fn search_is_written_anew() {
    let (ours, client) = (Tag::parse(b"P1").unwrap(), Tag::parse(b"a.7").unwrap());
    for (condstore, input, expected, dropped) in [
        (false, "* SEARCH\r\n", "* SEARCH\r\n", 0),
        (false, "* SEARCH 1 2 3\r\n", "* SEARCH 1 2 3\r\n", 0),
        (true, "* SEARCH 1 2 (MODSEQ 9)\r\n", "* SEARCH 1 2 (MODSEQ 9)\r\n", 0),
        (false, "* SEARCH 1 2 (MODSEQ 9)\r\n", "* SEARCH 1 2\r\n", 1),
        (
            false,
            "* ESEARCH (TAG \"P1\") UID ALL 1:3,5 COUNT 4\r\n",
            "* ESEARCH (TAG \"a.7\") UID ALL 1:3,5 COUNT 4\r\n",
            0,
        ),
        (false, "* ESEARCH (TAG \"P1\") MODSEQ 7 MIN 1\r\n", "* ESEARCH (TAG \"a.7\") MIN 1\r\n", 1),
        (true, "* ESEARCH (TAG \"P1\") MIN 1 MODSEQ 7\r\n", "* ESEARCH (TAG \"a.7\") MIN 1 MODSEQ 7\r\n", 0),
        (false, "* ESEARCH (TAG \"P2\") MIN 1\r\n", "", 1),
        (false, "* ESEARCH COUNT 3\r\n", "", 1),
    ] {
        let mut writer = SearchWriter::new(&ours, &client, Listing::Search, condstore);
        assert_eq!(written(input, |event, out| writer.event(event, out)), (expected.to_owned(), dropped));
    }
}

#[test]
fn sort_and_thread_are_told_to_who_asked_for_them() {
    let (ours, client) = (Tag::parse(b"P1").unwrap(), Tag::parse(b"a.7").unwrap());
    for (wanted, input, expected, dropped) in [
        (Listing::Sort, "* SORT 5 3 4\r\n", "* SORT 5 3 4\r\n", 0),
        (Listing::Sort, "* SORT\r\n", "* SORT\r\n", 0),
        (Listing::Sort, "* SEARCH 5 3 4\r\n", "", 1),
        (Listing::Search, "* SORT 5 3 4\r\n", "", 1),
        (
            Listing::Thread,
            "* THREAD (2)(3 6 (4 23)(44 7 96))\r\n",
            "* THREAD (2)(3 6 (4 23)(44 7 96))\r\n",
            0,
        ),
        (Listing::Thread, "* THREAD\r\n", "* THREAD\r\n", 0),
        (Listing::Sort, "* THREAD (2)(3)\r\n", "", 1),
    ] {
        let mut writer = SearchWriter::new(&ours, &client, wanted, false);
        assert_eq!(written(input, |event, out| writer.event(event, out)), (expected.to_owned(), dropped));
    }
}
