//! A proxy in this process: a store with a user for each role, a mailbox, and their sessions.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use mandate::auth::{
    Authenticator, HashSettings, LoginSeparator, LoginSettings, ThrottleSettings, hash_password,
};
use mandate::net::{DialSettings, Dialer, Drain, Draining, Gate, LimitSettings, Stream, Wire};
use mandate::policy::{
    DraftScope, FolderClass, FolderPattern, Holder, Narrowing, ReadChoice, Role, RoleName, RoleSettings,
    SendRight,
};
use mandate::proxy::imap::{Services, Settings, serve};
use mandate::proxy::outbox::{self, Outbox};
use mandate::proxy::{Peer, Targets};
use mandate::store::{self, NewGrant, NewMailbox, NewUser, Pin, Purpose, Sealer, Store};
use mandate::telemetry::{Counters, Journal, SessionId};
use mandate::types::{
    Account, Address, Endpoint, FolderName, GrantId, LoginName, Secret, Security, ShortName, Trust, UserId,
};
use mandate::upstream::{Catalogues, ConnectSettings, Connector, Mirrors, PoolSettings, Pools};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::script::Setting;
use crate::transport::Far;

/// Login name, role. Dave has no grant.
const PEOPLE: [(&str, Option<&str>); 4] =
    [("alice", Some("manager")), ("bob", Some("responder")), ("carol", Some("reader")), ("dave", None)];

pub(crate) struct World {
    pub(crate) services: Arc<Services>,
    grants: Vec<(String, GrantId)>,
    drain: Drain,
    draining: Draining,
    gate: Arc<Gate>,
    _dir: TempDir,
}

impl World {
    pub(crate) async fn new(port: u16, separator: char, settings: &[Setting]) -> Self {
        let dir = scratch();
        let sealer = Sealer::new(&[3; 32]).unwrap();
        let settled = store::Settings { roles: roles(), ..store::Settings::default() };
        let store = Store::open(&dir.path().join("store"), sealer, settled).unwrap();
        let journal = Journal::open(&dir.path().join("journal"), &Secret::new([1; 32])).unwrap();
        let hashing = HashSettings { memory_kib: 64, passes: 1, ..HashSettings::default() };
        let password = hash_password(&Secret::new("secret"), &hashing).unwrap();
        let new = mailbox(port, separator, settings);
        let support =
            store.add_mailbox(new, vec![(Purpose::Imap, Secret::new("upstream-secret"))]).await.unwrap();
        let mut grants = Vec::new();
        for (name, role) in PEOPLE {
            let login = format!("{name}@example.org");
            let user = store
                .add_user(NewUser {
                    login: LoginName::parse(&login).unwrap(),
                    display: name.to_owned(),
                    password: Some(password.clone()),
                    addresses: vec![Address::parse(&login).unwrap()],
                })
                .await
                .unwrap();
            if let Some(role) = role {
                grants.push((name.to_owned(), store.add_grant(grant(user, support, role)).await.unwrap()));
            }
        }
        let throttle = ThrottleSettings { delays_seconds: vec![0], ..ThrottleSettings::default() };
        let login = LoginSettings { hashing, throttle, ..LoginSettings::default() };
        let connector =
            Connector::new(Arc::new(Dialer::new(DialSettings::default())), ConnectSettings::default());
        let pools = Pools::new(connector, PoolSettings::default());
        let mut limits = Settings::default();
        for setting in settings {
            if let Setting::AppendLimit(limit) = setting {
                limits.append_limit = *limit;
            }
        }
        let catalogues = Arc::new(Catalogues::new(Arc::clone(&pools)));
        let targets = Arc::new(Targets::default());
        let needs = outbox::Needs {
            store: store.clone(),
            journal: journal.clone(),
            pools: Arc::clone(&pools),
            catalogues: Arc::clone(&catalogues),
            targets: Arc::clone(&targets),
        };
        let outbox = Outbox::open(dir.path(), outbox::Settings::default(), needs).unwrap();
        let services = Services {
            settings: limits,
            separator: LoginSeparator::default(),
            store,
            authenticator: Arc::new(Authenticator::new(login).unwrap()),
            mirrors: Mirrors::new(Arc::clone(&pools)),
            catalogues,
            outbox,
            pools,
            journal,
            counters: Arc::new(Counters::default()),
            gate: Arc::new(Gate::new(LimitSettings::default())),
            targets,
        };
        let (drain, draining) = Drain::new();
        let gate = Arc::new(Gate::new(LimitSettings::default()));
        Self { services: Arc::new(services), grants, drain, draining, gate, _dir: dir }
    }

    /// A session with the client at the other end of `far`.
    pub(crate) fn serve(&self, far: Far) -> JoinHandle<()> {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let peer = Peer { address, session: SessionId(1) };
        let admission = self.gate.admit(address).unwrap();
        let wire = Wire::new(Stream::Other(Box::new(far)));
        tokio::spawn(serve(wire, peer, admission, self.draining.clone(), Arc::clone(&self.services)))
    }

    pub(crate) async fn revoke(&self, user: &str) {
        self.services.store.remove_grant(self.grant_of(user)).await.unwrap();
    }

    pub(crate) async fn set_role(&self, user: &str, role: &str) {
        let role = RoleName(role.to_owned());
        self.services.store.update_grant(self.grant_of(user), |grant| grant.role = role).await.unwrap();
    }

    pub(crate) async fn narrow(&self, user: &str, words: &[String]) {
        let mut narrowing = Narrowing::default();
        for pair in words.chunks(2) {
            let [how, pattern] = pair else { panic!("only PATTERN, except PATTERN") };
            let pattern = FolderPattern::parse(pattern).unwrap();
            if how == "only" { narrowing.only.push(pattern) } else { narrowing.except.push(pattern) }
        }
        let grant = self.grant_of(user);
        self.services.store.update_grant(grant, |grant| grant.narrowing = narrowing).await.unwrap();
    }

    pub(crate) fn drain(&self) {
        self.drain.start();
    }

    fn grant_of(&self, user: &str) -> GrantId {
        self.grants.iter().find(|(name, _)| name == user).unwrap().1
    }
}

/// The built-in roles; one that files mail, and one that drops messages into folders it
/// cannot read.
fn roles() -> Vec<Role> {
    let configured = |name: &str, drafts: DraftScope, rights: &[(&str, &str)]| {
        let rights = rights.iter().map(|(class, letters)| (class.to_string(), letters.to_string()));
        let settings = RoleSettings { rights: rights.collect(), drafts, send: SendRight::None };
        Role::configured(name, &settings).unwrap()
    };
    let filer = [("inbox", "lrswm"), ("ordinary", "lrswm"), ("archive", "lrswm"), ("trash", "lr")];
    let filer: Vec<_> = filer.into_iter().chain([("drafts", "lrswite"), ("sent", "lr")]).collect();
    let dropper = [("inbox", "lr"), ("ordinary", "i"), ("archive", "li")];
    let custom = [
        configured("filer", DraftScope::Own, &filer),
        configured("drafter", DraftScope::Team, &filer),
        configured("dropper", DraftScope::Own, &dropper),
    ];
    Role::built_in().into_iter().chain(custom).collect()
}

/// In memory where there is such a place: a world is made for each replay.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn grant(user: UserId, mailbox: mandate::types::MailboxId, role: &str) -> NewGrant {
    NewGrant {
        holder: Holder::User(user),
        mailbox,
        role: RoleName(role.to_owned()),
        send: None,
        from: None,
        until: None,
        narrowing: Narrowing::default(),
        note: String::new(),
        granted_by: "uid:0".to_owned(),
    }
}

fn mailbox(port: u16, separator: char, settings: &[Setting]) -> NewMailbox {
    let standard = [
        ("Archive", "archive"),
        ("Drafts", "drafts"),
        ("Junk", "junk"),
        ("Sent", "sent"),
        ("Trash", "trash"),
    ];
    let standard = standard.map(|(folder, class)| (folder.to_owned(), class.to_owned()));
    let asked = settings.iter().filter_map(|setting| match setting {
        Setting::Pin(folder, class) => Some((folder.clone(), class.clone())),
        _ => None,
    });
    let pins = standard.into_iter().chain(asked).map(|(folder, class)| Pin {
        folder: FolderName::parse(&folder, Some(separator)).unwrap(),
        uid_validity: None,
        class: self::class(&class),
    });
    NewMailbox {
        address: Address::parse("support@example.org").unwrap(),
        aliases: Vec::new(),
        short: ShortName::parse("support").unwrap(),
        display: "Example Support".to_owned(),
        owner: None,
        imap: Endpoint {
            host: "127.0.0.1".to_owned(),
            port,
            security: Security::Plaintext,
            trust: Trust::System,
        },
        imap_account: Account { authcid: "support@example.org".to_owned(), authzid: None },
        submission: None,
        max_connections: 10,
        pins: pins.collect(),
        separator: Some(separator),
        options: options(settings),
    }
}

fn class(name: &str) -> FolderClass {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).unwrap()
}

fn options(settings: &[Setting]) -> store::Options {
    let mut options = store::Options { read_state: ReadChoice::Shared, ..store::Options::default() };
    for setting in settings {
        if let Setting::Option(key, value) = setting {
            options.set(key, value).unwrap();
        }
    }
    options
}
