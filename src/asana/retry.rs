//! How often and for how long a request is retried. Only this file uses the `backoff` crate, which is unmaintained.
//!
//! It uses only the crate's schedule: exponential with jitter. The crate's own retry loop has no maximum number of
//! attempts, never gives up on a server that sends `Retry-After`, and reads a clock that tests cannot set.

use std::time::Duration;

use backoff::SystemClock;
use backoff::backoff::Backoff;
use backoff::exponential::{ExponentialBackoff, ExponentialBackoffBuilder};
use tokio::time::{Instant, sleep};

use super::fault::{Fault, Retry};

/// The retry policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Patience {
    /// The first wait, before jitter.
    pub first_wait: Duration,
    /// Maximum wait, before jitter.
    pub longest_wait: Duration,
    /// Maximum number of attempts at a request that fails without `Retry-After`.
    pub attempts: u32,
    /// How long such failures are retried, from the first one.
    pub failing_for: Duration,
    /// How long a request is retried that is rejected with `Retry-After`, however often. A wait that would exceed this
    /// is not started.
    pub rejected_for: Duration,
}

impl Default for Patience {
    /// Waits of about 1, 2, 4, 8, 16, 32 and 60 s. If an incident lasts longer than ten minutes, the platform's next
    /// sync is the better retry. The hour for rejections is less than the three hours of silence after which Airbyte
    /// stops a source.
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
    /// For a user who waits at a form. Airbyte's platform stops a check after nine minutes.
    pub fn brief() -> Self {
        Self {
            attempts: 3,
            failing_for: Duration::from_secs(15),
            rejected_for: Duration::from_secs(30),
            ..Self::default()
        }
    }

    /// The same policy with at most `attempts` attempts at a failing request.
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

/// Makes a request until it succeeds, fails permanently, or the policy's limits are reached; then returns the last
/// fault. Dropping the future cancels it.
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

/// The retries of one request so far.
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

    /// How long to wait before the next attempt, or `None` for no further attempt.
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::asana::{Asked, Kind};

    fn fault(kind: Kind) -> Fault {
        let asked = Asked { endpoint: "/tasks".into(), object: "/tasks".to_owned() };
        Fault::new(kind, None, "no", &asked)
    }

    fn wait(seconds: u64) -> Fault {
        fault(Kind::SlowDown { retry_after: Some(Duration::from_secs(seconds)) })
    }

    /// The outcome of a request that fails as `answer` says, and when its attempts were made.
    struct Course {
        outcome: Result<(), Fault>,
        attempts: Vec<Duration>,
        waits: Vec<Duration>,
    }

    async fn course(patience: &Patience, answer: impl Fn(usize) -> Result<(), Fault>) -> Course {
        let begin = Instant::now();
        let attempts = RefCell::new(Vec::new());
        let mut waits = Vec::new();
        let attempt = || async {
            let index = attempts.borrow().len();
            attempts.borrow_mut().push(begin.elapsed());
            answer(index)
        };
        let outcome = with_patience(patience, attempt, |wait| waits.push(wait.wait)).await;
        Course { outcome, attempts: attempts.into_inner(), waits }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_retried_with_waits_that_double_with_jitter() {
        let patience = Patience::default();
        let course = course(&patience, |_| Err(fault(Kind::TryAgain))).await;
        assert_eq!(course.outcome, Err(fault(Kind::TryAgain)));
        assert_eq!(course.attempts.len(), 8);
        for (index, wait) in course.waits.iter().enumerate() {
            let middle = (patience.first_wait * 2_u32.pow(index as u32)).min(patience.longest_wait);
            let range = middle / 2..=middle + middle / 2;
            assert!(range.contains(wait), "wait {index} is {wait:?}");
        }
        assert!(course.waits.iter().any(|wait| wait.subsec_nanos() != 0), "no jitter: {:?}", course.waits);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_end_by_time_too() {
        let patience = Patience { attempts: u32::MAX, ..Patience::default() };
        let course = course(&patience, |_| Err(fault(Kind::Reconnect))).await;
        assert_eq!(course.outcome, Err(fault(Kind::Reconnect)));
        let last = *course.attempts.last().unwrap();
        assert!(last <= patience.failing_for && last > patience.failing_for - patience.longest_wait * 2);
    }

    #[tokio::test(start_paused = true)]
    async fn rejections_with_retry_after_end_by_time_and_not_by_count() {
        let patience = Patience::default();
        let course = course(&patience, |_| Err(wait(1))).await;
        assert_eq!(course.outcome, Err(wait(1)));
        assert_eq!(course.attempts.len(), 3601);
        assert!(course.waits.iter().all(|wait| *wait == Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_beyond_the_limit_is_not_started() {
        let course = course(&Patience::default(), |_| Err(wait(u64::MAX))).await;
        assert_eq!(course.attempts, [Duration::ZERO]);
    }

    #[tokio::test(start_paused = true)]
    async fn rejections_without_retry_after_end_by_count() {
        let course = course(&Patience::default(), |_| Err(fault(Kind::SlowDown { retry_after: None }))).await;
        assert_eq!(course.attempts.len(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn rejections_do_not_count_as_failures() {
        let patience = Patience { attempts: 2, ..Patience::default() };
        let course = course(&patience, |index| match index {
            0..1000 => Err(wait(2)),
            1000 => Err(fault(Kind::TryAgain)),
            _ => Ok(()),
        })
        .await;
        assert_eq!(course.outcome, Ok(()));
        assert_eq!(course.attempts.len(), 1002);
    }

    #[tokio::test(start_paused = true)]
    async fn permanent_failures_are_not_retried() {
        let course = course(&Patience::default(), |_| Err(fault(Kind::GrantAccess))).await;
        assert_eq!(course.attempts.len(), 1);
        assert!(course.waits.is_empty());
    }
}
