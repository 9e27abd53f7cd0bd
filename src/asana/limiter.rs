//! How fast and how many at once: the AIMD decision, given the time, and the permits that it governs.
//!
//! [`Pace`] decides and reads no clock; [`Limiter`] waits, hands out permits, and tells the pace what came of
//! them. Asana counts rejected requests against the quota too, so a pace that runs into 429 all the time gets
//! less than one that stays a little below the limit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// How many GET requests of one token may be in flight (Asana's rate limit page).
pub const MOST_IN_FLIGHT: usize = 50;
/// Requests a minute of a token in a free domain (Asana's rate limit page).
pub const FREE_PER_MINUTE: u32 = 150;
/// Requests a minute of a token in a paid domain (Asana's rate limit page).
pub const PAID_PER_MINUTE: u32 = 1500;
/// Searches a minute: a little below the 60 of Asana's rate limit page.
pub const SEARCHES_PER_MINUTE: u32 = 55;

/// How much of a ceiling is used. The rest absorbs that requests which start evenly do not arrive evenly, so
/// that a minute as the server counts it never holds more than the ceiling.
const SHARE: f64 = 0.985;
/// What a rejection leaves of the pace.
const DECREASE: f64 = 0.85;
/// What recovery adds in a second, as a share of the ceiling: from nothing to the ceiling in 100 s.
const RECOVERY: f64 = 0.01;
/// Where recovery turns careful, as a share of the pace that drew the rejection.
const REMEMBERED: f64 = 0.97;
/// How long after a rejection growth beyond the remembered pace is as bold as recovery.
const MEMORY: Duration = Duration::from_secs(180);
/// Beyond the remembered pace, growth is a share of the pace, but of no less than this share of the ceiling:
/// else a pace near the floor would never leave it.
const LEAST_GROWING: f64 = 0.05;
/// A pace never falls below one request in ten seconds.
const FLOOR_PER_MINUTE: f64 = 6.0;
/// What quotas are counted in.
const MINUTE: Duration = Duration::from_secs(60);
/// A wait that is longer says that the minute's quota was used up early: what was answered in that minute is
/// the quota, if that is not less than the rest of the minute would have borne at this pace (Asana's quota for
/// costs asks for long waits too, and counts no requests). A shorter one says only that the pace is a little
/// too fast.
const LONG_WAIT: Duration = Duration::from_secs(5);
/// How late a request may start and still keep the rhythm. Beyond it there was no demand, or no free place,
/// and what was not used is not made up for.
const TOLERANCE: Duration = Duration::from_millis(100);
/// How long demand must have kept up with the pace before the pace may grow.
const STEADY: Duration = Duration::from_secs(1);
/// The first pause after a rejection that names none; it doubles with each that follows.
const UNNAMED_PAUSE: Duration = Duration::from_secs(1);
/// No pause is longer: whoever waits gives up before.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Which of Asana's quotas a request draws on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Quota {
    #[default]
    Standard,
    /// The search endpoints: 60 a minute, on top of the standard quota.
    Search,
}

/// What the limiter stays within. A ceiling is the quota itself: the limiter keeps a little below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests a minute to begin with.
    pub start_per_minute: u32,
    /// Requests a minute never to exceed.
    pub ceiling_per_minute: u32,
    /// Requests without an answer at any time, from 1 to [`MOST_IN_FLIGHT`].
    pub in_flight: usize,
    /// Searches a minute never to exceed.
    pub search_per_minute: u32,
}

impl Limits {
    /// A quota that is known: begin with all of it.
    pub fn fixed(per_minute: u32) -> Self {
        Self {
            start_per_minute: per_minute,
            ceiling_per_minute: per_minute,
            in_flight: MOST_IN_FLIGHT,
            search_per_minute: SEARCHES_PER_MINUTE,
        }
    }

    /// A quota that is not known: begin with what every plan allows and find out, up to `per_minute`.
    pub fn adaptive_up_to(per_minute: u32) -> Self {
        Self { start_per_minute: per_minute.min(FREE_PER_MINUTE), ..Self::fixed(per_minute) }
    }
}

/// A started request's number, by which the pace knows whether it started before or after a decrease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What a rejection meant to the pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Congestion {
    /// The pace was lowered.
    New,
    /// The request had started before the pace was last lowered: it tells nothing about the pace since.
    Known,
}

/// When requests start. All times are since a moment of the caller's choice, and never go back.
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
    /// Whether a request that started since the pace was last lowered was answered. While the server rejects everything,
    /// that tells nothing about the pace: requests start ever more seldom, and the first answer restores `tried`.
    is_tried: bool,
    /// The pace as it was last lowered for a reason.
    tried: f64,
    unnamed_in_a_row: u32,
    answered: LastMinute,
}

impl Pace {
    /// A pace of `start` requests a minute that recovers up to `ceiling` requests a minute.
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

    /// Requests a minute at present.
    pub fn per_minute(&self) -> f64 {
        self.per_minute
    }

    /// When the next request may start; in the past if it could have started already.
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

    /// A request was answered, so the quota had room for it.
    pub fn answered(&mut self, ticket: Ticket, now: Duration) {
        self.answered.add(now);
        // What started before the pace was lowered says nothing about the time since.
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

    /// A request was rejected with 429; `retry_after` is the wait that the answer named.
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
        // Soon after the last rejection, what was remembered of that was still too much.
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

/// How many things happened in the last minute, to the second.
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

/// Lets requests start at the pace of their quota, and no more at once than allowed.
#[derive(Debug)]
pub struct Limiter {
    epoch: Instant,
    in_flight: Arc<Semaphore>,
    standard: Lane,
    search: Lane,
}

/// Those who wait for one quota, in the order in which they came: only the first of them looks at the clock, so
/// whatever happens to the pace holds for all.
#[derive(Debug)]
struct Lane {
    turn: tokio::sync::Mutex<()>,
    pace: Mutex<Pace>,
}

/// The right to have one request in flight. Dropping it frees the place; what came of the request is told by
/// [`Permit::answered`] or [`Permit::rejected`], or by neither when no answer came.
#[derive(Debug)]
pub struct Permit {
    limiter: Arc<Limiter>,
    standard: Ticket,
    search: Option<Ticket>,
    _place: OwnedSemaphorePermit,
}

/// What a rejection leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejection {
    pub congestion: Congestion,
    /// How long no request starts from now on.
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

    /// Waits until a request may start. Dropping the future gives up the place in the queue and uses nothing.
    pub async fn permit(self: &Arc<Self>, quota: Quota) -> Permit {
        // A search holds its turn until it has started, lest several that waited for the standard pace start
        // closer together than the search pace allows.
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

    /// Requests a minute that the standard quota is at present thought to bear.
    pub fn per_minute(&self) -> f64 {
        self.standard.pace().per_minute()
    }

    /// How long no request starts from now on, because a rejection named that pause.
    pub fn pause(&self) -> Duration {
        self.standard.pace().blocked_until().saturating_sub(self.epoch.elapsed())
    }
}

impl Permit {
    /// The server took the request.
    pub fn answered(&self) {
        let now = self.limiter.epoch.elapsed();
        self.limiter.standard.pace().answered(self.standard, now);
        if let Some(ticket) = self.search {
            self.limiter.search.pace().answered(ticket, now);
        }
    }

    /// The server answered 429. A pause that it names holds for every request of the token; the pace is lowered
    /// for the quota that the request was made under.
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
