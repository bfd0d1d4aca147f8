//! Thunderbird in each role and both views: what it does, what it shows, and what the mail host
//! has afterwards. `docs/clients.md` has the table.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::furnished::{furnished, furnished_with, upstream};
use crate::journal::Journal;
use crate::outbox::{answer, send, settled};
use crate::support::dovecot::{self, SUPPORT, SUPPORT_PASSWORD};
use crate::support::scene::password;
use crate::support::{ALICE, BOB, CAROL, Scene, Snapshot, eventually};
use crate::thunderbird_client::{Thunderbird, View};

/// What came of an act, and a part of each sentence that was shown.
type Row = (&'static str, &'static str, &'static [&'static str]);

const READER: &[Row] = &[
    ("open", "read", &[]),
    ("search", "question 2", &[]),
    ("flag", "not flagged", &[]),
    (
        "reply",
        "not sent, the window stays",
        &["Your role \"reader\" in support@example.org does not allow sending mail."],
    ),
    (
        "draft",
        "not saved, the window stays",
        &["does not allow storing messages in this folder.", "save the draft locally to Local Folders"],
    ),
    ("delete", "greyed out", &[]),
    (
        "archive",
        "not done",
        &["Your role \"reader\" in support@example.org does not allow creating folders here."],
    ),
    (
        "junk",
        "not done",
        &["Your role \"reader\" in support@example.org does not allow moving these messages."],
    ),
];

const RESPONDER: &[Row] = &[
    ("open", "read", &[]),
    ("search", "question 2", &[]),
    ("flag", "flagged", &[]),
    ("reply", "sent", &[]),
    ("draft", "one draft", &[]),
    ("delete", "greyed out", &[]),
    (
        "archive",
        "not done",
        &["Your role \"responder\" in support@example.org does not allow creating folders here."],
    ),
    (
        "junk",
        "not done",
        &["Your role \"responder\" in support@example.org does not allow moving these messages."],
    ),
];

const MANAGER: &[Row] = &[
    ("open", "read", &[]),
    ("search", "question 2", &[]),
    ("flag", "flagged", &[]),
    ("reply", "sent", &[]),
    ("draft", "one draft", &[]),
    ("delete", "done", &[]),
    ("archive", "done", &[]),
    ("junk", "done", &[]),
];

/// What the mail host has afterwards. Thunderbird marks junk as read and by a keyword.
const RESPONDER_CHANGES: &[&str] = &[
    "Drafts: uid 4 new",
    r#"INBOX: uid 1 flags {} -> {"\\Answered", "\\Seen"}"#,
    r#"INBOX: uid 2 flags {} -> {"\\Flagged", "\\Seen"}"#,
    r#"INBOX: uid 3 flags {} -> {"\\Seen"}"#,
    r#"INBOX: uid 5 flags {"\\Answered", "\\Seen"} -> {"Junk", "\\Answered", "\\Seen"}"#,
    "Sent: uid 2 new",
];

const MANAGER_CHANGES: &[&str] = &[
    "Archive/2026: folder new",
    "Drafts: uid 4 new",
    r#"INBOX: uid 1 flags {} -> {"\\Answered", "\\Seen"}"#,
    "INBOX: uid 2 gone",
    "INBOX: uid 3 gone",
    "INBOX: uid 5 gone",
    "Junk: uid 1 new",
    "Sent: uid 2 new",
    "Trash: uid 3 new",
];

/// The mailbox, and mail of their own for the three.
pub(crate) fn everybody() -> Scene {
    let mut users = BTreeMap::from([(SUPPORT.to_owned(), SUPPORT_PASSWORD.to_owned())]);
    users.extend([ALICE, BOB, CAROL].map(|login| (login.to_owned(), password(login))));
    let scene = furnished_with(dovecot::Settings { users, ..dovecot::Settings::default() }, "");
    let host = format!("localhost:{}", scene.dovecot.imaps().port());
    let authority = scene.ca.file();
    for login in [ALICE, BOB, CAROL] {
        let own = ["user", "host", login, "--imap", &host, "--ca-file", authority.to_str().unwrap()];
        scene.proxy.run(&[&own[..], &["--pass-through"]].concat(), "");
    }
    scene
}

/// A Thunderbird at work; each act must come to what is expected.
struct Session<'a> {
    thunderbird: Thunderbird,
    view: View,
    expected: std::slice::Iter<'a, Row>,
}

impl Session<'_> {
    /// Does an act, told whether it is allowed.
    #[track_caller]
    fn act(&mut self, name: &str, act: impl Fn(&mut Thunderbird, bool) -> Value) {
        let (expected, outcome, shown) = *self.expected.next().unwrap();
        assert_eq!(name, expected);
        let came = act(&mut self.thunderbird, ["done", "flagged", "one draft"].contains(&outcome));
        let told = self.thunderbird.told();
        assert_eq!(came, outcome, "{name}: {told:?}");
        let right =
            told.len() == shown.len() && told.iter().zip(shown).all(|(told, part)| told.contains(part));
        assert!(right, "{name}: {told:#?}, not {shown:#?}");
    }

    fn folder(&self, name: &str) -> Value {
        json!(self.view.folder(name))
    }
}

/// Every act that a working day has.
#[track_caller]
fn day(scene: &Scene, login: &str, view: View, expected: &[Row]) -> Thunderbird {
    let thunderbird = Thunderbird::open(scene, login, view);
    let mut session = Session { thunderbird, view, expected: expected.iter() };
    let names = ["INBOX", "Archive", "Drafts", "Junk", "Projects", "Sent", "Trash"];
    session.thunderbird.act("folders", &[json!(names.map(|name| view.folder(name)))]);
    let [inbox, drafts, other] = ["INBOX", "Drafts", "Projects"].map(|name| session.folder(name));
    session.act("open", |thunderbird, _| {
        let text = thunderbird.act("open", &[inbox.clone(), json!("question 1")]);
        assert!(text.as_str().unwrap().contains("How do I do 1?"), "{text}");
        json!("read")
    });
    session.act("search", |thunderbird, _| {
        thunderbird.act("search", &[inbox.clone(), json!("How do I do 2")])[0].take()
    });
    session.act("flag", |thunderbird, may| {
        thunderbird.act("flag", &[json!(may), inbox.clone(), json!("question 2")])
    });
    session.act("reply", |thunderbird, _| {
        let arguments = [inbox.clone(), json!("question 1"), json!("An answer.\n"), json!(1)];
        thunderbird.act("reply", &arguments)[0].take()
    });
    session.act("draft", |thunderbird, may| {
        // What is refused once is not tried again.
        let texts = if may { json!(["once\n", "twice\n"]) } else { json!(["once\n"]) };
        thunderbird.act("draft", &[json!(may), drafts.clone(), json!("a draft"), texts])
    });
    for (name, command, subject) in [
        ("delete", "cmd_delete", "question 2"),
        ("archive", "cmd_archive", "question 3"),
        ("junk", "cmd_markAsJunk", "question 5"),
    ] {
        session.act(name, |thunderbird, may| {
            let arguments = [json!(command), json!(may), inbox.clone(), json!(subject), other.clone()];
            thunderbird.act("remove", &arguments)
        });
    }
    session.thunderbird
}

/// A day of this person in this view, and what the mail host must have then.
#[track_caller]
fn role(login: &str, view: View, expected: &[Row], changes: &[&str]) {
    let scene = everybody();
    let before = upstream(&scene);
    let mut thunderbird = day(&scene, login, view, expected);
    settled(&scene);
    eventually("the mail host has it all", || (before.changes(&upstream(&scene)) == changes).then_some(()));
    assert_sober(&mut thunderbird, view);
    let after = upstream(&scene);
    assert_eq!(before.changes(&after), changes, "{}", scene.proxy.log());
    assert_nothing_lost(&before, &after, &scene);
    let sent = expected.iter().any(|(_, outcome, _)| *outcome == "sent");
    assert_eq!(scene.sink.wait(usize::from(sent)).len(), usize::from(sent));
}

/// It repeats nothing: what it has sent is bounded, and comes to an end.
#[track_caller]
fn assert_sober(thunderbird: &mut Thunderbird, view: View) {
    let mut sent = Vec::new();
    eventually("it asks for no change any more", || {
        // A look at the folder queues up behind what is under way.
        thunderbird.act("folders", &[json!([view.folder("INBOX")])]);
        assert!(thunderbird.told().is_empty());
        let now = changes(thunderbird);
        (std::mem::replace(&mut sent, now).len() == sent.len()).then_some(())
    });
    let mut times = BTreeMap::new();
    for command in &sent {
        *times.entry(command).or_insert(0) += 1;
    }
    // It marks a message as read when it shows it, when it goes, and as junk.
    assert!(times.values().all(|times| *times <= 4), "{sent:#?}");
}

/// The commands it has sent that would change something.
fn changes(thunderbird: &Thunderbird) -> Vec<String> {
    const VERBS: &[&str] =
        &["uid store", "uid move", "uid copy", "uid expunge", "append", "create", "subscribe"];
    let mut sent = thunderbird.sent();
    sent.retain(|command| VERBS.iter().any(|verb| command.to_lowercase().starts_with(verb)));
    sent
}

/// Each message is somewhere still, and the journal knows of each that went from its place.
#[track_caller]
fn assert_nothing_lost(before: &Snapshot, after: &Snapshot, scene: &Scene) {
    let acts = Journal::new(&scene.proxy.state()).acts(0);
    for (folder, state) in &before.folders {
        for (uid, message) in &state.messages {
            let mut everywhere = after.folders.values().flat_map(|folder| folder.messages.values());
            assert!(everywhere.any(|other| other.hash == message.hash), "{folder} {uid} is lost");
            let stays = after.folders[folder].messages.contains_key(uid);
            assert!(stays || acts.iter().any(|act| act.removes && act.names(folder, *uid)), "{folder} {uid}");
        }
    }
}

#[test]
fn as_reader() {
    role(CAROL, View::Account, READER, &[]);
}

#[test]
fn as_responder() {
    role(BOB, View::Account, RESPONDER, RESPONDER_CHANGES);
}

#[test]
fn as_manager() {
    role(ALICE, View::Account, MANAGER, MANAGER_CHANGES);
}

/// In the combined view Thunderbird takes the person's own Trash and Junk for those of every
/// folder, whatever is chosen under *Copies & Folders*; the mailbox's own get what goes there.
#[test]
fn as_reader_in_the_combined_view() {
    role(CAROL, View::Combined, READER, &[]);
}

#[test]
fn as_responder_in_the_combined_view() {
    role(BOB, View::Combined, RESPONDER, RESPONDER_CHANGES);
}

#[test]
fn as_manager_in_the_combined_view() {
    role(ALICE, View::Combined, MANAGER, MANAGER_CHANGES);
}

/// Alice has answered two questions when Bob, who does not know, answers them too.
#[test]
fn a_second_answer_is_refused_and_kept() {
    const WHY: &str = "alice@example.org answered this message on ";
    let scene = furnished();
    scene.proxy.run(&["mailbox", "set", SUPPORT, "collision_minutes=30"], "");
    for id in ["q1@example.net", "q2@example.net"] {
        send(&scene, ALICE, &answer(&format!("alice-{id}"), id, "body"));
    }
    settled(&scene);
    let mut bob = Thunderbird::open(&scene, BOB, View::Account);
    bob.act("folders", &[json!(["INBOX", "Sent"])]);

    // What waits in its outbox stays there, and is the same message at every try.
    let waits = [json!("INBOX"), json!("question 2"), json!("An answer.\n"), json!(2)];
    assert_eq!(bob.act("later", &waits), json!([1, 1]));
    let told = bob.told();
    assert!(told.len() == 2 && told.iter().all(|told| told.contains(WHY)), "{told:#?}");
    assert_eq!(scene.sink.deliveries().len(), 2);
    // Who presses Send again in the window that stayed makes another message, and means it.
    let insists = [json!("INBOX"), json!("question 1"), json!("An answer.\n"), json!(2)];
    assert_eq!(bob.act("reply", &insists), json!(["not sent, the window stays", "sent"]));
    let told = bob.told();
    assert!(told.len() == 1 && told[0].contains(WHY), "{told:#?}");
    settled(&scene);
    assert_eq!(scene.sink.wait(3).len(), 3);
    let sent = scene.dovecot.snapshot(SUPPORT).folders["Sent"].messages.len();
    assert_eq!(sent, 4, "the one that was there, alice's two, bob's one");
}
