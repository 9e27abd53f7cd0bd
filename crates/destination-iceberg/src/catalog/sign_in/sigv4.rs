//! AWS Signature Version 4, as Glue and S3 Tables want it, with credentials of the standard chain. Knows no catalog.

use std::time::{Duration, SystemTime};

use airbyte_connector::{Secret, Secrets};
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use reqwest::Request;
use reqwest::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use tokio::sync::Mutex;

use crate::config::{RoleConfig, S3Config, StorageConfig};
use crate::failure::{Failure, Result, with_causes};

/// Credentials that end sooner than this are fetched anew: a request and its attempts have to end before they do.
const MARGIN: Duration = Duration::from_secs(120);
/// The name of the session of an assumed role, which CloudTrail shows.
const SESSION: &str = "destination-iceberg";

pub struct SigV4 {
    provider: SharedCredentialsProvider,
    region: String,
    /// `glue` or `s3tables`.
    service: &'static str,
    held: Mutex<Option<Credentials>>,
}

impl SigV4 {
    /// Uses the keys of the config's S3 storage if it has some, otherwise the standard chain: environment, profile, container,
    /// instance. The role is assumed with what was found.
    pub async fn new(
        region: &str,
        service: &'static str,
        role: Option<&RoleConfig>,
        storage: Option<&StorageConfig>,
    ) -> Result<Self> {
        // TLS by ring, as everywhere else in the AWS libraries.
        let https = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(https)
            .region(Region::new(region.to_owned()));
        if let Some(keys) = keys(storage) {
            loader = loader.credentials_provider(keys);
        }
        let settings = loader.load().await;
        let provider = match role {
            Some(role) => {
                let mut builder = AssumeRoleProvider::builder(&role.arn).session_name(SESSION);
                if let Some(id) = &role.external_id {
                    builder = builder.external_id(id);
                }
                SharedCredentialsProvider::new(builder.configure(&settings).build().await)
            }
            None => settings.credentials_provider().ok_or_else(|| {
                Failure::configuration("no AWS credentials are configured: set keys, a profile or a role")
            })?,
        };
        Ok(Self { provider, region: region.to_owned(), service, held: Mutex::new(None) })
    }

    pub async fn sign(&self, request: &mut Request, secrets: &Secrets) -> Result<()> {
        let credentials = self.credentials(secrets).await?;
        sign_at(request, &credentials, &self.region, self.service, SystemTime::now())
    }

    pub async fn forget(&self) {
        *self.held.lock().await = None;
    }

    async fn credentials(&self, secrets: &Secrets) -> Result<Credentials> {
        let mut held = self.held.lock().await;
        let lasts = |held: &&Credentials| {
            held.expiry()
                .is_none_or(|end| SystemTime::now().checked_add(MARGIN).is_some_and(|soon| soon < end))
        };
        if let Some(held) = held.as_ref().filter(lasts) {
            return Ok(held.clone());
        }
        let fetched = self.provider.provide_credentials().await.map_err(|error| {
            Failure::configuration(format!(
                "no AWS credentials could be had: {}. Set the keys, the profile, the role or the instance's role",
                with_causes(&error)
            ))
        })?;
        secrets.learn(&Secret::new(fetched.secret_access_key()));
        secrets.learn(&Secret::new(fetched.session_token().unwrap_or_default()));
        *held = Some(fetched.clone());
        Ok(fetched)
    }
}

/// The keys of the config, if it has both of them.
fn keys(storage: Option<&StorageConfig>) -> Option<Credentials> {
    let Some(StorageConfig::S3(S3Config { access_key_id, secret_access_key, .. })) = storage else {
        return None;
    };
    let (id, secret) = (access_key_id.as_ref()?, secret_access_key.as_ref()?);
    Some(Credentials::new(id, secret.expose(), None, None, "config"))
}

/// Signs the request as it is sent at `time`, with every header that it has by now.
fn sign_at(
    request: &mut Request,
    credentials: &Credentials,
    region: &str,
    service: &str,
    time: SystemTime,
) -> Result<()> {
    let unsignable = |error: &dyn std::error::Error| {
        Failure::system(format!("a request to the catalog cannot be signed: {}", with_causes(error)))
    };
    let host = match (request.url().host_str(), request.url().port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let host = HeaderValue::from_str(&host).map_err(|error| unsignable(&error))?;
    request.headers_mut().insert(HOST, host);
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(time)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| unsignable(&error))?
        .into();
    let signed = request.headers().iter().filter(|(name, _)| *name != USER_AGENT);
    let headers: Vec<(&str, &str)> =
        signed.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    let signable = SignableRequest::new(
        request.method().as_str(),
        request.url().as_str(),
        headers.into_iter(),
        SignableBody::Bytes(body),
    )
    .map_err(|error| unsignable(&error))?;
    let (instructions, _) = sign(signable, &parameters).map_err(|error| unsignable(&error))?.into_parts();
    let (added, _) = instructions.into_parts();
    for header in added {
        let name = HeaderName::from_static(header.name());
        let mut value = HeaderValue::from_str(header.value()).map_err(|error| unsignable(&error))?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    Ok(())
}
