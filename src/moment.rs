//! A point in time in milliseconds, in the format of Asana and of the state.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// A point in time in whole milliseconds, UTC. Printed as Asana prints it: `2012-02-22T02:06:58.147Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    /// `milliseconds` since 1970.
    pub fn from_unix_milliseconds(milliseconds: u64) -> Self {
        Self(i64::try_from(milliseconds).unwrap_or(i64::MAX))
    }

    /// Milliseconds since 1970; zero for earlier ones.
    pub fn unix_milliseconds(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    /// Parses an RFC 3339 time with offset, or a date, which means its start in UTC.
    pub fn parse(text: &str) -> Option<Self> {
        const DATE: usize = "2012-02-22".len();
        let timestamp = if text.len() == DATE {
            text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp()
        } else {
            text.parse::<Timestamp>().ok()?
        };
        Some(Self(timestamp.as_millisecond()))
    }

    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(formatter, "{timestamp:.3}"),
            // Asana's format ends with the year 9999.
            Err(_) => write!(formatter, "9999-12-31T00:00:00.000Z"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_parses_in_asanas_form() {
        for (text, printed) in [
            ("2012-02-22T02:06:58.147Z", "2012-02-22T02:06:58.147Z"),
            ("2012-02-22T02:06:58Z", "2012-02-22T02:06:58.000Z"),
            ("2012-02-22T03:06:58.5+01:00", "2012-02-22T02:06:58.500Z"),
            ("2012-02-22", "2012-02-22T00:00:00.000Z"),
        ] {
            assert_eq!(Moment::parse(text).unwrap().to_string(), printed);
        }
        for nonsense in ["", "yesterday", "2012-02-30", "2012-02-22T02:06:58"] {
            assert_eq!(Moment::parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn orders_by_time() {
        let early = Moment::parse("2012-02-22T02:06:58.147Z").unwrap();
        assert!(early.minus(Duration::from_secs(60)) < early);
        assert_eq!(Moment::from_unix_milliseconds(early.unix_milliseconds()), early);
    }
}
