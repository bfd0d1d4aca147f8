use super::{
    Context, FollowUp, Housekeeping, Outgoing, Rename, close_examined, housekeeping, peek_renames, write,
    write_strip, write_take_back,
};
use crate::imap::command::{Append, Command, Fetch, FetchItem, Open, Search, SearchKey, StatusItem, Store};
use crate::imap::frame::{Event, Framer, Limits};
use crate::imap::parse;
use crate::policy::{Mark, StepKind, StoreMode, Target};
use crate::types::{Flag, Flags, FolderName, Keyword, NumberSet, Secret, SystemFlag, UidSet, UidValidity};
use proptest::prelude::*;

fn parsed(line: &str) -> Command {
    let line = format!("a {line}\r\n");
    parse::command(line.as_bytes(), Some('/')).unwrap_or_else(|bad| panic!("{line}: {bad:?}")).command
}

fn text(outgoing: &Outgoing) -> String {
    outgoing.parts.iter().map(|part| part.escape_ascii().to_string()).collect::<Vec<_>>().join("|")
}

/// A step written for a command line, with everything upstream could have.
fn written(kind: &StepKind, line: &str) -> String {
    let new_folder = FolderName::parse("Größe", Some('/')).unwrap();
    let context = Context {
        trash: Some(b"Bin"),
        folder: Some(b"Archive/2026"),
        new_folder: Some(&new_folder),
        selected: Some(b"INBOX"),
        unselect: true,
        esearch: true,
        condstore: true,
        modseq: false,
        qresync: false,
    };
    write(kind, &parsed(line), &context, "P1").map_or("nothing".to_owned(), |outgoing| text(&outgoing))
}

fn uids() -> UidSet {
    [5, 6, 9].into_iter().collect()
}

#[test]
fn what_is_carried_as_asked() {
    for (line, expected) in [
        ("NOOP", "P1 NOOP\\r\\n"),
        ("check", "P1 CHECK\\r\\n"),
        ("IDLE", "P1 IDLE\\r\\n"),
        ("CREATE x (USE (\\Drafts))", "P1 CREATE \"Gr&APYA3w-e\"\\r\\n"),
        ("RENAME x y", "P1 RENAME \"Archive/2026\" \"Gr&APYA3w-e\"\\r\\n"),
        ("STATUS x (messages UIDNEXT)", "P1 STATUS \"Archive/2026\" (MESSAGES UIDNEXT)\\r\\n"),
        ("SEARCH UNSEEN 1:*", "P1 SEARCH UNSEEN 1:*\\r\\n"),
        (
            "UID SEARCH RETURN (COUNT MIN) CHARSET UTF-8 OR (SEEN FLAGGED) NOT SUBJECT x",
            "P1 UID SEARCH RETURN (MIN COUNT) OR (SEEN FLAGGED) NOT SUBJECT \\\"x\\\"\\r\\n",
        ),
        ("SEARCH RETURN () ALL", "P1 SEARCH RETURN () ALL\\r\\n"),
        ("sort (reverse date displayto) utf-8 unseen", "P1 SORT (REVERSE DATE DISPLAYTO) UTF-8 UNSEEN\\r\\n"),
        ("UID THREAD references us-ascii TO x", "P1 UID THREAD REFERENCES US-ASCII TO \\\"x\\\"\\r\\n"),
        (
            "SEARCH CHARSET UTF-8 SUBJECT \"gr\u{fc}n\" BODY \"a\\\"b\"",
            "P1 SEARCH CHARSET UTF-8 SUBJECT {5}\\r\\n|gr\\xc3\\xbcn BODY {3}\\r\\n|a\\\"b\\r\\n",
        ),
        (
            "SEARCH HEADER Message-ID <a@b> SINCE \"01-feb-2026\" KEYWORD $x LARGER 5 OLDER 3 MODSEQ 7 UID 5",
            "P1 SEARCH HEADER \\\"Message-ID\\\" \\\"<a@b>\\\" SINCE 1-Feb-2026 KEYWORD $x LARGER 5 OLDER 3 MODSEQ 7 UID 5\\r\\n",
        ),
    ] {
        assert_eq!(
            written(&StepKind::Carry, line).replace("\\\"", "\""),
            expected.replace("\\\"", "\""),
            "{line}"
        );
    }
    for line in [
        "LOGOUT",
        "LOGIN a b",
        "SELECT x",
        "DELETE x",
        "SUBSCRIBE x",
        "EXPUNGE",
        "CLOSE",
        "UID EXPUNGE 1",
        "STORE 1 FLAGS ()",
        "COPY 1 x",
        "MOVE 1 x",
        "FETCH 1 UID",
        "SETACL x y z",
        "ENABLE CONDSTORE",
        "LIST \"\" *",
    ] {
        assert_eq!(written(&StepKind::Carry, line), "nothing", "{line}");
    }
}

#[test]
fn steps_of_changing_commands() {
    let store =
        |target, mode, silent| StepKind::Store { target, mode, flags: SystemFlag::Seen.into(), silent };
    for (kind, line, expected) in [
        (StepKind::Open { read_only: false }, "SELECT x", "P1 SELECT \"Archive/2026\""),
        (
            StepKind::Open { read_only: true },
            "SELECT x (CONDSTORE)",
            "P1 EXAMINE \"Archive/2026\" (CONDSTORE)",
        ),
        (StepKind::Open { read_only: false }, "EXAMINE x", "P1 EXAMINE \"Archive/2026\""),
        (StepKind::Uids, "STORE 1:3 FLAGS ()", "P1 FETCH 1:3 (UID)"),
        (StepKind::Uids, "UID MOVE 1:* x", "P1 UID FETCH 1:* (UID)"),
        (StepKind::Flags, "UID STORE 7 FLAGS ()", "P1 UID FETCH 7 (FLAGS)"),
        (StepKind::Flags, "STORE 7,8 FLAGS ()", "P1 FETCH 7,8 (FLAGS)"),
        (store(Target::Asked, StoreMode::Add, false), "STORE 1 FLAGS ()", "P1 STORE 1 +FLAGS (\\Seen)"),
        (
            store(Target::Asked, StoreMode::Replace, false),
            "STORE 1 FLAGS.SILENT ()",
            "P1 STORE 1 FLAGS.SILENT (\\Seen)",
        ),
        (
            store(Target::Numbers(uids()), StoreMode::Remove, true),
            "UID STORE 1:* (UNCHANGEDSINCE 4) FLAGS ()",
            "P1 UID STORE 5:6,9 (UNCHANGEDSINCE 4) -FLAGS.SILENT (\\Seen)",
        ),
        (store(Target::Numbers(UidSet::new()), StoreMode::Add, true), "STORE 1 FLAGS ()", "nothing"),
        (StepKind::FindDeleted, "EXPUNGE", "P1 UID SEARCH DELETED"),
        (StepKind::FindDeleted, "UID EXPUNGE 1:*", "P1 UID SEARCH UID 1:* DELETED"),
        (StepKind::FindDeleted, "NOOP", "nothing"),
        (StepKind::Remove(uids()), "CLOSE", "P1 UID EXPUNGE 5:6,9"),
        (StepKind::Remove(UidSet::new()), "EXPUNGE", "nothing"),
        (StepKind::Remove(uids()), "STORE 1 FLAGS ()", "nothing"),
        (StepKind::RemoveAll(uids()), "EXPUNGE", "P1 EXPUNGE"),
        (StepKind::RemoveAll(uids()), "UID EXPUNGE 5:6,9", "nothing"),
        (StepKind::RemoveAll(uids()), "SELECT x", "nothing"),
        (StepKind::Copy, "COPY 1 x", "P1 COPY 1 \"Archive/2026\""),
        (StepKind::Copy, "MOVE 1 x", "nothing"),
        (
            StepKind::Move { uids: uids(), exact: false, discards: false },
            "MOVE 1:* x",
            "P1 MOVE 1:* \"Archive/2026\"",
        ),
        (
            StepKind::Move { uids: uids(), exact: true, discards: false },
            "MOVE 1:* x",
            "P1 UID MOVE 5:6,9 \"Archive/2026\"",
        ),
        (
            StepKind::Move { uids: uids(), exact: false, discards: false },
            "UID MOVE 1:* x",
            "P1 UID MOVE 5:6,9 \"Archive/2026\"",
        ),
        (StepKind::Move { uids: UidSet::new(), exact: true, discards: false }, "MOVE 1:* x", "nothing"),
        (StepKind::CopyThese(uids()), "MOVE 1:* x", "P1 UID COPY 5:6,9 \"Archive/2026\""),
        (StepKind::CopyThese(uids()), "COPY 1:* x", "nothing"),
        (StepKind::RemoveCopied(uids()), "UID MOVE 1:* x", "P1 UID EXPUNGE 5:6,9"),
        (StepKind::RemoveCopied(UidSet::new()), "MOVE 1:* x", "nothing"),
        (StepKind::RemoveCopied(uids()), "EXPUNGE", "P1 UID EXPUNGE 5:6,9"),
        (StepKind::RemoveCopied(uids()), "COPY 1 x", "nothing"),
        (StepKind::Describe(uids()), "COPY 1 x", "P1 UID FETCH 5:6,9 (FLAGS INTERNALDATE)"),
        (StepKind::Describe(UidSet::new()), "COPY 1 x", "nothing"),
        (StepKind::Describe(uids()), "UID FETCH 1 FLAGS", "nothing"),
        (StepKind::ReadOut(9), "UID MOVE 1:* x", "P1 UID FETCH 9 (BODY.PEEK[])"),
        (StepKind::ReadOut(9), "UID STORE 9 FLAGS ()", "nothing"),
        (StepKind::TakeBack { validity: UidValidity(9), uids: uids() }, "COPY 1 x", "nothing"),
        (StepKind::Discard(uids()), "EXPUNGE", "P1 UID MOVE 5:6,9 \"Bin\""),
        (StepKind::Discard(uids()), "UID EXPUNGE 1:*", "P1 UID MOVE 5:6,9 \"Bin\""),
        (StepKind::Discard(UidSet::new()), "EXPUNGE", "nothing"),
        (StepKind::Discard(uids()), "MOVE 1 x", "nothing"),
        (StepKind::FindMarked, "EXPUNGE", "nothing"),
        (StepKind::FindFlagged(SystemFlag::Deleted.into()), "COPY 1:* x", "P1 SEARCH 1:* DELETED"),
        (
            StepKind::FindFlagged(
                [SystemFlag::Seen, SystemFlag::Draft, SystemFlag::Deleted]
                    .into_iter()
                    .map(Flag::System)
                    .collect(),
            ),
            "UID COPY 1:* x",
            "P1 UID SEARCH UID 1:* OR DELETED OR SEEN DRAFT",
        ),
        (StepKind::FindFlagged(Flags::default()), "COPY 1 x", "nothing"),
        (
            StepKind::Strip { validity: UidValidity(9), uids: uids(), flags: SystemFlag::Deleted.into() },
            "COPY 1 x",
            "nothing",
        ),
        (StepKind::DeleteFolder, "DELETE x", "P1 DELETE \"Archive/2026\""),
        (StepKind::DeleteFolder, "RENAME x y", "nothing"),
        (StepKind::Unselect, "CLOSE", "P1 UNSELECT"),
        (StepKind::Unselect, "EXPUNGE", "nothing"),
        (StepKind::Address, "NOOP", "nothing"),
        (StepKind::Submit { on_behalf: false }, "NOOP", "nothing"),
        (StepKind::File, "NOOP", "nothing"),
        (StepKind::Parent(Mark::Answered), "STORE 1 +FLAGS \\Answered", "nothing"),
    ] {
        assert_eq!(
            written(&kind, line).trim_end_matches("\\r\\n").replace("\\\\", "\\").replace("\\\"", "\""),
            expected
        );
    }
}

#[test]
fn stripping_opens_the_folder_of_the_copies() {
    let kind = |uids| StepKind::Strip { validity: UidValidity(9), uids, flags: SystemFlag::Deleted.into() };
    let [open, strip] = write_strip(&kind(uids()), b"Sent", ["P1", "P2"]).unwrap();
    assert_eq!(text(&open), "P1 SELECT \\\"Sent\\\"\\r\\n");
    assert_eq!(text(&strip), "P2 UID STORE 5:6,9 -FLAGS.SILENT (\\\\Deleted)\\r\\n");
    assert!(write_strip(&kind(UidSet::new()), b"Sent", ["P1", "P2"]).is_none());
    assert!(write_strip(&StepKind::Copy, b"Sent", ["P1", "P2"]).is_none());
}

#[test]
fn a_long_move_by_uid_goes_as_asked() {
    let many: UidSet = (1..3_000).map(|n| n * 2).collect();
    let kind = |exact| StepKind::Move { uids: many.clone(), exact, discards: false };
    assert_eq!(written(&kind(false), "UID MOVE 1:* x"), "P1 UID MOVE 1:* \\\"Archive/2026\\\"\\r\\n");
    assert!(written(&kind(true), "UID MOVE 1:* x").contains("2,4,6"));
}

#[test]
fn the_context_decides_what_upstream_can() {
    let bare = Context { folder: Some(b"x"), ..Context::default() };
    let outgoing = write(&StepKind::Open { read_only: false }, &parsed("SELECT x (CONDSTORE)"), &bare, "P1");
    assert_eq!(text(&outgoing.unwrap()), "P1 SELECT \\\"x\\\"\\r\\n");
    let modseq = Context { modseq: true, ..bare };
    let outgoing = write(&StepKind::Flags, &parsed("STORE 1 FLAGS ()"), &modseq, "P1");
    assert_eq!(text(&outgoing.unwrap()), "P1 FETCH 1 (FLAGS MODSEQ)\\r\\n");
    let nowhere = Context::default();
    for line in ["STATUS x (MESSAGES)", "CREATE x", "RENAME x y"] {
        assert!(write(&StepKind::Carry, &parsed(line), &nowhere, "P1").is_none(), "{line}");
    }
    assert!(write(&StepKind::Unselect, &parsed("CLOSE"), &nowhere, "P1").is_none());
}

#[test]
fn without_unselect_close_follows_an_examine() {
    let context = Context { selected: Some(b"INBOX"), ..Context::default() };
    let mut outgoing = write(&StepKind::Unselect, &parsed("CLOSE"), &context, "P1").unwrap();
    assert_eq!(text(&outgoing), "P1 EXAMINE \\\"INBOX\\\"\\r\\n");
    let Some(FollowUp::CloseExamined(proof)) = outgoing.then.take() else { panic!() };
    assert_eq!(text(&close_examined(proof, "P2").unwrap()), "P2 CLOSE\\r\\n");
}

#[test]
fn fetch_leaves_seen_alone() {
    let line =
        "FETCH 1 (UID RFC822 RFC822.TEXT BODY[1.2]<0.9> BODY.PEEK[TEXT] BODY[HEADER.FIELDS (Date \"X:\")])";
    let line = line.replace("\"X:\"", "\"X{\"");
    assert_eq!(
        written(&StepKind::Fetch { peek: true, marks: false }, &line).replace("\\\"", "\""),
        "P1 FETCH 1 (UID BODY.PEEK[] BODY.PEEK[TEXT] BODY.PEEK[1.2]<0.9> BODY.PEEK[HEADER.FIELDS (Date \"X{\")])\\r\\n",
    );
    assert_eq!(
        written(
            &StepKind::Fetch { peek: false, marks: false },
            "UID FETCH 5 (RFC822 BODY[TEXT]) (CHANGEDSINCE 8)"
        ),
        "P1 UID FETCH 5 (RFC822 BODY[TEXT]) (CHANGEDSINCE 8)\\r\\n",
    );
    assert_eq!(written(&StepKind::Fetch { peek: true, marks: false }, "SEARCH ALL"), "nothing");
}

#[test]
fn what_peek_renames() {
    let renames = |items: &str| {
        let Command::Fetch { fetch, .. } = parsed(&format!("FETCH 1 ({items})")) else { panic!() };
        peek_renames(&fetch).iter().map(|Rename { client, .. }| *client).collect::<Vec<_>>()
    };
    assert_eq!(renames("UID RFC822.HEADER BODY[]"), [""; 0]);
    assert_eq!(renames("RFC822"), ["RFC822"]);
    assert_eq!(renames("RFC822.TEXT RFC822 BODY[1]"), ["RFC822", "RFC822.TEXT"]);
    assert_eq!(renames("RFC822 BODY.PEEK[]"), [""; 0]);
    assert_eq!(renames("RFC822 BODY[]<0.5>"), ["RFC822"]);
    assert_eq!(renames("RFC822.TEXT BODY[TEXT]"), [""; 0]);
}

#[test]
fn an_append_ends_in_its_announcement() {
    let append = |date: Option<&str>, synchronising| {
        Command::Append(Append {
            folder: Ok(FolderName::inbox()),
            flags: Flags::default(),
            date: date.map(str::to_owned),
            size: 310,
            synchronising,
        })
    };
    let context = Context { folder: Some(b"Sent"), ..Context::default() };
    let kind = |flags| StepKind::Append { flags };
    let seen: Flags = SystemFlag::Seen.into();
    let dated = append(Some("21-Nov-2026 19:33:53 +0000"), false);
    for (kind, command, expected) in [
        (kind(Flags::default()), append(None, false), "P1 APPEND \"Sent\" {310}"),
        (kind(seen), dated, "P1 APPEND \"Sent\" (\\Seen) \"21-Nov-2026 19:33:53 +0000\" {310}"),
    ] {
        let outgoing = write(&kind, &command, &context, "P1").unwrap();
        assert_eq!(outgoing.parts, [format!("{expected}\r\n").into_bytes()]);
    }
    let odd = Context { folder: Some(b"S\"nt\xff"), ..Context::default() };
    let outgoing = write(&kind(Flags::default()), &append(None, true), &odd, "P1").unwrap();
    assert_eq!(outgoing.parts, [&b"P1 APPEND {5}\r\n"[..], b"S\"nt\xff {310}\r\n"]);
    let forged = append(Some("x\" {1}\r\nP2 DELETE x"), true);
    assert!(write(&kind(Flags::default()), &forged, &context, "P1").is_none());
}

#[test]
fn housekeeping_lines() {
    let password = Secret::new("p\"w");
    let plain =
        |initial| Housekeeping::AuthenticatePlain { authzid: "", authcid: "u", password: &password, initial };
    let items = [StatusItem::HighestModSeq];
    for (what, expected) in [
        (Housekeeping::Capability, "P1 CAPABILITY\\r\\n"),
        (Housekeeping::Id, "P1 ID (\"name\" \"Mandate\")\\r\\n"),
        (Housekeeping::StartTls, "P1 STARTTLS\\r\\n"),
        (Housekeeping::Login { user: "u@x", password: &password }, "P1 LOGIN \"u@x\" {3}\\r\\n|p\"w\\r\\n"),
        (plain(true), "P1 AUTHENTICATE PLAIN AHUAcCJ3\\r\\n"),
        (plain(false), "P1 AUTHENTICATE PLAIN\\r\\n|AHUAcCJ3\\r\\n"),
        (Housekeeping::Enable { qresync: false }, "P1 ENABLE CONDSTORE\\r\\n"),
        (Housekeeping::Enable { qresync: true }, "P1 ENABLE CONDSTORE QRESYNC\\r\\n"),
        (Housekeeping::Namespace, "P1 NAMESPACE\\r\\n"),
        (Housekeeping::Separator, "P1 LIST \"\" \"\"\\r\\n"),
        (Housekeeping::Inventory { special_use: false }, "P1 LIST \"\" \"*\"\\r\\n"),
        (Housekeeping::Inventory { special_use: true }, "P1 LIST \"\" \"*\" RETURN (SPECIAL-USE)\\r\\n"),
        (Housekeeping::Status { folder: b"a b", items: &items }, "P1 STATUS \"a b\" (HIGHESTMODSEQ)\\r\\n"),
        (Housekeeping::Examine { folder: b"a", condstore: true }, "P1 EXAMINE \"a\" (CONDSTORE)\\r\\n"),
        (Housekeeping::Uids { esearch: true }, "P1 UID SEARCH RETURN (ALL) ALL\\r\\n"),
        (Housekeeping::Uids { esearch: false }, "P1 UID SEARCH ALL\\r\\n"),
        (Housekeeping::Numbers, "P1 FETCH 1:* (UID)\\r\\n"),
        (Housekeeping::Flags { numbers: &UidSet::range(2, 3), modseq: false }, "P1 FETCH 2:3 (FLAGS)\\r\\n"),
        (Housekeeping::AllFlags { since: None }, "P1 UID FETCH 1:* (FLAGS)\\r\\n"),
        (Housekeeping::AllFlags { since: Some(7) }, "P1 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 7)\\r\\n"),
        (Housekeeping::Noop, "P1 NOOP\\r\\n"),
        (Housekeeping::Idle, "P1 IDLE\\r\\n"),
        (Housekeeping::Done, "DONE\\r\\n"),
        (Housekeeping::Unselect, "P1 UNSELECT\\r\\n"),
        (Housekeeping::UnselectByExamine { selected: b"a" }, "P1 EXAMINE \"a\"\\r\\n"),
        (Housekeeping::Logout, "P1 LOGOUT\\r\\n"),
    ] {
        let outgoing = housekeeping(&what, "P1").unwrap();
        assert_eq!(text(&outgoing).replace("\\\"", "\""), expected);
        assert!(!format!("{outgoing:?}").contains("AHU"));
    }
    let nul = Secret::new("a\0b");
    assert!(housekeeping(&Housekeeping::Login { user: "u", password: &nul }, "P1").is_none());
    let forged =
        Housekeeping::AuthenticatePlain { authzid: "", authcid: "a\0b", password: &password, initial: true };
    assert!(housekeeping(&forged, "P1").is_none());
    assert!(housekeeping(&Housekeeping::Noop, "P1 DELETE x\r\nP2").is_none());
    assert!(housekeeping(&Housekeeping::Status { folder: b"a", items: &[] }, "P1").is_none());
}

/// Whether a framer finds exactly one command in it, and each part but the last ends where a
/// literal was announced.
fn is_one_command(outgoing: &Outgoing) -> bool {
    let limits = Limits { line: 1 << 20, literal: 1 << 20, literals: usize::MAX, literal_total: u64::MAX };
    let mut framer = Framer::new(limits);
    let last = outgoing.parts.len() - 1;
    outgoing.parts.iter().enumerate().all(|(i, part)| {
        let (taken, event) = framer.push(part);
        taken == part.len()
            && match event {
                Some(Event::Literal(announced)) => {
                    i < last && announced.synchronising && framer.accept_literal().is_ok()
                }
                Some(Event::Line) => i == last,
                Some(Event::Fault(_)) | None => false,
            }
    })
}

fn joined(outgoing: &Outgoing) -> Vec<u8> {
    outgoing.parts.concat()
}

/// What our parser makes of octets, printed, as commands cannot be compared.
fn reread(octets: &[u8]) -> String {
    let tagged = parse::command(octets, Some('/'));
    tagged.map_or_else(
        |bad| format!("{bad:?}: {}", octets.escape_ascii()),
        |tagged| format!("{:?}", tagged.command),
    )
}

/// Decodes and encodes by imap-codec: a second opinion on what the octets mean.
fn codec(octets: &[u8]) -> Vec<u8> {
    use imap_codec::CommandCodec;
    use imap_codec::decode::Decoder;
    use imap_codec::encode::Encoder;
    let decoded = CommandCodec::default().decode(octets);
    let Ok((b"", command)) = decoded else { panic!("{}: {decoded:?}", octets.escape_ascii()) };
    CommandCodec::default().encode(&command).dump()
}

fn sets() -> impl Strategy<Value = NumberSet> {
    let range = prop_oneof![
        (1u32..=u32::MAX, 1u32..=u32::MAX).prop_map(|(a, b)| format!("{a}:{b}")),
        (1u32..200).prop_map(|a| a.to_string()),
        (1u32..200).prop_map(|a| format!("{a}:*")),
        Just("*".to_owned()),
    ];
    prop::collection::vec(range, 1..5).prop_map(|ranges| {
        let Command::UidExpunge(set) = parsed(&format!("UID EXPUNGE {}", ranges.join(","))) else { panic!() };
        set
    })
}

fn flags() -> impl Strategy<Value = Flags> {
    let flag = prop_oneof![
        prop::sample::select(SystemFlag::ALL.to_vec()).prop_map(Flag::System),
        "[$A-Za-z][a-z0-9!#_-]{0,8}".prop_map(|word| Flag::Keyword(Keyword::parse(&word).unwrap())),
    ];
    prop::collection::vec(flag, 0..6).prop_map(|flags| flags.into_iter().collect())
}

fn folders() -> impl Strategy<Value = FolderName> {
    "[a-zäß日 \"\\\\%*()&]{1,6}(/[A-Z{}+~]{1,3}){0,2}"
        .prop_filter_map("canonical", |text| FolderName::parse(&text, Some('/')).ok())
}

fn strings() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "[ -~]{0,12}".prop_map(String::into_bytes),
        "[a-zäß日{}\"\\\\]{0,8}".prop_map(String::into_bytes),
        Just(vec![b'x'; 600]),
    ]
}

fn keys(codec_knows: bool) -> impl Strategy<Value = SearchKey> {
    let leaf = prop_oneof![
        prop::sample::select(vec![SearchKey::All, SearchKey::New, SearchKey::Unseen, SearchKey::Old]),
        (0usize..5, strings()).prop_map(|(which, text)| match which {
            0 => SearchKey::Subject(text),
            1 => SearchKey::Body(text),
            2 => SearchKey::From(text),
            3 => SearchKey::To(text),
            _ => SearchKey::Text(text),
        }),
        ("[!-9;-~]{1,12}", strings()).prop_map(|(name, value)| SearchKey::Header { name, value }),
        (1u32..28, 1900u32..2100).prop_map(|(d, y)| SearchKey::SentSince(format!("{d}-Sep-{y}"))),
        any::<u32>().prop_map(SearchKey::Larger),
        "[$a-z]{1,8}".prop_map(|word| SearchKey::Keyword(Keyword::parse(&word).unwrap())),
        sets().prop_map(SearchKey::Uid),
        sets().prop_map(SearchKey::Numbers),
        (1u32..1000).prop_map(move |n| if codec_knows { SearchKey::Smaller(n) } else { SearchKey::Older(n) }),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|key| SearchKey::Not(Box::new(key))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| SearchKey::Or(Box::new(a), Box::new(b))),
            prop::collection::vec(inner, 2..4).prop_map(SearchKey::And),
        ]
    })
}

fn items() -> impl Strategy<Value = Vec<FetchItem>> {
    let item = prop::sample::select(vec![
        "UID",
        "FLAGS",
        "INTERNALDATE",
        "RFC822.SIZE",
        "ENVELOPE",
        "BODY",
        "BODYSTRUCTURE",
        "RFC822",
        "RFC822.TEXT",
        "BODY[]",
        "BODY.PEEK[]<5.10>",
        "BODY[TEXT]",
        "BODY.PEEK[1.2.MIME]",
        "BODY.PEEK[3.HEADER]",
        "BODY[HEADER.FIELDS (Date X-A \"X{\")]",
        "BODY.PEEK[4.1.HEADER.FIELDS.NOT (Received)]",
    ]);
    prop::sample::subsequence((0..16).collect::<Vec<usize>>(), 1..8).prop_flat_map(move |chosen| {
        let item = item.clone();
        prop::collection::vec(item, chosen.len()).prop_map(|mut names| {
            names.sort_unstable();
            names.dedup();
            let Command::Fetch { fetch, .. } = parsed(&format!("FETCH 1 ({})", names.join(" "))) else {
                panic!()
            };
            fetch.items
        })
    })
}

proptest! {
    #[test]
    fn a_search_reads_back_the_same(uid: bool, keys in prop::collection::vec(keys(false), 1..4)) {
        let search = Search { ret: None, charset: None, keys };
        let command = Command::Search { uid, search };
        let outgoing = write(&StepKind::Carry, &command, &Context::default(), "P1").unwrap();
        prop_assert!(is_one_command(&outgoing));
        let again = reread(&joined(&outgoing)).replace("charset: Some(\"UTF-8\")", "charset: None");
        prop_assert_eq!(again, format!("{command:?}"));
    }

    #[test]
    fn a_search_means_the_same_to_imap_codec(keys in prop::collection::vec(keys(true), 1..3)) {
        let command = Command::Search { uid: true, search: Search { ret: None, charset: None, keys } };
        let outgoing = write(&StepKind::Carry, &command, &Context::default(), "P1").unwrap();
        let octets = joined(&outgoing);
        prop_assert_eq!(reread(&codec(&octets)), reread(&octets));
    }

    #[test]
    fn a_fetch_means_the_same_to_both(uid: bool, set in sets(), items in items(), since in prop::option::of(1u64..9)) {
        let command = Command::Fetch { uid, fetch: Fetch { set, items, changed_since: since, vanished: false } };
        let outgoing = write(&StepKind::Fetch { peek: false, marks: false }, &command, &Context::default(), "P1").unwrap();
        prop_assert!(is_one_command(&outgoing));
        let octets = joined(&outgoing);
        prop_assert_eq!(reread(&octets), format!("{command:?}"));
        prop_assert_eq!(reread(&codec(&octets)), format!("{command:?}"));
        let peeked = write(&StepKind::Fetch { peek: true, marks: false }, &command, &Context::default(), "P1").unwrap();
        let Ok(Command::Fetch { fetch, .. }) = parse::command(&joined(&peeked), None).map(|t| t.command) else {
            panic!("FETCH")
        };
        prop_assert!(!fetch.items.iter().any(FetchItem::marks_seen));
    }

    #[test]
    fn a_store_means_the_same_to_both(
        uid: bool, set in sets(), flags in flags(), silent: bool, since in prop::option::of(0u64..9), sign in 0usize..3,
    ) {
        let mode = [StoreMode::Add, StoreMode::Remove, StoreMode::Replace][sign];
        let store = Store { set, unchanged_since: since, mode, silent, flags: flags.clone() };
        let command = Command::Store { uid, store };
        let kind = StepKind::Store { target: Target::Asked, mode, flags, silent: false };
        let outgoing = write(&kind, &command, &Context::default(), "P1").unwrap();
        prop_assert!(is_one_command(&outgoing));
        prop_assert_eq!(reread(&joined(&outgoing)), format!("{command:?}"));
        prop_assert_eq!(reread(&codec(&joined(&outgoing))), format!("{command:?}"));
    }

    #[test]
    fn folders_mean_the_same_to_both(uid: bool, set in sets(), folder in folders(), other in folders()) {
        let (from, to) = (folder.to_wire(), other.to_wire());
        let context = Context { folder: Some(from.as_bytes()), new_folder: Some(&other), ..Context::default() };
        let copy = |to| Command::Copy { uid, set: set.clone(), to };
        let rename = Command::Rename { from: Ok(folder.clone()), to: Ok(other.clone()) };
        let open = Command::Select(Open::plain(Ok(folder.clone())));
        let create = Command::Create { folder: Ok(other.clone()), special_use: false };
        for (kind, command) in [
            (StepKind::Copy, copy(Ok(folder.clone()))),
            (StepKind::Carry, rename),
            (StepKind::Open { read_only: false }, open),
            (StepKind::DeleteFolder, Command::Delete(Ok(folder.clone()))),
            (StepKind::Carry, create),
        ] {
            let outgoing = write(&kind, &command, &context, "P1").unwrap();
            prop_assert!(is_one_command(&outgoing), "{}", text(&outgoing));
            prop_assert_eq!(reread(&joined(&outgoing)), format!("{command:?}"));
            prop_assert_eq!(reread(&codec(&joined(&outgoing))), format!("{command:?}"));
        }
        prop_assert_eq!(to, other.to_wire());
    }

    /// Whatever octets an upstream calls its folders, an admin its accounts, or a client its
    /// search words: one command or none.
    #[test]
    fn any_octets_stay_one_command(
        octets in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\r\n\0\"\\{}5+ ".to_vec())], 0..40),
        user in "\\PC{0,12}|[\r\n\0\"a]{0,5}",
        size: u64,
    ) {
        let folder = octets.as_slice();
        let secret = Secret::new(folder);
        let context = Context { folder: Some(folder), selected: Some(folder), ..Context::default() };
        let key = SearchKey::Header { name: user.clone(), value: folder.to_vec() };
        let search = Search { ret: None, charset: None, keys: vec![SearchKey::Before(user.clone()), key.clone()] };
        let safe = Search { ret: None, charset: None, keys: vec![key] };
        let header = FetchItem::Section(crate::imap::command::Section {
            peek: false,
            part: vec![1],
            text: crate::imap::command::SectionText::HeaderFields(vec![user.clone(), "Date".to_owned()]),
            partial: None,
        });
        let set = parsed("UID EXPUNGE 1:*");
        let Command::UidExpunge(set) = set else { panic!() };
        let fetch = Fetch { set, items: vec![header], changed_since: None, vanished: false };
        let append = Append { folder: Ok(FolderName::inbox()), flags: Flags::default(), date: Some(user.clone()), size, synchronising: false };
        let written = [
            write(&StepKind::Carry, &Command::Search { uid: false, search }, &context, "P1"),
            write(&StepKind::Carry, &Command::Search { uid: false, search: safe }, &context, "P1"),
            write(&StepKind::Fetch { peek: true, marks: false }, &Command::Fetch { uid: true, fetch }, &context, "P1"),
            write(&StepKind::DeleteFolder, &parsed("DELETE x"), &context, "P1"),
            write(&StepKind::Carry, &parsed("STATUS x (MESSAGES)"), &context, "P1"),
            write(&StepKind::Copy, &parsed("COPY 1 x"), &context, "P1"),
            write(&StepKind::Unselect, &parsed("CLOSE"), &context, "P1"),
            housekeeping(&Housekeeping::Login { user: &user, password: &secret }, "P1"),
            housekeeping(&Housekeeping::AuthenticatePlain { authzid: &user, authcid: "x", password: &secret, initial: true }, "P1"),
            housekeeping(&Housekeeping::Examine { folder, condstore: true }, "P1"),
            housekeeping(&Housekeeping::Noop, &user),
        ];
        for outgoing in written.into_iter().flatten() {
            prop_assert!(is_one_command(&outgoing), "{}", text(&outgoing));
        }
        // The date goes between quotes of ours: what would leave them must not be sent.
        if let Some(mut outgoing) = write(&StepKind::Append { flags: Flags::default() }, &Command::Append(append), &context, "P1") {
            let mut last = outgoing.parts.pop().unwrap();
            let announcement = format!("{{{size}}}\r\n");
            prop_assert!(last.ends_with(announcement.as_bytes()));
            last.truncate(last.len() - announcement.len());
            last.extend_from_slice(b"\r\n");
            outgoing.parts.push(last);
            prop_assert!(is_one_command(&outgoing), "{}", text(&outgoing));
        }
    }
}

#[test]
fn only_copies_of_ones_own_making_are_taken_back() {
    let kind = |uids| StepKind::TakeBack { validity: UidValidity(9), uids };
    let commands = write_take_back(&kind(uids()), b"Sent", ["P1", "P2", "P3"]).unwrap();
    let lines: Vec<_> =
        commands.iter().map(|outgoing| String::from_utf8(outgoing.parts.concat()).unwrap()).collect();
    assert_eq!(
        lines,
        [
            "P1 SELECT \"Sent\"\r\n",
            "P2 UID STORE 5:6,9 +FLAGS.SILENT (\\Deleted)\r\n",
            "P3 UID EXPUNGE 5:6,9\r\n"
        ]
    );
    assert!(write_take_back(&kind(UidSet::new()), b"Sent", ["P1", "P2", "P3"]).is_none());
    assert!(write_take_back(&StepKind::Remove(uids()), b"Sent", ["P1", "P2", "P3"]).is_none());
}
