//! Snowflake's workload identity: the OIDC token of the machine that we run on. Knows no network.

use std::path::PathBuf;

use reqwest::header::{HeaderName, HeaderValue};

use crate::config::{WorkloadIdentityConfig, WorkloadIdentityProvider};
use crate::failure::{Failure, Result};

/// Snowflake's name for the header, from its page on external engines and Horizon.
const PROVIDER: HeaderName = HeaderName::from_static("x-snowflake-workload-identity-provider");

pub enum WorkloadIdentity {
    File(PathBuf),
    Variable(String),
}

impl WorkloadIdentity {
    pub fn new(config: &WorkloadIdentityConfig) -> Result<Self> {
        match (&config.token_file, &config.token_variable) {
            (Some(path), None) => Ok(Self::File(PathBuf::from(path))),
            (None, Some(name)) => Ok(Self::Variable(name.clone())),
            (Some(_), Some(_)) => Err(Failure::configuration(
                "the workload identity has a token file and a token variable: keep one of them",
            )),
            (None, None) => Err(Failure::configuration(
                "the workload identity needs a token: set token_file or token_variable",
            )),
        }
    }

    /// The token as it is now: whoever issues it replaces it before it ends.
    pub fn read(&self) -> Result<String> {
        let (text, place) = match self {
            Self::File(path) => {
                let place = format!("the token file {path:?}");
                let text = std::fs::read_to_string(path)
                    .map_err(|error| Failure::configuration(format!("{place} cannot be read: {error}")))?;
                (text, place)
            }
            Self::Variable(name) => {
                let place = format!("the environment variable {name:?} with the token");
                let text = std::env::var(name)
                    .map_err(|_| Failure::configuration(format!("{place} is not set, or not text")))?;
                (text, place)
            }
        };
        let token = text.trim();
        if token.is_empty() {
            return Err(Failure::configuration(format!("{place} is empty")));
        }
        Ok(token.to_owned())
    }
}

/// The header that tells Snowflake who issued the token.
pub fn header(provider: WorkloadIdentityProvider) -> (HeaderName, HeaderValue) {
    let value = match provider {
        WorkloadIdentityProvider::Oidc => "OIDC",
        WorkloadIdentityProvider::Aws => "AWS",
        WorkloadIdentityProvider::Azure => "AZURE",
        WorkloadIdentityProvider::Gcp => "GCP",
    };
    (PROVIDER, HeaderValue::from_static(value))
}
