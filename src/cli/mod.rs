//! The command line: argv in, exit code out. Layer 8.
//!
//! `serve`, `check` and `init` work on the configuration; every other verb is a
//! [`Request`] to the daemon, or to the store itself where no daemon runs.

mod args;
mod check;
mod client;
mod exit;
mod host;
mod init;
mod password;
mod show;
mod table;
mod time;

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use clap::Parser;
use jiff::Zoned;

pub use exit::Exit;

use crate::admin::{Answer, NewGrant, NewUser, Pin, Request, Setting};
use crate::config::Config;
use crate::daemon;
use crate::policy::{FolderClass, SendRight};
use crate::types::{OutboxId, Timestamp};
use args::{Cli, Grant, Group, Mailbox, Outbox, User, Verb};
use exit::Fault;

/// Runs one command line.
pub fn run(argv: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(argv) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for, and go to standard output.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            return if error.print().is_ok() { exit } else { Exit::Software };
        }
    };
    match obey(cli) {
        Ok(exit) => exit,
        Err(fault) => {
            eprintln!("mandate: {}", fault.message);
            fault.exit
        }
    }
}

fn obey(cli: Cli) -> Result<Exit, Fault> {
    let Cli { config, json, verb } = cli;
    let file = config_file(config)?;
    match verb {
        Verb::Check { upstream } => return check::run(&file, upstream, json),
        Verb::Serve => {
            let config = load(&file)?;
            daemon::serve(&file, config)?;
            return Ok(Exit::Ok);
        }
        Verb::Init => return init::run(&file, &load(&file)?),
        Verb::User(_)
        | Verb::Group(_)
        | Verb::Mailbox(_)
        | Verb::Grant(_)
        | Verb::Role(_)
        | Verb::Explain { .. }
        | Verb::Message { .. }
        | Verb::Outbox(_)
        | Verb::Export
        | Verb::Apply { .. }
        | Verb::Status => {}
    }
    let config = load(&file)?;
    let answer = client::answer(&config, request(verb)?)?;
    print(&answer, json)
}

/// The file named, or the first of the usual two that exists.
fn config_file(named: Option<PathBuf>) -> Result<PathBuf, Fault> {
    if let Some(file) = named {
        return Ok(file);
    }
    let usual = [Path::new("/etc/mandate/proxy.toml"), Path::new("proxy.toml")];
    let found = usual.into_iter().find(|file| file.exists()).map(Path::to_owned);
    found.ok_or_else(|| {
        let message = "no configuration: neither /etc/mandate/proxy.toml nor ./proxy.toml exists; \
                       name one with --config";
        Fault::new(Exit::Config, message)
    })
}

fn load(file: &Path) -> Result<Config, Fault> {
    Config::load(file).map_err(|error| Fault::new(Exit::Config, error.to_string()))
}

/// The request that a verb stands for, with the passwords it needs.
fn request(verb: Verb) -> Result<Request, Fault> {
    match verb {
        // NOTE: `obey` has answered these three.
        Verb::Serve | Verb::Check { .. } | Verb::Init => Err(Fault::usage("not a request")),
        Verb::User(verb) => user(verb),
        Verb::Group(verb) => Ok(group(verb)),
        Verb::Mailbox(verb) => mailbox(verb),
        Verb::Grant(verb) => grant(verb),
        Verb::Role(args::Role::List) => Ok(Request::RoleList { name: None }),
        Verb::Role(args::Role::Show { name }) => Ok(Request::RoleList { name: Some(name) }),
        Verb::Explain { user, mailbox: Some(mailbox), folder, action } => {
            Ok(Request::Explain { user, mailbox, folder, action })
        }
        Verb::Explain { user: message_id, mailbox: None, .. } => Ok(Request::Message { message_id }),
        Verb::Message { message_id } => Ok(Request::Message { message_id }),
        Verb::Outbox(verb) => outbox(verb),
        Verb::Export => Ok(Request::Export),
        Verb::Apply { file, replace } => Ok(Request::Apply { lines: read(&file)?, replace }),
        Verb::Status => Ok(Request::Status),
    }
}

fn user(verb: User) -> Result<Request, Fault> {
    Ok(match verb {
        User::Add { login, addresses, display, password } => {
            let password = password.choose(&login)?;
            Request::UserAdd(NewUser { login, addresses, display, password })
        }
        User::Passwd { login, password } => {
            let password = password.choose(&login)?;
            Request::UserPassword { login, password }
        }
        User::Disable { login } => Request::UserDisable { login },
        User::Enable { login } => Request::UserEnable { login },
        User::Host(host) => {
            let login = host.login.clone();
            Request::UserHost { login, host: host.into_account()?.map(Box::new) }
        }
        User::List => Request::UserList,
        User::Remove { login } => Request::UserRemove { login },
    })
}

fn outbox(verb: Outbox) -> Result<Request, Fault> {
    let number = |text: &str| {
        let id = text.strip_prefix('o').unwrap_or(text).parse().map(OutboxId);
        id.map_err(|_| Fault::usage(format!("{text:?} is no message's number; see `mandate outbox list`")))
    };
    Ok(match verb {
        Outbox::List { all } => Request::OutboxList { all },
        Outbox::Retry { id } => Request::OutboxRetry { id: number(&id)? },
        Outbox::Drop { id } => Request::OutboxDrop { id: number(&id)? },
    })
}

fn group(verb: Group) -> Request {
    match verb {
        Group::Add { name } => Request::GroupAdd { name },
        Group::Join { group, logins } => Request::GroupJoin { group, logins },
        Group::Leave { group, logins } => Request::GroupLeave { group, logins },
        Group::List => Request::GroupList,
        Group::Remove { name } => Request::GroupRemove { name },
    }
}

fn mailbox(verb: Mailbox) -> Result<Request, Fault> {
    Ok(match verb {
        Mailbox::Add(args) => Request::MailboxAdd(Box::new(args.into_request()?)),
        Mailbox::List => Request::MailboxList,
        Mailbox::Show { mailbox } => Request::MailboxShow { mailbox },
        Mailbox::Folders { mailbox, pins } => {
            let pins = pins.iter().map(|text| pin(text)).collect::<Result<_, _>>()?;
            Request::MailboxFolders { mailbox, pins }
        }
        Mailbox::Set { mailbox, settings } => {
            let settings = settings.iter().map(|text| setting(text)).collect::<Result<_, _>>()?;
            Request::MailboxSet { mailbox, settings }
        }
        Mailbox::Remove { mailbox } => Request::MailboxRemove { mailbox },
        Mailbox::Test { mailbox } => Request::MailboxTest { mailbox },
    })
}

/// `KEY=VALUE`; a value may hold `=` itself.
fn setting(text: &str) -> Result<Setting, Fault> {
    let (key, value) =
        text.split_once('=').ok_or_else(|| Fault::usage(format!("{text:?} is not KEY=VALUE")))?;
    Ok(Setting { key: key.to_owned(), value: value.to_owned() })
}

/// `FOLDER=CLASS`; a folder's name may hold `=` itself.
fn pin(text: &str) -> Result<Pin, Fault> {
    let (folder, class) =
        text.rsplit_once('=').ok_or_else(|| Fault::usage(format!("{text:?} is not FOLDER=CLASS")))?;
    let class = FolderClass::parse(class).ok_or_else(|| {
        let known = FolderClass::ALL.map(FolderClass::as_str).join(", ");
        Fault::usage(format!("{class:?} is no class of folders; there are {known}"))
    })?;
    Ok(Pin { folder: folder.to_owned(), class })
}

fn grant(verb: Grant) -> Result<Request, Fault> {
    Ok(match verb {
        Grant::Add { holder, mailbox, role, send, from, until, only, except, note } => {
            let now = Zoned::now();
            let read = |text: Option<String>| -> Result<Option<Timestamp>, Fault> {
                text.map(|text| time::parse(&text, &now)).transpose().map_err(Fault::usage)
            };
            let (from, until) = (read(from)?, read(until)?);
            let send = send.map(|text| how(&text)).transpose()?;
            Request::GrantAdd(NewGrant { holder, mailbox, role, send, from, until, only, except, note })
        }
        Grant::Remove { holder, mailbox, role } => Request::GrantRemove { holder, mailbox, role },
        Grant::List { mailbox, user } => Request::GrantList { mailbox, user },
    })
}

fn how(text: &str) -> Result<SendRight, Fault> {
    let known = || SendRight::ALL.map(SendRight::as_str).join(", ");
    SendRight::parse(text)
        .ok_or_else(|| Fault::usage(format!("{text:?} is no way to send; there are {}", known())))
}

/// Largest file for `apply` in octets; the control socket takes no more.
const MAX_FILE: u64 = 8 << 20;

fn read(file: &Path) -> Result<String, Fault> {
    let wrong = |why: String| Fault::new(Exit::Data, format!("{}: {why}", file.display()));
    let reader: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).map_err(|error| wrong(error.to_string()))?)
    };
    let mut text = String::new();
    let read = reader.take(MAX_FILE + 1).read_to_string(&mut text);
    let octets = read.map_err(|error| wrong(error.to_string()))?;
    if octets as u64 > MAX_FILE {
        return Err(wrong(format!("more than {MAX_FILE} octets")));
    }
    Ok(text)
}

/// A failure goes to standard error, also as JSON; everything else to standard output.
fn print(answer: &Answer, json: bool) -> Result<Exit, Fault> {
    let software = |error: &dyn std::fmt::Display| Fault::new(Exit::Software, error.to_string());
    if let Answer::Failed(failure) = answer {
        let message = if json {
            serde_json::to_string(failure).map_err(|error| software(&error))?
        } else {
            failure.messages.iter().map(|text| table::clean(text)).collect::<Vec<_>>().join("\nmandate: ")
        };
        return Err(Fault::new(failure.kind.into(), message));
    }
    let text = if json && !matches!(answer, Answer::Export(_)) {
        format!("{}\n", inner(answer).map_err(|error| software(&error))?)
    } else {
        show::text(answer)
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| software(&error))?;
    Ok(Exit::Ok)
}

/// The answer without the name of its kind: a script knows what it asked for.
fn inner(answer: &Answer) -> serde_json::Result<String> {
    let value = serde_json::to_value(answer)?;
    let value = match value {
        serde_json::Value::Object(kinds) => {
            kinds.into_iter().next().map_or(serde_json::Value::Null, |(_, value)| value)
        }
        other => other,
    };
    serde_json::to_string_pretty(&value)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::args::Cli;
    use super::pin;
    use crate::policy::FolderClass;

    #[test]
    fn clap_agrees() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_pin_names_a_class() {
        let good = pin("Projects=2026=archive").unwrap();
        assert_eq!((good.folder.as_str(), good.class), ("Projects=2026", FolderClass::Archive));
        assert!(pin("Projects").unwrap_err().message.contains("FOLDER=CLASS"));
        assert!(pin("Projects=bin").unwrap_err().message.contains("trash"));
    }
}
