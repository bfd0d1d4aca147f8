//! QRESYNC: what a client that comes back is told, and VANISHED in every way that messages go.

use std::collections::BTreeSet;

use crate::furnished::{furnished, furnished_with};
use crate::support::dovecot::{self, SUPPORT};
use crate::support::{ALICE, BOB, CAROL, Imap, Reply, Scene, eventually};

/// What a client keeps of a folder between its sessions.
struct Kept {
    validity: String,
    mod_seq: String,
}

fn code(reply: &Reply, name: &str) -> Option<String> {
    let lines = reply.lines();
    let line = lines.iter().find_map(|line| line.strip_prefix(&format!("* OK [{name} ")))?;
    Some(line.split(']').next()?.to_owned())
}

fn first_session(mut imap: Imap) -> Kept {
    imap.ok("ENABLE QRESYNC");
    let opened = imap.ok("SELECT INBOX");
    let kept = |name| code(&opened, name).unwrap_or_else(|| panic!("{name}: {opened}"));
    let kept = Kept { validity: kept("UIDVALIDITY"), mod_seq: kept("HIGHESTMODSEQ") };
    imap.command("LOGOUT");
    kept
}

/// The lines about messages in the answer to the SELECT of a client that comes back.
fn missed(imap: &mut Imap, kept: &Kept, more: &str) -> Vec<String> {
    imap.ok("ENABLE QRESYNC");
    let reply = imap.ok(&format!("SELECT INBOX (QRESYNC ({} {}{more}))", kept.validity, kept.mod_seq));
    let tells = |line: &String| line.contains(" FETCH ") || line.contains("VANISHED");
    reply.lines().into_iter().filter(tells).map(|line| line.replace(" \\Recent", "")).collect()
}

fn changed(scene: &Scene) {
    let mut host = scene.dovecot.login(SUPPORT);
    host.ok("SELECT INBOX");
    for n in 0..5 {
        assert!(host.append("INBOX", "", format!("Subject: {n}\r\n\r\nx\r\n").as_bytes()).is_ok());
    }
    host.ok("UID STORE 1 +FLAGS (\\Flagged)");
    host.ok("UID STORE 2,4,7 +FLAGS (\\Deleted)");
    host.ok("EXPUNGE");
    host.command("LOGOUT");
}

#[test]
fn a_client_that_comes_back_is_told_what_the_host_itself_tells() {
    let scene = furnished();
    let kept = first_session(scene.imap(ALICE));
    changed(&scene);
    for more in ["", " 1:3", " 1:4 (1,3 1,3)", " 9"] {
        let expected = missed(&mut scene.dovecot.login(SUPPORT), &kept, more);
        assert!(!expected.is_empty(), "{more}");
        for login in [ALICE, BOB] {
            let mut imap = scene.imap(login);
            assert_eq!(missed(&mut imap, &kept, more), expected, "{login}{more}");
            let since = format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {} VANISHED)", kept.mod_seq);
            assert!(imap.ok(&since).has("* VANISHED (EARLIER) "));
        }
    }
    // What this person has read is nobody else's change: no mod-sequences.
    let mut carol = scene.imap(CAROL);
    assert_eq!(missed(&mut carol, &kept, ""), Vec::<String>::new());
    carol.ok("UNSELECT");
    assert!(carol.ok("SELECT INBOX").has("[NOMODSEQ]"));
}

/// A client that keeps a folder by UID, as QRESYNC allows.
struct ByUid {
    imap: Imap,
    uids: BTreeSet<u32>,
}

impl ByUid {
    fn open(scene: &Scene, login: &str) -> ByUid {
        let mut imap = scene.imap(login);
        imap.ok("ENABLE QRESYNC");
        imap.ok("SELECT INBOX");
        let mut client = ByUid { imap, uids: BTreeSet::new() };
        client.command("UID FETCH 1:* (UID)");
        client
    }

    fn command(&mut self, command: &str) -> Reply {
        let reply = self.imap.ok(command);
        reply.lines().iter().for_each(|line| self.hear(line));
        reply
    }

    fn hear(&mut self, line: &str) {
        assert!(!line.ends_with(" EXPUNGE"), "{line}");
        if let Some(set) = line.strip_prefix("* VANISHED ").filter(|set| !set.starts_with("(EARLIER)")) {
            for uid in numbers(set) {
                assert!(self.uids.remove(&uid), "{line}: {:?}", self.uids);
            }
        }
        if let Some((_, rest)) = line.split_once("(UID ").filter(|_| line.contains(" FETCH ")) {
            self.uids.insert(rest.split([' ', ')']).next().unwrap().parse().unwrap());
        }
    }

    /// Whether it has heard of all that is gone and can find all that is there.
    fn agrees_with(&mut self, scene: &Scene) {
        self.command("UID FETCH 1:* (UID)");
        let mut fresh = scene.imap(ALICE);
        fresh.ok("EXAMINE INBOX");
        let found = fresh.ok("UID SEARCH ALL").lines();
        let found = found.iter().find_map(|line| line.strip_prefix("* SEARCH")).unwrap_or_default();
        let there = found.split_whitespace().map(|uid| uid.parse().unwrap()).collect();
        assert_eq!(self.uids, there);
    }
}

fn numbers(set: &str) -> Vec<u32> {
    let range = |range: &str| {
        let (a, b) = range.split_once(':').unwrap_or((range, range));
        a.parse::<u32>().unwrap()..=b.parse().unwrap()
    };
    set.split(',').flat_map(range).collect()
}

#[test]
fn every_way_that_messages_go_is_told_by_uid() {
    let scene = furnished();
    let mut reader = ByUid::open(&scene, CAROL);
    let mut responder = ByUid::open(&scene, BOB);
    let mut manager = ByUid::open(&scene, ALICE);
    manager.command("UID STORE 1 +FLAGS (\\Deleted)");
    assert!(manager.command("UID EXPUNGE 1").has("* VANISHED 1"));
    assert!(manager.command("EXPUNGE").has("* VANISHED 4"));
    let moved = manager.command("MOVE 1 Archive");
    assert!(moved.has("* VANISHED 2") && moved.tagged.contains("HIGHESTMODSEQ"), "{moved}");
    changed_by_mail(&scene);
    for client in [&mut reader, &mut responder, &mut manager] {
        client.command("NOOP");
        client.agrees_with(&scene);
    }
    // By number, on the message that the client means.
    let fetched = reader.command("FETCH 1 (UID)");
    assert!(fetched.has("(UID 3)"), "{fetched}");
}

fn changed_by_mail(scene: &Scene) {
    let mut host = scene.dovecot.login(SUPPORT);
    assert!(host.append("INBOX", "", b"Subject: new\r\n\r\nx\r\n").is_ok());
    host.command("LOGOUT");
}

#[test]
fn what_goes_to_trash_without_the_right_to_delete_is_told_by_uid() {
    let scene = furnished();
    scene.proxy.run(&["mailbox", "set", SUPPORT, "delete=trash"], "");
    let mut client = ByUid::open(&scene, BOB);
    client.command("UID STORE 3 +FLAGS (\\Deleted)");
    assert!(client.command("EXPUNGE").has("* VANISHED 3"));
    client.agrees_with(&scene);
}

#[test]
fn a_parked_session_is_told_by_uid_too() {
    let scene = furnished_with(dovecot::Settings::default(), "[limits]\nper_address = 1000\n");
    let mut bob = ByUid::open(&scene, BOB);
    let tag = bob.imap.start("IDLE");
    assert!(bob.imap.response().starts_with(b"+ "));
    // More people than connections: whoever idles gives way.
    let crowd: Vec<Imap> = (0..12)
        .map(|n| {
            let login = format!("person{n}@example.org");
            scene.add_user(&login);
            scene.grant(&login, "reader");
            let mut other = scene.imap(&login);
            other.ok("SELECT INBOX");
            other.start("IDLE");
            assert!(other.response().starts_with(b"+ "));
            other
        })
        .collect();
    let mut alice = scene.imap(ALICE);
    alice.ok("SELECT INBOX");
    alice.ok("UID STORE 1,3 +FLAGS.SILENT (\\Deleted)");
    alice.ok("UID EXPUNGE 1,3");
    eventually("bob hears of it", || {
        while let crate::support::Read::Octets(line) =
            bob.imap.response_within(std::time::Duration::from_millis(2))
        {
            bob.hear(String::from_utf8_lossy(&line).trim_end());
        }
        (!bob.uids.contains(&1) && !bob.uids.contains(&3)).then_some(())
    });
    bob.imap.send("DONE\r\n");
    let done = bob.imap.finish(&tag);
    done.lines().iter().for_each(|line| bob.hear(line));
    // Silent, parked or not: told with the next command.
    alice.ok("UID EXPUNGE 4");
    alice.command("LOGOUT");
    let fetched = bob.command("UID FETCH 1:* (UID)");
    assert!(fetched.has("* VANISHED 4"), "{fetched}");
    bob.agrees_with(&scene);
    drop(crowd);
}
