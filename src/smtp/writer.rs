//! Upstream commands, written from typed values and only under a permit (invariants 1 and 2).

use super::command::{Body, Mail, Notify, Rcpt, Ret};
use super::header::MAX_GROWTH;
use super::syntax::xtext;
use crate::policy::{Step, StepKind};
use crate::types::Address;

/// Leave to name sender and recipients: without it nothing of a transaction is written.
#[derive(Debug)]
pub struct Leave(());

/// Leave to hand in one message, and how its header names the person.
#[derive(Debug)]
pub struct Release {
    leave: Leave,
    on_behalf: bool,
}

impl Leave {
    /// `None` for a step of another kind.
    pub fn of(step: &Step) -> Option<Self> {
        matches!(step.kind(), StepKind::Address | StepKind::Submit { .. }).then_some(Self(()))
    }
}

impl Release {
    /// `None` for a step of another kind.
    pub fn of(step: &Step) -> Option<Self> {
        let StepKind::Submit { on_behalf } = step.kind() else { return None };
        Some(Self { leave: Leave::of(step)?, on_behalf: *on_behalf })
    }

    /// For a transaction that begins anew, at another host.
    pub fn leave(&self) -> &Leave {
        &self.leave
    }

    /// Whether Sender must name the person.
    pub fn on_behalf(&self) -> bool {
        self.on_behalf
    }
}

/// What upstream can do with parameters; those it cannot are left out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Offers {
    pub size: bool,
    pub eight_bit_mime: bool,
    pub smtp_utf8: bool,
    pub dsn: bool,
}

/// MAIL with the sender that goes out, never the client's text; `None` is `<>`.
pub fn mail(_: &Leave, sender: Option<&Address>, mail: &Mail, offers: Offers, out: &mut Vec<u8>) {
    let sender = sender.map(ToString::to_string).unwrap_or_default();
    put(out, &format!("MAIL FROM:<{sender}>"));
    if let Some(size) = mail.size.filter(|_| offers.size) {
        put(out, &format!(" SIZE={}", size.saturating_add(MAX_GROWTH)));
    }
    if offers.eight_bit_mime {
        match mail.body {
            Some(Body::EightBitMime) => put(out, " BODY=8BITMIME"),
            Some(Body::SevenBit) => put(out, " BODY=7BIT"),
            None => {}
        }
    }
    if mail.smtputf8 && offers.smtp_utf8 {
        put(out, " SMTPUTF8");
    }
    if offers.dsn {
        match mail.ret {
            Some(Ret::Full) => put(out, " RET=FULL"),
            Some(Ret::Headers) => put(out, " RET=HDRS"),
            None => {}
        }
        if let Some(envid) = &mail.envid {
            put(out, " ENVID=");
            xtext(envid, out);
        }
    }
    put(out, "\r\n");
}

pub fn rcpt(_: &Leave, rcpt: &Rcpt, offers: Offers, out: &mut Vec<u8>) {
    put(out, &format!("RCPT TO:<{}>", rcpt.path));
    if offers.dsn {
        match rcpt.notify {
            Some(Notify::Never) => put(out, " NOTIFY=NEVER"),
            Some(Notify::On { success, failure, delay }) => {
                let words = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
                let words: Vec<&str> =
                    words.into_iter().filter(|(on, _)| *on).map(|(_, word)| word).collect();
                put(out, &format!(" NOTIFY={}", words.join(",")));
            }
            None => {}
        }
        if let Some(orcpt) = &rcpt.orcpt {
            put(out, " ORCPT=rfc822;");
            xtext(orcpt, out);
        }
    }
    put(out, "\r\n");
}

pub fn data(_: &Release, out: &mut Vec<u8>) {
    put(out, "DATA\r\n");
}

/// Housekeeping: forgets a transaction; needs no leave, since it sends nothing.
pub fn reset(out: &mut Vec<u8>) {
    put(out, "RSET\r\n");
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::command::{self, Command};
    use super::{Leave, Offers};
    use crate::policy::{
        self, Action, Answering, Decision, Effective, Fact, Facts, Ground, Held, Next, Role,
    };
    use crate::types::{Address, GrantId, LoginName, MailboxId, Timestamp, UidSet, UserId};

    fn leave() -> Leave {
        let role = Role::responder();
        let user = (UserId(1), LoginName::parse("alice").unwrap());
        let mailbox = (MailboxId(1), Address::parse("support@example.org").unwrap());
        let grants = std::iter::once(Held::whole(GrantId(1), &role));
        let effective = Effective::union(user, mailbox, grants, Ground::default(), None).unwrap();
        let Decision::Permit(mut permit) =
            policy::decide(&effective, &Action::Submit(Answering::Unread), Timestamp(0))
        else {
            panic!("no permit")
        };
        let own = UidSet::new();
        let facts = Facts { last: Fact::Start, effective: &effective, own: &own, by_uid: false };
        let Next::Run(step) = permit.next(&facts) else { panic!("no step") };
        Leave::of(&step).unwrap()
    }

    const ALL: Offers = Offers { size: true, eight_bit_mime: true, smtp_utf8: true, dsn: true };

    fn written(line: &str, offers: Offers) -> String {
        let sender = Address::parse("support@example.org").unwrap();
        let mut out = Vec::new();
        match command::parse(line.as_bytes()).unwrap() {
            Command::Mail(mail) => super::mail(&leave(), Some(&sender), &mail, offers, &mut out),
            Command::Rcpt(rcpt) => super::rcpt(&leave(), &rcpt, offers, &mut out),
            other => panic!("{other:?}"),
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_the_mailbox_and_what_upstream_can() {
        let line =
            "MAIL FROM:<alice@example.org> SIZE=10 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=a+3Db AUTH=<>";
        assert_eq!(
            written(line, ALL),
            "MAIL FROM:<support@example.org> SIZE=8202 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=a+3Db\r\n"
        );
        assert_eq!(written(line, Offers::default()), "MAIL FROM:<support@example.org>\r\n");
        let line = "RCPT TO:<Bob@Example.org> NOTIFY=failure,delay ORCPT=rfc822;b+2Bc@example.org";
        assert_eq!(
            written(line, ALL),
            "RCPT TO:<Bob@Example.org> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b+2Bc@example.org\r\n"
        );
        assert_eq!(written(line, Offers::default()), "RCPT TO:<Bob@Example.org>\r\n");
    }

    proptest! {
        /// Whatever a client's line, what is written is one line that reads as the same values.
        #[test]
        fn one_line_that_reads_the_same(
            path in "[ -~]{1,30}", key in "(NOTIFY|ORCPT)", value in "[ -~]{0,20}"
        ) {
            for line in [format!("RCPT TO:<{path}> {key}={value}"), format!("RCPT TO:<{path}@b.example>")] {
                let Ok(Command::Rcpt(first)) = command::parse(line.as_bytes()) else { continue };
                let mut out = Vec::new();
                super::rcpt(&leave(), &first, ALL, &mut out);
                let text = String::from_utf8(out).unwrap();
                let line = text.strip_suffix("\r\n").unwrap();
                prop_assert!(!line.contains(['\r', '\n', '\0']));
                let Ok(Command::Rcpt(again)) = command::parse(line.as_bytes()) else {
                    return Err(TestCaseError::fail(text));
                };
                prop_assert_eq!(first, again);
            }
        }
    }
}
