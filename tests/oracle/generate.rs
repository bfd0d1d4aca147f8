//! Sessions by chance: valid, odd and malformed commands of every verb.

use crate::support::Random;
use crate::world::{PEOPLE, Person, message};

/// A session: who is connected, and what they send.
pub(crate) struct Session {
    pub(crate) people: Vec<Person>,
    pub(crate) batches: Vec<Batch>,
}

/// What one connection sends before it reads.
pub(crate) struct Batch {
    pub(crate) connection: usize,
    pub(crate) commands: Vec<Command>,
}

#[derive(Clone, Debug)]
pub(crate) struct Command {
    /// Pieces: before each but the first the client waits for `+`.
    pub(crate) pieces: Vec<Vec<u8>>,
    pub(crate) act: Act,
}

/// What the comparison must know of a command.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Open(String),
    /// CLOSE or UNSELECT.
    Leave {
        expunges: bool,
    },
    Store {
        uid: bool,
        set: String,
        mode: char,
        flags: Vec<&'static str>,
    },
    Expunge(Option<String>),
    Move {
        uid: bool,
        set: String,
        to: String,
    },
    Copy {
        to: String,
    },
    Append {
        to: String,
    },
    Fetch,
    Subscribe {
        folder: String,
        on: bool,
    },
    /// LSUB, or LIST with subscriptions.
    Subscriptions,
    Create(String),
    Delete(String),
    Rename(String),
    MyRights(String),
    ListRights,
    /// What is ours by design: CAPABILITY, ID, ENABLE.
    OurOwn,
    Idle,
    Logout,
    /// RFC 3501 allows no such command; Dovecot would carry it out. Only Mandate is asked.
    Malformed,
    /// The same, and harmless: both are asked.
    Odd,
    Other,
}

const NAMES: [&str; 12] = [
    "INBOX",
    "inbox",
    "Projects",
    "Projects/2026",
    "Drafts",
    "Sent",
    "Trash",
    "Archive",
    "Junk",
    "Secret",
    "Nowhere",
    "Projects/New",
];
const NEW: [&str; 7] =
    ["Work", "Projects/New", "Archive/2027", "Work/Deep/Deeper", "INBOX/Sub", "Trash/x", "Drafts/y"];
const SETS: [&str; 12] = ["1", "2", "1:2", "1:*", "*", "3:*", "2,4", "1:3,5", "*:2", "4:5", "99", "6,1"];
const FLAGS: [&str; 9] =
    ["\\Seen", "\\Deleted", "\\Flagged", "\\Answered", "\\Draft", "kw", "$Forwarded", "newkw", "\\Deleted"];

/// What sessions are made of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Grammar {
    /// Verbs of RFC 3501 and of what every host has.
    Plain,
    /// The extensions too: SORT, THREAD, SEARCHRES, CONDSTORE, LIST-EXTENDED.
    Wide,
}

impl Session {
    pub(crate) fn new(seed: u64, grammar: Grammar) -> Session {
        let mut random = Random::new(seed);
        let people: Vec<Person> = (0..1 + random.below(3)).map(|_| *random.pick(&PEOPLE)).collect();
        let mut batches: Vec<Batch> = (0..people.len())
            .filter(|_| random.chance(85))
            .collect::<Vec<_>>()
            .into_iter()
            .map(|connection| Batch { connection, commands: vec![open(&mut random)] })
            .collect();
        for _ in 0..6 + random.below(12) {
            let connection = random.below(people.len());
            let commands = match random.below(10) {
                0..6 => vec![command(&mut random, grammar)],
                _ => pipeline(&mut random, grammar),
            };
            batches.push(Batch { connection, commands });
        }
        if random.chance(20) {
            let connection = random.below(people.len());
            batches.push(Batch { connection, commands: vec![simple("LOGOUT", Act::Logout)] });
        }
        Session { people, batches }
    }
}

/// Several commands in one piece; none waits for anything.
fn pipeline(random: &mut Random, grammar: Grammar) -> Vec<Command> {
    let wanted = 2 + random.below(4);
    let mut commands = Vec::new();
    while commands.len() < wanted {
        let next = command(random, grammar);
        if next.pieces.len() == 1 && !matches!(next.act, Act::Idle | Act::Malformed) {
            commands.push(next);
        }
    }
    commands
}

fn simple(line: impl Into<Vec<u8>>, act: Act) -> Command {
    Command { pieces: vec![line.into()], act }
}

fn other(line: impl Into<Vec<u8>>) -> Command {
    simple(line, Act::Other)
}

fn command(random: &mut Random, grammar: Grammar) -> Command {
    if grammar == Grammar::Wide && random.chance(35) {
        return extended(random);
    }
    match random.below(100) {
        0..10 => open(random),
        10..26 => store(random),
        26..42 => fetch(random),
        42..48 => expunge(random),
        48..54 => copy(random),
        54..59 => r#move(random),
        59..67 => append(random),
        67..73 => search(random),
        73..80 => folders(random),
        80..88 => lists(random),
        88..91 => rights(random),
        91..95 => plain(random),
        95..98 => odd(random),
        _ => malformed(random),
    }
}

/// A folder's name in one of the ways to write it; literals make more pieces.
fn name(random: &mut Random, folder: &str) -> Vec<Vec<u8>> {
    match random.below(10) {
        0..5 => vec![folder.as_bytes().to_vec()],
        5..8 => vec![format!("\"{folder}\"").into_bytes()],
        8 => vec![format!("{{{}+}}\r\n{folder}", folder.len()).into_bytes()],
        _ => vec![format!("{{{}}}", folder.len()).into_bytes(), folder.as_bytes().to_vec()],
    }
}

/// A command around a folder's name.
fn around(random: &mut Random, head: &str, folder: &str, tail: &str, act: Act) -> Command {
    let mut pieces = name(random, folder);
    pieces[0].splice(0..0, head.bytes());
    pieces.last_mut().unwrap().extend_from_slice(tail.as_bytes());
    Command { pieces, act }
}

fn open(random: &mut Random) -> Command {
    let verb = *random.pick(&["SELECT ", "SELECT ", "SELECT ", "EXAMINE ", "select "]);
    let folder = *random.pick(&NAMES);
    let tail = if random.chance(15) { " (CONDSTORE)" } else { "" };
    around(random, verb, folder, tail, Act::Open(folder.to_owned()))
}

fn store(random: &mut Random) -> Command {
    let uid = random.chance(60);
    let set = (*random.pick(&SETS)).to_owned();
    let mode = *random.pick(&['+', '-', ' ', '+']);
    let mut flags = vec![*random.pick(&FLAGS)];
    if random.chance(40) {
        flags.push(*random.pick(&FLAGS));
    }
    if mode == ' ' && random.chance(20) {
        flags.clear();
    }
    let silent = if random.chance(35) { ".SILENT" } else { "" };
    let sign = if mode == ' ' { String::new() } else { mode.to_string() };
    let list = match flags.len() {
        0 => "()".to_owned(),
        _ if random.chance(30) => flags.join(" "),
        _ => format!("({})", flags.join(" ")),
    };
    let verb = if uid { "UID STORE" } else { "STORE" };
    let line = format!("{verb} {set} {sign}FLAGS{silent} {list}");
    simple(line, Act::Store { uid, set, mode, flags })
}

fn fetch(random: &mut Random) -> Command {
    let items = [
        "FLAGS",
        "(UID FLAGS)",
        "FAST",
        "ALL",
        "FULL",
        "(UID RFC822.SIZE INTERNALDATE)",
        "ENVELOPE",
        "BODYSTRUCTURE",
        "BODY",
        "BODY[]",
        "BODY.PEEK[]",
        "(FLAGS BODY[TEXT])",
        "BODY[HEADER.FIELDS (FROM SUBJECT)]",
        "BODY.PEEK[HEADER.FIELDS.NOT (To)]",
        "BODY[1]",
        "BODY[1.MIME]",
        "BODY[2]<0.4>",
        "BODY.PEEK[]<2.10>",
        "RFC822",
        "RFC822.HEADER",
        "RFC822.TEXT",
        "(RFC822.SIZE BODY[HEADER])",
        "BODY[3]",
    ];
    let verb = if random.chance(60) { "UID FETCH" } else { "FETCH" };
    simple(format!("{verb} {} {}", random.pick(&SETS), random.pick(&items)), Act::Fetch)
}

fn expunge(random: &mut Random) -> Command {
    match random.below(10) {
        0..5 => simple("EXPUNGE", Act::Expunge(None)),
        5..8 => {
            let set = (*random.pick(&SETS)).to_owned();
            simple(format!("UID EXPUNGE {set}"), Act::Expunge(Some(set)))
        }
        8 => simple("CLOSE", Act::Leave { expunges: true }),
        _ => simple("UNSELECT", Act::Leave { expunges: false }),
    }
}

fn copy(random: &mut Random) -> Command {
    let to = *random.pick(&NAMES);
    let head = format!("{} {} ", random.pick(&["COPY", "UID COPY"]), random.pick(&SETS));
    around(random, &head, to, "", Act::Copy { to: to.to_owned() })
}

fn r#move(random: &mut Random) -> Command {
    let (to, uid) = (*random.pick(&NAMES), random.chance(50));
    let set = (*random.pick(&SETS)).to_owned();
    let head = format!("{} {set} ", if uid { "UID MOVE" } else { "MOVE" });
    around(random, &head, to, "", Act::Move { uid, set, to: to.to_owned() })
}

fn append(random: &mut Random) -> Command {
    let to = match random.below(3) {
        0 => "Drafts",
        _ => *random.pick(&NAMES),
    };
    let flags =
        *random.pick(&["", " ()", " (\\Seen)", " (\\Draft)", " (\\Deleted kw)", " (\\Flagged \\Seen)"]);
    let date = *random.pick(&["", "", " \"21-Nov-2026 10:00:00 +0100\""]);
    let body = message(100 + random.below(50));
    let mut pieces = name(random, to);
    pieces[0].splice(0..0, b"APPEND ".iter().copied());
    let mark = if random.chance(50) { "+" } else { "" };
    let head = format!("{flags}{date} {{{}{mark}}}", body.len());
    pieces.last_mut().unwrap().extend_from_slice(head.as_bytes());
    match mark {
        "+" => {
            let last = pieces.last_mut().unwrap();
            last.extend_from_slice(b"\r\n");
            last.extend_from_slice(&body);
        }
        _ => pieces.push(body),
    }
    Command { pieces, act: Act::Append { to: to.to_owned() } }
}

fn search(random: &mut Random) -> Command {
    let keys = [
        "ALL",
        "UNSEEN",
        "SEEN DELETED",
        "NOT DELETED",
        "OR FLAGGED ANSWERED",
        "KEYWORD kw",
        "UNKEYWORD kw",
        "SUBJECT question",
        "FROM \"customer2\"",
        "HEADER Message-ID q3",
        "TEXT smug",
        "BODY {4+}\r\nHow ",
        "LARGER 10 SMALLER 100000",
        "SINCE 1-Jan-2026",
        "SENTON 21-Nov-2026",
        "UID 2:3",
        "2:*",
        "(DRAFT UNDELETED)",
        "CHARSET UTF-8 TEXT q",
        "RETURN (MIN MAX COUNT) ALL",
        "RETURN (ALL) DELETED",
        "RETURN () UNFLAGGED",
        "UNANSWERED UNDRAFT UNFLAGGED",
    ];
    let verb = *random.pick(&["SEARCH", "UID SEARCH"]);
    other(format!("{verb} {}", random.pick(&keys)))
}

/// What extensions add: RFC 5256, 5182, 7162, 5258, 5819.
fn extended(random: &mut Random) -> Command {
    let searches = [
        "SORT (SUBJECT) UTF-8 ALL",
        "UID SORT (REVERSE FROM DATE) US-ASCII UNSEEN",
        "SORT (SIZE REVERSE ARRIVAL) UTF-8 NOT DELETED",
        "UID SORT (TO CC) UTF-8 2:*",
        "SORT (BOGUS) UTF-8 ALL",
        "SORT () UTF-8 ALL",
        "THREAD REFERENCES UTF-8 ALL",
        "UID THREAD ORDEREDSUBJECT US-ASCII NOT SEEN",
        "THREAD BOGUS UTF-8 ALL",
        "UID SORT (SUBJECT) UTF-8 SUBJECT {8+}\r\nquestion",
        "SEARCH RETURN (SAVE) ALL",
        "SEARCH RETURN (SAVE) FLAGGED",
        "UID SEARCH RETURN (SAVE COUNT) UID 2:4",
        "UID SEARCH RETURN (SAVE MIN) ALL",
        "SEARCH RETURN (ALL) $",
        "SEARCH $",
        "UID SEARCH NOT $",
        "SEARCH OR $ SEEN",
        "SEARCH MODSEQ 1",
        "UID SEARCH MODSEQ 1 UNSEEN",
        "SEARCH YOUNGER 100000000",
        "SEARCH OLDER 1",
    ];
    let fetches = [
        "FETCH $ (UID FLAGS)",
        "UID FETCH $ (FLAGS)",
        "FETCH $ BODY[TEXT]",
        "FETCH 1:* (UID MODSEQ)",
        "UID FETCH 1:* (FLAGS) (CHANGEDSINCE 1)",
        "FETCH 2 (FLAGS) (CHANGEDSINCE 4294967296)",
        "FETCH 1 (FLAGS) (BOGUS 1)",
    ];
    let lists = [
        "LIST \"\" (INBOX Proj*) RETURN (CHILDREN)",
        "LIST (REMOTE) \"\" %",
        "LIST () \"\" *",
        "LIST \"Projects/\" %",
        "LIST \"\" Projects RETURN (CHILDREN STATUS (MESSAGES UIDNEXT))",
        "LIST (SPECIAL-USE) \"\" \"*\"",
        "STATUS INBOX (MESSAGES HIGHESTMODSEQ)",
        "STATUS Projects (UNSEEN SIZE)",
        "LIST \"\" {3+}\r\nINB",
    ];
    match random.below(10) {
        0..5 => other(*random.pick(&searches)),
        // No mod-sequence is 0 (RFC 7162 section 7).
        5 if random.chance(10) => simple("FETCH 1:* (FLAGS) (CHANGEDSINCE 0)", Act::Malformed),
        5..8 => simple(*random.pick(&fetches), Act::Fetch),
        8 => {
            let to = *random.pick(&["Drafts", "Sent", "Projects", "Nowhere"]);
            simple(format!("UID COPY $ {to}"), Act::Copy { to: to.to_owned() })
        }
        _ => other(*random.pick(&lists)),
    }
}

fn folders(random: &mut Random) -> Command {
    let old = (*random.pick(&NAMES)).to_owned();
    match random.below(3) {
        0 => {
            let folder = if random.chance(80) { (*random.pick(&NEW)).to_owned() } else { old };
            around(random, "CREATE ", &folder, "", Act::Create(folder.clone()))
        }
        1 => around(random, "DELETE ", &old, "", Act::Delete(old.clone())),
        _ => {
            let to = (*random.pick(&NEW)).to_owned();
            around(random, &format!("RENAME {old} "), &to, "", Act::Rename(old))
        }
    }
}

fn lists(random: &mut Random) -> Command {
    let folder = *random.pick(&NAMES);
    match random.below(12) {
        0..2 => other("LIST \"\" *"),
        2 => other("LIST \"\" %"),
        3 => other(format!(
            "LIST \"\" {}",
            random.pick(&["Proj*", "%/%", "INBOX", "*r*", "Secret", "Projects/%", "inb%"])
        )),
        4 => other("LIST \"\" \"\""),
        5 => other("LIST (SPECIAL-USE) \"\" * RETURN (SPECIAL-USE)"),
        6 => other(format!("LIST \"\" (Drafts {folder}) RETURN (CHILDREN)")),
        7 => simple("LSUB \"\" *", Act::Subscriptions),
        8 => around(random, "SUBSCRIBE ", folder, "", Act::Subscribe { folder: folder.to_owned(), on: true }),
        9 => around(
            random,
            "UNSUBSCRIBE ",
            folder,
            "",
            Act::Subscribe { folder: folder.to_owned(), on: false },
        ),
        10 => around(random, "STATUS ", folder, " (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)", Act::Other),
        _ => other("LIST \"\" * RETURN (STATUS (MESSAGES UNSEEN))"),
    }
}

fn rights(random: &mut Random) -> Command {
    let folder = *random.pick(&NAMES);
    match random.below(6) {
        0..3 => around(random, "MYRIGHTS ", folder, "", Act::MyRights(folder.to_owned())),
        3 => around(random, "LISTRIGHTS ", folder, " bob", Act::ListRights),
        4 => around(random, "GETACL ", folder, "", Act::Other),
        _ if random.chance(50) => around(random, "SETACL ", folder, " bob lrswitekxa", Act::Other),
        _ => around(random, "DELETEACL ", folder, " alice", Act::Other),
    }
}

fn plain(random: &mut Random) -> Command {
    match random.below(8) {
        0 => other("NOOP"),
        1 => other("CHECK"),
        2 => simple("CAPABILITY", Act::OurOwn),
        3 => simple("ID NIL", Act::OurOwn),
        4 => simple("ENABLE CONDSTORE", Act::OurOwn),
        5 => other("NAMESPACE"),
        6 => Command { pieces: vec![b"IDLE".to_vec(), b"DONE".to_vec()], act: Act::Idle },
        _ => other("noop"),
    }
}

/// Neither server does anything for these, whatever it answers.
fn odd(random: &mut Random) -> Command {
    let lines = [
        "XYZZY",
        "",
        "UID",
        "UID XYZZY",
        "LOGIN a b",
        "AUTHENTICATE PLAIN =",
        "STORE 0 +FLAGS (\\Seen)",
        "STORE 4294967296 +FLAGS (\\Seen)",
        "STORE x +FLAGS (\\Seen)",
        "STORE 1 +FLAGS (\\Bogus)",
        "STORE 1 +FLAGS (\\Recent)",
        "FETCH 1 (X-BOGUS)",
        "FETCH 1 BODY[",
        "FETCH 1 ()",
        "FETCH 0 FLAGS",
        "FETCH 1,,2 FLAGS",
        "SEARCH BOGUS",
        "SEARCH CHARSET X-NONE ALL",
        "COPY 1",
        "MOVE 1",
        "STATUS INBOX",
        "STATUS INBOX (BOGUS)",
        "RENAME Projects",
        "CREATE",
        "DELETE",
        "UID EXPUNGE",
        "UID EXPUNGE x",
        "APPEND INBOX",
        "ENABLE",
        "NOOP a b",
        "CHECK x",
        "LIST \"\"",
        "FETCH 1 FLAGS junk",
        "LSUB \"\"",
        "MYRIGHTS",
    ];
    simple(*random.pick(&lines), Act::Odd)
}

/// Dovecot carries these out, or executes what follows.
fn malformed(random: &mut Random) -> Command {
    let lines = [
        "EXPUNGE 1:5",
        "STORE 1 FLAGS",
        "SELECT",
        "SELECT INBOX (",
        "CLOSE now",
        "SELECT Sent (CONDSTORE) y",
        "STATUS INBOX (MESSAGES) junk",
        "UNSELECT x",
        "STORE 1 FLAGS \\Deleted \\Seen)",
        "NOOP {9+}\r\nx CREATE y",
        "CREATE smug (USE (\\Drafts)) junk",
        "DELETE Projects junk",
        "RENAME Projects Work junk",
        "SUBSCRIBE INBOX junk",
        "COPY 1 Sent junk",
        "UID MOVE 1 Trash junk",
        "XYZZY {12+}\r\nb CREATE smg",
        "NOTIFY SET STATUS (personal MessageNew)",
        "SETMETADATA Drafts (/private/specialuse \"x\")",
        "COMPRESS DEFLATE",
        "XLIST \"\" *",
        "FETCH 1 (X-MAILBOX X-GUID)",
        "UNAUTHENTICATE",
        "APPEND Drafts (\\Recent) {3+}\r\nabc",
        "APPEND Drafts \"32-Jan-2026 00:00:00 +0000\" {3+}\r\nabc",
        "APPEND INBOX CATENATE (URL \"/INBOX;UID=1\")",
        "GETQUOTAROOT INBOX extra",
        "SEARCH RETURN (SAVE) ALL junk",
        "LIST (SUBSCRIBED BOGUS) \"\" *",
    ];
    simple(*random.pick(&lines), Act::Malformed)
}
