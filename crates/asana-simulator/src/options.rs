//! The options of a simulator: tokens, plans, limits, and what each plan includes.

use std::time::Duration;

use crate::gid::{Gid, Kind};
use crate::time::Clock;

/// A simulator's settings. [`Options::default`] has one token, [`DEFAULT_TOKEN`], of the main user on a paid
/// plan, and no limits but the concurrency cap, so that tests run at full speed.
#[derive(Debug)]
pub struct Options {
    pub tokens: Vec<Token>,
    /// An app that gets its tokens by OAuth.
    pub app: Option<App>,
    /// `None`: the system's time.
    pub clock: Option<Clock>,
    pub limits: Limits,
    /// Added to every answer; real time.
    pub latency: Duration,
    /// What each plan does not include.
    pub gates: Vec<Gate>,
    /// What happens to a listing without `limit` and with more than 1000 rows.
    pub unpaged: Unpaged,
    /// How long an offset token is valid; virtual time.
    pub offset_lifetime: Duration,
    /// How long a sync token of the events endpoints is valid; virtual time.
    pub sync_lifetime: Duration,
    /// How long after an edit the task search finds it; virtual time.
    pub search_lag: Duration,
    /// Whether the `/control` endpoints answer.
    pub control: Control,
    /// The port of 127.0.0.1 to listen on; 0 for any free one.
    pub port: u16,
}

/// The token of [`Options::default`].
pub const DEFAULT_TOKEN: &str = "simulator-token";

impl Default for Options {
    fn default() -> Self {
        Self {
            tokens: vec![Token::new(DEFAULT_TOKEN, Plan::Paid)],
            app: None,
            clock: None,
            limits: Limits::default(),
            latency: Duration::ZERO,
            gates: Gate::of_asana(),
            unpaged: Unpaged::Truncate,
            offset_lifetime: Duration::from_secs(15 * 60),
            sync_lifetime: Duration::from_secs(24 * 3600),
            search_lag: Duration::ZERO,
            control: Control::Off,
            port: 0,
        }
    }
}

/// An app that may sign in for a user.
#[derive(Clone, Debug)]
pub struct App {
    pub client_id: String,
    pub client_secret: String,
    /// The refresh token that is valid at the start.
    pub refresh_token: String,
    pub refresh: Refresh,
    /// How long an access token is valid; virtual time. Asana's are valid for an hour.
    pub lifetime: Duration,
    /// The token whose view the access tokens have; their texts start with its text.
    pub token: Token,
}

/// What happens to a refresh token when it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresh {
    /// It stays valid, and the answer has no new one, as in Asana.
    Kept,
    /// The answer has a new one, and the used one becomes invalid.
    Replaced,
}

/// A bearer token and its access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    /// The user it acts as; `None`: the world's main user.
    pub user: Option<Gid>,
    pub account: Account,
    pub plan: Plan,
}

impl Token {
    /// A personal access token of the main user.
    pub fn new(text: &str, plan: Plan) -> Self {
        Self { text: text.to_owned(), user: None, account: Account::Person, plan }
    }

    /// A service account on the enterprise plan: it sees private data and the audit log.
    pub fn service_account(text: &str) -> Self {
        Self { text: text.to_owned(), user: None, account: Account::Service, plan: Plan::Enterprise }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    Person,
    Service,
}

/// Asana's plans as far as they differ for reading. Each includes everything in the lower ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plan {
    Free,
    Paid,
    Enterprise,
}

/// An endpoint that answers 402 below a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// A template such as `/portfolios/{gid}/items`; `*` at its end matches any rest.
    pub template: String,
    /// Only if the request's `parent` parameter names a record of this kind; `None`: always.
    pub parent: Option<Kind>,
    pub needs: Plan,
}

impl Gate {
    pub fn new(template: &str, needs: Plan) -> Self {
        Self { template: template.to_owned(), parent: None, needs }
    }

    /// What Asana's free plan does not include, and what only the enterprise plan does.
    pub fn of_asana() -> Vec<Self> {
        let paid = [
            "/workspaces/{gid}/tasks/search",
            "/workspaces/{gid}/custom_fields",
            "/custom_fields*",
            "/projects/{gid}/custom_field_settings",
            "/teams/{gid}/custom_field_settings",
            "/project_templates*",
            "/task_templates*",
            "/portfolios*",
            "/goals*",
            "/goal_relationships*",
            "/time_periods*",
        ];
        let mut gates: Vec<Self> = paid.into_iter().map(|template| Self::new(template, Plan::Paid)).collect();
        for parent in [Kind::Portfolio, Kind::Goal] {
            gates.push(Self { parent: Some(parent), ..Self::new("/status_updates", Plan::Paid) });
        }
        gates
    }

    pub(crate) fn closes(&self, template: &str, parent: Option<Kind>, plan: Plan) -> bool {
        let fits = match self.template.strip_suffix('*') {
            Some(start) => template.starts_with(start),
            None => template == self.template,
        };
        fits && plan < self.needs && (self.parent.is_none() || self.parent == parent)
    }
}

/// How many requests a token may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In any minute, rejected ones counted; `None`: any number.
    pub requests_per_minute: Option<u32>,
    /// Of the task search, in any minute, besides the general limit.
    pub searches_per_minute: Option<u32>,
    /// GET requests at the same time.
    pub concurrent_reads: u32,
    /// A budget per minute. Each answer costs its rows times the selected fields. It may be overdrawn; then requests
    /// are rejected until it has refilled.
    pub cost_per_minute: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_per_minute: None,
            searches_per_minute: None,
            concurrent_reads: 50,
            cost_per_minute: None,
        }
    }
}

impl Limits {
    /// The limits on Asana's rate limit page: 150 a minute on the free plan, 1500 on others, 60 searches.
    pub fn of_asana(plan: Plan) -> Self {
        let requests = if plan == Plan::Free { 150 } else { 1500 };
        Self { requests_per_minute: Some(requests), searches_per_minute: Some(60), ..Self::default() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpaged {
    /// The first 1000 rows, as if there were no more.
    Truncate,
    /// 400, too large.
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    Off,
    On,
}
