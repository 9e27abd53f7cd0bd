//! Asana's time, from the `Date` header of its answers.
//!
//! Cursors are compared with times that Asana wrote, so they must be in Asana's time. With the clock of a machine that
//! is fast, the next sync would miss changes made shortly after this one.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::fmt::rfc2822;

use crate::moment::Moment;

/// A header that is further ahead of this machine's clock is wrong: with a machine's clock that slow, no certificate of
/// Asana's would be valid yet. A cursor from such a header would lose changes.
const FURTHEST_AHEAD: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Asana's time at the creation of the client.
#[derive(Debug, Default)]
pub(super) struct ServerClock {
    began: OnceLock<Moment>,
}

impl ServerClock {
    /// Sets the time from the first answer, which arrived `elapsed` after the client was created. Later answers change
    /// nothing, because a sync has one beginning.
    ///
    /// The header is truncated to seconds and was written before the answer arrived, so the result is never later than
    /// Asana's time was.
    pub fn learn(&self, date: &str, elapsed: Duration) {
        if let Some(date) = parse(date) {
            self.began.get_or_init(|| date.minus(elapsed));
        }
    }

    /// When the sync began, by Asana's clock. `local` is the same time by this machine's clock.
    pub fn began(&self, local: Moment) -> Moment {
        match self.began.get() {
            Some(server) if server.minus(FURTHEST_AHEAD) <= local => *server,
            _ => local,
        }
    }
}

/// The date of an HTTP header, such as `Fri, 27 Nov 2026 23:18:04 GMT`.
fn parse(date: &str) -> Option<Moment> {
    let timestamp = rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    u64::try_from(timestamp.as_millisecond()).ok().map(Moment::from_unix_milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Moment {
        Moment::parse(text).unwrap()
    }

    #[test]
    fn the_first_answer_sets_when_the_sync_began() {
        let clock = ServerClock::default();
        let local = at("2026-11-27T23:30:00.500Z");
        assert_eq!(clock.began(local), local);
        clock.learn("no date", Duration::ZERO);
        assert_eq!(clock.began(local), local);
        clock.learn("Fri, 27 Nov 2026 23:15:02 GMT", Duration::from_millis(700));
        clock.learn("Fri, 27 Nov 2026 23:45:02 GMT", Duration::from_secs(1800));
        assert_eq!(clock.began(local), at("2026-11-27T23:15:01.300Z"));
    }

    #[test]
    fn a_header_that_is_years_ahead_is_not_used() {
        for (date, local, began) in [
            ("Fri, 27 Nov 2026 12:00:00 GMT", "2026-11-29T12:00:00Z", "2026-11-27T12:00:00Z"),
            ("Fri, 27 Nov 2026 12:00:00 GMT", "2026-01-01T00:00:00Z", "2026-11-27T12:00:00Z"),
            ("Fri, 27 Nov 2026 12:00:00 GMT", "2025-11-25T12:00:00Z", "2025-11-25T12:00:00Z"),
        ] {
            let clock = ServerClock::default();
            clock.learn(date, Duration::ZERO);
            assert_eq!(clock.began(at(local)), at(began));
        }
    }
}
