//! Exchanging a credential for access tokens (RFC 6749, client credentials), and renewing them in time. Knows no
//! catalog but its token endpoint.

use std::time::{Duration, SystemTime};

use airbyte_connector::{Secret, Secrets};
use reqwest::header::HeaderMap;
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::key_pair::{JWT_LIFE, KeyPair};
use super::workload_identity::WorkloadIdentity;
use crate::catalog::redirects::elsewhere;
use crate::failure::{Failure, Result, with_causes};

/// How often the token endpoint is asked before it counts as down.
const ATTEMPTS: u32 = 6;
/// The pause after the first failed attempt; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A token is renewed when this little of its life is left, or a tenth of it if that is less.
const TOKEN_MARGIN: Duration = Duration::from_secs(60);
/// RFC 6749 leaves a token's life open if the server does not tell it.
const DEFAULT_TOKEN_LIFE: Duration = Duration::from_secs(600);
/// The error codes of RFC 6749, section 5.2. No other text of the answer is printed: servers repeat what was sent.
const ERROR_CODES: [&str; 6] = [
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "invalid_scope",
];

/// What is exchanged.
pub enum Credential {
    Fixed { client_id: Option<String>, secret: Secret },
    KeyPair(Box<KeyPair>),
    WorkloadIdentity(WorkloadIdentity),
}

impl Credential {
    /// What to send as `client_secret` now.
    fn secret(&self) -> Result<String> {
        match self {
            Self::Fixed { secret, .. } => Ok(secret.expose().to_owned()),
            Self::KeyPair(key) => key.sign(SystemTime::now()),
            Self::WorkloadIdentity(identity) => identity.read(),
        }
    }

    fn client_id(&self) -> Option<&str> {
        match self {
            Self::Fixed { client_id, .. } => client_id.as_deref().filter(|id| !id.is_empty()),
            Self::KeyPair(_) | Self::WorkloadIdentity(_) => None,
        }
    }

    /// Whether the credential that was sent is no longer the one to send.
    fn has_changed(&self, sent: &str) -> bool {
        match self {
            Self::Fixed { .. } | Self::KeyPair(_) => false,
            // A file that is being replaced is read at the next request.
            Self::WorkloadIdentity(identity) => identity.read().is_ok_and(|now| now != sent),
        }
    }

    /// How long a token may be used at most, whatever the server says of its life.
    fn longest_life(&self) -> Option<Duration> {
        match self {
            Self::Fixed { .. } | Self::WorkloadIdentity(_) => None,
            Self::KeyPair(_) => Some(JWT_LIFE),
        }
    }

    /// What to check when the credential is refused.
    fn advice(&self) -> &'static str {
        match self {
            Self::Fixed { .. } => "Check client ID, client secret and scope",
            Self::KeyPair(_) => {
                "Check account, user and scope, and that DESCRIBE USER shows the fingerprint of this key \
                 as RSA_PUBLIC_KEY_FP"
            }
            Self::WorkloadIdentity(_) => {
                "Check provider and scope, and that the user's WORKLOAD_IDENTITY names the issuer, subject \
                 and audience of this token"
            }
        }
    }
}

pub struct TokenExchange {
    credential: Credential,
    scope: Option<String>,
    address: Url,
    headers: HeaderMap,
    secrets: Secrets,
    held: Mutex<Option<Held>>,
}

struct Held {
    token: String,
    renew_at: Option<Instant>,
    /// What the token was exchanged for.
    sent: String,
}

impl TokenExchange {
    pub fn new(
        credential: Credential,
        scope: Option<String>,
        address: Url,
        headers: HeaderMap,
        secrets: Secrets,
    ) -> Self {
        Self { credential, scope, address, headers, secrets, held: Mutex::new(None) }
    }

    /// A token that lasts for the request at hand.
    pub async fn token(&self, client: &Client) -> Result<String> {
        let mut held = self.held.lock().await;
        let now = Instant::now();
        let usable = |held: &&Held| {
            held.renew_at.is_none_or(|at| now < at) && !self.credential.has_changed(&held.sent)
        };
        if let Some(held) = held.as_ref().filter(usable) {
            return Ok(held.token.clone());
        }
        let fetched = self.fetch(client).await?;
        let token = fetched.token.clone();
        *held = Some(fetched);
        Ok(token)
    }

    pub async fn forget(&self) {
        *self.held.lock().await = None;
    }

    async fn fetch(&self, client: &Client) -> Result<Held> {
        let mut pause = FIRST_PAUSE;
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            // A JWT is signed anew for every attempt: the one before may be over.
            let sent = self.credential.secret()?;
            self.secrets.learn(&Secret::new(&sent));
            let mut form = vec![("grant_type", "client_credentials"), ("client_secret", &sent)];
            form.extend(self.credential.client_id().map(|id| ("client_id", id)));
            form.extend(self.scope.as_deref().map(|scope| ("scope", scope)));
            let request = client.post(self.address.clone()).headers(self.headers.clone()).form(&form);
            match request.send().await {
                Ok(response) if response.status().is_success() => return self.granted(response, sent).await,
                Ok(response) if is_passing(response.status()) => last = response.status().to_string(),
                Ok(response) if response.status().is_redirection() => {
                    let host = elsewhere(&response).unwrap_or_default();
                    return Err(Failure::configuration(format!(
                        "the catalog's token address redirects to another server, {host}, which would get the \
                         client secret. If that is right, set it as the token address in the config"
                    )));
                }
                Ok(response) => return Err(self.refused(response).await),
                Err(error) => last = with_causes(&error.without_url()),
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(Failure::transient(format!("the catalog's token address does not answer: {last}")))
    }

    async fn granted(&self, response: Response, sent: String) -> Result<Held> {
        #[derive(Deserialize)]
        struct Granted {
            access_token: String,
            #[serde(default)]
            expires_in: Option<u64>,
        }
        // The decoder's messages may quote the token.
        let granted: Granted = response.json().await.map_err(|_| {
            Failure::transient("the answer of the catalog's token address has no access token")
        })?;
        self.secrets.learn(&Secret::new(&granted.access_token));
        let granted_life = granted.expires_in.map_or(DEFAULT_TOKEN_LIFE, Duration::from_secs);
        let life = self.credential.longest_life().map_or(granted_life, |longest| granted_life.min(longest));
        let margin = TOKEN_MARGIN.min(life / 10);
        let renew_at = Instant::now().checked_add(life.saturating_sub(margin));
        Ok(Held { token: granted.access_token, renew_at, sent })
    }

    async fn refused(&self, response: Response) -> Failure {
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        let code = error_code(&text);
        let reason = code.map(|code| format!(" ({code})")).unwrap_or_default();
        let advice = match (code, &self.scope) {
            (Some("invalid_scope"), Some(scope)) => format!(
                "The scope {scope:?} is not granted. Snowflake: grant this role to the user, and leave the client \
                 ID empty with a programmatic access token"
            ),
            (Some("invalid_scope"), None) => "Snowflake: set the scope to session:role:NAME".to_owned(),
            _ if text.to_lowercase().contains("network policy") => {
                "A network policy refuses the token. Horizon does not support network policies of a single user: use \
                 one of the account, or an authentication policy whose PAT_POLICY does not ask for one"
                    .to_owned()
            }
            _ => self.credential.advice().to_owned(),
        };
        Failure::configuration(format!("the catalog gave no token: {status}{reason}. {advice}"))
    }
}

/// The OAuth error of an answer, if it is one of the known ones.
fn error_code(text: &str) -> Option<&'static str> {
    let body: serde_json::Value = serde_json::from_str(text).ok()?;
    // Servers of Iceberg's own protocol wrap it: {"error": {"type": …}}.
    let error = body.get("error")?;
    let given = error.as_str().or_else(|| error.get("type")?.as_str())?;
    ERROR_CODES.into_iter().find(|code| *code == given)
}

/// Statuses after which the same request may succeed later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;
    use std::sync::{Arc, Mutex as BlockingMutex};

    use serde_json::json;

    use super::*;

    /// A token endpoint that counts its tokens and keeps what was sent.
    fn endpoint(expires_in: u64) -> (Url, Arc<BlockingMutex<Vec<String>>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/tokens", listener.local_addr().unwrap());
        let forms = Arc::new(BlockingMutex::new(Vec::new()));
        let kept = forms.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).unwrap();
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                        length = value.trim().parse().unwrap();
                    }
                    if line.trim().is_empty() {
                        break;
                    }
                }
                let mut form = vec![0; length];
                reader.read_exact(&mut form).unwrap();
                let mut kept = kept.lock().unwrap();
                kept.push(String::from_utf8(form).unwrap());
                let body = json!({"access_token": format!("token-{}", kept.len()), "expires_in": expires_in});
                let body = body.to_string();
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
            }
        });
        (Url::parse(&address).unwrap(), forms)
    }

    #[tokio::test(start_paused = true)]
    async fn a_jwt_is_signed_again_and_exchanged_before_its_hour_is_over() {
        const MINUTE: Duration = Duration::from_secs(60);
        // However long Snowflake says that the token lasts: it lasts no longer than the JWT.
        for expires_in in [3600, 86400] {
            let (address, forms) = endpoint(expires_in);
            let key = include_str!("../../../tests/keys/pkcs8.pem");
            let config = json!({"account": "org-account", "user": "loader", "private_key": key});
            let key = KeyPair::read(&serde_json::from_value(config).unwrap()).unwrap();
            let scope = Some("session:role:LOADER".to_owned());
            let exchange = TokenExchange::new(
                Credential::KeyPair(Box::new(key)),
                scope,
                address,
                HeaderMap::new(),
                Secrets::default(),
            );
            drop(rustls::crypto::ring::default_provider().install_default());
            let client = Client::builder().pool_max_idle_per_host(0).build().unwrap();
            assert_eq!(exchange.token(&client).await.unwrap(), "token-1");
            tokio::time::advance(53 * MINUTE).await;
            assert_eq!(exchange.token(&client).await.unwrap(), "token-1", "not more often than needed");
            tokio::time::advance(2 * MINUTE).await;
            assert_eq!(exchange.token(&client).await.unwrap(), "token-2");
            let forms = forms.lock().unwrap();
            assert_eq!(forms.len(), 2);
            for form in forms.iter() {
                assert!(
                    form.contains("grant_type=client_credentials") && !form.contains("client_id"),
                    "{form}"
                );
                assert!(form.contains("scope=session%3Arole%3ALOADER"), "{form}");
                let jwt = form.split('&').find_map(|field| field.strip_prefix("client_secret=")).unwrap();
                assert_eq!(jwt.split('.').count(), 3, "{form}");
            }
        }
    }

    #[test]
    fn only_known_errors_of_an_answer_are_printed() {
        assert_eq!(error_code(r#"{"error": "invalid_scope"}"#), Some("invalid_scope"));
        let wrapped = r#"{"error": {"type": "invalid_client", "message": "hunter2"}}"#;
        assert_eq!(error_code(wrapped), Some("invalid_client"));
        assert_eq!(error_code(r#"{"error": "hunter2 is no secret"}"#), None);
        assert_eq!(error_code("<html>"), None);
    }
}
