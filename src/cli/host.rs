//! `HOST[:PORT]` and what goes with it.

use std::path::PathBuf;

use super::args::{MailboxAdd, PasswordSource, SecurityArg, UserHost};
use super::exit::Fault;
use crate::admin::{Login, NewMailbox, OwnAccount, OwnHost, OwnLogin, Submission};
use crate::types::{Account, Endpoint, Security, Trust};

impl From<SecurityArg> for Security {
    fn from(how: SecurityArg) -> Self {
        match how {
            SecurityArg::Implicit => Self::Implicit,
            SecurityArg::Starttls => Self::StartTls,
            SecurityArg::Plaintext => Self::Plaintext,
        }
    }
}

/// A service's ports: with implicit TLS, and without.
struct Ports {
    implicit: u16,
    other: u16,
}

/// RFC 8314 §7.
const IMAP: Ports = Ports { implicit: 993, other: 143 };
const SUBMISSION: Ports = Ports { implicit: 465, other: 587 };

impl MailboxAdd {
    /// The request, with its passwords asked for.
    pub(super) fn into_request(self) -> Result<NewMailbox, Fault> {
        let trust = trust(self.ca_file.as_ref(), self.spki.as_ref())?;
        let endpoint = endpoint(&self.imap, self.imap_security, &IMAP, trust.clone())?;
        let smtp = match &self.smtp {
            Some(text) => Some(endpoint_of_submission(text, self.smtp_security, trust)?),
            None => None,
        };
        let authcid = self.imap_user.clone().unwrap_or_else(|| self.address.clone());
        let password = self.password.read(&format!("{authcid} at {}", endpoint.host))?;
        let submission = match smtp {
            None => None,
            Some(smtp) if self.smtp_no_auth => Some(Submission::Relay(smtp)),
            Some(smtp) => Some(submission(smtp, self.smtp_user, self.password)?),
        };
        Ok(NewMailbox {
            address: self.address,
            aliases: self.aliases,
            short: self.short,
            display: self.display,
            owner: self.owner,
            imap: Login { endpoint, account: Account { authcid, authzid: self.authzid }, password },
            submission,
            max_connections: self.max_connections,
        })
    }
}

impl UserHost {
    /// The person's own account, with its passwords asked for; `None`: there is none.
    pub(super) fn into_account(self) -> Result<Option<OwnAccount>, Fault> {
        let Some(imap) = &self.imap else { return Ok(None) };
        let trust = trust(self.ca_file.as_ref(), self.spki.as_ref())?;
        let imap = endpoint(imap, self.imap_security, &IMAP, trust.clone())?;
        let authcid = self.imap_user.unwrap_or(self.login);
        let account = Account { authcid, authzid: self.authzid };
        let own = |endpoint: &Endpoint, account: Account| -> Result<OwnLogin, Fault> {
            if self.pass_through {
                return Ok(OwnLogin::PassThrough(account));
            }
            let password = self.password.read(&format!("{} at {}", account.authcid, endpoint.host))?;
            Ok(OwnLogin::Stored { account, password })
        };
        let login = own(&imap, account.clone())?;
        let submission = match &self.smtp {
            None => None,
            Some(text) => {
                let endpoint = endpoint_of_submission(text, self.smtp_security, trust)?;
                let login = match (self.smtp_user, &login) {
                    (_, _) if self.smtp_no_auth => OwnLogin::Relay,
                    (None, OwnLogin::Stored { account, password }) => {
                        OwnLogin::Stored { account: account.clone(), password: password.clone() }
                    }
                    (None, OwnLogin::PassThrough(_) | OwnLogin::Relay) => own(&endpoint, account)?,
                    (Some(authcid), _) => own(&endpoint, Account { authcid, authzid: None })?,
                };
                Some(OwnHost { endpoint, login })
            }
        };
        let imap = OwnHost { endpoint: imap, login };
        Ok(Some(OwnAccount { imap, submission, max_connections: self.max_connections }))
    }
}

fn trust(ca_file: Option<&PathBuf>, pin: Option<&String>) -> Result<Trust, Fault> {
    if let Some(file) = ca_file {
        let file = std::path::absolute(file);
        return Ok(Trust::CaFile(file.map_err(|error| Fault::usage(format!("--ca-file: {error}")))?));
    }
    match pin {
        Some(hex) => spki(hex).map(Trust::Spki),
        None => Ok(Trust::System),
    }
}

fn submission(smtp: Endpoint, user: Option<String>, source: PasswordSource) -> Result<Submission, Fault> {
    let Some(authcid) = user else { return Ok(Submission::SameLogin(smtp)) };
    let password = source.read(&format!("{authcid} at {}", smtp.host))?;
    let account = Account { authcid, authzid: None };
    Ok(Submission::OwnLogin(Login { endpoint: smtp, account, password }))
}

fn endpoint_of_submission(text: &str, how: SecurityArg, trust: Trust) -> Result<Endpoint, Fault> {
    endpoint(text, how, &SUBMISSION, trust)
}

/// Reads `host`, `host:port`, `192.0.2.1:143`, `[2001:db8::1]`, `[2001:db8::1]:143`.
fn endpoint(text: &str, how: SecurityArg, ports: &Ports, trust: Trust) -> Result<Endpoint, Fault> {
    let wrong = || Fault::usage(format!("{text:?} is not HOST or HOST:PORT"));
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            (host, rest.strip_prefix(':').or((!rest.is_empty()).then_some("")))
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let security = Security::from(how);
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?,
        None if security == Security::Implicit => ports.implicit,
        None => ports.other,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:_".contains(c);
    if host.is_empty() || host.len() > 253 || !host.chars().all(plain) {
        return Err(wrong());
    }
    Ok(Endpoint { host: host.to_ascii_lowercase(), port, security, trust })
}

fn spki(hex: &str) -> Result<[u8; 32], Fault> {
    let wrong = || Fault::usage("--spki wants the SHA-256 of a SubjectPublicKeyInfo: 64 hex digits");
    let digits: Vec<u8> = hex.bytes().filter(|octet| *octet != b':').collect();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(wrong());
    }
    let mut pin = [0; 32];
    for (octet, pair) in pin.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
        *octet = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
    }
    Ok(pin)
}

#[cfg(test)]
mod tests {
    use super::{IMAP, endpoint, spki};
    use crate::cli::args::SecurityArg;
    use crate::types::Trust;

    #[test]
    fn hosts_and_ports() {
        let read = |text, how| match endpoint(text, how, &IMAP, Trust::System) {
            Ok(endpoint) => format!("{} {}", endpoint.host, endpoint.port),
            Err(fault) => fault.message,
        };
        for (text, expected) in [
            ("Mail.example.org", "mail.example.org 993"),
            ("mail.example.org:1993", "mail.example.org 1993"),
            ("[2001:db8::1]", "2001:db8::1 993"),
            ("[2001:db8::1]:143", "2001:db8::1 143"),
        ] {
            assert_eq!(read(text, SecurityArg::Implicit), expected);
        }
        assert_eq!(read("mail.example.org", SecurityArg::Starttls), "mail.example.org 143");
        for text in [
            "",
            ":993",
            "host:",
            "host:0",
            "host:70000",
            "ho st",
            "a@b",
            "[::1",
            "[::1]x",
            "host:1:2",
            "h\r\n",
        ] {
            assert!(read(text, SecurityArg::Implicit).contains("is not HOST"), "{text:?}");
        }
    }

    #[test]
    fn a_pin_is_64_hex_digits() {
        assert!(spki(&"aF".repeat(32)).is_ok());
        assert!(spki(&vec!["0a"; 32].join(":")).is_ok());
        for bad in ["", "aa", &"g".repeat(64), &"a".repeat(63), &"é".repeat(32)] {
            assert!(spki(bad).is_err(), "{bad}");
        }
    }
}
