//! Passwords come from a prompt or from standard input, never from an argument:
//! arguments are in the process list and in the shell's history.

use std::io::{self, BufRead, IsTerminal};

use zeroize::Zeroizing;

use super::args::PasswordSource;
use super::exit::{Exit, Fault};
use crate::types::Secret;

/// Longest password in octets; longer lines on standard input are a mistake.
const MAX_PASSWORD: usize = 1024;

impl PasswordSource {
    /// A password that somebody chooses: asked for twice.
    pub(super) fn choose(self, whose: &str) -> Result<Secret, Fault> {
        if self.password_stdin {
            return self.read(whose);
        }
        let first = prompt(&format!("New password of {whose}: "))?;
        let second = prompt("Once more: ")?;
        if first.expose() != second.expose() {
            return Err(Fault::new(Exit::Data, "the two passwords differ; nothing was changed"));
        }
        Ok(first)
    }

    /// A password that exists already.
    pub(super) fn read(self, whose: &str) -> Result<Secret, Fault> {
        if self.password_stdin { next_line(whose) } else { prompt(&format!("Password of {whose}: ")) }
    }
}

fn prompt(text: &str) -> Result<Secret, Fault> {
    if !io::stdin().is_terminal() {
        return Err(Fault::usage("no terminal to ask for a password; use --password-stdin"));
    }
    let line = rpassword::prompt_password(text);
    check(line.map_err(|error| Fault::new(Exit::Software, format!("cannot read the password: {error}")))?)
}

/// One line of standard input, which may hold more of them.
fn next_line(whose: &str) -> Result<Secret, Fault> {
    let mut line = Zeroizing::new(String::with_capacity(MAX_PASSWORD + 2));
    let read = io::stdin().lock().read_line(&mut line);
    let read =
        read.map_err(|error| Fault::new(Exit::Data, format!("cannot read standard input: {error}")))?;
    if read == 0 {
        return Err(Fault::new(
            Exit::Data,
            format!("standard input has no line with the password of {whose}"),
        ));
    }
    check(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn check(line: String) -> Result<Secret, Fault> {
    let secret = Secret::new(line);
    if secret.is_empty() {
        return Err(Fault::new(Exit::Data, "the password is empty"));
    }
    if secret.len() > MAX_PASSWORD {
        return Err(Fault::new(Exit::Data, format!("the password is longer than {MAX_PASSWORD} octets")));
    }
    if secret.expose().contains(&0) {
        return Err(Fault::new(Exit::Data, "the password contains a NUL, which no mail protocol can carry"));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::{MAX_PASSWORD, check};

    #[test]
    fn what_no_protocol_can_carry_is_refused() {
        assert!(check(String::new()).is_err());
        assert!(check("a\0b".into()).is_err());
        assert!(check("x".repeat(MAX_PASSWORD + 1)).is_err());
        assert!(check("pass word ".into()).is_ok());
    }
}
