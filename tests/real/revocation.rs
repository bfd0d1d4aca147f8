//! A grant that is withdrawn, narrowed or over ends what it must, wherever the session is.
//!
//! The measured times are printed; what is asserted leaves room for a busy machine.

use std::time::{Duration, Instant};

use crate::furnished::{assert_unchanged, furnished, furnished_with, message, upstream};
use crate::support::dovecot::{self, SUPPORT};
use crate::support::imap::quoted;
use crate::support::scene::password;
use crate::support::{ALICE, BOB, CAROL, Closing, Imap, Read, Scene, Smtp, Snapshot, eventually};

/// Invariant 13 says 100 ms; a busy machine may add to that.
const BOUND: Duration = Duration::from_secs(2);

/// A message that no socket buffer takes whole.
const LARGE: usize = 40 << 20;

/// The ways to lose access.
#[derive(Clone, Copy, Debug)]
enum Loss {
    Withdrawn,
    Disabled,
    /// The grant's end comes; the time is that from the end.
    Expired,
    /// A manager becomes a reader.
    Narrowed,
}

impl Loss {
    /// Gives the role in a way that can be lost so.
    fn grant(self, scene: &Scene, login: &str, role: &str) -> Option<Instant> {
        forget(scene, login);
        let Loss::Expired = self else {
            scene.grant(login, role);
            return None;
        };
        let (now, ahead) = (Instant::now(), Duration::from_secs(3));
        scene.proxy.run(&["grant", "add", login, SUPPORT, role, "--until", &until(ahead)], "");
        Some(now + ahead)
    }

    /// Brings the loss about, and returns the moment from which time counts.
    fn strike(self, scene: &Scene, login: &str, end: Option<Instant>) -> Instant {
        match self {
            Loss::Withdrawn => scene.revoke(login),
            Loss::Disabled => {
                scene.proxy.run(&["user", "disable", login], "");
            }
            Loss::Narrowed => {
                scene.grant(login, "reader");
                scene.proxy.run(&["grant", "remove", login, SUPPORT, "manager"], "");
            }
            Loss::Expired => return end.unwrap(),
        }
        Instant::now()
    }
}

/// Starts anew: without a grant, and enabled.
fn forget(scene: &Scene, login: &str) {
    // Both complain where there is nothing to do.
    scene.proxy.command(&["grant", "remove", login, SUPPORT], "");
    scene.proxy.command(&["user", "enable", login], "");
}

/// A moment ahead as RFC 3339, with milliseconds.
fn until(ahead: Duration) -> String {
    let moment = jiff::Timestamp::now() + jiff::SignedDuration::try_from(ahead).unwrap();
    format!("{moment:.3}")
}

#[track_caller]
fn report(what: &str, loss: Loss, since: Instant) {
    let took = Instant::now().saturating_duration_since(since);
    println!("revocation: {what}, {loss:?}: {} ms", took.as_millis());
    assert!(took < BOUND, "{what}, {loss:?}: {took:?}");
}

#[track_caller]
fn bye(imap: &mut Imap) {
    let (words, closing) = imap.bye();
    assert_eq!(words, format!("[UNAVAILABLE] Your access to {SUPPORT} has ended"));
    assert_eq!(closing, Closing::Orderly);
}

const TOTAL: [Loss; 3] = [Loss::Withdrawn, Loss::Disabled, Loss::Expired];

#[test]
fn an_open_idle_ends() {
    let scene = furnished();
    for loss in TOTAL {
        let end = loss.grant(&scene, BOB, "responder");
        let mut imap = scene.imap(BOB);
        imap.ok("SELECT INBOX");
        imap.start("IDLE");
        assert!(imap.response().starts_with(b"+"));
        let since = loss.strike(&scene, BOB, end);
        bye(&mut imap);
        report("IDLE", loss, since);
    }
}

#[test]
fn a_session_that_does_nothing_ends() {
    let scene = furnished();
    for loss in TOTAL {
        let end = loss.grant(&scene, CAROL, "reader");
        let mut imap = scene.imap(CAROL);
        let since = loss.strike(&scene, CAROL, end);
        bye(&mut imap);
        report("nothing", loss, since);
    }
    let journal = std::fs::read_to_string(scene.proxy.state().join("journal.jsonl")).unwrap();
    let ends = |why: &str| journal.matches(&format!("\"why\":\"{why}\"")).count();
    assert_eq!((ends("revoked"), ends("expired")), (2, 1), "{journal}");
}

/// A role of proxy.toml that is written anew acts in open sessions: narrowed, widened, gone.
#[test]
fn a_reloaded_role_acts_in_an_open_session() {
    let scene = furnished();
    let file = scene.proxy.configuration_file();
    let plain = std::fs::read_to_string(&file).unwrap();
    let roles = |rights: &str| {
        let role = format!("[roles.helper.rights]\ninbox = \"{rights}\"\n");
        std::fs::write(&file, format!("{plain}\n{}", if rights.is_empty() { "" } else { &role })).unwrap();
        scene.proxy.signal("HUP");
    };
    let known = || scene.proxy.run(&["role", "list"], "");
    forget(&scene, BOB);
    roles("lrsw");
    eventually("the role is there", || known().contains("helper").then_some(()));
    scene.grant(BOB, "helper");
    let mut imap = scene.imap(BOB);
    assert!(imap.ok("SELECT INBOX").tagged.contains("[READ-WRITE]"));
    // Who only reads has a read state of their own, and may set `\Seen` there.
    for (rights, shown) in [("lr", " lrs"), ("lrswi", " lrswi")] {
        roles(rights);
        eventually("the open session has the new rights", || {
            let answer = imap.ok("MYRIGHTS INBOX");
            answer.lines().iter().any(|line| line.trim_end().ends_with(shown)).then_some(())
        });
    }
    assert!(imap.append("INBOX", "", &message(99)).tagged.starts_with("OK"));
    roles("");
    bye(&mut imap);
}

#[test]
fn a_narrowed_grant_acts_at_the_next_command() {
    let scene = furnished();
    let mut imap = scene.imap(ALICE);
    imap.ok("SELECT INBOX");
    imap.ok("UID STORE 1 +FLAGS (\\Deleted)");
    let before = upstream(&scene);
    Loss::Narrowed.strike(&scene, ALICE, None);
    let expunged = imap.ok("EXPUNGE");
    assert!(expunged.has("PERMANENTFLAGS (\\Seen)"), "{expunged}");
    imap.ok("UID STORE 2 +FLAGS (\\Deleted)");
    assert!(imap.command("UID MOVE 1 Trash").tagged.starts_with("NO [NOPERM]"));
    assert!(imap.append("INBOX", "", &message(99)).tagged.starts_with("NO [NOPERM]"));
    imap.ok("CLOSE");
    assert_unchanged(&scene, &before, "narrowed");
    let mut smtp = scene.smtp(ALICE);
    assert_eq!(smtp.command(&format!("MAIL FROM:<{SUPPORT}>")).code, 550);
}

/// A large message is in INBOX as UID 6.
fn with_a_large_message() -> Scene {
    let scene = furnished_with(dovecot::Settings::default(), "[imap.session]\nappend_limit = 300000000\n");
    let mut large = message(6);
    while large.len() < LARGE {
        large.extend_from_slice(&[b'x'; 62]);
        large.extend_from_slice(b"\r\n");
    }
    scene.dovecot.deliver(SUPPORT, "INBOX", &large);
    scene
}

#[test]
fn a_download_is_cut_without_a_word() {
    let scene = with_a_large_message();
    for loss in TOTAL {
        let end = loss.grant(&scene, CAROL, "reader");
        let mut imap = scene.imap(CAROL);
        imap.ok("EXAMINE INBOX");
        imap.start("UID FETCH 6 BODY.PEEK[]");
        // The client has begun to read, and then is slow.
        assert!(matches!(imap.wire.octets(100_000, Duration::from_secs(20)), Read::Octets(_)));
        let since = loss.strike(&scene, CAROL, end);
        if end.is_some() {
            std::thread::sleep(since.saturating_duration_since(Instant::now()));
        }
        let mut read = 100_000;
        let closing = loop {
            match imap.wire.octets(1, Duration::from_secs(20)) {
                Read::Octets(_) => read += 1,
                Read::Closed(closing) => break closing,
                Read::Silence => panic!("the download hangs"),
            }
            assert!(read < LARGE, "the whole message came");
        };
        assert_eq!(closing, Closing::Cut, "a client must not take the message for whole");
        assert!(!imap.wire.trace().contains("BYE"));
        report("download, client reads slowly", loss, since);
    }
}

#[test]
fn queued_commands_are_not_carried_out() {
    let scene = with_a_large_message();
    let before = upstream(&scene);
    for loss in [Loss::Withdrawn, Loss::Narrowed] {
        Loss::Withdrawn.grant(&scene, ALICE, "manager");
        let mut imap = scene.imap(ALICE);
        imap.ok("SELECT INBOX");
        // The download blocks, since nobody reads; the rest waits in the queue.
        imap.start("UID FETCH 6 BODY.PEEK[]");
        assert!(matches!(imap.wire.octets(100_000, Duration::from_secs(20)), Read::Octets(_)));
        imap.start("UID MOVE 1:3 Trash");
        let last = imap.start("DELETE Projects");
        let since = loss.strike(&scene, ALICE, None);
        if let Loss::Withdrawn = loss {
            assert_eq!(imap.wire.closing(), Closing::Cut);
            report("download with queued commands", loss, since);
        } else {
            while !matches!(imap.wire.line(Duration::from_secs(20)), Read::Octets(line) if line.starts_with(last.as_bytes()))
            {
            }
            assert!(imap.wire.trace().contains(&format!("{last} NO [NOPERM]")), "{}", imap.wire.trace());
        }
        assert_unchanged(&scene, &before, "a queued MOVE and DELETE");
    }
}

/// Nothing half of a message is stored, neither now nor when upstream has noticed.
#[track_caller]
fn assert_nothing_stored(scene: &Scene, before: &Snapshot) {
    assert_unchanged(scene, before, "half an APPEND");
}

#[test]
fn an_append_half_way_is_given_up() {
    let scene = furnished();
    let before = upstream(&scene);
    for loss in [Loss::Withdrawn, Loss::Disabled, Loss::Expired, Loss::Narrowed] {
        let end = loss.grant(&scene, ALICE, "manager");
        let mut imap = scene.imap(ALICE);
        imap.start("APPEND INBOX {100000}");
        assert!(imap.response().starts_with(b"+"));
        imap.send(vec![b'x'; 50_000]);
        let since = loss.strike(&scene, ALICE, end);
        let mut said = Vec::new();
        let closing = loop {
            match imap.response_within(Duration::from_secs(20)) {
                Read::Octets(line) => said.push(String::from_utf8_lossy(&line).into_owned()),
                Read::Closed(closing) => break closing,
                Read::Silence => panic!("the APPEND hangs after {loss:?}"),
            }
        };
        println!("revocation: APPEND said {said:?}, {closing:?}");
        report("APPEND half-way", loss, since);
        assert_nothing_stored(&scene, &before);
    }
}

/// A submission session whose sender is accepted.
fn sending(scene: &Scene, login: &str) -> Smtp {
    let mut smtp = scene.smtp(login);
    smtp.expect(250, &format!("MAIL FROM:<{SUPPORT}>"));
    smtp.expect(250, "RCPT TO:<customer@example.net>");
    smtp
}

/// Reads whatever still comes, to the end of the connection.
fn drained(smtp: &mut Smtp) -> (String, Closing) {
    let mut said = String::new();
    loop {
        match smtp.wire.line(Duration::from_secs(20)) {
            Read::Octets(line) => said.push_str(&String::from_utf8_lossy(&line)),
            Read::Closed(closing) => return (said, closing),
            Read::Silence => panic!("the session stays open after: {said}"),
        }
    }
}

#[test]
fn a_submission_session_ends() {
    let scene = furnished();
    for loss in TOTAL {
        let end = loss.grant(&scene, BOB, "responder");
        let mut smtp = sending(&scene, BOB);
        let since = loss.strike(&scene, BOB, end);
        let (said, closing) = drained(&mut smtp);
        println!("revocation: submission said {said:?}, {closing:?}");
        report("submission session", loss, since);
    }
    assert!(scene.sink.deliveries().is_empty());
}

#[test]
fn a_message_half_way_is_not_sent() {
    let scene = furnished();
    for loss in [Loss::Withdrawn, Loss::Disabled, Loss::Expired, Loss::Narrowed] {
        let end = loss.grant(&scene, ALICE, "manager");
        let mut smtp = sending(&scene, ALICE);
        smtp.expect(354, "DATA");
        smtp.send(message(1));
        smtp.send(b"a line of the body\r\n".repeat(10_000));
        let since = loss.strike(&scene, ALICE, end);
        let (said, closing) = drained(&mut smtp);
        println!("revocation: DATA said {said:?}, {closing:?}");
        report("submission in the middle of DATA", loss, since);
    }
    assert!(scene.sink.deliveries().is_empty());
}

/// After the loss of one grant, what another allows goes on.
#[test]
fn what_another_grant_allows_goes_on() {
    let scene = furnished();
    scene.proxy.run(&["group", "add", "team"], "");
    scene.proxy.run(&["group", "join", "team", BOB], "");
    scene.grant("@team", "reader");
    let mut imap = scene.imap(BOB);
    imap.ok("SELECT INBOX");
    let told = scene.proxy.run(&["grant", "remove", BOB, SUPPORT], "");
    assert!(told.contains("team"), "{told}");
    assert!(imap.ok("NOOP").has("PERMANENTFLAGS (\\Seen)"));
    assert!(imap.append("Sent", "", &message(1)).tagged.starts_with("NO [NOPERM]"));
    imap.ok(&format!("EXAMINE {}", quoted("Sent")));
    scene.proxy.run(&["group", "leave", "team", BOB], "");
    bye(&mut imap);
}

/// A mail host that hangs delays nobody's end: the client is told at once.
#[test]
fn a_session_that_waits_for_its_mail_host_ends() {
    let scene = furnished();
    for command in [
        "SELECT Sent",
        "NOOP",
        "UID FETCH 1 BODY.PEEK[]",
        "UID STORE 1 +FLAGS (\\Flagged)",
        "UID MOVE 1 Trash",
    ] {
        Loss::Withdrawn.grant(&scene, ALICE, "manager");
        let mut imap = scene.imap(ALICE);
        imap.ok("SELECT INBOX");
        scene.dovecot.freeze();
        imap.start(command);
        let since = Loss::Withdrawn.strike(&scene, ALICE, None);
        let (words, _) = imap.bye();
        scene.dovecot.thaw();
        assert!(words.starts_with("[UNAVAILABLE] Your access"), "{command}: {words}");
        report(&format!("waiting for the host's answer to {command}"), Loss::Withdrawn, since);
    }
}

/// A withdrawal while the login still waits for the mail host's folders counts as well.
#[test]
fn a_slow_login_is_no_way_around_a_withdrawal() {
    let scene = Scene::open();
    scene.dovecot.freeze();
    let mut imap = Imap::tls(scene.proxy.imaps(), &scene.ca);
    imap.start(&format!("LOGIN {} {}", quoted(&format!("{BOB}/support")), quoted(&password(BOB))));
    eventually("the password is verified", || scene.proxy.log().contains("auth-ok").then_some(()));
    scene.revoke(BOB);
    scene.dovecot.thaw();
    let (words, _) = imap.bye();
    assert!(words.starts_with("[UNAVAILABLE] Your access"), "{words}");
}

/// How many sessions the daemon counts.
fn sessions(scene: &Scene) -> u64 {
    let status = scene.proxy.run(&["status", "--json"], "");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    status["sessions"][0]["count"].as_u64().unwrap()
}

/// A client that never reads again cannot keep its session, nor the connection to the host.
#[test]
fn a_client_that_never_reads_is_gone_all_the_same() {
    let scene = with_a_large_message();
    eventually("no session is left", || (sessions(&scene) == 0).then_some(()));
    let mut imap = scene.imap(CAROL);
    imap.ok("EXAMINE INBOX");
    imap.start("UID FETCH 6 BODY.PEEK[]");
    assert!(matches!(imap.wire.octets(1000, Duration::from_secs(20)), Read::Octets(_)));
    assert_eq!(sessions(&scene), 1);
    let since = Loss::Withdrawn.strike(&scene, CAROL, None);
    eventually("the session is gone", || (sessions(&scene) == 0).then_some(()));
    report("download, client never reads (by `mandate status`)", Loss::Withdrawn, since);
}
