//! One request: token, pacing, send, classify, retry.
//!
//! The file is long because the steps around one attempt (token, permit, turn, counts, notices) depend on their order.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use airbyte_connector::{Secret, Secrets, ServerText, unix_milliseconds, with_causes};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::timeout;

use super::connection::{Broken, Timeouts, error_of, fault_of, http_client, page_of};
use super::fault::{Asked, BEGINNING, Fault, Kind, Retry};
use super::limiter::{Congestion, Limiter, Limits, Permit, Quota};
use super::notice::Notice;
use super::oauth::{Exchange, Renewal};
use super::retry::{Patience, Wait, with_patience};
use super::server_clock::ServerClock;
use super::token::TokenSource;
use super::turn::{Turn, Turns};
use crate::moment::Moment;

/// Where Asana's API is.
pub const DEFAULT_BASE_URL: &str = "https://app.asana.com/api/1.0";
/// Maximum number of bodies in memory at a time, from the first byte until the records are written. This bounds memory:
/// a body of a hundred full records has half a megabyte. Other bodies wait in the sockets' buffers, so requests to a
/// slow server still run at the full rate.
const BODIES_AT_ONCE: usize = 6;
/// Attempts per request while no request succeeds, so that an outage ends the sync quickly instead of failing a
/// thousand slices one by one.
const ATTEMPTS_IN_OUTAGE: u32 = 2;
/// Attempts at a page that can also be requested with fewer records.
const FEW_ATTEMPTS: u32 = 3;
/// Maximum number of different announcements that are logged.
const MAX_ANNOUNCEMENTS: usize = 100;
/// Characters that need no escape in a query or a path. Commas and colons are among them, because `opt_fields` has
/// many.
const UNESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b',')
    .remove(b':')
    .remove(b'(')
    .remove(b')');
const UNESCAPED_IN_PATH: &AsciiSet = &UNESCAPED.remove(b'/');

/// A GET request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The endpoint as a template, for counts and messages: `/projects/{gid}/sections`.
    pub endpoint: Cow<'static, str>,
    /// The path below the base address, not escaped: `/projects/123/sections`.
    pub path: String,
    /// Names and values, not escaped.
    pub query: Vec<(String, String)>,
    /// A parameter that is added if Asana refuses the request without it.
    pub fallback: Option<(&'static str, &'static str)>,
    pub quota: Quota,
}

/// The parts of a client.
#[derive(Debug)]
pub struct Settings {
    /// [`DEFAULT_BASE_URL`], or the value of `ASANA_BASE_URL`.
    pub base_url: String,
    pub token: TokenSource,
    /// Records every secret that the client sends or receives, for redaction.
    pub secrets: Secrets,
    pub limits: Limits,
    pub patience: Patience,
    pub timeouts: Timeouts,
    /// Receives the client's notices. A closed receiver is not an error.
    pub notices: UnboundedSender<Notice>,
}

/// Statistics of the requests to one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Requests sent, retries included.
    pub requests: u64,
    /// Requests beyond the first attempt.
    pub retries: u64,
    /// Answers with 429.
    pub rejected: u64,
    /// Bytes of bodies, after decompression.
    pub bytes: u64,
}

/// How often a request is attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tries {
    All,
    /// The caller has an alternative if the request keeps failing.
    Few,
}

/// The body of an answer with 200.
pub(super) struct Body {
    pub bytes: Vec<u8>,
    pub turn: Turn,
}

/// A body that does not have the API's format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Garbage {
    /// What was expected, and what is wrong.
    pub expected: ServerText,
    pub body: ServerText,
}

impl Garbage {
    pub(super) fn new(expected: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Self {
        Self { expected: ServerText::new(expected), body: ServerText::new(body) }
    }
}

/// Makes requests. Cheap to clone: all clones share rate, connections and counts.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    http: reqwest::Client,
    base_url: String,
    token: TokenSource,
    secrets: Secrets,
    limiter: Arc<Limiter>,
    bodies: Turns,
    time_for_body: Duration,
    patience: Patience,
    notices: UnboundedSender<Notice>,
    counts: Mutex<BTreeMap<String, Counts>>,
    changes: Mutex<HashSet<String>>,
    /// Number of successful requests. A failing request compares it to find out whether others succeeded meanwhile.
    successes: AtomicU64,
    is_outage: AtomicBool,
    made_at: Instant,
    server_clock: ServerClock,
}

impl Request {
    pub fn new(endpoint: impl Into<Cow<'static, str>>, path: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            path: path.into(),
            query: Vec::new(),
            fallback: None,
            quota: Quota::Standard,
        }
    }

    pub fn query(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Adds a parameter if Asana refuses the request without it.
    pub fn fallback(mut self, fallback: Option<(&'static str, &'static str)>) -> Self {
        self.fallback = fallback;
        self
    }

    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = quota;
        self
    }

    pub(super) fn asked(&self) -> Asked {
        Asked { endpoint: self.endpoint.clone(), object: self.object() }
    }

    /// The path with the gids of the query: the object that the request is about.
    pub(super) fn object(&self) -> String {
        let is_gid = |value: &str| !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let named =
            self.query.iter().filter(|(name, value)| name != "limit" && (is_gid(value) || value == "me"));
        let gids: Vec<String> = named.map(|(name, value)| format!("{name}={value}")).collect();
        match gids.is_empty() {
            true => self.path.clone(),
            false => format!("{}?{}", self.path, gids.join("&")),
        }
    }

    /// The full URL. `base_url` has no trailing slash.
    fn url(&self, base_url: &str) -> String {
        let mut url = format!("{base_url}{}", utf8_percent_encode(&self.path, UNESCAPED_IN_PATH));
        for (index, (name, value)) in self.query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.extend(utf8_percent_encode(name, UNESCAPED));
            url.push('=');
            url.extend(utf8_percent_encode(value, UNESCAPED));
        }
        url
    }
}

impl Client {
    /// # Errors
    ///
    /// With a message for the user if the TLS or proxy configuration of the machine is unusable, such as an unreadable
    /// file of certificate authorities or an invalid proxy address.
    pub fn new(settings: Settings) -> Result<Self, String> {
        settings.token.learn_by(&settings.secrets);
        let is_web =
            reqwest::Url::parse(&settings.base_url).is_ok_and(|url| url.scheme().starts_with("http"));
        if !is_web {
            return Err(
                "the address of Asana's API has to begin with https:// or http://: correct ASANA_BASE_URL"
                    .to_owned(),
            );
        }
        let http = http_client(settings.timeouts, BODIES_AT_ONCE).map_err(|error| {
            settings.secrets.redact(&format!("cannot set up HTTPS: {}", with_causes(&error)))
        })?;
        Ok(Self {
            shared: Arc::new(Shared {
                http,
                base_url: settings.base_url.trim_end_matches('/').to_owned(),
                token: settings.token,
                secrets: settings.secrets,
                limiter: Limiter::new(settings.limits),
                bodies: Turns::new(BODIES_AT_ONCE),
                time_for_body: settings.timeouts.body,
                patience: settings.patience,
                notices: settings.notices,
                counts: Mutex::default(),
                changes: Mutex::default(),
                successes: AtomicU64::new(0),
                is_outage: AtomicBool::new(false),
                made_at: Instant::now(),
                server_clock: ServerClock::default(),
            }),
        })
    }

    /// Requests so far, by endpoint template.
    pub fn counts(&self) -> BTreeMap<String, Counts> {
        lock(&self.shared.counts).clone()
    }

    /// Requests per minute that the limiter currently allows.
    pub fn per_minute(&self) -> f64 {
        self.shared.limiter.per_minute()
    }

    /// Whether answers are processed as fast as they arrive. If not, more requests would only fill memory.
    pub fn keeps_up(&self) -> bool {
        self.shared.bodies.is_one_free()
    }

    /// Remaining time in which no request starts, because Asana asked for a pause.
    pub fn pause(&self) -> Duration {
        self.shared.limiter.pause()
    }

    /// When the client was created, by Asana's clock if an answer has arrived. `local` is the same time by this
    /// machine's clock.
    pub fn began(&self, local: Moment) -> Moment {
        self.shared.server_clock.began(local)
    }

    /// `text` without the token.
    pub fn redact(&self, text: &str) -> String {
        self.shared.secrets.redact(text)
    }

    pub(super) fn notify(&self, notice: Notice) {
        // A closed receiver is not an error.
        drop(self.shared.notices.send(notice));
    }

    /// Retries a request until it succeeds with status 200 and `read` accepts the body. Dropping the future cancels it.
    pub(super) async fn fetch<T>(
        &self,
        request: &Request,
        tries: Tries,
        read: impl Fn(Body) -> Result<T, Garbage>,
    ) -> Result<T, Fault> {
        let shared = &*self.shared;
        let successes = shared.successes.load(Ordering::Relaxed);
        let patience = match (shared.is_outage.load(Ordering::Relaxed), tries) {
            (true, _) => shared.patience.at_most(ATTEMPTS_IN_OUTAGE),
            (false, Tries::Few) => shared.patience.at_most(FEW_ATTEMPTS),
            (false, Tries::All) => shared.patience.clone(),
        };
        let attempt = || async {
            let body = shared.attempt(request).await?;
            shared.count(request, |counts| counts.bytes += body.bytes.len() as u64);
            let read = read(body).map_err(|garbage| shared.distrust(garbage, request))?;
            shared.successes.fetch_add(1, Ordering::Relaxed);
            shared.is_outage.store(false, Ordering::Relaxed);
            Ok(read)
        };
        let before_wait = |Wait { attempt, wait, fault }: Wait<'_>| {
            shared.count(request, |counts| counts.retries += 1);
            if !matches!(fault.kind, Kind::SlowDown { .. }) {
                self.notify(Notice::Retrying {
                    endpoint: request.object(),
                    attempt,
                    wait,
                    why: fault.to_string(),
                });
            }
        };
        let outcome = with_patience(&patience, attempt, before_wait).await;
        let got_through = shared.successes.load(Ordering::Relaxed) != successes;
        if let Err(fault) = &outcome
            && fault.retry() != Retry::Never
            && tries == Tries::All
            && !got_through
        {
            shared.is_outage.store(true, Ordering::Relaxed);
        }
        outcome.map_err(|fault| match fault.kind {
            Kind::SlowDown { retry_after: Some(wait) } if !got_through || wait > patience.rejected_for => {
                fault.beyond_patience(
                    patience.rejected_for,
                    Moment::from_unix_milliseconds(unix_milliseconds()),
                )
            }
            _ => fault,
        })
    }
}

impl Shared {
    /// Sends the request, and once more with a renewed token if Asana refuses the first.
    async fn attempt(&self, request: &Request) -> Result<Body, Fault> {
        let exchange = Exchange {
            http: &self.http,
            base_url: &self.base_url,
            secrets: &self.secrets,
            notices: &self.notices,
        };
        let token = self.token.current(exchange).await?;
        match self.send(request, &token).await {
            Err(fault)
                if fault.kind == Kind::GiveToken
                    && self.token.renew(&token, exchange).await? == Renewal::Renewed =>
            {
                self.send(request, &self.token.current(exchange).await?).await
            }
            outcome => outcome,
        }
    }

    async fn send(&self, request: &Request, token: &Secret) -> Result<Body, Fault> {
        let asked = request.asked();
        let authorization = authorization(token, &asked)?;
        let permit = self.limiter.permit(request.quota).await;
        self.count(request, |counts| counts.requests += 1);
        let answer = self
            .http
            .get(request.url(&self.base_url))
            .header(AUTHORIZATION, authorization)
            .send()
            .await
            .map_err(|error| fault_of(error, &asked, &self.secrets))?;
        self.report_announcements(answer.headers());
        if let Some(date) = answer.headers().get(DATE).and_then(|date| date.to_str().ok()) {
            self.server_clock.learn(date, self.made_at.elapsed());
        }
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        if status == 429 {
            // The wait begins with the headers: the body may be slow or never arrive.
            let fault = Fault::of_answer(status, b"", retry_after, &asked, &self.secrets);
            self.slow_down(request, &permit, &fault);
        }
        let turn = self.bodies.next().await;
        let body = async {
            match status {
                200 => page_of(answer, turn.buffer()).await,
                _ => error_of(answer).await,
            }
        };
        let body = timeout(self.time_for_body, body).await.unwrap_or(Err(Broken::TooSlow));
        let body = body.map_err(|broken| broken.fault(&asked, &self.secrets));
        if status != 429 && status < 500 {
            permit.answered();
        }
        if status == 200 {
            return Ok(Body { bytes: body?, turn });
        }
        let body = match (status, body) {
            (_, Ok(body)) => body,
            // Without the body, the right reaction is unknown.
            (400..=499, Err(fault)) if !matches!(status, 401 | 429) => return Err(fault),
            (_, Err(_)) => Vec::new(),
        };
        let mut fault = Fault::of_answer(status, &body, retry_after, &asked, &self.secrets);
        if let Some(host) = headers.get(LOCATION).and_then(redirect_host) {
            let redirect = ServerText::new(format!("a redirect to {host}, which is not followed"));
            fault.message = redirect.redact(&self.secrets);
        }
        Err(fault)
    }

    fn slow_down(&self, request: &Request, permit: &Permit, fault: &Fault) {
        self.count(request, |counts| counts.rejected += 1);
        let retry_after = match fault.kind {
            Kind::SlowDown { retry_after } => retry_after,
            _ => None,
        };
        let rejection = permit.rejected(retry_after);
        if rejection.congestion == Congestion::New && rejection.pause <= self.patience.rejected_for {
            let until = SystemTime::now().checked_add(rejection.pause).unwrap_or_else(SystemTime::now);
            drop(self.notices.send(Notice::RateLimited { wait: rejection.pause, until }));
        }
    }

    /// Asana announces changes of its API in this header, which can occur several times.
    fn report_announcements(&self, headers: &HeaderMap) {
        for value in headers.get_all("asana-change") {
            let text = self.secrets.redact(&String::from_utf8_lossy(value.as_bytes()));
            let mut changes = lock(&self.changes);
            if changes.len() < MAX_ANNOUNCEMENTS && changes.insert(text.clone()) {
                drop(self.notices.send(Notice::ChangeAnnounced { text }));
            }
        }
    }

    fn count(&self, request: &Request, change: impl FnOnce(&mut Counts)) {
        let mut counts = lock(&self.counts);
        match counts.get_mut(&*request.endpoint) {
            Some(of_endpoint) => change(of_endpoint),
            None => change(counts.entry(request.endpoint.to_string()).or_default()),
        }
    }

    fn distrust(&self, Garbage { expected, body }: Garbage, request: &Request) -> Fault {
        let expected = expected.redact(&self.secrets);
        let got = body.redact(&self.secrets).beginning(BEGINNING);
        let message = got.after(&format!("expected {expected}, got: "));
        Fault::new(Kind::DistrustAnswer, Some(200), message, &request.asked())
    }
}

fn authorization(token: &Secret, asked: &Asked) -> Result<HeaderValue, Fault> {
    let unusable = |what: &'static str| Fault::new(Kind::GiveToken, None, what, asked);
    if token.is_empty() {
        return Err(unusable("the token is empty"));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
        .map_err(|_| unusable("the token contains an invalid character, such as a line break"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The host of a redirect. The rest of the address may contain secrets of the request.
fn redirect_host(location: &HeaderValue) -> Option<String> {
    let url = reqwest::Url::parse(location.to_str().ok()?).ok()?;
    url.host_str().map(str::to_owned)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
