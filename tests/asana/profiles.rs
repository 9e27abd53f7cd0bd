//! The limiter against each link profile in `tests/data/limiter`: a quota, a latency, a setting, and the accepted
//! ranges of the result. All of it in simulated time and without sockets.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use source_asana::asana::{Limiter, Limits, MOST_IN_FLIGHT, Quota};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};

/// More than may ever be in flight, so that there is always demand.
const WORKERS: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Profile {
    /// The meaning of the profile.
    about: String,
    setting: Setting,
    server: Server,
    virtual_minutes: u64,
    expect: Bands,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Setting {
    Fixed(u32),
    AdaptiveUpTo(u32),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    quota_per_minute: u32,
    model: Model,
    latency_ms: u64,
    /// Added to the latency, evenly distributed from nothing to this.
    jitter_ms: u64,
    retry_after: RetryAfter,
    /// The part of the quota that others use, and when.
    #[serde(default)]
    others: Vec<Others>,
    /// While the server rejects everything.
    #[serde(default)]
    storms: Vec<Storm>,
    /// The quota of the requests.
    #[serde(default)]
    quota: Drawn,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Model {
    /// No more than the quota in any sixty seconds.
    SlidingMinute,
    /// No more than the quota from one full minute to the next.
    ClockMinute,
    /// A bucket of this size that the quota fills.
    Bucket(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RetryAfter {
    /// Whole seconds until there is room, rounded up.
    Honest,
    /// Always one second.
    OneSecond,
    Absent,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Others {
    per_minute: u32,
    from_s: u64,
    to_s: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Storm {
    from_s: u64,
    to_s: u64,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Drawn {
    #[default]
    Standard,
    Search,
}

/// What is acceptable.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bands {
    /// Requests that were served, as a share of the quota without the part of others.
    used_share: Band,
    /// Requests that were answered with 429, as a share of all.
    rejected_share: Band,
    /// Maximum number in flight.
    in_flight: Band,
    /// Maximum number of starts within a second.
    starts_in_a_second: Band,
    /// Requests that were served in the last tenth of the time, as a share of the quota: whether it recovered.
    used_in_the_end: Band,
    /// Requests that were served in the second minute after the last storm, as a share of the quota.
    used_after_storm: Option<Band>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Band {
    least: f64,
    most: f64,
}

/// The result.
#[derive(Debug, Default)]
struct Outcome {
    served: u64,
    served_in_the_end: u64,
    served_after_storm: u64,
    rejected: u64,
    in_flight: usize,
    most_in_flight: usize,
    recent_starts: VecDeque<Instant>,
    most_starts_in_a_second: usize,
    /// The end of the last pause that the server has asked for.
    pause_until: Option<Instant>,
}

#[test]
fn every_link_profile_stays_within_its_bands() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/limiter");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "the profiles are in {}", folder.display());
    let mut violations = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let profile: Profile = serde_json::from_slice(&std::fs::read(&file).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        violations
            .extend(run(&profile).into_iter().map(|line| format!("{name} ({}): {line}", profile.about)));
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

/// The values outside of their ranges.
fn run(profile: &Profile) -> Vec<String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let outcome = LocalSet::new().block_on(&runtime, simulate(profile));
    let minutes = profile.virtual_minutes as f64;
    let quota = f64::from(profile.server.quota_per_minute);
    let others: f64 = profile
        .server
        .others
        .iter()
        .map(|others| {
            let to = others.to_s.min(profile.virtual_minutes * 60);
            f64::from(others.per_minute) * (to - others.from_s) as f64 / 60.0
        })
        .sum();
    let figures = [
        ("used_share", outcome.served as f64 / (quota * minutes - others), &profile.expect.used_share),
        (
            "rejected_share",
            outcome.rejected as f64 / (outcome.served + outcome.rejected) as f64,
            &profile.expect.rejected_share,
        ),
        ("in_flight", outcome.most_in_flight as f64, &profile.expect.in_flight),
        ("starts_in_a_second", outcome.most_starts_in_a_second as f64, &profile.expect.starts_in_a_second),
        (
            "used_in_the_end",
            outcome.served_in_the_end as f64 / (quota * minutes / 10.0),
            &profile.expect.used_in_the_end,
        ),
    ];
    let after_storm = profile
        .expect
        .used_after_storm
        .iter()
        .map(|band| ("used_after_storm", outcome.served_after_storm as f64 / quota, band));
    let figures: Vec<_> = figures.into_iter().chain(after_storm).collect();
    let texts = figures.iter().map(|(name, value, _)| format!("{name} {value:.4}"));
    eprintln!("{}: {}", profile.about, texts.collect::<Vec<_>>().join(", "));
    figures
        .iter()
        .filter(|(_, value, band)| !(band.least..=band.most).contains(value))
        .map(|(name, value, band)| format!("{name} is {value:.4}, not in {} to {}", band.least, band.most))
        .collect()
}

async fn simulate(profile: &Profile) -> Outcome {
    let mut limits = match profile.setting {
        Setting::Fixed(per_minute) => Limits::fixed(per_minute),
        Setting::AdaptiveUpTo(per_minute) => Limits::adaptive_up_to(per_minute),
    };
    let quota = match profile.server.quota {
        Drawn::Standard => Quota::Standard,
        // Only the search pace may delay searches.
        Drawn::Search => {
            limits.start_per_minute = 1500;
            limits.ceiling_per_minute = 1500;
            Quota::Search
        }
    };
    let limiter = Limiter::new(limits);
    let begin = Instant::now();
    let length = Duration::from_secs(profile.virtual_minutes * 60);
    let server = Rc::new(RefCell::new(Bookkeeping::new(profile.server.clone(), begin)));
    let outcome = Rc::new(RefCell::new(Outcome::default()));
    let storm_end = profile.server.storms.iter().map(|storm| Duration::from_secs(storm.to_s)).max();
    let recovered = storm_end.map(|end| end + Duration::from_secs(60)..end + Duration::from_secs(120));
    for _ in 0..WORKERS {
        let (limiter, server, outcome) = (limiter.clone(), server.clone(), outcome.clone());
        let recovered = recovered.clone();
        tokio::task::spawn_local(async move {
            loop {
                let permit = limiter.permit(quota).await;
                outcome.borrow_mut().start();
                let latency = server.borrow_mut().latency();
                sleep(latency / 2).await;
                let answer = server.borrow_mut().arrive();
                sleep(latency / 2).await;
                let mut outcome = outcome.borrow_mut();
                outcome.in_flight -= 1;
                match answer {
                    Ok(()) => {
                        permit.answered();
                        outcome.served += 1;
                        if begin.elapsed() >= length * 9 / 10 {
                            outcome.served_in_the_end += 1;
                        }
                        if recovered.as_ref().is_some_and(|minute| minute.contains(&begin.elapsed())) {
                            outcome.served_after_storm += 1;
                        }
                    }
                    Err(retry_after) => {
                        permit.rejected(retry_after);
                        outcome.rejected += 1;
                        let until = Instant::now() + retry_after.unwrap_or_default();
                        outcome.pause_until = outcome.pause_until.max(Some(until));
                    }
                }
            }
        });
    }
    sleep(length).await;
    outcome.take()
}

impl Outcome {
    fn start(&mut self) {
        let now = Instant::now();
        if let Some(until) = self.pause_until {
            assert!(now >= until, "a request started {:?} before the end of a pause", until - now);
        }
        self.in_flight += 1;
        assert!(self.in_flight <= MOST_IN_FLIGHT);
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
        self.recent_starts.push_back(now);
        while self.recent_starts.front().is_some_and(|start| now - *start >= Duration::from_secs(1)) {
            self.recent_starts.pop_front();
        }
        self.most_starts_in_a_second = self.most_starts_in_a_second.max(self.recent_starts.len());
    }
}

/// The server's view of a quota. Rejected requests count, as Asana says they do.
struct Bookkeeping {
    server: Server,
    begin: Instant,
    arrivals: VecDeque<Duration>,
    tokens: f64,
    filled_at: Duration,
    /// When others asked last, for each of them.
    others_at: Vec<Duration>,
    random: u64,
}

impl Bookkeeping {
    fn new(server: Server, begin: Instant) -> Self {
        let tokens = if let Model::Bucket(size) = server.model { size } else { 0.0 };
        let others_at = server.others.iter().map(|others| Duration::from_secs(others.from_s)).collect();
        Self {
            server,
            begin,
            arrivals: VecDeque::new(),
            tokens,
            filled_at: Duration::ZERO,
            others_at,
            random: 1,
        }
    }

    fn latency(&mut self) -> Duration {
        // The generator that Knuth gives in MMIX: any will do.
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let jitter = (self.random >> 33) * self.server.jitter_ms / (1 << 31);
        Duration::from_millis(self.server.latency_ms + jitter)
    }

    fn arrive(&mut self) -> Result<(), Option<Duration>> {
        let now = self.begin.elapsed();
        self.admit_others(now);
        let storm = self
            .server
            .storms
            .iter()
            .map(|storm| (Duration::from_secs(storm.from_s), Duration::from_secs(storm.to_s)))
            .find(|(from, to)| (*from..*to).contains(&now));
        let wait = match (self.take(now), storm) {
            (_, Some((_, end))) => end - now,
            (Err(wait), None) => wait,
            (Ok(()), None) => return Ok(()),
        };
        Err(match self.server.retry_after {
            RetryAfter::Honest => Some(Duration::from_secs(wait.as_secs() + 1)),
            RetryAfter::OneSecond => Some(Duration::from_secs(1)),
            RetryAfter::Absent => None,
        })
    }

    /// Uses the quota for one request, or returns how long to wait.
    fn take(&mut self, now: Duration) -> Result<(), Duration> {
        const MINUTE: Duration = Duration::from_secs(60);
        let quota = self.server.quota_per_minute as usize;
        match self.server.model {
            Model::SlidingMinute => {
                while self.arrivals.front().is_some_and(|at| *at + MINUTE <= now) {
                    self.arrivals.pop_front();
                }
                self.arrivals.push_back(now);
                match self.arrivals.len().checked_sub(quota + 1) {
                    None => Ok(()),
                    Some(index) => Err(self.arrivals[index] + MINUTE - now),
                }
            }
            Model::ClockMinute => {
                let minute = now.as_secs() / 60;
                while self.arrivals.front().is_some_and(|at| at.as_secs() / 60 < minute) {
                    self.arrivals.pop_front();
                }
                self.arrivals.push_back(now);
                match self.arrivals.len() <= quota {
                    true => Ok(()),
                    false => Err(Duration::from_secs((minute + 1) * 60) - now),
                }
            }
            Model::Bucket(size) => {
                let per_second = quota as f64 / 60.0;
                let filled = (now - self.filled_at).as_secs_f64() * per_second;
                self.tokens = (self.tokens + filled).min(size);
                self.filled_at = now;
                let missing = 1.0 - self.tokens;
                self.tokens = (self.tokens - 1.0).max(0.0);
                match missing <= 0.0 {
                    true => Ok(()),
                    false => Err(Duration::from_secs_f64(missing / per_second)),
                }
            }
        }
    }

    fn admit_others(&mut self, now: Duration) {
        for index in 0..self.others_at.len() {
            let others = self.server.others[index];
            while self.others_at[index] <= now && self.others_at[index].as_secs() < others.to_s {
                let at = self.others_at[index];
                // Whether they are served does not matter here.
                self.take(at.max(self.filled_at)).ok();
                self.others_at[index] = at + Duration::from_secs(60) / others.per_minute;
            }
        }
    }
}
