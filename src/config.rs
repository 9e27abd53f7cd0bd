//! What the user typed (`Config`, whose schema is the spec) and what the program needs (`Settings`). Knows no
//! stream and no network.

use std::fmt;
use std::time::Duration;

use airbyte_protocol::message::ConnectorSpecification;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::asana::{Authorization, FREE_PER_MINUTE, Limits, PAID_PER_MINUTE, Secret, Secrets};
use crate::error::Failure;
use crate::moment::Moment;
use crate::schema;

/// The config file, as Airbyte's form fills it. `token` alone is enough.
#[derive(Deserialize, JsonSchema)]
#[schemars(title = "Asana")]
struct Config {
    /// Your Asana personal access token, or the token of a service account. Make one in Asana under Settings,
    /// Apps, Developer apps, or at https://app.asana.com/0/my-apps.
    #[schemars(title = "Access token", extend("airbyte_secret" = true, "order" = 0))]
    token: Option<String>,

    /// Instead of the access token above: credentials in the shape of Airbyte's own Asana connector.
    #[schemars(title = "Credentials", extend("type" = "object", "order" = 1))]
    credentials: Option<Credentials>,

    /// The gids of the workspaces to read. Leave it empty to read every workspace that the token sees.
    #[serde(default)]
    #[schemars(title = "Workspaces", extend("order" = 2, "examples" = ["1201234567890123"]))]
    workspaces: Vec<String>,

    /// Tasks that have not changed since this time are left out, and so are their stories and attachments.
    /// Leave it empty to read everything.
    #[schemars(
        title = "Start date",
        extend("format" = "date-time", "order" = 3, "examples" = ["2024-01-01T00:00:00Z"]),
        pattern(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z$")
    )]
    start_date: Option<String>,

    /// Read archived projects and what is in them too.
    #[serde(default = "Config::default_include_archived_projects")]
    #[schemars(title = "Include archived projects", extend("order" = 4))]
    include_archived_projects: bool,

    /// Tell of records that were deleted in Asana: a record with its key and the time in `_ab_cdc_deleted_at`.
    /// Only for streams that are read incrementally; a full refresh replaces everything anyway.
    #[serde(default = "Config::default_deletions")]
    #[schemars(title = "Deleted records", extend("order" = 5))]
    deletions: bool,

    /// How fast to send requests. Asana allows each token 150 requests a minute on free plans and 1,500 on
    /// paid ones; every program that uses the token shares them.
    #[schemars(title = "Rate limit", extend("type" = "object", "order" = 6))]
    rate_limit: Option<RateLimit>,
}

impl Config {
    fn default_include_archived_projects() -> bool {
        true
    }

    fn default_deletions() -> bool {
        true
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "option_title")]
enum Credentials {
    /// Sign in with Asana.
    #[serde(rename = "OAuth Credentials")]
    #[schemars(title = "OAuth")]
    OAuth {
        /// The client ID of your Asana app.
        #[schemars(title = "Client ID", extend("airbyte_secret" = true))]
        client_id: String,
        /// The client secret of your Asana app.
        #[schemars(title = "Client secret", extend("airbyte_secret" = true))]
        client_secret: String,
        /// The refresh token that Asana gave your app.
        #[schemars(title = "Refresh token", extend("airbyte_secret" = true))]
        refresh_token: String,
    },
    /// Take the access token from a secret in AWS Secrets Manager, with the AWS credentials of the machine.
    #[serde(rename = "AWS Secrets Manager")]
    #[schemars(title = "AWS Secrets Manager")]
    SecretsManager {
        /// The secret's name or ARN.
        #[schemars(title = "Secret name or ARN")]
        secret_id: String,
        /// The secret's region. Leave it empty where an ARN or the machine's AWS settings name it.
        #[schemars(title = "Region", extend("examples" = ["eu-central-1"]))]
        region: Option<String>,
        /// The key that holds the access token, in the secret's JSON.
        #[serde(default = "Credentials::default_json_key")]
        #[schemars(title = "Key in the secret")]
        json_key: String,
    },
    /// Use a personal access token.
    #[serde(rename = "PAT Credentials")]
    #[schemars(title = "Personal access token")]
    PersonalAccessToken {
        /// Your Asana personal access token.
        #[schemars(title = "Personal access token", extend("airbyte_secret" = true))]
        personal_access_token: String,
    },
}

impl Credentials {
    fn default_json_key() -> String {
        "token".to_owned()
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "mode", rename_all = "snake_case")]
enum RateLimit {
    /// Never more than this many requests a minute.
    #[schemars(title = "Requests per minute")]
    Fixed {
        /// 75 is gentle on any plan. Asana's own limits are 150 on free plans and 1,500 on paid ones.
        #[schemars(title = "Requests per minute", range(min = 1, max = 1_000_000), extend("default" = 75))]
        requests_per_minute: u32,
    },
    /// Find the pace that Asana grants, up to a ceiling, and yield to other users of the token.
    #[schemars(title = "Adaptive")]
    Adaptive {
        /// The highest pace to try.
        #[schemars(title = "At most, per minute", range(min = 1, max = 1_000_000), extend("default" = 1500))]
        at_most_per_minute: u32,
    },
    /// A share of your plan's quota, the rest of which stays free for other users of the token.
    #[schemars(title = "Share of the quota")]
    Share {
        /// The plan of your Asana workspace: free allows 150 requests a minute, paid allows 1,500.
        #[schemars(title = "Plan")]
        plan: QuotaPlan,
        /// Percent of the quota to use.
        #[schemars(title = "Percent", range(min = 1, max = 100), extend("default" = 50))]
        percent: u32,
    },
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum QuotaPlan {
    Free,
    Paid,
}

impl QuotaPlan {
    /// Requests a minute for each token, from Asana's page on rate limits.
    fn requests_per_minute(self) -> u32 {
        match self {
            Self::Free => FREE_PER_MINUTE,
            Self::Paid => PAID_PER_MINUTE,
        }
    }
}

/// Requests a minute where the user says nothing: 1.25 a second, half of what free plans allow.
const DEFAULT_REQUESTS_PER_MINUTE: u32 = 75;

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
    pub deletions: TellDeletions,
    pub limits: Limits,
    /// The least time between two checkpoints of a stream.
    pub checkpoint_every: Duration,
}

/// How often Airbyte's platform stores a checkpoint, so that more would be in vain.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// Whether deleted records are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TellDeletions {
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
        config["credentials"]["refresh_token"] = json!(refresh_token.for_the_platform());
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
    /// Reads a config file's text; every mismatch with the spec is told by the field's path and what was
    /// expected there, never with a value, which might be a secret.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let mut value: Value = serde_json::from_str(text).map_err(|error| {
            Failure::config(format!(
                "the config is not JSON: it breaks off or goes wrong at line {}, column {}",
                error.line(),
                error.column()
            ))
        })?;
        let file = ConfigFile(value.clone());
        drop_nulls(&mut value);
        make_whole(&mut value);
        name_credentials(&mut value);
        check_against_spec(&value)?;
        let config: Config = serde_json::from_value(value)
            .map_err(|_| Failure::bug("the config fits the spec but not the program"))?;
        Self::from_config(config, file)
    }

    fn from_config(config: Config, file: ConfigFile) -> Result<Self, Failure> {
        let secrets = Secrets::default();
        let sign_in = sign_in(config.token, config.credentials, &secrets)?;
        let start = match config.start_date.as_deref().filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(Moment::parse(text).ok_or_else(|| {
                Failure::config(
                    "config field `start_date`: expected a day that exists, as 2024-01-01T00:00:00Z",
                )
            })?),
        };
        Ok(Self {
            sign_in,
            secrets,
            file,
            workspaces: config.workspaces,
            start,
            archived_projects: if config.include_archived_projects {
                ArchivedProjects::Included
            } else {
                ArchivedProjects::LeftOut
            },
            checkpoint_every: CHECKPOINT_EVERY,
            deletions: if config.deletions { TellDeletions::Yes } else { TellDeletions::No },
            limits: limits(config.rate_limit),
        })
    }
}

fn sign_in(
    token: Option<String>,
    credentials: Option<Credentials>,
    secrets: &Secrets,
) -> Result<SignIn, Failure> {
    let secret = |text: &str, what: &str, place: &str| {
        let secret = Secret::new(text);
        if secret.is_empty() {
            return Err(Failure::config(format!("the {what} is empty: paste it into `{place}`")));
        }
        secrets.learn(&secret);
        Ok(secret)
    };
    match (token, credentials) {
        (Some(token), _) => Ok(SignIn::Token(secret(&token, "access token", "token")?)),
        (None, Some(Credentials::PersonalAccessToken { personal_access_token })) => {
            let place = "credentials.personal_access_token";
            Ok(SignIn::Token(secret(&personal_access_token, "access token", place)?))
        }
        (None, Some(Credentials::OAuth { client_id, client_secret, refresh_token })) => {
            Ok(SignIn::OAuth(Authorization {
                client_id: secret(&client_id, "client ID", "credentials.client_id")?,
                client_secret: secret(&client_secret, "client secret", "credentials.client_secret")?,
                refresh_token: secret(&refresh_token, "refresh token", "credentials.refresh_token")?,
            }))
        }
        (None, Some(Credentials::SecretsManager { secret_id, region, json_key })) => {
            let region = region.filter(|region| !region.is_empty());
            Ok(SignIn::SecretsManager(SecretName { secret_id, region, json_key }))
        }
        (None, None) => {
            Err(Failure::config("the config has no `token`: give an Asana personal access token"))
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

/// What `spec` prints.
pub fn specification() -> ConnectorSpecification {
    ConnectorSpecification {
        documentation_url: None,
        changelog_url: None,
        connection_specification: connection_specification(),
        supports_incremental: Some(true),
        supported_destination_sync_modes: None,
        protocol_version: Some("0.2.0".to_owned()),
        advanced_auth: Some(advanced_auth()),
    }
}

/// What Airbyte's "Sign in" button needs: Asana's addresses and where the results go in the config. With all of it
/// in the spec, the button works whatever the image is called.
fn advanced_auth() -> Value {
    let text_at = |path: &str| json!({"type": "string", "path_in_connector_config": ["credentials", path]});
    let text = json!({"type": "string"});
    json!({
        "auth_flow_type": "oauth2.0",
        "predicate_key": ["credentials", "option_title"],
        "predicate_value": "OAuth Credentials",
        "oauth_config_specification": {
            "oauth_connector_input_specification": {
                "consent_url": "https://app.asana.com/-/oauth_authorize?{{client_id_param}}&{{redirect_uri_param}}&response_type=code&{{scopes_param}}&{{state_param}}",
                "scope": "default",
                "access_token_url": "https://app.asana.com/-/oauth_token",
                "access_token_headers": {"Content-Type": "application/x-www-form-urlencoded"},
                "access_token_params": {
                    "grant_type": "authorization_code",
                    "code": "{{ auth_code_value }}",
                    "client_id": "{{ client_id_value }}",
                    "client_secret": "{{ client_secret_value }}",
                    "redirect_uri": "{{ redirect_uri_value }}",
                },
                "extract_output": ["refresh_token"],
            },
            "complete_oauth_output_specification": {
                "type": "object",
                "additionalProperties": true,
                "properties": {"refresh_token": text_at("refresh_token")},
            },
            "complete_oauth_server_input_specification": {
                "type": "object",
                "additionalProperties": true,
                "properties": {"client_id": text, "client_secret": text},
            },
            "complete_oauth_server_output_specification": {
                "type": "object",
                "additionalProperties": true,
                "properties": {"client_id": text_at("client_id"), "client_secret": text_at("client_secret")},
            },
        },
    })
}

/// The spec's `connectionSpecification`.
fn connection_specification() -> Value {
    let mut schema = schema::inlined::<Config>();
    tidy(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        root.insert("type".into(), json!("object"));
        root.insert("additionalProperties".into(), json!(true));
    }
    schema
}

/// Airbyte's form reads a single type for each field, options of a choice by a `const`, no numeric formats, and
/// one-line descriptions.
fn tidy(schema: &mut Value) {
    let Value::Object(keywords) = schema else {
        if let Value::Array(items) = schema {
            items.iter_mut().for_each(tidy);
        }
        return;
    };
    collapse_nullable(keywords);
    if let Some(Value::Array(types)) = keywords.get("type") {
        let single = types.iter().find(|name| *name != "null").cloned();
        keywords.extend(single.map(|single| ("type".to_owned(), single)));
    }
    if keywords.get("format").is_some_and(|format| format != "date-time") {
        keywords.remove("format");
    }
    if keywords.get("default") == Some(&Value::Null) {
        keywords.remove("default");
    }
    if let Some(Value::String(description)) = keywords.get_mut("description") {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    keywords.values_mut().for_each(tidy);
}

/// `anyOf: [X, null]` is how an optional object comes; the form wants X.
fn collapse_nullable(keywords: &mut serde_json::Map<String, Value>) {
    let Some(Value::Array(options)) = keywords.get("anyOf") else { return };
    let Some(Value::Object(inner)) =
        options.iter().find(|option| option.get("type") != Some(&json!("null"))).cloned()
    else {
        return;
    };
    keywords.remove("anyOf");
    for (keyword, value) in inner {
        keywords.entry(keyword).or_insert(value);
    }
}

/// Forms send null for a field that was left empty.
fn drop_nulls(config: &mut Value) {
    if let Value::Object(fields) = config {
        fields.retain(|_, value| !value.is_null());
    }
}

/// To JSON Schema 75.0 is a whole number, and some languages write one so.
fn make_whole(value: &mut Value) {
    match value {
        Value::Number(number) => {
            // Larger ones are beyond every maximum anyway.
            let whole = number.as_f64().filter(|_| number.is_f64()).filter(|float| float.fract() == 0.0);
            if let Some(float) = whole.filter(|float| float.abs() < f64::from(u32::MAX)) {
                *value = json!(float as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_whole),
        Value::Object(fields) => fields.values_mut().for_each(make_whole),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
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

fn check_against_spec(config: &Value) -> Result<(), Failure> {
    let specification = connection_specification();
    let validator = jsonschema::draft7::new(&specification)
        .map_err(|error| Failure::bug(format!("the spec is not a JSON schema: {error}")))?;
    let mut problems: Vec<String> = validator.iter_errors(config).map(|error| explain(&error)).collect();
    problems.dedup();
    if problems.is_empty() { Ok(()) } else { Err(Failure::config(problems.join("; "))) }
}

/// What was expected at which field. It never quotes what was found.
fn explain(error: &jsonschema::ValidationError<'_>) -> String {
    use jsonschema::error::ValidationErrorKind as Kind;
    let place = field_name(&error.instance_path().to_string());
    match error.kind() {
        Kind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            format!(
                "config field `{}` is missing",
                join(&field_name(&error.instance_path().to_string()), property)
            )
        }
        Kind::Type { kind } => format!("{} must be {}", field(&place), type_phrase(&format!("{kind:?}"))),
        Kind::Minimum { limit } => format!("{} must be at least {limit}", field(&place)),
        Kind::Maximum { limit } => format!("{} must be at most {limit}", field(&place)),
        Kind::Enum { options } => format!("{} must be one of {options}", field(&place)),
        Kind::Constant { expected_value } => format!("{} must be {expected_value}", field(&place)),
        Kind::Pattern { .. } | Kind::Format { .. } => {
            format!("{} must look like 2024-01-01T00:00:00Z", field(&place))
        }
        Kind::OneOfNotValid { context } => explain_choice(&place, context),
        _ => format!("{} does not fit the spec", field(&place)),
    }
}

/// A choice has one option for each constant: the option whose constant was given tells what is wrong in it.
fn explain_choice(place: &str, context: &[Vec<jsonschema::ValidationError<'_>>]) -> String {
    use jsonschema::error::ValidationErrorKind as Kind;
    let is_other_option =
        |error: &jsonschema::ValidationError<'_>| matches!(error.kind(), Kind::Constant { .. });
    match context.iter().find(|errors| !errors.iter().any(is_other_option)) {
        Some(errors) => errors.iter().map(explain).collect::<Vec<_>>().join("; "),
        None => {
            let constants = context.iter().flatten().filter_map(|error| match error.kind() {
                Kind::Constant { expected_value } => {
                    Some((error.instance_path().to_string(), expected_value.to_string()))
                }
                _ => None,
            });
            let (paths, titles): (Vec<_>, Vec<_>) = constants.unzip();
            let path = paths.first().map_or(place.to_owned(), |path| field_name(path));
            format!("{} must be one of {}", field(&path), titles.join(", "))
        }
    }
}

fn field(place: &str) -> String {
    if place.is_empty() { "the config".to_owned() } else { format!("config field `{place}`") }
}

fn field_name(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

fn join(place: &str, property: &str) -> String {
    if place.is_empty() { property.to_owned() } else { format!("{place}.{property}") }
}

fn type_phrase(kind: &str) -> String {
    let lower = kind.to_lowercase();
    let name = ["object", "array", "string", "integer", "number", "boolean"]
        .into_iter()
        .find(|name| lower.contains(name));
    match name {
        Some("object") => "an object".to_owned(),
        Some("array") => "a list".to_owned(),
        Some("string") => "text".to_owned(),
        Some("integer") => "a whole number".to_owned(),
        Some("number") => "a number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some(_) | None => "of another type".to_owned(),
    }
}

#[cfg(test)]
mod tests {
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
            assert_eq!(failure.class, crate::error::Class::Config, "{number}: {failure}");
        }
    }
}
