//! Somebody dies in the middle: nothing goes without a record, and nobody is told a lie.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mandate::store::Sealer;
use mandate::telemetry::journal::verify;

use crate::furnished::{furnished, message, upstream};
use crate::support::dovecot::SUPPORT;
use crate::support::{ALICE, BOB, Imap, Read, Scene, eventually};

/// Messages that are moved and removed one by one.
const MANY: u32 = 300;

/// What the journal says of acts that remove and send.
#[derive(Debug, Default)]
struct Record {
    /// UIDs in INBOX that somebody had the intent to remove.
    intended: BTreeSet<u32>,
    /// Outcomes of each intent, by its line.
    outcomes: BTreeMap<u64, Vec<String>>,
}

/// Checks the whole journal, and reads it.
#[track_caller]
fn record(scene: &Scene) -> Record {
    let state = scene.proxy.state();
    let key = Sealer::from_key_file(&state.join("seal.key")).unwrap().derive("audit journal");
    let journal = state.join("journal.jsonl");
    verify(&journal, &key).unwrap();
    let mut record = Record::default();
    for line in std::fs::read_to_string(journal).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        match line["event"].as_str().unwrap() {
            "intent" | "send" => {
                record.outcomes.insert(line["seq"].as_u64().unwrap(), Vec::new());
                record.intended.extend(numbers(line["uids"].as_str().unwrap_or_default()));
            }
            "outcome" => {
                let intent = line["intent"].as_u64().unwrap();
                let outcome = line["outcome"].as_str().unwrap().to_owned();
                record.outcomes.get_mut(&intent).expect("an outcome has an intent").push(outcome);
            }
            _ => {}
        }
    }
    for (intent, outcomes) in &record.outcomes {
        assert!(outcomes.len() <= 1, "line {intent}: {outcomes:?}");
    }
    record
}

/// `1:3,7` as numbers.
fn numbers(set: &str) -> Vec<u32> {
    let number = |text: &str| text.parse::<u32>().unwrap();
    let ranges = set.split(',').filter(|range| !range.is_empty());
    let range = |range: &str| match range.split_once(':') {
        Some((first, last)) => (number(first)..=number(last)).collect::<Vec<_>>(),
        None => vec![number(range)],
    };
    ranges.flat_map(range).collect()
}

/// A manager has sent off commands that remove MANY messages, and some are gone.
fn in_the_middle(scene: &Scene) -> Imap {
    let mut direct = scene.dovecot.login(SUPPORT);
    for number in 0..MANY {
        direct.append("INBOX", "", &message(100 + number));
    }
    let mut imap = scene.imap(ALICE);
    imap.ok("SELECT INBOX");
    for uid in (6..6 + MANY).step_by(3) {
        imap.start(&format!("UID MOVE {uid} Trash"));
        imap.start(&format!("UID STORE {} +FLAGS (\\Deleted)", uid + 1));
        imap.start(&format!("UID EXPUNGE {}", uid + 1));
    }
    direct.ok("EXAMINE INBOX");
    let mut gone = 0;
    eventually("some messages are gone", || {
        gone += direct.ok("NOOP").lines().iter().filter(|line| line.ends_with(" EXPUNGE")).count();
        (gone >= 20).then_some(())
    });
    imap
}

/// UIDs that are no longer in INBOX.
fn gone(scene: &Scene) -> BTreeSet<u32> {
    let left = &upstream(scene).folders["INBOX"].messages;
    (1..6 + MANY).filter(|uid| !left.contains_key(uid)).collect()
}

#[test]
fn a_killed_daemon_leaves_a_record_of_what_it_did() {
    let mut scene = furnished();
    let imap = in_the_middle(&scene);
    scene.proxy.kill();
    drop(imap);
    scene.proxy.restart();
    let record = record(&scene);
    let gone = gone(&scene);
    println!("loss: {} of {MANY} removed, {} intended", gone.len(), record.intended.len());
    assert!(!gone.is_empty() && gone.len() < MANY as usize * 2 / 3, "{}", gone.len());
    assert!(
        gone.is_subset(&record.intended),
        "removed without a record: {:?}",
        gone.difference(&record.intended)
    );
    let open = record.outcomes.values().filter(|outcomes| outcomes.is_empty()).count();
    assert!(open <= 1, "{open} intents without outcome, of one session");
    scene.imap(ALICE).ok("SELECT INBOX");
}

#[test]
fn a_killed_mail_host_leaves_an_unknown_outcome_at_most() {
    let mut scene = furnished();
    let mut imap = in_the_middle(&scene);
    scene.dovecot.stop();
    let mut said = String::new();
    loop {
        match imap.response_within(Duration::from_secs(20)) {
            Read::Octets(line) => said.push_str(&String::from_utf8_lossy(&line)),
            Read::Closed(_) => break,
            Read::Silence => panic!("the session hangs: {said}"),
        }
    }
    assert!(
        said.contains("* BYE [UNAVAILABLE] The mail host of support@example.org has a problem"),
        "{said}"
    );
    eventually("every intent has an outcome", || {
        record(&scene).outcomes.values().all(|outcomes| !outcomes.is_empty()).then_some(())
    });
    let record = record(&scene);
    let unknown = record.outcomes.values().filter(|outcomes| *outcomes == &["unknown"]).count();
    assert!(unknown <= 1, "{record:?}");
    scene.dovecot.resume();
    let gone = gone(&scene);
    assert!(
        gone.is_subset(&record.intended),
        "removed without a record: {:?}",
        gone.difference(&record.intended)
    );
    eventually("the mailbox is back", || scene.imap(ALICE).command("SELECT INBOX").is_ok().then_some(()));
}

#[test]
fn a_client_that_goes_away_cancels_nothing_half_way() {
    let scene = furnished();
    let mut imap = scene.imap(ALICE);
    imap.ok("SELECT INBOX");
    imap.start("UID MOVE 1:3 Trash");
    drop(imap);
    eventually("the outcome is recorded", || {
        let record = record(&scene);
        // Gone before the command was read: then nothing was meant or done.
        if record.outcomes.is_empty() {
            return gone(&scene).is_empty().then_some(());
        }
        record.outcomes.values().all(|outcomes| outcomes == &["done"]).then_some(())
    });
    let gone = gone(&scene).into_iter().filter(|uid| *uid < 6).collect::<Vec<_>>();
    assert!(gone.is_empty() || gone == [1, 2, 3], "{gone:?}");
    let journal = std::fs::read_to_string(scene.proxy.state().join("journal.jsonl")).unwrap();
    let outcome = journal.lines().find(|line| line.contains("\"outcome\":\"done\",\"target_uids\":\"3:5\""));
    assert_eq!(outcome.is_some(), !gone.is_empty(), "UIDs in Trash are called so\n{journal}");
}

#[test]
fn a_killed_daemon_sends_no_half_message() {
    let mut scene = furnished();
    let mut smtp = scene.smtp(BOB);
    smtp.expect(250, "MAIL FROM:<support@example.org>");
    smtp.expect(250, "RCPT TO:<customer@example.net>");
    smtp.expect(354, "DATA");
    smtp.send(message(1));
    smtp.send(b"a line of the body\r\n".repeat(10_000));
    scene.proxy.kill();
    scene.proxy.restart();
    record(&scene);
    // What is sent next is the first that arrives.
    let mut smtp = scene.smtp(BOB);
    smtp.expect(250, "MAIL FROM:<support@example.org>");
    smtp.expect(250, "RCPT TO:<customer@example.net>");
    let whole = b"From: support@example.org\r\nSubject: whole\r\nMessage-ID: <w@example.org>\r\n\r\nbody\r\n";
    assert_eq!(smtp.data(whole).code, 250, "{}", scene.proxy.log());
    assert_eq!(scene.sink.wait(1)[0].header("Subject"), ["whole"]);
    assert_eq!(record(&scene).outcomes.values().last().unwrap(), &["done"]);
}

#[test]
fn a_killed_submission_host_is_no_250() {
    let mut scene = furnished();
    let mut smtp = scene.smtp(BOB);
    smtp.expect(250, "MAIL FROM:<support@example.org>");
    smtp.expect(250, "RCPT TO:<customer@example.net>");
    smtp.expect(354, "DATA");
    smtp.send(b"From: support@example.org\r\nSubject: lost\r\nMessage-ID: <l@example.org>\r\n\r\n");
    scene.postfix.stop();
    let _ = smtp.wire.try_send(b"body\r\n.\r\n");
    match smtp.wire.line(Duration::from_secs(20)) {
        Read::Octets(line) => assert!(line.starts_with(b"4"), "{}", String::from_utf8_lossy(&line)),
        Read::Closed(_) => {}
        Read::Silence => panic!("no answer"),
    }
    record(&scene);
}
