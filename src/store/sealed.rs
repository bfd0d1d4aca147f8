//! Upstream passwords, encrypted at rest (invariant 15).
//!
//! AES-256-GCM-SIV (RFC 8452: a repeated nonce costs no more than equality), with the
//! record's identity as associated data: a sealed value copied to another mailbox, or
//! left in place while the host is changed, does not open.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, hmac, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use super::StoreError;
use crate::types::{Endpoint, MailboxId, Secret};

/// Length of the key file in octets.
pub const KEY_LEN: usize = 32;

/// What a credential is for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    Imap,
    Smtp,
}

impl Purpose {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Smtp => "smtp",
        }
    }
}

/// A sealed value: what the disk holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sealed {
    /// Form of this envelope; 1.
    version: u8,
    /// Which key sealed it; see [`Sealer::key_id`].
    key: String,
    /// Nonce, ciphertext, tag; base64.
    data: String,
}

/// Seals and opens, and derives the other keys that the daemon needs.
pub struct Sealer {
    aead: RandomizedNonceKey,
    root: hmac::Key,
    key_id: String,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({})", self.key_id)
    }
}

impl Sealer {
    /// Makes a new key file with mode 0600; never replaces one.
    pub fn create_key_file(path: &Path) -> Result<(), StoreError> {
        let mut key = [0; KEY_LEN];
        rand::fill(&mut key).map_err(|_| key_error(path, "the system gives no random numbers"))?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let written = file.and_then(|mut file| file.write_all(&key).and_then(|()| file.sync_all()));
        key.zeroize();
        written.map_err(StoreError::io(path))
    }

    /// From a key file: exactly [`KEY_LEN`] octets, readable by its owner alone.
    pub fn from_key_file(path: &Path) -> Result<Self, StoreError> {
        let meta = fs::metadata(path).map_err(StoreError::io(path))?;
        if meta.mode() & 0o077 != 0 {
            return Err(key_error(path, "others may read it: chmod 600"));
        }
        Self::read(path)
    }

    /// From a systemd credential (`$CREDENTIALS_DIRECTORY/<name>`), whose access systemd
    /// keeps by ACL: its mode shows the ACL's mask and is not looked at.
    pub fn from_credential(path: &Path) -> Result<Self, StoreError> {
        Self::read(path)
    }

    fn read(path: &Path) -> Result<Self, StoreError> {
        let file = fs::File::open(path).map_err(StoreError::io(path))?;
        if !file.metadata().map_err(StoreError::io(path))?.is_file() {
            return Err(key_error(path, "not a regular file"));
        }
        let mut key = Vec::with_capacity(KEY_LEN + 1);
        let limit = KEY_LEN as u64 + 1;
        file.take(limit).read_to_end(&mut key).map_err(StoreError::io(path))?;
        let sealer = <&[u8; KEY_LEN]>::try_from(key.as_slice())
            .map_err(|_| key_error(path, "must hold exactly 32 octets: make one with `mandate init`"))
            .and_then(|key| Self::new(key).ok_or_else(|| key_error(path, "not usable")));
        key.zeroize();
        sealer
    }

    /// From the key itself.
    pub fn new(key: &[u8; KEY_LEN]) -> Option<Self> {
        let root = hmac::Key::new(hmac::HMAC_SHA256, key);
        let aead_key = hmac::sign(&root, b"mandate credentials 1");
        let aead = RandomizedNonceKey::new(&AES_256_GCM_SIV, aead_key.as_ref()).ok()?;
        let id = hmac::sign(&root, b"mandate key id");
        Some(Self { aead, root, key_id: hex(&id.as_ref()[..8]) })
    }

    /// A name for the key that gives nothing of it away.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// A key of 32 octets for another purpose: `"audit journal"`.
    pub fn derive(&self, purpose: &str) -> Secret {
        Secret::new(hmac::sign(&self.root, format!("mandate derived {purpose}").as_bytes()).as_ref())
    }

    pub(super) fn seal(&self, identity: &Identity<'_>, secret: &Secret) -> Result<Sealed, StoreError> {
        let mut text = secret.expose().to_vec();
        let aad = Aad::from(identity.octets());
        let Ok(nonce) = self.aead.seal_in_place_append_tag(aad, &mut text) else {
            text.zeroize();
            return Err(StoreError::Sealed("the credential could not be sealed".into()));
        };
        let data = STANDARD.encode([nonce.as_ref().as_slice(), &text].concat());
        Ok(Sealed { version: 1, key: self.key_id.clone(), data })
    }

    pub(super) fn open(&self, identity: &Identity<'_>, sealed: &Sealed) -> Result<Secret, StoreError> {
        let fault = |why: &str| {
            let of = format!("the {} credential of {}", identity.purpose.as_str(), identity.endpoint);
            StoreError::Sealed(format!("{of} {why}: set it again with `mandate mailbox`"))
        };
        if sealed.version != 1 {
            return Err(fault("was sealed by a later Mandate"));
        }
        if sealed.key != self.key_id {
            return Err(fault("was sealed with another key file"));
        }
        let data = STANDARD.decode(&sealed.data).map_err(|_| fault("is damaged"))?;
        let (nonce, text) = data.split_at_checked(NONCE_LEN).ok_or_else(|| fault("is damaged"))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| fault("is damaged"))?;
        let mut text = text.to_vec();
        let opened = self.aead.open_in_place(nonce, Aad::from(identity.octets()), &mut text);
        let secret = opened.map(|secret| Secret::new(&*secret));
        text.zeroize();
        secret.map_err(|_| fault("does not open: it was made for another mailbox, host or port"))
    }
}

/// What a sealed value belongs to.
pub(super) struct Identity<'a> {
    pub mailbox: MailboxId,
    pub purpose: Purpose,
    pub endpoint: &'a Endpoint,
}

impl Identity<'_> {
    fn octets(&self) -> Vec<u8> {
        let host = self.endpoint.host.to_ascii_lowercase();
        let text = format!("1\0{}\0{}\0{}\0{host}", self.mailbox, self.purpose.as_str(), self.endpoint.port);
        text.into_bytes()
    }
}

fn key_error(path: &Path, why: &str) -> StoreError {
    StoreError::Key { path: path.to_owned(), why: why.to_owned() }
}

pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The first 16 octets of SHA-256, in hex: against accidents, not against people.
pub(super) fn checksum(octets: &[u8]) -> String {
    hex(&digest::digest(&digest::SHA256, octets).as_ref()[..16])
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Identity, Purpose, Sealer};
    use crate::types::{Endpoint, MailboxId, Secret, Security, Trust};

    fn endpoint(host: &str, port: u16) -> Endpoint {
        Endpoint { host: host.into(), port, security: Security::Implicit, trust: Trust::System }
    }

    fn open(
        sealer: &Sealer,
        mailbox: u64,
        purpose: Purpose,
        host: &str,
        port: u16,
        sealed: &super::Sealed,
    ) -> bool {
        let endpoint = endpoint(host, port);
        let identity = Identity { mailbox: MailboxId(mailbox), purpose, endpoint: &endpoint };
        sealer.open(&identity, sealed).is_ok_and(|secret| secret.expose() == b"hunter2")
    }

    #[test]
    fn opens_for_its_own_record_alone() {
        let sealer = Sealer::new(&[7; 32]).unwrap();
        let host = endpoint("imap.example.org", 993);
        let identity = Identity { mailbox: MailboxId(1), purpose: Purpose::Imap, endpoint: &host };
        let sealed = sealer.seal(&identity, &Secret::new("hunter2")).unwrap();
        assert!(!serde_json::to_string(&sealed).unwrap().contains("hunter2"));
        assert_ne!(sealed, sealer.seal(&identity, &Secret::new("hunter2")).unwrap());

        assert!(open(&sealer, 1, Purpose::Imap, "IMAP.example.org", 993, &sealed));
        assert!(!open(&sealer, 2, Purpose::Imap, "imap.example.org", 993, &sealed));
        assert!(!open(&sealer, 1, Purpose::Smtp, "imap.example.org", 993, &sealed));
        assert!(!open(&sealer, 1, Purpose::Imap, "evil.example.org", 993, &sealed));
        assert!(!open(&sealer, 1, Purpose::Imap, "imap.example.org", 143, &sealed));
        assert!(!open(&Sealer::new(&[8; 32]).unwrap(), 1, Purpose::Imap, "imap.example.org", 993, &sealed));
        for broken in ["", "AAAA", "!"] {
            let sealed = super::Sealed { data: broken.into(), ..sealed.clone() };
            assert!(!open(&sealer, 1, Purpose::Imap, "imap.example.org", 993, &sealed));
        }
    }

    #[test]
    fn a_key_file_is_private_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        Sealer::create_key_file(&path).unwrap();
        Sealer::create_key_file(&path).unwrap_err();
        let id = Sealer::from_key_file(&path).unwrap().key_id().to_owned();
        assert_eq!(Sealer::from_key_file(&path).unwrap().key_id(), id);
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(Sealer::from_key_file(&path).unwrap_err().to_string().contains("chmod 600"));
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, [0; 33]).unwrap();
        assert!(Sealer::from_key_file(&path).unwrap_err().to_string().contains("32 octets"));
    }
}
