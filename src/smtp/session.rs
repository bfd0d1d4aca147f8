//! The order of commands: what each means where the session stands (RFC 5321 §4.1.4, RFC 4954).
//!
//! Knows no socket and no policy. Commands may come pipelined (RFC 2920): MAIL and RCPT are
//! taken while their answers are still due upstream, and the caller reports those answers
//! with [`Session::mail_refused`] and [`Session::recipient_answered`] before it asks what
//! DATA means.

use super::command::{Command, Mail, Rcpt};
use super::{Answer, Bad};
use crate::sasl::Mechanism;
use crate::types::Secret;

/// `[submission.limits]`: bounds of one session.
#[derive(Clone, Copy, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest message in octets, said as SIZE. Default 50 MiB: what big hosts take.
    pub message_octets: u64,
    /// Most recipients of a message. Default 100 (RFC 5321 §4.5.3.1.8 asks for no fewer).
    pub recipients: usize,
    /// Errors before the session ends. Default 20, as Postfix.
    pub errors: u32,
    /// The same before login. Default 3: a browser, or another protocol.
    pub errors_before_login: u32,
    /// Commands before login. Default 10: EHLO, and AUTH a few times.
    pub commands_before_login: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_octets: 50 << 20,
            recipients: 100,
            errors: 20,
            errors_before_login: 3,
            commands_before_login: 10,
        }
    }
}

/// What the caller does about a command.
#[derive(Debug)]
pub enum Next {
    Answer(Answer),
    /// Forget the transaction, then answer with the list of what is offered.
    Hello {
        extended: bool,
    },
    Authenticate {
        mechanism: Mechanism,
        initial: Option<Secret>,
    },
    Mail(Mail),
    Rcpt(Rcpt),
    Data,
    /// Forget the transaction, then answer.
    Reset(Answer),
    /// Answer, then close.
    Close(Answer),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// No EHLO yet.
    Fresh,
    Ready,
    /// MAIL was taken: recipients asked for, those that upstream took, and whether MAIL
    /// announced SMTPUTF8.
    Mail {
        asked: usize,
        taken: usize,
        utf8: bool,
    },
    /// Upstream was lost in the middle of it: the commands that follow blindly are told so.
    Lost,
}

/// Where a session stands.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    /// Most recipients of the message that is under way.
    most_recipients: usize,
    phase: Phase,
    logged_in: bool,
    commands: u32,
    errors: u32,
}

impl Session {
    pub fn new(limits: Limits) -> Self {
        Self {
            most_recipients: limits.recipients,
            limits,
            phase: Phase::Fresh,
            logged_in: false,
            commands: 0,
            errors: 0,
        }
    }

    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Recipients that upstream took.
    pub fn recipients(&self) -> usize {
        match self.phase {
            Phase::Fresh | Phase::Ready | Phase::Lost => 0,
            Phase::Mail { taken, .. } => taken,
        }
    }

    /// What a command means now.
    pub fn command(&mut self, command: Command) -> Next {
        self.commands += 1;
        if !self.logged_in && self.commands > self.limits.commands_before_login {
            return Next::Close(Answer::new(421, 7, 0, "Too many commands before login"));
        }
        match command {
            Command::Hello { extended } => {
                self.phase = Phase::Ready;
                Next::Hello { extended }
            }
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
            Command::Mail(mail) => self.mail(mail),
            Command::Rcpt(rcpt) => self.rcpt(rcpt),
            Command::Data => self.data(),
            Command::Rset => {
                self.transaction_over();
                Next::Reset(Answer::new(250, 0, 0, "Forgotten"))
            }
            Command::Noop => Next::Answer(Answer::new(250, 0, 0, "Nothing done")),
            Command::Vrfy => Next::Answer(Answer::new(252, 0, 0, "Send a message and see")),
            Command::Help => Next::Answer(Answer::new(214, 0, 0, "See RFC 5321 and RFC 6409")),
            Command::StartTls => self.error(Answer::new(502, 5, 1, "The connection is encrypted already")),
            Command::Quit => Next::Close(Answer::new(221, 0, 0, "Goodbye")),
        }
    }

    /// A line that is no command.
    pub fn bad(&mut self, bad: Bad) -> Next {
        if bad.hang_up { Next::Close(bad.answer) } else { self.error(bad.answer) }
    }

    /// Counts an error of the client's; the last words if it was one too many.
    pub fn count_error(&mut self) -> Option<Answer> {
        self.errors += 1;
        let most = if self.logged_in { self.limits.errors } else { self.limits.errors_before_login };
        (self.errors >= most).then(|| Answer::new(421, 7, 0, "Too many errors"))
    }

    fn error(&mut self, answer: Answer) -> Next {
        self.count_error().map_or(Next::Answer(answer), Next::Close)
    }

    pub fn logged_in(&mut self) {
        self.logged_in = true;
        self.errors = 0;
    }

    /// The sender of the message under way allows fewer recipients than the session.
    pub fn limit_recipients(&mut self, most: usize) {
        self.most_recipients = most.min(self.limits.recipients);
    }

    /// Upstream, or policy, refused MAIL: the RCPTs that follow find no transaction.
    pub fn mail_refused(&mut self) {
        self.transaction_over();
    }

    pub fn recipient_answered(&mut self, accepted: bool) {
        if let Phase::Mail { taken, .. } = &mut self.phase {
            *taken += usize::from(accepted);
        }
    }

    /// The message was sent or refused.
    pub fn transaction_over(&mut self) {
        if self.phase != Phase::Fresh {
            self.phase = Phase::Ready;
        }
    }

    /// Upstream was lost, and the transaction with it. What the client sends before it begins
    /// again is no mistake of its own: the answer is a temporary one.
    pub fn transaction_lost(&mut self) {
        if let Phase::Mail { .. } = self.phase {
            self.phase = Phase::Lost;
        }
    }

    fn auth(&mut self, mechanism: Mechanism, initial: Option<Secret>) -> Next {
        match self.phase {
            _ if self.logged_in => self.error(Answer::new(503, 5, 1, "You are logged in already")),
            Phase::Fresh => self.error(Answer::new(503, 5, 1, "Say EHLO first")),
            Phase::Ready | Phase::Mail { .. } | Phase::Lost => Next::Authenticate { mechanism, initial },
        }
    }

    fn mail(&mut self, mail: Mail) -> Next {
        if !self.logged_in {
            return self.error(Answer::new(530, 7, 0, "Please log in first"));
        }
        if let Phase::Mail { .. } = self.phase {
            return self.error(Answer::new(503, 5, 1, "A message is under way already"));
        }
        if mail.size.is_some_and(|size| size > self.limits.message_octets) {
            return Next::Answer(too_large(self.limits.message_octets));
        }
        self.most_recipients = self.limits.recipients;
        self.phase = Phase::Mail { asked: 0, taken: 0, utf8: mail.smtputf8 };
        Next::Mail(mail)
    }

    fn rcpt(&mut self, rcpt: Rcpt) -> Next {
        let most = self.most_recipients;
        match &mut self.phase {
            Phase::Fresh | Phase::Ready => {
                self.error(Answer::new(503, 5, 1, "A recipient needs a sender first"))
            }
            Phase::Lost => Next::Answer(lost()),
            Phase::Mail { asked, .. } if *asked >= most => Next::Answer(Answer::new(
                452,
                5,
                3,
                format!("A message has at most {most} recipients; send it again to the others"),
            )),
            Phase::Mail { utf8: false, .. } if !rcpt.path.is_ascii() => {
                self.error(Answer::new(553, 6, 7, "An address beyond ASCII needs SMTPUTF8"))
            }
            Phase::Mail { asked, .. } => {
                *asked += 1;
                Next::Rcpt(rcpt)
            }
        }
    }

    fn data(&mut self) -> Next {
        match self.phase {
            Phase::Fresh | Phase::Ready => {
                self.error(Answer::new(503, 5, 1, "A message needs sender and recipient first"))
            }
            Phase::Lost => Next::Answer(lost()),
            Phase::Mail { taken: 0, .. } => Next::Answer(Answer::new(554, 5, 1, "No recipient was accepted")),
            Phase::Mail { .. } => Next::Data,
        }
    }
}

/// The message is larger than may be.
pub fn too_large(most: u64) -> Answer {
    let most = match most {
        0..1_048_576 => format!("{most} octets"),
        _ => format!("{} MiB", most >> 20),
    };
    Answer::new(552, 3, 4, format!("A message has at most {most} here"))
}

/// Upstream was lost, or makes no sense.
pub fn lost() -> Answer {
    Answer::new(
        451,
        4,
        2,
        "The mail host of this mailbox does not answer as it should; please try again later",
    )
}

#[cfg(test)]
mod tests {
    use super::{Limits, Next, Session};
    use crate::smtp::command;

    fn play(session: &mut Session, line: &str) -> String {
        let next = match command::parse(line.as_bytes()) {
            Ok(command) => session.command(command),
            Err(bad) => session.bad(bad),
        };
        match next {
            Next::Answer(answer) => answer.code.to_string(),
            Next::Close(answer) => format!("{} close", answer.code),
            Next::Reset(_) => "reset".into(),
            Next::Hello { .. } => "hello".into(),
            Next::Authenticate { .. } => "auth".into(),
            Next::Mail(_) => "mail".into(),
            Next::Rcpt(_) => "rcpt".into(),
            Next::Data => "data".into(),
        }
    }

    #[test]
    fn order_of_commands() {
        let mut session = Session::new(Limits { errors: 100, errors_before_login: 100, ..Limits::default() });
        for (line, wanted) in [
            ("AUTH PLAIN", "503"),
            ("MAIL FROM:<a@b.example>", "530"),
            ("RCPT TO:<a@b.example>", "503"),
            ("DATA", "503"),
            ("EHLO x", "hello"),
            ("NOOP", "250"),
            ("AUTH PLAIN", "auth"),
        ] {
            assert_eq!(play(&mut session, line), wanted, "{line}");
        }
        session.logged_in();
        for (line, wanted) in [
            ("AUTH PLAIN", "503"),
            ("STARTTLS", "502"),
            ("RCPT TO:<a@b.example>", "503"),
            ("MAIL FROM:<a@b.example> SIZE=99999999999", "552"),
            ("MAIL FROM:<a@b.example>", "mail"),
            ("MAIL FROM:<a@b.example>", "503"),
            ("RCPT TO:<b\u{fc}ro@b.example>", "553"),
            ("RCPT TO:<a@b.example>", "rcpt"),
            ("DATA", "554"),
            ("VRFY a", "252"),
            ("HELP", "214"),
        ] {
            assert_eq!(play(&mut session, line), wanted, "{line}");
        }
        session.recipient_answered(true);
        assert_eq!(play(&mut session, "DATA"), "data");
        session.transaction_over();
        for (line, wanted) in [
            ("DATA", "503"),
            ("MAIL FROM:<a@b.example>", "mail"),
            ("RSET", "reset"),
            ("RCPT TO:<a@b.example>", "503"),
            ("MAIL FROM:<a@b.example>", "mail"),
            ("EHLO x", "hello"),
            ("RCPT TO:<a@b.example>", "503"),
            ("QUIT", "221 close"),
        ] {
            assert_eq!(play(&mut session, line), wanted, "{line}");
        }
    }

    #[test]
    fn a_lost_transaction_is_temporary_until_the_next() {
        let mut session = Session::new(Limits { errors: 1, ..Limits::default() });
        session.logged_in();
        session.transaction_lost();
        assert_eq!(play(&mut session, "EHLO x"), "hello");
        session.transaction_lost();
        assert_eq!(play(&mut session, "MAIL FROM:<a@b.example>"), "mail");
        assert_eq!(play(&mut session, "RCPT TO:<a@b.example>"), "rcpt");
        session.transaction_lost();
        for (line, wanted) in [
            ("RCPT TO:<b@b.example>", "451"),
            ("DATA", "451"),
            ("MAIL FROM:<a@b.example>", "mail"),
            ("DATA", "554"),
        ] {
            assert_eq!(play(&mut session, line), wanted, "{line}");
        }
        session.transaction_lost();
        assert_eq!(play(&mut session, "RSET"), "reset");
        assert_eq!(play(&mut session, "DATA"), "421 close", "an error, the one that is allowed");
    }

    #[test]
    fn limits() {
        let mut session = Session::new(Limits::default());
        assert_eq!(["FOO", "FOO", "FOO"].map(|line| play(&mut session, line)), ["500", "500", "421 close"]);
        let mut session = Session::new(Limits::default());
        (0..10).for_each(|_| assert_eq!(play(&mut session, "NOOP"), "250"));
        assert_eq!(play(&mut session, "NOOP"), "421 close");
        let mut session = Session::new(Limits::default());
        session.logged_in();
        play(&mut session, "EHLO x");
        play(&mut session, "MAIL FROM:<a@b.example>");
        (0..100).for_each(|_| assert_eq!(play(&mut session, "RCPT TO:<a@b.example>"), "rcpt"));
        assert_eq!(play(&mut session, "RCPT TO:<a@b.example>"), "452");
        (0..19).for_each(|_| assert_eq!(play(&mut session, "FOO"), "500"));
        assert_eq!(play(&mut session, "FOO"), "421 close");
        assert_eq!(play(&mut Session::new(Limits::default()), "GET / HTTP/1.1"), "500 close");
    }
}
