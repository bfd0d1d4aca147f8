//! COPY and MOVE from one mailbox into another, on two hosts: what arrives, what may not, and
//! where every message is when something fails in the middle.

use std::collections::BTreeMap;

use crate::combined::{Both, INFO, refused};
use crate::furnished::message;
use crate::streaming::{assert_small, mark_memory};
use crate::support::dovecot::SUPPORT;
use crate::support::snapshot::Message;
use crate::support::{ALICE, BOB, Dovecot, Imap, Reply, eventually};

/// What alice has in a folder of her own, or support in one of its.
fn held(dovecot: &Dovecot, account: &str, folder: &str) -> BTreeMap<u32, Message> {
    dovecot.snapshot(account).folders[folder].messages.clone()
}

/// What two messages have in common when one is the other's copy.
fn content(messages: &BTreeMap<u32, Message>) -> Vec<(&Vec<u8>, &String)> {
    messages.values().map(|message| (&message.hash, &message.internal_date)).collect()
}

/// Puts messages into support's INBOX, each with a date and flags of its own; their UIDs.
fn fill(both: &Both, dates: &[(&str, &str)]) -> Vec<u32> {
    let mut direct = both.scene.dovecot.login(SUPPORT);
    let mut uids = Vec::new();
    for (number, (flags, date)) in (1..).zip(dates) {
        let octets = message(number);
        let tag = direct.start(&format!("APPEND INBOX ({flags}) \"{date}\" {{{}}}", octets.len()));
        assert!(direct.response().starts_with(b"+"));
        direct.send(octets);
        direct.send("\r\n");
        let stored = direct.finish(&tag).tagged;
        let uid = stored.split([' ', ']']).nth(3).unwrap().parse().unwrap();
        uids.push(uid);
    }
    uids
}

/// Alice, with support's INBOX open.
fn at_support(both: &Both) -> Imap {
    let mut imap = both.imap(ALICE);
    imap.ok("SELECT Shared/support");
    imap
}

fn own_folder(both: &Both, name: &str) {
    both.second.login(ALICE).ok(&format!("CREATE {name}"));
    let mut imap = both.imap(ALICE);
    eventually("the new folder is seen", || {
        imap.command(&format!("STATUS {name} (MESSAGES)")).is_ok().then_some(())
    });
}

fn code(reply: &Reply, name: &str) -> Option<String> {
    let all = reply.to_string();
    let at = all.find(&format!("[{name} "))?;
    Some(all[at + 1..].split(']').next().unwrap().to_owned())
}

#[test]
fn what_arrives_is_what_was_there() {
    let both = Both::open();
    own_folder(&both, "Work");
    let uids = fill(
        &both,
        &[
            ("\\Flagged \\Answered $label", "01-Feb-2020 03:04:05 +0000"),
            ("\\Seen", "02-Mar-2021 03:04:05 +0000"),
            ("", "03-Apr-2022 03:04:05 +0000"),
        ],
    );
    assert_eq!(uids, [3, 4, 5]);
    let before = held(&both.scene.dovecot, SUPPORT, "INBOX");
    let mut imap = at_support(&both);
    let copied = imap.ok("UID COPY 3:5 Work");
    let validity = both.second.snapshot(ALICE).folders["Work"].uid_validity;
    assert_eq!(code(&copied, "COPYUID"), Some(format!("COPYUID {validity} 3:5 1:3")), "{copied}");
    assert_eq!(held(&both.scene.dovecot, SUPPORT, "INBOX"), before, "a copy changes nothing");
    let copies = held(&both.second, ALICE, "Work");
    let wanted: BTreeMap<_, _> =
        before.iter().filter(|(uid, _)| **uid > 2).map(|(k, v)| (*k, v.clone())).collect();
    assert_eq!(content(&copies), content(&wanted));
    for (copy, original) in copies.values().zip(wanted.values()) {
        let kept = |message: &Message| {
            message.flags.iter().filter(|flag| *flag != "\\Recent").cloned().collect::<Vec<_>>()
        };
        assert_eq!(kept(copy), kept(original));
    }
    // And back into another mailbox, by number, one by one and `*`.
    imap.ok("SELECT Work");
    let copied = imap.ok("COPY 2,* Shared/support/Archive");
    assert!(code(&copied, "COPYUID").is_some_and(|code| code.ends_with(" 2:3 1:2")), "{copied}");
    assert_eq!(held(&both.scene.dovecot, SUPPORT, "Archive").len(), 2);

    let moved = imap.ok("MOVE 1:2 Shared/support");
    let lines = moved.lines();
    let told = lines.iter().position(|line| line.contains("[COPYUID ")).expect("COPYUID first");
    let gone: Vec<_> = lines.iter().filter(|line| line.ends_with(" EXPUNGE")).collect();
    assert_eq!(gone.len(), 2, "{moved}");
    assert!(lines[..=told].iter().all(|line| !line.ends_with(" EXPUNGE")), "{moved}");
    assert!(!moved.tagged.contains("COPYUID"), "{moved}");
    assert_eq!(held(&both.second, ALICE, "Work").keys().collect::<Vec<_>>(), [&3]);
    assert_eq!(held(&both.scene.dovecot, SUPPORT, "INBOX").len(), before.len() + 2);
    assert!(imap.ok("UID SEARCH ALL").has("* SEARCH 3"));
}

/// Sets that mean nothing, and targets that are none.
#[test]
fn odd_sets_and_odd_targets() {
    let both = Both::open();
    own_folder(&both, "Work");
    let mut imap = at_support(&both);
    for command in ["UID COPY 99:200 Work", "UID MOVE 4294967295 Work"] {
        let reply = imap.ok(command);
        assert!(code(&reply, "COPYUID").is_none() && !reply.has("EXPUNGE"), "{reply}");
    }
    assert!(imap.command("COPY 77 Work").is_no());
    assert!(imap.command("UID COPY 2:* Work").is_ok(), "there is one");
    imap.ok("UID SEARCH RETURN (SAVE) UID 2");
    assert!(imap.ok("COPY $ Work").to_string().contains(" 2 2] COPY completed"));
    assert_eq!(held(&both.second, ALICE, "Work").len(), 2);
    for name in ["Shared", "Shared/nobody", "Shared/support/INBOX", "Wor&k"] {
        refused(&mut imap, &format!("UID COPY 1 {name}"), "[NONEXISTENT] There is no such folder");
    }
    // Who may create it there is told so, as at APPEND.
    refused(&mut imap, "UID COPY 1 Nowhere", "[TRYCREATE] There is no such folder");
    refused(&mut imap, "UID COPY 1 Shared/info/Nowhere", "[NONEXISTENT] There is no such folder");
    refused(&mut imap, "UID COPY 1 Shared/info", "[NOPERM] Your role");
    imap.ok("SELECT Shared/support/Archive");
    imap.ok("UID COPY * Work");
    imap.ok("UID MOVE 1:* Work");
    assert_eq!(held(&both.second, ALICE, "Work").len(), 2);
    imap.ok("UNSELECT");
    assert!(imap.command("UID COPY 1 Work").is_bad());
    // Nothing is open after this, and the empty own INBOX has nothing to copy.
    let mut bob = both.imap(BOB);
    bob.ok("SELECT INBOX");
    bob.ok("UID COPY 1:* Shared/support");
    bob.ok("SELECT Shared/support");
    refused(&mut bob, "UID COPY 1 INBOX", "[NOPERM]");
}

#[test]
fn both_mailboxes_have_a_say() {
    let both = Both::open();
    own_folder(&both, "Work");
    both.second.login(INFO).ok("CREATE Secret");
    let before = both.second.snapshot(INFO);
    let mut imap = both.imap(ALICE);
    // A reader of info may copy what they read, and take nothing away.
    imap.ok("SELECT Shared/info");
    imap.ok("UID COPY 1 Work");
    refused(
        &mut imap,
        "UID MOVE 1 Work",
        "[NOPERM] Your role \"reader\" in info@example.org does not allow moving",
    );
    imap.ok("EXAMINE INBOX");
    refused(&mut imap, "UID MOVE 1 Shared/support", "[NOPERM] The folder is open for reading only");
    imap.ok("UID COPY 1 Shared/support");
    // Hidden is what is absent.
    both.run(&["mailbox", "folders", INFO, "Secret=hidden"]);
    imap.ok("SELECT Shared/support");
    let hidden = imap.command("UID COPY 1 Shared/info/Secret");
    let absent = imap.command("UID COPY 1 Shared/info/Absent");
    assert_eq!((hidden.tagged, hidden.untagged), (absent.tagged, absent.untagged));
    // A responder of support, who manages info: what is a draft of others stays.
    both.run(&["grant", "add", BOB, INFO, "manager"]);
    both.scene.dovecot.deliver(SUPPORT, "Drafts", &message(1));
    let mut bob = both.imap(BOB);
    bob.ok("SELECT Shared/support");
    refused(&mut bob, "UID MOVE 1 Shared/info", "[NOPERM] Your role \"responder\" in support@example.org");
    bob.ok("UID COPY 1 Shared/info");
    assert!(bob.append("Shared/support/Drafts", "\\Draft", &message(2)).is_ok());
    bob.ok("SELECT Shared/support/Drafts");
    refused(&mut bob, "UID MOVE 1:2 Shared/info", "your own drafts only");
    assert!(bob.ok("UID MOVE 2 Shared/info").has("* 2 EXPUNGE"));
    assert_eq!(held(&both.scene.dovecot, SUPPORT, "Drafts").keys().collect::<Vec<_>>(), [&1]);
    // What bob puts into a folder of drafts is a draft of his.
    bob.ok("SELECT Shared/info");
    bob.ok("UID COPY 1 Shared/support/Drafts");
    bob.ok("SELECT Shared/support/Drafts");
    assert!(bob.ok("UID STORE 3 +FLAGS (\\Deleted)").has("\\Deleted"));
    let changes = before.changes(&both.second.snapshot(INFO));
    assert_eq!(changes, ["INBOX: uid 3 new", "INBOX: uid 4 new"]);
}

/// The user's own Trash, Archive and Junk are no place for shared mail: it goes to the mailbox's.
#[test]
fn what_is_thrown_away_stays_in_its_mailbox() {
    let both = Both::open();
    both.imap(ALICE).ok("CREATE Archive/2026");
    let before = both.second.snapshot(ALICE);
    let mut imap = at_support(&both);
    let moved = imap.ok("UID MOVE 1 Trash");
    assert!(moved.tagged.contains("MOVE completed: into Shared/support/Trash"), "{moved}");
    assert!(code(&moved, "COPYUID").is_none() && moved.has("* 1 EXPUNGE"), "{moved}");
    let copied = imap.ok("UID COPY 2 Archive/2026");
    assert!(copied.tagged.contains("COPY completed: into Shared/support/Archive"), "{copied}");
    assert!(code(&copied, "COPYUID").is_none(), "{copied}");
    let support = both.scene.dovecot.snapshot(SUPPORT);
    assert_eq!((support.folders["Trash"].messages.len(), support.folders["Archive"].messages.len()), (1, 1));
    imap.ok("SELECT Shared/support/Trash");
    refused(&mut imap, "UID MOVE 1 Trash", "[CANNOT] These messages are in the trash folder");
    // A command after that is told about as ever.
    assert!(!imap.ok("UID COPY 1 Shared/support/Archive").tagged.contains("into"));
    // Readers drain nothing; and a mailbox without such a folder keeps its mail.
    imap.ok("SELECT Shared/info");
    refused(&mut imap, "UID MOVE 1 Trash", "[NOPERM]");
    refused(&mut imap, "UID COPY 1 Archive", "[NOPERM]");
    refused(&mut imap, "UID COPY 1 Nowhere/Trash", "[TRYCREATE]");
    assert_eq!(both.second.snapshot(ALICE), before, "something is in a private folder");
    // Own mail goes where it is put.
    imap.ok("SELECT INBOX");
    assert!(imap.ok("UID MOVE 1 Trash").to_string().contains("COPYUID"));
}

#[test]
fn a_mailbox_may_keep_its_mail_to_itself() {
    let both = Both::open();
    own_folder(&both, "Work");
    let mut imap = at_support(&both);
    imap.ok("UID COPY 1 Work");
    both.run(&["mailbox", "set", SUPPORT, "copy_out=refuse"]);
    let shown = both.scene.proxy.run(&["mailbox", "show", SUPPORT], "");
    assert!(shown.contains("copy_out") && shown.contains("refuse"), "{shown}");
    let words =
        "[NOPERM] The messages of support@example.org may not be copied or moved into another mailbox";
    refused(&mut imap, "UID COPY 1 Work", words);
    refused(&mut imap, "UID MOVE 1 Work", words);
    refused(&mut imap, "UID COPY 1 Nowhere", words);
    imap.ok("UID COPY 1 Shared/support/Archive");
    imap.ok("UID MOVE 1 Trash");
    // Into it is another matter.
    imap.ok("SELECT INBOX");
    imap.ok("UID COPY 1 Shared/support");
    assert_eq!(held(&both.second, ALICE, "Work").len(), 1);
    both.run(&["mailbox", "set", SUPPORT, "copy_out=allow"]);
    imap.ok("SELECT Shared/support");
    imap.ok("UID COPY 2 Work");
}

/// `\Seen` that is one's own goes along, and a `\Deleted` of one's own does not.
#[test]
fn a_read_state_of_ones_own_follows() {
    let both = Both::open();
    own_folder(&both, "Work");
    both.run(&["mailbox", "set", SUPPORT, "read_state=personal"]);
    both.run(&["mailbox", "set", INFO, "read_state=personal"]);
    both.run(&["grant", "add", BOB, INFO, "manager"]);
    let mut imap = at_support(&both);
    imap.ok("UID STORE 1 +FLAGS (\\Seen)");
    imap.ok("UID COPY 1:2 Work");
    let flags = |messages: &BTreeMap<u32, Message>, uid| messages[&uid].flags.contains("\\Seen");
    let copies = held(&both.second, ALICE, "Work");
    assert_eq!((flags(&copies, 1), flags(&copies, 2)), (true, false));
    // From a shared state into one's own, and from one's own into another.
    imap.ok("SELECT Work");
    imap.ok("UID COPY 1:2 Shared/support");
    imap.ok("SELECT Shared/support");
    let seen = imap.ok("UID SEARCH SEEN");
    assert!(seen.has("* SEARCH 1 3"), "{seen}");
    assert!(!flags(&held(&both.scene.dovecot, SUPPORT, "INBOX"), 3), "nothing of it upstream");
    both.run(&["mailbox", "set", SUPPORT, "delete=trash"]);
    let mut bob = both.imap(BOB);
    bob.ok("SELECT Shared/support");
    bob.ok("UID STORE 2 +FLAGS (\\Seen \\Deleted)");
    assert!(bob.ok("UID FETCH 2 (FLAGS)").has("\\Deleted"));
    bob.ok("UID COPY 2 Shared/info");
    bob.ok("SELECT Shared/info");
    let flags = bob.ok("UID FETCH 3 (FLAGS)");
    assert!(flags.has("\\Seen") && !flags.has("\\Deleted"), "{flags}");
}

/// A folder that takes messages in and shows none does not tell what they are called there.
#[test]
fn a_drop_folder_keeps_its_numbers() {
    let roles = "[roles.dropper.rights]\ninbox = \"li\"\n";
    let both = Both::with(roles, "");
    both.run(&["grant", "remove", ALICE, INFO]);
    both.run(&["grant", "add", ALICE, INFO, "dropper"]);
    let mut imap = at_support(&both);
    let copied = imap.ok("UID COPY 1 Shared/info");
    assert!(code(&copied, "COPYUID").is_none(), "{copied}");
    let moved = imap.ok("UID MOVE 2 Shared/info");
    assert!(code(&moved, "COPYUID").is_none() && moved.has("* 2 EXPUNGE"), "{moved}");
    assert_eq!(held(&both.second, INFO, "INBOX").len(), 4);
}

/// A message with so many octets.
fn large(number: u32, octets: usize) -> Vec<u8> {
    let mut all = message(number);
    while all.len() < octets {
        all.extend_from_slice(format!("{:>76}\r\n", all.len()).as_bytes());
    }
    all
}

/// Five messages of 200 KB each in support's INBOX, 3 to 7, and alice's own Work.
fn five() -> Both {
    let both = Both::open();
    own_folder(&both, "Work");
    for number in 1..=5 {
        both.scene.dovecot.deliver(SUPPORT, "INBOX", &large(number, 200_000));
    }
    both
}

/// Octets after which two messages are over, and the third is not.
const IN_THE_THIRD: i64 = 500_000;

#[test]
fn a_target_that_dies_leaves_the_messages_and_takes_its_copies_back() {
    let both = five();
    let (here, there) = (both.scene.dovecot.snapshot(SUPPORT), held(&both.second, ALICE, "Work"));
    let mut imap = at_support(&both);
    for (verb, done) in [("COPY", "copied"), ("MOVE", "moved")] {
        both.relay.cut_after(IN_THE_THIRD, true);
        let reply = imap.command(&format!("UID {verb} 3:7 Work"));
        let words = format!(
            "NO [UNAVAILABLE] 0 of 5 messages were {done}: the connection to the mail host of alice@"
        );
        assert!(reply.tagged.starts_with(&words), "{reply}");
        assert!(!reply.has("EXPUNGE"), "{reply}");
        assert_eq!(both.scene.dovecot.snapshot(SUPPORT), here, "{verb}");
        assert_eq!(held(&both.second, ALICE, "Work"), there, "{verb} left copies");
        imap.ok("NOOP");
    }
    // The same once more, on a wire that holds.
    assert_eq!(
        imap.ok("UID MOVE 3:7 Work").lines().iter().filter(|line| line.ends_with("EXPUNGE")).count(),
        5
    );
    assert_eq!(held(&both.second, ALICE, "Work").len(), 5);
}

#[test]
fn copies_that_cannot_be_taken_back_are_counted() {
    let both = five();
    let here = both.scene.dovecot.snapshot(SUPPORT);
    let mut imap = at_support(&both);
    both.relay.cut_after(IN_THE_THIRD, false);
    let reply = imap.command("UID MOVE 3:7 Work");
    let words = "0 of 5 messages were moved, and 2 of them are in both folders now: the connection";
    assert!(reply.is_no() && reply.tagged.contains(words), "{reply}");
    assert_eq!(both.scene.dovecot.snapshot(SUPPORT), here);
    assert_eq!(held(&both.second, ALICE, "Work").len(), 2);
    both.relay.mend();
    imap.ok("UID COPY 3 Shared/support/Archive");
}

#[test]
fn a_source_that_dies_leaves_the_messages_and_takes_its_copies_back() {
    let both = five();
    at_support(&both).ok("UID MOVE 3:7 Work");
    let here = held(&both.second, ALICE, "Work");
    let there = both.scene.dovecot.snapshot(SUPPORT);
    let mut imap = both.imap(ALICE);
    imap.ok("SELECT Work");
    both.relay.cut_after(IN_THE_THIRD, true);
    let reply = imap.command("UID MOVE 1:5 Shared/support");
    let words = "NO [UNAVAILABLE] 0 of 5 messages were moved: the connection to the mail host broke";
    assert!(reply.tagged.starts_with(words), "{reply}");
    assert!(imap.bye().0.contains("[UNAVAILABLE]"));
    assert_eq!(held(&both.second, ALICE, "Work"), here);
    let now = both.scene.dovecot.snapshot(SUPPORT);
    assert_eq!(now.folders["INBOX"].messages, there.folders["INBOX"].messages);
}

#[test]
fn a_full_mailbox_says_so() {
    let quota = "mail_plugins = $mail_plugins quota\nplugin {\n  quota = maildir:user\n  \
                 quota_rule = *:storage=500K\n}\n";
    let both = Both::with("", quota);
    own_folder(&both, "Work");
    for number in 1..=3 {
        both.scene.dovecot.deliver(SUPPORT, "INBOX", &large(number, 200_000));
    }
    let here = both.scene.dovecot.snapshot(SUPPORT);
    let mut imap = at_support(&both);
    let reply = imap.command("UID MOVE 3:5 Work");
    let words = "NO [OVERQUOTA] 0 of 3 messages were moved: alice@example.org has no room for more";
    assert!(reply.tagged.starts_with(words), "{reply}");
    assert_eq!(held(&both.second, ALICE, "Work").len(), 0);
    assert_eq!(both.scene.dovecot.snapshot(SUPPORT), here);
    let mut shown = imap.ok("UID COPY 3 Work");
    assert!(code(&shown, "COPYUID").is_some(), "{shown}");
    shown = imap.ok("SELECT Work");
    assert!(shown.has("* 1 EXISTS"));
}

/// Each holds what the other waits for: nobody waits for long, and nothing has happened.
#[test]
fn two_full_mailboxes_do_not_wait_for_each_other() {
    let both = Both::open();
    both.run(&["grant", "remove", ALICE, INFO]);
    for who in [ALICE, BOB] {
        both.run(&["grant", "add", who, INFO, "manager"]);
    }
    for mailbox in [SUPPORT, INFO] {
        both.run(&["mailbox", "set", mailbox, "max_connections=2"]);
    }
    let (mut alice, mut bob) = (both.imap(ALICE), both.imap(BOB));
    alice.ok("SELECT Shared/support");
    bob.ok("SELECT Shared/info");
    let before = (both.scene.dovecot.snapshot(SUPPORT), both.second.snapshot(INFO));
    let tags = [alice.start("UID COPY 1 Shared/info"), bob.start("UID COPY 1 Shared/support/Sent")];
    for (imap, tag) in [&mut alice, &mut bob].into_iter().zip(tags) {
        let reply = imap.finish(&tag);
        let words = "NO [UNAVAILABLE] 0 of 1 messages were copied: too many folders of ";
        assert!(reply.tagged.starts_with(words), "{reply}");
    }
    assert_eq!((both.scene.dovecot.snapshot(SUPPORT), both.second.snapshot(INFO)), before);
    bob.ok("UNSELECT");
    alice.ok("UID COPY 1 Shared/info");
}

#[test]
fn a_message_may_be_too_large_for_the_other_mailbox() {
    let both = Both::with("[imap.session]\nappend_limit = 100000\n", "");
    own_folder(&both, "Work");
    both.scene.dovecot.deliver(SUPPORT, "INBOX", &large(1, 200_000));
    let mut imap = at_support(&both);
    let words = "[TOOBIG] 0 of 2 messages were moved: a message may have at most 100000 octets there";
    refused(&mut imap, "UID MOVE 2:3 Work", words);
    assert_eq!(held(&both.second, ALICE, "Work").len(), 0);
    assert_eq!(held(&both.scene.dovecot, SUPPORT, "INBOX").len(), 3);
    imap.ok("UID MOVE 2 Work");
}

/// A message of so many octets goes over, and the daemon stays as small as it was.
fn in_little_memory(octets: usize) {
    let extra = "[imap.session]\nappend_limit = 300000000\n[login.hashing]\nmemory_kib = 1024\n";
    let both = Both::with(extra, "");
    own_folder(&both, "Work");
    both.scene.dovecot.deliver(SUPPORT, "INBOX", &large(1, octets));
    let mut imap = at_support(&both);
    imap.ok("UID COPY 1 Work");
    let memory = mark_memory(&both.scene.proxy);
    imap.ok("UID MOVE 3 Work");
    assert_small(&both.scene.proxy, memory, &format!("{octets} octets from one host to another"));
    let copies = held(&both.second, ALICE, "Work");
    assert!(copies[&2].size >= octets as u64);
    assert_eq!(held(&both.scene.dovecot, SUPPORT, "INBOX").len(), 2);
}

#[test]
fn a_large_message_goes_over_in_little_memory() {
    in_little_memory(30_000_000);
}

#[test]
#[ignore = "nightly: 200 MB take a while on a small machine"]
fn a_very_large_message_goes_over_in_little_memory() {
    in_little_memory(200_000_000);
}

/// Both sides of it are in the journal, by UID.
#[test]
fn the_journal_knows_both_sides() {
    let both = Both::open();
    own_folder(&both, "Work");
    at_support(&both).ok("UID MOVE 1:2 Work");
    let journal = std::fs::read_to_string(both.scene.proxy.state().join("journal.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> =
        journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |right: &str| {
        let found = lines.iter().find(|line| line["event"] == "intent" && line["right"] == right);
        found.unwrap_or_else(|| panic!("no intent with {right}: {journal}"))
    };
    let outcome = |intent: &serde_json::Value| {
        let seq = &intent["seq"];
        lines.iter().find(|line| line["event"] == "outcome" && line["intent"] == *seq).unwrap()
    };
    let (left, came, removed) = (find("rte"), find("i"), find("te"));
    assert_eq!(
        (&left["uids"], &left["folder"], &left["target"]),
        (&"1:2".into(), &"INBOX".into(), &"Work".into())
    );
    assert_eq!(left["mailbox"], came["from_mailbox"]);
    assert_eq!(left["to_mailbox"], came["mailbox"]);
    assert_eq!((&came["folder"], &came["count"]), (&"Work".into(), &2.into()));
    for intent in [left, came] {
        assert_eq!(
            (&outcome(intent)["outcome"], &outcome(intent)["target_uids"]),
            (&"done".into(), &"1:2".into())
        );
    }
    assert_eq!((&removed["uids"], &outcome(removed)["outcome"]), (&"1:2".into(), &"done".into()));
}

/// A withdrawn grant stops it, on either side, and nothing is left of it.
#[test]
fn a_withdrawn_grant_stops_it_in_the_middle() {
    for lost in [SUPPORT, INFO] {
        let both = five();
        both.run(&["grant", "remove", ALICE, INFO]);
        both.run(&["grant", "add", ALICE, INFO, "manager"]);
        let (here, there) = (both.scene.dovecot.snapshot(SUPPORT), both.second.snapshot(INFO));
        let mut imap = at_support(&both);
        let large = large(9, 40_000_000);
        both.scene.dovecot.deliver(SUPPORT, "INBOX", &large);
        imap.ok("NOOP");
        both.relay.hold_after(10_000_000);
        imap.start("UID COPY 3,8 Shared/info");
        eventually("it is under way", || both.relay.is_through().then_some(()));
        both.scene.proxy.run(&["grant", "remove", ALICE, lost], "");
        let (words, _) = imap.bye();
        assert!(words.contains(&format!("Your access to {lost} has ended")), "{words}");
        both.relay.mend();
        let after = both.scene.dovecot.snapshot(SUPPORT);
        assert_eq!(here.changes(&after), ["INBOX: uid 8 new"]);
        let inbox = eventually("nothing is left", || {
            let inbox = both.second.snapshot(INFO).folders["INBOX"].clone();
            (inbox.messages == there.folders["INBOX"].messages).then_some(inbox)
        });
        assert!(inbox.uid_next > there.folders["INBOX"].uid_next, "the first one had arrived");
    }
}

/// With QRESYNC the host says VANISHED where others hear EXPUNGE: also between our own FETCHes.
#[test]
fn a_colleague_may_remove_a_message_meanwhile() {
    let both = five();
    let mut imap = both.imap(ALICE);
    imap.ok("LIST \"\" *");
    assert!(imap.ok("ENABLE QRESYNC").has(" QRESYNC"));
    imap.ok("SELECT Shared/support");
    both.relay.hold_after(IN_THE_THIRD);
    let tag = imap.start("UID MOVE 3:7 Work");
    eventually("it is under way", || both.relay.is_through().then_some(()));
    let mut direct = both.scene.dovecot.login(SUPPORT);
    direct.ok("SELECT INBOX");
    direct.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)");
    direct.ok("UID EXPUNGE 1");
    both.relay.mend();
    let moved = imap.finish(&tag);
    assert!(moved.is_ok() && moved.has("VANISHED 1") && moved.has("VANISHED 3:7"), "{moved}");
    assert_eq!(held(&both.second, ALICE, "Work").len(), 5);
    assert_eq!(held(&both.scene.dovecot, SUPPORT, "INBOX").keys().collect::<Vec<_>>(), [&2]);
}

/// A Trash that is hidden from the user is as good as none: nobody learns that it is there.
#[test]
fn a_hidden_bin_is_as_good_as_none() {
    let both = Both::open();
    both.run(&["grant", "remove", ALICE, SUPPORT]);
    both.run(&["grant", "add", ALICE, SUPPORT, "manager", "--only", "inbox"]);
    let mut told = Vec::new();
    for pin in ["Trash=trash", "Trash=ordinary"] {
        both.run(&["mailbox", "folders", SUPPORT, pin]);
        let reply = at_support(&both).command("UID COPY 1 Trash");
        assert!(reply.tagged.contains("[NOPERM] The messages of support@"), "{pin}: {reply}");
        told.push(reply.tagged.split_once(' ').unwrap().1.to_owned());
    }
    assert_eq!(told[0], told[1]);
}

/// All octets are up, and the host has not answered when the grant goes: its answer is waited
/// for, and the copy taken back.
#[test]
fn a_copy_that_is_being_stored_is_not_forgotten() {
    let both = five();
    both.run(&["grant", "remove", ALICE, INFO]);
    both.run(&["grant", "add", ALICE, INFO, "manager"]);
    let there = both.second.snapshot(INFO).folders["INBOX"].clone();
    let mut imap = at_support(&both);
    // Its last octets wait on the wire; what the relay has not read yet is on its way.
    both.relay.hold_after(196_000);
    imap.start("UID COPY 3 Shared/info");
    eventually("it is under way", || both.relay.is_through().then_some(()));
    both.scene.proxy.run(&["grant", "remove", ALICE, SUPPORT], "");
    imap.bye();
    both.relay.mend();
    eventually("it has come, and is taken back", || {
        let inbox = both.second.snapshot(INFO).folders["INBOX"].clone();
        (inbox.messages == there.messages && inbox.uid_next > there.uid_next).then_some(())
    });
}
