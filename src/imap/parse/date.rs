//! Dates and times (RFC 3501 §9), every field in range.

use super::cursor::{Cursor, Parsed, Wrong, wrong};

const MONTHS: [(&str, u32); 12] = [
    ("Jan", 31),
    ("Feb", 29),
    ("Mar", 31),
    ("Apr", 30),
    ("May", 31),
    ("Jun", 30),
    ("Jul", 31),
    ("Aug", 31),
    ("Sep", 30),
    ("Oct", 31),
    ("Nov", 30),
    ("Dec", 31),
];

/// SEARCH's date, with or without quotes; in the spelling `d-Mon-yyyy`.
pub(super) fn date(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let quoted = cursor.take(b'"');
    let day = digits(cursor, 1..=2)?;
    let (month, year) = month_and_year(cursor, day)?;
    if quoted {
        cursor.demand(b'"', WHY)?;
    }
    Ok(format!("{day}-{month}-{year:04}"))
}

/// date-time, with its quotes; the result is without them, the day in two digits.
pub(super) fn date_time(cursor: &mut Cursor<'_>) -> Parsed<String> {
    cursor.demand(b'"', WHY)?;
    let day = if cursor.take(b' ') { digits(cursor, 1..=1)? } else { digits(cursor, 2..=2)? };
    let (month, year) = month_and_year(cursor, day)?;
    cursor.demand(b' ', WHY)?;
    let hour = in_range(cursor, 23)?;
    cursor.demand(b':', WHY)?;
    let minute = in_range(cursor, 59)?;
    cursor.demand(b':', WHY)?;
    let second = in_range(cursor, 59)?;
    cursor.demand(b' ', WHY)?;
    let sign = if cursor.take(b'-') { '-' } else { '+' };
    if sign == '+' {
        cursor.demand(b'+', WHY)?;
    }
    let (zone_hour, zone_minute) = (in_range(cursor, 23)?, in_range(cursor, 59)?);
    cursor.demand(b'"', WHY)?;
    Ok(format!(
        "{day:02}-{month}-{year:04} {hour:02}:{minute:02}:{second:02} {sign}{zone_hour:02}{zone_minute:02}"
    ))
}

const WHY: &str = "The date is malformed";

fn month_and_year(cursor: &mut Cursor<'_>, day: u32) -> Parsed<(&'static str, u32)> {
    cursor.demand(b'-', WHY)?;
    let name = cursor.run(|b| b.is_ascii_alphabetic());
    let found = MONTHS.iter().find(|(month, _)| month.as_bytes().eq_ignore_ascii_case(name));
    let (month, days) = found.ok_or(Wrong::Syntax(WHY))?;
    cursor.demand(b'-', WHY)?;
    let year = digits(cursor, 4..=4)?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = if *month == "Feb" && !leap { 28 } else { *days };
    if day == 0 || day > days { wrong(WHY) } else { Ok((month, year)) }
}

fn in_range(cursor: &mut Cursor<'_>, most: u32) -> Parsed<u32> {
    let value = digits(cursor, 2..=2)?;
    if value > most { wrong(WHY) } else { Ok(value) }
}

/// A number of so many digits; takes no more of them than that.
fn digits(cursor: &mut Cursor<'_>, count: std::ops::RangeInclusive<usize>) -> Parsed<u32> {
    let (mut value, mut seen) = (0, 0);
    while seen < *count.end() {
        let Some(digit @ b'0'..=b'9') = cursor.peek() else { break };
        cursor.take(digit);
        value = value * 10 + u32::from(digit - b'0');
        seen += 1;
    }
    if count.contains(&seen) { Ok(value) } else { wrong(WHY) }
}
