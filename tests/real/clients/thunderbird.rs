//! Debian's Thunderbird without a screen: a profile of its own, its acts in `thunderbird.js`.

use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::marionette::Marionette;
use crate::support::Scene;
use crate::support::dovecot::SUPPORT;
use crate::support::process::{Process, need};
use crate::support::scene::password;

const ACTS: &str = include_str!("thunderbird.js");

/// No first-run pages, nothing that asks the network; the log of what goes to the mail host is
/// switched on by the environment.
const PREFERENCES: &[(&str, &str)] = &[
    ("app.update.enabled", "false"),
    ("browser.safebrowsing.provider.mozilla.updateURL", "''"),
    ("datareporting.policy.dataSubmissionEnabled", "false"),
    ("extensions.getAddons.cache.enabled", "false"),
    ("extensions.update.enabled", "false"),
    ("mail.inappnotifications.enabled", "false"),
    ("mail.provider.suppress_dialog_on_startup", "true"),
    ("mail.rights.version", "1"),
    ("mail.shell.checkDefaultClient", "false"),
    // A reader of this page sees alerts by a listener; without a desktop they would be dialogs.
    // It takes no message for junk by itself, and moves what it is told is.
    ("mail.server.default.spamLevel", "0"),
    ("mail.spam.manualMark", "true"),
    ("mail.suppressAlertsForTests", "true"),
    ("mail.winsearch.firstRunDone", "true"),
    ("mailnews.database.global.indexer.enabled", "false"),
    ("mailnews.start_page.enabled", "false"),
    ("marionette.port", "0"),
    ("network.captive-portal-service.enabled", "false"),
    ("network.connectivity-service.enabled", "false"),
    ("network.dns.disablePrefetch", "true"),
    ("security.dialog_enable_delay", "0"),
    ("services.settings.server", "'data:,#remote-settings-dummy/v1'"),
    ("toolkit.telemetry.server", "'data:,'"),
];

/// The first start of a new profile reads hundreds of files; on a busy machine that takes a while.
const START: Duration = Duration::from_secs(90);

/// A running Thunderbird with one account. Dropping it ends it and all it started.
pub(crate) struct Thunderbird {
    marionette: Marionette,
    _process: Process,
    home: TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// One at a time: each is as heavy as all servers together.
static ALONE: Mutex<()> = Mutex::new(());

/// How a person opens the mailbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum View {
    /// `bob@example.org/support@example.org`.
    Account,
    /// `bob@example.org`, and the mailbox is `Shared/support`.
    Combined,
}

impl View {
    /// The name to log in with.
    pub(crate) fn login(self, login: &str) -> String {
        match self {
            View::Account => format!("{login}/{SUPPORT}"),
            View::Combined => login.to_owned(),
        }
    }

    /// A folder of the mailbox by its name in this view.
    pub(crate) fn folder(self, name: &str) -> String {
        match (self, name) {
            (View::Account, name) => name.to_owned(),
            (View::Combined, "INBOX") => "Shared/support".to_owned(),
            (View::Combined, name) => format!("Shared/support/{name}"),
        }
    }
}

impl Thunderbird {
    #[track_caller]
    pub(crate) fn open(scene: &Scene, login: &str, view: View) -> Thunderbird {
        // A test that failed leaves nothing behind.
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let home = tempfile::tempdir().unwrap();
        furnish(home.path(), &scene.ca.file());
        let process = launch(home.path());
        let port = started(home.path());
        let mut thunderbird =
            Thunderbird { marionette: Marionette::connect(port), _process: process, home, _alone: alone };
        let account = json!({
            "imap": scene.proxy.imaps().port(), "smtp": scene.proxy.submissions().port(),
            "login": view.login(login), "password": password(login), "address": SUPPORT,
            "at": if view == View::Combined { "Shared/support/" } else { "" },
        });
        thunderbird.act("account", &[account]);
        thunderbird
    }

    /// Does one of the acts of `thunderbird.js`.
    #[track_caller]
    pub(crate) fn act(&mut self, act: &str, arguments: &[Value]) -> Value {
        let arguments = [&[json!(act)], arguments].concat();
        let body = format!("{ACTS}\nreturn acts[args[0]](...args.slice(1));");
        match self.marionette.run(&body, &arguments) {
            Ok(value) => value,
            Err(error) => panic!("{arguments:?}: {error}\n{}", self.sent().join("\n")),
        }
    }

    /// What it has shown since the last time, once it rests: `alert: ...`, which pops up,
    /// `activity: ...`, which only its list of activities has, or `dialog: ...`.
    #[track_caller]
    pub(crate) fn told(&mut self) -> Vec<String> {
        let told = self.act("told", &[]);
        let text = |one: &Value| format!("{}: {}", word(&one["what"]), word(&one["text"]));
        told.as_array().unwrap().iter().map(text).collect()
    }

    /// Every IMAP command that it has sent, without the tag.
    pub(crate) fn sent(&self) -> Vec<String> {
        let places = std::fs::read_dir(self.home.path()).unwrap().flatten();
        let logs = places.filter(|place| place.file_name().to_string_lossy().starts_with("imap.log"));
        let log: String = logs.filter_map(|place| std::fs::read_to_string(place.path()).ok()).collect();
        let sent = log.lines().filter_map(|line| line.split_once(":SendData: "));
        let commands = sent.filter_map(|(_, line)| {
            let (tag, command) = line.trim().split_once(' ')?;
            tag.parse::<u32>().is_ok().then(|| command.to_owned())
        });
        commands.collect()
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The profile: our authority is trusted, and nothing asks at the first start.
fn furnish(profile: &Path, authority: &Path) {
    let preferences: String =
        PREFERENCES.iter().map(|(name, value)| format!("user_pref('{name}', {value});\n")).collect();
    std::fs::write(profile.join("user.js"), preferences).unwrap();
    let database = format!("sql:{}", profile.display());
    for arguments in [
        &["-N", "--empty-password"][..],
        &["-A", "-n", "test", "-t", "C,,", "-i", authority.to_str().unwrap()],
    ] {
        let mut command = Command::new(need("/usr/bin/certutil"));
        let output = command.args(arguments).args(["-d", &database]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// Where it takes scripts: a port that the system chose, since the preference is 0.
fn started(profile: &Path) -> u16 {
    let deadline = Instant::now() + START;
    loop {
        let port = std::fs::read_to_string(profile.join("MarionetteActivePort")).unwrap_or_default();
        if let Ok(port) = port.trim().parse() {
            return port;
        }
        let said = || std::fs::read_to_string(profile.join("output")).unwrap_or_default();
        assert!(Instant::now() < deadline, "Thunderbird does not start: {}", said());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn launch(profile: &Path) -> Process {
    let place = profile.display().to_string();
    let program = need("/usr/bin/thunderbird").to_str().unwrap();
    let (home, log) = (format!("HOME={place}"), format!("MOZ_LOG_FILE={place}/imap.log"));
    let arguments = [
        &home,
        &log,
        "MOZ_LOG=IMAP:4",
        "MOZ_CRASHREPORTER_DISABLE=1",
        program,
        "--headless",
        "--no-remote",
        "--marionette",
        "--remote-allow-system-access",
        "--profile",
        &place,
    ];
    Process::start(Path::new("/usr/bin/env"), &arguments, &profile.join("output"))
}
