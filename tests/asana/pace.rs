//! Properties of the pace in any sequence of events, and the guarantees of permits. Simulated time, no sockets.

use std::time::Duration;

use proptest::prelude::*;
use source_asana::asana::{Congestion, Limiter, Limits, Pace, Quota, Ticket};
use tokio::time::{Instant, timeout};

const CEILING: f64 = 1500.0;
/// One request in ten seconds.
const FLOOR: f64 = 6.0;

#[derive(Debug, Clone)]
enum Event {
    Pass(Duration),
    Start,
    /// One of the requests that have started, by a number that is taken modulo how many there are.
    Answer,
    Reject {
        which: usize,
        retry_after: Option<u64>,
    },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (0_u64..20_000).prop_map(|millis| Event::Pass(Duration::from_millis(millis))),
        Just(Event::Start),
        Just(Event::Start),
        Just(Event::Answer),
        Just(Event::Answer),
        (any::<usize>(), proptest::option::of(prop_oneof![0_u64..90, Just(u64::MAX)]))
            .prop_map(|(which, retry_after)| Event::Reject { which, retry_after }),
    ];
    proptest::collection::vec(event, 1..300)
}

/// A pace and its inputs, so that properties can be checked at each step.
struct Run {
    pace: Pace,
    now: Duration,
    tickets: Vec<Ticket>,
}

impl Run {
    fn new() -> Self {
        Self { pace: Pace::new(CEILING, CEILING), now: Duration::ZERO, tickets: Vec::new() }
    }

    fn start(&mut self) -> Ticket {
        self.now = self.now.max(self.pace.next_start());
        let ticket = self.pace.start(self.now);
        self.tickets.push(ticket);
        ticket
    }

    /// The request that started last is answered.
    fn answered(&mut self) {
        if let Some(ticket) = self.tickets.last() {
            self.pace.answered(*ticket, self.now);
        }
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Pass(time) => self.now = self.now.saturating_add(*time),
            Event::Start => drop(self.start()),
            Event::Answer => self.answered(),
            Event::Reject { which, retry_after } if !self.tickets.is_empty() => {
                let ticket = self.tickets[which % self.tickets.len()];
                self.pace.rejected(ticket, retry_after.map(Duration::from_secs), self.now);
            }
            Event::Reject { .. } => {}
        }
    }

    /// Unlimited demand, and every request is answered.
    fn prosper(&mut self, time: Duration) {
        self.now = self.now.max(self.pace.next_start());
        let end = self.now + time;
        while self.now < end {
            self.start();
            self.answered();
        }
    }
}

proptest! {
    #[test]
    fn the_pace_stays_within_its_bounds(events in events()) {
        let mut run = Run::new();
        for event in &events {
            run.apply(event);
            let per_minute = run.pace.per_minute();
            prop_assert!((FLOOR..=CEILING).contains(&per_minute), "{per_minute} after {event:?}");
        }
    }

    #[test]
    fn a_rejection_never_raises_the_pace_and_always_pauses(events in events()) {
        let mut run = Run::new();
        for event in &events {
            let before = run.pace.per_minute();
            run.apply(event);
            if let Event::Reject { retry_after, .. } = event && !run.tickets.is_empty() {
                prop_assert!(run.pace.per_minute() <= before);
                let longest = Duration::from_secs(24 * 60 * 60);
                let pause = retry_after.map_or(Duration::from_secs(1), Duration::from_secs).min(longest);
                prop_assert!(run.pace.next_start() >= run.now + pause);
            }
        }
    }

    #[test]
    fn one_congestion_lowers_the_pace_once(events in events(), in_flight in 2_usize..50) {
        let mut run = Run::new();
        for event in &events {
            run.apply(event);
        }
        let tickets: Vec<Ticket> = (0..in_flight).map(|_| run.start()).collect();
        let mut congestions = Vec::new();
        let mut paces = Vec::new();
        for ticket in tickets {
            congestions.push(run.pace.rejected(ticket, Some(Duration::from_secs(1)), run.now));
            paces.push(run.pace.per_minute());
        }
        prop_assert_eq!(congestions[0], Congestion::New);
        prop_assert!(congestions[1..].iter().all(|congestion| *congestion == Congestion::Known));
        prop_assert!(paces.iter().all(|pace| pace == &paces[0]));
    }

    #[test]
    fn the_pace_recovers_whatever_happened(events in events()) {
        let mut run = Run::new();
        for event in &events {
            run.apply(event);
        }
        run.prosper(Duration::from_secs(20 * 60));
        prop_assert_eq!(run.pace.per_minute(), CEILING);
    }
}

#[test]
fn a_wait_is_obeyed_to_the_second_and_then_starts_are_spread() {
    let mut run = Run::new();
    run.prosper(Duration::from_secs(10));
    let first = run.start();
    let second = run.start();
    let rejected_at = run.now;
    run.pace.rejected(first, Some(Duration::from_secs(7)), rejected_at);
    run.pace.rejected(second, Some(Duration::from_secs(3)), rejected_at);
    assert_eq!(run.pace.next_start(), rejected_at + Duration::from_secs(7), "a shorter wait shortens none");
    let starts: Vec<Duration> = (0..5)
        .map(|_| {
            run.start();
            run.now
        })
        .collect();
    let interval = Duration::from_secs(60).div_f64(run.pace.per_minute());
    for pair in starts.windows(2) {
        assert_eq!(pair[1] - pair[0], interval);
    }
}

#[test]
fn a_rejection_takes_its_share_of_the_pace() {
    let mut run = Run::new();
    let ticket = run.start();
    run.pace.rejected(ticket, Some(Duration::from_secs(1)), run.now);
    assert_eq!(run.pace.per_minute(), CEILING * 0.85);
}

/// While everything is rejected, requests become rarer. As soon as one is answered, the pace returns to its value after
/// the first rejection. Answers to older requests have no effect.
#[test]
fn a_storm_of_rejections_lowers_the_pace_once() {
    let mut run = Run::new();
    let before = run.start();
    let mut least = CEILING;
    for _ in 0..30 {
        let ticket = run.start();
        run.pace.rejected(ticket, Some(Duration::from_secs(1)), run.now);
        run.pace.answered(before, run.now);
        least = least.min(run.pace.per_minute());
    }
    assert!(least < CEILING / 50.0, "{least}");
    run.start();
    run.answered();
    assert!((CEILING * 0.85..CEILING * 0.87).contains(&run.pace.per_minute()), "{}", run.pace.per_minute());
}

#[test]
fn a_long_wait_lowers_the_pace_to_what_was_answered() {
    let mut run = Run::new();
    let mut last = run.start();
    for _ in 0..500 {
        run.answered();
        last = run.start();
    }
    run.pace.rejected(last, Some(Duration::from_secs(45)), run.now);
    assert_eq!(run.pace.per_minute(), 500.0 * 0.85);
}

#[test]
fn a_long_wait_with_few_answers_lowers_the_pace_by_its_share_of_a_minute() {
    let mut run = Run::new();
    let ticket = run.start();
    run.answered();
    run.pace.rejected(ticket, Some(Duration::from_secs(15)), run.now);
    assert_eq!(run.pace.per_minute(), CEILING * 0.75 * 0.85);
}

#[test]
fn waits_that_are_not_named_grow() {
    let mut run = Run::new();
    let pauses: Vec<u64> = (0..8)
        .map(|_| {
            let ticket = run.start();
            run.pace.rejected(ticket, None, run.now);
            (run.pace.next_start() - run.now).as_secs()
        })
        .collect();
    assert_eq!(pauses[..7], [1, 2, 4, 8, 16, 32, 60]);
}

#[test]
fn the_pace_does_not_grow_while_idle() {
    let mut run = Run::new();
    let ticket = run.start();
    run.pace.rejected(ticket, Some(Duration::from_secs(1)), run.now);
    let lowered = run.pace.per_minute();
    for _ in 0..100 {
        run.now += Duration::from_secs(10);
        run.start();
        run.answered();
    }
    assert_eq!(run.pace.per_minute(), lowered);
    run.prosper(Duration::from_secs(10));
    assert!(run.pace.per_minute() > lowered, "but it does with demand");
}

#[test]
fn what_was_not_used_is_not_made_up_for() {
    let mut run = Run::new();
    run.start();
    run.now += Duration::from_secs(60);
    run.start();
    let resumed = run.now;
    run.start();
    assert_eq!(run.now - resumed, Duration::from_secs(60).div_f64(CEILING));
}

#[tokio::test(start_paused = true)]
async fn searches_do_not_hold_up_other_requests() {
    let limiter = Limiter::new(Limits::fixed(1500));
    let searches: Vec<_> = (0..100)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { drop(limiter.permit(Quota::Search).await) })
        })
        .collect();
    tokio::task::yield_now().await;
    let begin = Instant::now();
    for _ in 0..25 {
        drop(limiter.permit(Quota::Standard).await);
    }
    assert!(begin.elapsed() < Duration::from_millis(1100), "{:?}", begin.elapsed());
    drop(searches);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_search_pauses_everybody_but_slows_only_searches() {
    let limiter = Limiter::new(Limits::fixed(1500));
    let before = limiter.per_minute();
    let search = limiter.permit(Quota::Search).await;
    let rejection = search.rejected(Some(Duration::from_secs(9)));
    assert_eq!(rejection.congestion, Congestion::New);
    assert_eq!(rejection.pause, Duration::from_secs(9));
    drop(search);
    let begin = Instant::now();
    drop(limiter.permit(Quota::Standard).await);
    assert_eq!(begin.elapsed(), Duration::from_secs(9));
    assert_eq!(limiter.per_minute(), before);
}

#[tokio::test(start_paused = true)]
async fn no_more_are_in_flight_than_set() {
    let limiter = Limiter::new(Limits { in_flight: 2, ..Limits::fixed(1500) });
    let held = (limiter.permit(Quota::Standard).await, limiter.permit(Quota::Standard).await);
    assert!(timeout(Duration::from_secs(600), limiter.permit(Quota::Standard)).await.is_err());
    drop(held.0);
    assert!(timeout(Duration::from_secs(1), limiter.permit(Quota::Standard)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_stops_waiting_uses_nothing() {
    let limiter = Limiter::new(Limits::fixed(60));
    drop(limiter.permit(Quota::Standard).await);
    let begin = Instant::now();
    for _ in 0..10 {
        assert!(timeout(Duration::from_millis(10), limiter.permit(Quota::Standard)).await.is_err());
    }
    drop(limiter.permit(Quota::Standard).await);
    assert!(begin.elapsed() < Duration::from_millis(1100), "{:?}", begin.elapsed());
}
