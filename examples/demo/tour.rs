//! The tour: what each role can and cannot do, with the lines that go over the wire.

use std::thread;
use std::time::{Duration, Instant};

use crate::guide::{Guide, received, sent, shown};
use crate::support::dovecot::SUPPORT;
use crate::support::scene::password;
use crate::support::{ALICE, BOB, CAROL, Imap, Scene};

/// What Mandate promises of a withdrawn grant.
const PROMISE: Duration = Duration::from_millis(100);

/// Leads through all steps; returns how many claims did not hold.
pub(crate) fn run(scene: &Scene) -> usize {
    let mut guide = Guide::default();
    fill(scene);
    a_reader_reads(scene, &mut guide);
    a_reader_changes_nothing(scene, &mut guide);
    a_reader_does_not_send(scene, &mut guide);
    a_responder_marks_and_removes_nothing(scene, &mut guide);
    a_responder_answers_as_the_mailbox(scene, &mut guide);
    a_manager_deletes(scene, &mut guide);
    a_hidden_folder_is_absent(scene, &mut guide);
    a_wrong_password_says_little(scene, &mut guide);
    a_withdrawn_grant_ends_the_session(scene, &mut guide);
    an_administrator_asks_why(scene, &mut guide);
    guide.failed()
}

/// Mail from customers, and a folder that not everybody should know of.
fn fill(scene: &Scene) {
    for (subject, text) in [
        ("Where is my order?", "It should have come on Monday."),
        ("Thank you", "The second parcel came today."),
        ("Cheap watches", "Only today."),
    ] {
        let message = format!(
            "From: Customer <customer@example.net>\r\nTo: {SUPPORT}\r\nSubject: {subject}\r\n\
             Date: Mon, 5 Jan 2026 09:00:00 +0000\r\nMessage-ID: <{}@example.net>\r\n\r\n{text}\r\n",
            text.len()
        );
        scene.dovecot.deliver(SUPPORT, "INBOX", message.as_bytes());
    }
    scene.dovecot.login(SUPPORT).ok("CREATE Complaints");
}

fn a_reader_reads(scene: &Scene, guide: &mut Guide) {
    guide.step(
        "carol (reader)",
        "opens support with her own password",
        "she reads, and marks as read for herself alone",
    );
    let before = scene.dovecot.snapshot(SUPPORT);
    let mut carol = login(scene, guide, CAROL);
    let selected = guide.imap(&mut carol, "SELECT INBOX");
    let fetched = guide.imap(&mut carol, "FETCH 1 BODY[HEADER.FIELDS (SUBJECT)]");
    guide.claim(selected.has("PERMANENTFLAGS (\\Seen)"), "no flag but \\Seen is hers to set");
    guide.claim(fetched.has("\\Seen"), "what she opens is read, for her");
    guide.claim(fetched.has("Where is my order?"), "she reads the mail");
    let changes = before.changes(&scene.dovecot.snapshot(SUPPORT));
    guide.claim_same(&changes, "it stays unread for the others: the mail host holds exactly what it held");
}

fn a_reader_changes_nothing(scene: &Scene, guide: &mut Guide) {
    guide.step("carol (reader)", "deletes a message", "her client is shown that it is still there");
    let before = scene.dovecot.snapshot(SUPPORT);
    let mut carol = scene.imap(CAROL);
    carol.ok("SELECT INBOX");
    let stored = guide.imap(&mut carol, "STORE 1 +FLAGS (\\Seen \\Deleted)");
    let expunged = guide.imap(&mut carol, "EXPUNGE");
    let moved = guide.imap(&mut carol, "MOVE 1 Trash");
    guide.claim(
        stored.has("FLAGS (") && stored.has("\\Seen") && !stored.has("\\Deleted"),
        "STORE is answered with her true flags: read by her, and not deleted",
    );
    guide.claim(expunged.is_ok() && expunged.untagged.is_empty(), "EXPUNGE removes nothing");
    guide.claim(moved.tagged.starts_with("NO [NOPERM]"), "MOVE is refused with a sentence");
    let changes = before.changes(&scene.dovecot.snapshot(SUPPORT));
    guide.claim_same(&changes, "the mail host holds exactly what it held");
}

fn a_reader_does_not_send(scene: &Scene, guide: &mut Guide) {
    guide.step("carol (reader)", "answers a customer", "refused before a recipient is named");
    let mut smtp = scene.smtp(CAROL);
    let refused = guide.smtp(&mut smtp, "MAIL FROM:<support@example.org>");
    guide.claim(refused.code == 550, "a reader does not send as the mailbox");
    guide.claim(scene.sink.connections() == 0, "nothing left the mail host");
}

fn a_responder_marks_and_removes_nothing(scene: &Scene, guide: &mut Guide) {
    guide.step(
        "bob (responder)",
        "marks a message read and deleted",
        "it is marked read; EXPUNGE removes nothing",
    );
    let before = scene.dovecot.snapshot(SUPPORT);
    let mut bob = scene.imap(BOB);
    bob.ok("SELECT INBOX");
    let stored = guide.imap(&mut bob, "STORE 1 +FLAGS (\\Seen \\Deleted)");
    let expunged = guide.imap(&mut bob, "EXPUNGE");
    guide.claim(stored.is_ok() && !stored.has("\\Deleted"), "the permitted part is done, and he sees which");
    guide.claim(
        expunged.is_ok() && expunged.untagged.is_empty(),
        "EXPUNGE is answered OK and removes nothing",
    );
    let changes = before.changes(&scene.dovecot.snapshot(SUPPORT));
    let only_seen = changes == ["INBOX: uid 1 flags {} -> {\"\\\\Seen\"}"];
    guide.claim(only_seen, &format!("on the mail host: {}", changes.join("; ")));
}

fn a_responder_answers_as_the_mailbox(scene: &Scene, guide: &mut Guide) {
    guide.step("bob (responder)", "answers a customer, his own name in From", "it arrives From the mailbox");
    let message = "From: Bob <bob@example.org>\r\nSender: bob@example.org\r\n\
        To: customer@example.net\r\nSubject: Re: Where is my order?\r\n\
        Date: Mon, 5 Jan 2026 10:00:00 +0000\r\nMessage-ID: <answer@example.org>\r\n\r\n\
        It is on its way.\r\n";
    let mut smtp = scene.smtp(BOB);
    guide.smtp(&mut smtp, "MAIL FROM:<bob@example.org>");
    guide.smtp(&mut smtp, "RCPT TO:<customer@example.net>");
    sent("DATA");
    message.lines().for_each(sent);
    let accepted = smtp.data(message.as_bytes());
    received(&accepted.to_string());
    guide.claim(accepted.code == 250, "the mail host took it");
    if accepted.code != 250 {
        return;
    }
    let delivery = scene.sink.wait(1).remove(0);
    println!("      What the customer gets, MAIL FROM:{}", delivery.mail_from);
    delivery.text().lines().for_each(|line| println!("        {line}"));
    let from_mailbox = delivery.header("From") == ["\"Example Support\" <support@example.org>"];
    guide.claim(from_mailbox && delivery.mail_from.starts_with("<support@example.org>"), "From the mailbox");
    guide.claim(!delivery.text().to_lowercase().contains("bob"), "nothing in it names bob");
}

fn a_manager_deletes(scene: &Scene, guide: &mut Guide) {
    guide.step("alice (manager)", "deletes a message", "it is gone");
    let before = scene.dovecot.snapshot(SUPPORT);
    let mut alice = scene.imap(ALICE);
    alice.ok("SELECT INBOX");
    guide.imap(&mut alice, "STORE 3 +FLAGS (\\Deleted)");
    let expunged = guide.imap(&mut alice, "EXPUNGE");
    guide.claim(expunged.is_ok() && expunged.has("* 3 EXPUNGE"), "a manager removes mail");
    let changes = before.changes(&scene.dovecot.snapshot(SUPPORT));
    guide.claim(changes == ["INBOX: uid 3 gone"], &format!("on the mail host: {}", changes.join("; ")));
}

fn a_hidden_folder_is_absent(scene: &Scene, guide: &mut Guide) {
    guide.step("bob (responder)", "opens a folder that is hidden", "word for word as if it did not exist");
    admin(scene, &["mailbox", "folders", "support", "Complaints=hidden"]);
    let mut bob = scene.imap(BOB);
    let hidden = guide.imap(&mut bob, "SELECT Complaints");
    let absent = guide.imap(&mut bob, "SELECT No-such-folder");
    let listed = guide.imap(&mut bob, "LIST \"\" *");
    let exists = scene.dovecot.snapshot(SUPPORT).folders.contains_key("Complaints");
    guide.claim(exists && hidden.is_no(), "it exists on the mail host, and not for him");
    guide.claim(hidden.to_string() == absent.to_string(), "both answers are the same");
    guide.claim(listed.is_ok() && !listed.has("Complaints"), "LIST does not show it");
}

fn a_wrong_password_says_little(scene: &Scene, guide: &mut Guide) {
    guide.step(
        "somebody",
        "tries alice with a wrong password, then a name that nobody has",
        "one and the same answer",
    );
    let answers = ["alice@example.org/support", "nobody@example.org/support"].map(|login| {
        let mut imap = Imap::tls(scene.proxy.imaps(), &scene.ca);
        let asked = Instant::now();
        let answer = guide.imap(&mut imap, &format!("LOGIN {login} guess")).tagged;
        println!("         (after {:.1} s: each wrong guess waits longer)", asked.elapsed().as_secs_f64());
        answer
    });
    guide.claim(answers[0].starts_with("NO [AUTHENTICATIONFAILED]"), "the login is refused");
    guide.claim(answers[0] == answers[1], "nobody learns who has an account");
}

fn a_withdrawn_grant_ends_the_session(scene: &Scene, guide: &mut Guide) {
    guide.step("the administrator", "takes carol's grant back while she waits in IDLE", "her session ends");
    let mut carol = scene.imap(CAROL);
    carol.ok("SELECT INBOX");
    let tag = carol.start("IDLE");
    sent(&format!("{tag} IDLE"));
    received(&String::from_utf8_lossy(&carol.response()));
    let waiting = thread::spawn(move || {
        let farewell = carol.bye().0;
        (farewell, Instant::now())
    });
    let asked = Instant::now();
    let output = scene.proxy.run(&["grant", "remove", CAROL, "support"], "");
    let acknowledged = Instant::now();
    let (farewell, ended) = waiting.join().unwrap();
    shown(&format!("mandate grant remove {CAROL} support"), &output);
    received(&format!("* BYE {farewell}"));
    let [ended_in, acknowledged_in] = [ended, acknowledged].map(|at| (at - asked).as_millis());
    let times = format!("it ended {ended_in} ms after the command started, which took {acknowledged_in} ms");
    guide.claim(ended.saturating_duration_since(acknowledged) < PROMISE, &times);
    let mut again = Imap::tls(scene.proxy.imaps(), &scene.ca);
    let refused = guide.imap(&mut again, &format!("LOGIN {CAROL}/support \"{}\"", password(CAROL)));
    guide.claim(refused.is_no(), "she does not come in again");
    admin(scene, &["grant", "add", CAROL, "support", "reader"]);
    guide.claim(login_succeeds(scene, CAROL), "until she is given the role back");
}

fn an_administrator_asks_why(scene: &Scene, guide: &mut Guide) {
    guide.step("the administrator", "asks who may do what, and why", "a table, and the reason");
    let grants = admin(scene, &["grant", "list"]);
    guide.claim([ALICE, BOB, CAROL].iter().all(|person| grants.contains(person)), "all three are listed");
    let denied = admin(scene, &["explain", BOB, "support", "INBOX", "expunge"]);
    guide.claim(denied.contains("responder"), "the role that decides is named");
    admin(scene, &["explain", BOB, "support", "Drafts"]);
}

/// Runs a `mandate` command, shows it, and returns what it printed.
fn admin(scene: &Scene, arguments: &[&str]) -> String {
    let output = scene.proxy.run(arguments, "");
    shown(&format!("mandate {}", arguments.join(" ")), &output);
    output
}

fn login(scene: &Scene, guide: &Guide, person: &str) -> Imap {
    let mut imap = Imap::tls(scene.proxy.imaps(), &scene.ca);
    received(&imap.greeting);
    guide.imap(&mut imap, &format!("LOGIN {person}/support \"{}\"", password(person)));
    imap
}

fn login_succeeds(scene: &Scene, person: &str) -> bool {
    let mut imap = Imap::tls(scene.proxy.imaps(), &scene.ca);
    imap.command(&format!("LOGIN {person}/support \"{}\"", password(person))).is_ok()
}
