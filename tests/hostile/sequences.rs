//! What is sent.

use std::sync::OnceLock;

use crate::support::Random;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Who {
    Stranger,
    Reader,
    Responder,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Service {
    Imap,
    Submission,
}

pub(crate) struct Sequence {
    pub(crate) who: Who,
    pub(crate) service: Service,
    /// An index into [`Sequence::KINDS`].
    pub(crate) kind: usize,
    pub(crate) octets: Vec<u8>,
}

/// Commands as they should be, one or more of which make a sequence.
const COMMANDS: [&str; 48] = [
    "EXPUNGE",
    "CLOSE",
    "UNSELECT",
    "SELECT INBOX",
    "EXAMINE Drafts",
    "SELECT Projects (CONDSTORE)",
    "UID STORE 1:* +FLAGS (\\Deleted)",
    "STORE 1:* FLAGS (\\Deleted \\Seen)",
    "STORE * +FLAGS.SILENT (\\Seen kw)",
    "UID STORE 1,3 -FLAGS (\\Flagged)",
    "UID EXPUNGE 1:*",
    "UID MOVE 1:* Trash",
    "MOVE 1 Archive",
    "UID COPY 1:2 Sent",
    "COPY * Drafts",
    "COPY 1:* Trash",
    "FETCH 1:* (FLAGS BODY[])",
    "UID FETCH * RFC822",
    "FETCH 1 BODY.PEEK[]",
    "FETCH 2 RFC822.TEXT",
    "APPEND INBOX {6+}\r\nhello!",
    "APPEND Drafts (\\Draft) {12+}\r\nA: b\r\n\r\nhello",
    "APPEND Sent (\\Seen \\Deleted) {12+}\r\nA: b\r\n\r\nhello",
    "APPEND Drafts {12}\r\nA: b\r\n\r\nhello",
    "CREATE smug",
    "CREATE Projects/smug",
    "DELETE Projects",
    "DELETE Trash",
    "RENAME Projects Gone",
    "RENAME INBOX Gone",
    "SUBSCRIBE INBOX",
    "UNSUBSCRIBE Projects",
    "SETACL INBOX anyone lrswitekxa",
    "DELETEACL Projects somebody",
    "GETACL INBOX",
    "MYRIGHTS INBOX",
    "SETMETADATA INBOX (/private/comment \"smug\")",
    "SETQUOTA \"\" (STORAGE 1)",
    "LIST \"\" * RETURN (STATUS (MESSAGES))",
    "LSUB \"\" *",
    "STATUS Drafts (MESSAGES UNSEEN)",
    "SEARCH RETURN (ALL) UNSEEN",
    "IDLE\r\nDONE",
    "ENABLE CONDSTORE",
    "ID (\"name\" \"x\")",
    "NOOP",
    "LOGIN support@example.org x",
    "LOGOUT",
];

/// Heads after which a forwarding proxy's mail host would run what the literal holds.
const SMUGGLERS: [&str; 26] = [
    "NOOP ",
    "CAPABILITY ",
    "NAMESPACE ",
    "CHECK ",
    "IDLE ",
    "EXPUNGE ",
    "CLOSE ",
    "XYZZY ",
    "ENABLE ",
    "STATUS Drafts (MESSAGES) ",
    "STORE 1:* +FLAGS (\\Foo\" ",
    "STORE 1 +FLAGS (\\Seen ",
    "APPEND Drafts \"bad date\" ",
    "APPEND Drafts (\\Recent) ",
    "APPEND Drafts (\\Foo) ",
    "APPEND Drafts (\\*) ",
    "APPEND Drafts \"32-Jan-2026 00:00:00 +0000\" ",
    "APPEND Drafts CATENATE (URL \"/INBOX;UID=1\" TEXT ",
    "APPEND Nowhere ",
    "SELECT ",
    "UID FETCH 1 (BODY[HEADER.FIELDS (",
    "SEARCH TEXT ",
    "LOGIN a ",
    "AUTHENTICATE PLAIN ",
    "LIST \"\" ",
    "COPY 1 ",
];

const SUBMISSION: [&str; 22] = [
    "EHLO x",
    "HELO x",
    "MAIL FROM:<support@example.org>",
    "MAIL FROM:<bob@example.org> SIZE=100 BODY=8BITMIME",
    "MAIL FROM:<somebody@example.net>",
    "MAIL FROM:<>",
    "RCPT TO:<customer@example.net>",
    "RCPT TO:<@a,@b:c@example.net>",
    "RCPT TO:<a@example.net> NOTIFY=NEVER",
    "DATA",
    "From: support@example.org\r\nTo: customer@example.net\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <h@x>\r\n\r\nhi\r\n.",
    "From: support@example.org\r\n\r\nhi\n.\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.net>\r\nDATA",
    "From: support@example.org\r\n\r\nhi\r\n.\r\r\nMAIL FROM:<a@example.net>",
    "From: ceo@example.org\r\n\r\nhi\r\n.",
    "RSET",
    "NOOP",
    "BDAT 5 LAST\r\nhello",
    "AUTH PLAIN",
    "AUTH LOGIN",
    "STARTTLS",
    "XCLIENT NAME=x",
    "QUIT",
];

impl Sequence {
    pub(crate) const KINDS: [&'static str; 8] = [
        "IMAP: octets by chance",
        "IMAP: commands",
        "IMAP: commands with octets changed",
        "IMAP: smuggling probes",
        "IMAP: recorded clients",
        "IMAP: recorded clients with octets changed",
        "submission: commands",
        "submission: commands with octets changed",
    ];

    pub(crate) fn new(random: &mut Random) -> Sequence {
        let who = *random.pick(&[Who::Stranger, Who::Reader, Who::Reader, Who::Responder, Who::Responder]);
        let kind = *random.pick(&[0, 1, 1, 2, 2, 2, 3, 3, 4, 5, 5, 6, 7, 7]);
        let mut octets = match kind {
            0 => (0..1 + random.below(200)).map(|_| octet(random)).collect(),
            1 | 2 => lines(random, |random| COMMANDS[random.below(COMMANDS.len())].to_owned()),
            3 => smuggler(random),
            4 | 5 => lines(random, |random| random.pick(recorded()).clone()),
            _ => {
                let wanted = 1 + random.below(7);
                let text: Vec<&str> = (0..wanted).map(|_| *random.pick(&SUBMISSION)).collect();
                text.join("\r\n").into_bytes()
            }
        };
        if [2, 5, 7].contains(&kind) {
            mutate(&mut octets, random);
        }
        let service = if kind >= 6 { Service::Submission } else { Service::Imap };
        Sequence { who, service, kind, octets }
    }
}

/// One to three tagged commands.
fn lines(random: &mut Random, mut command: impl FnMut(&mut Random) -> String) -> Vec<u8> {
    let count = 1 + random.below(3);
    let lines: Vec<String> = (0..count).map(|number| format!("h{number} {}", command(random))).collect();
    lines.join("\r\n").into_bytes()
}

fn smuggler(random: &mut Random) -> Vec<u8> {
    let inner = *random.pick(&[
        "CREATE smug",
        "DELETE Projects",
        "SETACL INBOX anyone lra",
        "UID STORE 1:* FLAGS (\\Deleted)",
    ]);
    let body = format!("b {inner}\r\nc {inner}\r\n");
    let head = random.pick(&SMUGGLERS);
    let end = *random.pick(&["\r\n", "\r\n", "\r\n", "\n", "\r"]);
    let mark = *random.pick(&["+", "+", "-", ""]);
    format!("a {head}{{{}{mark}}}{end}{body}", body.len()).into_bytes()
}

/// Command lines that real clients sent: tests/transcripts/clients.
fn recorded() -> &'static [String] {
    static LINES: OnceLock<Vec<String>> = OnceLock::new();
    LINES.get_or_init(|| {
        let place = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts/clients");
        let files = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
        let mut texts: Vec<_> =
            files.filter(|path| path.extension().is_some_and(|kind| kind == "txt")).collect();
        texts.sort();
        let text: String = texts.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
        let commands =
            text.lines().filter_map(|line| line.split_once(' ')).map(|(_, command)| command.to_owned());
        let lines: Vec<String> = commands.collect();
        assert!(lines.len() > 100, "the transcripts are elsewhere");
        lines
    })
}

fn octet(random: &mut Random) -> u8 {
    match random.below(4) {
        0 => *random.pick(b"\r\n {}()\"\\*%+-0123456789[]<>\0"),
        1 => *random.pick(b"abcdeFETCHSTORE"),
        _ => u8::try_from(random.below(256)).unwrap(),
    }
}

/// A few octets changed, put in, taken out or said twice.
fn mutate(octets: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        let at = random.below(octets.len().max(1));
        match random.below(5) {
            0 if at < octets.len() => octets[at] = octet(random),
            1 => octets.insert(at.min(octets.len()), octet(random)),
            2 if at < octets.len() => drop(octets.remove(at)),
            3 => {
                let end = (at + random.below(12)).min(octets.len());
                let again = octets[at.min(end)..end].to_vec();
                octets.splice(at.min(end)..at.min(end), again);
            }
            _ => octets.truncate(at.max(1)),
        }
    }
}
