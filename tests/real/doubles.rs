//! The copies that clients store themselves, in either view and on hosts that say little: each
//! message is in Sent once.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use crate::furnished::furnished_with;
use crate::outbox::{INFO, answer, copies_of, hand_in, settled};
use crate::support::dovecot::{self, SUPPORT, SUPPORT_PASSWORD};
use crate::support::scene::password;
use crate::support::{ALICE, BOB, Scene};

fn scene_with(account: &str, word: String) -> Scene {
    let users = [(SUPPORT.to_owned(), SUPPORT_PASSWORD.to_owned()), (account.to_owned(), word)];
    furnished_with(dovecot::Settings { users: users.into(), ..dovecot::Settings::default() }, "")
}

/// Alice's own mail and the shared mailbox in one session, her own copies put where clients put
/// them.
#[test]
fn doubles_in_the_combined_view() {
    let scene = scene_with(ALICE, password(ALICE));
    let (imap, smtp) = (scene.dovecot.imaps().port(), scene.postfix.submissions().port());
    let (imap, smtp, ca_file) = (format!("localhost:{imap}"), format!("localhost:{smtp}"), scene.ca.file());
    let own = ["user", "host", ALICE, "--imap", &imap, "--smtp", &smtp, "--pass-through", "--ca-file"];
    scene.proxy.run(&[&own[..], &[ca_file.to_str().unwrap()]].concat(), "");
    let word = password(ALICE);
    let mut combined = scene.proxy.imap(&scene.ca, ALICE, &word);
    let mut account = scene.imap(ALICE);
    let mut smtp = scene.proxy.smtp(&scene.ca, ALICE, &word);
    let mut send = |message: &[u8]| {
        let reply = hand_in(&mut smtp, message);
        assert_eq!(reply.code, 250, "{reply}\n{}", scene.proxy.log());
        settled(&scene);
    };
    let both = |id: &str| (copies_of(&scene, SUPPORT, id).len(), copies_of(&scene, ALICE, id).len());
    let message = |id: &str| answer(&format!("{id}@example.org"), "", &"a line\r\n".repeat(20));
    let place = "Shared/support/Sent";

    // After ours, and before it, into the shared folder; by the account view, too.
    send(&message("after"));
    let stored = combined.append(place, "\\Seen", &message("after"));
    assert!(stored.is_ok() && stored.to_string().contains("[APPENDUID "), "{stored}");
    assert!(combined.append(place, "\\Seen", &message("before")).is_ok());
    send(&message("before"));
    send(&message("account"));
    assert!(account.append("Sent", "\\Seen", &message("account")).is_ok());
    assert!(account.append("Sent", "\\Seen", &message("account-before")).is_ok());
    send(&message("account-before"));
    for id in ["after", "before", "account", "account-before"] {
        let id = format!("{id}@example.org");
        assert_eq!(both(&id), (1, 0), "{id}");
    }

    // Into her own Sent, as a client does whose identity is the person: hers is hers.
    send(&message("own-after"));
    assert!(combined.append("Sent", "\\Seen", &message("own-after")).is_ok());
    assert!(combined.append("Sent", "\\Seen", &message("own-before")).is_ok());
    send(&message("own-before"));
    for id in ["own-after", "own-before"] {
        let id = format!("{id}@example.org");
        assert_eq!(both(&id), (1, 1), "{id}");
    }

    // Her own mail is her own client's to file.
    let own = String::from_utf8(message("personal")).unwrap().replace(SUPPORT, ALICE);
    smtp.expect(250, &format!("MAIL FROM:<{ALICE}>"));
    smtp.expect(250, "RCPT TO:<customer@example.net>");
    assert_eq!(smtp.data(own.as_bytes()).code, 250);
    settled(&scene);
    assert!(combined.append("Sent", "\\Seen", own.as_bytes()).is_ok());
    assert_eq!(both("personal@example.org"), (0, 1));
}

/// A way to the mail host on which nothing is heard of UIDPLUS.
fn without_uidplus(host: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(host).unwrap();
            let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || pass(&mut up, server, <[u8]>::to_vec));
            std::thread::spawn(move || pass(&mut down, client, unsaid));
        }
    });
    address
}

/// Passes octets until one side ends.
fn pass(from: &mut TcpStream, mut to: TcpStream, change: fn(&[u8]) -> Vec<u8>) {
    let mut buffer = [0; 8 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if to.write_all(&change(&buffer[..read])).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// Dovecot writes these lines whole.
fn unsaid(octets: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(octets).replace(" UIDPLUS", "");
    match text.split_once("[APPENDUID ") {
        Some((before, after)) => format!("{before}{}", after.split_once("] ").unwrap().1).into_bytes(),
        None => text.into_bytes(),
    }
}

#[test]
fn a_copy_that_was_removed_is_missed_on_a_host_without_uidplus_too() {
    let scene = scene_with(INFO, SUPPORT_PASSWORD.to_owned());
    let imap = format!("localhost:{}", without_uidplus(scene.dovecot.imap()).port());
    let (smtp, ca_file) = (format!("localhost:{}", scene.postfix.submissions().port()), scene.ca.file());
    let upstream = ["--imap", &imap, "--imap-security", "plaintext", "--smtp", &smtp, "--ca-file"];
    let arguments = ["mailbox", "add", INFO, "--password-stdin"];
    let arguments = [&arguments[..], &upstream[..], &[ca_file.to_str().unwrap()]].concat();
    scene.proxy.run(&arguments, &format!("{SUPPORT_PASSWORD}\n"));
    scene.proxy.run(&["grant", "add", BOB, INFO, "responder"], "");
    let login = format!("{BOB}/{INFO}");
    let mut smtp = scene.proxy.smtp(&scene.ca, &login, &password(BOB));
    let mut imap = scene.proxy.imap(&scene.ca, &login, &password(BOB));
    for (id, removed) in [("there@example.org", false), ("gone@example.org", true)] {
        let message = String::from_utf8(answer(id, "", "body")).unwrap().replace(SUPPORT, INFO);
        smtp.expect(250, &format!("MAIL FROM:<{INFO}>"));
        smtp.expect(250, "RCPT TO:<customer@example.net>");
        assert_eq!(smtp.data(message.as_bytes()).code, 250);
        settled(&scene);
        assert_eq!(copies_of(&scene, INFO, id).len(), 1, "{id}\n{}", scene.proxy.log());
        let list = scene.proxy.run(&["outbox", "list", "--all", "--json"], "");
        assert!(list.contains("\"copy\": \"filed\""), "the host has said where: {list}");
        if removed {
            let mut host = scene.dovecot.login(INFO);
            host.ok("SELECT Sent");
            host.ok(&format!("UID STORE {} +FLAGS (\\Deleted)", copies_of(&scene, INFO, id)[0]));
            host.ok("EXPUNGE");
        }
        let stored = imap.append("Sent", "\\Seen", message.as_bytes());
        assert!(stored.is_ok(), "{stored}");
        assert_eq!(
            copies_of(&scene, INFO, id).len(),
            1,
            "{id}: one, ours or the client's\n{}",
            scene.proxy.log()
        );
    }
}
