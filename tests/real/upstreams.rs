//! Mail hosts that are down, refuse, or allow few connections.

use std::time::{Duration, Instant};

use crate::furnished::{assert_unchanged, furnished, upstream};
use crate::support::dovecot::{SUPPORT, SUPPORT_PASSWORD, Settings};
use crate::support::scene::password;
use crate::support::{ALICE, BOB, CAROL, Closing, Imap, Read, Scene, Smtp, eventually};

/// A login that may fail.
fn try_login(scene: &Scene, login: &str) -> String {
    let mut imap = Imap::tls(scene.proxy.imaps(), &scene.ca);
    imap.command(&format!("LOGIN {login}/{SUPPORT} \"{}\"", password(login))).tagged
}

const UNREACHABLE: &str =
    "NO [UNAVAILABLE] The mail host of support@example.org cannot be reached; please try again later";

#[test]
fn a_dead_host_is_no_wrong_password() {
    let mut scene = furnished();
    let mut open = scene.imap(BOB);
    scene.dovecot.stop();
    // Folders are still known; their contents are not to be had.
    let since = Instant::now();
    assert_eq!(open.command("SELECT INBOX").tagged, UNREACHABLE);
    assert_eq!(open.command("STATUS INBOX (MESSAGES)").tagged, UNREACHABLE);
    assert_eq!(open.append("Sent", "", b"a: b\r\n\r\n").tagged, UNREACHABLE);
    println!("upstream: a dead host is known after {} ms", since.elapsed().as_millis());
    // A daemon that never saw the host has nothing to show.
    scene.proxy.terminate();
    scene.proxy.restart();
    assert_eq!(try_login(&scene, BOB), UNREACHABLE);
    scene.dovecot.resume();
    eventually("the host is back", || try_login(&scene, BOB).starts_with("OK").then_some(()));
    scene.imap(BOB).ok("SELECT INBOX");
}

#[test]
fn a_host_that_dies_ends_its_sessions() {
    let mut scene = furnished();
    let mut idle = scene.imap(BOB);
    idle.ok("SELECT INBOX");
    idle.start("IDLE");
    assert!(idle.response().starts_with(b"+"));
    let mut waiting = scene.imap(CAROL);
    waiting.ok("EXAMINE INBOX");
    scene.dovecot.stop();
    let (words, closing) = idle.bye();
    assert!(words.starts_with("[UNAVAILABLE] The mail host of support@example.org has a problem"), "{words}");
    assert_eq!(closing, Closing::Orderly);
    waiting.start("NOOP");
    assert!(waiting.bye().0.starts_with("[UNAVAILABLE]"));
}

#[test]
fn a_host_that_dies_in_a_literal_cuts_the_client() {
    let mut scene = furnished();
    let large = [b"Subject: large\r\n\r\n".to_vec(), b"a line\r\n".repeat(5 << 20)].concat();
    scene.dovecot.deliver(SUPPORT, "INBOX", &large);
    let mut imap = scene.imap(CAROL);
    imap.ok("EXAMINE INBOX");
    imap.start("UID FETCH 6 BODY.PEEK[]");
    assert!(matches!(imap.wire.octets(100_000, Duration::from_secs(20)), Read::Octets(_)));
    scene.dovecot.stop();
    assert_eq!(imap.wire.closing(), Closing::Cut, "a client must not take the message for whole");
    assert!(!imap.wire.trace().contains("BYE"));
}

#[test]
fn a_stored_password_that_no_longer_works_is_not_the_users_fault() {
    let mut scene = furnished();
    scene.proxy.terminate();
    scene.dovecot.set_password(SUPPORT, "another");
    scene.proxy.restart();
    assert_eq!(try_login(&scene, BOB), UNREACHABLE);
    assert!(!scene.proxy.log().contains(SUPPORT_PASSWORD));
    let mut smtp = Smtp::tls(scene.proxy.submissions(), &scene.ca);
    smtp.expect(250, "EHLO client.example.org");
    let reply = smtp.login(&format!("{BOB}/{SUPPORT}"), &password(BOB));
    // The user's own password is right; the host's is asked for with the first sender.
    assert_eq!(reply.code, 235);
    let reply = smtp.command(&format!("MAIL FROM:<{SUPPORT}>"));
    assert_eq!(reply.code / 100, 4, "{reply}");
}

#[test]
fn a_hosts_cap_is_said_in_words_and_soon() {
    let settings = Settings { max_connections: 3, ..Settings::default() };
    let mut scene = Scene::with(settings, "");
    let before = upstream(&scene);
    let mut sessions: Vec<Imap> = (0..6).map(|_| scene.imap(ALICE)).collect();
    let (mut open, mut refused) = (Vec::new(), Vec::new());
    for (number, imap) in sessions.iter_mut().enumerate() {
        let since = Instant::now();
        let selected = imap.command("SELECT INBOX");
        let took = since.elapsed();
        println!("upstream: session {number}: {} after {} ms", selected.tagged, took.as_millis());
        if selected.is_ok() {
            open.push(number);
            continue;
        }
        assert!(selected.tagged.starts_with("NO [UNAVAILABLE] Too many folders of"), "{}", selected.tagged);
        assert!(took < Duration::from_secs(8), "{took:?}");
        refused.push(number);
    }
    assert!(!open.is_empty() && !refused.is_empty(), "{open:?} {refused:?}");
    // Whoever leaves makes room, and what needs no folder goes on meanwhile.
    let last = &mut sessions[refused[0]];
    last.ok("NOOP");
    last.ok("LIST \"\" *");
    sessions[open[0]].ok("CLOSE");
    sessions[refused[0]].ok("SELECT INBOX");
    drop(sessions);
    eventually("connections are closed", || scene.imap(BOB).command("SELECT INBOX").is_ok().then_some(()));
    // Its idle connections would take our own.
    scene.proxy.terminate();
    eventually("Dovecot has a connection for us", || {
        let mut imap = Imap::plain(scene.dovecot.imap());
        imap.command(&format!("LOGIN {SUPPORT} {SUPPORT_PASSWORD}")).is_ok().then_some(())
    });
    assert_unchanged(&scene, &before, "the cap");
}
