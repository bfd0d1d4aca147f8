//! Upstream's lines: they keep our idea of the folder in step, and tell the client what it may know.

use super::ended::Ended;
use super::exchange::{Answer, Did, Found, Manner, Show, Stop};
use super::session::Selected;
use super::watch::Watch;
use crate::imap::command::Tag;
use crate::imap::filter::{self, Window};
use crate::imap::response::{self, Code, Copies, Response, Status};
use crate::policy::Copied;
use crate::types::{Flag, UidSet, UidValidity};

/// Reads lines: keeps our idea of the folder in step, and tells the client what it may know.
pub(super) struct Lines<'a> {
    pub(super) selected: Option<&'a mut Selected>,
    pub(super) watch: &'a Watch,
    pub(super) manner: Manner,
    pub(super) out: &'a mut Vec<u8>,
}

/// What a line meant.
#[derive(Default)]
pub(super) struct Read {
    stop: Option<Stop>,
    stored: Option<(UidValidity, UidSet)>,
    copies: Option<Copies>,
    copied: Option<Copied>,
    validity: Option<UidValidity>,
    permanent: bool,
    moved: bool,
    pub(super) dropped: bool,
}

impl Read {
    fn note_copies(&mut self, validity: UidValidity, from: &UidSet, to: &UidSet) {
        self.stored = Some((validity, to.clone()));
        self.copied = Some(Copied { validity, from: from.clone(), to: to.clone() });
    }

    pub(super) fn tell(self, found: &mut Found) -> Did {
        found.stored = self.stored.or(found.stored.take());
        found.copies = self.copies.or(found.copies.take());
        found.copied = self.copied.or(found.copied.take());
        found.validity = self.validity.or(found.validity);
        found.permanent |= self.permanent;
        found.moved |= self.moved;
        self.stop.map_or(Did::Go, Did::Stop)
    }
}

impl Lines<'_> {
    pub(super) fn read(&mut self, line: &[u8], ours: &Tag) -> Result<Read, Ended> {
        let Ok(response) = response::parse(line) else {
            // An untagged line that makes no sense is data that nobody may see.
            let untagged = line.starts_with(b"* ");
            return if untagged {
                Ok(Read { dropped: true, ..Read::default() })
            } else {
                Err(Ended::UpstreamUnparseable)
            };
        };
        match &response {
            Response::Tagged { tag, status } if tag == ours => Ok(self.tagged(status)),
            Response::Continue(_) => Ok(Read { stop: Some(Stop::Continue), ..Read::default() }),
            Response::Tagged { .. } => Err(Ended::UpstreamUnparseable),
            Response::Status(_)
            | Response::Exists(_)
            | Response::Recent(_)
            | Response::Expunge(_)
            | Response::Flags(_)
            | Response::Capability(_)
            | Response::Enabled(_)
            | Response::List(_)
            | Response::Lsub(_)
            | Response::StatusData(_)
            | Response::Quota(_)
            | Response::QuotaRoots(_)
            | Response::Vanished { .. }
            | Response::Unknown => self.untagged(&response),
        }
    }

    fn tagged(&self, status: &Status<'_>) -> Read {
        let mut read = Read::default();
        let code = match &status.code {
            Some(Code::AppendUid { validity, uids }) => {
                read.stored = Some((*validity, uids.clone()));
                self.manner.tells_uids.then(|| format!("APPENDUID {} {uids}", validity.0))
            }
            Some(Code::CopyUid { validity, from, to, pairs }) => {
                read.note_copies(*validity, from, to);
                read.copies = pairs.copies();
                let text = |set: &[u8]| String::from_utf8_lossy(set).into_owned();
                let copied = || format!("COPYUID {} {} {}", validity.0, text(pairs.from), text(pairs.to));
                self.manner.tells_uids.then(copied)
            }
            Some(Code::Modified(set)) => Some(format!("MODIFIED {set}")),
            Some(Code::HighestModSeq(value)) if self.manner.condstore => {
                Some(format!("HIGHESTMODSEQ {value}"))
            }
            Some(Code::OverQuota) => Some("OVERQUOTA".to_owned()),
            Some(Code::AlreadyExists) => Some("ALREADYEXISTS".to_owned()),
            Some(Code::InUse) => Some("INUSE".to_owned()),
            Some(Code::Limit) => Some("LIMIT".to_owned()),
            Some(Code::Unavailable) => Some("UNAVAILABLE".to_owned()),
            Some(
                Code::Alert
                | Code::AuthenticationFailed
                | Code::AuthorizationFailed
                | Code::Capability(_)
                | Code::Closed
                | Code::HighestModSeq(_)
                | Code::NoModSeq
                | Code::NonExistent
                | Code::NoPerm
                | Code::PermanentFlags(_)
                | Code::ReadOnly
                | Code::ReadWrite
                | Code::TryCreate
                | Code::UidNext(_)
                | Code::UidValidity(_)
                | Code::Unseen(_)
                | Code::Other,
            )
            | None => None,
        };
        read.stop = Some(Stop::Tagged(Answer { condition: status.condition, code }));
        read
    }

    fn untagged(&mut self, response: &Response<'_>) -> Result<Read, Ended> {
        let mut read = Read::default();
        if let Response::Status(status) = response {
            match &status.code {
                Some(Code::CopyUid { validity, from, to, pairs }) => {
                    read.note_copies(*validity, from, to);
                    read.copies = pairs.copies();
                }
                Some(Code::UidValidity(validity)) => read.validity = Some(*validity),
                Some(Code::PermanentFlags(_)) => read.permanent = true,
                Some(_) | None => {}
            }
        }
        read.moved = match response {
            Response::Exists(_) | Response::Expunge(_) => true,
            Response::Vanished { earlier, .. } => !earlier,
            _ => false,
        };
        self.keep_up(response)?;
        if self.manner.show == Show::Nothing {
            return Ok(read);
        }
        let folder = self.selected.as_deref().map(|selected| filter::Folder {
            effective: self.watch.effective(),
            place: selected.place(self.watch),
        });
        let window = Window {
            folder,
            opening: self.manner.opening,
            no_expunge: self.manner.no_expunge,
            status: None,
            copy_uid: self.manner.tells_uids,
            qresync: self.manner.qresync,
        };
        match filter::untagged(response, &window, self.out) {
            Ok(dropped) => read.dropped = dropped.is_some(),
            Err(doubt) => {
                tracing::warn!(%doubt, "upstream puts the session in doubt");
                return Err(match doubt {
                    filter::Doubt::Bye => Ended::UpstreamGone,
                    filter::Doubt::UidValidity | filter::Doubt::Closed => Ended::FolderChanged,
                    filter::Doubt::Expunge | filter::Doubt::Vanished | filter::Doubt::OutOfTurn => {
                        Ended::UpstreamUnparseable
                    }
                });
            }
        }
        Ok(read)
    }

    /// Our idea of the folder: how many messages, which keywords.
    fn keep_up(&mut self, response: &Response<'_>) -> Result<(), Ended> {
        let Some(selected) = self.selected.as_deref_mut() else { return Ok(()) };
        let known = |flags: &[&[u8]]| {
            let text = flags.iter().filter_map(|flag| std::str::from_utf8(flag).ok());
            text.filter_map(Flag::parse).filter(|flag| matches!(flag, Flag::Keyword(_))).collect()
        };
        match response {
            Response::Exists(messages) if self.manner.opening || *messages >= selected.messages => {
                selected.messages = *messages;
            }
            Response::Expunge(number) if (1..=selected.messages).contains(number) => {
                selected.messages -= 1;
                if let Some(overlay) = selected.overlay.as_deref_mut() {
                    overlay.expunge(*number);
                }
            }
            Response::Vanished { earlier: false, uids } if uids.len() <= u64::from(selected.messages) => {
                selected.messages -= u32::try_from(uids.len()).unwrap_or(selected.messages);
                if let Some(overlay) = selected.overlay.as_deref_mut() {
                    overlay.vanish(uids);
                }
            }
            Response::Exists(_) | Response::Expunge(_) | Response::Vanished { earlier: false, .. } => {
                tracing::warn!("upstream's message numbers make no sense");
                return Err(Ended::UpstreamUnparseable);
            }
            Response::Flags(flags) => {
                selected.known = known(flags);
                selected.flags = filter::defined_flags(flags);
            }
            Response::Status(Status { code: Some(Code::PermanentFlags(flags)), .. }) => {
                selected.set_permanent(flags.iter().map(|flag| flag.to_vec()).collect());
            }
            Response::Status(_)
            | Response::Recent(_)
            | Response::Tagged { .. }
            | Response::Continue(_)
            | Response::Capability(_)
            | Response::Enabled(_)
            | Response::List(_)
            | Response::Lsub(_)
            | Response::StatusData(_)
            | Response::Quota(_)
            | Response::QuotaRoots(_)
            | Response::Vanished { earlier: true, .. }
            | Response::Unknown => {}
        }
        Ok(())
    }
}
