//! Faults on demand: which requests they affect, and how.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::answer::Twist;
use crate::gid::Gid;
use crate::random::Random;

/// When and how requests go wrong.
#[derive(Clone, Debug)]
pub struct FaultRule {
    /// Names the rule in the request log.
    pub label: String,
    pub target: Target,
    pub trigger: Trigger,
    /// How often the rule applies; `None` for always.
    pub times: Option<u32>,
    pub fault: Fault,
}

impl FaultRule {
    /// A rule for an endpoint template (or path) pattern that applies to every matching request.
    pub fn new(pattern: &str, fault: Fault) -> Self {
        Self {
            label: format!("{pattern} {fault:?}"),
            target: Target { pattern: pattern.to_owned(), query_contains: None },
            trigger: Trigger::Always,
            times: None,
            fault,
        }
    }

    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Applies only to the `nth` matching request, counted from 1.
    pub fn nth(self, nth: u32) -> Self {
        Self { trigger: Trigger::Nth(nth), ..self }
    }

    /// Applies to this share of matching requests, chosen by a seed.
    pub fn probability(self, probability: f64, seed: u64) -> Self {
        Self { trigger: Trigger::Probability { probability, seed }, ..self }
    }

    /// Only requests whose decoded query contains this text, such as `offset=`.
    pub fn query_contains(mut self, text: &str) -> Self {
        self.target.query_contains = Some(text.to_owned());
        self
    }

    pub fn label(self, label: &str) -> Self {
        Self { label: label.to_owned(), ..self }
    }
}

/// Which requests a rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Matched against the endpoint's template and against the path; `*` matches any text.
    pub pattern: String,
    /// Text that `name=value&name=value`, decoded, must contain.
    pub query_contains: Option<String>,
}

/// To which of the matching requests a rule applies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trigger {
    Always,
    /// Counted from 1.
    Nth(u32),
    Probability {
        probability: f64,
        seed: u64,
    },
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// An error answer with Asana's body for that status; `retry_after` in seconds.
    Status { status: u16, retry_after: Option<u64> },
    /// Any answer at all.
    Respond { status: u16, headers: Vec<(String, String)>, body: String },
    /// The connection is reset before anything is sent.
    ResetBeforeHeaders,
    /// The connection is reset after the headers and half of the body.
    ResetInBody,
    /// The connection is closed after this many bytes of the body, although the announced length is larger.
    TruncatedBody(usize),
    /// Status 200 and a body that is not JSON.
    GarbageBody,
    /// A pause before the answer; real time.
    SlowHeaders(Duration),
    /// The body in ten pieces with this pause before each; real time.
    SlowBody(Duration),
    /// No rows, but a next page.
    EmptyPage,
    /// At most this many rows, although more follow.
    ShortPage(usize),
    /// The last row of the previous page again.
    DuplicateRow,
    /// A search does not find these tasks, as if its index did not know what they match.
    HideFromSearch(Vec<Gid>),
    /// A field of every row gets a value of another type.
    WrongType { field: String, value: serde_json::Value },
    /// The body is laid out over many lines.
    PrettyBody,
    /// 400 as for an offset that has expired.
    ExpiredOffset,
    /// 400 as at the end of a set that is too large.
    TruncatedSet,
    /// 400 as for a listing without pages that is too large.
    TooLarge,
    /// The answer's time counts as virtual time: the clock moves before the request is processed.
    ClockJump(Duration),
}

impl Fault {
    /// Additional time before the answer; real time.
    pub(crate) fn pause(&self) -> Duration {
        match self {
            Fault::SlowHeaders(pause) => *pause,
            _ => Duration::ZERO,
        }
    }

    pub(crate) fn twist(&self) -> Twist {
        match self {
            Fault::EmptyPage => Twist::EmptyPage,
            Fault::ShortPage(rows) => Twist::ShortPage(*rows),
            Fault::DuplicateRow => Twist::DuplicateRow,
            Fault::HideFromSearch(tasks) => Twist::HideFromSearch(tasks.clone()),
            _ => Twist::None,
        }
    }
}

/// The active rules; shared, and changed while requests are served.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Arc<Mutex<Vec<Active>>>,
}

#[derive(Debug)]
struct Active {
    rule: FaultRule,
    seen: u32,
    struck: u32,
    random: Random,
    text: Arc<str>,
}

impl Faults {
    /// Adds a rule after the active ones; the first that applies to a request is used.
    pub fn add(&self, rule: FaultRule) {
        let seed = match rule.trigger {
            Trigger::Probability { seed, .. } => seed,
            _ => 0,
        };
        let text = rule.label.as_str().into();
        self.rules().push(Active { rule, seen: 0, struck: 0, random: Random::new(seed), text });
    }

    /// Removes every rule with this label.
    pub fn remove(&self, label: &str) {
        self.rules().retain(|active| active.rule.label != label);
    }

    pub fn clear(&self) {
        self.rules().clear();
    }

    /// How often the rules with this label have applied.
    pub fn struck(&self, label: &str) -> u32 {
        self.rules().iter().filter(|active| active.rule.label == label).map(|active| active.struck).sum()
    }

    /// The fault for a request, if a rule applies. `query` has its parameters as `name=value` joined by `&`.
    pub(crate) fn strike(
        &self,
        template: &str,
        path: &str,
        query: impl Fn() -> String,
    ) -> Option<(Arc<str>, Fault)> {
        self.rules().iter_mut().find_map(|active| {
            let target = &active.rule.target;
            let matches =
                matches_pattern(&target.pattern, template) || matches_pattern(&target.pattern, path);
            if !matches || target.query_contains.as_ref().is_some_and(|text| !query().contains(text.as_str()))
            {
                return None;
            }
            active.seen += 1;
            let strikes = match active.rule.trigger {
                Trigger::Always => true,
                Trigger::Nth(nth) => active.seen == nth,
                Trigger::Probability { probability, .. } => {
                    (active.random.next() >> 11) as f64 / (1_u64 << 53) as f64 <= probability
                }
            };
            if !strikes || active.rule.times.is_some_and(|times| active.struck >= times) {
                return None;
            }
            active.struck += 1;
            Some((active.text.clone(), active.rule.fault.clone()))
        })
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Active>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a text matches a pattern in which `*` is any text.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = pattern.contains('*').then(|| parts.next_back()).flatten() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(position) => rest = &rest[position + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("/tasks", "/tasks", true),
            ("/tasks", "/tasks/1", false),
            ("/tasks*", "/tasks/1/stories", true),
            ("*/stories", "/tasks/1/stories", true),
            ("/tasks/*/stories", "/tasks/1/stories", true),
            ("/tasks/*/stories", "/tasks/1/subtasks", false),
            ("*", "", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches_pattern(pattern, text), expected, "{pattern} {text}");
        }
    }

    fn strikes(rule: FaultRule, requests: usize) -> Vec<usize> {
        let faults = Faults::default();
        faults.add(rule);
        (1..=requests).filter(|_| faults.strike("/tasks", "/tasks", String::new).is_some()).collect()
    }

    #[test]
    fn triggers_and_times_bound_the_strikes() {
        let rule = || FaultRule::new("/tasks", Fault::GarbageBody);
        assert_eq!(strikes(rule().nth(3), 10), [3]);
        assert_eq!(strikes(rule().times(2), 10), [1, 2]);
        let drawn = strikes(rule().probability(0.5, 7), 100);
        assert!((30..70).contains(&drawn.len()), "{}", drawn.len());
        assert_eq!(drawn, strikes(rule().probability(0.5, 7), 100));
        assert!(strikes(rule().probability(0.0, 7), 100).is_empty());
    }
}
