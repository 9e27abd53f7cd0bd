//! What came of each stream: records, requests, what was skipped and why.

use std::time::Duration;

use crate::asana::Reason;
use airbyte_connector::Failure;

/// One stream's account of a sync.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Records that were emitted, deletions among them.
    pub records: u64,
    pub deletions: u64,
    /// Their size as JSON text.
    pub bytes: u64,
    /// Listings that were read or tried.
    pub listings: u64,
    /// Those of them whose reading ended, with or without a fault.
    pub listings_done: u64,
    /// Requests that were sent for them, retries included.
    pub requests: u64,
    /// Listings that Asana refused and that may be passed over, by the reason.
    pub skipped: Vec<(Reason, u64)>,
    /// What could not be read, by what went wrong; the stream is incomplete.
    pub failures: Vec<Failure>,
    /// Failures beyond the first few, which are only counted.
    pub further_failures: u64,
    /// The stream was not read to its end.
    pub is_unfinished: bool,
}

/// How many failures of a stream are reported one by one. Airbyte keeps ten of a sync.
const REPORTED: usize = 3;

/// An estimate needs at least this many listings, and this share of all.
const MIN_LISTINGS_FOR_ESTIMATE: u64 = 20;
const MIN_SHARE_FOR_ESTIMATE: f64 = 0.1;

/// How much a stream is expected to come to in this sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    pub records: u64,
    /// As JSON text.
    pub bytes: u64,
}

/// How far a sync is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub streams: usize,
    pub streams_done: usize,
    /// Requests that were sent, retries included.
    pub requests: u64,
    /// Listings that are known and not through: each takes a request at least, and may show others.
    pub listings_left: u64,
    /// Since the sync began.
    pub elapsed: Duration,
    /// How long no request starts, from now on.
    pub pause: Duration,
}

impl Standing {
    /// Requests a minute since the sync began.
    pub fn rate(&self) -> f64 {
        let minutes = self.elapsed.as_secs_f64() / 60.0;
        self.requests as f64 / minutes.max(f64::MIN_POSITIVE)
    }

    /// Minutes that the known listings take at least, rounded up.
    pub fn minutes_left(&self) -> u64 {
        let left = self.listings_left as f64 / self.rate().max(1.0) + self.pause.as_secs_f64() / 60.0;
        left.ceil() as u64
    }

    /// One line for a person: what was done of what is known, how fast, and how much longer it takes at least.
    pub fn line(&self) -> String {
        let (rate, left) = (self.rate(), self.minutes_left());
        let pause = match self.pause.as_secs() {
            0 => String::new(),
            seconds => format!("waiting {} s for Asana's quota; ", grouped(seconds)),
        };
        format!(
            "{} of {} {} done; {} {} made, {rate:.0} a minute; {pause}at least {} more, about {} {}, and more as \
             listings are found",
            self.streams_done,
            self.streams,
            plural(self.streams as u64, "stream"),
            grouped(self.requests),
            plural(self.requests, "request"),
            grouped(self.listings_left),
            grouped(left),
            plural(left, "minute"),
        )
    }
}

impl Account {
    /// Counts a skip. Returns how many there are now for this reason.
    pub fn skip(&mut self, reason: Reason) -> u64 {
        match self.skipped.iter_mut().find(|(other, _)| *other == reason) {
            Some((_, count)) => {
                *count += 1;
                *count
            }
            None => {
                self.skipped.push((reason, 1));
                1
            }
        }
    }

    pub fn fail(&mut self, failure: Failure) {
        if self.failures.len() < REPORTED {
            self.failures.push(failure);
        } else {
            self.further_failures += 1;
        }
    }

    pub fn is_incomplete(&self) -> bool {
        !self.failures.is_empty()
    }

    pub fn skips(&self) -> u64 {
        self.skipped.iter().map(|(_, count)| count).sum()
    }

    /// What the stream comes to, if the `left` listings that are still to be read hold as much as those that were.
    /// Nothing while that would be a guess.
    pub fn estimate(&self, left: u64) -> Option<Estimate> {
        let all = self.listings_done + left;
        let is_telling = self.listings_done >= MIN_LISTINGS_FOR_ESTIMATE
            && self.listings_done as f64 >= MIN_SHARE_FOR_ESTIMATE * all as f64
            && self.records > 0;
        let scaled = |sum: u64| (sum as f64 * all as f64 / self.listings_done as f64).round() as u64;
        is_telling.then(|| Estimate { records: scaled(self.records), bytes: scaled(self.bytes) })
    }

    /// One line for a person: `tasks: 1,204 records in 31 requests; 2 listings skipped: …`.
    pub fn line(&self, stream: &str) -> String {
        let mut line = format!(
            "{stream}: {} {} in {} {}",
            grouped(self.records),
            plural(self.records, "record"),
            grouped(self.requests),
            plural(self.requests, "request")
        );
        let mut skipped: Vec<_> =
            self.skipped.iter().map(|(reason, count)| (reason.text(), *count)).collect();
        skipped.sort_unstable();
        for (reason, count) in skipped {
            line.push_str(&format!("; {} {} skipped: {reason}", grouped(count), plural(count, "listing")));
        }
        let failures = self.failures.len() as u64 + self.further_failures;
        if failures > 0 {
            line.push_str(&format!("; INCOMPLETE, {} {}", grouped(failures), plural(failures, "failure")));
        } else if self.is_unfinished {
            line.push_str("; INCOMPLETE, because the sync stopped");
        }
        line
    }
}

/// A number with commas between its thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub fn plural(count: u64, noun: &str) -> String {
    if count == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// A time as a person says it.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{} h {minutes} min", grouped(hours)),
    }
}

#[cfg(test)]
impl Standing {
    pub(super) const EXAMPLE: Self = Self {
        streams: 10,
        streams_done: 3,
        requests: 1204,
        listings_left: 3001,
        elapsed: Duration::from_secs(16 * 60),
        pause: Duration::ZERO,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_reads_as_a_sentence() {
        let mut account = Account { records: 1204, requests: 31, ..Account::default() };
        assert_eq!(account.line("tasks"), "tasks: 1,204 records in 31 requests");
        account.skip(Reason::PlanTooLow);
        account.fail(Failure::transient("a"));
        assert_eq!(
            account.line("tasks"),
            "tasks: 1,204 records in 31 requests; 1 listing skipped: the Asana plan does not include it; INCOMPLETE, 1 failure"
        );
    }

    #[test]
    fn a_standing_says_what_was_done_of_what_is_known() {
        let standing = Standing::EXAMPLE;
        assert_eq!(
            standing.line(),
            "3 of 10 streams done; 1,204 requests made, 75 a minute; at least 3,001 more, about 40 minutes, and more \
             as listings are found"
        );
        let waiting = Standing { pause: Duration::from_secs(1800), ..standing };
        assert_eq!(
            waiting.line(),
            "3 of 10 streams done; 1,204 requests made, 75 a minute; waiting 1,800 s for Asana's quota; at least \
             3,001 more, about 70 minutes, and more as listings are found"
        );
        let begun =
            Standing { requests: 0, listings_left: 1, elapsed: Duration::ZERO, streams: 1, ..standing };
        assert_eq!(
            begun.line(),
            "3 of 1 stream done; 0 requests made, 0 a minute; at least 1 more, about 1 minute, and more as listings \
             are found"
        );
    }

    #[test]
    fn an_estimate_is_made_when_enough_was_read() {
        let account = Account { records: 500, bytes: 9000, listings_done: 50, ..Account::default() };
        assert_eq!(account.estimate(150), Some(Estimate { records: 2000, bytes: 36000 }));
        assert_eq!(account.estimate(0), Some(Estimate { records: 500, bytes: 9000 }));
        assert_eq!(account.estimate(451), None, "a tenth at least");
        let few = Account { listings_done: 19, ..account };
        assert_eq!(few.estimate(0), None);
    }

    #[test]
    fn only_the_first_failures_are_reported() {
        let mut account = Account::default();
        (0..9).for_each(|_| account.fail(Failure::transient("a")));
        assert_eq!((account.failures.len(), account.further_failures), (3, 6));
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
    }
}
