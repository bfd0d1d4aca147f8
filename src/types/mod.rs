//! The vocabulary: addresses, names, numbers, flags, secrets.
//!
//! Layer 0. Nothing here knows a socket, a clock or a file, and every value is
//! checked where it is made: a type that exists is a value that is valid.
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

mod address;
mod endpoint;
mod flag;
mod folder;
mod identity;
mod message_id;
mod network;
mod numbering;
mod secret;
mod template;
mod time;
mod uid;

pub use address::{Address, AddressError};
pub use endpoint::{Account, Endpoint, Security, Trust};
pub use flag::{Flag, FlagKind, Flags, Keyword, SystemFlag};
pub use folder::{FolderName, NotCanonical, Separator, decode_mutf7, encode_mutf7};
pub use identity::{
    Authcid, Authzid, GrantId, GroupId, LoginName, MailboxId, NameError, OutboxId, ShortName, UserId,
};
pub use message_id::MessageId;
pub use network::{Network, NetworkError};
pub use numbering::Numbering;
pub use secret::Secret;
pub use template::{NameTemplate, TemplateError};
pub use time::Timestamp;
pub use uid::{Bound, NumberSet, UidSet, UidValidity};
