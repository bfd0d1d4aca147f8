//! Before login, and at it: what strangers get, and the limits of it.

use std::io::Read as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::dovecot::{self, SUPPORT};
use crate::support::imap::quoted;
use crate::support::scene::password;
use crate::support::{ALICE, BOB, CAROL, Closing, Imap, Read, Scene, Smtp, Wire, eventually};

fn scene(extra: &str) -> Scene {
    Scene::with(dovecot::Settings::default(), extra)
}

fn imap(scene: &Scene) -> Imap {
    Imap::tls(scene.proxy.imaps(), &scene.ca)
}

/// A LOGIN on a connection of its own: its answer, and how long it took.
fn log_in(scene: &Scene, name: &str, word: &str) -> (String, Duration) {
    let mut imap = imap(scene);
    let since = Instant::now();
    let answer = imap.command(&format!("LOGIN {} {}", quoted(name), quoted(word))).tagged;
    (answer, since.elapsed())
}

const WRONG: &str = "NO [AUTHENTICATIONFAILED] The user name or the password is wrong";
const NO_ACCESS: &str = "NO [UNAVAILABLE] You have no access to this mailbox, or there is no such mailbox";

#[test]
fn a_refused_login_tells_what_a_client_can_use_and_no_more() {
    let scene = scene("[login.throttle]\ndelays_seconds = [0]\n");
    scene.add_user("dave@example.org");
    let support = |person: &str| format!("{person}/{SUPPORT}");
    let right = password(BOB);
    scene.proxy.run(&["user", "disable", CAROL], "");
    for (name, word, answer) in [
        (support(BOB), "wrong", WRONG),
        (support(BOB), "", WRONG),
        (support("nobody@example.org"), "wrong", WRONG),
        (support(CAROL), &*password(CAROL), WRONG),
        (support(CAROL), "wrong", WRONG),
        ("bob@example.org/nothing@example.org".to_owned(), "wrong", WRONG),
        // From here on, the password is right.
        ("bob@example.org/nothing@example.org".to_owned(), &right, NO_ACCESS),
        (support("dave@example.org"), &password("dave"), NO_ACCESS),
    ] {
        assert_eq!(log_in(&scene, &name, word).0, answer, "{name} {word}");
    }
    let personal = log_in(&scene, BOB, &right).0;
    assert!(personal.starts_with("OK "), "{personal}");
    assert!(log_in(&scene, &support(BOB), &right).0.starts_with("OK "));
    assert!(log_in(&scene, "bob@example.org/support", &right).0.starts_with("OK "));
    assert!(!scene.proxy.log().contains("wrong\""), "a password in the log");
}

#[test]
fn each_wrong_password_waits_longer() {
    let scene = scene("[login.throttle]\ndelays_seconds = [1, 2]\n");
    let name = format!("{BOB}/{SUPPORT}");
    let (first, took) = log_in(&scene, &name, "wrong one");
    assert_eq!(first, WRONG);
    assert!(took >= Duration::from_millis(950), "{took:?}");
    let (_, took) = log_in(&scene, &name, "wrong two");
    assert!(took >= Duration::from_millis(1950), "{took:?}");
    // The same again is a telephone with an old password: held back, but counted once.
    let (_, took) = log_in(&scene, &name, "wrong two");
    println!("limits: the same wrong password again is answered after {} ms", took.as_millis());
    let (answer, took) = log_in(&scene, &name, &password(BOB));
    assert!(answer.starts_with("OK "), "{answer}");
    println!("limits: the right password is answered after {} ms", took.as_millis());
    // Having logged in from here before, bob is not held back by what strangers do.
    log_in(&scene, &format!("{CAROL}/{SUPPORT}"), "wrong");
    let (_, took) = log_in(&scene, &name, &password(BOB));
    assert!(took < Duration::from_millis(900), "{took:?}");
}

#[test]
fn strangers_connections_are_few_and_short() {
    let scene = scene("[limits]\nunauthenticated_per_address = 3\n[imap.session]\nlogin_seconds = 3\n");
    let since = Instant::now();
    let mut strangers: Vec<Imap> = (0..3).map(|_| imap(&scene)).collect();
    // One more is closed at once, before TLS.
    let mut fourth = TcpStream::connect(scene.proxy.imaps()).unwrap();
    fourth.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut said = Vec::new();
    let _ = fourth.read_to_end(&mut said);
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    // Whoever logs in is no stranger any more, and stays.
    let mut bob = strangers.pop().unwrap();
    bob.login(&format!("{BOB}/{SUPPORT}"), &password(BOB));
    let _third = imap(&scene);
    for stranger in &mut strangers {
        stranger.wire.closing();
        let took = since.elapsed();
        assert!(took > Duration::from_millis(2500) && took < Duration::from_secs(10), "{took:?}");
    }
    bob.ok("NOOP");
    drop(eventually("there is room again", || {
        let mut socket = TcpStream::connect(scene.proxy.imaps()).ok()?;
        socket.set_read_timeout(Some(Duration::from_millis(100))).ok()?;
        match socket.read(&mut [0]) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Some(socket),
            _ => None,
        }
    }));
}

#[test]
fn a_tls_handshake_has_an_end() {
    let scene = scene("");
    let text = std::fs::read_to_string(scene.proxy.configuration_file()).unwrap();
    assert!(text.contains("[tls]"));
    // Speaking plainly to a TLS listener ends at once.
    let mut plain = Wire::plain(scene.proxy.imaps());
    plain.send("a LOGIN bob secret\r\n");
    plain.closing();
    let mut http = Wire::plain(scene.proxy.submissions());
    http.send("GET / HTTP/1.1\r\n\r\n");
    http.closing();
}

#[test]
fn a_stranger_gets_few_words() {
    let scene = scene("[login.throttle]\ndelays_seconds = [0]\n");
    let ended = |octets: &[u8]| {
        let mut imap = imap(&scene);
        let _ = imap.wire.try_send(octets);
        let mut said = String::new();
        loop {
            match imap.response_within(Duration::from_secs(10)) {
                Read::Octets(line) => said.push_str(&format!("{}\n", String::from_utf8_lossy(&line))),
                Read::Closed(closing) => return (said, closing),
                Read::Silence => {
                    panic!("stays open: {}\n{said}", String::from_utf8_lossy(&octets[..60.min(octets.len())]))
                }
            }
        }
    };
    // Commands that are none: three, and HTTP none at all.
    let (said, _) = ended(b"a XYZZY\r\nb XYZZY\r\nc XYZZY\r\nd NOOP\r\n");
    assert!(!said.contains("d OK"), "{said}");
    let (said, _) = ended(b"GET / HTTP/1.1\r\nHost: x\r\n\r\na NOOP\r\n");
    assert!(!said.contains("a OK"), "{said}");
    // A line and a literal that are too long.
    let (said, _) = ended(&[b"a LOGIN bob \"".to_vec(), vec![b'x'; 100_000], b"\"\r\n".to_vec()].concat());
    assert!(!said.contains("OK LOGIN"), "{said}");
    let (said, _) = ended(b"a LOGIN {100000}\r\nb LOGOUT\r\n");
    assert!(said.contains("a BAD") && !said.contains("+ "), "{said}");
    let (said, _) = ended(b"a LOGIN {4000000000+}\r\n");
    assert!(!said.contains("+ "), "{said}");
    // Wrong passwords.
    let guess = |n: u32| format!("g{n} LOGIN {BOB}/{SUPPORT} wrong{n}\r\n");
    let guesses: String = (0..4).map(guess).collect();
    let (said, _) = ended(format!("{guesses}z NOOP\r\n").as_bytes());
    assert!(said.contains("g2 NO") && !said.contains("g3 ") && !said.contains("z OK"), "{said}");
    assert!(said.ends_with("* BYE Too many attempts without a login; please connect again\n"), "{said}");
    // Commands without a login.
    let noops: String = (0..20).map(|n| format!("n{n} NOOP\r\n")).collect();
    let (said, _) = ended(noops.as_bytes());
    assert!(said.contains("n9 OK") && !said.contains("n10 "), "{said}");
    // What needs a login does nothing without.
    let (said, _) = ended(b"a SELECT INBOX\r\nb LIST \"\" *\r\nc APPEND INBOX {3+}\r\nabc\r\nd LOGOUT\r\n");
    assert!(said.contains("a BAD") && said.contains("b BAD"), "{said}");
    assert!(scene.imap(ALICE).ok("STATUS INBOX (MESSAGES)").has("(MESSAGES 0)"));
}

#[test]
fn submission_has_the_same_door() {
    let scene = scene("[login.throttle]\ndelays_seconds = [0]\n");
    let session = || {
        let mut smtp = Smtp::tls(scene.proxy.submissions(), &scene.ca);
        smtp.expect(250, "EHLO client.example.org");
        smtp
    };
    let mut smtp = session();
    assert_eq!(smtp.login(&format!("{BOB}/{SUPPORT}"), "wrong").code, 535);
    assert_eq!(smtp.login(&format!("nobody@example.org/{SUPPORT}"), "wrong").code, 535);
    let no_mailbox = session().login("bob@example.org/nothing@example.org", &password(BOB));
    println!("limits: submission without a mailbox: {no_mailbox}");
    assert!(no_mailbox.code != 235, "{no_mailbox}");
    let mut smtp = session();
    let refused = smtp.command(&format!("MAIL FROM:<{SUPPORT}>"));
    assert_eq!(refused.code, 530, "{refused}");
    let mut smtp = session();
    for _ in 0..3 {
        let _ = smtp.wire.try_send(b"XYZZY\r\n");
    }
    let _ = smtp.wire.try_send(b"NOOP\r\n");
    assert!(matches!(smtp.wire.closing(), Closing::Orderly | Closing::Cut));
    assert!(scene.sink.commands().is_empty());
}
