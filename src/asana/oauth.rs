//! OAuth 2 access tokens: exchanges the refresh token for an access token, and renews it, because Asana's expire after
//! an hour.

use std::time::Duration;

use airbyte_connector::{Redacted, Secret, Secrets, ServerText};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::connection::{Broken, error_of, fault_of};
use super::fault::{Asked, Fault, Kind, TOKEN_PATH};
use super::notice::Notice;

/// How long before its expiry a token is renewed.
const BEFORE_EXPIRY: Duration = Duration::from_secs(60);
/// Maximum lifetime of an access token, whatever the answer says. It also keeps additions to the clock from
/// overflowing.
const LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// Lifetime of an access token if the answer does not say (Asana's page on OAuth).
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The credentials of an app that a user has authorized.
#[derive(Debug, Clone)]
pub struct Authorization {
    pub client_id: Secret,
    pub client_secret: Secret,
    pub refresh_token: Secret,
}

/// Exchanges refresh tokens for access tokens.
#[derive(Debug)]
pub struct OAuth {
    client_id: Secret,
    client_secret: Secret,
    /// Locked during an exchange, so that concurrent requests with a refused token lead to a single exchange.
    grant: Mutex<Grant>,
}

#[derive(Debug)]
struct Grant {
    refresh_token: Secret,
    /// The access token and when it expires.
    access_token: Option<(Secret, Instant)>,
}

/// The parts of the client that an exchange uses.
#[derive(Clone, Copy)]
pub(super) struct Exchange<'a> {
    pub http: &'a reqwest::Client,
    pub base_url: &'a str,
    pub secrets: &'a Secrets,
    pub notices: &'a UnboundedSender<Notice>,
}

/// What a client gets for a token that Asana refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// There is another token now.
    Renewed,
    /// This kind of token cannot be renewed.
    NotPossible,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

impl OAuth {
    pub fn new(authorization: Authorization) -> Self {
        let Authorization { client_id, client_secret, refresh_token } = authorization;
        Self { client_id, client_secret, grant: Mutex::new(Grant { refresh_token, access_token: None }) }
    }

    /// Adds the secrets of the config.
    pub(super) fn learn_by(&self, secrets: &Secrets) {
        secrets.learn(&self.client_secret);
        if let Ok(grant) = self.grant.try_lock() {
            secrets.learn(&grant.refresh_token);
        }
    }

    /// An access token that does not expire soon.
    pub(super) async fn current(&self, exchange: Exchange<'_>) -> Result<Secret, Fault> {
        let mut grant = self.grant.lock().await;
        match &grant.access_token {
            Some((token, expires)) if *expires > Instant::now() + BEFORE_EXPIRY => Ok(token.clone()),
            _ => self.exchange(&mut grant, exchange).await,
        }
    }

    /// Replaces an access token that Asana refused. If another request has replaced it meanwhile, that replacement is
    /// used.
    pub(super) async fn renew(&self, refused: &Secret, exchange: Exchange<'_>) -> Result<Renewal, Fault> {
        let mut grant = self.grant.lock().await;
        let is_current = grant.access_token.as_ref().is_some_and(|(token, _)| token == refused);
        if is_current {
            grant.access_token = None;
            self.exchange(&mut grant, exchange).await?;
        }
        Ok(Renewal::Renewed)
    }

    async fn exchange(&self, grant: &mut Grant, exchange: Exchange<'_>) -> Result<Secret, Fault> {
        let asked = Asked { endpoint: TOKEN_PATH.into(), object: TOKEN_PATH.to_owned() };
        let url = Url::parse(exchange.base_url).and_then(|url| url.join(TOKEN_PATH));
        let url = url.map_err(|error| {
            Fault::new(Kind::DistrustAnswer, None, Redacted::own(error.to_string()), &asked)
        })?;
        let body = form(&[
            ("grant_type", "refresh_token"),
            ("client_id", self.client_id.expose()),
            ("client_secret", self.client_secret.expose()),
            ("refresh_token", grant.refresh_token.expose()),
        ]);
        let secrets = exchange.secrets;
        let request =
            exchange.http.post(url).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let answer = request.send().await.map_err(|error| fault_of(error, &asked, secrets))?;
        let status = answer.status().as_u16();
        // An answer with a token is no longer than one with an error.
        let body = error_of(answer).await.map_err(|broken: Broken| broken.fault(&asked, secrets))?;
        match status {
            200 => {}
            // OAuth's own refusals; https://www.rfc-editor.org/rfc/rfc6749#section-5.2.
            400 | 401 => return Err(refusal(status, &body, &asked, secrets)),
            _ => return Err(Fault::of_answer(status, &body, None, &asked, secrets)),
        }
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| {
            Fault::new(Kind::DistrustAnswer, Some(status), "expected an access token, got none", &asked)
        })?;
        let token = Secret::new(&answer.access_token);
        exchange.secrets.learn(&token);
        if let Some(refresh_token) = answer.refresh_token.map(|text| Secret::new(&text))
            && refresh_token != grant.refresh_token
        {
            exchange.secrets.learn(&refresh_token);
            grant.refresh_token = refresh_token.clone();
            // Nobody has to listen.
            drop(exchange.notices.send(Notice::RefreshTokenReplaced { refresh_token }));
        }
        let lifetime = answer.expires_in.map_or(LIFETIME, Duration::from_secs);
        let lifetime = lifetime.min(LONGEST_LIFETIME);
        grant.access_token = Some((token.clone(), Instant::now() + lifetime));
        Ok(token)
    }
}

fn refusal(status: u16, body: &[u8], asked: &Asked, secrets: &Secrets) -> Fault {
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { error, error_description }) => {
            let description = error_description.map(|text| format!(": {text}")).unwrap_or_default();
            let message = ServerText::new(format!("{error}{description}")).redact(secrets);
            Fault::new(Kind::SignInAgain, Some(status), message, asked)
        }
        Err(_) => Fault::new(Kind::DistrustAnswer, Some(status), "expected OAuth's word on why", asked),
    }
}

/// Names and values as HTML forms send them.
fn form(fields: &[(&str, &str)]) -> String {
    let pairs =
        fields.iter().map(|(name, value)| format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
    pairs.collect::<Vec<_>>().join("&")
}
