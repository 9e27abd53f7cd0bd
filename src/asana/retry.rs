//! How often and for how long a request is made again. The only file that names the `backoff` crate, which is not
//! maintained any more.
//!
//! Of that crate only the schedule is used: exponential with jitter. Its retry loop lets a server that names a wait be
//! asked for ever, knows no number of attempts, and reads a clock that tests cannot set.

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
    /// For how long a request is retried that is rejected with a wait, however many times; a wait that is longer
    /// is not begun.
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
    /// For somebody who waits at a form: Airbyte's platform gives a check nine minutes, people give it less.
    pub fn brief() -> Self {
        Self {
            attempts: 3,
            failing_for: Duration::from_secs(15),
            rejected_for: Duration::from_secs(30),
            ..Self::default()
        }
    }

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

    /// What came of a request that fails as told, each attempt at the time that it was made.
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
    async fn failures_are_retried_with_waits_that_double_and_are_never_the_same() {
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
    async fn rejections_that_name_a_wait_end_by_time_and_not_by_count() {
        let patience = Patience::default();
        let course = course(&patience, |_| Err(wait(1))).await;
        assert_eq!(course.outcome, Err(wait(1)));
        assert_eq!(course.attempts.len(), 3601);
        assert!(course.waits.iter().all(|wait| *wait == Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_beyond_all_patience_is_not_begun() {
        let course = course(&Patience::default(), |_| Err(wait(u64::MAX))).await;
        assert_eq!(course.attempts, [Duration::ZERO]);
    }

    #[tokio::test(start_paused = true)]
    async fn rejections_that_name_no_wait_end_by_count() {
        let course = course(&Patience::default(), |_| Err(fault(Kind::SlowDown { retry_after: None }))).await;
        assert_eq!(course.attempts.len(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn rejections_use_up_no_patience_with_failures() {
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
    async fn what_is_final_is_not_retried() {
        let course = course(&Patience::default(), |_| Err(fault(Kind::GrantAccess))).await;
        assert_eq!(course.attempts.len(), 1);
        assert!(course.waits.is_empty());
    }
}
