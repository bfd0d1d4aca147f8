//! Passwords: hashing and verifying, a few at a time.

use std::fmt;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, TryAcquireError};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::sasl::Credentials;
use crate::store::PasswordHash;
use crate::types::Secret;

/// `[login.hashing]`: what one verification costs (RFC 9106). At the defaults 19 MiB and
/// about 25 ms, the least that OWASP's password storage sheet recommends: logins come all
/// day long from phones.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HashSettings {
    /// Memory in KiB. Default 19456.
    pub memory_kib: u32,
    /// Passes over it. Default 2.
    pub passes: u32,
    /// Verifications at a time. Default 2: argon2 is a way to keep us busy, and mail is to
    /// flow meanwhile.
    pub at_once: usize,
    /// Verifications that wait; more are answered "try again later". Default 50: the last
    /// one waits less than a second.
    pub queue: usize,
}

impl Default for HashSettings {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2, at_once: 2, queue: 50 }
    }
}

/// Why a password is not taken as a new one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum PasswordError {
    Empty,
    TooLong,
    Utf8,
    /// Control characters, which no client lets a person type.
    Control,
    /// It looks like an app password, and would never be tried as a person's own.
    AppPassword,
    /// The hashing settings are out of range.
    Settings(String),
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a password must not be empty"),
            Self::TooLong => write!(f, "a password has at most {} octets", Credentials::MAX_PASSWORD),
            Self::Utf8 => f.write_str("a password must be UTF-8"),
            Self::Control => f.write_str("a password must not contain control characters"),
            Self::AppPassword => f.write_str("mdt_..._... is the form of app passwords; choose another one"),
            Self::Settings(source) => write!(f, "login.hashing: {source}"),
        }
    }
}

impl std::error::Error for PasswordError {}

/// The queue is full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct QueueFull;

/// A new password's hash, as the store keeps it. Takes as long as a verification; async
/// callers run it with `spawn_blocking`.
pub fn hash_password(password: &Secret, settings: &HashSettings) -> Result<PasswordHash, PasswordError> {
    if password.is_empty() {
        return Err(PasswordError::Empty);
    }
    if password.len() > Credentials::MAX_PASSWORD {
        return Err(PasswordError::TooLong);
    }
    let text = str::from_utf8(password.expose()).map_err(|_| PasswordError::Utf8)?;
    if text.chars().any(char::is_control) {
        return Err(PasswordError::Control);
    }
    if is_app_password(password) {
        return Err(PasswordError::AppPassword);
    }
    hash(&argon2(settings)?, &prepared(text))
}

fn argon2(settings: &HashSettings) -> Result<Argon2<'static>, PasswordError> {
    let params = Params::new(settings.memory_kib, settings.passes, 1, None)
        .map_err(|error| PasswordError::Settings(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(argon2: &Argon2<'_>, prepared: &[u8]) -> Result<PasswordHash, PasswordError> {
    let hash = argon2.hash_password(prepared).map_err(|error| PasswordError::Settings(error.to_string()))?;
    Ok(PasswordHash::new(hash.to_string()))
}

/// OpaqueString (RFC 8265 §4.2): NFC, every kind of blank a plain one, case kept. Two
/// keyboards that write `é` differently still type the same password.
fn prepared(password: &str) -> Zeroizing<Vec<u8>> {
    let blank = |c: char| if c.is_whitespace() && !c.is_control() { ' ' } else { c };
    Zeroizing::new(password.nfc().map(blank).collect::<String>().into_bytes())
}

/// `mdt_<id>_<secret>`: an app password, never tried as any other kind.
pub(super) fn is_app_password(password: &Secret) -> bool {
    let rest = password.expose().strip_prefix(b"mdt_");
    let at = rest.and_then(|rest| rest.iter().position(|octet| *octet == b'_'));
    rest.zip(at).is_some_and(|(rest, at)| at > 0 && at + 1 < rest.len())
}

/// Verifies passwords, [`HashSettings::at_once`] at a time.
pub(super) struct Verifier {
    /// A hash nobody has the password of: what is verified when there is no user, so that
    /// the answer takes as long.
    dummy: PasswordHash,
    running: Arc<Semaphore>,
    /// Places in the queue, those that run included.
    admitted: Arc<Semaphore>,
}

impl Verifier {
    pub(super) fn new(settings: &HashSettings) -> Result<Self, PasswordError> {
        let argon2 = argon2(settings)?;
        let nobodys = super::keyed::random_key()
            .map_err(|_| PasswordError::Settings("the system gives no random numbers".to_owned()))?;
        let at_once = settings.at_once.clamp(1, 1024);
        Ok(Self {
            dummy: hash(&argon2, &*nobodys)?,
            running: Arc::new(Semaphore::new(at_once)),
            admitted: Arc::new(Semaphore::new(
                at_once.saturating_add(settings.queue).min(Semaphore::MAX_PERMITS),
            )),
        })
    }

    /// From here on everything is [`QueueFull`]: shows what needs no hashing.
    #[cfg(test)]
    pub(super) fn stop(&self) {
        self.admitted.close();
    }

    /// Is it the password? Without a hash: no, and as late. Goes on to its end in the
    /// background if the caller gives up.
    pub(super) async fn verify(
        &self,
        password: &Secret,
        hash: Option<&PasswordHash>,
    ) -> Result<bool, QueueFull> {
        let admitted = match self.admitted.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => return Err(QueueFull),
        };
        let running = self.running.clone().acquire_owned().await.map_err(|_| QueueFull)?;
        let (password, exists) = (password.clone(), hash.is_some());
        let hash = hash.unwrap_or(&self.dummy).clone();
        let verified = tokio::task::spawn_blocking(move || {
            let _places = (admitted, running);
            matches(&password, &hash)
        });
        // A panic in there counts as a wrong password.
        Ok(verified.await.unwrap_or(false) && exists)
    }
}

fn matches(password: &Secret, hash: &PasswordHash) -> bool {
    let Ok(text) = str::from_utf8(password.expose()) else { return false };
    let Ok(hash) = Phc::new(hash.as_str()) else {
        tracing::error!("a password hash in the store is damaged");
        return false;
    };
    Argon2::default().verify_password(&prepared(text), &hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{HashSettings, PasswordError, QueueFull, Verifier, hash_password, is_app_password};
    use crate::types::Secret;

    /// The least argon2 allows.
    fn settings() -> HashSettings {
        HashSettings { memory_kib: 8, passes: 1, at_once: 1, queue: 1 }
    }

    #[tokio::test]
    async fn a_password_is_verified() {
        let verifier = Verifier::new(&settings()).unwrap();
        let hash = hash_password(&Secret::new("caf\u{e9} au lait"), &settings()).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        for (password, right) in [
            ("caf\u{e9} au lait", true),
            ("cafe\u{301} au\u{a0}lait", true),
            ("Caf\u{e9} au lait", false),
            ("caf\u{e9} au lait ", false),
        ] {
            assert_eq!(verifier.verify(&Secret::new(password), Some(&hash)).await, Ok(right), "{password}");
        }
        assert_eq!(verifier.verify(&Secret::new(vec![0xff]), Some(&hash)).await, Ok(false));
        assert_eq!(verifier.verify(&Secret::new("any"), None).await, Ok(false));
    }

    #[test]
    fn the_defaults_are_what_they_say() {
        let hash = hash_password(&Secret::new("secret"), &HashSettings::default()).unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
    }

    #[test]
    fn what_is_no_new_password() {
        for (password, error) in [
            ("", PasswordError::Empty),
            ("a\0b", PasswordError::Control),
            ("a\nb", PasswordError::Control),
            ("mdt_17_secret", PasswordError::AppPassword),
        ] {
            assert_eq!(hash_password(&Secret::new(password), &settings()), Err(error), "{password:?}");
        }
        assert_eq!(hash_password(&Secret::new(vec![b'a'; 1025]), &settings()), Err(PasswordError::TooLong));
        assert_eq!(hash_password(&Secret::new(vec![0xff]), &settings()), Err(PasswordError::Utf8));
        assert!(hash_password(&Secret::new(vec![b'a'; 1024]), &settings()).is_ok());
        let absurd = HashSettings { memory_kib: 1, ..settings() };
        assert!(matches!(hash_password(&Secret::new("a"), &absurd), Err(PasswordError::Settings(_))));
    }

    #[test]
    fn the_form_of_app_passwords() {
        for (password, is) in [
            ("mdt_17_secret", true),
            ("mdt_a1_b_c", true),
            ("mdt_17_", false),
            ("mdt__secret", false),
            ("mdt_secret", false),
            ("MDT_17_secret", false),
            ("xmdt_17_secret", false),
        ] {
            assert_eq!(is_app_password(&Secret::new(password)), is, "{password}");
        }
    }

    #[tokio::test]
    async fn the_queue_has_its_limit() {
        let verifier = Verifier::new(&settings()).unwrap();
        let password = Secret::new("any");
        let verify = || verifier.verify(&password, None);
        let (first, second, third) = tokio::join!(verify(), verify(), verify());
        assert_eq!((first, second, third), (Ok(false), Ok(false), Err(QueueFull)));
        assert_eq!(verify().await, Ok(false));
    }
}
