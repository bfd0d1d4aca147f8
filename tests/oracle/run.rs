//! Runs sessions on both sides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::answer::{Answer, Said};
use crate::compare::{self, Pairing, Report};
use crate::generate::{Act, Batch, Command, Grammar, Session};
use crate::support::random;
use crate::support::{Imap, Read};
use crate::world::{Person, Role, World, make_ordinary};

/// Sessions at once: what two cores carry.
const WORKERS: usize = 3;
/// Differences after which a run has shown enough.
const ENOUGH: usize = 12;
/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// One person's two connections.
struct Connection {
    person: Person,
    mandate: Imap,
    oracle: Imap,
    selected: Option<(String, bool)>,
    pairing: Pairing,
    /// What questions of ours made the oracle say besides.
    besides: Vec<Said>,
    over: bool,
}

/// What a session knows besides.
struct Course<'w> {
    world: &'w World,
    mailbox: String,
    owner: Imap,
    /// Drafts that each person stored, by login name.
    own: BTreeMap<&'static str, BTreeSet<u32>>,
    /// Folders that each person has unsubscribed from.
    unsubscribed: BTreeMap<&'static str, BTreeSet<String>>,
    /// Folders that were renamed or deleted.
    gone: BTreeSet<String>,
    /// The account's own login has changed flags at the oracle since the last batch.
    helped: bool,
}

/// Runs `count` sessions from `seed` on, or those that `ORACLE_SEED` names, and prints a table.
pub(crate) fn sessions(seed: u64, count: u64, grammar: Grammar) {
    let (seed, count) = random::seeds("ORACLE_SEED", (seed, count));
    let began = Instant::now();
    let world = World::start();
    let next = AtomicU64::new(0);
    let total = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || total.lock().unwrap().differences.len() >= ENOUGH {
                        return;
                    }
                    let report = session(&world, seed + number, grammar);
                    total.lock().unwrap().add(report);
                }
            });
        }
    });
    let total = total.into_inner().unwrap();
    println!("{}", total.table(seed, began.elapsed()));
    let first: Vec<&str> = total.differences.iter().take(ENOUGH).map(String::as_str).collect();
    assert!(first.is_empty(), "{} sessions differ:\n\n{}", total.differences.len(), first.join("\n\n"));
    assert!(total.sessions == count, "a session was not run");
}

fn session(world: &World, seed: u64, grammar: Grammar) -> Report {
    let mailbox = format!("s{seed}@example.org");
    let session = Session::new(seed, grammar);
    world.open(&mailbox);
    let mut report = Report { sessions: 1, ..Report::default() };
    let mut course = Course {
        world,
        mailbox: mailbox.clone(),
        owner: world.owner(&mailbox),
        own: BTreeMap::new(),
        unsubscribed: BTreeMap::new(),
        gone: BTreeSet::new(),
        helped: false,
    };
    let connect = |person: &Person| Connection {
        person: *person,
        mandate: world.through_mandate(*person, &mailbox),
        oracle: world.at_oracle(*person, &mailbox),
        selected: None,
        pairing: Pairing::default(),
        besides: Vec::new(),
        over: false,
    };
    let mut connections: Vec<Connection> = session.people.iter().map(connect).collect();
    let mut story = Vec::new();
    let mut agree = true;
    for batch in &session.batches {
        let connection = &mut connections[batch.connection];
        if connection.over {
            continue;
        }
        report.commands += batch.commands.len() as u64;
        let found = course.batch(connection, batch, &mut report, &mut story);
        if let Err(difference) = found {
            let story = story.join("\n");
            report.differences.push(format!("ORACLE_SEED={seed}\n{story}\n==> {difference}"));
            agree = false;
            break;
        }
    }
    drop(connections);
    course.owner.command("LOGOUT");
    if agree {
        let (ours, theirs) = world.states(&mailbox);
        if let Err(difference) = compare::states(&world.prepared, &ours, &theirs, &mut report) {
            let story = story.join("\n");
            report.differences.push(format!("ORACLE_SEED={seed}\n{story}\n==> at the end: {difference}"));
        }
    }
    world.close(&mailbox);
    report
}

impl Course<'_> {
    /// Sends a batch on both sides and compares what came back.
    fn batch(
        &mut self,
        connection: &mut Connection,
        batch: &Batch,
        report: &mut Report,
        story: &mut Vec<String>,
    ) -> Result<(), String> {
        for command in &batch.commands {
            let text: Vec<_> = command.pieces.iter().map(|piece| String::from_utf8_lossy(piece)).collect();
            story.push(format!("{} {:?}", connection.person.login, text.join("\r\n ")));
        }
        let ours = through_mandate(&mut connection.mandate, &batch.commands)?;
        let mut all = (Answer::default(), Answer::default());
        for (number, (command, mut our)) in batch.commands.iter().zip(ours).enumerate() {
            let tagged = (&*format!("p{number}"), command);
            story.push(format!("    M {}", our.raw.join("\n    M ")));
            let was_open = connection.selected.clone();
            let mut their = self.at_oracle(connection, tagged, report)?;
            let besides = std::mem::take(&mut connection.besides);
            their.said.splice(0..0, besides);
            let open = was_open.clone().map(|(folder, _)| folder).unwrap_or_default();
            let moved = |from: &String| open == *from || open.starts_with(&format!("{from}/"));
            if our.condition == "BYE" && self.gone.iter().any(moved) {
                report.used("gone-while-open");
                connection.over = true;
                return Ok(());
            }
            let hangs_up = their.condition == "BYE" && !matches!(command.act, Act::Logout);
            if hangs_up || their.raw.iter().any(|line| line.contains("Mailbox was deleted under us")) {
                report.used("deleted-while-open");
                if our.condition == "BYE" {
                    connection.over = true;
                    return Ok(());
                }
                story.push("    O (again, on a new connection)".to_owned());
                connection.oracle = self.world.at_oracle(connection.person, &self.mailbox);
                connection.selected = None;
                their = self.at_oracle(connection, tagged, report)?;
            }
            if connection.person.role == Role::Responder {
                let open = [was_open.clone(), connection.selected.clone()];
                let in_drafts = open.iter().flatten().any(|(folder, _)| folder == "Drafts");
                compare::show_own_drafts(command, in_drafts, &mut our, report);
            }
            story.push(format!("    O {}", their.raw.join("\n    O ")));
            compare::drop_removed(&mut our, &mut their, report);
            if let Some((open, _)) = &connection.selected {
                compare::drop_status_of(open, &mut our, &mut their, report);
            }
            compare::command(command, &our, &their, report)?;
            if matches!(command.act, Act::Open(_)) && our.is_ok() && their.is_ok() {
                compare::drop_left(&mut all.0, &mut all.1, report);
            }
            all.0.said.extend(our.said);
            all.1.said.extend(their.said);
            connection.over |= our.condition == "BYE" || matches!(command.act, Act::Logout);
        }
        if !connection.over {
            let mut ours = through_mandate(&mut connection.mandate, &[noop()])?;
            let in_drafts = connection.selected.as_ref().is_some_and(|(folder, _)| folder == "Drafts");
            for our in ours.iter_mut().filter(|_| connection.person.role == Role::Responder) {
                compare::show_own_drafts(&noop(), in_drafts, our, report);
            }
            let theirs = one(&mut connection.oracle, "x", &noop())?;
            all.0.said.extend(ours.into_iter().flat_map(|answer| answer.said));
            all.1.said.extend(theirs.said);
        }
        let helped = std::mem::take(&mut self.helped);
        connection.pairing.compare(&all.0, &all.1, helped, report)
    }

    /// One command at the oracle; with what rights.md section 5 decides otherwise done by the
    /// account's own login.
    fn at_oracle(
        &mut self,
        connection: &mut Connection,
        (tag, command): (&str, &Command),
        report: &mut Report,
    ) -> Result<Answer, String> {
        let own_drafts = connection.person.role == Role::Responder
            && connection
                .selected
                .as_ref()
                .is_some_and(|(folder, read_only)| folder == "Drafts" && !read_only);
        match &command.act {
            Act::Malformed => {
                report.used("strict-grammar");
                return Ok(Answer { condition: "BAD".to_owned(), ..Answer::default() });
            }
            Act::ListRights => {
                report.used("listrights");
                return one(&mut connection.oracle, tag, command);
            }
            // A level that is no folder is not renamed (RFC 3501 section 6.3.5); Dovecot does it.
            Act::Rename(from)
                if line(&mut connection.oracle, &format!("LIST \"\" {from}"))?
                    .data()
                    .iter()
                    .any(|listed| listed.contains("\\NOSELECT") || listed.contains("\\NONEXISTENT")) =>
            {
                report.used("levels");
                return Ok(Answer {
                    condition: "NO".to_owned(),
                    code: "NONEXISTENT".to_owned(),
                    ..Answer::default()
                });
            }
            Act::MyRights(folder)
                if line(&mut connection.oracle, &format!("LIST \"\" {folder}"))?
                    .data()
                    .iter()
                    .all(|listed| listed.contains("\\NOSELECT") || listed.contains("\\NONEXISTENT")) =>
            {
                report.used("absent-rights");
                return Ok(Answer {
                    condition: "NO".to_owned(),
                    code: "NONEXISTENT".to_owned(),
                    ..Answer::default()
                });
            }
            Act::Move { .. } if connection.selected.as_ref().is_some_and(|(_, read_only)| *read_only) => {
                report.used("examine-move");
                return Ok(Answer { condition: "NO".to_owned(), ..Answer::default() });
            }
            // What is removed is what the host says is marked when asked, just before.
            Act::Expunge(set) if connection.person.role == Role::Manager && is_writable(connection) => {
                let set = set.as_deref().map_or("ALL".to_owned(), |set| format!("UID {set}"));
                let found = marked(connection, &set)?;
                report.used("expunge-found");
                return match found.is_empty() {
                    true => one(&mut connection.oracle, tag, &noop()),
                    false => {
                        let line = format!("UID EXPUNGE {}", joined(&found)).into_bytes();
                        one(&mut connection.oracle, tag, &Command { pieces: vec![line], act: Act::Other })
                    }
                };
            }
            Act::Leave { expunges: true }
                if connection.person.role == Role::Manager && is_writable(connection) =>
            {
                let found = marked(connection, "ALL")?;
                connection.besides.clear();
                report.used("expunge-found");
                if !found.is_empty() {
                    line(&mut connection.oracle, &format!("UID EXPUNGE {}", joined(&found)))?;
                }
                let mut answer = line(&mut connection.oracle, "UNSELECT")?;
                answer.said.clear();
                connection.selected = None;
                return Ok(answer);
            }
            // Nothing goes upstream, so nothing is heard from there either.
            Act::Expunge(_)
                if !own_drafts
                    && connection.selected.as_ref().is_some_and(|(_, read_only)| {
                        *read_only || connection.person.role != Role::Manager
                    }) =>
            {
                report.used("expunge-nothing");
                return Ok(Answer { condition: "OK".to_owned(), ..Answer::default() });
            }
            // Dovecot hangs up on who deletes the folder that is open, allowed or not.
            Act::Delete(folder) if connection.selected.as_ref().is_some_and(|(open, _)| open == folder) => {
                let mut another = self.world.at_oracle(connection.person, &self.mailbox);
                let answer = one(&mut another, tag, command)?;
                if answer.is_ok() {
                    self.gone.insert(folder.clone());
                }
                return Ok(answer);
            }
            Act::Subscribe { folder, on } => return self.subscribe(connection, folder, *on, report),
            Act::Subscriptions => return self.subscriptions(connection, report),
            Act::Store { uid, set, mode, flags } if own_drafts => {
                let touches = flags.contains(&"\\Deleted") || *mode == ' ';
                let sign = if *mode == '-' || !flags.contains(&"\\Deleted") { '-' } else { '+' };
                // Not asked without need: the question would tell the oracle's connection what is new.
                let mine = if touches { self.mine(connection, *uid, set)? } else { BTreeSet::new() };
                if !mine.is_empty() {
                    report.used("own-drafts");
                    self.own_line(&format!("UID STORE {} {sign}FLAGS.SILENT (\\Deleted)", joined(&mine)))?;
                }
            }
            Act::Expunge(set) if own_drafts => {
                let mine = self.mine(connection, true, set.as_deref().unwrap_or("1:*"))?;
                self.expunge(connection, &mine, report)?;
            }
            Act::Leave { expunges: true } if own_drafts => {
                let mine = self.mine(connection, true, "1:*")?;
                self.expunge(connection, &mine, report)?;
            }
            Act::Move { uid, set, to } if own_drafts && ["Drafts", "Sent"].contains(&to.as_str()) => {
                let asked = numbers(connection, *uid, set)?;
                let mine = self.mine(connection, *uid, set)?;
                if !asked.is_empty() && asked == mine {
                    report.used("own-drafts");
                    let moved = self.own_line(&format!("UID MOVE {} {to}", joined(&mine)))?;
                    self.moved_away(connection.person, &moved, to)?;
                    let mut answer = one(&mut connection.oracle, "x", &noop())?;
                    answer.said.extend(moved.said.into_iter().filter(|said| matches!(said, Said::Data(_))));
                    return Ok(answer);
                }
            }
            _ => {}
        }
        let mut answer = one(&mut connection.oracle, tag, command)?;
        self.follow(connection, command, &mut answer, report)?;
        Ok(answer)
    }

    /// What a command has changed, for those that follow.
    fn follow(
        &mut self,
        connection: &mut Connection,
        command: &Command,
        answer: &mut Answer,
        report: &mut Report,
    ) -> Result<(), String> {
        match &command.act {
            Act::Open(folder) => {
                let line = String::from_utf8_lossy(&command.pieces.concat()).into_owned();
                let read_only = line.to_ascii_lowercase().starts_with("examine");
                connection.selected = answer.is_ok().then(|| (folder.clone(), read_only));
            }
            Act::Leave { .. } if answer.is_ok() => connection.selected = None,
            Act::Store { uid, set, .. } if connection.selected.is_some() => {
                let verb = if *uid { "UID FETCH" } else { "FETCH" };
                // What came in during the command is the last message now, and was not then.
                let came =
                    set.contains('*') && answer.said.iter().any(|said| matches!(said, Said::Exists(_)));
                let set = if came { "1:*" } else { set };
                let true_flags = line(&mut connection.oracle, &format!("{verb} {set} (FLAGS)"))?;
                answer.said.extend(true_flags.said.into_iter().map(|said| match said {
                    Said::Fetch(number, mut items) => {
                        items.insert("(TRUE)".to_owned(), String::new());
                        Said::Fetch(number, items)
                    }
                    other => other,
                }));
            }
            Act::Append { to } | Act::Copy { to } | Act::Move { to, .. }
                if answer.is_ok() && to == "Drafts" =>
            {
                let mut codes = vec![answer.code.clone()];
                codes.extend(answer.data().into_iter().map(str::to_owned));
                for code in codes {
                    let words: Vec<&str> = code.split(' ').collect();
                    if let ["APPENDUID", _, uids] | ["COPYUID", _, _, uids] = words[..] {
                        self.own.entry(connection.person.login).or_default().extend(expand(uids));
                    }
                    self.keep_deleted(connection, command, &words, report)?;
                }
            }
            Act::Rename(from) | Act::Delete(from) if answer.is_ok() => drop(self.gone.insert(from.clone())),
            Act::Create(folder) if answer.is_ok() => {
                let made = make_ordinary(&mut self.owner, folder);
                made.then(|| report.used("new-folder-class"));
            }
            _ => {}
        }
        Ok(())
    }

    /// A responder's message in Drafts is their own from the first moment: it may carry `\Deleted`.
    fn keep_deleted(
        &mut self,
        connection: &mut Connection,
        command: &Command,
        code: &[&str],
        report: &mut Report,
    ) -> Result<(), String> {
        let mut marked = BTreeSet::new();
        match code {
            ["APPENDUID", _, uids]
                if memchr::memmem::find(&command.pieces.concat(), b"\\Deleted").is_some() =>
            {
                marked.extend(expand(uids));
            }
            ["COPYUID", _, from, to] => {
                for (from, to) in expand(from).into_iter().zip(expand(to)) {
                    let flags = line(&mut connection.oracle, &format!("UID FETCH {from} (FLAGS)"))?;
                    let is_marked = |said: &Said| matches!(said, Said::Fetch(_, items) if items["FLAGS"].contains("DELETED"));
                    if flags.said.iter().any(is_marked) {
                        marked.insert(to);
                    }
                }
            }
            _ => {}
        }
        if connection.person.role == Role::Responder && !marked.is_empty() {
            report.used("own-drafts");
            self.own_line(&format!("UID STORE {} +FLAGS.SILENT (\\Deleted)", joined(&marked)))?;
        }
        Ok(())
    }

    /// Those of the asked messages that the person stored.
    fn mine(&self, connection: &mut Connection, uid: bool, set: &str) -> Result<BTreeSet<u32>, String> {
        let own = self.own.get(connection.person.login).cloned().unwrap_or_default();
        Ok(numbers(connection, uid, set)?.intersection(&own).copied().collect())
    }

    fn expunge(
        &mut self,
        connection: &Connection,
        mine: &BTreeSet<u32>,
        report: &mut Report,
    ) -> Result<(), String> {
        if !mine.is_empty() {
            report.used("own-drafts");
            self.own_line(&format!("UID EXPUNGE {}", joined(mine)))?;
            // Those that were not marked stay own; a UID never comes back.
            let _ = connection;
        }
        Ok(())
    }

    /// A command of the account's own login, in Drafts.
    fn own_line(&mut self, text: &str) -> Result<Answer, String> {
        line(&mut self.owner, "SELECT Drafts")?;
        let answer = line(&mut self.owner, text)?;
        self.helped = true;
        line(&mut self.owner, "UNSELECT")?;
        if answer.is_ok() { Ok(answer) } else { Err(format!("the owner's {text}: {answer:?}")) }
    }

    /// A responder's draft that went to Sent carries no `\Deleted`; one in Drafts stays own.
    fn moved_away(&mut self, person: Person, moved: &Answer, to: &str) -> Result<(), String> {
        let code = moved.data().into_iter().find(|data| data.starts_with("COPYUID")).map(str::to_owned);
        let uids = code.as_deref().and_then(|code| code.rsplit(' ').next()).unwrap_or_default();
        if to == "Drafts" {
            self.own.entry(person.login).or_default().extend(expand(uids));
        } else if !uids.is_empty() {
            line(&mut self.owner, &format!("SELECT {to}"))?;
            line(&mut self.owner, &format!("UID STORE {uids} -FLAGS.SILENT (\\Deleted)"))?;
            line(&mut self.owner, "UNSELECT")?;
        }
        Ok(())
    }

    /// Ours to keep; what is asked of the oracle is whether the person sees such a folder.
    fn subscribe(
        &mut self,
        connection: &mut Connection,
        folder: &str,
        on: bool,
        report: &mut Report,
    ) -> Result<Answer, String> {
        report.used("own-subscriptions");
        // A name that is no folder's is kept too (RFC 3501 section 6.3.6), and never shown.
        let seen = line(&mut connection.oracle, &format!("LIST \"\" {folder}"))?;
        let exists = !seen.data().is_empty();
        let unsubscribed = self.unsubscribed.entry(connection.person.login).or_default();
        let name = if folder.eq_ignore_ascii_case("INBOX") { "INBOX" } else { folder };
        if exists && on {
            unsubscribed.remove(name);
        } else if exists {
            unsubscribed.insert(name.to_owned());
        }
        Ok(Answer { condition: "OK".to_owned(), ..Answer::default() })
    }

    /// LSUB: all folders that the person sees but those unsubscribed.
    fn subscriptions(&mut self, connection: &mut Connection, report: &mut Report) -> Result<Answer, String> {
        report.used("own-subscriptions");
        let mut answer = line(&mut connection.oracle, "LIST \"\" *")?;
        let none = BTreeSet::new();
        let unsubscribed = self.unsubscribed.get(connection.person.login).unwrap_or(&none);
        answer.said.retain(|said| {
            let Said::Data(text) = said else { return true };
            !text.contains("\\NOSELECT") && !unsubscribed.contains(compare::listed_name(text))
        });
        Ok(answer)
    }
}

fn noop() -> Command {
    Command { pieces: vec![b"NOOP".to_vec()], act: Act::Other }
}

/// The UIDs of a set, as the person's connection to the oracle sees it.
fn numbers(connection: &mut Connection, uid: bool, set: &str) -> Result<BTreeSet<u32>, String> {
    let verb = if uid { "UID FETCH" } else { "FETCH" };
    let answer = line(&mut connection.oracle, &format!("{verb} {set} (UID)"))?;
    let uid = |said: &Said| match said {
        Said::Fetch(_, items) => items.get("UID")?.parse().ok(),
        _ => None,
    };
    let numbers = answer.said.iter().filter_map(uid).collect();
    connection.besides.extend(answer.said);
    Ok(numbers)
}

fn is_writable(connection: &Connection) -> bool {
    connection.selected.as_ref().is_some_and(|(_, read_only)| !read_only)
}

/// What is marked as deleted, of some.
fn marked(connection: &mut Connection, of: &str) -> Result<BTreeSet<u32>, String> {
    let answer = line(&mut connection.oracle, &format!("UID SEARCH {of} DELETED"))?;
    let numbers = answer.data().into_iter().find_map(|data| data.strip_prefix("SEARCH")).unwrap_or_default();
    let found = numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    connection.besides.extend(answer.said.into_iter().filter(|said| !matches!(said, Said::Data(_))));
    Ok(found)
}

fn line(imap: &mut Imap, text: &str) -> Result<Answer, String> {
    one(imap, "x", &Command { pieces: vec![text.as_bytes().to_vec()], act: Act::Other })
}

/// One command, waiting for `+` before each further piece.
fn one(imap: &mut Imap, tag: &str, command: &Command) -> Result<Answer, String> {
    let mut answer = Answer::default();
    for (number, piece) in command.pieces.iter().enumerate() {
        let head = if number == 0 { format!("{tag} ").into_bytes() } else { Vec::new() };
        // Who has hung up may have said why.
        let _ = imap.wire.try_send(&[&head[..], piece, b"\r\n"].concat());
        let last = number + 1 == command.pieces.len();
        if read(imap, tag, !last, &mut answer)? {
            break;
        }
    }
    Ok(answer)
}

/// Several commands in one piece, or one piece by piece.
fn through_mandate(imap: &mut Imap, commands: &[Command]) -> Result<Vec<Answer>, String> {
    if let [command] = commands {
        return Ok(vec![one(imap, "p0", command)?]);
    }
    let mut octets = Vec::new();
    for (number, command) in commands.iter().enumerate() {
        octets.extend_from_slice(format!("p{number} ").as_bytes());
        octets.extend_from_slice(&command.pieces.concat());
        octets.extend_from_slice(b"\r\n");
    }
    imap.wire.try_send(&octets).map_err(|error| error.to_string())?;
    let mut answers = Vec::new();
    for number in 0..commands.len() {
        let mut answer = Answer::default();
        read(imap, &format!("p{number}"), false, &mut answer)?;
        answers.push(answer);
    }
    Ok(answers)
}

/// Reads to the tagged answer, which makes it true, or to a `+` that is waited for.
fn read(imap: &mut Imap, tag: &str, waits: bool, answer: &mut Answer) -> Result<bool, String> {
    loop {
        let response = match imap.response_within(PATIENCE) {
            Read::Octets(response) => response,
            Read::Closed(_) => {
                answer.condition = "BYE".to_owned();
                return Ok(true);
            }
            Read::Silence => return Err(format!("no answer\n{}", imap.wire.trace())),
        };
        if let Some(rest) = response.strip_prefix(tag.as_bytes()).and_then(|rest| rest.strip_prefix(b" ")) {
            answer.tagged(rest);
            return Ok(true);
        }
        // An empty line or `*` may be answered without a tag.
        if response.starts_with(b"* BAD") {
            answer.tagged(&response[2..]);
            return Ok(true);
        }
        if response.starts_with(b"+") {
            if waits {
                return Ok(false);
            }
            return Err(format!("a go-ahead that nobody waits for\n{}", imap.wire.trace()));
        }
        answer.take(&response);
    }
}

fn joined(uids: &BTreeSet<u32>) -> String {
    uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// The numbers of a set without `*`.
fn expand(set: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (a, b) = part.split_once(':').unwrap_or((part, part));
        Some(a.parse::<u32>().ok()?..=b.parse().ok()?)
    };
    set.split(',').filter_map(range).flatten().collect()
}
