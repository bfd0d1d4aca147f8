//! Answers, as people read them.

use jiff::tz::TimeZone;

use super::table::{clean, render};
use super::time;
use crate::admin::{
    Answer, Case, Count, Explained, FolderTable, GrantRow, GroupRow, MailboxDetail, MailboxRow, MessageRow,
    OutboxRow, RoleRow, Status, UserRow, Verdict,
};
use crate::policy::DraftScope;

/// The answer as text for standard output; a failure has none.
pub(super) fn text(answer: &Answer) -> String {
    match answer {
        Answer::Done(sentences) => lines(sentences),
        Answer::Failed(_) => String::new(),
        Answer::Users(rows) => users(rows),
        Answer::Groups(rows) => groups(rows),
        Answer::Mailboxes(rows) => mailboxes(rows),
        Answer::Mailbox(detail) => mailbox(detail),
        Answer::Folders(table) => folders(table),
        Answer::Grants(rows) => grants(rows),
        Answer::Outbox(rows) => outbox(rows),
        Answer::Message(rows) => message(rows),
        Answer::Roles(rows) => roles(rows),
        Answer::Explained(explained) => explanation(explained),
        Answer::Export(lines) => lines.clone(),
        Answer::Status(status) => status_text(status),
    }
}

fn lines(sentences: &[String]) -> String {
    sentences.iter().map(|sentence| format!("{}\n", clean(sentence))).collect()
}

fn users(rows: &[UserRow]) -> String {
    let row = |user: &UserRow| {
        let state = if user.disabled { "disabled" } else { "enabled" };
        vec![
            user.login.clone(),
            state.into(),
            user.display.clone(),
            user.addresses.join(" "),
            user.groups.join(" "),
            user.host.clone().unwrap_or_default(),
        ]
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    render(&["LOGIN", "STATE", "NAME", "ADDRESSES", "GROUPS", "OWN MAIL"], &rows)
}

fn groups(rows: &[GroupRow]) -> String {
    let rows: Vec<_> = rows.iter().map(|group| vec![group.name.clone(), group.members.join(" ")]).collect();
    render(&["GROUP", "MEMBERS"], &rows)
}

fn mailboxes(rows: &[MailboxRow]) -> String {
    let row = |mailbox: &MailboxRow| {
        vec![
            mailbox.short.clone(),
            mailbox.address.clone(),
            or_dash(mailbox.owner.as_deref()),
            mailbox.imap.clone(),
            or_dash(mailbox.submission.as_deref()),
            mailbox.grants.to_string(),
        ]
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    render(&["MAILBOX", "ADDRESS", "OWNER", "IMAP", "SUBMISSION", "GRANTS"], &rows)
}

fn mailbox(detail: &MailboxDetail) -> String {
    let facts = [
        ("mailbox", detail.short.clone()),
        ("address", detail.address.clone()),
        ("aliases", or_dash(Some(detail.aliases.join(" ").as_str()))),
        ("display name", or_dash(Some(detail.display.as_str()))),
        ("owner", or_dash(detail.owner.as_deref())),
        ("imap", detail.imap.clone()),
        ("submission", or_dash(detail.submission.as_deref())),
        ("connections", format!("{} at most", detail.max_connections)),
    ];
    let fact = |(name, value): (&str, &str)| format!("{name:<20}{}\n", clean(value));
    let mut text: String = facts.iter().map(|(name, value)| fact((name, value))).collect();
    text.push('\n');
    text.extend(detail.options.iter().map(|(name, value)| fact((name, value))));
    text.push('\n');
    text.push_str(&folders(&detail.folders));
    text.push('\n');
    text.push_str(&grants(&detail.grants));
    text
}

fn folders(table: &FolderTable) -> String {
    let row = |folder: &crate::admin::FolderRow| {
        vec![folder.folder.clone(), folder.class.to_string(), folder.reason.clone()]
    };
    let rows: Vec<_> = table.folders.iter().map(row).collect();
    let mut text = render(&["FOLDER", "CLASS", "BECAUSE OF"], &rows);
    if !table.notes.is_empty() {
        text.push('\n');
        text.push_str(&lines(&table.notes));
    }
    text
}

fn grants(rows: &[GrantRow]) -> String {
    let zone = TimeZone::system();
    let when = |at: Option<_>| at.map_or_else(|| "-".into(), |at| time::show(at, &zone));
    let row = |grant: &GrantRow| {
        vec![
            grant.holder.clone(),
            grant.mailbox.clone(),
            match grant.send {
                Some(send) => format!("{}, send {}", grant.role, send.as_str()),
                None => grant.role.clone(),
            },
            or_dash(Some(grant.folders.as_str())),
            grant.state.clone(),
            when(grant.from),
            when(grant.until),
            format!("{} {}", grant.granted_by, when(Some(grant.granted_at))),
            grant.note.clone(),
        ]
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    render(&["HOLDER", "MAILBOX", "ROLE", "FOLDERS", "STATE", "FROM", "UNTIL", "GRANTED BY", "NOTE"], &rows)
}

fn outbox(rows: &[OutboxRow]) -> String {
    let zone = TimeZone::system();
    let row = |row: &OutboxRow| {
        vec![
            row.id.to_string(),
            row.state.clone(),
            row.mailbox.clone(),
            row.user.clone(),
            time::show(row.at, &zone),
            row.octets.to_string(),
            row.copy.clone(),
            or_dash(row.parent.as_deref()),
            row.tries.to_string(),
            row.next.map_or_else(|| "-".into(), |next| time::show(next, &zone)),
            or_dash(row.message_id.as_deref()),
            or_dash(row.why.as_deref()),
        ]
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    let heads = ["ID", "STATE", "MAILBOX", "USER", "SENT", "OCTETS", "COPY", "PARENT", "TRIES", "NEXT"];
    render(&[&heads[..], &["MESSAGE-ID", "WHY"]].concat(), &rows)
}

fn message(rows: &[MessageRow]) -> String {
    let row =
        |row: &MessageRow| vec![row.at.clone(), row.user.clone(), row.mailbox.clone(), row.what.clone()];
    let rows: Vec<_> = rows.iter().map(row).collect();
    render(&["WHEN", "WHO", "MAILBOX", "WHAT"], &rows)
}

/// One role by class; several as a table.
fn roles(rows: &[RoleRow]) -> String {
    let drafts = |role: &RoleRow| match role.drafts {
        DraftScope::Own => "own",
        DraftScope::Team => "team",
    };
    if let [role] = rows {
        let classes = role.rights.iter().map(|(class, rights)| (class.to_string(), rights.clone()));
        let facts = [
            ("te on drafts".to_owned(), drafts(role).to_owned()),
            ("send".to_owned(), role.send.as_str().to_owned()),
            ("grants".to_owned(), role.grants.to_string()),
        ];
        let rows: Vec<_> =
            classes.chain(facts).map(|(name, value)| vec![name, or_dash(Some(value.as_str()))]).collect();
        return render(&[&role.name, ""], &rows);
    }
    let Some(first) = rows.first() else { return String::new() };
    let classes: Vec<String> =
        first.rights.iter().map(|(class, _)| class.to_string().to_uppercase()).collect();
    let headings: Vec<&str> = std::iter::once("ROLE")
        .chain(classes.iter().map(String::as_str))
        .chain(["DRAFTS OF", "SEND", "GRANTS"])
        .collect();
    let row = |role: &RoleRow| {
        let mut cells = vec![role.name.clone()];
        cells.extend(role.rights.iter().map(|(_, rights)| or_dash(Some(rights.as_str()))));
        cells.extend([drafts(role).into(), role.send.as_str().into(), role.grants.to_string()]);
        cells
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    render(&headings, &rows)
}

/// One folder in full; several as what may be done in which.
fn explanation(explained: &Explained) -> String {
    let mut text = lines(&explained.summary);
    let Some(first) = explained.cases.first() else { return text };
    text.push('\n');
    text.push_str(&match explained.cases.iter().all(|case| case.place == first.place) {
        true => every_act(&explained.cases),
        false => by_folder(&explained.cases),
    });
    text
}

fn every_act(cases: &[Case]) -> String {
    let verdict = |verdict| match verdict {
        Verdict::Yes => "yes",
        Verdict::Partly => "partly",
        Verdict::No => "no",
    };
    let row = |case: &Case| {
        vec![case.place.clone(), case.action.clone(), verdict(case.verdict).into(), case.why.clone()]
    };
    let rows: Vec<_> = cases.iter().map(row).collect();
    render(&["FOLDER", "ACTION", "MAY", "WHY"], &rows)
}

/// A row for folders in which the same may be done.
fn by_folder(cases: &[Case]) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    for cases in cases.chunk_by(|a, b| a.place == b.place) {
        let these = |verdict: Verdict| {
            let these = cases.iter().filter(|case| case.verdict == verdict);
            let name = |case: &Case| match case.verdict {
                Verdict::Yes | Verdict::No => case.action.clone(),
                Verdict::Partly => format!("{} ({})", case.action, case.why),
            };
            or_dash(Some(these.map(name).collect::<Vec<_>>().join(", ").as_str()))
        };
        let (may, partly) = (these(Verdict::Yes), these(Verdict::Partly));
        match rows.iter_mut().find(|row| row[1..] == [may.as_str(), partly.as_str()]) {
            Some(row) => row[0].push_str(&format!(", {}", cases[0].place)),
            None => rows.push(vec![cases[0].place.clone(), may, partly]),
        }
    }
    render(&["FOLDER", "MAY", "PARTLY"], &rows)
}

fn status_text(status: &Status) -> String {
    let mut text = format!("mandate {}\n", clean(&status.version));
    match status.started {
        Some(at) => text.push_str(&format!("running since {}\n", time::show(at, &TimeZone::system()))),
        None => text.push_str("not running\n"),
    }
    for (service, addresses) in &status.listening {
        text.push_str(&format!("{service} on {}\n", addresses.join(" ")));
    }
    text.push_str(&format!(
        "{} users, {} groups, {} mailboxes, {} grants\n",
        status.users, status.groups, status.mailboxes, status.grants
    ));
    for (heading, counts) in
        [("SESSIONS", &status.sessions), ("CONNECTIONS", &status.pools), ("COUNTER", &status.counters)]
    {
        if !counts.is_empty() {
            let row = |count: &Count| vec![count.name.clone(), count.count.to_string()];
            let rows: Vec<_> = counts.iter().map(row).collect();
            text.push('\n');
            text.push_str(&render(&[heading, ""], &rows));
        }
    }
    if !status.warnings.is_empty() {
        text.push('\n');
        text.push_str(&lines(&status.warnings));
    }
    text
}

fn or_dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}
