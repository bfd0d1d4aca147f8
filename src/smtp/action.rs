//! Which act a command is, in the words of policy.

use super::Command;
use crate::policy::{Action, Answering};

/// The act that must be permitted before anything of the command goes upstream; `None` for
/// what is answered by us, or belongs to a transaction that was permitted (RCPT under MAIL).
///
/// DATA asks again: rights may have changed since MAIL, and the header is known by then,
/// and with it what the message answers.
pub fn action(command: &Command, answering: Answering) -> Option<Action> {
    match command {
        Command::Mail(_) => Some(Action::Submit(Answering::Unread)),
        Command::Data => Some(Action::Submit(answering)),
        Command::Rcpt(_)
        | Command::Hello { .. }
        | Command::Auth { .. }
        | Command::Rset
        | Command::Noop
        | Command::Vrfy
        | Command::Help
        | Command::Quit
        | Command::StartTls => None,
    }
}
