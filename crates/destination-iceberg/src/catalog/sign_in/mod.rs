//! Proving to a REST catalog who we are: one file per way. Knows no table.

mod bearer;
mod key_pair;
mod oauth;
mod sigv4;
mod workload_identity;

use airbyte_connector::Secrets;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Request, Url};

use crate::config::{Authentication, ExtraHeader, RestConfig};
use crate::failure::{Failure, Result};

use bearer::authorize;
use key_pair::KeyPair;
use oauth::{Credential, TokenExchange};
use workload_identity::WorkloadIdentity;

pub use sigv4::SigV4;

/// How every request to a catalog is signed.
pub struct SignIn {
    way: Way,
    headers: HeaderMap,
    secrets: Secrets,
}

enum Way {
    Nothing,
    Bearer(HeaderValue),
    Exchange(Box<TokenExchange>),
    SigV4(Box<SigV4>),
}

impl SignIn {
    /// `token_address` is the catalog's own token endpoint. Keys are read here, so that a wrong one fails early.
    pub fn new(config: &RestConfig, token_address: Url) -> Result<Self> {
        let secrets = &Secrets::default();
        let mut headers = extra_headers(&config.headers, secrets)?;
        let address = |uri: &Option<String>| match uri {
            Some(uri) => Url::parse(uri)
                .map_err(|error| Failure::configuration(format!("the token address is not valid: {error}"))),
            None => Ok(token_address.clone()),
        };
        let exchange = |credential, scope: &Option<String>, uri: &Option<String>, headers: &HeaderMap| {
            let address = address(uri)?;
            let exchange =
                TokenExchange::new(credential, scope.clone(), address, headers.clone(), secrets.clone());
            Ok::<_, Failure>(Way::Exchange(Box::new(exchange)))
        };
        let way = match &config.authentication {
            Authentication::None => Way::Nothing,
            Authentication::Bearer { token } => {
                secrets.learn(token);
                Way::Bearer(bearer::header(token.expose())?)
            }
            Authentication::Oauth { client_id, client_secret, scope, token_uri } => {
                let credential =
                    Credential::Fixed { client_id: client_id.clone(), secret: client_secret.clone() };
                exchange(credential, scope, token_uri, &headers)?
            }
            Authentication::KeyPair(config) => {
                let credential = Credential::KeyPair(Box::new(KeyPair::read(config)?));
                exchange(credential, &config.scope, &config.token_uri, &headers)?
            }
            Authentication::WorkloadIdentity(config) => {
                let (name, value) = workload_identity::header(config.provider);
                headers.insert(name, value);
                let credential = Credential::WorkloadIdentity(WorkloadIdentity::new(config)?);
                exchange(credential, &config.scope, &config.token_uri, &headers)?
            }
        };
        Ok(Self { way, headers, secrets: secrets.clone() })
    }

    pub fn sigv4(signer: SigV4) -> Self {
        Self { way: Way::SigV4(Box::new(signer)), headers: HeaderMap::new(), secrets: Secrets::default() }
    }

    /// What was sent so far and must not be printed.
    pub fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    /// Adds to the request what proves who we are. `client` fetches a token if one is due.
    pub async fn sign(&self, client: &Client, request: &mut Request) -> Result<()> {
        for (name, value) in &self.headers {
            request.headers_mut().insert(name.clone(), value.clone());
        }
        match &self.way {
            Way::Nothing => {}
            Way::Bearer(value) => authorize(request, value.clone()),
            Way::Exchange(exchange) => authorize(request, bearer::header(&exchange.token(client).await?)?),
            // Last, since the signature covers the other headers.
            Way::SigV4(signer) => signer.sign(request, &self.secrets).await?,
        }
        Ok(())
    }

    /// The catalog refused what was sent with a request. Says whether a new proof can be made, so that one more
    /// attempt makes sense.
    pub async fn renew(&self) -> bool {
        match &self.way {
            Way::Nothing | Way::Bearer(_) => false,
            Way::Exchange(exchange) => {
                exchange.forget().await;
                true
            }
            Way::SigV4(signer) => {
                signer.forget().await;
                true
            }
        }
    }
}

fn extra_headers(configured: &[ExtraHeader], secrets: &Secrets) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for ExtraHeader { name, value } in configured {
        let refuse = |what: &str| Failure::configuration(format!("the extra header {name:?} {what}"));
        let header =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| refuse("has a name that HTTP forbids"))?;
        let mut sent = HeaderValue::from_str(value.expose())
            .map_err(|_| refuse("has a value with characters that HTTP forbids"))?;
        sent.set_sensitive(true);
        secrets.learn(value);
        headers.insert(header, sent);
    }
    Ok(headers)
}
