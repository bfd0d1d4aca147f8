//! Points in time, as people write them on the command line.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Zoned};

use crate::types::Timestamp;

/// Reads `2026-12-31` (the start of that day, in `now`'s time zone), RFC 3339
/// (`2026-12-31T18:00:00+01:00`) or a span from now (`+30d`, `+2w`, `+12h`).
pub(super) fn parse(text: &str, now: &Zoned) -> Result<Timestamp, String> {
    let wrong = || format!("{text:?} is no time; write 2026-12-31, 2026-12-31T18:00:00Z or +30d");
    let at = if let Some(span) = text.strip_prefix('+') {
        let span: Span = span.parse().map_err(|_| wrong())?;
        now.checked_add(span).map_err(|_| wrong())?.timestamp()
    } else if text.len() == "2026-12-31".len() {
        let date: Date = text.parse().map_err(|_| wrong())?;
        date.to_zoned(now.time_zone().clone()).map_err(|_| wrong())?.timestamp()
    } else {
        text.parse::<jiff::Timestamp>().map_err(|_| wrong())?
    };
    Ok(Timestamp(at.as_millisecond()))
}

/// A time for tables: local, to the minute.
pub(super) fn show(at: Timestamp, zone: &TimeZone) -> String {
    match jiff::Timestamp::from_millisecond(at.0) {
        Ok(at) => at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => at.0.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, show};
    use jiff::Zoned;
    use jiff::tz::TimeZone;

    fn at(text: &str) -> String {
        let now: Zoned = "2026-03-28T12:00:00+01:00[Europe/Amsterdam]".parse().unwrap();
        match parse(text, &now) {
            Ok(at) => show(at, &TimeZone::UTC),
            Err(message) => message,
        }
    }

    #[test]
    fn every_form_and_its_zone() {
        for (text, expected) in [
            ("2026-12-31", "2026-12-30 23:00"),
            ("2026-07-01", "2026-06-30 22:00"),
            ("2026-12-31T18:00:00Z", "2026-12-31 18:00"),
            ("2026-12-31T18:00:00+01:00", "2026-12-31 17:00"),
            // A day later by the calendar: the clock goes forward in between.
            ("+1d", "2026-03-29 10:00"),
            ("+24h", "2026-03-29 11:00"),
            ("+2w", "2026-04-11 10:00"),
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_says_what_would_be() {
        for text in ["", "tomorrow", "2026-02-30", "2026-12-31T18:00", "+", "+x", "31-12-2026", "+999999999y"]
        {
            assert!(at(text).contains("write 2026-12-31"), "{text}: {}", at(text));
        }
    }
}
