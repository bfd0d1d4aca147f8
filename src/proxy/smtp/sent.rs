//! What a message leaves behind when it goes out: its copy, the mark on its parent, and the
//! memory of who answered.

use std::borrow::Cow;
use std::sync::Arc;

use super::ended::Ended;
use super::session::Session;
use super::transaction::Permitted;
use crate::policy::{Among, Effective, FolderClass, Mark, Receipt, Rights};
use crate::proxy::outbox::{
    Answered, Details, Draft, Look, Pending, Reservation, Standing, Trouble, Undecided,
};
use crate::smtp::Answer;
use crate::smtp::command::Rcpt;
use crate::smtp::header::{Attached, Header, Rewritten};
use crate::store::{Answers, Mailbox, ParentMark, SentCopy};
use crate::telemetry::{Outcome, Seq};
use crate::types::MessageId;

/// Recipients named to whoever answers second: a line's worth.
const NAMED: usize = 5;

/// What the header says of it, read once.
pub(super) struct Leaves {
    pub(super) details: Details,
    parent: Option<MessageId>,
    /// Looks for an attached message, where that would make a forward of it.
    pub(super) attached: Option<Attached>,
    look: Look,
    /// Bcc of the copy: recipients whom the header does not name.
    hidden: Vec<String>,
}

/// A message on its way, with what goes along.
pub(super) struct Leaving {
    pub(super) draft: Draft,
    pub(super) details: Details,
    pub(super) reservation: Option<Reservation>,
    pub(super) intent: Seq,
    /// The rights that it was permitted under.
    pub(super) effective: Arc<Effective>,
}

impl Leaving {
    /// The body has shown that it forwards this one, whatever the header made of it: no answer,
    /// in whose place others would have to wait.
    pub(super) fn forwards(&mut self, parent: &MessageId) {
        self.reservation = None;
        let (parent, mark, marking) = (parent.clone(), Mark::Forwarded, ParentMark::Wanted);
        self.details.answers = Some(Answers { parent, mark, marking });
    }
}

/// A message whose end goes up.
pub(super) struct Sent {
    pending: Pending,
    reservation: Option<Reservation>,
    recipients: Vec<String>,
}

impl Leaves {
    pub(super) fn of(
        header: &Header<'_>,
        rewritten: &Rewritten,
        permitted: &Permitted,
        (recipients, shared): (&[Rcpt], bool),
    ) -> Option<Self> {
        // A person's own mail leaves nothing to be done here.
        let parent = header.parent().filter(|_| shared);
        let answers = parent.as_ref().map(|parent| {
            let mark = if parent.forwarded { Mark::Forwarded } else { Mark::Answered };
            Answers { parent: parent.id.clone(), mark, marking: ParentMark::Wanted }
        });
        let (shown, hidden): (Vec<_>, Vec<_>) = recipients
            .iter()
            .map(|rcpt| rcpt.path.as_str().to_owned())
            .partition(|recipient| header.shows(recipient));
        let receipt = Receipt::of(&permitted.step, &permitted.effective)?;
        let message_id = MessageId::parse(&rewritten.message_id);
        let details = Details { receipt, message_id, answers, recipients: shown };
        let look = Look { message_id: header.message_id(), date: header.date() };
        let parent = parent.filter(|parent| !parent.forwarded).map(|parent| parent.id);
        let attached = header.may_attach().filter(|_| shared);
        Some(Self { details, parent, attached, look, hidden })
    }
}

impl Session<'_> {
    /// The place in which the copy is kept, with the header that it gets.
    pub(super) fn draft(
        &self,
        mailbox: Option<&Mailbox>,
        leaves: &Leaves,
        (received, section): (&[u8], &[u8]),
    ) -> Result<Draft, Trouble> {
        let Some(Mailbox { options, .. }) = mailbox else {
            return self.services.outbox.draft(self.user, SentCopy::Client, (received, section));
        };
        let filed = match options.bcc_in_sent && options.sent_copy == SentCopy::File {
            true => with_bcc(section, &leaves.hidden),
            false => Cow::Borrowed(section),
        };
        self.services.outbox.draft(self.user, options.sent_copy, (received, &filed))
    }

    /// Leave to answer, where a second answer would be refused; the sentence if it is.
    pub(super) async fn reserve(
        &mut self,
        mailbox: Option<&Mailbox>,
        leaves: &Leaves,
    ) -> Result<Result<Option<Reservation>, Answer>, Ended> {
        let Some(mailbox) = mailbox else { return Ok(Ok(None)) };
        let minutes = mailbox.options.collision_minutes;
        let Some(parent) = leaves.parent.as_ref().filter(|_| minutes > 0) else { return Ok(Ok(None)) };
        let outbox = Arc::clone(&self.services.outbox);
        let Some(effective) = self.watch.effective()? else { return Err(Ended::Revoked) };
        let looking = Box::pin(outbox.parent(mailbox, &effective, parent, Among::All));
        // The look-up has a deadline of its own, a shorter one.
        match self.watch.unless_lost(60, Ended::Slow, looking).await? {
            Ok(Some(_)) => {}
            Ok(None) => return Ok(Ok(None)),
            Err(Undecided) => {
                let sentence = "It cannot be told now whether somebody else has answered; please try again";
                return Ok(Err(Answer::new(451, 3, 0, sentence)));
            }
        }
        let reserved = outbox.reserve(mailbox.id, parent, self.user, &leaves.look, minutes);
        Ok(reserved.map(Some).map_err(|answered| {
            self.recorder.refused(mailbox.id, "answered already");
            self.collision(mailbox, &answered)
        }))
    }

    /// Who answered, and when; to whom, for those who may read it in Sent.
    fn collision(&self, mailbox: &Mailbox, answered: &Answered) -> Answer {
        let snapshot = self.services.store.snapshot();
        let who =
            snapshot.user(answered.user).map_or("Somebody else".to_owned(), |user| user.login.to_string());
        let sent = || mailbox.pins.iter().filter(|pin| pin.class == FolderClass::Sent);
        let reads_sent = self.watch.held().is_some_and(|effective| {
            sent().any(|pin| effective.rights_on(&mailbox.place_of(&pin.folder)).has(Rights::READ))
        });
        let at = jiff::Timestamp::from_millisecond(answered.at.0).unwrap_or_default();
        let at = at.strftime("%d %b %Y at %H:%M UTC");
        let mut sentence = match answered.standing {
            Standing::UnderWay => format!("{who} is answering this message just now"),
            Standing::Sent => format!("{who} answered this message on {at}"),
            Standing::Unknown => {
                format!("{who} answered this message on {at}, and it is not known yet whether that went out")
            }
        };
        if reads_sent && !answered.recipients.is_empty() {
            let named: Vec<_> = answered.recipients.iter().take(NAMED).map(String::as_str).collect();
            let more = answered.recipients.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            sentence.push_str(&format!(", to {}{more}", named.join(", ")));
        }
        Answer::new(550, 7, 1, format!("{sentence}; write and send anew if you want to answer too"))
    }
}

impl Sent {
    pub(super) fn new(
        pending: Pending,
        mut reservation: Option<Reservation>,
        recipients: Vec<String>,
    ) -> Self {
        if let Some(reservation) = &mut reservation {
            reservation.goes();
        }
        Self { pending, reservation, recipients }
    }

    /// Upstream has spoken, or has not.
    pub(super) async fn judged(self, outcome: Outcome) {
        match outcome {
            Outcome::Done => {
                if let Some(reservation) = self.reservation {
                    reservation.sent(&self.recipients);
                }
                self.pending.accepted().await;
            }
            Outcome::Refused => {
                if let Some(reservation) = self.reservation {
                    reservation.free();
                }
                self.pending.refused();
            }
            // Nobody knows: it stays in the outbox, for an admin to see, and counts as an answer.
            Outcome::Unknown => {}
        }
    }
}

/// The section with a Bcc field before its empty line.
fn with_bcc<'a>(section: &'a [u8], hidden: &[String]) -> Cow<'a, [u8]> {
    let Some(fields) = section.strip_suffix(b"\r\n").filter(|_| !hidden.is_empty()) else {
        return Cow::Borrowed(section);
    };
    let bcc = format!("Bcc: {}\r\n\r\n", hidden.join(",\r\n "));
    Cow::Owned([fields, bcc.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::with_bcc;

    #[test]
    fn a_copy_with_its_bcc() {
        let hidden = ["a@b.example".to_owned(), "c@d.example".to_owned()];
        let with = with_bcc(b"Subject: x\r\n\r\n", &hidden);
        assert_eq!(&*with, b"Subject: x\r\nBcc: a@b.example,\r\n c@d.example\r\n\r\n");
        assert_eq!(&*with_bcc(b"Subject: x\r\n\r\n", &[]), b"Subject: x\r\n\r\n");
    }
}
