//! Who leads the tour: prints each step with its protocol lines, and counts claims
//! that did not hold.

use crate::support::smtp::SmtpReply;
use crate::support::{Imap, Reply, Smtp};

/// The tour so far.
#[derive(Default)]
pub(crate) struct Guide {
    steps: usize,
    failed: usize,
}

impl Guide {
    /// Begins a step: who tries what, and what comes of it.
    pub(crate) fn step(&mut self, person: &str, tries: &str, happens: &str) {
        self.steps += 1;
        println!("\n{:2}. {person}: {tries} → {happens}", self.steps);
    }

    /// A claim of this step, checked.
    pub(crate) fn claim(&mut self, holds: bool, claim: &str) {
        let mark = if holds { "✓" } else { "✗ DOES NOT HOLD:" };
        println!("      {mark} {claim}");
        self.failed += usize::from(!holds);
    }

    /// A claim that nothing differs; what does is printed.
    pub(crate) fn claim_same(&mut self, differences: &[String], claim: &str) {
        self.claim(differences.is_empty(), claim);
        for difference in differences {
            println!("        {difference}");
        }
    }

    /// Sends an IMAP command and prints it with its answer.
    pub(crate) fn imap(&self, imap: &mut Imap, command: &str) -> Reply {
        let tag = imap.start(command);
        sent(&format!("{tag} {command}"));
        let reply = imap.finish(&tag);
        reply.lines().iter().for_each(|line| received(line));
        received(&format!("{tag} {}", reply.tagged));
        reply
    }

    /// Sends an SMTP command line and prints it with its reply.
    pub(crate) fn smtp(&self, smtp: &mut Smtp, line: &str) -> SmtpReply {
        sent(line);
        let reply = smtp.command(line);
        received(&reply.to_string());
        reply
    }

    /// How many claims did not hold.
    pub(crate) fn failed(&self) -> usize {
        self.failed
    }
}

/// Prints what a client sends.
pub(crate) fn sent(line: &str) {
    println!("      C: {line}");
}

/// Prints what a client receives, a literal on lines of its own.
pub(crate) fn received(response: &str) {
    for (number, line) in response.lines().enumerate() {
        println!("      {} {line}", if number == 0 { "S:" } else { "  " });
    }
}

/// Prints a command of the administrator and its output.
pub(crate) fn shown(command: &str, output: &str) {
    println!("      $ {command}");
    output.lines().for_each(|line| println!("        {line}"));
}
