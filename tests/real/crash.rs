//! The daemon is killed at random instants while people send; clients send again what was not
//! acknowledged. `make crash` does it a thousand times.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Error, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::support::dovecot::SUPPORT;
use crate::support::scene::password;
use crate::support::{BOB, Scene, eventually};

/// People who send at the same time.
const CLIENTS: usize = 4;

/// Longest run: a bound for failures.
const PATIENCE: Duration = Duration::from_secs(1800);

/// What a client's attempt came to.
enum Attempt {
    Acknowledged,
    /// Nothing of it can have gone out.
    Failed,
    /// Its end was sent, and the answer was not 250.
    Refused,
    /// Its end was sent, and the connection broke before an answer came.
    Cut(Span),
}

/// Two moments, and what lies between.
type Span = (Instant, Instant);

fn overlap(one: &Span, other: &Span) -> bool {
    one.0 <= other.1 && other.0 <= one.1
}

/// What the run counted.
#[derive(Default)]
struct Counts {
    attempts: AtomicUsize,
    /// From the end of a message to the loss of the connection, for each message.
    cut: Mutex<HashMap<usize, Vec<Span>>>,
    refused: AtomicUsize,
    /// From before a kill to after it.
    kills: Mutex<Vec<Span>>,
    next: AtomicUsize,
    acknowledged: AtomicUsize,
    over: AtomicBool,
}

/// Numbers that look random and are the same for the same seed (xorshift).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn what_was_acknowledged_is_upstream_and_in_sent_once() {
    let submissions = usize::try_from(setting("CRASH_SUBMISSIONS", 40)).unwrap();
    let kills = setting("CRASH_KILLS", 6);
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let seed = setting("CRASH_SEED", u64::try_from(now % 1_000_000_007).unwrap() + 1);
    println!("crash: CRASH_SEED={seed}");
    let mut scene = Scene::open();
    let counts = Counts::default();
    let (address, tls) = (scene.proxy.submissions(), scene.ca.client());
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| client(&counts, submissions, address, &tls));
        }
        let mut chance = Chance(seed);
        for kill in 1..=kills {
            // While they are sending, from the first to the last: each kill has its share before it.
            let share = submissions * usize::try_from(kill - 1).unwrap() / usize::try_from(kills).unwrap();
            eventually("the clients go on", || {
                (counts.acknowledged.load(Ordering::Relaxed) >= share).then_some(())
            });
            // The instants are what the test is about.
            std::thread::sleep(Duration::from_micros(chance.below(60_000)));
            let before = Instant::now();
            scene.proxy.kill();
            counts.kills.lock().unwrap().push((before, Instant::now()));
            scene.proxy.restart();
        }
        let deadline = Instant::now() + PATIENCE;
        while counts.acknowledged.load(Ordering::Relaxed) < submissions {
            if Instant::now() > deadline {
                counts.over.store(true, Ordering::Relaxed);
                panic!("the clients do not come to an end\n{}", scene.proxy.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    verdict(&scene, &counts, submissions, kills);
}

/// Sends messages until all are acknowledged.
fn client(counts: &Counts, submissions: usize, address: SocketAddr, tls: &Arc<ClientConfig>) {
    let mut connection = None;
    loop {
        let number = counts.next.fetch_add(1, Ordering::Relaxed);
        if number >= submissions {
            return;
        }
        loop {
            if counts.over.load(Ordering::Relaxed) {
                return;
            }
            counts.attempts.fetch_add(1, Ordering::Relaxed);
            match attempt(&mut connection, address, tls, number) {
                Attempt::Acknowledged => break,
                Attempt::Failed => {}
                Attempt::Refused => drop(counts.refused.fetch_add(1, Ordering::Relaxed)),
                Attempt::Cut(span) => counts.cut.lock().unwrap().entry(number).or_default().push(span),
            }
            connection = None;
            std::thread::sleep(Duration::from_millis(20));
        }
        counts.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
}

type Stream = BufReader<StreamOwned<ClientConnection, TcpStream>>;

fn attempt(
    connection: &mut Option<Stream>,
    address: SocketAddr,
    tls: &Arc<ClientConfig>,
    number: usize,
) -> Attempt {
    let Ok(stream) = ready(connection, address, tls) else { return Attempt::Failed };
    let begun = [format!("MAIL FROM:<{SUPPORT}>"), "RCPT TO:<customer@example.net>".into(), "DATA".into()]
        .iter()
        .all(|line| command(stream, line).is_ok_and(|code| code == 250 || code == 354));
    if !begun {
        return Attempt::Failed;
    }
    let message = format!(
        "From: {SUPPORT}\r\nTo: customer@example.net\r\nSubject: {number}\r\n\
         Date: Sat, 21 Nov 2026 11:00:00 +0000\r\nMessage-ID: <crash-{number}@example.org>\r\n\r\n{}\r\n.",
        "a line of the body\r\n".repeat(1 + number % 200)
    );
    let ended = Instant::now();
    match command(stream, &message) {
        Ok(250) => Attempt::Acknowledged,
        Ok(_) => Attempt::Refused,
        Err(_) => Attempt::Cut((ended, Instant::now())),
    }
}

/// The connection at hand, or a new one that is logged in.
fn ready<'a>(
    connection: &'a mut Option<Stream>,
    address: SocketAddr,
    tls: &Arc<ClientConfig>,
) -> Result<&'a mut Stream, Error> {
    if connection.is_none() {
        let tcp = TcpStream::connect(address)?;
        tcp.set_read_timeout(Some(Duration::from_secs(60)))?;
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(Arc::clone(tls), name).unwrap();
        let mut stream = BufReader::new(StreamOwned::new(session, tcp));
        reply(&mut stream)?;
        command(&mut stream, "EHLO client.example.org")?;
        let login = STANDARD.encode(format!("\0{BOB}/{SUPPORT}\0{}", password(BOB)));
        if command(&mut stream, &format!("AUTH PLAIN {login}"))? != 235 {
            return Err(Error::other("no login"));
        }
        *connection = Some(stream);
    }
    connection.as_mut().ok_or_else(|| Error::other("no connection"))
}

fn command(stream: &mut Stream, line: &str) -> Result<u16, Error> {
    stream.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
    stream.get_mut().flush()?;
    reply(stream)
}

fn reply(stream: &mut Stream) -> Result<u16, Error> {
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if line.len() < 4 {
            return Err(Error::other("closed"));
        }
        if line.as_bytes()[3] != b'-' {
            return line[..3].parse().map_err(Error::other);
        }
    }
}

/// How often each message is there.
fn occurrences(text: &str) -> HashMap<usize, usize> {
    let mut found = HashMap::new();
    for part in text.split("<crash-").skip(1) {
        let number = part.split('@').next().unwrap_or_default().parse().unwrap();
        *found.entry(number).or_default() += 1;
    }
    found
}

/// Waits until the outbox has nothing left to file.
fn settled(scene: &Scene) {
    let deadline = Instant::now() + Duration::from_secs(300);
    loop {
        let list = scene.proxy.run(&["outbox", "list", "--json"], "");
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        if list.as_array().unwrap().iter().all(|row| row["state"] == "unknown") {
            return;
        }
        assert!(Instant::now() < deadline, "{list}\n{}", scene.proxy.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The queue ids under which Postfix took each message, as its trace in them says.
fn taken(scene: &Scene) -> HashMap<usize, Vec<String>> {
    let mut taken: HashMap<usize, Vec<String>> = HashMap::new();
    for delivery in scene.sink.deliveries().iter().filter(|delivery| delivery.accepted) {
        let [number] =
            occurrences(&delivery.header("Message-ID").concat()).into_keys().collect::<Vec<_>>()[..]
        else {
            panic!("a message of another test: {}", delivery.text())
        };
        let trace = delivery.header("Received");
        let id = trace[0].split(" id ").nth(1).and_then(|rest| rest.split([' ', ';', '\r', '\t']).next());
        let id = id.unwrap_or_else(|| panic!("no queue id: {trace:?}")).to_owned();
        taken.entry(number).or_default().push(id);
    }
    taken
}

/// The queue ids that the journal knows as done.
fn recorded(scene: &Scene) -> HashSet<String> {
    let journal = std::fs::read_to_string(scene.proxy.state().join("journal.jsonl")).unwrap();
    let lines = journal.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines
        .filter(|line| line["outcome"] == "done")
        .filter_map(|line| Some(line["queue_id"].as_str()?.to_owned()))
        .collect()
}

fn verdict(scene: &Scene, counts: &Counts, submissions: usize, kills: u64) {
    settled(scene);
    let went = eventually("Postfix has delivered everything", || {
        let taken = taken(scene);
        (taken.len() == submissions).then_some(taken)
    });
    let recorded = recorded(scene);
    let mut imap = scene.dovecot.login(SUPPORT);
    imap.ok("EXAMINE Sent");
    let fetched = imap.ok("FETCH 1:* (BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])");
    let copies = occurrences(&fetched.to_string());
    let (cut, killed) = (counts.cut.lock().unwrap(), counts.kills.lock().unwrap());
    // An attempt whose connection broke between the message's end and our answer, by a kill.
    let by_kill = |number: usize| {
        let spans = cut.get(&number).into_iter().flatten();
        spans.filter(|span| killed.iter().any(|kill| overlap(span, kill))).count()
    };
    let times = |number: usize| went.get(&number).map_or(0, Vec::len);
    let is_recorded = |id: &&String| recorded.contains(*id);
    let with = |count: usize| (0..submissions).filter(|number| times(*number) == count).count();
    let filed = |count: usize| {
        (0..submissions).filter(|number| copies.get(number).copied().unwrap_or(0) == count).count()
    };
    let doubled: Vec<_> = (0..submissions).filter(|number| times(*number) > 1).collect();
    let extra: usize = doubled.iter().map(|number| times(*number) - 1).sum();
    let unrecorded: usize =
        doubled.iter().map(|number| went[number].iter().filter(|id| !is_recorded(id)).count()).sum();
    println!("crash: {submissions} submissions, {kills} kills");
    println!("crash: {:>6} attempts", counts.attempts.load(Ordering::Relaxed));
    println!("crash: {:>6} attempts cut off after the message's end", cut.values().flatten().count());
    println!("crash: {:>6} attempts refused after the message's end", counts.refused.load(Ordering::Relaxed));
    println!("crash: {:>6} acknowledged", counts.acknowledged.load(Ordering::Relaxed));
    println!("crash: {:>6} upstream once", with(1));
    println!("crash: {:>6} upstream more than once, {extra} copies too many:", doubled.len());
    println!("crash: {unrecorded:>6}   the kill fell between upstream's 250 and the record of it");
    println!(
        "crash: {:>6}   the kill fell between that record and our 250",
        extra.saturating_sub(unrecorded)
    );
    println!("crash: {:>6} not upstream", with(0));
    println!("crash: {:>6} in Sent exactly once", filed(1));
    println!("crash: {:>6} in Sent never, {} more than once", filed(0), copies.len() - filed(1));
    for number in 0..submissions {
        let ids = went.get(&number).unwrap_or_else(|| panic!("message {number} is not upstream"));
        assert!(
            ids.iter().any(|id| is_recorded(&id)),
            "message {number}: an answer without a record: {ids:?}"
        );
        let explained = by_kill(number);
        assert!(
            ids.len() <= 1 + explained,
            "message {number} is upstream as {ids:?}, and {explained} kills fell between its end and our answer"
        );
        let filed = copies.get(&number).copied().unwrap_or(0);
        assert_eq!(filed, 1, "message {number} in Sent\n{}", scene.proxy.log());
    }
}
