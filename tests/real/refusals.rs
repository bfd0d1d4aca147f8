//! A submission host that refuses, hangs up, is late, or is another one than before: at each
//! stage the client hears the truth, the journal has it, and the next message goes.
//!
//! `docs/sending.md` has the tables as these tests print them.

use crate::support::smtp::{SmtpReply, stuffed};
use crate::support::{Answer, Delivery, Scene, Sink, Smtp, Stage, dovecot, eventually};

const SALES: &str = "sales@example.org";

/// How a mailbox is added whose host wants a login on loopback.
const WITH_LOGIN: &[&str] = &["--smtp-security", "plaintext"];

const EHLO: &str = "250-sink.example.org\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 AUTH PLAIN";

fn reply(text: &str) -> Answer {
    Answer::reply(text)
}

fn and_close(text: &str) -> Answer {
    Answer::ReplyAndClose(text.to_owned())
}

/// What the host does, and what must come of it.
struct Case {
    stage: Stage,
    does: &'static str,
    answers: Vec<Answer>,
    /// What the client hears of the message, with the command that it answers.
    heard: &'static str,
    /// The outcome in the journal; empty: nothing went up that could be sent.
    journal: &'static str,
    /// How many messages the host has taken, after the client has sent again.
    taken: usize,
}

fn case(
    stage: Stage,
    does: &'static str,
    answers: Vec<Answer>,
    heard: &'static str,
    journal: &'static str,
) -> Case {
    let positive = |answer: &Answer| matches!(answer, Answer::ReplyAndClose(text) if text.starts_with('2'));
    let sent = stage == Stage::EndOfData && answers.iter().any(positive) || heard.contains("end 250");
    Case { stage, does, answers, heard, journal, taken: 1 + usize::from(sent) }
}

const TAKEN: &str = "end 250 2.0.0 The mail host has taken the message";
const NO_HOST: &str =
    "MAIL 451 4.4.1 The mail host of sales@example.org cannot be used now; please try again later";
const LOST: &str = "4.4.2 The mail host of this mailbox does not answer as it should; please try again later";
const LATER: &str = "The mail host cannot take the message now; please try again later";

fn cases() -> Vec<Case> {
    use Answer::Close;
    use Stage::{Auth, Body, Data, Ehlo, EndOfData, Greeting, Mail, Rcpt};
    let lost = |command: &'static str| &*format!("{command} 451 {LOST}").leak();
    vec![
        case(Greeting, "`421 4.3.2`", vec![reply("421 4.3.2 too many")], NO_HOST, ""),
        case(Greeting, "`554 5.3.2`", vec![reply("554 5.3.2 no service")], NO_HOST, ""),
        case(Greeting, "no SMTP", vec![reply("* OK IMAP here")], NO_HOST, ""),
        case(Greeting, "hangs up", vec![Close], NO_HOST, ""),
        case(Ehlo, "`421 4.3.2`", vec![reply("421 4.3.2 bye")], NO_HOST, ""),
        case(Ehlo, "`502 5.5.1`", vec![reply("502 5.5.1 what?")], NO_HOST, ""),
        case(Ehlo, "hangs up", vec![Close], NO_HOST, ""),
        case(Ehlo, "answers, hangs up", vec![and_close(EHLO)], NO_HOST, ""),
        case(Auth, "`454 4.7.0`", vec![reply("454 4.7.0 later")], NO_HOST, ""),
        case(Auth, "`535 5.7.8`", vec![reply("535 5.7.8 support's password is wrong")], NO_HOST, ""),
        case(Auth, "hangs up", vec![Close], NO_HOST, ""),
        case(Auth, "`235`, hangs up", vec![and_close("235 2.7.0 ok")], lost("MAIL"), ""),
        case(
            Mail,
            "`451 4.3.0`",
            vec![reply("451 4.3.0 queue")],
            "MAIL 451 4.3.0 The mail host cannot take messages from this mailbox now; please try again later",
            "",
        ),
        case(
            Mail,
            "`421 4.7.0`",
            vec![and_close("421 4.7.0 bye")],
            "MAIL 451 4.3.0 The mail host cannot take messages from this mailbox now; please try again later",
            "",
        ),
        case(
            Mail,
            "`550 5.7.1`",
            vec![reply("550 5.7.1 not you")],
            "MAIL 550 5.7.1 The mail host refuses messages from this mailbox",
            "",
        ),
        case(
            Mail,
            "`530 5.7.0`",
            vec![reply("530 5.7.0 AUTH first")],
            "MAIL 550 5.3.0 The mail host refuses messages from this mailbox",
            "",
        ),
        case(Mail, "hangs up", vec![Close], lost("MAIL"), ""),
        case(Mail, "`250`, hangs up", vec![and_close("250 2.1.0 ok")], lost("RCPT"), ""),
        case(
            Rcpt,
            "`450 4.2.0` to the first",
            vec![reply("450 4.2.0 greylisted")],
            "RCPT 450 4.2.0 The mail host cannot take this recipient now; please try again later, \
             end 250 2.0.0 The mail host has taken the message",
            "done",
        ),
        case(
            Rcpt,
            "`550 5.1.1` to the first",
            vec![reply("550 5.1.1 <first@example.net> unknown")],
            "RCPT 550 5.1.1 There is no such recipient, end 250 2.0.0 The mail host has taken the message",
            "done",
        ),
        case(
            Rcpt,
            "`552 5.2.2` to all",
            vec![reply("552 5.2.2 full"), reply("552 5.2.2 full")],
            "RCPT 552 5.2.2 The recipient's mailbox is full, RCPT 552 5.2.2 The recipient's mailbox is full, \
             DATA 554 5.5.1 No recipient was accepted",
            "",
        ),
        case(Rcpt, "hangs up at the first", vec![Close], lost("RCPT"), ""),
        case(Rcpt, "`250` to the first, hangs up", vec![and_close("250 ok")], lost("RCPT"), ""),
        case(
            Rcpt,
            "`250` to both, hangs up",
            vec![reply("250 ok"), and_close("250 ok")],
            lost("end"),
            "refused",
        ),
        case(
            Data,
            "`451 4.3.0`",
            vec![reply("451 4.3.0 disk")],
            &*format!("end 451 4.3.0 {LATER}").leak(),
            "refused",
        ),
        case(
            Data,
            "`554 5.7.1`",
            vec![reply("554 5.7.1 secret")],
            "end 554 5.7.1 The mail host refuses the message",
            "refused",
        ),
        case(
            Data,
            "`421 4.3.2`",
            vec![and_close("421 4.3.2 bye")],
            &*format!("end 451 4.3.0 {LATER}").leak(),
            "refused",
        ),
        case(Data, "`250`", vec![reply("250 ok")], lost("end"), "refused"),
        case(Data, "hangs up", vec![Close], lost("end"), "refused"),
        case(Data, "`354`, hangs up", vec![and_close("354 go on")], lost("end"), "refused"),
        case(Body, "hangs up", vec![Close], lost("end"), "refused"),
        case(
            EndOfData,
            "`451 4.3.0`",
            vec![reply("451 4.3.0 disk")],
            &*format!("end 451 4.3.0 {LATER}").leak(),
            "refused",
        ),
        case(
            EndOfData,
            "`421 4.3.2`",
            vec![and_close("421 4.3.2 bye")],
            &*format!("end 451 4.3.0 {LATER}").leak(),
            "refused",
        ),
        case(
            EndOfData,
            "`554 5.7.1`",
            vec![reply("554 5.7.1 spam, says support's filter")],
            "end 554 5.7.1 The mail host refuses the message",
            "refused",
        ),
        case(
            EndOfData,
            "`552 5.3.4`",
            vec![reply("552 5.3.4 big")],
            "end 552 5.3.4 The message is too large for the mail host",
            "refused",
        ),
        case(EndOfData, "`354`", vec![reply("354 more")], lost("end"), "unknown"),
        case(EndOfData, "hangs up", vec![Close], lost("end"), "unknown"),
        case(EndOfData, "`250`, hangs up", vec![and_close("250 2.0.0 queued as X")], TAKEN, "done"),
    ]
}

/// Long enough that the host hangs up while it is on its way.
fn message(from: &str, id: usize) -> Vec<u8> {
    let head = format!(
        "From: {from}\r\nTo: first@example.net, second@example.net\r\nSubject: {id}\r\n\
         Message-ID: <{id}@example.org>\r\nDate: Sat, 21 Nov 2026 11:00:00 +0000\r\n\r\n"
    );
    [head.into_bytes(), b"a line of the body that is some fifty octets long\r\n".repeat(20_000)].concat()
}

/// The message, command by command, as far as it goes: every refusal, and the last answer.
///
/// `sender` may close its bracket and go on with parameters.
fn hand_in(smtp: &mut Smtp, sender: &str, message: &[u8]) -> String {
    let mut heard = Vec::new();
    let mut hears = |command: &str, reply: SmtpReply, good: u16| {
        let fits = reply.code == good;
        if !fits || command == "end" {
            heard.push(format!("{command} {reply}"));
        }
        fits
    };
    let sender = if sender.contains('>') { sender.to_owned() } else { format!("{sender}>") };
    if !hears("MAIL", smtp.command(&format!("MAIL FROM:<{sender}")), 250) {
        return heard.join(", ");
    }
    let taken = ["first", "second"].map(|name| {
        let reply = smtp.command(&format!("RCPT TO:<{name}@example.net>"));
        // What follows a lost connection is said to each command.
        let lost = reply.text().starts_with("4.4.2");
        (hears("RCPT", reply, 250), lost)
    });
    if taken.iter().any(|(_, lost)| *lost) {
        assert_eq!(smtp.expect(451, "DATA").text(), LOST);
        heard.truncate(1);
        return heard.join(", ");
    }
    if hears("DATA", smtp.command("DATA"), 354) {
        smtp.send(stuffed(message));
        smtp.send(".\r\n");
        hears("end", smtp.reply(), 250);
    }
    heard.join(", ")
}

/// The outcomes of submissions in the journal, in order.
fn outcomes(scene: &Scene) -> Vec<String> {
    let text = std::fs::read_to_string(scene.proxy.state().join("journal.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let outcomes = lines.filter(|line| line["event"] == "outcome");
    outcomes.map(|line| line["outcome"].as_str().unwrap().to_owned()).collect()
}

fn unknown(scene: &Scene) -> usize {
    let list = scene.proxy.run(&["outbox", "list", "--json"], "");
    let rows: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
    rows.iter().filter(|row| row["state"] == "unknown").count()
}

#[test]
fn a_host_that_refuses_or_hangs_up() {
    let (scene, sink) = (Scene::open(), Sink::start());
    scene.add_mailbox(SALES, &sink, WITH_LOGIN);
    println!(
        "| the host, at | does | the client hears | journal | taken, sent again |\n|---|---|---|---|---|"
    );
    for (id, case) in cases().into_iter().enumerate() {
        let before = outcomes(&scene).len();
        let mut smtp = scene.smtp_as(SALES);
        case.answers.iter().for_each(|answer| sink.once(case.stage, answer.clone()));
        let heard = hand_in(&mut smtp, SALES, &message(SALES, id));
        let name = format!("{:?} {}", case.stage, case.does);
        assert_eq!(heard, case.heard, "{name}\n{}", smtp.wire.trace());
        sink.forget_answers();
        assert_eq!(unknown(&scene), usize::from(case.journal == "unknown"), "{name}");
        // The same session, the same message: the client's queue sends it again.
        smtp.expect(250, "RSET");
        let again = hand_in(&mut smtp, SALES, &message(SALES, id));
        assert_eq!(again, TAKEN, "{name}");
        smtp.expect(221, "QUIT");
        let recorded = outcomes(&scene).split_off(before);
        let expected: Vec<_> =
            [case.journal, "done"].into_iter().filter(|outcome| !outcome.is_empty()).collect();
        assert_eq!(recorded, expected, "{name}");
        assert_eq!(unknown(&scene), 0, "{name}: the second settles the first");
        let subject = id.to_string();
        let of_it = |delivery: &&Delivery| delivery.header("Subject") == [subject.as_str()];
        let whole = sink.deliveries();
        let taken = whole.iter().filter(of_it).filter(|delivery| delivery.accepted).count();
        assert_eq!(taken, case.taken, "{name}");
        println!("| {:?} | {} | {} | {} | {taken} |", case.stage, case.does, case.heard, case.journal);
    }
    let log = scene.proxy.log();
    assert!(!log.contains("panicked"), "{log}");
}

/// Each stage at which an answer can be late, the answer, and what the client hears when the
/// time for it is over.
const LATE: &[(Stage, &str, &str)] = &[
    (Stage::Greeting, "220 sink", "MAIL 451 4.4.1 "),
    (Stage::Ehlo, EHLO, "MAIL 451 4.4.1 "),
    (Stage::Auth, "235 ok", "MAIL 451 4.4.1 "),
    (Stage::Mail, "250 ok", "MAIL 451 4.4.2 "),
    (Stage::Rcpt, "250 ok", "RCPT 451 4.4.2 "),
    (Stage::Data, "354 go on", "end 451 4.4.2 "),
    (Stage::EndOfData, "250 2.0.0 queued as LATE", "end 451 4.4.2 "),
];

/// Seconds for an answer of the host's in this test.
const TIME: &str =
    "[submission.session]\nupstream_seconds = 3\naccept_seconds = 3\n[upstream]\nlogin_seconds = 3\n";

#[test]
fn a_host_that_is_late() {
    let scene = Scene::with(dovecot::Settings::default(), TIME);
    let hosts: Vec<_> = (0..LATE.len()).map(|n| (format!("late{n}@example.org"), Sink::start())).collect();
    for (address, sink) in &hosts {
        scene.add_mailbox(address, sink, WITH_LOGIN);
    }
    println!("| the host is late at | the client hears |\n|---|---|");
    std::thread::scope(|scope| {
        for ((address, sink), late) in hosts.iter().zip(LATE) {
            scope.spawn(|| be_late(&scene, address, sink, *late));
        }
    });
    let mut outcomes = outcomes(&scene);
    outcomes.sort();
    let mut expected = vec!["done"; 2 * LATE.len()];
    expected.extend(["refused", "unknown"]);
    assert_eq!(outcomes, expected);
    assert_eq!(unknown(&scene), 0);
}

fn be_late(scene: &Scene, address: &str, sink: &Sink, (stage, answer, heard): (Stage, &str, &str)) {
    // In time: the host has the command, and answers when it is told to.
    let mut smtp = scene.smtp_as(address);
    sink.once(stage, Answer::Held(answer.to_owned()));
    let said = std::thread::scope(|scope| {
        let client = scope.spawn(|| hand_in(&mut smtp, address, &message(address, 1)));
        eventually("the host is asked", || sink.is_holding().then_some(()));
        assert!(!client.is_finished(), "{stage:?}: answered before the host has");
        sink.release();
        client.join().unwrap()
    });
    assert_eq!(said, TAKEN, "{stage:?} in time");
    smtp.expect(221, "QUIT");
    // Too late: the answer comes when nobody waits for it any more, and goes nowhere.
    let mut smtp = scene.smtp_as(address);
    sink.once(stage, Answer::Held(answer.to_owned()));
    let said = hand_in(&mut smtp, address, &message(address, 2));
    assert!(said.starts_with(heard), "{stage:?} too late: {said}");
    sink.release();
    println!("| {stage:?} | {said} |");
    assert_eq!(hand_in(&mut smtp, address, &message(address, 2)), TAKEN, "{stage:?} afterwards");
    let accepted = sink.deliveries().iter().filter(|delivery| delivery.accepted).count();
    assert_eq!(accepted, if stage == Stage::EndOfData { 3 } else { 2 }, "{stage:?}");
}

/// A host that is another one when it is dialled again.
struct Changed {
    now: &'static str,
    /// Its answer to EHLO.
    ehlo: &'static str,
    /// What MAIL says besides the sender, and what is heard of the message.
    mail: &'static str,
    heard: &'static str,
    /// What our answer to EHLO must not have any more.
    gone: &'static str,
}

const CHANGED: &[Changed] = &[
    Changed {
        now: "SIZE 20000",
        ehlo: "250-sink\r\n250-SIZE 20000\r\n250-8BITMIME\r\n250 AUTH PLAIN",
        mail: " SIZE=15000",
        heard: "MAIL 552 5.3.4 The message is too large for the mail host",
        gone: "SIZE 52428800",
    },
    Changed {
        now: "SIZE 20000, not announced by the client",
        ehlo: "250-sink\r\n250-SIZE 20000\r\n250-8BITMIME\r\n250 AUTH PLAIN",
        mail: "",
        heard: "end 552 5.3.4 A message has at most 11808 octets here",
        gone: "no keyword",
    },
    Changed {
        now: "no 8BITMIME",
        ehlo: "250-sink\r\n250-DSN\r\n250 AUTH PLAIN",
        mail: " BODY=8BITMIME",
        heard: "MAIL 554 5.6.3 The mail host cannot take 8-bit messages",
        gone: "8BITMIME",
    },
    Changed {
        now: "no SMTPUTF8",
        ehlo: "250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN",
        mail: " SMTPUTF8",
        heard: "MAIL 550 5.6.7 The mail host cannot take addresses beyond ASCII",
        gone: "SMTPUTF8",
    },
    Changed {
        now: "no DSN",
        ehlo: "250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN",
        mail: " RET=HDRS ENVID=a",
        heard: TAKEN,
        gone: "DSN",
    },
    Changed {
        now: "no PIPELINING",
        ehlo: "250-sink\r\n250-8BITMIME\r\n250 AUTH PLAIN",
        mail: "",
        heard: TAKEN,
        gone: "no keyword",
    },
    Changed {
        now: "AUTH CRAM-MD5 XOAUTH2",
        ehlo: "250-sink\r\n250 AUTH CRAM-MD5 XOAUTH2",
        mail: "",
        heard: "MAIL 451 4.4.1 The mail host of sales@example.org cannot be used now; please try again later",
        gone: "no keyword",
    },
    Changed {
        now: "no AUTH",
        ehlo: "250 sink",
        mail: "",
        heard: "MAIL 451 4.4.1 The mail host of sales@example.org cannot be used now; please try again later",
        gone: "no keyword",
    },
];

#[test]
fn a_host_that_is_another_one_than_before() {
    let extra = "[submission.session]\nsmtp_utf8 = true\n";
    let (scene, sink) = (Scene::with(dovecot::Settings::default(), extra), Sink::start());
    scene.add_mailbox(SALES, &sink, WITH_LOGIN);
    println!("| the host, dialled again, has | MAIL | the client hears |\n|---|---|---|");
    for (id, changed) in CHANGED.iter().enumerate() {
        let Changed { now, ehlo, mail, heard, gone } = *changed;
        let mut smtp = scene.smtp_as(SALES);
        // It takes one message as it was, and hangs up.
        sink.once(Stage::EndOfData, and_close("250 2.0.0 ok"));
        assert_eq!(hand_in(&mut smtp, SALES, &message(SALES, 2 * id)), TAKEN);
        let before = smtp.expect(250, "EHLO client.example.org");
        assert!(before.lines.iter().any(|line| line == "SIZE 52428800"), "{before}");
        sink.once(Stage::Ehlo, reply(ehlo));
        let (seen, sent) = (sink.commands().len(), sink.deliveries().len());
        let said = hand_in(&mut smtp, &format!("{SALES}>{mail}"), &message(SALES, 2 * id + 1));
        assert_eq!(said, heard, "{now}\n{}", smtp.wire.trace());
        let commands = sink.commands().split_off(seen);
        assert_eq!(commands.iter().any(|line| line.starts_with("AUTH")), ehlo.contains("PLAIN"), "{now}");
        let params = ["SIZE=", "BODY=", "RET=", "ENVID=", "SMTPUTF8"];
        assert!(!commands.iter().any(|line| params.iter().any(|param| line.contains(param))), "{commands:?}");
        assert_eq!(sink.deliveries().len() - sent, usize::from(heard == TAKEN), "{now}");
        let after = smtp.expect(250, "EHLO client.example.org");
        assert!(!after.lines.iter().any(|line| line == gone), "{now}: {after}");
        println!("| {now} | {mail} | {heard} |");
        // And as it was before, when it is dialled once more.
        let mut smtp = scene.smtp_as(SALES);
        assert_eq!(hand_in(&mut smtp, SALES, &message(SALES, 2 * id + 1)), TAKEN, "{now}");
    }
}

/// Whoever stands between us and the host takes STARTTLS out of its answer, or answers for it.
#[test]
fn a_host_without_tls_where_there_was_to_be_tls() {
    let scene = Scene::open();
    let sink = Sink::start_tls(&scene.ca.localhost());
    scene.add_mailbox(SALES, &sink, &["--smtp-security", "starttls"]);
    assert_eq!(hand_in(&mut scene.smtp_as(SALES), SALES, &message(SALES, 0)), TAKEN);
    let seen = sink.commands().len();
    let no_host =
        "MAIL 451 4.4.1 The mail host of sales@example.org cannot be used now; please try again later";
    let with = "250-sink.example.org\r\n250-STARTTLS\r\n250 AUTH PLAIN";
    println!("| STARTTLS | the client hears |\n|---|---|");
    for (does, ehlo, answer) in [
        ("not offered", EHLO, None),
        ("`454 4.7.0`", with, Some(reply("454 4.7.0 not now"))),
        ("`502 5.5.1`", with, Some(reply("502 5.5.1 what?"))),
        ("hangs up", with, Some(Answer::Close)),
        ("`220`, hangs up", with, Some(and_close("220 go"))),
        ("`220`, and an answer behind it in the clear", with, Some(reply("220 go\r\n250 AUTH PLAIN"))),
    ] {
        sink.once(Stage::Ehlo, reply(ehlo));
        sink.once(Stage::Ehlo, reply(ehlo));
        if let Some(answer) = answer {
            sink.once(Stage::StartTls, answer);
        }
        let said = hand_in(&mut scene.smtp_as(SALES), SALES, &message(SALES, 1));
        assert_eq!(said, no_host, "{does}");
        println!("| {does} | {said} |");
        sink.forget_answers();
    }
    let commands = sink.commands().split_off(seen);
    assert!(
        commands.iter().all(|line| !line.starts_with("AUTH") && !line.starts_with("MAIL")),
        "{commands:?}"
    );
}
