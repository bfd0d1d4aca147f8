//! Where a mail host is, how it is trusted, and as whom we log in there.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How the connection to a host is secured.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS from the first octet (RFC 8314 §3).
    Implicit,
    /// STARTTLS before anything else (RFC 3501 §6.2.1, RFC 3207).
    StartTls,
    /// None: to loopback or a configured network only.
    Plaintext,
}

/// What makes a host's certificate good.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// A chain to the system's roots, for the host's name.
    System,
    /// A chain to the certificates in this file, for the host's name.
    CaFile(PathBuf),
    /// Exactly this key: SHA-256 of the SubjectPublicKeyInfo.
    Spki([u8; 32]),
}

/// A host and port.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Endpoint {
    /// A name or an IP address.
    pub host: String,
    pub port: u16,
    pub security: Security,
    pub trust: Trust,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// As whom we log in upstream; the password is kept apart, sealed.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
pub struct Account {
    /// Whose password it is: `support@example.org`, `support*master`, or a master user with
    /// `authzid` naming the account.
    pub authcid: String,
    pub authzid: Option<String>,
}
