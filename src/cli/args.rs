//! The command line, as clap reads it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// People open shared mailboxes with their own login, by role.
#[derive(Debug, Parser)]
#[command(name = "mandate", version, arg_required_else_help = true, max_term_width = 100)]
pub(super) struct Cli {
    /// The configuration [default: /etc/mandate/proxy.toml, then ./proxy.toml]
    #[arg(long, short, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Run the proxy
    Serve,
    /// Check the configuration, all of it at once, without starting anything
    Check {
        /// Also log in upstream as every mailbox
        #[arg(long)]
        upstream: bool,
    },
    /// Make the state directory and the key file
    Init,
    /// People who log in
    #[command(subcommand)]
    User(User),
    /// Sets of people that a grant may name
    #[command(subcommand)]
    Group(Group),
    /// Shared mailboxes and where they are
    #[command(subcommand)]
    Mailbox(Mailbox),
    /// Who may do what in which mailbox
    #[command(subcommand)]
    Grant(Grant),
    /// What roles allow; proxy.toml defines them
    #[command(subcommand)]
    Role(Role),
    /// Say what a person may do in a mailbox, and why; or, of a Message-ID alone, what became
    /// of that message
    Explain {
        /// A person's login name, or `<something@example.org>` with nothing behind it
        user: String,
        mailbox: Option<String>,
        /// A folder's name; without it, every class of folder is shown
        folder: Option<String>,
        /// One of: open, read, mark-read, flag, mark-deleted, expunge, store, copy-here,
        /// file (move to the archive), move-to-trash, create-below, delete-folder, rename-folder, send; without it, all of them
        action: Option<String>,
    },
    /// Say what became of a message: who sent it, where its copy is, who answered it
    Message {
        /// `<something@example.org>`, with or without the brackets
        message_id: String,
    },
    /// Messages that went out, on their way into the Sent folder
    #[command(subcommand)]
    Outbox(Outbox),
    /// Print the whole store as JSON lines; credentials stay sealed, passwords hashed
    Export,
    /// Put an export back: all of it or nothing
    Apply {
        /// The file; `-` is standard input
        file: PathBuf,
        /// Replace what the store holds
        #[arg(long)]
        replace: bool,
    },
    /// Show what the running daemon does
    Status,
}

#[derive(Debug, Subcommand)]
pub(super) enum Outbox {
    /// List the messages that are not filed yet, or whose outcome is unknown
    List {
        /// Also those of the last hour that are done
        #[arg(long)]
        all: bool,
    },
    /// Try again now; a message of unknown outcome is taken to have gone out
    Retry {
        /// The first column of the list: o1795312345678
        id: String,
    },
    /// Forget a message: its copy is not filed
    Drop { id: String },
}

#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Add a person; the password is asked for
    Add {
        /// The login name: alice@example.org, or alice
        login: String,
        /// An address of their own; repeat for more [default: the login name, if it is an address]
        #[arg(long = "address", value_name = "ADDRESS")]
        addresses: Vec<String>,
        /// The name that people read
        #[arg(long, value_name = "NAME", default_value = "")]
        display: String,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Set a new password
    Passwd {
        login: String,
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Shut a person out, in open sessions too
    Disable { login: String },
    /// Let a disabled person in again
    Enable { login: String },
    /// Say where a person's own mail is: they see it beside what is shared with them
    Host(Box<UserHost>),
    /// List everybody
    List,
    /// Remove a person, with their grants
    Remove { login: String },
}

#[derive(Args, Debug)]
pub(super) struct UserHost {
    pub login: String,
    /// They have no mail of their own here
    #[arg(long, conflicts_with = "imap", required_unless_present = "imap")]
    pub none: bool,
    /// The mail host [default port: 993, or 143 without implicit TLS]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub imap: Option<String>,
    #[arg(long, value_enum, default_value = "implicit", value_name = "HOW")]
    pub imap_security: SecurityArg,
    /// As whom to log in there; a master user is written as the host wants it [default: LOGIN]
    #[arg(long, value_name = "NAME")]
    pub imap_user: Option<String>,
    /// Whose account to open, where `--imap-user` is a master user by SASL PLAIN
    #[arg(long, value_name = "NAME")]
    pub authzid: Option<String>,
    /// Log in there with the password that they log in with here; nothing is stored
    #[arg(long, conflicts_with = "none")]
    pub pass_through: bool,
    /// Trust the certificates in this file instead of the system's, for both hosts
    #[arg(long, value_name = "FILE", conflicts_with = "spki")]
    pub ca_file: Option<PathBuf>,
    /// Trust exactly this key for both hosts: SHA-256 of the SubjectPublicKeyInfo, 64 hex digits
    #[arg(long, value_name = "HEX")]
    pub spki: Option<String>,
    /// The submission host for their own mail [default port: 465, or 587 without implicit TLS]
    #[arg(long, value_name = "HOST[:PORT]", requires = "imap")]
    pub smtp: Option<String>,
    #[arg(long, value_enum, default_value = "implicit", value_name = "HOW", requires = "smtp")]
    pub smtp_security: SecurityArg,
    /// As whom to log in there [default: as for IMAP]
    #[arg(long, value_name = "NAME", requires = "smtp")]
    pub smtp_user: Option<String>,
    /// The submission host is a relay that wants no login
    #[arg(long, requires = "smtp", conflicts_with = "smtp_user")]
    pub smtp_no_auth: bool,
    /// How many IMAP connections the host allows this account at once
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub max_connections: u16,
    #[command(flatten)]
    pub password: PasswordSource,
}

#[derive(Debug, Subcommand)]
pub(super) enum Group {
    /// Add an empty group
    Add { name: String },
    /// Put people into a group; they hold its grants at once
    Join {
        group: String,
        #[arg(required = true)]
        logins: Vec<String>,
    },
    /// Take people out of a group
    Leave {
        group: String,
        #[arg(required = true)]
        logins: Vec<String>,
    },
    /// List groups and their members
    List,
    /// Remove a group, with its grants
    Remove { name: String },
}

#[derive(Debug, Subcommand)]
pub(super) enum Mailbox {
    /// Add a shared mailbox: logs in there, and shows its folders and their classes
    Add(Box<MailboxAdd>),
    /// List mailboxes
    List,
    /// Show one mailbox
    Show { mailbox: String },
    /// Show the classes of a mailbox's folders, or set them
    #[command(after_help = "Classes: inbox, ordinary, drafts, sent, trash, archive, junk, aggregate \
        (shows messages of other folders), hidden (does not exist for anybody).")]
    Folders {
        mailbox: String,
        /// FOLDER=CLASS
        #[arg(value_name = "FOLDER=CLASS")]
        pins: Vec<String>,
    },
    /// Change options of a mailbox; `mailbox show` lists them
    #[command(after_help = "Also: display=NAME, owner=LOGIN, max_connections=N, aliases=ADDRESS,ADDRESS.")]
    Set {
        mailbox: String,
        /// KEY=VALUE
        #[arg(value_name = "KEY=VALUE", required = true)]
        settings: Vec<String>,
    },
    /// Remove a mailbox from Mandate, with its grants; nothing happens upstream
    Remove { mailbox: String },
    /// Log in upstream again, for reading and for sending
    Test { mailbox: String },
}

#[derive(Args, Debug)]
pub(super) struct MailboxAdd {
    /// The mailbox's address: support@example.org
    pub address: String,
    /// A short name to log in with: support [default: the local part of the address]
    #[arg(long, value_name = "NAME")]
    pub short: Option<String>,
    /// A further address of the mailbox; repeat for more
    #[arg(long = "alias", value_name = "ADDRESS")]
    pub aliases: Vec<String>,
    /// The name in From of what is sent
    #[arg(long, value_name = "NAME", default_value = "")]
    pub display: String,
    /// The person who owns the mailbox
    #[arg(long, value_name = "LOGIN")]
    pub owner: Option<String>,
    /// The IMAP host [default port: 993, or 143 without implicit TLS]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub imap: String,
    #[arg(long, value_enum, default_value = "implicit", value_name = "HOW")]
    pub imap_security: SecurityArg,
    /// As whom to log in there [default: the address]
    #[arg(long, value_name = "NAME")]
    pub imap_user: Option<String>,
    /// Whose account to open, where `--imap-user` is a master user by SASL PLAIN
    #[arg(long, value_name = "NAME")]
    pub authzid: Option<String>,
    /// Trust the certificates in this file instead of the system's, for both hosts
    #[arg(long, value_name = "FILE", conflicts_with = "spki")]
    pub ca_file: Option<PathBuf>,
    /// Trust exactly this key for both hosts: SHA-256 of the SubjectPublicKeyInfo, 64 hex digits
    #[arg(long, value_name = "HEX")]
    pub spki: Option<String>,
    /// The submission host [default port: 465, or 587 without implicit TLS]
    #[arg(long, value_name = "HOST[:PORT]")]
    pub smtp: Option<String>,
    #[arg(long, value_enum, default_value = "implicit", value_name = "HOW", requires = "smtp")]
    pub smtp_security: SecurityArg,
    /// As whom to log in there, with a password of its own [default: as for IMAP]
    #[arg(long, value_name = "NAME", requires = "smtp")]
    pub smtp_user: Option<String>,
    /// The submission host is a relay that wants no login
    #[arg(long, requires = "smtp", conflicts_with = "smtp_user")]
    pub smtp_no_auth: bool,
    /// How many IMAP connections the host allows this account at once
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub max_connections: u16,
    #[command(flatten)]
    pub password: PasswordSource,
}

/// How a connection is secured.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum SecurityArg {
    /// TLS from the first octet
    Implicit,
    /// STARTTLS before anything else
    Starttls,
    /// None: to loopback or a configured network only
    Plaintext,
}

#[derive(Debug, Subcommand)]
pub(super) enum Grant {
    /// Give a role in a mailbox
    Add {
        /// A person's login name, or @group
        holder: String,
        mailbox: String,
        /// reader, responder, manager, or a role of proxy.toml
        role: String,
        /// How they may send, where it is not as the role says: none, on-behalf or as
        #[arg(long, value_name = "HOW")]
        send: Option<String>,
        /// From when: 2026-12-31 (local midnight), RFC 3339, or +30d
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Until when (not including it): 2026-12-31 (local midnight), RFC 3339, or +30d
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Only these folders, with those below: 'Projects/*'; repeat for more. INBOX is the
        /// inbox alone
        #[arg(long, value_name = "PATTERN")]
        only: Vec<String>,
        /// Not these folders, with those below: HR; repeat for more
        #[arg(long, value_name = "PATTERN")]
        except: Vec<String>,
        /// Why, for those who review grants
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
    /// Take a role back, in open sessions too; says who still gets in through what
    Remove {
        /// A person's login name, or @group
        holder: String,
        mailbox: String,
        /// Only this role
        role: Option<String>,
    },
    /// List grants
    List {
        /// Only those in this mailbox
        #[arg(long, value_name = "MAILBOX")]
        mailbox: Option<String>,
        /// Only those that this person holds, through groups too
        #[arg(long, value_name = "LOGIN")]
        user: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Role {
    /// List all roles
    List,
    /// Show one role
    Show { name: String },
}

/// Where a password comes from: a prompt, or standard input. Never an argument.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct PasswordSource {
    /// Read the password from standard input, one line each, instead of asking
    #[arg(long)]
    pub password_stdin: bool,
}
