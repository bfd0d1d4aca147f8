use super::{AppendHead, BadKind, MAX_DEPTH, MAX_KEYS, append_head, command, looks_like_http};
use crate::imap::command::{Command, FetchItem, SearchKey, StatusItem};
use crate::imap::frame::Announced;
use crate::types::NotCanonical;
use proptest::prelude::*;

fn parse(line: &str) -> Result<Command, BadKind> {
    let line = format!("a1 {line}\r\n");
    let parsed = command(line.as_bytes(), Some('/'));
    match parsed {
        Ok(tagged) => {
            assert_eq!(tagged.tag.as_str(), "a1");
            Ok(tagged.command)
        }
        Err(bad) => {
            assert_eq!(bad.tag.expect("the tag is known").as_str(), "a1");
            Err(bad.kind)
        }
    }
}

/// What the grammar takes, with words that its value prints.
#[test]
fn good_commands() {
    for (line, words) in [
        ("CAPABILITY", "Capability"),
        ("noop", "Noop"),
        ("LogOut", "Logout"),
        ("CHECK", "Check"),
        ("CLOSE", "Close"),
        ("UNSELECT", "Unselect"),
        ("EXPUNGE", "Expunge"),
        ("IDLE", "Idle"),
        ("NAMESPACE", "Namespace"),
        ("ID NIL", "Id { client: None }"),
        ("ID ()", "Id { client: None }"),
        ("ID (\"name\" \"Thunderbird\" \"version\" \"153.7\")", "Some(\"Thunderbird 153.7\")"),
        ("ID (\"NAME\" \"x\" \"support-url\" NIL)", "Some(\"x\")"),
        ("LOGIN alice secret", "Login { user: \"alice\", password: Secret(..) }"),
        ("LOGIN \"alice@example.org/support\" \"se\\\"c\\\\ret\"", "alice@example.org/support"),
        ("LOGIN {5}\r\nalice {3+}\r\nx\"y", "user: \"alice\""),
        ("LOGIN alice pass]word", "Login"),
        ("LOGIN alice \"pässword\"", "Login"),
        ("LOGIN alice \"\"", "Login"),
        ("AUTHENTICATE PLAIN", "mechanism: \"PLAIN\", initial: None"),
        ("authenticate plain AGFsaWNlAHNlY3JldA==", "initial: Some(Secret(..))"),
        ("AUTHENTICATE EXTERNAL =", "mechanism: \"EXTERNAL\", initial: Some"),
        ("AUTHENTICATE SCRAM-SHA-256", "SCRAM-SHA-256"),
        ("ENABLE CONDSTORE utf8=accept", "[\"CONDSTORE\", \"UTF8=ACCEPT\"]"),
        ("SELECT INBOX", "FolderName(\"INBOX\")"),
        ("SELECT \"Drafts\"", "FolderName(\"Drafts\")"),
        ("SELECT iNbOx/x", "INBOX/x"),
        ("SELECT {5}\r\ninbox", "FolderName(\"INBOX\")"),
        ("SELECT \"Gr&APYA3w-e &- Ma&AN8-e\"", "Größe & Maße"),
        ("select inbox (condstore)", "condstore: true"),
        ("SELECT x (QRESYNC (7 90))", "known: None, matched: None"),
        ("EXAMINE x (qresync (7 90 1:5,9 (1,3 2:5)) CONDSTORE)", "condstore: true, resync: Some"),
        ("SELECT x (QRESYNC (7 90 (1 2)))", "known: None, matched: Some"),
        ("EXAMINE a", "Examine(Open"),
        ("CREATE a/b", "folder: Ok(FolderName(\"a/b\")), special_use: false"),
        ("CREATE a/", "folder: Ok(FolderName(\"a\"))"),
        ("CREATE a (USE (\\Drafts))", "special_use: true"),
        ("DELETE a", "Delete"),
        ("RENAME a \"b c\"", "to: Ok(FolderName(\"b c\"))"),
        ("SUBSCRIBE a", "Subscribe"),
        ("UNSUBSCRIBE a", "Unsubscribe"),
        ("STATUS a (MESSAGES uidnext UNSEEN MESSAGES)", "[Messages, UidNext, Unseen]"),
        ("STATUS a (APPENDLIMIT SIZE HIGHESTMODSEQ)", "AppendLimit"),
        ("MYRIGHTS INBOX", "MyRights"),
        ("GETACL a", "GetAcl"),
        ("LISTRIGHTS a bob", "ListRights"),
        ("SETACL a bob +lr", "SetAcl"),
        ("DELETEACL a bob", "DeleteAcl"),
        ("UID EXPUNGE 1:*", "UidExpunge"),
        ("UID EXPUNGE $", "UidExpunge(NumberSet([]))"),
        ("COPY $ x", "set: NumberSet([])"),
        ("COPY 1,3:5 \"Archive/2026\"", "uid: false"),
        ("uid move 5 Trash", "Move { uid: true"),
    ] {
        let printed = format!("{:?}", parse(line).unwrap_or_else(|kind| panic!("{line}: {kind:?}")));
        assert!(printed.contains(words), "{line}: {printed}");
        assert!(!printed.contains("secret"), "{line}: {printed}");
    }
}

#[test]
fn good_stores() {
    for (line, words) in [
        ("STORE 1 +FLAGS (\\Seen)", "mode: Add, silent: false"),
        ("uid store 35 +Flags (\\Seen \\Deleted)", "Store { uid: true"),
        ("STORE 1 +FLAGS \\Seen", "mode: Add"),
        ("STORE 1 FLAGS \\Seen $Label1", "mode: Replace"),
        ("STORE *:* -FLAGS.SILENT (\\SEEN)", "mode: Remove, silent: true"),
        ("STORE 1 FLAGS ()", "mode: Replace"),
        ("UID STORE 1 (UNCHANGEDSINCE 12345) +FLAGS.SILENT (\\Seen)", "unchanged_since: Some(12345)"),
        ("STORE 1 (UNCHANGEDSINCE 0) FLAGS (\\Seen)", "unchanged_since: Some(0)"),
    ] {
        let printed = format!("{:?}", parse(line).unwrap_or_else(|kind| panic!("{line}: {kind:?}")));
        assert!(printed.contains(words), "{line}: {printed}");
    }
}

/// Each is tagged BAD; what hosts were seen to run as something else among them.
#[test]
fn bad_commands() {
    for line in [
        "",
        " NOOP",
        "NOOP ",
        "NOOP x",
        "NOOP a b",
        // imap-codec reads a leading zero.
        "STORE 01 FLAGS ()",
        "UID COPY 1:2,03 x",
        "NOOP {5+}\r\nb NOO",
        "CAPABILITY ",
        "CAPABILITY {5+}\r\nb NOO",
        "NAMESPACE {5+}\r\nb NOO",
        "CHECK {5+}\r\nb NOO",
        "IDLE {5+}\r\nb NOO",
        "EXPUNGE {5+}\r\nb NOO",
        "EXPUNGE 1:5",
        "CLOSE {5+}\r\nb NOO",
        "UNSELECT {5+}\r\nb NOO",
        "ENABLE",
        "ENABLE ",
        "ENABLE {5+}\r\nb NOO",
        "ENABLE CONDSTORE ",
        "ENABLE  CONDSTORE",
        "SELECT",
        "SELECT ",
        "SELECT  INBOX",
        "SELECT INBOX ",
        "SELECT INBOX x",
        "SELECT x (CONDSTORE) y",
        "SELECT x (CONDSTORE CONDSTORE)",
        "SELECT x (QRESYNC)",
        "SELECT x (QRESYNC (1))",
        "SELECT x (QRESYNC (0 2))",
        "SELECT x (QRESYNC (1 0))",
        "SELECT x (QRESYNC (1 2 *))",
        "SELECT x (QRESYNC (1 2 $))",
        "SELECT x (QRESYNC (1 2 1:3 4))",
        "SELECT x (QRESYNC (1 2 (1:3)))",
        "SELECT x (QRESYNC (1 2 (1:3 4:6) 1:6))",
        "SELECT x (QRESYNC (1 2)) y",
        "SELECT x (QRESYNC (1 2) QRESYNC (1 2))",
        "SELECT x ()",
        "SELECT x ()",
        "SELECT \"\\S\\e\\cret\"",
        "SELECT x%",
        "SELECT *",
        "SELECT {7+}\r\nSecret\0",
        "SELECT caf\u{e9}",
        "SELECT ~{5}\r\nhello",
        "EXAMINE",
        "CREATE",
        "CREATE a b",
        "CREATE a (USE)",
        "CREATE a (FOO (\\x))",
        "CREATE a (USE (\\Drafts)) x",
        "DELETE a b",
        "RENAME a",
        "RENAME a b c",
        "STATUS a",
        "STATUS a ()",
        "STATUS a (X-GUID)",
        "STATUS a (DELETED)",
        "STATUS a (MESSAGES) junk",
        "STATUS Drafts (MESSAGES) {5+}\r\nb NOO",
        "STATUS a (MESSAGES  UNSEEN)",
        "STATUS a (MESSAGES )",
        "STORE 1 FLAGS",
        "STORE 1 FLAGS ",
        "STORE 1 +FLAGS (\\Recent)",
        "STORE 1 +FLAGS (\\*)",
        "STORE 1 +FLAGS (\\Foo)",
        "STORE 1 +FLAGS (\"kw\")",
        "STORE 1 +FLAGS (k\u{e9})",
        "STORE 1 +FLAGS (k])",
        "STORE 1 +FLAGS (\\Seen) x",
        "STORE 1 +FLAGS (\\Seen",
        "STORE 1 +FLAGS (\\Seen) {5+}\r\nb NOO",
        "STORE 1 +FLAGS ({3}\r\nfoo)",
        "STORE 1 X-GM-LABELS (a)",
        "STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 2) FLAGS (\\Seen)",
        "STORE 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS (\\Seen)",
        "STORE 0 +FLAGS (\\Seen)",
        "STORE 4294967296 +FLAGS (\\Seen)",
        "STORE 1: +FLAGS (\\Seen)",
        "STORE 1,,2 +FLAGS (\\Seen)",
        "STORE $,1 +FLAGS (\\Seen)",
        "STORE 1:$ +FLAGS (\\Seen)",
        "STORE {1}\r\n1 +FLAGS (\\Seen)",
        "COPY 1",
        "COPY 0 x",
        "MOVE 1 x y",
        "UID",
        "UID ",
        "UID  FETCH 1 UID",
        "UID EXPUNGE",
        "UID EXPUNGE 1 2",
        "LOGIN",
        "LOGIN a",
        "LOGIN a b c",
        "LOGIN  a b",
        "LOGIN a ",
        "LOGIN (a) b",
        "LOGIN \"a\u{1}\" b",
        "LOGIN {3}\r\na\0b b",
        "LOGIN a {9}\r\nb",
        "AUTHENTICATE",
        "AUTHENTICATE PLAIN ",
        "AUTHENTICATE PLAIN !!!!",
        "AUTHENTICATE PLAIN AGFs=",
        "AUTHENTICATE PLAIN AGFs AGFs",
        "AUTHENTICATE \"PLAIN\"",
        "ID",
        "ID (\"name\")",
        "ID (\"name\" \"x\" )",
        "ID (name \"x\")",
        "MYRIGHTS",
        "SETACL a b",
        "LISTRIGHTS a",
        "APPEND a",
        "APPEND a {3}\r\nabc",
        "IDLE x",
        "LOGOUT now",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}

#[test]
fn unknown_verbs_are_told_apart() {
    for line in [
        "XYZZY",
        "XYZZY {5+}\r\nb NOO",
        "XLIST \"\" *",
        "STARTTLS",
        "COMPRESS DEFLATE",
        "SETQUOTA x (STORAGE 1)",
        "ESORT (DATE) UTF-8 ALL",
        "UID NOOP",
        "NOTIFY SET STATUS (personal)",
        "GETMETADATA x /private/specialuse",
        "SETMETADATA x (/private/specialuse \\Drafts)",
        "GENURLAUTH x INTERNAL",
        "REPLACE 1 x {5}\r\nhello",
        "LOCALDELETE x",
        "UNAUTHENTICATE",
        "ESEARCH IN (personal) ALL",
        "NOOPx",
    ] {
        assert_eq!(parse(line).err(), Some(BadKind::Unknown), "{line}");
    }
}

#[test]
fn a_tag_is_recovered_or_not() {
    for (line, tag) in [
        ("a NOOP x\r\n", Some("a")),
        ("a XYZZY\r\n", Some("a")),
        ("A1.b-c] NOOP x\r\n", Some("A1.b-c]")),
        ("a\r\n", None),
        ("\r\n", None),
        (" NOOP\r\n", None),
        ("* NOOP\r\n", None),
        ("+ NOOP\r\n", None),
        ("a+b NOOP\r\n", None),
        ("t\u{e4}g NOOP\r\n", None),
        ("\"a\" NOOP\r\n", None),
        ("{1}\r\na NOOP\r\n", None),
    ] {
        let bad = command(line.as_bytes(), Some('/')).expect_err(line);
        assert_eq!(bad.tag.as_ref().map(|tag| tag.as_str()), tag, "{line}");
    }
    let long = format!("{} NOOP\r\n", "x".repeat(65));
    assert_eq!(command(long.as_bytes(), None).unwrap_err().tag, None);
    assert!(command(&long.as_bytes()[1..], None).is_ok());
}

/// An alias is not a syntax error: such a folder does not exist.
#[test]
fn aliases_of_folders_are_known() {
    for name in [
        "caf&AOl-",
        "cafe&AwE-",
        "INBOX/",
        "INBOX//",
        "/INBOX",
        "Secret/",
        "/Secret",
        "Secret//Sub",
        "\"&AFM-ecret\"",
        "\"\"",
        "\"a\tb\"",
        "{8}\r\na\r\nb NOO",
        "{3}\r\ncaf",
    ] {
        let parsed = parse(&format!("DELETE {name}"));
        let Ok(Command::Delete(folder)) = parsed else { panic!("{name}: {parsed:?}") };
        assert_eq!(folder.is_ok(), name.ends_with("caf"), "{name}");
        let Ok(Command::MyRights(folder)) = parse(&format!("MYRIGHTS {name}")) else { panic!("{name}") };
        assert_eq!(folder.is_ok(), name.ends_with("caf"), "{name}");
    }
    let Ok(Command::Create { folder, .. }) = parse("CREATE a//") else { panic!() };
    assert_eq!(folder, Err(NotCanonical));
}

#[test]
fn lists() {
    for (line, words) in [
        ("LIST \"\" \"\"", "patterns: [[]]"),
        ("LIST \"\" *", "patterns: [[42]]"),
        ("LSUB \"\" *", "pattern: [42]"),
        ("LSUB \"\" \"*\"", "pattern: [42]"),
        ("LIST \"\" \"*\"", "extended: false"),
        ("LIST {0}\r\n {1}\r\n%", "patterns: [[37]]"),
        ("list (subscribed) \"\" \"*\" return (special-use)", "extended: true"),
        ("LIST (SPECIAL-USE) \"\" \"*\" RETURN (SUBSCRIBED)", "special_use: true"),
        ("LIST () \"\" (a \"b\" %)", "patterns: [[97], [98], [37]]"),
        ("LIST (SUBSCRIBED RECURSIVEMATCH) \"\" *", "recursive_match: true"),
        (
            "LIST \"\" \"*\" RETURN (CHILDREN SUBSCRIBED STATUS (MESSAGES UNSEEN) SPECIAL-USE)",
            "status: [Messages, Unseen]",
        ),
        ("LIST \"\" * RETURN ()", "extended: true"),
    ] {
        let printed = format!("{:?}", parse(line).unwrap_or_else(|kind| panic!("{line}: {kind:?}")));
        assert!(printed.contains(words), "{line}: {printed}");
    }
    for line in [
        "LIST",
        "LIST \"\"",
        "LIST \"\" ",
        "LIST \"\" * ",
        "LIST \"\" * x",
        "LIST \"\" * RETURN",
        "LIST \"\" * RETURN (MYRIGHTS)",
        "LIST \"\" * RETURN (METADATA (/x))",
        "LIST \"\" * RETURN (STATUS)",
        "LIST \"\" * RETURN (STATUS ())",
        "LIST \"\" * RETURN (STATUS (X-GUID))",
        "LIST (RECURSIVEMATCH) \"\" *",
        "LIST (RECURSIVEMATCH REMOTE) \"\" *",
        "LIST (FOO) \"\" *",
        "LIST \"\" ()",
        "LSUB \"\"",
        "LSUB (SUBSCRIBED) \"\" *",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
    let patterns = |count: usize| format!("LIST \"\" ({})", vec!["a"; count].join(" "));
    assert!(parse(&patterns(32)).is_ok());
    assert!(parse(&patterns(33)).is_err());
    // All of them together, each with the reference: a core must not be busy with one LIST.
    assert!(parse(&format!("LIST \"\" {}", "*a".repeat(1_024))).is_ok());
    assert!(parse(&format!("LIST a {}", "*a".repeat(1_024))).is_err());
    assert!(parse(&format!("LIST {} ({})", "a".repeat(100), vec!["*"; 32].join(" "))).is_err());
    assert!(parse(&format!("LSUB a {}", "*a".repeat(1_024))).is_err());
}

#[test]
fn fetches() {
    for (line, words) in [
        ("FETCH 1 ALL", "[Flags, InternalDate, Rfc822Size, Envelope]"),
        ("FETCH 1 fast", "[Flags, InternalDate, Rfc822Size]"),
        ("FETCH 1 FULL", "[Flags, InternalDate, Rfc822Size, Envelope, Body]"),
        ("FETCH 1 UID", "[Uid]"),
        ("uid fetch 1:* (FLAGS)", "Fetch { uid: true"),
        ("FETCH 1 BODY[]", "peek: false, part: [], text: Whole, partial: None"),
        ("FETCH 1 (BODY.PEEK[1.2.TEXT])", "peek: true, part: [1, 2], text: Text"),
        ("FETCH 1 (BODY[1.MIME])", "text: Mime"),
        ("FETCH 1 BODY[TEXT]<0.4>", "partial: Some((0, 4))"),
        (
            "FETCH 1 (BODY.PEEK[HEADER.FIELDS (Date {4}\r\nFrom \"X-A\")])",
            "HeaderFields([\"Date\", \"From\", \"X-A\"])",
        ),
        ("FETCH 1 BODY.PEEK[2.HEADER.FIELDS.NOT (X)]", "HeaderFieldsNot([\"X\"])"),
        (
            "FETCH 1 (RFC822 RFC822.SIZE RFC822.HEADER RFC822.TEXT)",
            "[Rfc822, Rfc822Size, Rfc822Header, Rfc822Text]",
        ),
        ("UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 12)", "changed_since: Some(12)"),
        ("FETCH 1 (MODSEQ BODYSTRUCTURE BODY ENVELOPE INTERNALDATE)", "[ModSeq, BodyStructure, Body"),
    ] {
        let printed = format!("{:?}", parse(line).unwrap_or_else(|kind| panic!("{line}: {kind:?}")));
        assert!(printed.contains(words), "{line}: {printed}");
    }
    for line in [
        "FETCH",
        "FETCH 1",
        "FETCH 1 ",
        "FETCH 1 ()",
        "FETCH 1 (ALL)",
        "FETCH 1 (UID UID",
        "FETCH 1 UID FLAGS",
        "FETCH 1 (UID  FLAGS)",
        "FETCH 1 (UID) ",
        "FETCH 1 X-GUID",
        "FETCH 1 (X-MAILBOX)",
        "FETCH 1 (X-GM-LABELS)",
        "FETCH 1 BINARY[1]",
        "FETCH 1 BINARY.PEEK[1]",
        "FETCH 1 PREVIEW",
        "FETCH 1 EMAILID",
        "FETCH 1 BODY.PEEK",
        "FETCH 1 BODY[",
        "FETCH 1 BODY[0]",
        "FETCH 1 BODY[01]",
        "FETCH 1 BODY[1.]",
        "FETCH 1 BODY[1HEADER]",
        "FETCH 1 BODY[.1]",
        "FETCH 1 BODY[MIME]",
        "FETCH 1 BODY[HEADER.FIELDS]",
        "FETCH 1 BODY[HEADER.FIELDS ()]",
        "FETCH 1 BODY[HEADER.FIELDS (A:B)]",
        "FETCH 1 BODY[HEADER.FIELDS ({4}\r\nA\r\nB)]",
        "FETCH 1 BODY[HEADER.FIELDS (\"A B\")]",
        "FETCH 1 BODY[]<0>",
        "FETCH 1 BODY[]<0.0>",
        "FETCH 1 BODY[]<-1.4>",
        "FETCH 1 BODY[]<0.4",
        "FETCH 1 (UID) (CHANGEDSINCE 0)",
        "FETCH 1 (UID) (CHANGEDSINCE 1 VANISHED)",
        "FETCH 1 (UID) (VANISHED)",
        "UID FETCH 1 (UID) (VANISHED)",
        "UID FETCH 1 (UID) (VANISHED CHANGEDSINCE 1 VANISHED)",
        "UID FETCH 1 (UID) (CHANGEDSINCE 1 CHANGEDSINCE 2)",
        "FETCH 1 (UID) (PARTIAL -1:-30)",
        "FETCH 01 UID",
        "FETCH 0 UID",
        "FETCH 1:4294967296 UID",
        "FETCH 1,$ UID",
        "FETCH {1}\r\n1 UID",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
    let Ok(Command::Fetch { fetch, .. }) = parse("FETCH 1 (RFC822 BODY.PEEK[] BODY[] RFC822.HEADER BODY)")
    else {
        panic!()
    };
    assert_eq!(
        fetch.items.iter().map(FetchItem::marks_seen).collect::<Vec<_>>(),
        [true, false, true, false, false]
    );
}

#[test]
fn fetch_limits() {
    let fetch = |items: String| parse(&format!("FETCH 1 {items}")).is_ok();
    assert!(fetch(format!("({})", vec!["UID"; 100].join(" "))));
    assert!(!fetch(format!("({})", vec!["UID"; 101].join(" "))));
    assert!(fetch(format!("BODY[{}]", vec!["1"; 32].join("."))));
    assert!(!fetch(format!("BODY[{}]", vec!["1"; 33].join("."))));
    assert!(fetch(format!("BODY[HEADER.FIELDS ({})]", vec!["X"; 200].join(" "))));
    assert!(!fetch(format!("BODY[HEADER.FIELDS ({})]", vec!["X"; 201].join(" "))));
    let set = |count: usize| parse(&format!("FETCH {} UID", vec!["1"; count].join(","))).is_ok();
    assert!(set(4_096));
    assert!(!set(4_097), "sets are at most 8 KiB");
    let flags = |count: usize| parse(&format!("STORE 1 FLAGS ({})", vec!["k"; count].join(" "))).is_ok();
    assert!(flags(64));
    assert!(!flags(65));
}

#[test]
fn sorts_threads_and_quotas() {
    for (line, words) in [
        ("SORT (DATE) UTF-8 ALL", "SortKey { reverse: false, by: Date }"),
        (
            "UID SORT (REVERSE ARRIVAL subject) us-ascii UNSEEN",
            "reverse: true, by: Arrival }, SortKey { reverse: false",
        ),
        ("SORT (REVERSE DISPLAYFROM) UTF-8 SUBJECT \"gr\u{fc}n\"", "DisplayFrom"),
        ("THREAD REFERENCES UTF-8 SINCE 1-Feb-2026", "by: References"),
        ("UID THREAD orderedsubject US-ASCII ALL", "OrderedSubject"),
        ("THREAD REFS UTF-8 ALL", "Refs"),
        ("GETQUOTA \"\"", "root: []"),
        ("GETQUOTA support@example.org", "GetQuota"),
        ("GETQUOTAROOT INBOX", "GetQuotaRoot(Ok("),
    ] {
        let printed = format!("{:?}", parse(line).unwrap_or_else(|kind| panic!("{line}: {kind:?}")));
        assert!(printed.contains(words), "{line}: {printed}");
    }
    for line in [
        "SORT",
        "SORT () UTF-8 ALL",
        "SORT DATE UTF-8 ALL",
        "SORT (DATE)",
        "SORT (DATE) UTF-8",
        "SORT (DATE) ALL",
        "SORT (REVERSE) UTF-8 ALL",
        "SORT (REVERSE REVERSE DATE) UTF-8 ALL",
        "SORT (X-SCORE) UTF-8 ALL",
        "SORT (CC CC CC CC CC CC CC CC CC CC) UTF-8 ALL",
        "SORT RETURN (COUNT) (DATE) UTF-8 ALL",
        "SORT (DATE) US-ASCII SUBJECT \"gr\u{fc}n\"",
        "SORT (DATE) UTF-8 X-MAILBOX y",
        "THREAD UTF-8 ALL",
        "THREAD X UTF-8 ALL",
        "THREAD REFERENCES ALL",
        "THREAD REFERENCES UTF-8 ALL x",
        "GETQUOTA",
        "GETQUOTA a b",
        "GETQUOTAROOT",
        "GETQUOTAROOT INBOX x",
    ] {
        assert!(matches!(parse(line).err(), Some(BadKind::Syntax | BadKind::Charset { .. })), "{line}");
    }
}

#[test]
fn searches() {
    for (line, words) in [
        ("SEARCH ALL", "keys: [All]"),
        ("uid search unseen", "keys: [Unseen]"),
        ("SEARCH RETURN (MIN MAX ALL COUNT) 1:*", "all: true, count: true"),
        ("SEARCH RETURN () ALL", "ret: Some"),
        ("SEARCH CHARSET utf-8 SUBJECT {6}\r\ngr\u{fc}n!", "charset: Some(\"UTF-8\")"),
        ("SEARCH RETURN (ALL) CHARSET US-ASCII SEEN", "charset: Some(\"US-ASCII\")"),
        ("SEARCH SUBJECT \"gr\u{fc}n\"", "Subject("),
        ("SEARCH HEADER Message-ID \"<a@b>\"", "Header { name: \"Message-ID\""),
        ("SEARCH HEADER Subject \"\"", "value: []"),
        ("SEARCH UID 1:5 NOT DELETED", "Not(Deleted)"),
        ("SEARCH OR SEEN (FLAGGED TO x)", "Or(Seen, And([Flagged, To([120])]))"),
        ("SEARCH 2,4:7 SINCE 1-Feb-2026", "Since(\"1-Feb-2026\")"),
        ("SEARCH ON \"01-feb-2026\"", "On(\"1-Feb-2026\")"),
        ("SEARCH SENTSINCE 29-Feb-2028 LARGER 0", "Larger(0)"),
        ("SEARCH KEYWORD $Label1 UNKEYWORD x", "Unkeyword"),
        ("SEARCH OLDER 10 YOUNGER 5", "Younger(5)"),
        ("SEARCH MODSEQ 0", "ModSeq(0)"),
        ("UID SEARCH CHARSET UTF-8 UNDELETED (OR BODY {3}\r\nabc FROM {3}\r\nabc)", "Undeleted"),
    ] {
        let printed = format!("{:?}", parse(line).unwrap_or_else(|kind| panic!("{line}: {kind:?}")));
        assert!(printed.contains(words), "{line}: {printed}");
    }
    for line in [
        "SEARCH",
        "SEARCH ",
        "SEARCH ALL ",
        "SEARCH  ALL",
        "SEARCH ()",
        "SEARCH (ALL",
        "SEARCH ALL)",
        "SEARCH NOT",
        "SEARCH OR SEEN",
        "SEARCH $,1",
        "SEARCH RETURN (CONTEXT) ALL",
        "SEARCH RETURN (PARTIAL 1:5) ALL",
        "SEARCH RETURN (ALL)",
        "SEARCH FUZZY SUBJECT x",
        "SEARCH X-GM-RAW x",
        "SEARCH X-MAILBOX x",
        "SEARCH INTHREAD x",
        "SEARCH FILTER x",
        "SEARCH EMAILID x",
        "SEARCH MODSEQ \"/flags/\\\\draft\" all 620162338",
        "SEARCH MODSEQ 9223372036854775808",
        "SEARCH KEYWORD \"x\"",
        "SEARCH KEYWORD {3}\r\nfoo",
        "SEARCH KEYWORD \\Seen",
        "SEARCH SUBJECT",
        "SEARCH SUBJECT {4}\r\na\r\nb",
        "SEARCH HEADER \"a b\" x",
        "SEARCH HEADER a:b x",
        "SEARCH HEADER \"\" x",
        "SEARCH CHARSET US-ASCII SUBJECT \"gr\u{fc}n\"",
        "SEARCH ON 0-Feb-2026",
        "SEARCH ON 29-Feb-2026",
        "SEARCH ON 31-Apr-2026",
        "SEARCH ON 1-Foo-2026",
        "SEARCH ON 1-Feb-26",
        "SEARCH ON \"1-Feb-2026",
        "SEARCH LARGER -1",
        "SEARCH LARGER 4294967296",
        "SEARCH LARGER 01",
        "SEARCH OLDER 0",
        "SEARCH UID $:5",
        "SEARCH 0",
    ] {
        assert_eq!(parse(line).err(), Some(BadKind::Syntax), "{line}");
    }
    let latin1 = command(b"a SEARCH SUBJECT {3}\r\ngr\xfc\r\n", None);
    assert_eq!(latin1.unwrap_err().kind, BadKind::Syntax);
    for charset in ["ISO-8859-1", "\"utf8\"", "{5}\r\nUTF-7"] {
        assert_eq!(
            parse(&format!("SEARCH CHARSET {charset} ALL")).err(),
            Some(BadKind::Charset { saves: false })
        );
    }
}

#[test]
fn search_limits() {
    let nested = |depth: usize| parse(&format!("SEARCH {}ALL", "NOT ".repeat(depth - 1))).is_ok();
    assert!(nested(MAX_DEPTH));
    assert!(!nested(MAX_DEPTH + 1));
    let groups =
        |depth: usize| parse(&format!("SEARCH {}ALL{}", "(".repeat(depth - 1), ")".repeat(depth - 1)));
    assert!(groups(MAX_DEPTH).is_ok());
    assert!(groups(10_000).is_err());
    let keys = |count: usize| parse(&format!("SEARCH {}", vec!["ALL"; count].join(" "))).is_ok();
    assert!(keys(MAX_KEYS));
    assert!(!keys(MAX_KEYS + 1));
}

/// What [`append_head`] makes of an unfinished line.
fn head(line: &str) -> String {
    let line = format!("a1 {line}\r\n");
    let end = line.rfind('{').expect("an announcement");
    let inner = line[end + 1..].trim_end_matches("}\r\n");
    let size = inner.trim_end_matches('+').parse().expect("a size");
    let announced = Announced { size, synchronising: !inner.ends_with('+') };
    match append_head(line.as_bytes(), announced, Some('/')) {
        AppendHead::Message(tagged) => format!("{:?}", tagged.command),
        AppendHead::Argument => "argument".to_owned(),
        AppendHead::Bad(_) => "bad".to_owned(),
    }
}

#[test]
fn append_heads() {
    for (line, words) in [
        (
            "APPEND Drafts {5}",
            "flags: Flags { system: 0, keywords: [] }, date: None, size: 5, synchronising: true",
        ),
        ("append \"Sent\" (\\Seen) {5+}", "size: 5, synchronising: false"),
        ("APPEND Sent () {5}", "FolderName(\"Sent\")"),
        ("APPEND Sent (\\Seen $Forwarded) \"21-Nov-2026 19:33:53 +0000\" {5}", "21-Nov-2026 19:33:53 +0000"),
        ("APPEND Sent \" 1-nov-2026 19:33:53 -0130\" {5}", "01-Nov-2026 19:33:53 -0130"),
        ("APPEND {4}\r\nSent (\\Seen) {5}", "FolderName(\"Sent\")"),
        ("APPEND INBOX/ {5}", "Err(NotCanonical)"),
        ("APPEND {4}", "argument"),
        ("APPEND {4+}", "argument"),
        ("LOGIN {5}", "argument"),
        ("SEARCH SUBJECT {5}", "argument"),
        ("NOOP {5+}", "argument"),
        ("XYZZY {5+}", "argument"),
        ("APPEND  {5}", "bad"),
        ("APPEND Drafts \"bad date\" {5+}", "bad"),
        ("APPEND Drafts \"32-Jan-2026 00:00:00 +0000\" {5+}", "bad"),
        ("APPEND Drafts \"01-Jan-2026 24:00:00 +0000\" {5+}", "bad"),
        ("APPEND Drafts \"01-Jan-2026 00:60:00 +0000\" {5+}", "bad"),
        ("APPEND Drafts \"01-Jan-2026 00:00:60 +0000\" {5+}", "bad"),
        ("APPEND Drafts \"01-Jan-2026 00:00:00 0000\" {5+}", "bad"),
        ("APPEND Drafts \"01-Jan-2026 00:00:00 +2400\" {5+}", "bad"),
        ("APPEND Drafts \"1-Jan-2026 00:00:00 +0000\" {5+}", "bad"),
        ("APPEND Drafts (\\Recent) {5+}", "bad"),
        ("APPEND Drafts (\\Foo) {5+}", "bad"),
        ("APPEND Drafts (\\*) {5+}", "bad"),
        ("APPEND Drafts (\"kw\") {5+}", "bad"),
        ("APPEND Drafts (k\u{e9}) {5+}", "bad"),
        ("APPEND Drafts (\\Seen  \\Draft) {5+}", "bad"),
        ("APPEND Drafts \\Seen {5+}", "bad"),
        ("APPEND Drafts (\\Seen) ({5+}", "bad"),
        ("APPEND Drafts CATENATE (TEXT {5+}", "bad"),
        ("APPEND Drafts UTF8 ({5+}", "bad"),
        ("APPEND Drafts ({5+}", "bad"),
        ("APPEND Drafts  {5+}", "bad"),
        ("APPEND Drafts{5+}", "bad"),
        ("APPEND \"\\S\" {5+}", "bad"),
    ] {
        let made = head(line);
        assert!(made.contains(words), "{line}: {made}");
    }
}

#[test]
fn status_items_keep_their_order_once() {
    let Ok(Command::Status { items, .. }) = parse("STATUS a (UNSEEN MESSAGES UNSEEN)") else { panic!() };
    assert_eq!(items, [StatusItem::Unseen, StatusItem::Messages]);
}

#[test]
fn separators_are_the_upstreams() {
    let folder = |line: &[u8], separator| match command(line, separator).map(|tagged| tagged.command) {
        Ok(Command::Create { folder, .. }) => folder.map(|folder| folder.as_str().to_owned()),
        other => panic!("{other:?}"),
    };
    assert_eq!(folder(b"a CREATE x.y.\r\n", Some('.')), Ok("x.y".to_owned()));
    assert_eq!(folder(b"a CREATE x/y/\r\n", Some('.')), Ok("x/y/".to_owned()));
    assert_eq!(folder(b"a CREATE x/\r\n", None), Ok("x/".to_owned()));
}

#[test]
fn browsers_are_noticed() {
    for (line, http) in [("GET / HTTP/1.1\r\n", true), ("host: x\r\n", true), ("GETA NOOP\r\n", false)] {
        assert_eq!(looks_like_http(line.as_bytes()), http, "{line}");
    }
}

#[test]
fn keys_of_search_hold_no_line_ends() {
    let Ok(Command::Search { search, .. }) = parse("SEARCH TEXT \"a b\"") else { panic!() };
    assert_eq!(search.keys, [SearchKey::Text(b"a b".to_vec())]);
}

proptest! {
    /// Whatever comes: an answer, no panic, and nothing that a line could hide in.
    #[test]
    fn any_octets_have_an_answer(line in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = command(&line, Some('/'));
    }

    #[test]
    fn any_text_near_the_grammar_has_an_answer(
        line in "a (UID )?(FETCH|STORE|SEARCH|LIST|STATUS|APPEND|LOGIN|CREATE|COPY|ID|ENABLE) [ -~\r\n]{0,60}\r\n",
    ) {
        let _ = command(line.as_bytes(), Some('/'));
    }
}
