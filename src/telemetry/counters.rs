//! Counts since the start, by what happened, for `mandate status`.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum Counter {
            $($(#[$doc])* $name,)*
        }

        impl Counter {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

counters! {
    Connections = "connections",
    /// Turned away before the greeting: too many.
    ConnectionsRefused = "connections_refused",
    TlsFailures = "tls_failures",
    Logins = "logins",
    LoginsRefused = "logins_refused",
    /// Right password, but no grant or no such mailbox.
    LoginsWithoutGrant = "logins_without_grant",
    LoginsThrottled = "logins_throttled",
    SessionsEnded = "sessions_ended",
    SessionsRevoked = "sessions_revoked",
    SessionPanics = "session_panics",
    Commands = "commands",
    CommandsBad = "commands_bad",
    ActsPermitted = "acts_permitted",
    ActsDenied = "acts_denied",
    ActsUndecided = "acts_undecided",
    MessagesSubmitted = "messages_submitted",
    MessagesRefused = "messages_refused",
    UpstreamConnects = "upstream_connects",
    UpstreamFailures = "upstream_failures",
    UpstreamBusy = "upstream_busy",
    /// Responses, codes and items of upstream that the filter dropped.
    ResponsesDropped = "responses_dropped",
    JournalFailures = "journal_failures",
}

/// All counters; share it by `Arc`.
#[derive(Debug, Default)]
pub struct Counters {
    values: [AtomicU64; Counter::ALL.len()],
}

impl Counters {
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    pub fn add(&self, counter: Counter, times: u64) {
        self.values[counter as usize].fetch_add(times, Ordering::Relaxed);
    }

    pub fn value(&self, counter: Counter) -> u64 {
        self.values[counter as usize].load(Ordering::Relaxed)
    }

    /// Name and count of each, in the order of declaration.
    pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
        Counter::ALL.iter().map(|counter| (counter.as_str(), self.value(*counter))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Counter, Counters};

    #[test]
    fn each_counts_by_itself() {
        let counters = Counters::default();
        counters.count(Counter::Logins);
        counters.add(Counter::JournalFailures, 2);
        let others = counters.snapshot().into_iter().filter(|(_, value)| *value != 0).collect::<Vec<_>>();
        assert_eq!(others, [("logins", 1), ("journal_failures", 2)]);
    }
}
