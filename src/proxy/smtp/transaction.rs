//! MAIL and RCPT: whose sender it is, whether it may send, and upstream's own answers.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ended::Ended;
use super::host::{self, Host, NoHost, Route};
use super::message::cut;
use super::senders::{Bound, Origin};
use super::session::Session;
use super::words;
use crate::policy::{Action, Answering, Decision, Doubt, Effective, Fact, Facts, Next, Step, decide};
use crate::proxy::clock;
use crate::smtp::command::{Body, Mail, Rcpt};
use crate::smtp::writer::{self, Leave};
use crate::smtp::{Answer, Path};
use crate::store::{Mailbox, SentCopy};
use crate::telemetry::Counter;
use crate::types::{Address, MailboxId, UidSet};

/// A message under way.
pub(super) struct Transaction {
    pub(super) mail: Mail,
    /// Recipients that upstream was asked about and has not answered yet.
    asked: VecDeque<Rcpt>,
    /// Those that were taken: by upstream, or by us while no host is bound.
    pub(super) taken: Vec<Rcpt>,
    pub(super) bound: Option<Open>,
}

/// The transaction at a submission host.
pub(super) struct Open {
    pub(super) origin: Origin,
    /// What upstream's MAIL says; `None` is `<>`.
    pub(super) sender: Option<Address>,
    leave: Leave,
}

impl Transaction {
    /// Upstream has answered the recipient that was asked first.
    pub(super) fn answered(&mut self, taken: bool) {
        let first = self.asked.pop_front();
        self.taken.extend(first.filter(|_| taken));
    }
}

/// Leave to act, and the rights of that moment.
pub(super) struct Permitted {
    pub(super) step: Step,
    pub(super) effective: Arc<Effective>,
}

/// Upstream connects and logs in within the deadlines of its own settings; this is for the
/// case that it keeps none.
const CONNECT_SECONDS: u64 = 120;

impl Session<'_> {
    /// MAIL: the identity is bound here (who sends, as which mailbox), so that each recipient
    /// gets upstream's own answer. Only `<>` of a personal login waits for From.
    pub(super) async fn mail(&mut self, mail: Mail) -> Result<(), Ended> {
        match self.begin(&mail).await? {
            Ok(bound) => {
                let due = bound.is_some();
                let (asked, taken) = (VecDeque::new(), Vec::new());
                self.transaction = Some(Transaction { mail, asked, taken, bound });
                if due {
                    return self.owe(false).await;
                }
                self.answer(Answer::new(250, 1, 0, "Sender accepted"));
            }
            Err(answer) => {
                self.over();
                self.answer(answer);
            }
        }
        Ok(())
    }

    async fn begin(&mut self, mail: &Mail) -> Result<Result<Option<Open>, Answer>, Ended> {
        let bound = match (&mail.path, self.mailbox) {
            (Some(path), _) => self.bind(path).map(Some).inspect_err(|_| self.refuse("sender")),
            (None, Some(id)) => Ok(self.primary(id)),
            (None, None) => Ok(None),
        };
        let Bound { origin, address } = match bound {
            Ok(Some(bound)) => bound,
            Ok(None) => return Ok(Ok(None)),
            Err(answer) => return Ok(Err(answer)),
        };
        let files = origin.mailbox().is_some_and(|mailbox| mailbox.options.sent_copy == SentCopy::File);
        if files && let Err(trouble) = self.services.outbox.has_room(self.user, mail.size.unwrap_or(0)) {
            return Ok(Err(trouble.answer()));
        }
        let sender = mail.path.is_some().then_some(address);
        let permitted = match self.may(&origin, Answering::Unread)? {
            Ok(permitted) => permitted,
            Err(answer) => return Ok(Err(answer)),
        };
        let Some(leave) = Leave::of(&permitted.step) else { return Ok(Err(words::confused())) };
        if let Err(answer) = self.within(&origin, 0) {
            return Ok(Err(answer));
        }
        self.machine.limit_recipients(self.most_recipients(&origin));
        if let Err(answer) = self.open(&leave, &origin, sender.as_ref(), mail).await? {
            return Ok(Err(answer));
        }
        Ok(Ok(Some(Open { origin, sender, leave })))
    }

    /// The mailbox that the login is, by its first address.
    fn primary(&self, id: MailboxId) -> Option<Bound> {
        let snapshot = self.services.store.snapshot();
        let mailbox = Arc::clone(snapshot.mailbox(id)?);
        let address = mailbox.address.clone();
        Some(Bound { origin: Origin::Mailbox(mailbox), address })
    }

    pub(super) async fn rcpt(&mut self, rcpt: Rcpt) -> Result<(), Ended> {
        let Some(transaction) = &mut self.transaction else {
            self.answer(words::confused());
            return Ok(());
        };
        let Some(bound) = &transaction.bound else {
            transaction.taken.push(rcpt);
            self.machine.recipient_answered(true);
            self.answer(Answer::new(250, 1, 5, "Recipient accepted"));
            return Ok(());
        };
        let Some(host) = &mut self.host else {
            self.answer(words::confused());
            return Ok(());
        };
        let offers = host.offers();
        writer::rcpt(&bound.leave, &rcpt, offers, host.out());
        transaction.asked.push_back(rcpt);
        self.owe(true).await
    }

    /// May the act be done at this moment, for the mailbox that it is about?
    pub(super) fn may(
        &mut self,
        origin: &Origin,
        answering: Answering,
    ) -> Result<Result<Permitted, Answer>, Ended> {
        if self.watch.held().is_none_or(|held| held.mailbox != origin.id()) {
            self.watch.hold(origin.id())?;
        }
        let Some(effective) = self.watch.effective()? else { return Err(Ended::Revoked) };
        let mut permit = match decide(&effective, &Action::Submit(answering), clock::now()) {
            Decision::Permit(permit) => permit,
            Decision::Deny(denial) => {
                self.recorder.denied(effective.mailbox, &denial);
                return Ok(Err(Answer::new(550, 7, 1, denial.sentence().to_owned())));
            }
            Decision::Undecided(doubt) => {
                self.services.counters.count(Counter::ActsUndecided);
                return Ok(Err(Answer::new(451, 3, 0, doubtful(doubt))));
            }
        };
        let own = UidSet::new();
        let facts = Facts { last: Fact::Start, effective: &effective, own: &own, by_uid: false };
        let step = match permit.next(&facts) {
            Next::Run(step) => step,
            Next::Refuse(denial) => {
                return Ok(Err(Answer::new(550, 7, 1, denial.sentence().to_owned())));
            }
            Next::Done => return Ok(Err(words::confused())),
        };
        self.services.counters.count(Counter::ActsPermitted);
        Ok(Ok(Permitted { step, effective }))
    }

    /// MAIL, in the output of the host that serves this origin.
    async fn open(
        &mut self,
        leave: &Leave,
        origin: &Origin,
        sender: Option<&Address>,
        mail: &Mail,
    ) -> Result<Result<(), Answer>, Ended> {
        if let Err(answer) = self.connect(origin).await? {
            return Ok(Err(answer));
        }
        let Some(host) = &mut self.host else { return Ok(Err(words::confused())) };
        if let Some(answer) = cannot(host, mail) {
            return Ok(Err(answer));
        }
        let offers = host.offers();
        writer::mail(leave, sender, mail, offers, host.out());
        host.set_open(true);
        Ok(Ok(()))
    }

    /// The transaction anew, under another identity: forgotten where it was, and said again
    /// where it belongs. One recipient refused there is all refused; nothing is sent.
    pub(super) async fn replay(
        &mut self,
        transaction: &Transaction,
        leave: &Leave,
        to: &Bound,
    ) -> Result<Result<(), Answer>, Ended> {
        self.reset().await?;
        // A host that is lost at RSET ends the transaction, and what it rested on is let go:
        // the message goes on, and must not go on unwatched.
        self.watch.hold(to.origin.id()).map_err(cut)?;
        let Transaction { mail, taken, .. } = transaction;
        let sender = mail.path.as_ref().map(|_| &to.address);
        if let Err(answer) = self.open(leave, &to.origin, sender, mail).await? {
            return Ok(Err(answer));
        }
        for rcpt in std::iter::once(None).chain(taken.iter().map(Some)) {
            let Some(host) = &mut self.host else { return Ok(Err(words::confused())) };
            if let Some(rcpt) = rcpt {
                let offers = host.offers();
                writer::rcpt(leave, rcpt, offers, host.out());
            }
            if host.flush().await.is_err() {
                self.lose_host();
                return Ok(Err(words::confused()));
            }
            let Some(reply) = self.reply().await? else { return Ok(Err(words::confused())) };
            if !reply.is_done() {
                return Ok(Err(words::replayed(&reply, rcpt.map(|rcpt| &rcpt.path))));
            }
        }
        Ok(Ok(()))
    }

    /// A connection to the submission host: the one at hand, if it is fit.
    async fn connect(&mut self, origin: &Origin) -> Result<Result<(), Answer>, Ended> {
        let route = match self.route(origin) {
            Ok(route) => route,
            Err(why) => return Ok(Err(no_host(origin, why))),
        };
        if let Some(mut host) = self.host.take() {
            if host.is_fit_for(&route).await {
                self.host = Some(host);
                return Ok(Ok(()));
            }
            host.abort();
        }
        let services = Arc::clone(&self.services);
        let connecting = Box::pin(Host::connect(&services, route));
        let connected = self.watch.unless_lost(CONNECT_SECONDS, Ended::Slow, connecting).await?;
        Ok(match connected {
            Ok(host) => {
                self.host = Some(host);
                Ok(())
            }
            Err(why) => Err(no_host(origin, why)),
        })
    }

    /// Which submission host takes it, and as whom we log in there.
    fn route(&self, origin: &Origin) -> Result<Route, NoHost> {
        let (endpoint, login) = match origin {
            Origin::Own(user) => self.own_host(user)?,
            Origin::Mailbox(mailbox) => {
                let submission = mailbox.submission.as_ref().ok_or(NoHost::NotConfigured)?;
                let login = match &submission.account {
                    None => None,
                    Some(account) => {
                        let password = host::password(&self.services, mailbox.id);
                        Some((account.clone(), password.map_err(NoHost::Credential)?))
                    }
                };
                (submission.endpoint.clone(), login)
            }
        };
        Ok(Route { of: origin.id(), endpoint, login })
    }
}

fn doubtful(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::Stale => "Your rights are changing; please try again",
        Doubt::Parent => {
            "Which message this answers could not be found out, and only answers may be sent; please try again"
        }
    }
}

/// What upstream lacks for this message.
fn cannot(host: &Host, mail: &Mail) -> Option<Answer> {
    let offers = host.offers();
    if host.most_octets().zip(mail.size).is_some_and(|(most, size)| size > most) {
        return Some(Answer::new(552, 3, 4, "The message is too large for the mail host"));
    }
    if mail.body == Some(Body::EightBitMime) && !offers.eight_bit_mime {
        return Some(Answer::new(554, 6, 3, "The mail host cannot take 8-bit messages"));
    }
    if mail.smtputf8 && !offers.smtp_utf8 {
        return Some(Answer::new(550, 6, 7, "The mail host cannot take addresses beyond ASCII"));
    }
    None
}

fn no_host(origin: &Origin, why: NoHost) -> Answer {
    let name = origin.name();
    match (why, origin) {
        (NoHost::NotConfigured, Origin::Mailbox(_)) => {
            Answer::new(550, 3, 5, format!("No way to send is set up for {name}"))
        }
        (NoHost::NotConfigured, Origin::Own(_)) => Answer::new(
            550,
            7,
            1,
            "Your own mail does not go through here; use your account at your mail host for it",
        ),
        (NoHost::Credential(error), _) => {
            tracing::error!(mailbox = %origin.id(), "no submission password: {error}");
            unreachable(&name)
        }
        (NoHost::Connect, _) => unreachable(&name),
    }
}

fn unreachable(name: &str) -> Answer {
    let sentence = format!("The mail host of {name} cannot be used now; please try again later");
    Answer::new(451, 4, 1, sentence)
}

/// A sender that is not theirs.
pub(super) fn foreign(sender: &Path, mailbox: Option<&Mailbox>) -> Answer {
    let sentence = match mailbox {
        Some(mailbox) => {
            format!("You may not send as {sender} here; this account sends as {}", mailbox.address)
        }
        None => format!("You may not send as {sender}"),
    };
    Answer::new(550, 7, 1, sentence)
}
