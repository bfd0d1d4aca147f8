//! MAIL and RCPT: whose sender it is, whether it may send, and upstream's own answers.

use std::sync::Arc;

use super::ended::Ended;
use super::host::{Host, NoHost};
use super::session::Session;
use super::words;
use crate::policy::{Action, Decision, Effective, Fact, Facts, Next, decide};
use crate::proxy::clock;
use crate::proxy::outbox::Trouble;
use crate::smtp::command::{Body, Mail, Rcpt};
use crate::smtp::writer::{self, Leave};
use crate::smtp::{Answer, Identity, Path};
use crate::store::{AddressHolder, Mailbox, SentCopy, User};
use crate::telemetry::Counter;
use crate::types::{GrantId, UidSet};

/// A message under way.
pub(super) struct Transaction {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) identity: Identity,
    /// MAIL announced SMTPUTF8: the header may have UTF-8.
    pub(super) utf8: bool,
    pub(super) size: Option<u64>,
    /// Those that were sent upstream, whether or not it takes them.
    pub(super) recipients: Vec<String>,
    leave: Leave,
}

/// Leave to send, the grants it rests on, and the rights of that moment.
pub(super) struct Permitted {
    pub(super) leave: Leave,
    pub(super) grants: Vec<GrantId>,
    pub(super) effective: Arc<Effective>,
}

/// Upstream connects and logs in within the deadlines of its own settings; this is for the
/// case that it keeps none.
const CONNECT_SECONDS: u64 = 120;

impl Session<'_> {
    /// MAIL: the identity is bound here (who sends, as which mailbox).
    pub(super) async fn mail(&mut self, mail: Mail) -> Result<(), Ended> {
        match self.begin(&mail).await? {
            Ok(()) => self.owe(false).await,
            Err(answer) => {
                self.over();
                self.answer(answer);
                Ok(())
            }
        }
    }

    async fn begin(&mut self, mail: &Mail) -> Result<Result<(), Answer>, Ended> {
        let Some(path) = &mail.path else {
            return Ok(Err(Answer::new(550, 7, 1, "A message without a sender cannot be sent here")));
        };
        let (mailbox, identity) = match self.bind(path) {
            Ok(bound) => bound,
            Err(answer) => return Ok(Err(answer)),
        };
        self.watch.hold(mailbox.id)?;
        let leave = match self.permit()? {
            Ok(permitted) => permitted.leave,
            Err(answer) => return Ok(Err(answer)),
        };
        let Some(sender) = identity.outgoing(path).cloned() else {
            self.recorder.refused(mailbox.id, "sender");
            return Ok(Err(foreign(path, Some(&mailbox))));
        };
        if mailbox.options.sent_copy == SentCopy::File
            && !self.services.outbox.has_room(mail.size.unwrap_or(0))
        {
            return Ok(Err(Trouble::Full.answer()));
        }
        if let Err(answer) = self.connect(&mailbox).await? {
            return Ok(Err(answer));
        }
        let Some(host) = &mut self.host else { return Ok(Err(words::confused())) };
        if let Some(answer) = cannot(host, mail) {
            return Ok(Err(answer));
        }
        let offers = host.offers();
        writer::mail(&leave, &sender, mail, offers, host.out());
        host.set_open(true);
        let (utf8, size) = (mail.smtputf8, mail.size);
        let recipients = Vec::new();
        self.transaction = Some(Transaction { mailbox, identity, utf8, size, recipients, leave });
        Ok(Ok(()))
    }

    pub(super) async fn rcpt(&mut self, rcpt: &Rcpt) -> Result<(), Ended> {
        let (Some(host), Some(transaction)) = (&mut self.host, &mut self.transaction) else {
            self.answer(words::confused());
            return Ok(());
        };
        let offers = host.offers();
        writer::rcpt(&transaction.leave, rcpt, offers, host.out());
        transaction.recipients.push(rcpt.path.as_str().to_owned());
        self.owe(true).await
    }

    /// The mailbox that a sender stands for in this session, and what else stands for it.
    fn bind(&self, sender: &Path) -> Result<(Arc<Mailbox>, Identity), Answer> {
        let snapshot = self.services.store.snapshot();
        let person =
            snapshot.user(self.user).map(|user: &Arc<User>| user.addresses.clone()).unwrap_or_default();
        let addresses = |mailbox: &Mailbox| mailbox.addresses().cloned().collect::<Vec<_>>();
        if let Some(id) = self.mailbox {
            let mailbox = snapshot.mailbox(id).ok_or_else(|| foreign(sender, None))?;
            let logins = vec![self.typed.clone(), self.login.as_str().to_owned()];
            return Ok((Arc::clone(mailbox), Identity::account(addresses(mailbox), person, logins)));
        }
        match sender.address().and_then(|address| snapshot.holder_of(&address)) {
            Some(AddressHolder::Mailbox(id)) => {
                let held = snapshot.effective(self.user, id, clock::now());
                let mailbox = held.and_then(|_| snapshot.mailbox(id)).ok_or_else(|| foreign(sender, None))?;
                Ok((Arc::clone(mailbox), Identity::personal(addresses(mailbox), person)))
            }
            Some(AddressHolder::User(id)) if id == self.user => Err(Answer::new(
                550,
                7,
                1,
                "Your own mail does not go through here; use your account at your mail host for it",
            )),
            Some(AddressHolder::User(_)) | None => Err(foreign(sender, None)),
        }
    }

    /// May a message be sent from the mailbox at this moment?
    pub(super) fn permit(&mut self) -> Result<Result<Permitted, Answer>, Ended> {
        let Some(effective) = self.watch.effective()? else { return Err(Ended::Revoked) };
        let mut permit = match decide(&effective, &Action::Submit, clock::now()) {
            Decision::Permit(permit) => permit,
            Decision::Deny(denial) => {
                self.recorder.denied(effective.mailbox, &denial);
                return Ok(Err(Answer::new(550, 7, 1, denial.sentence().to_owned())));
            }
            Decision::Undecided(_) => {
                self.services.counters.count(Counter::ActsUndecided);
                return Ok(Err(Answer::new(451, 3, 0, "Your rights are changing; please try again")));
            }
        };
        let own = UidSet::new();
        let facts = Facts { last: Fact::Start, effective: &effective, own: &own, by_uid: false };
        let leave = match permit.next(&facts) {
            Next::Run(step) => Leave::of(step),
            Next::Refuse(denial) => {
                return Ok(Err(Answer::new(550, 7, 1, denial.sentence().to_owned())));
            }
            Next::Done => None,
        };
        let Some(leave) = leave else { return Ok(Err(words::confused())) };
        self.services.counters.count(Counter::ActsPermitted);
        let grants = effective.grants.clone();
        Ok(Ok(Permitted { leave, grants, effective }))
    }

    /// A connection to the mailbox's submission host: the one at hand, if it is fit.
    async fn connect(&mut self, mailbox: &Arc<Mailbox>) -> Result<Result<(), Answer>, Ended> {
        if let Some(mut host) = self.host.take() {
            if host.is_fit_for(mailbox).await {
                self.host = Some(host);
                return Ok(Ok(()));
            }
            host.abort();
        }
        let services = Arc::clone(&self.services);
        let connecting = Box::pin(Host::connect(&services, mailbox));
        let connected = self.watch.unless_lost(CONNECT_SECONDS, Ended::Slow, connecting).await?;
        Ok(match connected {
            Ok(host) => {
                self.host = Some(host);
                Ok(())
            }
            Err(NoHost::NotConfigured) => {
                Err(Answer::new(550, 3, 5, format!("No way to send is set up for {}", mailbox.address)))
            }
            Err(NoHost::Credential(error)) => {
                tracing::error!(mailbox = %mailbox.id, "no submission password: {error}");
                Err(unreachable(mailbox))
            }
            Err(NoHost::Connect) => Err(unreachable(mailbox)),
        })
    }
}

/// What upstream lacks for this message.
fn cannot(host: &Host, mail: &Mail) -> Option<Answer> {
    let offers = host.offers();
    if host.size().zip(mail.size).is_some_and(|(limit, size)| size > limit) {
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

fn unreachable(mailbox: &Mailbox) -> Answer {
    let sentence = format!("The mail host of {} cannot be used now; please try again later", mailbox.address);
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
