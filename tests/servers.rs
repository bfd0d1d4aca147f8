//! The support that all other integration tests stand on works: a real Dovecot,
//! a real Postfix and the recording sink.

mod support;

use support::dovecot::{MASTER_PASSWORD, SUPPORT, SUPPORT_PASSWORD, Settings};
use support::{Answer, Ca, Closing, Dovecot, Imap, Postfix, Sink, Smtp, Stage, Storage};

const MESSAGE: &[u8] = b"From: customer@example.net\r\nSubject: hello\r\n\r\n.one\r\n..two\r\n";

#[test]
fn dovecot_keeps_a_message() {
    let ca = Ca::new();
    let dovecot = Dovecot::start(&ca);
    let uid = dovecot.deliver(SUPPORT, "INBOX", MESSAGE);

    let mut imap = Imap::tls(dovecot.imaps(), &ca);
    imap.login(SUPPORT, SUPPORT_PASSWORD);
    imap.ok("SELECT INBOX");
    let fetched = imap.ok(&format!("UID FETCH {uid} BODY.PEEK[]"));
    assert_eq!(fetched.literal().as_deref(), Some(MESSAGE));

    let list = imap.ok("LIST (SPECIAL-USE) \"\" *");
    for name in ["Drafts", "Sent", "Trash", "Archive", "Junk"] {
        assert!(list.has(&format!("\\{name}) \"/\" {name}")), "{list}");
    }
}

#[test]
fn dovecot_lets_a_master_user_in_and_nobody_else() {
    let dovecot = Dovecot::start(&Ca::new());
    let mut imap = Imap::plain(dovecot.imap());
    assert!(imap.command("LOGIN support@example.org wrong").is_no());
    imap.login(&format!("{SUPPORT}*master"), MASTER_PASSWORD);
}

#[test]
fn dovecot_counts_connections() {
    let settings = Settings { max_connections: 1, ..Settings::default() };
    let dovecot = Dovecot::with(Ca::new().localhost(), settings);
    let _first = dovecot.login(SUPPORT);
    let mut second = Imap::plain(dovecot.imap());
    let refused = second.command(&format!("LOGIN {SUPPORT} {SUPPORT_PASSWORD}"));
    assert!(refused.tagged.contains("[LIMIT]") || refused.has("[LIMIT]"), "{refused}");
}

#[test]
fn dovecot_speaks_with_another_separator() {
    let settings = Settings { storage: Storage::Maildir, separator: '.', ..Settings::default() };
    let dovecot = Dovecot::with(Ca::new().localhost(), settings);
    let mut imap = dovecot.login(SUPPORT);
    imap.ok("CREATE Archive.2026");
    assert!(imap.ok("LIST \"\" Archive.*").has("\".\" Archive.2026"));
}

#[test]
fn dovecot_comes_back_with_its_mail() {
    let mut dovecot = Dovecot::start(&Ca::new());
    dovecot.deliver(SUPPORT, "INBOX", MESSAGE);
    let before = dovecot.snapshot(SUPPORT);
    dovecot.stop();
    dovecot.resume();
    assert_eq!(before.changes(&dovecot.snapshot(SUPPORT)), [""; 0]);
}

#[test]
fn a_snapshot_tells_what_changed() {
    let dovecot = Dovecot::start(&Ca::new());
    let doomed = dovecot.deliver(SUPPORT, "INBOX", MESSAGE);
    let marked = dovecot.deliver(SUPPORT, "INBOX", MESSAGE);
    let before = dovecot.snapshot(SUPPORT);
    assert_eq!(before.changes(&dovecot.snapshot(SUPPORT)), [""; 0]);

    let mut imap = dovecot.login(SUPPORT);
    imap.ok("SELECT INBOX");
    imap.ok(&format!("UID STORE {doomed} +FLAGS.SILENT (\\Deleted)"));
    imap.ok("EXPUNGE");
    imap.ok(&format!("UID STORE {marked} +FLAGS.SILENT (\\Flagged)"));
    imap.ok("CREATE \"A \\\"quoted\\\" name\"");
    imap.ok("SUBSCRIBE Junk");
    imap.append("Sent", "\\Seen", MESSAGE);
    assert_eq!(
        before.changes(&dovecot.snapshot(SUPPORT)),
        [
            "A \"quoted\" name: folder new",
            "INBOX: uid 1 gone",
            "INBOX: uid 2 flags {} -> {\"\\\\Flagged\"}",
            "Sent: uid 1 new",
            "Junk: subscription new",
        ]
    );
}

#[test]
fn postfix_relays_octets_to_the_sink() {
    let ca = Ca::new();
    let (dovecot, sink) = (Dovecot::start(&ca), Sink::start());
    let postfix = Postfix::start(&sink, &dovecot, &ca.localhost());

    let mut smtp = Smtp::tls(postfix.submissions(), &ca);
    smtp.expect(250, "EHLO client.example.org");
    assert_eq!(smtp.login(SUPPORT, "wrong").code, 535);
    assert_eq!(smtp.login(SUPPORT, SUPPORT_PASSWORD).code, 235);
    smtp.expect(250, "MAIL FROM:<support@example.org>");
    smtp.expect(250, "RCPT TO:<customer@example.net>");
    assert_eq!(smtp.data(MESSAGE).code, 250, "{}", postfix.log());

    let delivery = sink.wait(1).remove(0);
    assert_eq!(delivery.helo, "upstream.example.org");
    assert_eq!(delivery.mail_from.split(' ').next(), Some("<support@example.org>"));
    assert_eq!(delivery.rcpt_to[0].split(' ').next(), Some("<customer@example.net>"));
    assert_eq!(delivery.header("Subject"), ["hello"]);
    assert!(delivery.data.ends_with(b"\r\n\r\n..one\r\n...two\r\n"), "{}", delivery.text());
}

#[test]
fn two_postfixes_run_side_by_side_and_demand_auth() {
    let ca = Ca::new();
    let (dovecot, sink) = (Dovecot::start(&ca), Sink::start());
    let first = Postfix::start(&sink, &dovecot, &ca.localhost());
    let second = Postfix::start(&sink, &dovecot, &ca.localhost());
    for postfix in [&first, &second] {
        let mut smtp = Smtp::tls(postfix.submissions(), &ca);
        smtp.expect(250, "EHLO client.example.org");
        smtp.expect(250, "MAIL FROM:<support@example.org>");
        smtp.expect(554, "RCPT TO:<customer@example.net>");
        let mut smtp = Smtp::plain(postfix.relay());
        smtp.expect(250, "EHLO client.example.org");
        smtp.expect(250, "MAIL FROM:<support@example.org>");
        smtp.expect(250, "RCPT TO:<customer@example.net>");
        assert_eq!(smtp.data(MESSAGE).code, 250);
    }
    assert_eq!(sink.wait(2).len(), 2);
}

#[test]
fn the_sink_answers_as_told() {
    let ca = Ca::new();
    let sink = Sink::tls(&ca.localhost());
    sink.once(Stage::Rcpt, Answer::reply("550 5.1.1 No such user"));
    sink.once(Stage::EndOfData, Answer::reply("452 4.3.1 Full"));
    sink.always(Stage::Rset, Answer::Close);

    let mut smtp = Smtp::tls(sink.address(), &ca);
    smtp.expect(250, "EHLO client.example.org");
    assert_eq!(smtp.login("user", "password").code, 235);
    smtp.expect(250, "MAIL FROM:<a@example.org> SIZE=3");
    smtp.expect(550, "RCPT TO:<b@example.org>");
    smtp.expect(250, "RCPT TO:<c@example.org>");
    assert_eq!(smtp.data(MESSAGE).code, 452);
    smtp.send("RSET\r\n");
    assert_eq!(smtp.wire.closing(), Closing::Cut);

    let delivery = sink.deliveries().remove(0);
    assert_eq!(delivery.mail_from, "<a@example.org> SIZE=3");
    assert_eq!(delivery.rcpt_to, ["<c@example.org>"]);
    assert_eq!(delivery.message(), MESSAGE);
    assert!(!delivery.accepted);
    assert_eq!(sink.commands().last().map(String::as_str), Some("RSET"));
}
