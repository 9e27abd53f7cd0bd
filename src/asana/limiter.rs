//! The rate limiter: how fast requests start (additive increase, multiplicative decrease), and how many at once.
//!
//! [`Pace`] decides and takes the time as an argument. [`Limiter`] waits, issues permits, and reports their outcome to
//! the pace. Asana counts rejected requests against the quota too, so a pace that keeps running into 429 achieves less
//! than one slightly below the limit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// Maximum number of concurrent GET requests per token (Asana's rate limit page).
pub const MOST_IN_FLIGHT: usize = 50;
/// Requests per minute and token in a free domain (Asana's rate limit page).
pub const FREE_PER_MINUTE: u32 = 150;
/// Requests per minute and token in a paid domain (Asana's rate limit page).
pub const PAID_PER_MINUTE: u32 = 1500;
/// Searches per minute: slightly below the 60 of Asana's rate limit page.
pub const SEARCHES_PER_MINUTE: u32 = 55;

/// The share of the ceiling that is used. Requests that start evenly do not arrive evenly. The rest is a margin, so
/// that no minute by the server's count exceeds the ceiling.
const SHARE: f64 = 0.985;
/// A rejection multiplies the pace by this.
const DECREASE: f64 = 0.85;
/// Recovery adds this share of the ceiling per second: from zero to the ceiling takes 100 s.
const RECOVERY: f64 = 0.01;
/// Quick recovery ends at this share of the pace that was rejected.
const REMEMBERED: f64 = 0.97;
/// Time after a rejection until growth beyond the remembered pace is as quick as recovery.
const MEMORY: Duration = Duration::from_secs(180);
/// Beyond the remembered pace, growth is proportional to the pace, but at least to this share of the ceiling. Otherwise
/// a pace near the floor would stay there.
const LEAST_GROWING: f64 = 0.05;
/// The minimum pace: one request per ten seconds.
const FLOOR_PER_MINUTE: f64 = 6.0;
/// The unit of quotas.
const MINUTE: Duration = Duration::from_secs(60);
/// A longer `Retry-After` means that the minute's quota was used up early, so the number of answers in that minute is
/// taken as the quota. It is not taken if it is below what this pace yields in the elapsed part of the minute, because
/// Asana's quota for costs also causes long waits and does not count requests. A shorter wait only means that the pace
/// is slightly too fast.
const LONG_WAIT: Duration = Duration::from_secs(5);
/// How late a request may start without resetting the rhythm. After a longer delay, the unused time is not made up for.
const TOLERANCE: Duration = Duration::from_millis(100);
/// The pace grows only after demand has kept up with it for this long.
const STEADY: Duration = Duration::from_secs(1);
/// The first pause after a rejection without `Retry-After`. It doubles with each further one.
const UNNAMED_PAUSE: Duration = Duration::from_secs(1);
/// Maximum pause. Callers give up earlier.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Which of Asana's quotas a request draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quota {
    #[default]
    Standard,
    /// The search endpoints: 60 a minute, on top of the standard quota.
    Search,
}

/// The limits to respect. A ceiling is the quota itself; the limiter stays slightly below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests per minute at the start.
    pub start_per_minute: u32,
    /// Maximum number of requests per minute.
    pub ceiling_per_minute: u32,
    /// Maximum number of concurrent requests, from 1 to [`MOST_IN_FLIGHT`].
    pub in_flight: usize,
    /// Maximum number of searches per minute.
    pub search_per_minute: u32,
}

impl Limits {
    /// A known quota: start with all of it.
    pub fn fixed(per_minute: u32) -> Self {
        Self {
            start_per_minute: per_minute,
            ceiling_per_minute: per_minute,
            in_flight: MOST_IN_FLIGHT,
            search_per_minute: SEARCHES_PER_MINUTE,
        }
    }

    /// An unknown quota: start with what every plan allows, and grow up to `per_minute`.
    pub fn adaptive_up_to(per_minute: u32) -> Self {
        Self { start_per_minute: per_minute.min(FREE_PER_MINUTE), ..Self::fixed(per_minute) }
    }
}

/// The number of a started request. It shows whether the request started before or after a decrease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// The effect of a rejection on the pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Congestion {
    /// The pace was lowered.
    New,
    /// The request started before the pace was last lowered, so it says nothing about the current pace.
    Known,
}

/// Decides when requests start. All times are relative to an epoch of the caller's choice and never decrease.
#[derive(Debug, Clone)]
pub struct Pace {
    floor: f64,
    ceiling: f64,
    per_minute: f64,
    /// Recovery is quick up to here and careful beyond.
    remembered: f64,
    last_slot: Option<Duration>,
    steady_since: Duration,
    grown_at: Duration,
    blocked_until: Duration,
    started: u64,
    /// The last start before the pace was last lowered.
    lowered_after: u64,
    /// When the pause that came with that ended.
    lowered_at: Option<Duration>,
    /// Whether a request that started since the last decrease was answered. While the server rejects everything,
    /// rejections say nothing about the pace: it keeps falling, and the first answer restores `tried`.
    is_tried: bool,
    /// The pace after the last decrease that was based on an answered request.
    tried: f64,
    /// Consecutive rejections without `Retry-After`.
    unnamed_in_a_row: u32,
    answered: LastMinute,
}

impl Pace {
    /// A pace that starts at `start` requests per minute and grows up to `ceiling`.
    pub fn new(start: f64, ceiling: f64) -> Self {
        let ceiling = ceiling.max(f64::MIN_POSITIVE.max(1e-3));
        let floor = FLOOR_PER_MINUTE.min(ceiling);
        Self {
            floor,
            ceiling,
            per_minute: start.clamp(floor, ceiling),
            remembered: ceiling,
            last_slot: None,
            steady_since: Duration::ZERO,
            grown_at: Duration::ZERO,
            blocked_until: Duration::ZERO,
            started: 0,
            lowered_after: 0,
            lowered_at: None,
            is_tried: true,
            tried: start.clamp(floor, ceiling),
            unnamed_in_a_row: 0,
            answered: LastMinute::default(),
        }
    }

    /// Current requests per minute.
    pub fn per_minute(&self) -> f64 {
        self.per_minute
    }

    /// When the next request may start. May be in the past.
    pub fn next_start(&self) -> Duration {
        let in_rhythm = self.last_slot.map_or(Duration::ZERO, |slot| slot.saturating_add(self.interval()));
        in_rhythm.max(self.blocked_until)
    }

    /// Starts a request, no earlier than [`Self::next_start`].
    pub fn start(&mut self, now: Duration) -> Ticket {
        let due = self.next_start();
        let is_on_time = self.last_slot.is_some() && now.saturating_sub(due) <= TOLERANCE;
        if !is_on_time {
            self.steady_since = now;
        }
        self.last_slot = Some(if is_on_time { due } else { now });
        self.started += 1;
        Ticket(self.started)
    }

    /// Reports that a request was answered, so the quota had room for it.
    pub fn answered(&mut self, ticket: Ticket, now: Duration) {
        self.answered.add(now);
        // Requests that started before the last decrease say nothing about the current pace.
        if ticket.0 > self.lowered_after {
            self.unnamed_in_a_row = 0;
            if !self.is_tried {
                self.is_tried = true;
                self.per_minute = self.per_minute.max(self.tried);
            }
        }
        let since = now.saturating_sub(self.grown_at).min(STEADY);
        self.grown_at = now;
        if now.saturating_sub(self.steady_since) >= STEADY {
            self.grow(since, now);
        }
    }

    /// Reports that a request was rejected with 429 and this `Retry-After`.
    pub fn rejected(&mut self, ticket: Ticket, retry_after: Option<Duration>, now: Duration) -> Congestion {
        let is_known = ticket.0 <= self.lowered_after;
        let pause = retry_after.unwrap_or_else(|| {
            if !is_known {
                self.unnamed_in_a_row = self.unnamed_in_a_row.saturating_add(1);
            }
            let doublings = self.unnamed_in_a_row.saturating_sub(1).min(6);
            (UNNAMED_PAUSE * 2_u32.pow(doublings)).min(MINUTE)
        });
        let pause = pause.min(LONGEST_PAUSE);
        self.block_until(now.saturating_add(pause));
        if is_known {
            return Congestion::Known;
        }
        if self.is_tried {
            self.lower(retry_after, now);
        } else {
            self.per_minute = (self.per_minute * DECREASE).max(self.floor);
        }
        self.is_tried = false;
        self.lowered_after = self.started;
        self.lowered_at = Some(self.blocked_until.max(now));
        self.grown_at = self.blocked_until.max(now);
        Congestion::New
    }

    /// Lowers the pace because it was too fast.
    fn lower(&mut self, retry_after: Option<Duration>, now: Duration) {
        let was_quiet = self.lowered_at.is_none_or(|at| now.saturating_sub(at) > MINUTE);
        let too_fast = match retry_after {
            Some(wait) if wait > LONG_WAIT => {
                let answered = f64::from(self.answered.count(now));
                let of_minute = 1.0 - wait.min(MINUTE).div_duration_f64(MINUTE);
                self.per_minute.min(answered.max(self.per_minute * of_minute))
            }
            _ => self.per_minute,
        };
        self.per_minute = (too_fast * DECREASE).max(self.floor);
        self.tried = self.per_minute;
        // After two rejections in quick succession, the remembered pace was too high.
        self.remembered = if was_quiet { too_fast * REMEMBERED } else { self.per_minute };
    }

    /// No request starts before `until`.
    pub fn block_until(&mut self, until: Duration) {
        self.blocked_until = self.blocked_until.max(until);
    }

    /// When requests may start again after the last pause.
    pub fn blocked_until(&self) -> Duration {
        self.blocked_until
    }

    fn interval(&self) -> Duration {
        MINUTE.div_f64(self.per_minute)
    }

    fn grow(&mut self, since: Duration, now: Duration) {
        let is_recovering = self.per_minute < self.remembered;
        let (step, bound) = if is_recovering {
            (self.ceiling * RECOVERY, self.remembered)
        } else {
            let quiet = now.saturating_sub(self.lowered_at.unwrap_or_default());
            let boldness = quiet.div_duration_f64(MEMORY).min(1.0).powi(3);
            (self.per_minute.max(self.ceiling * LEAST_GROWING) * RECOVERY * boldness, self.ceiling)
        };
        let grown = (self.per_minute + step * since.as_secs_f64()).min(bound).min(self.ceiling);
        self.per_minute = grown.max(self.per_minute);
    }
}

/// Counts events of the last minute, with a resolution of one second.
#[derive(Debug, Clone, Default)]
struct LastMinute {
    by_second: VecDeque<(u64, u32)>,
}

impl LastMinute {
    fn add(&mut self, now: Duration) {
        let second = now.as_secs();
        match self.by_second.back_mut() {
            Some((last, count)) if *last >= second => *count += 1,
            _ => self.by_second.push_back((second, 1)),
        }
        self.forget(second);
    }

    fn count(&mut self, now: Duration) -> u32 {
        self.forget(now.as_secs());
        self.by_second.iter().map(|(_, count)| count).sum()
    }

    fn forget(&mut self, second: u64) {
        while self.by_second.front().is_some_and(|(first, _)| first + MINUTE.as_secs() <= second) {
            self.by_second.pop_front();
        }
    }
}

/// Starts requests at the pace of their quota, and limits how many are in flight.
#[derive(Debug)]
pub struct Limiter {
    epoch: Instant,
    in_flight: Arc<Semaphore>,
    standard: Lane,
    search: Lane,
}

/// The queue for one quota, first come, first served. Only the first in the queue waits for the clock, so a change of
/// the pace affects all.
#[derive(Debug)]
struct Lane {
    turn: tokio::sync::Mutex<()>,
    pace: Mutex<Pace>,
}

/// The permit for one request in flight. Dropping it releases the slot. Call [`Permit::answered`] or
/// [`Permit::rejected`] to report the outcome, or neither if there was no answer.
#[derive(Debug)]
pub struct Permit {
    limiter: Arc<Limiter>,
    standard: Ticket,
    search: Option<Ticket>,
    _place: OwnedSemaphorePermit,
}

/// The consequence of a rejection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection {
    pub congestion: Congestion,
    /// Time from now in which no request starts.
    pub pause: Duration,
}

impl Limiter {
    pub fn new(limits: Limits) -> Arc<Self> {
        let start = f64::from(limits.start_per_minute) * SHARE;
        let ceiling = f64::from(limits.ceiling_per_minute) * SHARE;
        let search = f64::from(limits.search_per_minute);
        Arc::new(Self {
            epoch: Instant::now(),
            in_flight: Arc::new(Semaphore::new(limits.in_flight.clamp(1, MOST_IN_FLIGHT))),
            standard: Lane::new(Pace::new(start, ceiling)),
            search: Lane::new(Pace::new(search, search)),
        })
    }

    /// Waits until a request may start. Dropping the future leaves the queue and uses no quota.
    pub async fn permit(self: &Arc<Self>, quota: Quota) -> Permit {
        // A search keeps the search queue locked until it starts. Otherwise, searches that waited for the standard pace
        // could start closer together than the search pace allows.
        let search_turn = match quota {
            Quota::Standard => None,
            Quota::Search => Some(self.search.turn(self.epoch).await),
        };
        let place = Arc::clone(&self.in_flight).acquire_owned().await.expect("the semaphore is never closed");
        let _turn = self.standard.turn(self.epoch).await;
        let now = self.epoch.elapsed();
        Permit {
            limiter: Arc::clone(self),
            standard: self.standard.pace().start(now),
            search: search_turn.map(|_turn| self.search.pace().start(now)),
            _place: place,
        }
    }

    /// Current requests per minute of the standard quota.
    pub fn per_minute(&self) -> f64 {
        self.standard.pace().per_minute()
    }

    /// Time from now in which no request starts because of a rejection.
    pub fn pause(&self) -> Duration {
        self.standard.pace().blocked_until().saturating_sub(self.epoch.elapsed())
    }
}

impl Permit {
    /// Reports that the server answered the request.
    pub fn answered(&self) {
        let now = self.limiter.epoch.elapsed();
        self.limiter.standard.pace().answered(self.standard, now);
        if let Some(ticket) = self.search {
            self.limiter.search.pace().answered(ticket, now);
        }
    }

    /// Reports that the server answered 429. `Retry-After` applies to every request of the token; only the pace of the
    /// request's own quota is lowered.
    pub fn rejected(&self, retry_after: Option<Duration>) -> Rejection {
        let now = self.limiter.epoch.elapsed();
        let mut standard = self.limiter.standard.pace();
        let congestion = match self.search {
            None => standard.rejected(self.standard, retry_after, now),
            Some(ticket) => {
                let mut search = self.limiter.search.pace();
                let congestion = search.rejected(ticket, retry_after, now);
                standard.block_until(search.blocked_until());
                congestion
            }
        };
        Rejection { congestion, pause: standard.blocked_until().saturating_sub(now) }
    }
}

impl Lane {
    fn new(pace: Pace) -> Self {
        Self { turn: tokio::sync::Mutex::new(()), pace: Mutex::new(pace) }
    }

    async fn turn(&self, epoch: Instant) -> tokio::sync::MutexGuard<'_, ()> {
        let turn = self.turn.lock().await;
        loop {
            let due = self.pace().next_start();
            if due <= epoch.elapsed() {
                return turn;
            }
            sleep_until(epoch + due).await;
        }
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
