//! What the client reports while it works.

use std::time::{Duration, SystemTime};

use airbyte_connector::Secret;

/// Something that takes time, or that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The client sends no request before that time.
    RateLimited { wait: Duration, until: SystemTime },
    /// A request failed and is sent again.
    Retrying { endpoint: String, attempt: u32, wait: Duration, why: String },
    /// Asana announces a change of its API, in its own words; each announcement is reported once.
    ChangeAnnounced { text: String },
    /// Asana replaced the refresh token. The one in the config may no longer work.
    RefreshTokenReplaced { refresh_token: Secret },
    /// Pages kept failing, so the client requests fewer records at once.
    SmallerPages { endpoint: String, limit: u32 },
    /// An offset expired. The listing starts again and skips the rows that were read.
    ListingRestarted { endpoint: String },
}
