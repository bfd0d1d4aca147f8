//! May this happen, and on what terms? The one place that answers.
//!
//! Layer 1. No clock, no I/O, no log: [`decide`] is a function of what the person
//! holds ([`Effective`]), what is asked ([`Action`]) and the time. Its three answers
//! are [`Decision::Permit`], [`Decision::Deny`] and [`Decision::Undecided`]; a
//! [`Permit`] can be made nowhere else and is the only source of a [`Step`], without
//! which the protocol layers write nothing upstream (invariant 1).
//!
//! | action | rights needed (RFC 4314 §4, tightened by `docs/rights.md`) | without them |
//! |---|---|---|
//! | open, status, search, poll | `r` | deny |
//! | fetch | `r`; implicit `\Seen` only with `s` | deny; else peek |
//! | store | per flag: `s`, `t`, `w`; none for flags of one's own | the permitted subset, then the true flags |
//! | append | `i`; flags as store | deny; flags dropped |
//! | copy | `r` there, `i` here | deny |
//! | move | `r`, `t`, `e` there (to Trash: or `delete = "trash"`), `i` here; `r`, `m` there, `i`, `m` here among Inbox, Ordinary and Archive | deny |
//! | copy, move into another mailbox | `r`, for MOVE `t` and `e`, there; here as append, message by message; the mailbox's `copy_out` | deny |
//! | expunge, close | `e`; or `delete = "trash"`: to Trash instead | nothing is removed |
//! | create | `k` on the parent | deny |
//! | delete | `x`, `t`, `e` | deny |
//! | rename | `x` on the folder and all below, `k` on the new parent | deny |
//! | administer | nobody | deny |
//! | submit | the role sends | deny |
#![deny(clippy::disallowed_types, clippy::disallowed_methods)]

mod across;
mod action;
mod class;
mod custom;
mod decision;
mod effective;
mod grant;
mod moving;
mod narrowing;
mod overlay;
mod plan;
mod receipt;
mod rights;
mod role;
mod storing;

pub use across::{Arrivals, CopyOut};
pub use action::{Action, Answering, Means, Place, Site, StoreMode};
pub use class::FolderClass;
pub use custom::{RoleProblem, RoleSettings};
pub use decision::{Decision, Denial, Doubt, Permit, Reason, decide};
pub use effective::{Effective, Ground, Held};
pub use grant::{Grant, Holder};
pub use narrowing::{FolderPattern, Narrowing, NoPattern};
pub use overlay::{Assumed, OwnFlags};
pub use plan::{Copied, Fact, Facts, Mark, Next, Step, StepKind, Target};
pub use receipt::{Among, Receipt};
pub use rights::Rights;
pub use role::{Delete, DraftScope, ReadChoice, ReadState, Role, RoleName, SendRight};
