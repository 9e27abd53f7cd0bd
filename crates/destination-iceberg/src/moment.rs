//! Dates and times from text, exactly or not at all. Pure; knows no column.
//!
//! The range is 0001-01-01 to 9999-12-31T23:59:59.999999 UTC, which every reader of Iceberg tables can show. The
//! library's own type for moments ends a day earlier, so moments are computed here from their parts.

use jiff::civil::{self, Date, Time};
use jiff::fmt::temporal::{Pieces, TimeZoneAnnotation, TimeZoneAnnotationKind};
use jiff::tz::Offset;

const MICROSECONDS_A_SECOND: i64 = 1_000_000;
const SECONDS_A_DAY: i64 = 86_400;
/// 0001-01-01T00:00:00.
pub const EARLIEST: i64 = -62_135_596_800 * MICROSECONDS_A_SECOND;
/// 9999-12-31T23:59:59.999999.
pub const LATEST: i64 = 253_402_300_800 * MICROSECONDS_A_SECOND - 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// A text without an offset or zone is UTC.
    Utc,
    /// Wall-clock time; offsets and zones are dropped.
    Unzoned,
}

/// Days since 1970 of a date without a time.
pub fn date(text: &str) -> Option<i32> {
    // A longer text would be read as a timestamp whose time is dropped.
    const LENGTH_OF_A_DATE: usize = "2026-01-31".len();
    if text.len() != LENGTH_OF_A_DATE {
        return None;
    }
    let days = days_since_1970(text.parse().ok()?);
    (i64::from(days) * SECONDS_A_DAY * MICROSECONDS_A_SECOND >= EARLIEST).then_some(days)
}

/// Microseconds since 1970; finer digits are cut off.
///
/// Nothing for a date alone, for a leap second, and for a named zone without an offset, whose rules are not known
/// here.
pub fn micros(text: &str, zone: Zone) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let time = pieces.time()?;
    if is_leap_second(text, time) {
        return None;
    }
    let offset = match zone {
        Zone::Utc => offset_of(&pieces)?,
        Zone::Unzoned => Offset::UTC,
    };
    let seconds = i64::from(days_since_1970(pieces.date())) * SECONDS_A_DAY
        + i64::from(time.hour()) * 3600
        + i64::from(time.minute()) * 60
        + i64::from(time.second())
        - i64::from(offset.seconds());
    let micros = seconds * MICROSECONDS_A_SECOND + i64::from(time.subsec_nanosecond()) / 1000;
    (EARLIEST..=LATEST).contains(&micros).then_some(micros)
}

/// The offset that a text gives, UTC where it gives none; nothing if it cannot be known.
fn offset_of(pieces: &Pieces<'_>) -> Option<Offset> {
    let given = pieces.to_numeric_offset();
    let annotated = match pieces.time_zone_annotation().map(TimeZoneAnnotation::kind) {
        None => return Some(given.unwrap_or(Offset::UTC)),
        Some(TimeZoneAnnotationKind::Offset(offset)) => Some(*offset),
        Some(TimeZoneAnnotationKind::Named(name)) => is_utc(name.as_str()).then_some(Offset::UTC),
        Some(_) => None,
    };
    match (given, annotated) {
        // `Z` says the moment alone, whatever the zone's offset is then.
        (Some(given), Some(annotated)) if given != annotated && given != Offset::UTC => None,
        (Some(given), _) => Some(given),
        (None, annotated) => annotated,
    }
}

fn is_utc(zone: &str) -> bool {
    let names = ["UTC", "Etc/UTC", "GMT", "Etc/GMT", "Z", "Zulu", "Etc/Zulu", "UCT", "Etc/UCT"];
    names.iter().any(|name| name.eq_ignore_ascii_case(zone))
}

/// Whether the seconds are 60, which the parser reads as 59.
fn is_leap_second(text: &str, time: Time) -> bool {
    if time.second() != 59 {
        return false;
    }
    let start = text.find(['T', 't', ' ']).map_or(0, |at| at + 1);
    let digits = text[start..].bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b':');
    let digits: Vec<u8> = digits.filter(u8::is_ascii_digit).collect();
    digits.get(4..6) == Some(b"60")
}

fn days_since_1970(date: Date) -> i32 {
    (date - civil::date(1970, 1, 1)).get_days()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_dates_alone() {
        assert_eq!((date("1970-01-02"), date("1969-12-31")), (Some(1), Some(-1)));
        assert_eq!((date("0001-01-01"), date("9999-12-31")), (Some(-719_162), Some(2_932_896)));
        for bad in ["0000-00-00", "0000-12-31", "2026-02-30", "2026-01-01T00:00:00Z", "20260101", "5"] {
            assert_eq!(date(bad), None, "{bad}");
        }
    }

    #[test]
    fn moments_are_utc_and_cut_to_microseconds() {
        let read = |text: &str| micros(text, Zone::Utc);
        assert_eq!(read("1970-01-01T00:00:01Z"), Some(1_000_000));
        assert_eq!(read("1970-01-01T02:00:01.5+02:00"), Some(1_500_000));
        assert_eq!(read("1970-01-01T00:00:00.123456789Z"), Some(123_456));
        assert_eq!(read("1969-12-31T23:59:59.9999999Z"), Some(-1));
        assert_eq!(read("1970-01-01 00:00:01"), Some(1_000_000));
        assert_eq!(micros("1970-01-01T00:00:01+05:00", Zone::Unzoned), Some(1_000_000));
        for bad in ["1970-01-01", "10000-01-01T00:00:00Z", "yesterday at noon", "1970-01-01T25:00:00Z", ""] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_whole_range_is_stored_and_nothing_beyond() {
        let read = |text: &str| micros(text, Zone::Utc);
        assert_eq!(read("0001-01-01T00:00:00Z"), Some(EARLIEST));
        assert_eq!(read("9999-12-31T23:59:59Z"), Some(LATEST - 999_999));
        assert_eq!(read("9999-12-31T23:59:59.9999999Z"), Some(LATEST));
        assert_eq!(read("9999-12-30T20:00:00-05:00"), read("9999-12-31T01:00:00Z"));
        assert_eq!(read("0001-01-01T05:00:00+05:00"), Some(EARLIEST));
        for beyond in ["9999-12-31T20:00:00-05:00", "0001-01-01T00:00:00+00:01", "0000-12-31T23:59:59Z"] {
            assert_eq!(read(beyond), None, "{beyond}");
        }
        assert_eq!(micros("9999-12-31T20:00:00-05:00", Zone::Unzoned), read("9999-12-31T20:00:00Z"));
    }

    #[test]
    fn a_zone_in_brackets_counts_only_where_its_offset_is_known() {
        let read = |text: &str| micros(text, Zone::Utc);
        assert_eq!(read("1970-01-01T01:00:00+01:00[Europe/Berlin]"), Some(0));
        assert_eq!(read("1970-01-01T00:00:00Z[Europe/Berlin]"), Some(0));
        assert_eq!(read("1970-01-01T01:00:00[+01:00]"), Some(0));
        assert_eq!(read("1970-01-01T00:00:00[UTC]"), Some(0));
        assert_eq!(read("1970-01-01T00:00:00[Europe/Berlin]"), None);
        assert_eq!(read("1970-01-01T01:00:00+01:00[+02:00]"), None);
        assert_eq!(micros("1970-01-01T00:00:00[Europe/Berlin]", Zone::Unzoned), Some(0));
    }

    #[test]
    fn a_leap_second_is_no_other_second() {
        for text in ["2016-12-31T23:59:60Z", "2016-12-31 23:59:60.5", "20161231T235960Z"] {
            assert_eq!(micros(text, Zone::Utc), None, "{text}");
        }
        assert!(micros("2016-12-31T23:59:59.60Z", Zone::Utc).is_some());
        assert!(micros("20161231T235959Z", Zone::Utc).is_some());
    }
}
