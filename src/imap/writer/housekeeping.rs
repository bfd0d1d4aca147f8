//! What we send upstream for ourselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::encoder::{Encoder, Examined, FollowUp, Outgoing};
use super::{status, written};
use crate::imap::command::StatusItem;
use crate::types::{MessageId, Secret, UidSet};

/// Commands of our own. Closed, and without a variant that changes or removes mail: those
/// need a permit (invariant 1).
#[derive(Clone, Copy, Debug)]
pub enum Housekeeping<'a> {
    Capability,
    /// RFC 2971, with our name only: what a client says of itself is not for upstream's ears.
    Id,
    StartTls,
    Login {
        user: &'a str,
        password: &'a Secret,
    },
    /// RFC 4616. With `initial` it goes along at once (RFC 4959), otherwise after `+`.
    AuthenticatePlain {
        authzid: &'a str,
        authcid: &'a str,
        password: &'a Secret,
        initial: bool,
    },
    /// RFC 5161; QRESYNC brings CONDSTORE with it (RFC 7162 §3.2.3).
    Enable {
        qresync: bool,
    },
    Namespace,
    /// `LIST "" ""`: the separator alone (RFC 3501 §6.3.8).
    Separator,
    /// Every folder, with special uses where upstream has SPECIAL-USE and LIST-EXTENDED.
    Inventory {
        special_use: bool,
    },
    Status {
        folder: &'a [u8],
        items: &'a [StatusItem],
    },
    /// RFC 9208 §4.2.
    QuotaRoot {
        folder: &'a [u8],
    },
    Examine {
        folder: &'a [u8],
        condstore: bool,
    },
    /// `UID SEARCH` in the open folder, for messages with this Message-ID; with `sizes`, for
    /// those of so many octets only, both included.
    Find {
        id: &'a MessageId,
        sizes: Option<(u64, u64)>,
    },
    /// Which of these UIDs the selected folder has.
    Among {
        uids: &'a UidSet,
    },
    /// The numbers of the messages with these UIDs; by number, so that none can go meanwhile.
    NumbersOf {
        uids: &'a UidSet,
    },
    /// Number and UID of the messages with these numbers.
    UidsOf {
        numbers: &'a UidSet,
    },
    /// All UIDs of the selected folder.
    Uids {
        esearch: bool,
    },
    /// The UIDs of the messages with this number and higher ones, of which there is one.
    NewUids {
        from: std::num::NonZeroU32,
    },
    /// Number and UID of every message. By number, so that none can go meanwhile.
    Numbers,
    /// The flags of these messages, by number.
    Flags {
        numbers: &'a UidSet,
        modseq: bool,
    },
    /// The flags of all messages by UID, or of those that changed `since` a mod-sequence
    /// (RFC 7162 §3.1.4.1).
    AllFlags {
        since: Option<u64>,
    },
    Noop,
    Idle,
    /// Ends IDLE; has no tag.
    Done,
    /// RFC 3691.
    Unselect,
    /// The way out where upstream has no UNSELECT: EXAMINE the selected folder, then CLOSE.
    UnselectByExamine {
        selected: &'a [u8],
    },
    Logout,
}

/// Writes it. `None` if a value could not be written safely; nothing may be sent then.
pub fn housekeeping(what: &Housekeeping<'_>, tag: &str) -> Option<Outgoing> {
    let line = Encoder::new(tag);
    match *what {
        Housekeeping::Capability => line.word("CAPABILITY").end(),
        Housekeeping::Id => line.word("ID (\"name\" \"Mandate\")").end(),
        Housekeeping::StartTls => line.word("STARTTLS").end(),
        Housekeeping::Login { user, password } => {
            line.word("LOGIN").string(user.as_bytes()).string(password.expose()).end()
        }
        Housekeeping::AuthenticatePlain { authzid, authcid, password, initial } => {
            let response = plain(authzid, authcid, password)?;
            let line = line.word("AUTHENTICATE PLAIN");
            let line = if initial { line.raw(" ") } else { line.wait() };
            line.raw(as_str(&response)).end()
        }
        Housekeeping::Enable { qresync: true } => line.word("ENABLE CONDSTORE QRESYNC").end(),
        Housekeeping::Enable { qresync: false } => line.word("ENABLE CONDSTORE").end(),
        Housekeeping::Namespace => line.word("NAMESPACE").end(),
        Housekeeping::Separator => line.word("LIST \"\" \"\"").end(),
        Housekeeping::Inventory { special_use: true } => {
            line.word("LIST \"\" \"*\" RETURN (SPECIAL-USE)").end()
        }
        Housekeeping::Inventory { special_use: false } => line.word("LIST \"\" \"*\"").end(),
        Housekeeping::Status { folder, items } => status(line, folder, items),
        Housekeeping::QuotaRoot { folder } => line.word("GETQUOTAROOT").string(folder).end(),
        Housekeeping::Examine { folder, condstore } => {
            let line = line.word("EXAMINE").string(folder);
            if condstore { line.word("(CONDSTORE)").end() } else { line.end() }
        }
        Housekeeping::Find { id, sizes } => {
            let line = line.word("UID SEARCH HEADER Message-ID").string(id.as_str().as_bytes());
            match sizes {
                Some((least, most)) => {
                    let (below, above) = (least.saturating_sub(1), most.saturating_add(1));
                    line.word(format_args!("LARGER {below} SMALLER {above}")).end()
                }
                None => line.end(),
            }
        }
        Housekeeping::Among { uids } => line.word("UID SEARCH UID").word(written(uids)?).end(),
        Housekeeping::NumbersOf { uids } => line.word("SEARCH UID").word(written(uids)?).end(),
        Housekeeping::UidsOf { numbers } => line.word("FETCH").word(written(numbers)?).word("(UID)").end(),
        Housekeeping::Uids { esearch: true } => line.word("UID SEARCH RETURN (ALL) ALL").end(),
        Housekeeping::Uids { esearch: false } => line.word("UID SEARCH ALL").end(),
        Housekeeping::NewUids { from } => line.word("FETCH").word(format_args!("{from}:* (UID)")).end(),
        Housekeeping::Numbers => line.word("FETCH 1:* (UID)").end(),
        Housekeeping::Flags { numbers, modseq } => {
            let items = if modseq { "(FLAGS MODSEQ)" } else { "(FLAGS)" };
            line.word("FETCH").word(written(numbers)?).word(items).end()
        }
        Housekeeping::AllFlags { since: None } => line.word("UID FETCH 1:* (FLAGS)").end(),
        Housekeeping::AllFlags { since: Some(since) } => {
            line.word(format_args!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {since})")).end()
        }
        Housekeeping::Noop => line.word("NOOP").end(),
        Housekeeping::Idle => line.word("IDLE").end(),
        Housekeeping::Done => Encoder::untagged("DONE").end(),
        Housekeeping::Unselect => line.word("UNSELECT").end(),
        Housekeeping::UnselectByExamine { selected } => {
            let mut outgoing = line.word("EXAMINE").string(selected).end()?;
            outgoing.then = Some(FollowUp::CloseExamined(Examined(())));
            Some(outgoing)
        }
        Housekeeping::Logout => line.word("LOGOUT").end(),
    }
}

/// `authzid NUL authcid NUL passwd` in base64; none of the three may hold a NUL.
fn plain(authzid: &str, authcid: &str, password: &Secret) -> Option<Secret> {
    let fields = [authzid.as_bytes(), authcid.as_bytes(), password.expose()];
    if authcid.is_empty() || fields.iter().any(|field| field.contains(&0)) {
        return None;
    }
    let message = Secret::new(fields.join(&0));
    Some(Secret::new(STANDARD.encode(message.expose())))
}

fn as_str(base64: &Secret) -> &str {
    std::str::from_utf8(base64.expose()).unwrap_or_default()
}
