//! What an admin can ask. The command line, the control socket and later the console
//! all speak these.

use serde::{Deserialize, Serialize};

use crate::policy::{FolderClass, SendRight};
use crate::types::{Account, Endpoint, OutboxId, Secret, Timestamp};

/// One request. Names are as the admin wrote them; `perform` checks and resolves them.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    UserAdd(NewUser),
    UserPassword {
        login: String,
        #[serde(with = "secret_text")]
        password: Secret,
    },
    UserDisable {
        login: String,
    },
    UserEnable {
        login: String,
    },
    /// Where the person's own mail is; without a host, nowhere.
    UserHost {
        login: String,
        host: Option<Box<OwnAccount>>,
    },
    UserList,
    UserRemove {
        login: String,
    },

    GroupAdd {
        name: String,
    },
    GroupJoin {
        group: String,
        logins: Vec<String>,
    },
    GroupLeave {
        group: String,
        logins: Vec<String>,
    },
    GroupList,
    GroupRemove {
        name: String,
    },

    MailboxAdd(Box<NewMailbox>),
    MailboxList,
    MailboxShow {
        mailbox: String,
    },
    /// Without pins: show the folders.
    MailboxFolders {
        mailbox: String,
        pins: Vec<Pin>,
    },
    MailboxSet {
        mailbox: String,
        settings: Vec<Setting>,
    },
    MailboxRemove {
        mailbox: String,
    },
    MailboxTest {
        mailbox: String,
    },

    GrantAdd(NewGrant),
    GrantRemove {
        holder: String,
        mailbox: String,
        role: Option<String>,
    },
    GrantList {
        mailbox: Option<String>,
        user: Option<String>,
    },

    /// All roles, or one.
    RoleList {
        name: Option<String>,
    },

    Explain {
        user: String,
        mailbox: String,
        folder: Option<String>,
        action: Option<String>,
    },
    /// What became of a message, and who answered it.
    Message {
        message_id: String,
    },
    OutboxList {
        /// Also what is done with.
        all: bool,
    },
    OutboxRetry {
        id: OutboxId,
    },
    OutboxDrop {
        id: OutboxId,
    },
    Export,
    Apply {
        lines: String,
        /// Also where the store holds records already.
        replace: bool,
    },
    Status,
}

impl Request {
    /// Whether it changes something: journalled, whatever comes of it.
    pub fn changes(&self) -> bool {
        match self {
            Self::UserAdd(_)
            | Self::UserPassword { .. }
            | Self::UserDisable { .. }
            | Self::UserEnable { .. }
            | Self::UserHost { .. }
            | Self::UserRemove { .. }
            | Self::GroupAdd { .. }
            | Self::GroupJoin { .. }
            | Self::GroupLeave { .. }
            | Self::GroupRemove { .. }
            | Self::MailboxAdd(_)
            | Self::MailboxSet { .. }
            | Self::MailboxRemove { .. }
            | Self::GrantAdd(_)
            | Self::GrantRemove { .. }
            | Self::OutboxRetry { .. }
            | Self::OutboxDrop { .. }
            | Self::Apply { .. } => true,
            Self::MailboxFolders { pins, .. } => !pins.is_empty(),
            Self::UserList
            | Self::GroupList
            | Self::MailboxList
            | Self::MailboxShow { .. }
            | Self::MailboxTest { .. }
            | Self::GrantList { .. }
            | Self::RoleList { .. }
            | Self::Explain { .. }
            | Self::Message { .. }
            | Self::OutboxList { .. }
            | Self::Export
            | Self::Status => false,
        }
    }

    /// The verb as the command line has it, for the journal and the log.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::UserAdd(_) => "user add",
            Self::UserPassword { .. } => "user passwd",
            Self::UserDisable { .. } => "user disable",
            Self::UserEnable { .. } => "user enable",
            Self::UserHost { .. } => "user host",
            Self::UserList => "user list",
            Self::UserRemove { .. } => "user remove",
            Self::GroupAdd { .. } => "group add",
            Self::GroupJoin { .. } => "group join",
            Self::GroupLeave { .. } => "group leave",
            Self::GroupList => "group list",
            Self::GroupRemove { .. } => "group remove",
            Self::MailboxAdd(_) => "mailbox add",
            Self::MailboxList => "mailbox list",
            Self::MailboxShow { .. } => "mailbox show",
            Self::MailboxFolders { .. } => "mailbox folders",
            Self::MailboxSet { .. } => "mailbox set",
            Self::MailboxRemove { .. } => "mailbox remove",
            Self::MailboxTest { .. } => "mailbox test",
            Self::GrantAdd(_) => "grant add",
            Self::GrantRemove { .. } => "grant remove",
            Self::GrantList { .. } => "grant list",
            Self::RoleList { .. } => "role list",
            Self::Explain { .. } => "explain",
            Self::Message { .. } => "message",
            Self::OutboxList { .. } => "outbox list",
            Self::OutboxRetry { .. } => "outbox retry",
            Self::OutboxDrop { .. } => "outbox drop",
            Self::Export => "export",
            Self::Apply { .. } => "apply",
            Self::Status => "status",
        }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    pub login: String,
    /// Empty: the login name, where that is an address.
    pub addresses: Vec<String>,
    pub display: String,
    #[serde(with = "secret_text")]
    pub password: Secret,
}

/// A person's own account upstream.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OwnAccount {
    pub imap: OwnHost,
    pub submission: Option<OwnHost>,
    pub max_connections: u16,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OwnHost {
    pub endpoint: Endpoint,
    pub login: OwnLogin,
}

/// See [`crate::store::OwnLogin`]; with the password that is to be stored.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum OwnLogin {
    PassThrough(Account),
    Stored {
        account: Account,
        #[serde(with = "secret_text")]
        password: Secret,
    },
    Relay,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewMailbox {
    pub address: String,
    pub aliases: Vec<String>,
    /// The short name; without it, the local part.
    pub short: Option<String>,
    pub display: String,
    pub owner: Option<String>,
    pub imap: Login,
    pub submission: Option<Submission>,
    pub max_connections: u16,
}

/// A host, and a login there.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    pub endpoint: Endpoint,
    pub account: Account,
    #[serde(with = "secret_text")]
    pub password: Secret,
}

/// Where the mailbox's mail is submitted.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Submission {
    /// Login and password as for IMAP.
    SameLogin(Endpoint),
    OwnLogin(Login),
    /// A relay that wants no login: to loopback or a configured network only.
    Relay(Endpoint),
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    pub folder: String,
    pub class: FolderClass,
}

/// `KEY=VALUE`, as the admin wrote it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    pub key: String,
    pub value: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NewGrant {
    /// A login name, or `@group`.
    pub holder: String,
    pub mailbox: String,
    pub role: String,
    /// How the holder may send, where it is not as the role says.
    #[serde(default)]
    pub send: Option<SendRight>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Patterns of the folders it is for, and of those it is not; neither: the whole mailbox.
    #[serde(default)]
    pub only: Vec<String>,
    #[serde(default)]
    pub except: Vec<String>,
    pub note: String,
}

/// A secret on the control socket: base64, so that any octets pass.
///
/// Only requests carry one, and only towards the daemon; no answer type has a field of it.
mod secret_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use zeroize::Zeroizing;

    use crate::types::Secret;

    pub(super) fn serialize<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(STANDARD.encode(secret.expose())))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        STANDARD.decode(text.as_str()).map(Secret::new).map_err(|_| D::Error::custom("a secret is base64"))
    }
}

#[cfg(test)]
mod tests {
    use super::{NewUser, Request};
    use crate::types::Secret;

    #[test]
    fn a_password_crosses_and_is_not_printed() {
        let user = NewUser {
            login: "alice".into(),
            addresses: Vec::new(),
            display: String::new(),
            password: Secret::new(b"hunter2\xff".to_vec()),
        };
        let request = Request::UserAdd(user);
        assert!(!format!("{request:?}").contains("hunter2"));
        let text = serde_json::to_string(&request).unwrap();
        assert!(!text.contains("hunter2"));
        let Request::UserAdd(back) = serde_json::from_str(&text).unwrap() else { panic!("another verb") };
        assert_eq!(back.password.expose(), b"hunter2\xff");
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let text = r#"{"group-add":{"name":"team","admin":true}}"#;
        assert!(serde_json::from_str::<Request>(text).is_err());
    }
}
