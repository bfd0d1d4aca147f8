//! How much one user may send as one mailbox: recipients of a message, messages in an hour
//! and in a day.
//!
//! Counted in the store before the message goes, so that no restart forgets it, and taken
//! back where it did not go. What a mailbox does not limit is not counted.

use super::senders::Origin;
use super::session::Session;
use crate::proxy::clock;
use crate::smtp::Answer;
use crate::store::{Exceeded, Mailbox};

impl Session<'_> {
    pub(super) fn most_recipients(&self, origin: &Origin) -> usize {
        match origin {
            Origin::Mailbox(mailbox) => mailbox.options.recipients as usize,
            // The session's own limit.
            Origin::Own(_) => usize::MAX,
        }
    }

    /// Whether a message to so many may still be sent, as far as is known now.
    pub(super) fn within(&self, origin: &Origin, recipients: usize) -> Result<(), Answer> {
        let Origin::Mailbox(mailbox) = origin else { return Ok(()) };
        let most = self.most_recipients(origin);
        if recipients > most {
            self.recorder.refused(mailbox.id, "recipients");
            let address = &mailbox.address;
            let sentence = format!("A message from {address} has at most {most} recipients");
            return Err(Answer::new(550, 5, 3, sentence));
        }
        let sent = self.services.store.snapshot().sent(self.user, mailbox.id);
        match sent.exceeded(clock::now(), &mailbox.options) {
            Some(exceeded) => Err(self.too_many(mailbox, exceeded)),
            None => Ok(()),
        }
    }

    /// Counts a message that is about to go.
    pub(super) async fn count(&mut self, origin: &Origin) -> Result<(), Answer> {
        let Origin::Mailbox(mailbox) = origin else { return Ok(()) };
        if !is_counted(mailbox) {
            return Ok(());
        }
        match self.services.store.count_sent(self.user, mailbox.id, clock::now()).await {
            Ok(None) => {
                self.counted = Some(mailbox.id);
                Ok(())
            }
            Ok(Some(exceeded)) => Err(self.too_many(mailbox, exceeded)),
            Err(error) => {
                tracing::error!(mailbox = %mailbox.id, "what was sent cannot be counted: {error}");
                Err(Answer::new(451, 3, 0, "The service has a problem; please try again later"))
            }
        }
    }

    /// It did not go. Where nobody can tell, it stays counted.
    pub(super) fn uncount(&mut self) {
        let Some(mailbox) = self.counted.take() else { return };
        let (store, user) = (self.services.store.clone(), self.user);
        tokio::spawn(async move {
            // If it fails, one message too many is counted until the hour, or the day, is over.
            if let Err(error) = store.uncount_sent(user, mailbox).await {
                tracing::warn!(%mailbox, "a message that was not sent stays counted: {error}");
            }
        });
    }

    fn too_many(&self, mailbox: &Mailbox, exceeded: Exceeded) -> Answer {
        self.recorder.refused(mailbox.id, "too many messages");
        let (most, time) = match exceeded {
            Exceeded::Hour(most) => (most, "hour"),
            Exceeded::Day(most) => (most, "day"),
        };
        let address = &mailbox.address;
        let sentence = format!(
            "You have sent {most} messages as {address} within the {time}, the most allowed; please try later"
        );
        Answer::new(451, 7, 28, sentence)
    }
}

fn is_counted(mailbox: &Mailbox) -> bool {
    mailbox.options.messages_per_hour > 0 || mailbox.options.messages_per_day > 0
}
