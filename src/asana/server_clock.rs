//! What time it is at Asana, from the `Date` header of its answers. Pure: the times of this machine are arguments.
//!
//! Cursors are compared with times that Asana wrote, so they have to be in Asana's time: with a machine's clock that is
//! fast, changes made before the cursor and after the sync would never be read.

use std::sync::OnceLock;
use std::time::Duration;

use jiff::fmt::rfc2822;

use crate::moment::Moment;

/// Clocks that differ by more than this are not both clocks: the earlier one loses no changes, so it counts.
const LARGEST_DIFFERENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Asana's time at the moment when the client was made.
#[derive(Debug, Default)]
pub(super) struct ServerClock {
    began: OnceLock<Moment>,
}

impl ServerClock {
    /// Learns from an answer that came `elapsed` after the client was made. The first answer counts: a sync has one
    /// beginning.
    ///
    /// The header has whole seconds, cut off, and was written before the answer came, so the result is never later than
    /// Asana's time was.
    pub fn learn(&self, date: &str, elapsed: Duration) {
        if let Some(date) = parse(date) {
            self.began.get_or_init(|| date.minus(elapsed));
        }
    }

    /// When the sync began in Asana's time; `local` is what this machine's clock showed then.
    pub fn began(&self, local: Moment) -> Moment {
        match self.began.get() {
            None => local,
            Some(server) if server.max(&local).minus(LARGEST_DIFFERENCE) > *server.min(&local) => {
                *server.min(&local)
            }
            Some(server) => *server,
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
    fn the_first_answer_tells_when_the_sync_began() {
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
    fn of_clocks_that_are_days_apart_the_earlier_one_counts() {
        for (date, local, began) in [
            ("Fri, 27 Nov 2026 12:00:00 GMT", "2026-11-29T12:00:00Z", "2026-11-27T12:00:00Z"),
            ("Fri, 27 Nov 2026 12:00:00 GMT", "2026-11-25T12:00:00Z", "2026-11-25T12:00:00Z"),
            ("Fri, 27 Nov 2026 12:00:00 GMT", "2026-11-26T13:00:00Z", "2026-11-27T12:00:00Z"),
        ] {
            let clock = ServerClock::default();
            clock.learn(date, Duration::ZERO);
            assert_eq!(clock.began(at(local)), at(began));
        }
    }
}
