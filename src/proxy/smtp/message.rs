//! DATA: the header is read and decided upon, then the message passes, and its fate is recorded.

use super::ended::Ended;
use super::host::{Host, Lost};
use super::record::Sending;
use super::sent::{Leaves, Leaving, Sent};
use super::session::Session;
use super::stream::{Body, Head, Incoming};
use super::transaction::{Permitted, Transaction, foreign};
use super::words::{self, About};
use crate::policy::SendRight;
use crate::proxy::clock;
use crate::proxy::outbox::Trouble;
use crate::smtp::header::{Header, Rewrite, Rewritten};
use crate::smtp::reply::Outcome as Meaning;
use crate::smtp::{Answer, Reply, data, writer};
use crate::telemetry::{Counter, Outcome, Seq};
use crate::types::Address;

/// A message that may go: what is written instead of its header, and under which leave.
struct Cleared {
    permitted: Permitted,
    from: Address,
    rewritten: Rewritten,
    leaves: Leaves,
}

impl Session<'_> {
    /// The message: from our 354 to the last answer.
    pub(super) async fn message(&mut self) -> Result<(), Ended> {
        self.client.answer(&Answer::plain(354, "Send the message, then a line with a single dot"));
        self.watch.set_busy(true);
        let mut incoming = Incoming::new(&self.services.settings);
        let answer = match incoming.head(self.client, &mut self.watch).await? {
            Ok(head) => self.submit(&mut incoming, head).await?,
            Err(answer) => answer,
        };
        // Whatever was refused is read to its end: only then does the client hear it.
        incoming.swallow(self.client, &mut self.watch).await?;
        self.forget().await?;
        if answer.is_refusal() {
            self.services.counters.count(Counter::MessagesRefused);
        }
        self.client.answer(&answer);
        Ok(())
    }

    async fn submit(&mut self, incoming: &mut Incoming, head: Head) -> Result<Answer, Ended> {
        let Some(transaction) = self.transaction.take() else { return Ok(words::confused()) };
        let cleared = match self.clear(&transaction, &head)? {
            Ok(cleared) => cleared,
            Err(answer) => return Ok(answer),
        };
        let reservation = match self.reserve(&transaction, &cleared.leaves).await? {
            Ok(reservation) => reservation,
            Err(answer) => return Ok(answer),
        };
        let draft = match self.draft(&transaction, &cleared.leaves, &cleared.rewritten.section, &head.section)
        {
            Ok(draft) => draft,
            Err(trouble) => return Ok(trouble.answer()),
        };
        let sending = Sending {
            effective: &cleared.permitted.effective,
            grants: &cleared.permitted.grants,
            from: &cleared.from,
            recipients: self.machine.recipients(),
            message_id: &cleared.rewritten.message_id,
            size: transaction.size,
        };
        let Ok(intent) = self.recorder.intent(sending).await else {
            return Ok(Answer::new(451, 3, 0, "The service has a problem; please try again later"));
        };
        if let Some(answer) = self.open_data(&cleared).await? {
            self.recorder.outcome(intent, Outcome::Refused, None).await;
            return Ok(answer);
        }
        let leaving = Leaving { draft, details: cleared.leaves.details, reservation, intent };
        self.pass(incoming, head, &cleared.rewritten, leaving).await
    }

    /// The header's From, and whether the right to send is still there.
    fn clear(&mut self, transaction: &Transaction, head: &Head) -> Result<Result<Cleared, Answer>, Ended> {
        let mailbox = &transaction.mailbox;
        let header = match Header::parse(&head.section, transaction.utf8) {
            Ok(header) => header,
            Err(fault) => {
                self.recorder.refused(mailbox.id, "header");
                return Ok(Err(fault.answer()));
            }
        };
        let Some(from) = transaction.identity.outgoing(&header.from().path).cloned() else {
            self.recorder.refused(mailbox.id, "from");
            return Ok(Err(foreign(&header.from().path, Some(mailbox))));
        };
        let permitted = match self.permit()? {
            Ok(permitted) => permitted,
            Err(answer) => return Ok(Err(answer)),
        };
        let person = transaction.identity.person();
        let on_behalf = permitted.effective.send() == SendRight::OnBehalf;
        if on_behalf && person.is_empty() {
            // Without a Sender it would go out *as* the mailbox, which is more than the role gives.
            let sentence = "Your role names you as the sender, and no address of yours is known here";
            return Ok(Err(Answer::new(550, 7, 1, sentence)));
        }
        let id = unique();
        let rewritten = header.rewrite(&Rewrite {
            mailbox: &from,
            display: Some(mailbox.display.as_str()),
            sender: person.first().filter(|_| on_behalf),
            person,
            host: &self.services.settings.host_name,
            id: &id,
            date: &date(),
            message_id: &format!("<{id}@{}>", from.domain()),
        });
        if rewritten.signature_removed {
            tracing::info!(session = %self.peer.session, "a DKIM signature was removed: From is written anew");
        }
        let leaves = Leaves::of(&header, &rewritten, &permitted, &transaction.recipients);
        let Some(leaves) = leaves else { return Ok(Err(words::confused())) };
        Ok(Ok(Cleared { permitted, from, rewritten, leaves }))
    }

    /// DATA upstream; the refusal, if it is one.
    async fn open_data(&mut self, cleared: &Cleared) -> Result<Option<Answer>, Ended> {
        let Some(host) = &mut self.host else { return Ok(Some(words::confused())) };
        writer::data(&cleared.permitted.leave, host.out());
        if host.flush().await == Err(Lost) {
            self.lose_host();
            return Ok(Some(words::confused()));
        }
        match self.reply().await {
            Ok(Some(reply)) if reply.code() == 354 => Ok(None),
            Ok(Some(reply)) => Ok(Some(words::refusal(&reply, About::Message))),
            Ok(None) => Ok(Some(words::confused())),
            Err(ended) => Err(cut(ended)),
        }
    }

    /// Passes header and body, and the end only if all of it was good.
    async fn pass(
        &mut self,
        incoming: &mut Incoming,
        head: Head,
        rewritten: &Rewritten,
        leaving: Leaving,
    ) -> Result<Answer, Ended> {
        let Leaving { mut draft, details, reservation, intent } = leaving;
        let Some(mut host) = self.host.take() else { return Ok(words::confused()) };
        let ways = (&mut host, &mut draft);
        let passed = incoming.body(self.client, &mut self.watch, ways, (&rewritten.section, head)).await;
        let body = match passed {
            Ok(body) => body,
            Err(ended) => {
                host.abort();
                self.recorder.outcome(intent, Outcome::Refused, None).await;
                return Err(ended);
            }
        };
        // Without its end the message is not taken. The end goes up when the record is on disk.
        let recipients = details.recipients.clone();
        let spooled = match body {
            Body::Whole => draft.spooled(details).await.map_err(Trouble::answer),
            Body::Bad(answer) => Err(answer),
        };
        let still = self.watch.effective().map_err(cut);
        let stopped = match (spooled, still) {
            (Ok(pending), Ok(_)) => {
                let sent = Sent { pending, reservation, recipients };
                return self.finish(host, intent, sent).await;
            }
            (Ok(pending), Err(ended)) => {
                pending.refused();
                Err(ended)
            }
            (Err(answer), Ok(_)) => Ok(answer),
            (Err(_), Err(ended)) => Err(ended),
        };
        host.abort();
        self.recorder.outcome(intent, Outcome::Refused, None).await;
        stopped
    }

    /// The final dot, upstream's verdict, the record of it, and only then our answer.
    async fn finish(&mut self, mut host: Host, intent: Seq, sent: Sent) -> Result<Answer, Ended> {
        host.out().extend_from_slice(data::END);
        let (reply, gone) = match host.flush().await {
            Ok(()) => self.verdict(&mut host).await,
            Err(lost) => (Err(lost), false),
        };
        let (outcome, queue_id, answer) = match &reply {
            Ok(reply) => judged(reply),
            Err(Lost) => (Outcome::Unknown, None, words::confused()),
        };
        sent.judged(outcome).await;
        self.recorder.outcome(intent, outcome, queue_id).await;
        match outcome {
            Outcome::Done | Outcome::Refused => {
                host.set_open(false);
                self.host = Some(host);
            }
            Outcome::Unknown => host.abort(),
        }
        if outcome == Outcome::Done {
            self.services.counters.count(Counter::MessagesSubmitted);
        }
        if gone { Err(Ended::ClientGone) } else { Ok(answer) }
    }

    /// Upstream's answer to the message; a client that goes shortens the wait, and ends nothing.
    async fn verdict(&mut self, host: &mut Host) -> (Result<Reply, Lost>, bool) {
        let settings = &self.services.settings;
        let first = tokio::select! {
            biased;
            reply = host.reply_within(settings.accept_seconds) => Some(reply),
            () = self.client.gone() => None,
        };
        match first {
            Some(reply) => (reply, false),
            None => (host.reply_within(settings.orphan_seconds).await, true),
        }
    }
}

fn judged(reply: &Reply) -> (Outcome, Option<String>, Answer) {
    match reply.outcome() {
        Meaning::Done => {
            let answer = Answer::new(250, 0, 0, "The mail host has taken the message");
            (Outcome::Done, reply.queue_id(), answer)
        }
        Meaning::Temporary | Meaning::Permanent => {
            (Outcome::Refused, None, words::refusal(reply, About::Message))
        }
        Meaning::Continue => (Outcome::Unknown, None, words::confused()),
    }
}

/// A right that is withdrawn while the client is sending: it hears no sentence.
pub(super) fn cut(ended: Ended) -> Ended {
    match ended {
        Ended::Revoked => Ended::Cut,
        Ended::Closed
        | Ended::ClientGone
        | Ended::Slow
        | Ended::LoginSlow
        | Ended::Cut
        | Ended::Draining
        | Ended::TooMany
        | Ended::Unparseable => ended,
    }
}

/// Now, as RFC 5322 §3.3 writes it, in UTC: our zone says nothing about the person.
fn date() -> String {
    let now = jiff::Timestamp::from_millisecond(clock::now().0).unwrap_or_default();
    now.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

/// A word that no other message has: time and 64 random bits.
fn unique() -> String {
    let mut random = [0; 8];
    // Without randomness the time alone is left, to the millisecond.
    let _ = aws_lc_rs::rand::fill(&mut random);
    format!("{:x}.{:016x}", clock::now().0, u64::from_be_bytes(random))
}
