//! A proxy, a client's end of a connection, and a submission host on loopback.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::auth::{Authenticator, HashSettings, LoginSettings, ThrottleSettings, hash_password};
use crate::net::{DialSettings, Dialer, Drain, Gate, LimitSettings, Stream, Wire};
use crate::policy::{Holder, Narrowing, RoleName};
use crate::proxy::outbox::{self, Outbox};
use crate::proxy::smtp::{OwnHostSettings, Parents, Peer, Services, Settings, Unknown, serve};
use crate::store::{self, NewGrant, NewMailbox, NewUser, Options, Sealer, Store, Submission};
use crate::telemetry::{Counters, Journal, SessionId};
use crate::types::{
    Account, Address, Endpoint, GrantId, LoginName, Secret, Security, ShortName, Trust, UserId,
};
use crate::upstream::{Catalogues, ConnectSettings, Connector, PoolSettings, Pools};

/// Long enough for a loaded machine; nothing waits for it that goes well.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the host saw.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) commands: Vec<String>,
    /// Messages that came to their end, on the wire's form, without the final dot.
    pub(super) messages: Vec<Vec<u8>>,
    /// Octets of message data so far.
    pub(super) octets: usize,
    /// Connections that ended.
    pub(super) closed: usize,
}

/// How the host behaves.
#[derive(Default)]
pub(super) struct Temper {
    /// Replies to commands that begin so; `DATA.` is the end of a message.
    pub(super) replies: Vec<(&'static str, &'static str)>,
    pub(super) ehlo: Option<&'static str>,
    /// It waits for this before it answers the end of a message.
    pub(super) hold: Option<Arc<Notify>>,
    /// It closes instead of answering this command.
    pub(super) hangs_up_at: Option<&'static str>,
    /// It never answers this command.
    pub(super) silent_at: Option<&'static str>,
}

pub(super) struct World {
    pub(super) services: Arc<Services>,
    pub(super) alice: UserId,
    pub(super) grant: GrantId,
    pub(super) seen: Arc<Mutex<Seen>>,
    pub(super) drain: Drain,
    draining: crate::net::Draining,
    gate: Arc<Gate>,
    dir: TempDir,
}

pub(super) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

impl World {
    pub(super) async fn new(role: &str, temper: Temper) -> Self {
        Self::with(role, temper, Settings::default()).await
    }

    /// With somebody who knows what messages answer.
    pub(super) async fn knowing(role: &str, temper: Temper, parents: Arc<dyn Parents>) -> Self {
        let mut world = Self::new(role, temper).await;
        // NOTE(unwrap): no session has been served yet.
        Arc::get_mut(&mut world.services).unwrap().parents = parents;
        world
    }

    pub(super) async fn with(role: &str, temper: Temper, settings: Settings) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sealer = Sealer::new(&[3; 32]).unwrap();
        let store = Store::open(&dir.path().join("store"), sealer, store::Settings::default()).unwrap();
        let journal = Journal::open(&dir.path().join("journal"), &Secret::new([1; 32])).unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let port = host(temper, Arc::clone(&seen)).await;
        let hashing = HashSettings { memory_kib: 64, passes: 1, ..HashSettings::default() };
        let password = hash_password(&Secret::new("secret"), &hashing).unwrap();
        let new = NewUser {
            login: LoginName::parse("alice@example.org").unwrap(),
            display: "Alice Example".into(),
            password: Some(password),
            addresses: vec![address("alice@example.org")],
        };
        let alice = store.add_user(new).await.unwrap();
        let support = store.add_mailbox(mailbox(port), Vec::new()).await.unwrap();
        let new = NewGrant {
            holder: Holder::User(alice),
            mailbox: support,
            role: RoleName(role.into()),
            send: None,
            from: None,
            until: None,
            narrowing: Narrowing::default(),
            note: String::new(),
            granted_by: "uid:0".into(),
        };
        let grant = store.add_grant(new).await.unwrap();
        let throttle = ThrottleSettings { delays_seconds: vec![0], ..ThrottleSettings::default() };
        let login = LoginSettings { hashing, throttle, ..LoginSettings::default() };
        let dialer = Arc::new(Dialer::new(DialSettings::default()));
        let gate = Arc::new(Gate::new(LimitSettings::default()));
        let connector = Connector::new(dialer, ConnectSettings::default());
        let pools = Pools::new(connector.clone(), PoolSettings::default());
        let needs = outbox::Needs {
            store: store.clone(),
            journal: journal.clone(),
            catalogues: Arc::new(Catalogues::new(Arc::clone(&pools))),
            pools,
            targets: Arc::default(),
        };
        let outbox = Outbox::open(dir.path(), outbox::Settings::default(), needs).unwrap();
        let services = Services {
            settings: Settings { host_name: "mx.example.org".into(), ..settings },
            store,
            authenticator: Arc::new(Authenticator::new(login).unwrap()),
            connector,
            outbox,
            journal,
            counters: Arc::new(Counters::default()),
            parents: Arc::new(Unknown),
            gate: Arc::clone(&gate),
        };
        let (drain, draining) = Drain::new();
        Self { services: Arc::new(services), alice, grant, seen, drain, draining, gate, dir }
    }

    /// Sets an option of the mailbox.
    pub(super) async fn set(&self, key: &'static str, value: &'static str) {
        let edit = move |mailbox: &mut store::Mailbox| mailbox.options.set(key, value).unwrap();
        let id = self.services.store.snapshot().grant(self.grant).unwrap().mailbox;
        self.services.store.update_mailbox(id, edit).await.unwrap();
    }

    /// Another mailbox with a host of its own, in which alice has the same role.
    pub(super) async fn second(&self, name: &str, temper: Temper) -> Arc<Mutex<Seen>> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let port = host(temper, Arc::clone(&seen)).await;
        let name = address(name);
        let short = ShortName::parse(name.local()).unwrap();
        let new = NewMailbox { address: name, aliases: Vec::new(), short, ..mailbox(port) };
        let id = self.services.store.add_mailbox(new, Vec::new()).await.unwrap();
        let grant = self.services.store.snapshot().grant(self.grant).unwrap().role.clone();
        let new = NewGrant {
            holder: Holder::User(self.alice),
            mailbox: id,
            role: grant,
            send: None,
            narrowing: Narrowing::default(),
            from: None,
            until: None,
            note: String::new(),
            granted_by: "uid:0".into(),
        };
        self.services.store.add_grant(new).await.unwrap();
        seen
    }

    /// The settings, before the first session.
    pub(super) fn settings(&mut self) -> &mut Settings {
        // NOTE(unwrap): nobody else holds the services yet.
        &mut Arc::get_mut(&mut self.services).unwrap().settings
    }

    /// A submission host for people's own mail.
    pub(super) async fn own(&mut self, temper: Temper, pass_through: bool) -> Arc<Mutex<Seen>> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let port = host(temper, Arc::clone(&seen)).await;
        let security = Security::Plaintext;
        self.settings().own = OwnHostSettings { host: "127.0.0.1".into(), port, security, pass_through };
        seen
    }

    /// A further address of the mailbox.
    pub(super) async fn alias(&self, text: &'static str) {
        let edit = move |mailbox: &mut store::Mailbox| mailbox.aliases.push(address(text));
        let id = self.services.store.snapshot().grant(self.grant).unwrap().mailbox;
        self.services.store.update_mailbox(id, edit).await.unwrap();
    }

    /// Polls until nothing that was sent is counted.
    pub(super) async fn uncounted(&self) {
        let id = self.services.store.snapshot().grant(self.grant).unwrap().mailbox;
        let polling = async {
            while *self.services.store.snapshot().sent(self.alice, id) != store::Sent::default() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, polling).await.expect("it stays counted");
    }

    /// The daemon starts anew with what is on disk.
    pub(super) async fn restart(&mut self) {
        self.services.store.close().await.unwrap();
        let sealer = Sealer::new(&[3; 32]).unwrap();
        let dir = self.dir.path().join("store");
        let services = Services {
            settings: self.services.settings.clone(),
            store: Store::open(&dir, sealer, store::Settings::default()).unwrap(),
            authenticator: Arc::clone(&self.services.authenticator),
            connector: self.services.connector.clone(),
            outbox: Arc::clone(&self.services.outbox),
            journal: self.services.journal.clone(),
            counters: Arc::clone(&self.services.counters),
            parents: Arc::clone(&self.services.parents),
            gate: Arc::clone(&self.gate),
        };
        self.services = Arc::new(services);
    }

    /// A connection to the proxy.
    pub(super) async fn connect(&self) -> Client {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let peer = Peer { address, session: SessionId(1) };
        let admission = self.gate.admit(address).unwrap();
        let wire = Wire::new(Stream::Other(Box::new(far)));
        let serving = serve(wire, peer, admission, self.draining.clone(), Arc::clone(&self.services));
        let serving = tokio::spawn(serving);
        let (read, write) = tokio::io::split(near);
        let mut client = Client { read: BufReader::new(read), write, serving };
        assert_eq!(client.hear().await, "220 mx.example.org ESMTP Mandate\r\n");
        client
    }

    /// A connection that is logged in under a login name.
    pub(super) async fn log_in(&self, login: &str) -> Client {
        let mut client = self.connect().await;
        client.ask("EHLO laptop").await;
        let heard = client.ask(&format!("AUTH PLAIN {}", plain(login, "secret"))).await;
        assert_eq!(heard, "235 2.7.0 Welcome\r\n");
        client
    }

    /// Polls until the host has seen it.
    pub(super) async fn until(&self, holds: impl Fn(&Seen) -> bool) {
        until(&self.seen, holds).await;
    }

    pub(super) fn commands(&self) -> Vec<String> {
        self.seen.lock().unwrap().commands.clone()
    }

    pub(super) fn messages(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.messages.iter().map(|message| String::from_utf8_lossy(message).into_owned()).collect()
    }

    /// The journal's lines of a kind.
    pub(super) async fn journal(&self, event: &str) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.dir.path().join("journal")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.filter(|line| line["event"] == event).collect()
    }
}

/// Polls until a host has seen it.
pub(super) async fn until(seen: &Mutex<Seen>, holds: impl Fn(&Seen) -> bool) {
    let polling = async {
        while !holds(&seen.lock().unwrap()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if timeout(PATIENCE, polling).await.is_err() {
        panic!("the host never saw it: {:?}", seen.lock().unwrap().commands);
    }
}

fn mailbox(port: u16) -> NewMailbox {
    let endpoint =
        Endpoint { host: "127.0.0.1".into(), port, security: Security::Plaintext, trust: Trust::System };
    NewMailbox {
        address: address("Support@example.org"),
        aliases: vec![address("help@example.org")],
        short: ShortName::parse("support").unwrap(),
        display: "Example Support".into(),
        owner: None,
        imap: endpoint.clone(),
        imap_account: Account { authcid: "support".into(), authzid: None },
        submission: Some(Submission { endpoint, account: None }),
        max_connections: 10,
        pins: Vec::new(),
        separator: Some('/'),
        options: Options::default(),
    }
}

pub(super) fn plain(login: &str, password: &str) -> String {
    STANDARD.encode(format!("\0{login}\0{password}"))
}

/// A mail client.
pub(super) struct Client {
    read: BufReader<ReadHalf<DuplexStream>>,
    write: WriteHalf<DuplexStream>,
    pub(super) serving: JoinHandle<()>,
}

impl Client {
    pub(super) async fn say(&mut self, text: &[u8]) {
        timeout(PATIENCE, self.write.write_all(text)).await.expect("the proxy does not read").unwrap();
    }

    /// One reply, of however many lines.
    pub(super) async fn hear(&mut self) -> String {
        let mut reply = String::new();
        loop {
            let begun = reply.len();
            let reading = self.read.read_line(&mut reply);
            let read = timeout(PATIENCE, reading).await.expect("no answer").unwrap();
            if read == 0 || reply.as_bytes().get(begun + 3) != Some(&b'-') {
                return reply;
            }
        }
    }

    pub(super) async fn ask(&mut self, line: &str) -> String {
        self.say(format!("{line}\r\n").as_bytes()).await;
        self.hear().await
    }

    /// All that comes until the proxy closes.
    pub(super) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let reading = self.read.read_to_end(&mut rest);
        timeout(PATIENCE, reading).await.expect("the proxy does not close").unwrap();
        String::from_utf8(rest).unwrap()
    }

    /// MAIL, RCPT, DATA and the message; the last answer.
    pub(super) async fn send(&mut self, from: &str, message: &str) -> String {
        let heard = self.ask(&format!("MAIL FROM:<{from}>")).await;
        if !heard.starts_with("250") {
            return heard;
        }
        assert_eq!(self.ask("RCPT TO:<bob@example.net>").await, "250 2.1.5 Recipient accepted\r\n");
        assert!(self.ask("DATA").await.starts_with("354"));
        self.say(message.as_bytes()).await;
        self.ask(".").await
    }

    /// The client vanishes.
    pub(super) async fn hang_up(self) {
        drop((self.read, self.write));
        timeout(PATIENCE, self.serving).await.expect("the session goes on").unwrap();
    }
}

async fn host(temper: Temper, seen: Arc<Mutex<Seen>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let temper = Arc::new(temper);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (temper, seen) = (Arc::clone(&temper), Arc::clone(&seen));
            tokio::spawn(async move {
                // A connection that breaks is a connection that ends.
                let _ = play(BufReader::new(stream), &temper, &seen).await;
                seen.lock().unwrap().closed += 1;
            });
        }
    });
    port
}

async fn play(mut stream: BufReader<TcpStream>, temper: &Temper, seen: &Mutex<Seen>) -> std::io::Result<()> {
    stream.write_all(b"220 host\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end().to_owned();
        seen.lock().unwrap().commands.push(line.clone());
        if temper.hangs_up_at.is_some_and(|at| line.starts_with(at)) {
            return Ok(());
        }
        if temper.silent_at.is_some_and(|at| line.starts_with(at)) {
            // Until the other side closes.
            stream.read_to_end(&mut Vec::new()).await?;
            return Ok(());
        }
        let told = temper.replies.iter().find(|(at, _)| *at != "DATA." && line.starts_with(at));
        let reply = match told {
            Some((_, reply)) => reply,
            None if line.starts_with("EHLO") => {
                temper.ehlo.unwrap_or("250-host\r\n250-PIPELINING\r\n250-SIZE 0\r\n250-DSN\r\n250 8BITMIME")
            }
            None if line == "DATA" => "354 go on",
            None => "250 2.0.0 Ok",
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        if line == "DATA" && reply.starts_with("354") {
            let reply = data(&mut stream, temper, seen).await?;
            stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        }
    }
}

async fn data(
    stream: &mut BufReader<TcpStream>,
    temper: &Temper,
    seen: &Mutex<Seen>,
) -> std::io::Result<&'static str> {
    let mut message = Vec::new();
    loop {
        let begun = message.len();
        let read = stream.read_until(b'\n', &mut message).await?;
        seen.lock().unwrap().octets += read;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if &message[begun..] == b".\r\n" {
            message.truncate(begun);
            break;
        }
        // A long message is counted, not kept.
        if message.len() > 1 << 20 {
            message.drain(..begun);
        }
    }
    seen.lock().unwrap().messages.push(message);
    if let Some(hold) = &temper.hold {
        hold.notified().await;
    }
    let told = temper.replies.iter().find(|(at, _)| *at == "DATA.");
    Ok(told.map_or("250 2.0.0 Ok: queued as ABC123", |(_, reply)| reply))
}
