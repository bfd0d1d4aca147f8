//! How many messages somebody has sent as a mailbox of late.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Options;
use crate::types::Timestamp;

/// Messages by slots of five minutes, for a day: a bounded record, and an error of a slot.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Sent(BTreeMap<i64, u32>);

/// Which limit is reached, and how many messages it allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exceeded {
    Hour(u32),
    Day(u32),
}

const SLOT: i64 = 5 * 60 * 1_000;
const HOUR: i64 = 60 * 60 * 1_000;
const DAY: i64 = 24 * HOUR;

impl Sent {
    /// Whether one more is too many. A slot counts as long as any of it lies within the time.
    pub fn exceeded(&self, now: Timestamp, options: &Options) -> Option<Exceeded> {
        let reached = |most: u32, time| most > 0 && self.since(now, time) >= u64::from(most);
        let (hour, day) = (options.messages_per_hour, options.messages_per_day);
        if reached(hour, HOUR) {
            return Some(Exceeded::Hour(hour));
        }
        reached(day, DAY).then_some(Exceeded::Day(day))
    }

    /// Slots of the future are kept: a clock that was set back gives nobody a new day.
    fn since(&self, now: Timestamp, time: i64) -> u64 {
        let first = now.0.saturating_sub(time).div_euclid(SLOT);
        self.0.range(first..).map(|(_, count)| u64::from(*count)).sum()
    }

    pub(super) fn add(&mut self, now: Timestamp) {
        let oldest = now.0.saturating_sub(DAY).div_euclid(SLOT);
        self.0.retain(|slot, _| *slot >= oldest);
        let count = self.0.entry(now.0.div_euclid(SLOT)).or_default();
        *count = count.saturating_add(1);
    }

    /// Takes back the one that was counted last.
    pub(super) fn take_back(&mut self) {
        let Some(mut last) = self.0.last_entry() else { return };
        *last.get_mut() -= 1;
        if *last.get() == 0 {
            last.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY, Exceeded, HOUR, SLOT, Sent};
    use crate::store::Options;
    use crate::types::Timestamp;

    #[test]
    fn hours_and_days_pass() {
        let options = Options { messages_per_hour: 2, messages_per_day: 3, ..Options::default() };
        let (mut sent, start) = (Sent::default(), 1_000 * DAY);
        let at = |millis| Timestamp(start + millis);
        for (millis, before) in
            [(0, None), (1, None), (2, Some(Exceeded::Hour(2))), (HOUR - 1, Some(Exceeded::Hour(2)))]
        {
            assert_eq!(sent.exceeded(at(millis), &options), before, "{millis}");
            if before.is_none() {
                sent.add(at(millis));
            }
        }
        assert_eq!(sent.exceeded(at(HOUR + SLOT), &options), None);
        sent.add(at(HOUR + SLOT));
        assert_eq!(sent.exceeded(at(3 * HOUR), &options), Some(Exceeded::Day(3)));
        assert_eq!(sent.exceeded(at(-DAY), &options), Some(Exceeded::Hour(2)), "a clock set back");
        sent.take_back();
        assert_eq!(sent.exceeded(at(3 * HOUR), &options), None);
        assert_eq!(sent.exceeded(at(DAY + SLOT), &options), None);
        assert_eq!(sent.exceeded(at(0), &Options::default()), None, "no limit");
    }

    #[test]
    fn the_record_is_bounded() {
        let mut sent = Sent::default();
        for minute in 0..10_000 {
            sent.add(Timestamp(minute * 60_000));
        }
        let text = serde_json::to_string(&sent).unwrap();
        assert!(text.len() < 8_192, "{}", text.len());
        assert_eq!(serde_json::from_str::<Sent>(&text).unwrap(), sent);
    }
}
