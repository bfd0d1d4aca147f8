//! What real mail hosts execute when octets are forwarded: each probe here smuggled a command
//! past a forwarding proxy to a real Dovecot or Cyrus, or named a folder by another spelling.
//! Through Mandate, in every role, none has any effect.

use std::time::Duration;

use crate::furnished::{assert_unchanged, furnished, upstream};
use crate::support::dovecot::SUPPORT;
use crate::support::{ALICE, BOB, CAROL, Imap, Read, Scene, eventually};

const PEOPLE: [&str; 3] = [ALICE, BOB, CAROL];

/// What would run, if anything did.
const SMUGGLED: &str = "b CREATE smug";

/// A non-synchronising literal that holds commands.
fn literal(mark: &str) -> String {
    let body = format!("x CREATE smug\r\n{SMUGGLED}\r\nc DELETE Projects\r\n");
    format!("{{{}{mark}}}\r\n{body}", body.len())
}

/// Sends a probe and a harmless command behind it; returns what came back before that one's
/// answer, or before the end of the connection.
fn probe(imap: &mut Imap, octets: &[u8]) -> String {
    let _ = imap.wire.try_send(octets);
    let _ = imap.wire.try_send(b"\r\nzz NOOP\r\n");
    let mut said = String::new();
    // An unfinished literal has swallowed the NOOP: more of it ends that.
    for _ in 0..200 {
        match imap.response_within(Duration::from_secs(2)) {
            Read::Octets(line) => {
                let line = String::from_utf8_lossy(&line).into_owned();
                if line.starts_with("zz ") {
                    return said;
                }
                said.push_str(&line);
                said.push('\n');
            }
            Read::Closed(_) => return said + "closed",
            Read::Silence => return said + "silence",
        }
    }
    said + "endless"
}

/// Runs every probe in every role, in INBOX or nowhere, each on a connection of its own.
#[track_caller]
fn nothing_runs(scene: &Scene, people: &[&str], probes: &[Vec<u8>]) {
    let before = upstream(scene);
    for person in people {
        for octets in probes {
            for open in [true, false] {
                let mut imap = scene.imap(person);
                if open {
                    imap.ok("SELECT INBOX");
                }
                let said = probe(&mut imap, octets);
                let what = format!("{person}: {}\n{said}", String::from_utf8_lossy(octets));
                assert!(!said.contains("b OK") && !said.contains("c OK") && !said.contains("x OK"), "{what}");
                assert!(!said.contains("smug"), "{what}");
            }
        }
        assert_unchanged(scene, &before, person);
    }
    assert!(scene.dovecot.login(SUPPORT).ok("LIST \"\" *smug*").untagged.is_empty());
}

#[test]
fn a_literal_as_a_surplus_argument_is_no_command() {
    let scene = furnished();
    let verbs = [
        "NOOP",
        "CAPABILITY",
        "NAMESPACE",
        "CHECK",
        "IDLE",
        "EXPUNGE",
        "CLOSE",
        "UNSELECT",
        "LOGOUT",
        "XYZZY",
        "STARTTLS",
        "ID",
        "ENABLE",
        "ENABLE CONDSTORE",
        "STATUS Drafts (MESSAGES)",
        "SELECT Sent",
        "EXAMINE Sent",
        "LIST \"\" *",
        "LSUB \"\" *",
        "SUBSCRIBE Junk",
        "MYRIGHTS INBOX",
        "SEARCH ALL",
        "UID SEARCH ALL",
        "FETCH 1 FLAGS",
        "UID FETCH 1 (FLAGS)",
        "COPY 1 Sent",
        "UID EXPUNGE 1",
        "LOGIN a b",
        "AUTHENTICATE PLAIN",
        "STORE 1:* +FLAGS (\\Foo\"",
        "STORE 1 +FLAGS (\\Seen",
        "GETACL INBOX",
        "SETACL INBOX a lr",
        "XLIST \"\" *",
        "NOTIFY SET STATUS (personal MessageNew)",
        "COMPRESS DEFLATE",
        "UNAUTHENTICATE",
    ];
    let probes: Vec<Vec<u8>> = verbs
        .iter()
        .flat_map(|verb| ["+", "-"].map(|mark| format!("a {verb} {}", literal(mark)).into_bytes()))
        .collect();
    nothing_runs(&scene, &PEOPLE, &probes);
}

#[test]
fn the_body_of_a_refused_append_is_no_command() {
    let scene = furnished();
    let heads = [
        "Drafts \"bad date\"",
        "Drafts \"32-Jan-2026 00:00:00 +0000\"",
        "Drafts \"31-Feb-2026 00:00:00 +0000\"",
        "Drafts (\\Recent)",
        "Drafts (\\Foo)",
        "Drafts (\\*)",
        "Drafts (\"kw\")",
        "Drafts (k\u{e9})",
        "Drafts (\\Seen",
        "Drafts \\Seen",
        "Drafts (\\Seen) (\\Seen)",
        "Drafts CATENATE (URL \"/INBOX;UID=1\" TEXT",
        "Drafts UTF8 (~",
        "Drafts ~",
        "Nowhere",
        "\"Drafts",
        "Trash x",
        "\"\"",
        "",
    ];
    let probes: Vec<Vec<u8>> = heads
        .iter()
        .flat_map(|head| ["+", ""].map(|mark| format!("a APPEND {head} {}", literal(mark)).into_bytes()))
        .collect();
    // With a synchronising literal a client that does not wait has sent commands of its own:
    // only those who may not do them see that nothing happened.
    let (asynchronous, synchronous): (Vec<_>, Vec<_>) =
        probes.into_iter().partition(|probe| memchr::memmem::find(probe, b"+}").is_some());
    nothing_runs(&scene, &PEOPLE, &asynchronous);
    nothing_runs(&scene, &[BOB, CAROL], &synchronous);
}

#[test]
fn a_line_ends_with_crlf_and_nothing_else() {
    let scene = furnished();
    let smuggled = SMUGGLED;
    let one_line: Vec<Vec<u8>> = [
        format!("a NOOP\n{smuggled}"),
        format!("a NOOP\r{smuggled}"),
        format!("a NOOP\n\r{smuggled}"),
        format!("a NOOP\0{smuggled}"),
        format!("a SELECT \"INBOX\n{smuggled}\""),
        format!("a SELECT \"INBOX\r{smuggled}\""),
        format!("a NOOP {{{}+}}\n{smuggled}\r\n", smuggled.len() + 2),
        format!("a SELECT {{5+}}\nINBOX\r\n{smuggled}"),
        format!("a\n{smuggled}"),
        format!("\n{smuggled}"),
    ]
    .map(String::into_bytes)
    .into();
    // Of the last, the second line is the client's own command, which those may not do.
    nothing_runs(&scene, &[BOB, CAROL], &one_line);
    let whole: Vec<Vec<u8>> =
        one_line.into_iter().filter(|probe| memchr::memchr(b'{', probe).is_none()).collect();
    nothing_runs(&scene, &[ALICE], &whole);
    let quoted = format!("a SELECT \"INBOX\r\n{smuggled}\"\r\n{smuggled}").into_bytes();
    nothing_runs(&scene, &[BOB, CAROL], &[quoted]);
}

#[test]
fn surplus_arguments_and_odd_sets_do_nothing() {
    let scene = furnished();
    let probes: Vec<Vec<u8>> = [
        "a EXPUNGE 1:5",
        "a CLOSE 1:5",
        "a NOOP a b",
        "a STATUS Drafts (MESSAGES) junk",
        "a STATUS Drafts (MESSAGES X-GUID)",
        "a SELECT INBOX (CONDSTORE) y",
        "a STORE 1 FLAGS",
        "a STORE 1 FLAGS ",
        "a STORE 0 FLAGS (\\Deleted)",
        "a STORE 4294967296 FLAGS (\\Deleted)",
        "a STORE -1 FLAGS (\\Deleted)",
        "a STORE 1: FLAGS (\\Deleted)",
        "a STORE 1,,2 FLAGS (\\Deleted)",
        "a STORE 1 FLAGS (\\Recent)",
        "a STORE 1 FLAGS (\\*)",
        "a STORE 1 X-GM-LABELS (\\Trash)",
        "a STORE 1 ANNOTATION (/comment (value.shared \"x\"))",
        "a UID EXPUNGE",
        "a UID EXPUNGE $",
        "a UID NOOP",
        "a APPEND Drafts CATENATE (URL \"/INBOX;UID=1\")",
        "a SETMETADATA Drafts (/private/specialuse \"\\\\Drafts\")",
        "a CREATE smug (USE (\\Drafts)) junk",
        "a LIST \"\" (Sent Drafts) junk",
        "a FETCH 1 (X-MAILBOX)",
        "a FETCH 1 (X-GUID BODY[])x",
        "a URLFETCH \"imap://x\"",
        "a REPLACE 1 INBOX",
        "a SORT (X-SCORE) UTF-8 ALL",
        "a DELETE",
        "a RENAME Projects",
        "a DELETE INBOX",
        "a DELETE Projects/",
        "a DELETE Projects//",
        "a DELETE /Projects",
        "a RENAME INBOX Old",
        "a RENAME Drafts Trash/x",
        "a RENAME Projects Projects/x",
        "a RENAME Projects Trash/x",
        "a CREATE projects",
        "a CREATE Pro\u{200b}jects",
        "a CREATE &AFM-",
    ]
    .map(|line| line.as_bytes().to_vec())
    .into();
    nothing_runs(&scene, &PEOPLE, &probes);
}

/// Two spellings of one folder must not be two folders: a hidden one stays hidden under all.
#[test]
fn a_hidden_folder_has_no_second_name() {
    let scene = furnished();
    let mut direct = scene.dovecot.login(SUPPORT);
    for folder in ["Secret", "Secret/Sub", "caf&AOk-"] {
        direct.ok(&format!("CREATE {folder}"));
        direct.append(folder, "", &crate::furnished::message(50));
    }
    let mut reader = scene.imap(CAROL);
    eventually("Mandate sees the folders", || reader.command("EXAMINE Secret/Sub").is_ok().then_some(()));
    scene
        .proxy
        .run(&["mailbox", "folders", SUPPORT, "Secret=hidden", "Secret/Sub=hidden", "caf\u{e9}=hidden"], "");
    let before = upstream(&scene);
    let aliases: [&[u8]; 30] = [
        b"Secret",
        b"secret",
        b"SECRET",
        b"{6+}\r\nSecret",
        b"{7+}\r\nSecret\0",
        b"{12+}\r\nSecret\0DRAFT",
        b"\"Secret\0\"",
        b"\"\\S\\e\\cret\"",
        b"\"Se\\\\cret\"",
        b"\"&AFM-ecret\"",
        b"&AFMAZQBjAHIAZQB0-",
        b"Secret/",
        b"/Secret",
        b"Secret//",
        b"Secret//Sub",
        b"Secret/Sub",
        b"Secret/sub",
        b"./Secret",
        b"INBOX/../Secret",
        b"Secret.Sub",
        b"caf&AOk-",
        b"caf&AOl-",
        b"cafe&AwE-",
        b"caf&AOk-/",
        "caf\u{e9}".as_bytes(),
        "\"caf\u{e9}\"".as_bytes(),
        b"Secret%",
        b"Secre*",
        b"\"Secret \"",
        b"\" Secret\"",
    ];
    for person in PEOPLE {
        let mut imap = scene.imap(person);
        assert!(!imap.ok("LIST \"\" *").has("ecret"));
        assert!(!imap.ok("LSUB \"\" *").has("ecret"));
        assert!(
            !imap.ok("LIST \"\" (INBOX Secret*) RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES))").has("ecret")
        );
        let verbs = [
            "SELECT @",
            "EXAMINE @",
            "STATUS @ (MESSAGES)",
            "MYRIGHTS @",
            "DELETE @",
            "RENAME @ smug",
            "SUBSCRIBE @",
        ];
        for verb in verbs {
            // What is answered for a name that nobody has.
            let absent = imap.command(&verb.replace('@', "Nothing"));
            for alias in aliases {
                let (head, tail) = verb.split_once('@').unwrap();
                let octets = [b"zy ", head.as_bytes(), alias, tail.as_bytes()].concat();
                let mut imap = scene.imap(person);
                let said = probe(&mut imap, &octets);
                let what = format!("{person}: {}\n{said}", String::from_utf8_lossy(&octets));
                let absent = [&*absent.tagged, "NO [NONEXISTENT] There is no such folder", "BAD "];
                let refused = absent.iter().any(|answer| said.contains(&format!("zy {answer}")));
                assert!(refused, "{what}");
                assert!(!said.contains("EXISTS") && !said.contains("MESSAGES"), "{what}");
            }
        }
        for alias in aliases {
            let mut imap = scene.imap(person);
            let copy = [b"zy UID COPY 1 ", alias].concat();
            imap.ok("SELECT INBOX");
            let said = probe(&mut imap, &copy);
            assert!(!said.contains("zy OK"), "{person}: {}\n{said}", String::from_utf8_lossy(&copy));
            let mut imap = scene.imap(person);
            let append = [b"zy APPEND ", alias, b" {6+}\r\nhidden"].concat();
            let said = probe(&mut imap, &append);
            assert!(!said.contains("zy OK"), "{person}: {}\n{said}", String::from_utf8_lossy(&append));
        }
        assert_unchanged(&scene, &before, person);
    }
}

/// Octets that are no IMAP at all, and the first lines of other protocols.
#[test]
fn noise_is_answered_and_ended() {
    let scene = furnished();
    let noise: Vec<Vec<u8>> = [
        b"GET / HTTP/1.1\r\nHost: x\r\n".to_vec(),
        b"EHLO x\r\nMAIL FROM:<a@b>\r\n".to_vec(),
        vec![0; 64],
        vec![0xff; 64],
        vec![b'a'; 70_000],
        b"a SELECT {99999999999999999999+}\r\n".to_vec(),
        b"a SELECT {4294967295+}\r\n".to_vec(),
        b"a APPEND Drafts {4294967295+}\r\n".to_vec(),
        [b"a FETCH 1 ".to_vec(), vec![b'('; 5_000]].concat(),
        [b"a SEARCH ".to_vec(), b"NOT ".repeat(5_000), b"ALL".to_vec()].concat(),
        [b"a SEARCH ".to_vec(), vec![b'('; 5_000], b"ALL".to_vec(), vec![b')'; 5_000]].concat(),
    ]
    .into();
    nothing_runs(&scene, &PEOPLE, &noise);
}
