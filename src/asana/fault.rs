//! What went wrong with a request: one table from status and body to a kind that is named by what to do.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use airbyte_connector::{Failure, FailureKind, Redacted, Secrets, ServerText};
use serde::Deserialize;

use super::object::Object;
use crate::moment::Moment;

/// The path of Asana's token endpoint, the only one that gets POST requests. It is on the API's host, but not below the
/// API's path (Asana's page on OAuth).
pub(super) const TOKEN_PATH: &str = "/-/oauth_token";
/// How much of a message is kept, in characters: enough for any of Asana's, and an end for pages of HTML.
const LONGEST_MESSAGE: usize = 500;
/// How much is shown of a body that is not Asana's, in characters.
pub(super) const BEGINNING: usize = 120;

/// A request that did not give what it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub kind: Kind,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// What Asana said, or what was expected and what came instead.
    pub message: Redacted,
    /// The endpoint as a template: `/projects/{gid}/sections`.
    pub endpoint: Cow<'static, str>,
    /// The path that was asked for, with the gids of its query: `/tasks?project=123`.
    pub object: String,
}

/// What to do about a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// 401: give a token that is valid.
    GiveToken,
    /// OAuth's refusal: sign in with Asana again.
    SignInAgain,
    /// 402: the plan of the workspace does not include this.
    UpgradePlan,
    /// 403: the token's user may not see this.
    GrantAccess,
    /// 404 and 410: it is not there (any more).
    LeaveOut,
    /// 400: the offset has expired; list again from the first page.
    RestartListing,
    /// 400: Asana cut the result off; what came is not everything.
    SplitListing,
    /// 400, 413, or a page that is too long to be read: ask for fewer records at once.
    AskForLess,
    /// 400, 422: Asana does not accept a value of the request, such as an id it does not know.
    CorrectRequest,
    /// 400, 405, 406, 414, 431 and their like: the connector has to be changed to ask in another way.
    AskDifferently,
    /// 412: the sync token of an event listing is too old; read everything again and go on with this token.
    StartAgain { sync: Option<String> },
    /// 451: Asana does not serve the place that the request comes from.
    AskFromElsewhere,
    /// 429: too many requests.
    SlowDown { retry_after: Option<Duration> },
    /// 429, and longer than a sync waits: run it again after that time.
    RunAgainLater { after: Moment },
    /// 5xx, 408, 409, 421, 423, 425, 499 and other statuses that are nobody's fault: the server could not answer this
    /// time.
    TryAgain,
    /// 424 and 501: what is stored elsewhere cannot be had from there.
    TryStorageAgain,
    /// No answer, or only the beginning of one: reset, timeout, name not resolved.
    Reconnect,
    /// An answer that is not what Asana's API sends: a web page, JSON of another shape, a redirect.
    DistrustAnswer,
    /// The server's certificate is not trusted.
    TrustServer,
    /// 407: the proxy wants credentials.
    SatisfyProxy,
}

/// Why: what a message about a skip or a failure says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    TokenRefused,
    PlanTooLow,
    NoAccess,
    NotFound,
    OffsetExpired,
    ResultTruncated,
    ResultTooLarge,
    RequestRefused,
    SyncTokenExpired,
    LegalReasons,
    RateLimited,
    QuotaGone,
    ServerFailing,
    StorageFailing,
    Unreachable,
    NotAsana,
    UntrustedCertificate,
    ProxyRefuses,
}

/// Whether and how a request is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    Never,
    /// After a pause that grows.
    WithBackoff,
    /// After the pause that the server named.
    After(Duration),
}

/// What a request was made for, as far as its faults need to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub endpoint: Cow<'static, str>,
    /// The path with the gids of its query: `/tasks?project=123`.
    pub object: String,
}

impl Fault {
    pub fn new(kind: Kind, status: Option<u16>, message: impl Into<Redacted>, asked: &Asked) -> Self {
        Self {
            kind,
            status,
            message: message.into().shortened(LONGEST_MESSAGE),
            endpoint: asked.endpoint.clone(),
            object: asked.object.clone(),
        }
    }

    /// The fault that an answer with a status other than 200 stands for. `retry_after` is the answer's header.
    pub fn of_answer(
        status: u16,
        body: &[u8],
        retry_after: Option<&str>,
        asked: &Asked,
        secrets: &Secrets,
    ) -> Self {
        let said = Said::parse(body, secrets);
        let kind = kind_of(status, &said, retry_after);
        let message = match said {
            Said::ByAsana { message, .. } => message,
            Said::Nothing => "the answer has no body".into(),
            Said::ByAnother => ServerText::new(body)
                .redact(secrets)
                .beginning(BEGINNING)
                .after("expected Asana's list of errors, got: "),
        };
        Self::new(kind, Some(status), message, asked)
    }

    /// What a rejection is that nothing can be asked for after, for longer than `patience`: the limits are the
    /// token's, so no other request gets through either. `now` is when it came. Other faults stay as they are.
    pub fn beyond_patience(self, patience: Duration, now: Moment) -> Self {
        let Kind::SlowDown { retry_after: Some(wait) } = self.kind else { return self };
        let after = now.plus(wait);
        let message = Redacted::own(format!(
            "no request is answered before {after}, and no more than {} s are waited for here ({})",
            patience.as_secs(),
            self.message.trim_end_matches('.')
        ));
        Self { kind: Kind::RunAgainLater { after }, message, ..self }
    }

    pub fn retry(&self) -> Retry {
        match self.kind {
            Kind::SlowDown { retry_after: Some(wait) } => Retry::After(wait),
            Kind::SlowDown { retry_after: None }
            | Kind::TryAgain
            | Kind::TryStorageAgain
            | Kind::Reconnect => Retry::WithBackoff,
            // A refusal stays one, whoever made it.
            Kind::DistrustAnswer => match self.status {
                Some(400..=499) => Retry::Never,
                _ => Retry::WithBackoff,
            },
            Kind::GiveToken
            | Kind::SignInAgain
            | Kind::UpgradePlan
            | Kind::GrantAccess
            | Kind::LeaveOut
            | Kind::RestartListing
            | Kind::SplitListing
            | Kind::AskForLess
            | Kind::CorrectRequest
            | Kind::AskDifferently
            | Kind::StartAgain { .. }
            | Kind::AskFromElsewhere
            | Kind::RunAgainLater { .. }
            | Kind::TrustServer
            | Kind::SatisfyProxy => Retry::Never,
        }
    }

    /// Who can fix it.
    pub fn failure_kind(&self) -> FailureKind {
        match self.kind {
            Kind::GiveToken
            | Kind::SignInAgain
            | Kind::UpgradePlan
            | Kind::GrantAccess
            | Kind::LeaveOut
            | Kind::SplitListing
            | Kind::AskForLess
            | Kind::CorrectRequest
            | Kind::AskFromElsewhere
            | Kind::TrustServer
            | Kind::SatisfyProxy => FailureKind::Configuration,
            Kind::RestartListing
            | Kind::StartAgain { .. }
            | Kind::SlowDown { .. }
            | Kind::RunAgainLater { .. }
            | Kind::TryAgain
            | Kind::TryStorageAgain
            | Kind::Reconnect
            | Kind::DistrustAnswer => FailureKind::Transient,
            Kind::AskDifferently => FailureKind::System,
        }
    }

    /// What a person can do next, as a sentence.
    pub fn advice(&self) -> &'static str {
        match self.kind {
            Kind::GiveToken => {
                "Check that the token is complete, not revoked, and that the workspace allows tokens and this app."
            }
            Kind::SignInAgain => {
                "Sign in with Asana again: the refresh token, the client ID or the client secret is not good any more."
            }
            Kind::UpgradePlan => "This needs a higher Asana plan; deselect the stream to silence this.",
            Kind::GrantAccess => {
                "Give the token's user access to it in Asana, or use the token of somebody who has it."
            }
            Kind::LeaveOut => "It was deleted, or the gid in the configuration is not right.",
            Kind::RestartListing => {
                "Its pages took longer than an offset lives; try again when there is less load."
            }
            Kind::SplitListing => {
                "The listing is larger than Asana returns; move part of it to other projects, or archive and split it."
            }
            Kind::AskForLess => {
                "Asana does not return this even in pages of one record. Split what the address names, such as a \
                 project, into smaller ones, or archive it and leave archived projects out."
            }
            Kind::AskDifferently => "Please report this: the connector should have asked in another way.",
            Kind::CorrectRequest => {
                "Check the gids in the configuration; if they are right, please report this."
            }
            Kind::StartAgain { .. } => "Nothing needs to be done: everything is read again.",
            Kind::AskFromElsewhere => {
                "Asana does not serve this network address; run the connector elsewhere."
            }
            Kind::SlowDown { .. } => {
                "Lower the requests a minute in the configuration, or find out who else uses the token."
            }
            Kind::RunAgainLater { .. } => {
                "Run the sync again after that time: it goes on from the state that it has printed."
            }
            Kind::TryAgain | Kind::TryStorageAgain => {
                "Try again later; Asana's status is on status.asana.com."
            }
            Kind::Reconnect => "Check the network, the proxy and name resolution, and try again.",
            Kind::DistrustAnswer => {
                "Something between here and Asana may have answered: check proxies and portals."
            }
            Kind::TrustServer => {
                "If a proxy inspects the traffic, name its certificate authority in SSL_CERT_FILE."
            }
            Kind::SatisfyProxy => "Give the proxy's user and password in HTTPS_PROXY.",
        }
    }

    pub fn reason(&self) -> Reason {
        match self.kind {
            Kind::GiveToken | Kind::SignInAgain => Reason::TokenRefused,
            Kind::UpgradePlan => Reason::PlanTooLow,
            Kind::GrantAccess => Reason::NoAccess,
            Kind::LeaveOut => Reason::NotFound,
            Kind::RestartListing => Reason::OffsetExpired,
            Kind::SplitListing => Reason::ResultTruncated,
            Kind::AskForLess => Reason::ResultTooLarge,
            Kind::CorrectRequest | Kind::AskDifferently => Reason::RequestRefused,
            Kind::StartAgain { .. } => Reason::SyncTokenExpired,
            Kind::AskFromElsewhere => Reason::LegalReasons,
            Kind::SlowDown { .. } => Reason::RateLimited,
            Kind::RunAgainLater { .. } => Reason::QuotaGone,
            Kind::TryAgain => Reason::ServerFailing,
            Kind::TryStorageAgain => Reason::StorageFailing,
            Kind::Reconnect => Reason::Unreachable,
            Kind::DistrustAnswer => Reason::NotAsana,
            Kind::TrustServer => Reason::UntrustedCertificate,
            Kind::SatisfyProxy => Reason::ProxyRefuses,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = if self.endpoint == TOKEN_PATH { "POST" } else { "GET" };
        write!(formatter, "{method} {}", self.object)?;
        if let Some(status) = self.status {
            write!(formatter, " answered {status}")?;
        }
        let message = self.message.trim_end_matches('.');
        write!(formatter, ": {message}. {}", self.advice())
    }
}

impl std::error::Error for Fault {}

impl From<&Fault> for Failure {
    fn from(fault: &Fault) -> Self {
        Self::new(fault.failure_kind(), fault.to_string())
    }
}

impl Reason {
    /// Whether Asana answered, and said no.
    pub const fn is_refusal(self) -> bool {
        matches!(self, Self::PlanTooLow | Self::NoAccess | Self::NotFound)
    }

    /// Whether something that was listed cannot be had: one may be private or gone, most cannot.
    pub const fn is_disappearance(self) -> bool {
        matches!(self, Self::NoAccess | Self::NotFound)
    }

    /// The reason as a clause that fits behind "because".
    pub const fn text(self) -> &'static str {
        match self {
            Self::TokenRefused => "Asana refuses the token",
            Self::PlanTooLow => "the Asana plan does not include it",
            Self::NoAccess => "the token has no access to it",
            Self::NotFound => "it does not exist (any more)",
            Self::OffsetExpired => "its pages kept expiring",
            Self::ResultTruncated => "Asana cut the result off",
            Self::ResultTooLarge => "the result is too large",
            Self::RequestRefused => "Asana refuses the request",
            Self::SyncTokenExpired => "the sync token is too old",
            Self::LegalReasons => "Asana may not serve it for legal reasons",
            Self::RateLimited => "Asana kept rejecting requests as too many",
            Self::QuotaGone => "Asana's quota is used up for longer than a sync waits",
            Self::ServerFailing => "Asana's server kept failing",
            Self::StorageFailing => "the storage behind it kept failing",
            Self::Unreachable => "Asana could not be reached",
            Self::NotAsana => "the answers were not Asana's",
            Self::UntrustedCertificate => "the server's certificate is not trusted",
            Self::ProxyRefuses => "the proxy wants credentials",
        }
    }
}

/// What the body of an answer that is not a success says.
enum Said {
    ByAsana { message: Redacted, sync: Option<String> },
    Nothing,
    ByAnother,
}

/// Asana's errors; those of its OAuth endpoints have another shape and are not read here.
#[derive(Deserialize)]
struct Errors {
    errors: Vec<OneError>,
    sync: Option<String>,
}

#[derive(Deserialize)]
struct OneError {
    message: Option<String>,
    /// What to quote to Asana's support; sent with 500.
    phrase: Option<String>,
}

impl Said {
    fn parse(body: &[u8], secrets: &Secrets) -> Self {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Self::Nothing;
        }
        match serde_json::from_slice::<Object<Errors>>(body) {
            Ok(Object(Errors { errors, sync })) => {
                let messages: Vec<String> = errors
                    .into_iter()
                    .filter_map(|error| match (error.message, error.phrase) {
                        (Some(message), Some(phrase)) => Some(format!("{message} ({phrase})")),
                        (message, phrase) => message.or(phrase),
                    })
                    .collect();
                let message = match messages.is_empty() {
                    true => "no reason given".into(),
                    false => ServerText::new(messages.join("; ")).redact(secrets),
                };
                // Tokens of event listings are kept and printed in states; none of ours is one.
                let sync = sync.filter(|sync| !secrets.occur_in(sync));
                Self::ByAsana { message, sync }
            }
            Err(_) => Self::ByAnother,
        }
    }
}

fn kind_of(status: u16, said: &Said, retry_after: Option<&str>) -> Kind {
    match (status, said) {
        (401, _) => Kind::GiveToken,
        (407, _) => Kind::SatisfyProxy,
        (429, _) => Kind::SlowDown { retry_after: retry_after.and_then(seconds) },
        (451, _) => Kind::AskFromElsewhere,
        (408 | 409 | 421 | 423 | 425 | 499, _) => Kind::TryAgain,
        (424 | 501, _) => Kind::TryStorageAgain,
        (500.., _) => Kind::TryAgain,
        // A web page instead of Asana's errors is not Asana's word on what exists and who may see it.
        (..400, _) | (_, Said::ByAnother) => Kind::DistrustAnswer,
        (402, _) => Kind::UpgradePlan,
        (403, _) => Kind::GrantAccess,
        (404 | 410, _) => Kind::LeaveOut,
        (412, Said::ByAsana { sync, .. }) => Kind::StartAgain { sync: sync.clone() },
        (412, Said::Nothing) => Kind::StartAgain { sync: None },
        (413, _) => Kind::AskForLess,
        (405 | 406 | 411 | 414..=417 | 426 | 428 | 431 | 434, _) => Kind::AskDifferently,
        (400, Said::ByAsana { message, .. }) => kind_of_bad_request(message),
        (400 | 422, _) => Kind::CorrectRequest,
        // Nobody has seen these; none of them is a word of Asana's on the request.
        (401..=499, _) => Kind::TryAgain,
    }
}

/// Asana tells the kinds of a 400 apart by nothing but the message. The phrases are from answers that users of
/// its API have published; that of a truncated result is from its pagination page, which paraphrases it.
fn kind_of_bad_request(message: &str) -> Kind {
    let message = message.to_lowercase();
    let has = |words: &[&str]| words.iter().all(|word| message.contains(word));
    if has(&["truncated"]) {
        Kind::SplitListing
    } else if has(&["pagination token"]) || has(&["offset", "expired"]) {
        Kind::RestartListing
    } else if has(&["too large"]) {
        Kind::AskForLess
    } else if has(&["multiple workspaces"]) {
        Kind::AskDifferently
    } else {
        Kind::CorrectRequest
    }
}

/// A `Retry-After` in whole seconds, as Asana sends it. A date, which a proxy might send, counts as none.
fn seconds(header: &str) -> Option<Duration> {
    header.trim().parse().ok().map(Duration::from_secs)
}
