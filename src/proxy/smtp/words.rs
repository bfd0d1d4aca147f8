//! Upstream's refusals in our words: the code stays, the text does not.
//!
//! What a host says is written for its own users and names accounts that ours never see.

use crate::smtp::reply::Outcome;
use crate::smtp::{Answer, Enhanced, Path, Reply};

/// What upstream refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum About {
    Sender,
    Recipient,
    Message,
}

/// The answer to a client whose command upstream refused.
///
/// Codes that would mislead a client become others of their class: 421 would announce that
/// *we* close, 53x ask for a password that is not the person's.
pub(super) fn refusal(reply: &Reply, about: About) -> Answer {
    let temporary = match reply.outcome() {
        Outcome::Temporary => true,
        Outcome::Permanent => false,
        // Neither yes nor no where one of them is due.
        Outcome::Done | Outcome::Continue => return confused(),
    };
    let sentence = sentence(reply, about, temporary);
    match reply.code() {
        421 | 454 => Answer::new(451, 3, 0, sentence),
        530..=539 => Answer::new(550, 3, 0, sentence),
        _ => Answer::relayed(reply, sentence),
    }
}

/// A refusal where the message had to go by another host than the client's commands did.
/// `recipient`: whom it is about; `None` is the sender.
pub(super) fn replayed(reply: &Reply, recipient: Option<&Path>) -> Answer {
    let Some(recipient) = recipient else { return refusal(reply, About::Sender) };
    let mut answer = refusal(reply, About::Recipient);
    answer.sentence = format!("{} ({recipient}), so it was sent to nobody", answer.sentence).into();
    answer
}

pub(super) use crate::smtp::session::lost as confused;

fn sentence(reply: &Reply, about: About, temporary: bool) -> &'static str {
    let known = reply.enhanced().and_then(|Enhanced(_, subject, detail)| match (subject, detail) {
        (1, 1) => Some("There is no such recipient"),
        (1, 2) => Some("There is no such mail domain"),
        (2, 1) => Some("The recipient's account is switched off"),
        (2, 2) => Some("The recipient's mailbox is full"),
        (2, 3) | (3, 4) => Some("The message is too large for the mail host"),
        (6, 3) | (6, 7) => Some("The mail host cannot send messages with these characters"),
        _ => None,
    });
    if let Some(known) = known.filter(|_| about != About::Sender) {
        return known;
    }
    match (about, temporary) {
        (About::Sender, true) => {
            "The mail host cannot take messages from this mailbox now; please try again later"
        }
        (About::Sender, false) => "The mail host refuses messages from this mailbox",
        (About::Recipient, true) => "The mail host cannot take this recipient now; please try again later",
        (About::Recipient, false) => "The mail host refuses this recipient",
        (About::Message, true) => "The mail host cannot take the message now; please try again later",
        (About::Message, false) => "The mail host refuses the message",
    }
}

#[cfg(test)]
mod tests {
    use super::{About, refusal};
    use crate::smtp::ReplyReader;

    fn answer(text: &str, about: About) -> String {
        let reply = ReplyReader::new().push(text.as_bytes()).unwrap().1.unwrap();
        let mut out = Vec::new();
        refusal(&reply, about).write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_code_stays_and_the_text_does_not() {
        for (text, about, wanted) in [
            ("550 5.1.1 <x@y> secret\r\n", About::Recipient, "550 5.1.1 There is no such recipient\r\n"),
            ("552 5.2.2 full\r\n", About::Recipient, "552 5.2.2 The recipient's mailbox is full\r\n"),
            ("550 no\r\n", About::Recipient, "550 5.0.0 The mail host refuses this recipient\r\n"),
            ("554 5.7.1 spam\r\n", About::Message, "554 5.7.1 The mail host refuses the message\r\n"),
            (
                "450 4.2.0 greylisted\r\n",
                About::Recipient,
                "450 4.2.0 The mail host cannot take this recipient now; please try again later\r\n",
            ),
            (
                "421 4.3.2 bye\r\n",
                About::Sender,
                "451 4.3.0 The mail host cannot take messages from this mailbox now; please try again later\r\n",
            ),
            (
                "530 5.7.0 AUTH\r\n",
                About::Sender,
                "550 5.3.0 The mail host refuses messages from this mailbox\r\n",
            ),
        ] {
            assert_eq!(answer(text, about), wanted, "{text}");
        }
        assert!(answer("354 go\r\n", About::Sender).starts_with("451 "));
    }
}
