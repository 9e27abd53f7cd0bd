//! Where the token of a request comes from.

use airbyte_connector::{Secret, Secrets};

use super::fault::Fault;
use super::oauth::{Exchange, OAuth, Renewal};

/// Where the token of a request comes from.
#[derive(Debug)]
pub enum TokenSource {
    /// A personal access token or that of a service account. It works until it is revoked.
    Static(Secret),
    /// An app that a person authorized.
    OAuth(OAuth),
}

impl TokenSource {
    /// The token to send now.
    pub(super) async fn current(&self, exchange: Exchange<'_>) -> Result<Secret, Fault> {
        match self {
            Self::Static(token) => Ok(token.clone()),
            Self::OAuth(oauth) => oauth.current(exchange).await,
        }
    }

    /// Replaces a token that Asana refused.
    pub(super) async fn renew(&self, refused: &Secret, exchange: Exchange<'_>) -> Result<Renewal, Fault> {
        match self {
            Self::Static(_) => Ok(Renewal::NotPossible),
            Self::OAuth(oauth) => oauth.renew(refused, exchange).await,
        }
    }

    /// Adds the secrets that are known from the start.
    pub(super) fn learn_by(&self, secrets: &Secrets) {
        match self {
            Self::Static(token) => secrets.learn(token),
            Self::OAuth(oauth) => oauth.learn_by(secrets),
        }
    }
}
