//! SORT and THREAD that ask about flags of the user's own (RFC 5256).
//!
//! Which messages they are about is found as for SEARCH, in several questions; upstream then
//! puts exactly these in order. Threads depend on which messages there are, and cannot be cut
//! out of larger ones; a sorted list can.

use super::ended::Ended;
use super::exchange::{Answer, Found};
use super::kinds::listing;
use super::run::Done;
use super::session::Session;
use crate::imap::command::{Command, Search, SearchKey, Sort, Tag, Thread};
use crate::imap::reply;
use crate::imap::response::Condition;
use crate::policy::Step;
use crate::types::{NumberSet, UidSet};

/// Longest set in a command line, in octets: hosts refuse lines of 8 KiB.
const MAX_SET: usize = 7_000;

impl Session {
    /// Answers a SORT or THREAD of the messages `found`, numbered as the command numbers.
    pub(super) async fn arrange(
        &mut self,
        tag: &Tag,
        command: &Command,
        step: &Step,
        found: UidSet,
    ) -> Result<Done, Ended> {
        let (Some(first), Some(last)) = (found.first(), found.last()) else {
            let list = listing(command).map_or("", |listing| listing.as_str());
            reply::data(self.client.wire.out(), list);
            return Ok(Done { condition: Condition::Ok, code: None });
        };
        let fits = found.to_string().len() <= MAX_SET;
        let narrowed = match command {
            Command::Sort { uid, sort } => {
                let among = if fits { found.clone() } else { UidSet::range(first, last) };
                let search = exactly(*uid, &among, &sort.search);
                Command::Sort { uid: *uid, sort: Sort { keys: sort.keys.clone(), search } }
            }
            Command::Thread { uid, thread } if fits => {
                let search = exactly(*uid, &found, &thread.search);
                Command::Thread { uid: *uid, thread: Thread { by: thread.by, search } }
            }
            _ => return Ok(Done { condition: Condition::No, code: Some("CANNOT".to_owned()) }),
        };
        self.sort_among((!fits).then_some(found));
        let answer = self.step(tag, &narrowed, step, &mut Found::default()).await;
        self.sort_among(None);
        let Answer { condition, code } = answer?;
        Ok(Done { condition, code })
    }

    fn sort_among(&mut self, among: Option<UidSet>) {
        if let Some(overlay) = self.overlay() {
            overlay.among = among;
        }
    }
}

/// A search for these messages and nothing else.
fn exactly(uid: bool, messages: &UidSet, search: &Search) -> Search {
    let set = Option::<NumberSet>::from(messages).unwrap_or(NumberSet::saved());
    let key = if uid { SearchKey::Uid(set) } else { SearchKey::Numbers(set) };
    Search { ret: None, charset: search.charset, keys: vec![key] }
}
