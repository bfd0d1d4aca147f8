//! What public collections of attacks send: other ends of data, and headers and envelopes
//! that two programs read differently. Each ends as one message in the mailbox's own name, or
//! as a refusal; never as two messages, and never in somebody else's name.
//!
//! The ends of data are those of VU#302671 and of the scanners made for it; the headers those
//! of "Composition Kills" (USENIX Security 2020) and "Weak Links in Authentication Chains"
//! (USENIX Security 2021). `docs/sending.md` has the tables as these tests print them.

use std::collections::BTreeMap;

use crate::support::dovecot::SUPPORT;
use crate::support::{ALICE, BOB, Delivery, Read, Scene, Sink, Smtp};

/// A second mailbox, whose submission host is a sink itself: it keeps our own octets.
const SALES: &str = "sales@example.org";

fn with_sales() -> (Scene, Sink) {
    let (scene, sink) = (Scene::open(), Sink::start());
    scene.add_mailbox(SALES, &sink, &["--smtp-security", "plaintext", "--smtp-no-auth"]);
    (scene, sink)
}

/// Every octet string that some host has taken for the end of a message.
const ENDS: &[&str] = &[
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\r",
    "\n.\r",
    "\r.\n",
    "\r\n.\r\r\n",
    "\r\r\n.\r\r\n",
    "\r\n\0.\r\n",
    "\r\n.\0\r\n",
    "\n\r.\r\n",
    "\r\n.\n\r",
    "\r\n..\n",
    "\r\n.\u{b}\r\n",
    "\r\n.\u{85}\r\n",
    "\r\n. \r\n",
    "\r\n.\t\r\n",
];

fn smuggling(end: &str, sender: &str) -> Vec<u8> {
    format!(
        "From: {sender}\r\nSubject: outside\r\nMessage-ID: <outside@x>\r\n\r\nx{end}MAIL FROM:<eve@example.org>\r\n\
         RCPT TO:<victim@example.net>\r\nDATA\r\nFrom: eve@example.org\r\nSubject: inside\r\n\r\nsmuggled\r\n.\r\n"
    )
    .into_bytes()
}

/// MAIL, RCPT, DATA, the octets as they are, and what is said to all of it.
fn send_raw(smtp: &mut Smtp, sender: &str, octets: &[u8]) -> String {
    for line in [format!("MAIL FROM:<{sender}>"), "RCPT TO:<customer@example.net>".to_owned()] {
        let reply = smtp.command(&line);
        if reply.code != 250 {
            return reply.to_string();
        }
    }
    smtp.expect(354, "DATA");
    smtp.send(octets);
    smtp.reply().to_string()
}

/// How many messages Postfix itself makes of it, given it directly.
fn by_postfix_alone(scene: &Scene, end: &str) -> usize {
    let before = scene.sink.deliveries().len();
    let mut smtp = Smtp::plain(scene.postfix.relay());
    smtp.expect(250, "EHLO client.example");
    send_raw(&mut smtp, SUPPORT, &smuggling(end, SUPPORT));
    // What was smuggled is answered before this is.
    smtp.send("NOOP\r\nQUIT\r\n");
    let mut queued = 1;
    while let Read::Octets(line) = smtp.wire.line(crate::support::PATIENCE) {
        queued += usize::from(line.starts_with(b"250 2.0.0 Ok: queued"));
        if line.starts_with(b"221") {
            break;
        }
    }
    scene.sink.wait(before + queued);
    queued
}

#[test]
fn every_end_of_data_is_one_message_or_a_refusal() {
    let (scene, sink) = with_sales();
    println!("| end of data | Postfix alone | Mandate |\n|---|---|---|");
    let mut smuggled = 0;
    for end in ENDS {
        let alone = by_postfix_alone(&scene, end);
        smuggled += usize::from(alone > 1);
        let before = (scene.sink.deliveries().len(), sink.deliveries().len());
        let mut said = Vec::new();
        for (mut smtp, sender) in [(scene.smtp(BOB), SUPPORT), (scene.smtp_as(SALES), SALES)] {
            said.push(send_raw(&mut smtp, sender, &smuggling(end, sender)));
            // The session is where it should be: the next command is the next answer.
            smtp.expect(250, "NOOP");
            smtp.expect(221, "QUIT");
        }
        let after = (scene.sink.deliveries().len(), sink.deliveries().len());
        let outcome = if said.iter().all(|said| said.starts_with("250 ")) {
            let count = (scene.sink.wait(before.0 + 1).len(), sink.wait(before.1 + 1).len());
            assert_eq!(count, (before.0 + 1, before.1 + 1), "{end:?}");
            "one message, with it inside".to_owned()
        } else {
            assert!(said.iter().all(|said| said.starts_with("550 5.6.11 ")), "{end:?}: {said:?}");
            assert_eq!(after, before, "{end:?}");
            format!("refused: {}", said[0])
        };
        println!("| `{}` | {} | {outcome} |", end.escape_debug(), messages(alone));
    }
    for delivery in scene.sink.deliveries().iter().chain(&sink.deliveries()) {
        let through_us = delivery.text().contains("(Mandate)");
        assert!(!through_us || delivery.rcpt_to.iter().all(|to| !to.contains("victim")), "{delivery:?}");
        assert!(!through_us || !delivery.mail_from.contains("eve"), "{delivery:?}");
    }
    assert!(smuggled > 0, "Debian's Postfix would be fooled by none: the table proves nothing");
    println!("{smuggled} of {} would have been two messages without us", ENDS.len());
}

fn messages(count: usize) -> String {
    if count == 1 { "1 message".to_owned() } else { format!("**{count} messages**") }
}

/// What a header can be: everything up to the empty line, and how it must end.
fn headers() -> Vec<(&'static str, String)> {
    let ok = format!("From: {SUPPORT}\r\n");
    let eve = "eve@example.org";
    let own = |rest: &str| format!("{ok}{rest}\r\n");
    [
        ("two From", own(&format!("From: <{eve}>"))),
        ("two From, the other first", format!("From: <{eve}>\r\n{ok}")),
        ("From in other case twice", own(&format!("fRoM: {eve}"))),
        ("space before From", format!(" From: <{eve}>\r\n{ok}")),
        ("space after From", own(&format!("From : <{eve}>"))),
        ("tab after From", own(&format!("From\t: <{eve}>"))),
        ("From folded before its colon", own(&format!("From\r\n : <{eve}>"))),
        ("only a From folded before its colon", format!("From\r\n : {SUPPORT}\r\n")),
        ("From folded after its colon", format!("From:\r\n {SUPPORT}\r\n")),
        ("From folded by an empty line", format!("From:\r\n \r\n {SUPPORT}\r\n")),
        ("no From, a Sender", format!("Sender: {SUPPORT}\r\n")),
        ("a Sender who is somebody else", own(&format!("Sender: {eve}"))),
        ("two Sender", own(&format!("Sender: {SUPPORT}\r\nSender: {eve}"))),
        ("Resent-From", own(&format!("Resent-From: {eve}"))),
        ("Apparently-From", own(&format!("Apparently-From: {eve}"))),
        ("X-Original-From", own(&format!("X-Original-From: {eve}"))),
        ("two addresses", format!("From: {SUPPORT}, {eve}\r\n")),
        ("two addresses in angle brackets", format!("From: <{SUPPORT}>, <{eve}>\r\n")),
        ("two addresses, no comma", format!("From: <{SUPPORT}> <{eve}>\r\n")),
        ("addresses nested", format!("From: <<{SUPPORT}><{eve}>>\r\n")),
        ("an address as the name", format!("From: {eve} <{SUPPORT}>\r\n")),
        ("a quoted address as the name", format!("From: \"{eve}\" <{SUPPORT}>\r\n")),
        ("an encoded address as the name", format!("From: =?utf-8?B?ZXZlQGV4YW1wbGUub3Jn?= <{SUPPORT}>\r\n")),
        (
            "an encoded address, then another",
            format!("From: =?utf-8?B?PGV2ZUBleGFtcGxlLm9yZz4=?=,<{SUPPORT}>\r\n"),
        ),
        ("an encoded word in the address", "From: =?utf-8?Q?eve?=@example.org\r\n".to_owned()),
        ("an encoded address alone", "From: =?utf-8?B?ZXZlQGV4YW1wbGUub3Jn?=\r\n".to_owned()),
        ("a route", format!("From: <@example.net,@example.com:{SUPPORT}>\r\n")),
        ("a route to somebody else", format!("From: <@{SUPPORT}:{eve}>\r\n")),
        ("a group", format!("From: Team: {SUPPORT};\r\n")),
        ("an empty group, then an address", format!("From: x:;, {SUPPORT}\r\n")),
        ("a comment behind", format!("From: <{SUPPORT}>({eve})\r\n")),
        ("a comment inside", format!("From: <support(x)@example.org>, {eve}\r\n")),
        ("a comment before", format!("From: ({eve}) {SUPPORT}\r\n")),
        ("a quoted local part", "From: \"support\"@example.org\r\n".to_owned()),
        ("a quoted address with another domain", format!("From: \"{SUPPORT}\"@example.net\r\n")),
        ("a quoted pair", "From: \"supp\\ort\"@example.org\r\n".to_owned()),
        ("an open quote", format!("From: \"{eve} <{SUPPORT}>\r\n")),
        ("an open angle bracket", format!("From: <{SUPPORT}\r\n")),
        ("text behind the address", format!("From: <{SUPPORT}>{eve}\r\n")),
        ("a space in the address", format!("From: <{eve} {SUPPORT}>\r\n")),
        ("a semicolon", format!("From: {SUPPORT};{eve}\r\n")),
        ("an empty address", "From: <>\r\n".to_owned()),
        ("an empty From", "From:\r\n".to_owned()),
        ("no From at all", "Subject: x\r\n".to_owned()),
        ("an address literal", "From: support@[127.0.0.1]\r\n".to_owned()),
        ("a percent sign", "From: eve%example.org@example.org\r\n".to_owned()),
        ("a trailing dot", format!("From: {SUPPORT}.\r\n")),
        ("a subdomain", "From: support@mail.example.org\r\n".to_owned()),
        ("a look-alike in Unicode", "From: supp\u{43e}rt@example.org\r\n".to_owned()),
        ("a look-alike as A-label", "From: support@xn--exmple-qta.org\r\n".to_owned()),
        ("8-bit octets in From", "From: b\u{fc}ro <support@example.org>\r\n".to_owned()),
        ("a tag", "From: support+eve@example.org\r\n".to_owned()),
        ("a field name with a control character", own(&format!("Fr\u{1}om: {eve}"))),
        ("a field name with 8-bit octets", own(&format!("Fr\u{f6}m: {eve}"))),
        ("a line that is no field", own("no colon here")),
        ("a dot before From", format!("..From: {eve}\r\n{ok}")),
        ("a line over 998 octets", own(&format!("X: {}", "x".repeat(1_200)))),
        ("the same long line folded", own(&format!("X: {}\r\n {}", "x".repeat(600), "x".repeat(600)))),
        ("501 fields", own("X: y\r\n".repeat(501).trim_end())),
        ("51 Received", own("Received: x; y\r\n".repeat(51).trim_end())),
        ("two Date", own("Date: x\r\nDate: y")),
        ("two Message-ID", own("Message-ID: <1@x>\r\nMessage-ID: <2@x>")),
        ("two Subject", own("Subject: x\r\nSubject: y")),
        ("two Reply-To", own(&format!("Reply-To: {SUPPORT}\r\nReply-To: {eve}"))),
        ("two Content-Type", own("Content-Type: text/plain\r\nContent-Type: text/html")),
        ("forged results", own(&format!("Authentication-Results: example.org; dkim=pass header.from={eve}"))),
        ("a forged signature", own("DKIM-Signature: v=1; d=example.org; b=x")),
        (
            "a forged ARC chain",
            own("ARC-Seal: i=1; cv=none; d=example.org\r\nARC-Authentication-Results: i=1; x"),
        ),
        ("Return-Path", own(&format!("Return-Path: <{eve}>"))),
        ("the person's own address", format!("From: {BOB}\r\n")),
        ("a colleague's address", format!("From: {ALICE}\r\n")),
        ("the mailbox, in other case", "FROM: SUPPORT@EXAMPLE.ORG\r\n".to_owned()),
    ]
    .into()
}

#[test]
fn every_header_is_the_mailboxs_or_a_refusal() {
    let scene = Scene::open();
    let mut expected = Vec::new();
    println!("| header | becomes |\n|---|---|");
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    for (name, header) in headers() {
        let mut smtp = scene.smtp(BOB);
        let said = send_raw(&mut smtp, SUPPORT, format!("{header}\r\nbody\r\n.\r\n").as_bytes());
        smtp.expect(250, "NOOP");
        let outcome = if said.starts_with("250 ") {
            expected.push(name);
            "one message, From the mailbox".to_owned()
        } else {
            assert!(said.starts_with('5'), "{name}: {said}");
            format!("refused: {said}")
        };
        *outcomes.entry(if said.starts_with("250 ") { "sent" } else { "refused" }).or_default() += 1;
        println!("| {name} | {outcome} |");
    }
    println!("{outcomes:?}");
    let deliveries = scene.sink.wait(expected.len());
    assert_eq!(deliveries.len(), expected.len());
    deliveries.iter().for_each(assert_is_support);
    // What must get through, or the table would be green for a proxy that refuses all.
    for name in [
        "From folded after its colon",
        "a Sender who is somebody else",
        "a quoted address as the name",
        "the same long line folded",
        "a forged signature",
        "the person's own address",
        "the mailbox, in other case",
    ] {
        assert!(expected.contains(&name), "{name} was refused");
    }
}

/// Envelope and header name the mailbox, and nothing in the header names anybody else.
fn assert_is_support(delivery: &Delivery) {
    let text = delivery.text();
    let header = text.split("\r\n\r\n").next().unwrap_or_default().to_lowercase();
    assert_eq!(delivery.header("From"), [format!("\"Example Support\" <{SUPPORT}>")], "{text}");
    assert!(delivery.mail_from.starts_with(&format!("<{SUPPORT}>")), "{}", delivery.mail_from);
    for foreign in ["eve", "bob@", "alice@", "dkim", "arc-", "authentication-results"] {
        assert!(!header.contains(foreign), "{foreign}: {text}");
    }
}

/// What an envelope can be: MAIL or RCPT lines, none of which leads to a message.
#[test]
fn every_envelope_is_refused_where_two_readings_are() {
    let scene = Scene::open();
    let before = scene.sink.commands().len();
    println!("| envelope | answer |\n|---|---|");
    for line in [
        "MAIL FROM:<(support@example.org>",
        "MAIL FROM:<support@example.org(eve.example.net>",
        "MAIL FROM:<support@example.org'@eve.example.net>",
        "MAIL FROM:<@example.org,@example.net:'support@example.org>",
        "MAIL FROM:<any@mailfrom.example.org>",
        "MAIL FROM:<eve@example.org>",
        "MAIL FROM:<support@example.org> SIZE=1 SIZE=2",
        "MAIL FROM:<support@example.org> SIZE=-1",
        "MAIL FROM:<support@example.org> SIZE=18446744073709551616",
        "MAIL FROM:<support@example.org> ENVID=+0D+0ARCPT",
        "MAIL FROM:<support@example.org> AUTH=+0D+0A",
        "MAIL FROM:<support@example.org> BODY=BINARYMIME",
        "MAIL FROM:<support@example.org> HOLDFOR=10",
        "MAIL FROM:<support@example.org> MT-PRIORITY=9",
        "MAIL FROM:<support@example.org> XFOO=1",
        "MAIL FROM:<\"support\"@example.org>",
        "MAIL FROM:<\"\"@example.org>",
        "MAIL FROM:support@example.org",
        "MAIL FROM: <support@example.org>",
        "MAIL FROM:<support@example.org>\tSIZE=1",
        "MAIL FROM:<b\u{fc}ro@example.org>",
        "MAIL FROM:<support@[127.0.0.1]>",
    ] {
        let mut smtp = scene.smtp(BOB);
        let said = smtp.command(line);
        println!("| `{}` | {said} |", line.escape_debug());
        assert!((500..600).contains(&said.code), "{line}: {said}");
        smtp.expect(503, "RCPT TO:<customer@example.net>");
    }
    for line in [
        "RCPT TO:<customer%example.net@example.org>",
        "RCPT TO:<@example.org:customer@example.net>",
        "RCPT TO:<|sh@example.net>",
        "RCPT TO:<\"x@example.com> NOTIFY=NEVER <\"@example.net>",
        "RCPT TO:<customer@example.net> ORCPT=rfc822;+0D+0A",
        "RCPT TO:<customer@example.net> NOTIFY=NEVER,SUCCESS",
        "RCPT TO:<customer>",
        "RCPT TO:<>",
        "RCPT TO:<customer@example.net> XFOO",
        "RCPT TO:<k\u{fc}nde@example.net>",
    ] {
        let mut smtp = scene.smtp(BOB);
        smtp.expect(250, "MAIL FROM:<support@example.org>");
        let said = smtp.command(line);
        println!("| `{}` | {said} |", line.escape_debug());
        assert!((500..600).contains(&said.code), "{line}: {said}");
        smtp.expect(554, "DATA");
    }
    assert_eq!(scene.sink.commands().len(), before, "{:?}", scene.sink.commands());
}
