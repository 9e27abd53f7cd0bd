//! What the program needs of the config (`Settings`), with every default decided. Knows no stream and no network.

mod form;
mod specification;

pub use specification::specification;

use std::fmt;
use std::time::Duration;

use airbyte_connector::config::{self, form_schema};
use airbyte_connector::{Failure, Secret, Secrets};
use serde_json::{Value, json};

use crate::asana::{Authorization, Limits};

use crate::gid_marks::MOST_IN_MEMORY;
use crate::moment::Moment;
use form::{Config, Credentials, DEFAULT_REQUESTS_PER_MINUTE, RateLimit};

/// What the program needs, with every default decided.
#[derive(Debug)]
pub struct Settings {
    pub sign_in: SignIn,
    /// What must not be told: everything secret in the config, and what a sync learns beside it.
    pub secrets: Secrets,
    pub file: ConfigFile,
    /// Gids; empty for every workspace that the token sees.
    pub workspaces: Vec<String>,
    pub start: Option<Moment>,
    pub archived_projects: ArchivedProjects,
    pub deletions: ReportDeletions,
    pub search_parents: SearchParents,
    /// Maximum size of each stream's state, in bytes of JSON.
    pub state_limit_bytes: usize,
    pub limits: Limits,
    /// The least time between two checkpoints of a stream.
    pub checkpoint_every: Duration,
    /// Of so many records of a stream is remembered in memory that they were read, and of more in a temporary file.
    pub most_marks_in_memory: usize,
}

/// How often Airbyte's platform stores a checkpoint, so that more would be in vain.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// Whether deleted records are reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportDeletions {
    Yes,
    No,
}

/// Whether searches find the parents whose listings have rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchParents {
    Yes,
    No,
}

/// How to get an access token.
#[derive(Debug, Clone)]
pub enum SignIn {
    Token(Secret),
    OAuth(Authorization),
    SecretsManager(SecretName),
}

/// Where in AWS Secrets Manager the access token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    /// Name or ARN.
    pub secret_id: String,
    /// `None`: the ARN's, or that of the machine's settings.
    pub region: Option<String>,
    /// The key in the secret's JSON.
    pub json_key: String,
}

/// The config as the platform gave it, to be given back with a change. It cannot be printed.
#[derive(Clone)]
pub struct ConfigFile(Value);

impl ConfigFile {
    /// The whole config with another refresh token, as the platform is to keep it.
    pub fn with_refresh_token(&self, refresh_token: &Secret) -> Value {
        let mut config = self.0.clone();
        config["credentials"]["refresh_token"] = json!(refresh_token.expose());
        config
    }
}

impl fmt::Debug for ConfigFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ConfigFile")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchivedProjects {
    Included,
    LeftOut,
}

impl Settings {
    /// Reads the text of a config file.
    ///
    /// # Errors
    ///
    /// If the config does not fit the spec. The message names each field and what is expected there, and no value, which
    /// may be a secret.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut value = config::parse(text)?;
        let file = ConfigFile(value.clone());
        name_credentials(&mut value);
        Self::from_config(config::fit(value, &form_schema::<Config>())?, file)
    }

    fn from_config(config: Config, file: ConfigFile) -> Result<Self, Failure> {
        let secrets = Secrets::default();
        let sign_in = sign_in(config.token, config.credentials, &secrets)?;
        let epoch = Moment::from_unix_milliseconds(0);
        let start = match config.start_date.as_deref() {
            None => None,
            Some(text) => Some(Moment::parse(text).filter(|start| *start >= epoch).ok_or_else(|| {
                Failure::configuration(
                    "config field `start_date`: expected a time from 1970 on and before 9999, on a day that exists, as \
                     2024-01-01T00:00:00Z",
                )
            })?),
        };
        let workspaces = config.workspaces.iter().map(|gid| gid.trim().to_owned());
        Ok(Self {
            sign_in,
            secrets,
            file,
            workspaces: workspaces.filter(|gid| !gid.is_empty()).collect(),
            start,
            archived_projects: if config.include_archived_projects {
                ArchivedProjects::Included
            } else {
                ArchivedProjects::LeftOut
            },
            checkpoint_every: CHECKPOINT_EVERY,
            most_marks_in_memory: MOST_IN_MEMORY,
            state_limit_bytes: config.state_limit_bytes,
            deletions: if config.deletions { ReportDeletions::Yes } else { ReportDeletions::No },
            search_parents: if config.attachment_search { SearchParents::Yes } else { SearchParents::No },
            limits: limits(config.rate_limit),
        })
    }
}

fn sign_in(
    token: Option<String>,
    credentials: Option<Credentials>,
    secrets: &Secrets,
) -> Result<SignIn, Failure> {
    let pasted = |text: &str, what: &str, place: &str| {
        let secret = Secret::new(text);
        match secret.is_empty() {
            true => Err(Failure::configuration(format!("the {what} is empty: paste it into `{place}`"))),
            false => Ok(secret),
        }
    };
    let secret = |text: &str, what: &str, place: &str| {
        let secret = pasted(text, what, place)?;
        secrets.learn(&secret);
        Ok::<_, Failure>(secret)
    };
    match (token, credentials) {
        (Some(token), _) => Ok(SignIn::Token(secret(&token, "access token", "token")?)),
        (None, Some(Credentials::PersonalAccessToken { personal_access_token })) => {
            let place = "credentials.personal_access_token";
            Ok(SignIn::Token(secret(&personal_access_token, "access token", place)?))
        }
        (None, Some(Credentials::OAuth { client_id, client_secret, refresh_token })) => {
            Ok(SignIn::OAuth(Authorization {
                // It names the app to everybody who signs in: it is no secret, and may be as short as a gid.
                client_id: pasted(&client_id, "client ID", "credentials.client_id")?,
                client_secret: secret(&client_secret, "client secret", "credentials.client_secret")?,
                refresh_token: secret(&refresh_token, "refresh token", "credentials.refresh_token")?,
            }))
        }
        (None, Some(Credentials::SecretsManager { secret_id, region, json_key })) => {
            if secret_id.trim().is_empty() {
                let message = "the secret's name is empty: paste it into `credentials.secret_id`";
                return Err(Failure::configuration(message));
            }
            let region = region.filter(|region| !region.is_empty());
            Ok(SignIn::SecretsManager(SecretName { secret_id, region, json_key }))
        }
        (None, None) => {
            Err(Failure::configuration("the config has no `token`: give an Asana personal access token"))
        }
    }
}

fn limits(rate_limit: Option<RateLimit>) -> Limits {
    match rate_limit {
        None => Limits::fixed(DEFAULT_REQUESTS_PER_MINUTE),
        Some(RateLimit::Fixed { requests_per_minute }) => Limits::fixed(requests_per_minute),
        Some(RateLimit::Adaptive { at_most_per_minute }) => Limits::adaptive_up_to(at_most_per_minute),
        Some(RateLimit::Share { plan, percent }) => {
            Limits::fixed((plan.requests_per_minute() * percent / 100).max(1))
        }
    }
}

/// Configs of Airbyte's own connector may leave `option_title` to the fields that are there.
fn name_credentials(config: &mut Value) {
    let Some(Value::Object(credentials)) = config.get_mut("credentials") else { return };
    if !credentials.contains_key("option_title") {
        let title = if credentials.contains_key("personal_access_token") {
            "PAT Credentials"
        } else {
            "OAuth Credentials"
        };
        credentials.insert("option_title".into(), json!(title));
    }
}

#[cfg(test)]
mod tests {
    use airbyte_connector::FailureKind;

    use super::*;

    fn limits_of(rate_limit: Value) -> Limits {
        Settings::parse(&json!({"token": "x", "rate_limit": rate_limit}).to_string()).unwrap().limits
    }

    #[test]
    fn the_pace_is_set_in_terms_that_a_person_has() {
        assert_eq!(limits_of(Value::Null), Limits::fixed(75), "1.25 a second");
        let fixed = |number: Value| limits_of(json!({"mode": "fixed", "requests_per_minute": number}));
        assert_eq!(fixed(json!(1500)), Limits::fixed(1500));
        assert_eq!(fixed(json!(75.0)), Limits::fixed(75), "a whole number to JSON Schema");
        let adaptive = limits_of(json!({"mode": "adaptive", "at_most_per_minute": 3000}));
        assert_eq!(adaptive, Limits::adaptive_up_to(3000));
        let share =
            |plan: &str, percent: u32| limits_of(json!({"mode": "share", "plan": plan, "percent": percent}));
        assert_eq!(share("free", 50), Limits::fixed(75));
        assert_eq!(share("paid", 100), Limits::fixed(1500));
        assert_eq!(share("free", 1), Limits::fixed(1));
    }

    #[test]
    fn settings_can_be_printed_without_their_token() {
        let config = json!({"token": "2/1204/567:0123456789abcdef", "start_date": "2024-01-01T00:00:00Z"});
        let text = format!("{:?}", Settings::parse(&config.to_string()).unwrap());
        assert!(text.contains("redacted") && !text.contains("0123456789"), "{text}");
    }

    #[test]
    fn no_pace_is_too_large_for_the_program() {
        for number in [json!(4_294_967_296_u64), json!(1e300), json!(u64::MAX), json!(1.5), json!(-1)] {
            let config =
                json!({"token": "x", "rate_limit": {"mode": "fixed", "requests_per_minute": number}});
            let failure = Settings::parse(&config.to_string()).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Configuration, "{number}: {failure}");
        }
    }
}
