//! SORT, THREAD and `$`, compared with a session of one's own on the host.

use std::collections::BTreeSet;

use crate::support::dovecot::SUPPORT;
use crate::support::{ALICE, CAROL, Imap, Random, Scene, Snapshot};

/// Messages in threads: answers to answers, to messages that are not there, and with subjects
/// alone to go by.
fn correspondence(scene: &Scene, count: u32) {
    let mut host = scene.dovecot.login(SUPPORT);
    let mut random = Random::new(7);
    for n in 1..=count {
        let parent = random.below(n as usize + 3);
        let references = match n % 3 {
            0 => String::new(),
            _ => format!("References: <{parent}@example.net>\r\nIn-Reply-To: <{parent}@example.net>\r\n"),
        };
        let reply = if n.is_multiple_of(4) { "Re: " } else { "" };
        let (subject, day, from) = (random.below(7), 1 + random.below(27), random.below(9));
        let message = format!(
            "From: c{from}@example.net\r\nSubject: {reply}matter {subject}\r\n\
             Message-ID: <{n}@example.net>\r\n{references}\
             Date: {day:02} Nov 2026 10:{:02}:00 +0000\r\n\r\nx\r\n",
            n % 60
        );
        assert!(host.append("INBOX", "", message.as_bytes()).is_ok());
    }
    host.command("LOGOUT");
}

fn answer(imap: &mut Imap, command: &str) -> (Vec<String>, bool) {
    let reply = imap.command(command);
    // Dovecot ends an empty THREAD in a space.
    let lines = reply.lines().iter().map(|line| without_tag(line.trim_end())).collect();
    (lines, reply.is_ok())
}

/// ESEARCH repeats the command's tag.
fn without_tag(line: &str) -> String {
    match (line.find("(TAG \""), line.find("\")")) {
        (Some(from), Some(to)) => format!("{}{}", &line[..from], &line[to + 2..]),
        _ => line.to_owned(),
    }
}

#[test]
fn marks_of_ones_own_sort_and_thread_as_the_hosts_own_do() {
    let scene = Scene::open();
    correspondence(&scene, 90);
    let mut carol = scene.imap(CAROL);
    carol.ok("SELECT INBOX");
    let mut random = Random::new(11);
    let seen: Vec<String> = (1..=90).filter(|_| random.below(3) == 0).map(|n: u32| n.to_string()).collect();
    let seen = seen.join(",");
    carol.ok(&format!("UID STORE {seen} +FLAGS.SILENT (\\Seen)"));
    let mut host = scene.dovecot.login(SUPPORT);
    host.ok("SELECT INBOX");
    host.ok("STORE 3,17,40 +FLAGS.SILENT (\\Flagged)");
    host.ok("UID STORE 5,6,50 +FLAGS.SILENT (\\Deleted)");
    host.ok("EXPUNGE");
    carol.ok("NOOP");
    let mut commands = Vec::new();
    for keys in
        ["UNSEEN", "SEEN", "OR SEEN FLAGGED", "NOT (UNSEEN SUBJECT \"matter 3\")", "SEEN UNSEEN", "NEW"]
    {
        for uid in ["", "UID "] {
            for order in ["DATE", "SUBJECT REVERSE DATE", "FROM REVERSE SUBJECT", "REVERSE ARRIVAL"] {
                commands.push(format!("{uid}SORT ({order}) UTF-8 {keys}"));
            }
            for by in ["REFERENCES", "REFS", "ORDEREDSUBJECT"] {
                commands.push(format!("{uid}THREAD {by} US-ASCII {keys}"));
            }
        }
    }
    let told: Vec<_> = commands.iter().map(|command| answer(&mut carol, command)).collect();
    // Now the host has them too.
    host.ok(&format!("UID STORE {seen} +FLAGS.SILENT (\\Seen)"));
    let mut compared = 0;
    for (command, told) in commands.iter().zip(told) {
        let (lines, ok) = answer(&mut host, command);
        // What the host has not got, it does not do for us either.
        assert_eq!(told.1, ok, "{command}");
        if ok {
            // Recent is whoever came first, and that is another session here and there.
            let new = command.ends_with("NEW");
            assert!(new || told.0 == lines, "{command}: {:?}, not {lines:?}", told.0);
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared}");
}

/// What is said with `$`, on the host itself and through Mandate.
const KEEPING: [&str; 26] = [
    "FETCH $ (UID FLAGS)",
    "SEARCH RETURN (SAVE) UNDELETED",
    "FETCH $ (UID)",
    "UID FETCH $ (FLAGS)",
    "SEARCH RETURN (SAVE COUNT) $ SUBJECT \"matter 2\"",
    "UID SEARCH $",
    "SEARCH UID $ FROM \"c1\"",
    "SEARCH NOT $ FROM \"c1\"",
    "SEARCH RETURN (ALL COUNT) OR $ FROM \"c1\"",
    "STORE $ +FLAGS (\\Flagged)",
    "UID STORE $ +FLAGS.SILENT ($Kept)",
    "UID SEARCH RETURN (SAVE MIN MAX) FLAGGED",
    "UID FETCH $ (UID)",
    "UID SEARCH RETURN (SAVE MIN) FLAGGED",
    "FETCH $ (UID)",
    "UID COPY $ Archive",
    "SEARCH RETURN (SAVE ALL MIN) KEYWORD $Kept",
    "SORT (DATE) UTF-8 $",
    "UID THREAD REFERENCES UTF-8 $",
    "MOVE $ Archive",
    "FETCH $ (UID)",
    "UID SEARCH RETURN (SAVE) FROM \"c3\"",
    "UID STORE $ +FLAGS.SILENT (\\Deleted)",
    "UID EXPUNGE $",
    "UID FETCH $ (UID)",
    "COPY $ Archive",
];

/// Which messages are where, with which flags; when they were stored does not matter.
fn held(all: &Snapshot) -> Vec<(&String, u32, &BTreeSet<String>, &Vec<u8>)> {
    let folders = all.folders.iter();
    let messages = folders.flat_map(|(name, folder)| folder.messages.iter().map(move |held| (name, held)));
    messages.map(|(name, (uid, message))| (name, *uid, &message.flags, &message.hash)).collect()
}

#[test]
fn what_a_search_has_kept_is_used_as_the_host_uses_it() {
    let run = |through: bool| {
        let scene = Scene::open();
        correspondence(&scene, 40);
        let mut imap = if through { scene.imap(ALICE) } else { scene.dovecot.login(SUPPORT) };
        imap.ok("SELECT INBOX");
        let answers = KEEPING.map(|command| (command, answer(&mut imap, command)));
        (answers, scene.dovecot.snapshot(SUPPORT))
    };
    let ((told, left), (expected, expected_left)) = (run(true), run(false));
    for ((command, told), (_, expected)) in told.into_iter().zip(expected) {
        let comparable = |answer: &(Vec<String>, bool)| {
            // New keywords are announced at another moment.
            let mut lines = answer.0.clone();
            lines.retain(|line| !line.starts_with("* FLAGS") && !line.contains("PERMANENTFLAGS"));
            // COPYUID's UIDVALIDITY is each run's own.
            lines.iter_mut().for_each(|line| *line = line.split("[COPYUID").next().unwrap().to_owned());
            (lines, answer.1)
        };
        assert_eq!(comparable(&told), comparable(&expected), "{command}");
    }
    assert_eq!(held(&left), held(&expected_left));
}
