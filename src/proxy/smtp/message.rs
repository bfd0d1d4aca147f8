//! DATA: the header is read and decided upon, then the message passes, and its fate is recorded.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ended::Ended;
use super::host::{Host, Lost};
use super::parents::Found;
use super::record::Sending;
use super::senders::{Bound, Origin};
use super::sent::{Leaves, Leaving, Sent};
use super::session::Session;
use super::stream::{Body, Head, Incoming};
use super::transaction::{Permitted, Transaction};
use super::words::{self, About};
use crate::policy::{Among, Answering, Effective};
use crate::proxy::clock;
use crate::proxy::outbox::Trouble;
use crate::smtp::header::{Header, Rewrite, Rewritten, Style};
use crate::smtp::reply::Outcome as Meaning;
use crate::smtp::writer::Release;
use crate::smtp::{Answer, Reply, data, writer};
use crate::store::{Mailbox, ReplyFrom};
use crate::telemetry::{Counter, Outcome, Seq};
use crate::types::MailboxId;

/// A message that may go: as whom, under which leave, and what stands instead of its header.
struct Cleared {
    to: Bound,
    permitted: Permitted,
    release: Release,
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
        let cleared = match self.clear(&transaction, &head).await? {
            Ok(cleared) => cleared,
            Err(answer) => return Ok(answer),
        };
        let shared = cleared.to.origin.mailbox();
        let reservation = match self.reserve(shared, &cleared.leaves).await? {
            Ok(reservation) => reservation,
            Err(answer) => return Ok(answer),
        };
        let sections = (head.section.as_slice(), cleared.rewritten.section.as_slice());
        let draft = match self.draft(shared, &cleared.leaves, sections) {
            Ok(draft) => draft,
            Err(trouble) => return Ok(trouble.answer()),
        };
        if !goes_by(&transaction, &cleared.to)
            && let Err(answer) = self.replay(&transaction, cleared.release.leave(), &cleared.to).await?
        {
            return Ok(answer);
        }
        if let Err(answer) = self.count(&cleared.to.origin).await {
            return Ok(answer);
        }
        let sending = Sending {
            effective: &cleared.permitted.effective,
            from: &cleared.to.address,
            on_behalf: cleared.release.on_behalf(),
            recipients: transaction.taken.len(),
            message_id: &cleared.rewritten.message_id,
            size: transaction.mail.size,
            signature_removed: cleared.rewritten.signature_removed,
        };
        let Ok(intent) = self.recorder.intent(sending).await else {
            self.uncount();
            return Ok(Answer::new(451, 3, 0, "The service has a problem; please try again later"));
        };
        let Cleared { permitted, release, rewritten, leaves, .. } = cleared;
        let effective = permitted.effective;
        incoming.look_for(leaves.attached);
        let leaving = Leaving { draft, details: leaves.details, reservation, intent, effective };
        self.hand_in(incoming, (head, &rewritten), &release, leaving).await
    }

    /// How it came out: on record, and counted no more if it did not go.
    async fn came_out(&mut self, intent: Seq, outcome: Outcome, queue_id: Option<String>) {
        if outcome == Outcome::Refused {
            self.uncount();
        }
        self.counted = None;
        self.recorder.outcome(intent, outcome, queue_id).await;
    }

    /// A refusal of what stands in the message, counted for the mailbox that MAIL named.
    pub(super) fn refuse(&self, why: &'static str) {
        if let Some(held) = self.watch.held() {
            self.recorder.refused(held.mailbox, why);
        }
    }

    /// DATA upstream, and the message.
    async fn hand_in(
        &mut self,
        incoming: &mut Incoming,
        (head, rewritten): (Head, &Rewritten),
        release: &Release,
        leaving: Leaving,
    ) -> Result<Answer, Ended> {
        if let Some(stopped) = self.open_data(release).await.transpose() {
            self.came_out(leaving.intent, Outcome::Refused, None).await;
            return stopped;
        }
        incoming.limit(self.host.as_ref().and_then(Host::most_octets));
        self.pass(incoming, head, rewritten, leaving).await
    }

    /// As whom the header says it goes, whether it may, and the header that goes out.
    async fn clear(
        &mut self,
        transaction: &Transaction,
        head: &Head,
    ) -> Result<Result<Cleared, Answer>, Ended> {
        let header = match Header::parse(&head.section, transaction.mail.smtputf8) {
            Ok(header) => header,
            Err(fault) => {
                self.refuse("header");
                return Ok(Err(fault.answer()));
            }
        };
        if transaction.mail.path.is_none() && !header.is_disposition_notification() {
            self.refuse("sender");
            let sentence = "A message without a sender can only say that another was read";
            return Ok(Err(Answer::new(550, 7, 1, sentence)));
        }
        let to = match self.bind(&header.from().path) {
            Ok(to) => to,
            Err(answer) => {
                self.refuse("from");
                return Ok(Err(answer));
            }
        };
        let to = match self.diverted(to, &header).await? {
            Ok(to) => to,
            Err(answer) => {
                self.refuse("reply from");
                return Ok(Err(answer));
            }
        };
        let answering = self.answering(&to.origin, &header).await?;
        let permitted = match self.may(&to.origin, answering)? {
            Ok(permitted) => permitted,
            Err(answer) => return Ok(Err(answer)),
        };
        let Some(release) = Release::of(&permitted.step) else { return Ok(Err(words::confused())) };
        if let Err(answer) = self.within(&to.origin, transaction.taken.len()) {
            return Ok(Err(answer));
        }
        let rewritten = match self.rewrite(&header, &to, release.on_behalf()) {
            Ok(rewritten) => rewritten,
            Err(answer) => return Ok(Err(answer)),
        };
        let shared = to.origin.mailbox().is_some();
        let leaves = Leaves::of(&header, &rewritten, &permitted, (&transaction.taken, shared));
        let Some(leaves) = leaves else { return Ok(Err(words::confused())) };
        Ok(Ok(Cleared { to, permitted, release, rewritten, leaves }))
    }

    /// Whether it answers one of the mailbox's messages, where that matters.
    async fn answering(&mut self, origin: &Origin, header: &Header<'_>) -> Result<Answering, Ended> {
        let Origin::Mailbox(mailbox) = origin else { return Ok(Answering::New) };
        if !mailbox.options.reply_only {
            return Ok(Answering::New);
        }
        // What the sender may have put there is not what somebody wrote to the mailbox.
        Ok(match self.parent(mailbox, header, Among::FromOthers).await? {
            Found::Parent(_) => Answering::Known,
            Found::Nowhere => Answering::New,
            Found::Undecided => Answering::Unsure,
        })
    }

    async fn parent(&mut self, mailbox: &Mailbox, header: &Header<'_>, among: Among) -> Result<Found, Ended> {
        /// The look-up has a shorter end of its own; this is for the case that it keeps none.
        const SECONDS: u64 = 10;
        let ids = header.answered();
        let finding = self.services.parents.find(self.user, mailbox.id, &ids, among);
        match self.watch.unless_lost(SECONDS, Ended::Slow, finding).await {
            Err(Ended::Slow) => Ok(Found::Undecided),
            other => other.map_err(cut),
        }
    }

    /// The mailbox as whom it goes out after all: a message from the person's own address
    /// that answers one of a mailbox's, where the mailbox's `reply_from` has something to say.
    async fn diverted(&mut self, to: Bound, header: &Header<'_>) -> Result<Result<Bound, Answer>, Ended> {
        let Origin::Own(_) = &to.origin else { return Ok(Ok(to)) };
        if header.answered().is_empty() {
            return Ok(Ok(to));
        }
        for mailbox in self.minded() {
            match self.parent(&mailbox, header, Among::All).await? {
                Found::Nowhere => {}
                Found::Undecided => {
                    let sentence = "Which message this answers could not be found out; please try again";
                    return Ok(Err(Answer::new(451, 3, 0, sentence)));
                }
                Found::Parent(_) => return Ok(answered_as(&mailbox, to)),
            }
        }
        Ok(Ok(to))
    }

    /// The mailboxes of the user's that mind from whom their messages are answered.
    fn minded(&self) -> Vec<Arc<Mailbox>> {
        let snapshot = self.services.store.snapshot();
        let granted: BTreeSet<_> = snapshot.grants_of(self.user).map(|grant| grant.mailbox).collect();
        let held = |id: &&MailboxId| snapshot.effective(self.user, **id, clock::now()).is_some();
        let mailboxes = granted.iter().filter(held).filter_map(|id| snapshot.mailbox(*id));
        mailboxes.filter(|mailbox| mailbox.options.reply_from != ReplyFrom::Leave).cloned().collect()
    }

    fn rewrite(&self, header: &Header<'_>, to: &Bound, on_behalf: bool) -> Result<Rewritten, Answer> {
        let snapshot = self.services.store.snapshot();
        let user = snapshot.user(self.user).ok_or_else(words::confused)?;
        let person = user.addresses.first();
        if on_behalf && person.is_none() {
            // Without a Sender it would go out *as* the mailbox, which is more than the role gives.
            let sentence = "Your role names you as the sender, and no address of yours is known here";
            return Err(Answer::new(550, 7, 1, sentence));
        }
        let display = match &to.origin {
            Origin::Mailbox(mailbox) => mailbox.options.send_name.fill(&mailbox.display, &user.display),
            Origin::Own(_) => String::new(),
        };
        let own: Vec<_> = match &to.origin {
            Origin::Mailbox(mailbox) => mailbox.addresses().cloned().collect(),
            Origin::Own(user) => user.addresses.clone(),
        };
        let style = match &to.origin {
            Origin::Mailbox(_) => Style::Mailbox {
                address: &to.address,
                own: &own,
                display: Some(&display),
                on_behalf: person.filter(|_| on_behalf),
            },
            Origin::Own(_) => Style::Own(&own),
        };
        let id = unique();
        Ok(header.rewrite(&Rewrite {
            style,
            host: &self.services.settings.host_name,
            id: &id,
            date: &date(),
            message_id: &format!("<{id}@{}>", to.address.domain()),
        }))
    }

    /// DATA upstream; the refusal, if it is one.
    async fn open_data(&mut self, release: &Release) -> Result<Option<Answer>, Ended> {
        let Some(host) = &mut self.host else { return Ok(Some(words::confused())) };
        writer::data(release, host.out());
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
        mut leaving: Leaving,
    ) -> Result<Answer, Ended> {
        let intent = leaving.intent;
        let Some(mut host) = self.host.take() else {
            self.came_out(intent, Outcome::Refused, None).await;
            return Ok(words::confused());
        };
        let ways = (&mut host, &mut leaving.draft);
        let passed = incoming.body(self.client, &mut self.watch, ways, (&rewritten.section, head)).await;
        let body = match passed {
            Ok(body) => body,
            Err(ended) => {
                host.abort();
                self.came_out(intent, Outcome::Refused, None).await;
                return Err(ended);
            }
        };
        if let Some(parent) = incoming.forwarded() {
            leaving.forwards(parent);
        }
        let Leaving { draft, details, reservation, effective, .. } = leaving;
        // Without its end the message is not taken. The end goes up when the record is on disk.
        let recipients = details.recipients.clone();
        let spooled = match body {
            Body::Whole => draft.spooled(details).await.map_err(Trouble::answer),
            Body::Bad(answer) => Err(answer),
        };
        let stopped = match (spooled, self.still_sends(&effective)) {
            (Ok(pending), Ok(Ok(()))) => {
                let sent = Sent::new(pending, reservation, recipients);
                return self.finish(host, intent, sent).await;
            }
            (Ok(pending), Ok(Err(answer))) => {
                pending.refused();
                Ok(answer)
            }
            (Ok(pending), Err(ended)) => {
                pending.refused();
                Err(ended)
            }
            (Err(answer), Ok(_)) => Ok(answer),
            (Err(_), Err(ended)) => Err(ended),
        };
        host.abort();
        self.came_out(intent, Outcome::Refused, None).await;
        stopped
    }

    /// Whether the message would be permitted now as it was: what it names, and whether it
    /// must be an answer, was decided when its header came.
    fn still_sends(&mut self, then: &Effective) -> Result<Result<(), Answer>, Ended> {
        let now = self.watch.effective().map_err(cut)?;
        if now.is_some_and(|now| now.mailbox == then.mailbox && now.sends_like(then)) {
            return Ok(Ok(()));
        }
        let sentence = "Your right to send has changed meanwhile; please send the message again";
        Ok(Err(Answer::new(451, 3, 0, sentence)))
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
        self.came_out(intent, outcome, queue_id).await;
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

/// What becomes of an answer to one of the mailbox's messages from somebody's own address.
fn answered_as(mailbox: &Arc<Mailbox>, to: Bound) -> Result<Bound, Answer> {
    let address = mailbox.address.clone();
    match mailbox.options.reply_from {
        ReplyFrom::Leave => Ok(to),
        ReplyFrom::Rewrite => Ok(Bound { origin: Origin::Mailbox(Arc::clone(mailbox)), address }),
        ReplyFrom::Refuse => Err(Answer::new(
            550,
            7,
            1,
            format!(
                "This answers a message to {address}; please answer from that address, not from your own"
            ),
        )),
    }
}

/// Whether the transaction that upstream has is the one that From asks for: the same
/// submission host, and an envelope sender whose domain agrees with From's, as SPF and DMARC
/// want it (RFC 7489 §3.1.2).
fn goes_by(transaction: &Transaction, to: &Bound) -> bool {
    transaction.bound.as_ref().is_some_and(|open| {
        let aligned = open.sender.as_ref().is_none_or(|sender| sender.domain() == to.address.domain());
        open.origin.id() == to.origin.id() && aligned
    })
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
