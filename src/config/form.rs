//! What the user typed, as Airbyte's form has it: the struct whose schema is the spec. Knows no defaults that are not the
//! form's, and nothing of what becomes of it.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::asana::{FREE_PER_MINUTE, PAID_PER_MINUTE};

/// Requests a minute where the user says nothing: 1.25 a second, half of what free plans allow.
pub(super) const DEFAULT_REQUESTS_PER_MINUTE: u32 = 75;

/// Maximum size of a stream's state in bytes of JSON where the user says nothing. A platform stores and passes on each.
const DEFAULT_STATE_LIMIT_BYTES: usize = 900_000;

/// The config file, as Airbyte's form fills it. `token` alone is enough.
#[derive(Deserialize, JsonSchema)]
#[schemars(title = "Asana")]
pub(super) struct Config {
    /// Your Asana personal access token, or the token of a service account. Make one in Asana under Settings,
    /// Apps, Developer apps, or at https://app.asana.com/0/my-apps.
    #[schemars(title = "Access token", extend("airbyte_secret" = true, "always_show" = true, "order" = 0))]
    pub(super) token: Option<String>,

    /// Instead of the access token above: credentials in the shape of Airbyte's own Asana connector.
    #[schemars(title = "Credentials", extend("type" = "object", "always_show" = true, "order" = 1))]
    pub(super) credentials: Option<Credentials>,

    /// The gids of the workspaces to read. Leave it empty to read every workspace that the token sees.
    #[serde(default)]
    #[schemars(title = "Workspaces", extend("order" = 2, "examples" = ["1201234567890123"]))]
    pub(super) workspaces: Vec<String>,

    /// Tasks that have not changed since this time are left out, and so are their stories and attachments.
    /// Leave it empty to read everything.
    #[schemars(
        title = "Start date",
        extend("format" = "date-time", "order" = 3, "examples" = ["2024-01-01T00:00:00Z"]),
        pattern(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3})?Z$")
    )]
    pub(super) start_date: Option<String>,

    /// Read archived projects and what is in them too.
    #[serde(default = "Config::default_include_archived_projects")]
    #[schemars(title = "Include archived projects", extend("order" = 4))]
    pub(super) include_archived_projects: bool,

    /// Tell of records that were deleted in Asana: a record with its key and the time in `_ab_cdc_deleted_at`.
    /// Only for streams that are read incrementally; a full refresh replaces everything anyway.
    #[serde(default = "Config::default_deletions")]
    #[schemars(title = "Deleted records", extend("order" = 5))]
    pub(super) deletions: bool,

    /// Find the tasks with attachments by Asana's search, and request the attachments of these tasks and of a sample of the
    /// others. Only paid plans have the search. Without it, the attachments of every task are requested.
    #[serde(default = "Config::default_attachment_search")]
    #[schemars(title = "Find attachments by search", extend("order" = 8))]
    pub(super) attachment_search: bool,

    /// How fast to send requests. Asana allows each token 150 requests a minute on free plans and 1,500 on
    /// paid ones; every program that uses the token shares them.
    #[schemars(title = "Rate limit", extend("type" = "object", "order" = 6))]
    pub(super) rate_limit: Option<RateLimit>,

    /// How large each stream's state may become, in bytes. The state remembers what hung on each task, so that deletions
    /// are noticed; where it has no room, the oldest tasks are left out. Raise it for large accounts if your platform
    /// stores larger states.
    #[serde(default = "Config::default_state_limit_bytes")]
    #[schemars(title = "Size of states", range(min = 10_000, max = 100_000_000), extend("order" = 7))]
    pub(super) state_limit_bytes: usize,
}

impl Config {
    fn default_include_archived_projects() -> bool {
        true
    }

    fn default_deletions() -> bool {
        true
    }

    fn default_attachment_search() -> bool {
        true
    }

    fn default_state_limit_bytes() -> usize {
        DEFAULT_STATE_LIMIT_BYTES
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "option_title")]
pub(super) enum Credentials {
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
pub(super) enum RateLimit {
    /// Never more than this many requests a minute.
    #[schemars(title = "Requests per minute")]
    Fixed {
        /// 75 is gentle on any plan. Asana's own limits are 150 on free plans and 1,500 on paid ones.
        #[serde(default = "RateLimit::default_requests_per_minute")]
        #[schemars(title = "Requests per minute", range(min = 1, max = 1_000_000))]
        requests_per_minute: u32,
    },
    /// Find the pace that Asana grants, up to a ceiling, and yield to other users of the token.
    #[schemars(title = "Adaptive")]
    Adaptive {
        /// The highest pace to try.
        #[serde(default = "RateLimit::default_at_most_per_minute")]
        #[schemars(title = "At most, per minute", range(min = 1, max = 1_000_000))]
        at_most_per_minute: u32,
    },
    /// A share of your plan's quota, the rest of which stays free for other users of the token.
    #[schemars(title = "Share of the quota")]
    Share {
        /// The plan of your Asana workspace: free allows 150 requests a minute, paid allows 1,500.
        #[schemars(title = "Plan")]
        plan: QuotaPlan,
        /// Percent of the quota to use.
        #[serde(default = "RateLimit::default_percent")]
        #[schemars(title = "Percent", range(min = 1, max = 100))]
        percent: u32,
    },
}

impl RateLimit {
    fn default_requests_per_minute() -> u32 {
        DEFAULT_REQUESTS_PER_MINUTE
    }

    fn default_at_most_per_minute() -> u32 {
        PAID_PER_MINUTE
    }

    fn default_percent() -> u32 {
        50
    }
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum QuotaPlan {
    Free,
    Paid,
}

impl QuotaPlan {
    /// Requests a minute for each token, from Asana's page on rate limits.
    pub(super) fn requests_per_minute(self) -> u32 {
        match self {
            Self::Free => FREE_PER_MINUTE,
            Self::Paid => PAID_PER_MINUTE,
        }
    }
}
