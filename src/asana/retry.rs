//! How often and for how long a request is made again. The only file that names the `backoff` crate, which is
//! not maintained any more. Knows no HTTP.
//!
//! Of that crate only the schedule is used: exponential with jitter. Its retry loop lets a server that names a
//! wait be asked for ever, knows no number of attempts, and reads a clock that tests cannot set.

use std::time::Duration;

use backoff::SystemClock;
use backoff::backoff::Backoff;
use backoff::exponential::{ExponentialBackoff, ExponentialBackoffBuilder};
use tokio::time::{Instant, sleep};

use super::fault::{Fault, Retry};

/// How patient to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Patience {
    /// The first wait, about.
    pub first_wait: Duration,
    /// No wait is longer.
    pub longest_wait: Duration,
    /// Attempts at a request that fails without naming a wait.
    pub attempts: u32,
    /// For how long such failures are retried, from the first one on.
    pub failing_for: Duration,
    /// For how long a request is retried that is rejected with a wait, however many times.
    pub rejected_for: Duration,
}

impl Default for Patience {
    /// Waits of about 1, 2, 4, 8, 16, 32 and 60 s. Incidents that last longer than these ten minutes are
    /// better met by a new sync, which the platform starts after a while of its own; the hour for rejections
    /// stays below the three hours of silence after which Airbyte gives a source up.
    fn default() -> Self {
        Self {
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            attempts: 8,
            failing_for: Duration::from_secs(10 * 60),
            rejected_for: Duration::from_secs(60 * 60),
        }
    }
}

impl Patience {
    /// The same with no more than so many attempts at a failing request.
    pub fn at_most(&self, attempts: u32) -> Self {
        Self { attempts: self.attempts.min(attempts), ..self.clone() }
    }
}

/// A wait before the next attempt.
#[derive(Debug)]
pub struct Wait<'a> {
    /// The number of the attempt that failed, from 1.
    pub attempt: u32,
    pub wait: Duration,
    pub fault: &'a Fault,
}

/// Makes a request until it succeeds, fails for good, or patience ends; then the last fault is returned.
/// Dropping the future ends it at any point.
pub async fn with_patience<T, Attempt: Future<Output = Result<T, Fault>>>(
    patience: &Patience,
    mut attempt: impl FnMut() -> Attempt,
    mut before_wait: impl FnMut(Wait<'_>),
) -> Result<T, Fault> {
    let mut budget = Budget::new(patience);
    loop {
        let fault = match attempt().await {
            Ok(done) => return Ok(done),
            Err(fault) => fault,
        };
        let Some(wait) = budget.wait_after(fault.retry(), Instant::now()) else { return Err(fault) };
        before_wait(Wait { attempt: budget.attempt, wait, fault: &fault });
        sleep(wait).await;
    }
}

/// What is left of the patience with one request.
struct Budget<'a> {
    patience: &'a Patience,
    schedule: ExponentialBackoff<SystemClock>,
    attempt: u32,
    failures: u32,
    failing_since: Option<Instant>,
    rejected_since: Option<Instant>,
}

impl<'a> Budget<'a> {
    fn new(patience: &'a Patience) -> Self {
        let schedule = ExponentialBackoffBuilder::new()
            .with_initial_interval(patience.first_wait)
            .with_multiplier(2.0)
            .with_randomization_factor(0.5)
            .with_max_interval(patience.longest_wait)
            .with_max_elapsed_time(None)
            .build();
        Self { patience, schedule, attempt: 0, failures: 0, failing_since: None, rejected_since: None }
    }

    /// How long to wait before another attempt, if there is to be one.
    fn wait_after(&mut self, retry: Retry, now: Instant) -> Option<Duration> {
        self.attempt += 1;
        match retry {
            Retry::Never => None,
            Retry::After(wait) => {
                let since = *self.rejected_since.get_or_insert(now);
                (now.duration_since(since).saturating_add(wait) <= self.patience.rejected_for).then_some(wait)
            }
            Retry::WithBackoff => {
                self.failures += 1;
                let since = *self.failing_since.get_or_insert(now);
                if self.failures >= self.patience.attempts {
                    return None;
                }
                let wait = self.schedule.next_backoff()?;
                (now.duration_since(since).saturating_add(wait) <= self.patience.failing_for).then_some(wait)
            }
        }
    }
}
