//! Instants and days as Asana writes and reads them, and the clock that tests can move.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};

/// Milliseconds since 1970-01-01T00:00:00Z; Asana's finest resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// Days since 1970-01-01, a date without a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

/// One minute, hour and day in milliseconds.
pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

impl Timestamp {
    /// Reads an ISO 8601 instant, or a date, which means its midnight. Without a zone it is in UTC.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
            return Some(Self(instant.timestamp_millis()));
        }
        if let Ok(instant) = NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f") {
            return Some(Self(instant.and_utc().timestamp_millis()));
        }
        Day::parse(text).map(Day::start)
    }

    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0 + duration.as_millis() as i64)
    }

    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0 - duration.as_millis() as i64)
    }

    /// The instant in whole seconds as the `Date` header of HTTP has it.
    pub(crate) fn as_http_date(self) -> String {
        let instant = DateTime::from_timestamp_millis(self.0).unwrap_or_default();
        instant.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
    }

    pub fn day(self) -> Day {
        Day(self.0.div_euclid(DAY) as i32)
    }
}

impl Timestamp {
    /// Writes what `Display` does, because most bytes of a record are written here.
    pub(crate) fn append_to(self, out: &mut String) {
        let milliseconds = self.0.rem_euclid(DAY) as u64;
        self.day().append_to(out);
        out.push('T');
        digits(out, milliseconds / HOUR as u64, 2);
        out.push(':');
        digits(out, milliseconds / MINUTE as u64 % 60, 2);
        out.push(':');
        digits(out, milliseconds / 1000 % 60, 2);
        out.push('.');
        digits(out, milliseconds % 1000, 3);
        out.push('Z');
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(24);
        self.append_to(&mut text);
        formatter.write_str(&text)
    }
}

impl Day {
    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Option<Self> {
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
        Some(Self(date.to_epoch_days()))
    }

    /// The first instant of the day in UTC.
    pub fn start(self) -> Timestamp {
        Timestamp(i64::from(self.0) * DAY)
    }

    pub fn year(self) -> i32 {
        NaiveDate::from_epoch_days(self.0).unwrap_or_default().year()
    }

    pub(crate) fn of(year: i32, month: u32, day: u32) -> Self {
        Self(NaiveDate::from_ymd_opt(year, month, day).unwrap_or_default().to_epoch_days())
    }
}

impl Day {
    pub(crate) fn append_to(self, out: &mut String) {
        let date = NaiveDate::from_epoch_days(self.0).unwrap_or_default();
        digits(out, u64::from(date.year().unsigned_abs()), 4);
        out.push('-');
        digits(out, u64::from(date.month()), 2);
        out.push('-');
        digits(out, u64::from(date.day()), 2);
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(10);
        self.append_to(&mut text);
        formatter.write_str(&text)
    }
}

/// Writes the last `width` decimal digits of a number. Formatting through `Display` costs several times as much, and a
/// page of tasks has thousands of identifiers and times.
pub(crate) fn digits(out: &mut String, number: u64, width: usize) {
    let mut text = [b'0'; 20];
    let mut rest = number;
    for digit in text[..width].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.push_str(str::from_utf8(&text[..width]).unwrap_or_default());
}

/// Writes without an allocation.
pub(crate) fn append(out: &mut String, value: impl fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{value}");
}

/// Virtual time: a start, plus the real time that has passed since (unless frozen), plus what tests advanced it by.
#[derive(Debug)]
pub struct Clock {
    start: Timestamp,
    started: Option<Instant>,
    advanced_milliseconds: AtomicI64,
}

impl Clock {
    /// A clock that shows `start` now and runs with real time.
    pub fn running(start: Timestamp) -> Self {
        Self { start, started: Some(Instant::now()), advanced_milliseconds: AtomicI64::new(0) }
    }

    /// A clock that shows `start` until it is advanced.
    pub fn frozen(start: Timestamp) -> Self {
        Self { start, started: None, advanced_milliseconds: AtomicI64::new(0) }
    }

    /// A running clock that shows the system's time.
    pub fn system() -> Self {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Self::running(Timestamp(since_epoch.as_millis() as i64))
    }

    pub fn now(&self) -> Timestamp {
        let real = self.started.map_or(0, |started| started.elapsed().as_millis() as i64);
        Timestamp(self.start.0 + real + self.advanced_milliseconds.load(Ordering::Relaxed))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.advanced_milliseconds.fetch_add(by.as_millis() as i64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_asana_writes_them_and_read_back() {
        let text = "2012-02-22T02:06:58.147Z";
        let instant = Timestamp::parse(text).unwrap();
        assert_eq!(instant.to_string(), text);
        assert_eq!(instant.day().to_string(), "2012-02-22");
        assert_eq!(Timestamp::parse("2012-02-22").unwrap().to_string(), "2012-02-22T00:00:00.000Z");
        assert_eq!(Timestamp::parse("2012-02-22T04:06:58.147+02:00"), Some(instant));
        assert_eq!(Timestamp::parse("2012-02-22T02:06:58.147000"), Some(instant));
        assert_eq!(Timestamp::parse("yesterday"), None);
        assert_eq!(Day::of(1969, 12, 31), Day(-1));
    }

    #[test]
    fn a_frozen_clock_moves_only_when_told() {
        let clock = Clock::frozen(Timestamp(5));
        assert_eq!(clock.now(), Timestamp(5));
        clock.advance(Duration::from_secs(2));
        assert_eq!(clock.now(), Timestamp(2005));
    }
}
