//! How many requests a token may send: by the minute, at the same time, and by cost. The time is an argument.

use std::collections::VecDeque;

use crate::options::Limits;
use crate::refusal::Refusal;
use crate::time::{MINUTE, Timestamp};

/// One token's recent requests.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    requests: Window,
    searches: Window,
    in_flight: u32,
    cost: Cost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Search,
    Other,
}

impl Limiter {
    /// Admits a request, or returns how long to wait. An admitted request must call [`Limiter::leave`].
    pub(crate) fn enter(&mut self, limits: &Limits, sort: Sort, now: Timestamp) -> Result<(), Refusal> {
        let mut wait = self.requests.count(limits.requests_per_minute, now);
        if sort == Sort::Search {
            wait = wait.max(self.searches.count(limits.searches_per_minute, now));
        }
        wait = wait.max(self.cost.wait(limits.cost_per_minute, now));
        if let Some(milliseconds) = wait {
            return Err(Refusal::too_many_requests((milliseconds as u64).div_ceil(1000).max(1)));
        }
        if self.in_flight >= limits.concurrent_reads {
            return Err(Refusal::too_many_requests(1));
        }
        self.in_flight += 1;
        Ok(())
    }

    /// Removes an admitted request and charges its cost.
    pub(crate) fn leave(&mut self, limits: &Limits, cost: u64) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if limits.cost_per_minute.is_some() {
            self.cost.spent += cost as f64;
        }
    }
}

/// Arrivals in the last minute, including rejected ones: retrying too early makes the wait longer.
#[derive(Debug, Default)]
struct Window {
    arrivals: VecDeque<Timestamp>,
}

impl Window {
    /// Counts an arrival. If it exceeds the limit, returns the milliseconds until the next is admitted.
    fn count(&mut self, limit: Option<u32>, now: Timestamp) -> Option<i64> {
        let limit = limit? as usize;
        while self.arrivals.front().is_some_and(|first| first.0 + MINUTE <= now.0) {
            self.arrivals.pop_front();
        }
        self.arrivals.push_back(now);
        let excess = self.arrivals.len().checked_sub(limit + 1)?;
        // One more fits when all but `limit - 1` have left the window.
        Some(self.arrivals[excess + 1.min(limit)].0 + MINUTE - now.0)
    }
}

/// A budget that refills evenly and may be overdrawn.
#[derive(Debug, Default)]
struct Cost {
    spent: f64,
    seen: Option<Timestamp>,
}

impl Cost {
    fn wait(&mut self, per_minute: Option<u64>, now: Timestamp) -> Option<i64> {
        let per_minute = per_minute? as f64;
        let per_millisecond = per_minute / MINUTE as f64;
        let passed = self.seen.map_or(0, |seen| now.0 - seen.0);
        self.seen = Some(now);
        self.spent = (self.spent - passed as f64 * per_millisecond).max(0.0);
        (self.spent > per_minute).then(|| ((self.spent - per_minute) / per_millisecond).ceil() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(requests: u32) -> Limits {
        Limits { requests_per_minute: Some(requests), ..Limits::default() }
    }

    fn admitted(limiter: &mut Limiter, limits: &Limits, at: i64) -> Result<(), u64> {
        let entered = limiter.enter(limits, Sort::Other, Timestamp(at));
        if entered.is_ok() {
            limiter.leave(limits, 10);
        }
        entered.map_err(|refusal| refusal.retry_after.unwrap())
    }

    #[test]
    fn waiting_as_told_is_always_enough() {
        for burst in 1..30 {
            let mut limiter = Limiter::default();
            let limits = limits(10);
            let mut now = 0;
            let mut refused = None;
            for _ in 0..burst {
                refused = admitted(&mut limiter, &limits, now).err();
                now += 137;
            }
            if let Some(seconds) = refused {
                assert_eq!(
                    admitted(&mut limiter, &limits, now - 137 + seconds as i64 * 1000),
                    Ok(()),
                    "{burst}"
                );
            }
        }
    }

    #[test]
    fn never_more_than_the_limit_in_any_minute() {
        let mut limiter = Limiter::default();
        let limits = limits(20);
        let mut random = crate::random::Random::new(1);
        let mut now = 0;
        let mut times: Vec<i64> = Vec::new();
        for _ in 0..5000 {
            now += random.below(6000) as i64;
            if admitted(&mut limiter, &limits, now).is_ok() {
                times.push(now);
            }
        }
        assert!(times.len() > 500);
        assert!(times.windows(21).all(|window| window[20] - window[0] >= MINUTE));
    }

    #[test]
    fn refused_requests_count() {
        let mut limiter = Limiter::default();
        let limits = limits(1);
        assert_eq!(admitted(&mut limiter, &limits, 0), Ok(()));
        for at in (1000..600_000).step_by(30_000) {
            assert!(admitted(&mut limiter, &limits, at).is_err(), "{at}");
        }
    }

    #[test]
    fn only_so_many_at_a_time() {
        let mut limiter = Limiter::default();
        let limits = Limits { concurrent_reads: 2, ..Limits::default() };
        let enter = |limiter: &mut Limiter| limiter.enter(&limits, Sort::Other, Timestamp(0)).is_ok();
        assert!(enter(&mut limiter) && enter(&mut limiter) && !enter(&mut limiter));
        limiter.leave(&limits, 0);
        assert!(enter(&mut limiter));
    }

    #[test]
    fn searches_have_a_limit_of_their_own() {
        let mut limiter = Limiter::default();
        let limits = Limits { searches_per_minute: Some(1), ..Limits::default() };
        assert!(limiter.enter(&limits, Sort::Search, Timestamp(0)).is_ok());
        assert!(limiter.enter(&limits, Sort::Other, Timestamp(0)).is_ok());
        assert!(limiter.enter(&limits, Sort::Search, Timestamp(0)).is_err());
        assert!(limiter.enter(&limits, Sort::Other, Timestamp(0)).is_ok());
    }

    #[test]
    fn an_overdrawn_budget_refills() {
        let mut limiter = Limiter::default();
        let limits = Limits { cost_per_minute: Some(25), ..Limits::default() };
        let results: Vec<bool> = (0..4).map(|_| admitted(&mut limiter, &limits, 0).is_ok()).collect();
        assert_eq!(results, [true, true, true, false]);
        let wait = admitted(&mut limiter, &limits, 0).unwrap_err();
        assert_eq!(wait, 12);
        assert_eq!(admitted(&mut limiter, &limits, 12_000), Ok(()));
    }
}
