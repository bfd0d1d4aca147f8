//! The real binary's command line: with a daemon and without, good input and bad of each kind.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::dovecot::{SUPPORT, SUPPORT_PASSWORD};
use support::{ALICE, Ca, Dovecot, Proxy};
use tempfile::TempDir;

/// A configuration and its state, without a daemon.
struct Desk {
    directory: TempDir,
    variables: Vec<(&'static str, String)>,
}

/// How a command ended.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Desk {
    /// Everything `mandate init` makes, and a certificate.
    fn open() -> Self {
        let desk = Self { directory: TempDir::new().unwrap(), variables: Vec::new() };
        let certificate = Ca::new().localhost();
        fs::copy(certificate.certificate, desk.path("cert.pem")).unwrap();
        fs::copy(certificate.key, desk.path("key.pem")).unwrap();
        desk.configure("");
        desk.good(&["init"]);
        desk
    }

    fn configure(&self, extra: &str) {
        let text = "[state]\ndirectory = \"state\"\n[admin]\nsocket = \"socket\"\n\
                    [tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n\
                    [imap]\nlisten = [\"127.0.0.1:0\"]\n[submission]\nlisten = [\"127.0.0.1:0\"]\n";
        fs::write(self.path("proxy.toml"), format!("{text}{extra}")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, arguments: &[&str], input: &str) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mandate"));
        command.arg("--config").arg(self.path("proxy.toml")).args(arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        ran(command, input)
    }

    #[track_caller]
    fn good(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments, "a password\n");
        assert_eq!(ran.code, 0, "mandate {}: {}", arguments.join(" "), ran.err);
        ran.out
    }

    /// The command fails with this code and says this.
    #[track_caller]
    fn bad(&self, arguments: &[&str], code: i32, said: &str) {
        let ran = self.run(arguments, "a password\n");
        let line = arguments.join(" ");
        assert_eq!(
            (ran.code, ran.err.contains(said)),
            (code, true),
            "mandate {line}: {} {}",
            ran.code,
            ran.err
        );
        assert_eq!(ran.out, "", "a failure prints nothing for scripts to take");
    }

    fn people(&self) {
        self.good(&["user", "add", ALICE, "--password-stdin"]);
        self.good(&["user", "add", "bob", "--address", "bob@example.org", "--password-stdin"]);
    }
}

fn ran(mut command: Command, input: &str) -> Ran {
    use std::io::Write as _;
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().unwrap();
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
    Ran { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

#[test]
fn init_makes_a_private_key_and_never_replaces_it() {
    let desk = Desk::open();
    let key = desk.path("state/seal.key");
    let (before, mode) = (fs::read(&key).unwrap(), fs::metadata(&key).unwrap().permissions().mode());
    assert_eq!((before.len(), mode & 0o777), (32, 0o600));
    assert!(desk.good(&["init"]).contains("and stays"));
    assert_eq!(fs::read(&key).unwrap(), before);
    assert!(desk.good(&["check"]).contains("store: opens"));
}

#[test]
fn a_persons_own_mail_is_set_shown_and_taken_away() {
    let desk = Desk::open();
    desk.people();
    fn own<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
        [&["user", "host"], arguments].concat()
    }
    let said = desk.good(&own(&[
        ALICE,
        "--imap",
        "imap.example.org",
        "--pass-through",
        "--smtp",
        "smtp.example.org",
    ]));
    assert!(
        said.contains("imap.example.org:993, TLS, as alice@example.org, with the password of their login")
    );
    assert!(said.contains("smtp.example.org:465") && said.contains("not tried"), "{said}");
    assert!(desk.good(&["user", "list"]).contains("imap.example.org:993"));
    let export = desk.good(&["export"]);
    assert!(export.contains("passthrough") && !export.contains("a password"));
    // A stored password is tried first: nobody is behind this port.
    let closed = ["bob", "--imap", "127.0.0.1:1", "--imap-security", "plaintext", "--password-stdin"];
    desk.bad(&own(&closed), 69, "127.0.0.1:1");
    desk.bad(&own(&["bob"]), 64, "--none");
    desk.bad(&own(&["carol", "--none"]), 65, "carol");
    desk.good(&own(&[ALICE, "--none"]));
    assert!(!desk.good(&["export"]).contains("imap.example.org"));
}

#[test]
fn users_and_groups_without_a_daemon() {
    let desk = Desk::open();
    desk.people();
    desk.good(&["group", "add", "team"]);
    desk.good(&["group", "join", "team", ALICE, "bob"]);
    assert!(desk.good(&["user", "disable", "bob"]).contains("bob is disabled"));

    let users: Value = serde_json::from_str(&desk.good(&["user", "list", "--json"])).unwrap();
    assert_eq!(users[0]["login"], ALICE);
    assert_eq!(users[0]["addresses"][0], ALICE, "a login name that is an address is one's own");
    assert_eq!((&users[1]["disabled"], &users[1]["groups"][0]), (&Value::Bool(true), &Value::from("team")));
    let table = desk.good(&["user", "list"]);
    assert!(table.starts_with("LOGIN              STATE"), "{table}");

    desk.good(&["user", "enable", "bob"]);
    desk.good(&["group", "leave", "team", "bob"]);
    desk.good(&["user", "passwd", "bob", "--password-stdin"]);
    desk.good(&["user", "remove", "bob"]);
    assert!(!desk.good(&["user", "list"]).contains("bob"));
    desk.good(&["group", "remove", "team"]);
    assert!(desk.good(&["status"]).contains("not running"));
}

#[test]
fn bad_input_of_each_kind_has_its_code_and_sentence() {
    let desk = Desk::open();
    desk.people();
    for (arguments, code, said) in [
        (&["frobnicate"][..], 64, "unrecognized subcommand"),
        (&["user", "add"], 64, "<LOGIN>"),
        (&["user", "add", "carol"], 64, "use --password-stdin"),
        (&["user", "add", "carol", "--password", "x"], 64, "--password"),
        (&["user", "add", "ca/rol", "--password-stdin"], 65, "must not contain '/'"),
        (&["user", "add", "ca rol", "--password-stdin"], 65, "spaces"),
        (&["user", "add", "c", "--address", "no address", "--password-stdin"], 65, "local@domain"),
        (&["user", "add", ALICE, "--password-stdin"], 73, "already"),
        (&["user", "add", "carol", "--address", ALICE, "--password-stdin"], 73, "would belong to both"),
        (&["user", "disable", "nobody"], 65, "there is no user \"nobody\""),
        (&["group", "join", "none", "bob"], 65, "there is no group \"none\""),
        (&["mailbox", "show", "none"], 65, "there is no mailbox \"none\""),
        (&["mailbox", "folders", "none", "INBOX"], 64, "is not FOLDER=CLASS"),
        (&["mailbox", "folders", "none", "INBOX=bin"], 64, "there are inbox, ordinary, drafts"),
        (&["mailbox", "add", "s@example.org", "--imap", "host:0"], 64, "is not HOST or HOST:PORT"),
        (&["mailbox", "add", "s@example.org", "--imap", "h", "--spki", "ab"], 64, "64 hex digits"),
        (&["mailbox", "add", "support", "--imap", "h", "--password-stdin"], 65, "local@domain"),
        (&["mailbox", "add", ALICE, "--imap", "h", "--password-stdin"], 73, "belongs to user alice"),
        (&["grant", "add", "bob", "none", "reader", "--until", "soon"], 64, "write 2026-12-31"),
        (&["grant", "add", "bob", "none", "reader"], 65, "there is no mailbox \"none\""),
        (&["explain", "bob", "none"], 65, "there is no mailbox \"none\""),
        (&["apply", "/nonexistent/file"], 65, "No such file"),
    ] {
        desk.bad(arguments, code, said);
    }
    // All that is wrong with a request is told at once.
    let ran = desk.run(&["grant", "add", "@none", "none", "king", "--until", "2020-01-01"], "");
    for said in ["no group \"none\"", "no mailbox \"none\"", "reader, responder, manager", "in the past"] {
        assert!(ran.err.contains(said), "lacks {said:?}: {}", ran.err);
    }
    // Nothing of a failed request is kept.
    assert_eq!(desk.good(&["user", "list"]).lines().count(), 3);
    // As JSON too, on standard error.
    let ran = desk.run(&["user", "disable", "nobody", "--json"], "");
    assert!(ran.err.contains(r#"{"kind":"data","messages":["#), "{}", ran.err);
}

#[test]
fn the_password_comes_from_standard_input_and_is_checked() {
    let desk = Desk::open();
    for (input, said) in [("", "no line with the password"), ("\n", "is empty"), ("a\0b\n", "NUL")] {
        let ran = desk.run(&["user", "add", "carol", "--password-stdin"], input);
        assert_eq!((ran.code, ran.err.contains(said)), (65, true), "{input:?}: {}", ran.err);
    }
    let ran = desk.run(&["user", "add", "carol", "--password-stdin"], "correct horse\n");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let exported = desk.good(&["export"]);
    assert!(exported.contains("$argon2id$") && !exported.contains("correct horse"));
}

#[test]
fn configuration_that_is_wrong_or_not_there() {
    let mut desk = Desk::open();
    fs::remove_file(desk.path("cert.pem")).unwrap();
    let ran = desk.run(&["check"], "");
    assert_eq!(ran.code, 78);
    assert!(ran.out.contains("WRONG  certificate") && ran.out.contains("cert.pem"), "{}", ran.out);
    assert!(ran.out.contains("store: opens"), "everything is checked: {}", ran.out);

    desk.configure("[imapp]\n");
    desk.bad(&["user", "list"], 78, "unknown field `imapp`");
    desk.configure("");
    desk.variables = vec![("MANDATE__IMAP__LISTEN", "127.0.0.1:0,[::1]:0".into())];
    desk.good(&["user", "list"]);
    desk.variables = vec![("MANDATE__IMAP__LISTEN", "127.0.0.1:99999".into())];
    desk.bad(&["user", "list"], 78, "environment variables MANDATE__SECTION__KEY");
    desk.variables = vec![("MANDATE__LIMITS__CONNECTONS", "5".into())];
    desk.bad(&["user", "list"], 78, "connectons");
    desk.variables.clear();
    fs::remove_file(desk.path("state/seal.key")).unwrap();
    desk.bad(&["user", "list"], 78, "seal.key");
    fs::remove_file(desk.path("proxy.toml")).unwrap();
    desk.bad(&["user", "list"], 78, "proxy.toml: No such file");
}

#[test]
fn a_certificate_that_is_not_its_keys_is_told() {
    let desk = Desk::open();
    fs::copy(Ca::new().localhost().key, desk.path("key.pem")).unwrap();
    let ran = desk.run(&["check"], "");
    assert!(ran.code == 78 && ran.out.contains("WRONG  certificate"), "{}", ran.out);
    desk.bad(&["serve"], 78, "certificate:");
}

#[test]
fn an_export_goes_back_whole() {
    let (desk, other) = (Desk::open(), Desk::open());
    desk.people();
    let exported = desk.good(&["export"]);
    let file = other.path("export.jsonl");
    fs::write(&file, &exported).unwrap();
    let file = file.to_str().unwrap();
    other.good(&["apply", file]);
    assert_eq!(other.good(&["user", "list"]), desk.good(&["user", "list"]));
    other.bad(&["apply", file], 65, "would be replaced");
    other.good(&["apply", file, "--replace"]);
    fs::write(file, exported.replace("bob", "eve")).unwrap();
    let ran = other.run(&["apply", file, "--replace"], "");
    assert!(ran.code == 65 && ran.err.contains("damaged"), "{}", ran.err);
    assert_eq!(other.good(&["user", "list"]), desk.good(&["user", "list"]), "nothing was changed");
}

#[test]
fn a_daemon_answers_for_its_store_and_ends_in_order() {
    let ca = Ca::new();
    let mut proxy = Proxy::start(&ca);
    proxy.run(&["user", "add", ALICE, "--password-stdin"], "a password\n");
    let status: Value = serde_json::from_str(&proxy.run(&["status", "--json"], "")).unwrap();
    assert_eq!((&status["running"], &status["users"]), (&Value::Bool(true), &Value::from(1)));
    let listening = fs::read_to_string(proxy.state().join("listening")).unwrap();
    assert!(listening.contains(&proxy.imaps().to_string()), "{listening}");

    let second = proxy.command(&["serve"], "");
    assert_eq!(second.status.code(), Some(75), "{}", String::from_utf8_lossy(&second.stderr));
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another process"));
    proxy.run(&["check"], "");

    // A bad file leaves what runs as it is, and says so.
    let file = proxy.configuration_file();
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{good}\n[nonsense]\n")).unwrap();
    proxy.signal("HUP");
    support::eventually("the reload is refused", || {
        proxy.log().contains("the running configuration stays").then_some(())
    });
    fs::write(&file, &good).unwrap();
    proxy.signal("HUP");
    support::eventually("the reload is done", || proxy.log().contains("are taken over").then_some(()));

    assert!(proxy.terminate().success());
    assert!(!proxy.state().join("listening").exists());
    let status: Value = serde_json::from_str(&proxy.run(&["status", "--json"], "")).unwrap();
    assert_eq!((&status["running"], &status["users"]), (&Value::Bool(false), &Value::from(1)));
}

#[test]
fn a_mailbox_is_added_by_logging_in_and_granted_by_role() {
    let ca = Ca::new();
    let dovecot = Dovecot::start(&ca);
    let proxy = Proxy::start(&ca);
    let run = |arguments: &[&str]| proxy.run(arguments, "a password\n");
    let fails = |arguments: &[&str], input: &str, code, said: &str| {
        let output = proxy.command(arguments, input);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), err.contains(said)), (Some(code), true), "{arguments:?}: {err}");
    };
    run(&["user", "add", ALICE, "--password-stdin"]);
    run(&["user", "add", "bob", "--password-stdin"]);
    run(&["group", "add", "team"]);
    run(&["group", "join", "team", "bob"]);

    let imap = format!("localhost:{}", dovecot.imaps().port());
    let file = ca.file();
    let trusted = ["--ca-file", file.to_str().unwrap(), "--password-stdin"];
    let add = ["mailbox", "add", SUPPORT, "--alias", "help@example.org", "--owner", ALICE, "--imap", &imap];
    let add = [&add[..], &trusted].concat();
    fails(&add, "wrong\n", 69, "refused the account or its password");
    fails(&["mailbox", "add", SUPPORT, "--imap", &imap, "--password-stdin"], "x\n", 69, "TLS");
    assert_eq!(proxy.run(&["mailbox", "list"], "").lines().count(), 1, "nothing was stored");

    let table = proxy.run(&add, &format!("{SUPPORT_PASSWORD}\n"));
    for line in ["INBOX", "Drafts", "Sent", "Trash"] {
        assert!(table.contains(line), "lacks {line}:\n{table}");
    }
    fails(&add, &format!("{SUPPORT_PASSWORD}\n"), 73, "belongs to mailbox support already");
    assert!(run(&["mailbox", "test", "support"]).contains("logged in"));
    assert!(run(&["check", "--upstream"]).contains("mailbox support: localhost:"));
    let shown = run(&["mailbox", "show", "help@example.org"]);
    assert!(shown.contains("support@example.org") && !shown.contains(SUPPORT_PASSWORD), "{shown}");

    run(&["mailbox", "set", "support", "display=Example Support", "max_connections=7", "plus_tags=yes"]);
    let shown = run(&["mailbox", "show", "support"]);
    for line in ["display name        Example Support", "7 at most", "plus_tags           true"] {
        assert!(shown.contains(line), "lacks {line}:\n{shown}");
    }
    fails(&["mailbox", "set", "support", "display=Other", "max_connections=0"], "", 65, "at least one");
    fails(&["mailbox", "set", "support", "display=Other", "colour=red"], "", 65, "there is no option colour");
    fails(&["mailbox", "set", "support", "aliases=alice@example.org"], "", 73, "belong to both");
    fails(&["mailbox", "set", "support", "plus_tags"], "", 64, "is not KEY=VALUE");
    assert!(
        run(&["mailbox", "show", "support"]).contains("Example Support"),
        "a refused change did something"
    );
    run(&["mailbox", "set", "support", "aliases=help@example.org", "max_connections=10"]);

    let table = run(&["mailbox", "folders", "support", "Sent=archive"]);
    assert!(table.lines().any(|line| line.starts_with("Sent ") && line.contains("archive")), "{table}");
    let hidden = run(&["mailbox", "folders", "support", "Trash=hidden"]);
    assert!(hidden.contains("hidden until they are pinned"), "{hidden}");
    fails(&["mailbox", "folders", "support", "Nowhere=sent"], "", 65, "no folder Nowhere");
    run(&["mailbox", "folders", "support", "Trash=trash", "Sent=sent"]);

    run(&["grant", "add", "bob", "support", "reader", "--until", "+30d", "--note", "while alice is away"]);
    run(&["grant", "add", "@team", "support", "responder"]);
    fails(&["grant", "add", "@team", "support", "responder"], "", 73, "already (live)");
    let grants = run(&["grant", "list", "--user", "bob"]);
    assert!(grants.contains("@team") && grants.contains("while alice is away"), "{grants}");

    let why = run(&["explain", "bob", "support"]);
    assert!(why.contains("bob has responder in support@example.org through group team"), "{why}");
    let one = run(&["explain", "bob", "support", "Drafts", "expunge"]);
    assert!(one.contains("partly") && one.contains("their own drafts only"), "{one}");
    let one = run(&["explain", "bob", "support", "INBOX", "expunge"]);
    assert!(one.contains("nothing happens"), "{one}");
    let one = run(&["explain", "bob", "support", "INBOX", "move-to-trash"]);
    assert!(one.contains("does not allow moving"), "{one}");

    let said = run(&["grant", "remove", "bob", "support"]);
    assert!(said.contains("bob is no longer reader"), "{said}");
    assert!(said.contains("bob still has responder in support through group team"), "{said}");
    fails(&["grant", "remove", "bob", "support"], "", 65, "through group team");
    let said = run(&["group", "leave", "team", "bob"]);
    assert!(said.contains("no longer in group team") && !said.contains("still"), "{said}");
    assert!(run(&["explain", "bob", "support"]).contains("bob has no grant"));
    fails(&["user", "remove", ALICE], "", 65, "give it another owner first");

    let journal = fs::read_to_string(proxy.state().join("journal.jsonl")).unwrap();
    for said in
        ["\"verb\":\"mailbox add\"", "\"change\":\"removed\"", "\"verb\":\"group leave\"", "\"by\":\"uid:"]
    {
        assert!(journal.contains(said), "the journal lacks {said}");
    }
    assert!(!journal.contains(SUPPORT_PASSWORD) && !proxy.log().contains(SUPPORT_PASSWORD));

    roles_come_and_go_with_the_file(&proxy);
}

/// A role of one's own and a grant for some folders, and what is told once the role is gone.
fn roles_come_and_go_with_the_file(proxy: &Proxy) {
    let run = |arguments: &[&str]| proxy.run(arguments, "");
    let file = proxy.configuration_file();
    let plain = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{plain}\n[roles.filer.rights]\ninbox = \"lrswm\"\n")).unwrap();
    proxy.signal("HUP");
    support::eventually("the role is there", || run(&["role", "list"]).contains("lrswim").then_some(()));
    assert!(run(&["role", "show", "filer"]).contains("lrswim"));
    let said = run(&["grant", "add", "bob", "support", "filer", "--only", "inbox", "--except", "No/such"]);
    assert!(said.contains("bob is filer in support@example.org, only INBOX, except No/such"), "{said}");
    assert!(said.contains("No/such matches no folder"), "{said}");
    let said = run(&["explain", "bob", "support"]);
    assert!(said.contains("bob has filer in support@example.org, only INBOX"), "{said}");
    assert!(run(&["grant", "list"]).contains("only INBOX, except No/such"));
    run(&["check"]);

    fs::write(&file, &plain).unwrap();
    proxy.signal("HUP");
    support::eventually("the role is gone", || {
        run(&["grant", "list"]).contains("no such role").then_some(())
    });
    let checked = proxy.command(&["check"], "");
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(78), "{told}");
    assert!(told.contains("bob has filer in support, which gives nothing"), "{told}");
    run(&["grant", "remove", "bob", "support", "filer"]);
    run(&["check"]);
}
