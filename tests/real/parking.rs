//! More people in a mailbox than its host allows connections: what each of them is told.
//!
//! Every onlooker keeps the folder as a client does, from what it is told and nothing else, and
//! is compared with a session that has just opened it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::support::dovecot;
use crate::support::{ALICE, BOB, CAROL, Imap, Read, Scene, eventually};

/// News in the folder where the watching connection idles.
const AT_ONCE: Duration = Duration::from_secs(5);

/// News in all others.
const IN_A_ROUND: Duration = Duration::from_secs(40);

const FOLDERS: [&str; 5] = ["INBOX", "Drafts", "Sent", "Trash", "Archive"];

/// A message as a client knows it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Known {
    uid: Option<u32>,
    flags: Option<BTreeSet<String>>,
}

/// A client with a folder open.
struct Onlooker {
    imap: Imap,
    folder: &'static str,
    messages: Vec<Known>,
    /// A reader's `\\Seen` is the reader's own.
    reads: bool,
    idling: Option<String>,
}

impl Onlooker {
    fn open(scene: &Scene, login: &str, folder: &'static str) -> Onlooker {
        let imap = scene.imap(login);
        let mut onlooker =
            Onlooker { imap, folder, messages: Vec::new(), reads: is_reader(login), idling: None };
        let answer = onlooker.command(&format!("SELECT {folder}"));
        assert!(answer.starts_with("OK "), "{login} {folder}: {answer}");
        onlooker.command("FETCH 1:* (UID FLAGS)");
        onlooker
    }

    fn command(&mut self, command: &str) -> String {
        let reply = self.imap.command(command);
        reply.lines().iter().for_each(|line| self.hear(line));
        reply.tagged
    }

    fn idle(&mut self) {
        let tag = self.imap.start("IDLE");
        loop {
            let line = String::from_utf8(self.imap.response()).unwrap();
            if line.starts_with("+ ") {
                break;
            }
            self.hear(&line);
        }
        self.idling = Some(tag);
    }

    fn done(&mut self) {
        let tag = self.idling.take().unwrap();
        self.imap.send("DONE\r\n");
        let reply = self.imap.finish(&tag);
        reply.lines().iter().for_each(|line| self.hear(line));
        assert!(reply.is_ok(), "{reply}");
    }

    /// Takes in what has arrived.
    fn listen(&mut self) {
        loop {
            match self.imap.response_within(Duration::from_millis(2)) {
                Read::Octets(line) => self.hear(&String::from_utf8_lossy(&line)),
                Read::Silence => return,
                Read::Closed(closing) => panic!("closed: {closing:?}\n{}", self.imap.wire.trace()),
            }
        }
    }

    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["*", "BYE", ..] => panic!("{line}"),
            ["*", number, "EXISTS"] => {
                let number = number.parse().unwrap();
                assert!(number >= self.messages.len(), "{line}: {}", self.imap.wire.trace());
                self.messages.resize_with(number, Known::default);
            }
            ["*", number, "EXPUNGE"] => {
                self.messages.remove(number.parse::<usize>().unwrap() - 1);
            }
            ["*", number, "FETCH", ..] => {
                let known = &mut self.messages[number.parse::<usize>().unwrap() - 1];
                if let Some(uid) = after(line, "UID ") {
                    let uid = uid.split([' ', ')']).next().unwrap().parse().unwrap();
                    assert!(known.uid.is_none_or(|before| before == uid), "{line}: {known:?}");
                    known.uid = Some(uid);
                }
                if let Some(flags) = after(line, "FLAGS (") {
                    let flags = flags.split(')').next().unwrap().split(' ');
                    known.flags = Some(
                        flags.filter(|flag| !matches!(*flag, "" | "\\Recent")).map(str::to_owned).collect(),
                    );
                }
            }
            _ => {}
        }
    }

    /// Whether what the client knows is true; of a new message it may not know everything.
    fn agrees(&self, truth: &Truth) -> bool {
        let truth = if self.reads { &truth.to_readers } else { &truth.to_others };
        let fits = |(known, truth): (&Known, &Known)| {
            known.uid.is_none_or(|uid| Some(uid) == truth.uid)
                && known.flags.as_ref().is_none_or(|flags| Some(flags) == truth.flags.as_ref())
        };
        self.messages.len() == truth.len() && self.messages.iter().zip(truth).all(fits)
    }
}

fn after<'l>(line: &'l str, words: &str) -> Option<&'l str> {
    line.find(words).map(|at| &line[at + words.len()..])
}

/// The folder as a session sees it that has just opened it.
#[derive(Debug)]
struct Truth {
    to_readers: Vec<Known>,
    to_others: Vec<Known>,
}

fn truth(scene: &Scene, folder: &'static str) -> Truth {
    let told = |login: &str| {
        let mut fresh = Onlooker::open(scene, login, folder);
        fresh.imap.command("LOGOUT");
        fresh.messages
    };
    Truth { to_readers: told(CAROL), to_others: told(ALICE) }
}

fn is_reader(login: &str) -> bool {
    let number = login.strip_prefix("person").and_then(|rest| rest.split('@').next()?.parse::<u32>().ok());
    login == CAROL || number.is_some_and(|number| !number.is_multiple_of(2))
}

fn message(subject: &str) -> Vec<u8> {
    format!("From: carol@example.org\r\nSubject: {subject}\r\n\r\nx\r\n").into_bytes()
}

/// Five messages in each folder.
fn fill(scene: &Scene) {
    let mut alice = scene.imap(ALICE);
    for folder in FOLDERS {
        for n in 0..5 {
            assert!(alice.append(folder, "", &message(&format!("{folder} {n}"))).is_ok());
        }
    }
    alice.command("LOGOUT");
}

fn users(scene: &Scene, count: usize) -> Vec<String> {
    let login = |n: usize| format!("person{n}@example.org");
    for n in 0..count {
        scene.add_user(&login(n));
        scene.grant(&login(n), if is_reader(&login(n)) { "reader" } else { "responder" });
    }
    (0..count).map(login).collect()
}

/// Everybody idles in a folder: each user in all of `folders`.
fn crowd(scene: &Scene, users: &[String], folders: &[&'static str]) -> Vec<Onlooker> {
    let mut crowd = Vec::new();
    for folder in folders {
        for user in users {
            let mut onlooker = Onlooker::open(scene, user, folder);
            onlooker.idle();
            crowd.push(onlooker);
        }
    }
    crowd
}

/// New mail, flags set and cleared, messages gone.
fn change(scene: &Scene, folder: &str, round: usize) {
    let mut alice = scene.imap(ALICE);
    alice.ok(&format!("SELECT {folder}"));
    alice.append(folder, "", &message("new"));
    alice.append(folder, "\\Seen", &message("new and seen"));
    alice.ok("STORE 3 +FLAGS (\\Flagged $Label1)");
    alice.ok("STORE 2 +FLAGS (\\Answered)");
    alice.ok(if round.is_multiple_of(2) { "STORE 4 +FLAGS (\\Seen)" } else { "STORE 4 -FLAGS (\\Seen)" });
    alice.ok("STORE 1,5 +FLAGS (\\Deleted)");
    alice.ok("EXPUNGE");
    alice.command("LOGOUT");
}

/// Waits until all onlookers of a folder agree with the truth; how long it took the last one.
fn all_agree(crowd: &mut [Onlooker], folder: &str, truth: &Truth, bound: Duration) -> Duration {
    let since = Instant::now();
    let mut waiting: Vec<&mut Onlooker> =
        crowd.iter_mut().filter(|onlooker| onlooker.folder == folder).collect();
    loop {
        waiting.iter_mut().for_each(|onlooker| onlooker.listen());
        waiting.retain(|onlooker| !onlooker.agrees(truth));
        if waiting.is_empty() {
            return since.elapsed();
        }
        if since.elapsed() > bound {
            let one = &waiting[0];
            panic!(
                "{} of {folder} do not agree: {:?}\nnot {truth:?}\n{}",
                waiting.len(),
                one.messages,
                one.imap.wire.trace()
            );
        }
    }
}

fn shown(scene: &Scene, crowd: &mut [Onlooker], folders: &[&'static str]) {
    for round in 0..2 {
        let since = Instant::now();
        for folder in folders {
            change(scene, folder, round);
        }
        for folder in folders {
            let truth = truth(scene, folder);
            let bound = if *folder == "INBOX" { AT_ONCE } else { IN_A_ROUND };
            all_agree(crowd, folder, &truth, bound);
            println!("parking: {folder}: all know after {:?}", since.elapsed());
        }
        assert!(since.elapsed() < IN_A_ROUND);
    }
    for onlooker in crowd.iter_mut() {
        onlooker.done();
    }
    // One after the other comes back and works: by number, on the messages that it means.
    for onlooker in crowd.iter_mut().step_by(3) {
        let before = onlooker.messages.clone();
        let answer = onlooker.command("FETCH 1:* (UID FLAGS)");
        assert!(answer.starts_with("OK "), "{answer}");
        assert!(
            before.iter().zip(&onlooker.messages).all(|(a, b)| a.uid.is_none_or(|uid| Some(uid) == b.uid))
        );
        onlooker.idle();
    }
    let log = scene.dovecot.log();
    assert!(!log.contains("Maximum number of connections"), "{log}");
    assert!(!scene.proxy.log().contains("host is full"));
}

fn scene() -> Scene {
    let scene = Scene::with(dovecot::Settings::default(), "[limits]\nper_address = 1000\n");
    fill(&scene);
    scene
}

fn resident(scene: &Scene) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", scene.proxy.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

#[test]
fn thirty_people_idle_on_a_host_that_allows_ten_connections() {
    let scene = scene();
    let users = users(&scene, 30);
    let mut crowd = crowd(&scene, &users, &["INBOX"]);
    shown(&scene, &mut crowd, &["INBOX"]);
}

#[test]
#[ignore = "nightly: sixty sessions, forty seconds"]
fn twelve_people_with_five_folders_each_idle_on_a_host_that_allows_ten_connections() {
    let scene = scene();
    let users = users(&scene, 12);
    let mut crowd = crowd(&scene, &users, &FOLDERS);
    shown(&scene, &mut crowd, &FOLDERS);
}

#[test]
#[ignore = "nightly: two hundred sessions"]
fn two_hundred_people_idle_in_one_folder() {
    let scene = scene();
    let users = users(&scene, 20);
    let before = resident(&scene);
    let mut crowd = crowd(&scene, &users, &["INBOX"; 10]);
    println!("parking: {} kB more for {} sessions", resident(&scene) - before, crowd.len());
    shown(&scene, &mut crowd, &["INBOX"]);
}

/// A session that is parked: its client has idled and stopped, and others took the connections.
fn parked(scene: &Scene, login: &str) -> (Onlooker, Vec<Onlooker>) {
    let mut parked = Onlooker::open(scene, login, "INBOX");
    parked.idle();
    let others = users(scene, 12);
    let others = crowd(scene, &others, &["INBOX"]);
    parked.done();
    (parked, others)
}

#[test]
fn what_a_search_has_kept_outlasts_the_connection() {
    let scene = scene();
    let mut bob = Onlooker::open(&scene, BOB, "INBOX");
    bob.imap.ok("SEARCH RETURN (SAVE) 2,4");
    let meant = [1, 3].map(|at| bob.messages[at].uid.unwrap());
    bob.idle();
    let others = users(&scene, 12);
    let _others = crowd(&scene, &others, &["INBOX"]);
    bob.done();
    let mut alice = scene.imap(ALICE);
    alice.ok("SELECT INBOX");
    alice.ok("STORE 1,2 +FLAGS.SILENT (\\Deleted)");
    alice.ok("EXPUNGE");
    let fetched = bob.imap.ok("UID FETCH $ (UID)");
    let left = format!("(UID {})", meant[1]);
    let lines: Vec<String> = fetched.lines().into_iter().filter(|line| line.contains("FETCH")).collect();
    assert!(lines.iter().any(|line| line.contains(&left)), "{fetched}");
    assert!(!lines.iter().any(|line| line.contains(&format!("(UID {})", meant[0]))), "{fetched}");
}

#[test]
fn a_number_means_the_same_message_after_others_are_gone() {
    let scene = scene();
    let (mut bob, _others) = parked(&scene, BOB);
    let meant = bob.messages[3].uid.unwrap();
    let mut alice = scene.imap(ALICE);
    alice.ok("SELECT INBOX");
    alice.ok("STORE 1 +FLAGS (\\Deleted)");
    alice.ok("EXPUNGE");
    // By number: nothing is done, and nothing told that would move numbers.
    for command in ["STORE 4 +FLAGS (\\Flagged)", "FETCH 4 (FLAGS)", "SEARCH 4 ALL"] {
        let reply = bob.imap.command(command);
        assert!(reply.tagged.starts_with("NO [EXPUNGEISSUED] "), "{command}: {reply}");
        assert!(!reply.has("EXPUNGE"), "{command}: {reply}");
    }
    assert_eq!(
        truth(&scene, "INBOX")
            .to_others
            .iter()
            .filter(|known| known.flags.as_ref().unwrap().contains("\\Flagged"))
            .count(),
        0
    );
    // By UID: told first, and done.
    let answer = bob.command(&format!("UID STORE {meant} +FLAGS (\\Flagged)"));
    assert!(answer.starts_with("OK "), "{answer}");
    let truth = truth(&scene, "INBOX");
    assert!(bob.agrees(&truth), "{:?} {truth:?}", bob.messages);
    let flagged =
        truth.to_others.iter().find(|known| known.flags.as_ref().unwrap().contains("\\Flagged")).unwrap();
    assert_eq!(flagged.uid, Some(meant));
    let answer = bob.command("STORE 3 -FLAGS (\\Flagged)");
    assert!(answer.starts_with("OK "), "{answer}");
    assert!(
        bob.messages[2].uid == Some(meant) && !bob.messages[2].flags.as_ref().unwrap().contains("\\Flagged")
    );
}

#[test]
fn a_refused_search_leaves_nothing_kept() {
    let scene = scene();
    let mut bob = Onlooker::open(&scene, BOB, "INBOX");
    bob.imap.ok("SEARCH RETURN (SAVE) 2,4");
    bob.idle();
    let others = users(&scene, 12);
    let _others = crowd(&scene, &others, &["INBOX"]);
    bob.done();
    let mut alice = scene.imap(ALICE);
    alice.ok("SELECT INBOX");
    alice.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
    alice.ok("EXPUNGE");
    let refused = bob.imap.command("SEARCH RETURN (SAVE) 1 UNSEEN");
    assert!(refused.tagged.starts_with("NO [EXPUNGEISSUED] "), "{refused}");
    let fetched = bob.imap.ok("UID FETCH $ (UID)");
    assert!(!fetched.has("(UID "), "{fetched}");
}

#[test]
fn copying_by_number_is_refused_with_the_reason() {
    let scene = scene();
    let (mut manager, _others) = parked(&scene, ALICE);
    change(&scene, "INBOX", 0);
    let answer = manager.command("COPY 4 Archive");
    assert!(answer.starts_with("NO [EXPUNGEISSUED] "), "{answer}");
    assert!(manager.agrees(&truth(&scene, "INBOX")));
    assert_eq!(truth(&scene, "Archive").to_others.len(), 5);
    assert!(manager.command("COPY 2 Archive").starts_with("OK "));
}

#[test]
fn a_noop_of_a_parked_session_tells_everything() {
    let scene = scene();
    let (mut bob, _others) = parked(&scene, BOB);
    change(&scene, "INBOX", 0);
    assert!(bob.command("NOOP").starts_with("OK "));
    assert!(bob.agrees(&truth(&scene, "INBOX")));
}

#[test]
fn a_folder_without_mod_sequences_has_none_after_parking_either() {
    let scene = scene();
    let mut carol = Onlooker::open(&scene, CAROL, "Archive");
    carol.imap.ok("ENABLE CONDSTORE");
    assert!(carol.imap.ok("SELECT INBOX").has("[NOMODSEQ]"));
    carol.idle();
    let others = users(&scene, 12);
    let _others = crowd(&scene, &others, &["INBOX"]);
    carol.done();
    let mut alice = scene.imap(ALICE);
    alice.ok("SELECT INBOX");
    for (number, command) in [(1, "NOOP"), (2, "UID FETCH 4294967295 (UID)")] {
        alice.ok(&format!("STORE {number} +FLAGS.SILENT (\\Flagged)"));
        let news = carol.imap.ok(command);
        assert!(news.has("\\Flagged") && !news.has("MODSEQ"), "{news}");
    }
}

#[test]
fn a_parked_session_ends_with_its_grant() {
    let scene = scene();
    let mut carol = Onlooker::open(&scene, CAROL, "INBOX");
    carol.idle();
    let others = users(&scene, 12);
    let _others = crowd(&scene, &others, &["INBOX"]);
    scene.revoke(CAROL);
    let since = Instant::now();
    let (words, _) = carol.imap.bye();
    println!("parking: a parked session ended {:?} after its grant", since.elapsed());
    assert!(words.starts_with("[UNAVAILABLE] Your access to support@example.org has ended"), "{words}");
    assert!(since.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_folder_that_was_replaced_ends_parked_sessions() {
    let scene = scene();
    let mut alice = scene.imap(ALICE);
    alice.ok("CREATE Projects");
    assert!(alice.append("Projects", "", &message("old")).is_ok());
    let mut bob = Onlooker::open(&scene, BOB, "Projects");
    bob.idle();
    let others = users(&scene, 12);
    let _others = crowd(&scene, &others, &["INBOX"]);
    alice.ok("DELETE Projects");
    alice.ok("CREATE Projects");
    assert!(alice.append("Projects", "", &message("new")).is_ok());
    let words = loop {
        match bob.imap.response_within(IN_A_ROUND) {
            Read::Octets(line) if line.starts_with(b"* BYE ") => break String::from_utf8(line).unwrap(),
            Read::Octets(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(words.contains("The folder was replaced"), "{words}");
}

#[test]
fn a_host_that_restarts_is_watched_again() {
    let mut scene = scene();
    let mut carol = Onlooker::open(&scene, CAROL, "INBOX");
    carol.idle();
    let others = users(&scene, 12);
    let mut others = crowd(&scene, &others, &["INBOX"]);
    scene.dovecot.stop();
    // Whoever had a connection loses it; the parked wait.
    let open = |onlooker: &mut Onlooker| loop {
        match onlooker.imap.response_within(Duration::from_millis(500)) {
            Read::Octets(_) => {}
            Read::Silence => return true,
            Read::Closed(_) => return false,
        }
    };
    assert!(open(&mut carol));
    others.retain_mut(open);
    assert!((3..=10).contains(&others.len()), "{}", others.len());
    scene.dovecot.resume();
    change(&scene, "INBOX", 0);
    let truth = truth(&scene, "INBOX");
    eventually("everybody knows", || {
        carol.listen();
        carol.agrees(&truth).then_some(())
    });
    all_agree(&mut others, "INBOX", &truth, AT_ONCE);
}
