//! Reads the access token from AWS Secrets Manager, with the machine's AWS credentials.

use std::collections::BTreeMap;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use serde_json::Value;

use crate::config::SecretName;
use airbyte_connector::{Failure, Secret, with_causes};

/// Temporary errors of the service. The SDK has already retried them a few times.
const TRANSIENT: &[&str] =
    &["InternalServiceError", "InternalFailure", "ServiceUnavailable", "ThrottlingException"];

/// Gets the access token.
///
/// # Errors
///
/// A failure that names what is missing: credentials, a permission, a region, the secret, or the key in it.
pub async fn token(name: &SecretName) -> Result<Secret, Failure> {
    // The same TLS provider as in the rest of the program. The SDK's default would add a second one.
    let https = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(https);
    if let Some(region) = region(name) {
        loader = loader.region(Region::new(region));
    }
    let settings = loader.load().await;
    if settings.region().is_none() {
        return Err(Failure::configuration(format!(
            "{}: its AWS region is unknown: set `credentials.region` or AWS_REGION",
            place(name)
        )));
    }
    let answer = Client::new(&settings).get_secret_value().secret_id(&name.secret_id).send().await;
    let answer = answer.map_err(|error| failure(name, &error))?;
    let text = answer.secret_string().ok_or_else(|| {
        Failure::configuration(format!(
            "{} is binary: store JSON with the key `{}`",
            place(name),
            name.json_key
        ))
    })?;
    token_of(name, text)
}

/// The region that the config names, or the secret's ARN: `arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME`.
fn region(name: &SecretName) -> Option<String> {
    name.region.clone().or_else(|| {
        let mut parts = name.secret_id.split(':');
        (parts.next() == Some("arn")).then(|| parts.nth(2).map(str::to_owned))?
    })
}

fn token_of(name: &SecretName, text: &str) -> Result<Secret, Failure> {
    let key = &name.json_key;
    let Ok(fields) = serde_json::from_str::<BTreeMap<String, Value>>(text) else {
        return Err(Failure::configuration(format!(
            "{} is not a JSON object: store the access token as {{\"{key}\": \"...\"}}",
            place(name)
        )));
    };
    match fields.get(key) {
        Some(Value::String(token)) if !token.trim().is_empty() => Ok(Secret::new(token)),
        Some(_) => Err(Failure::configuration(format!(
            "{}: the value of the key `{key}` is not a text, or is empty: store the access token there",
            place(name)
        ))),
        None => {
            let keys: Vec<String> = fields.keys().map(|key| format!("`{key}`")).collect();
            let keys = if keys.is_empty() { "no keys".to_owned() } else { keys.join(", ") };
            Err(Failure::configuration(format!(
                "{} has no key `{key}`; it has {keys}. Store the access token under `{key}`, or name its key in \
                 `credentials.json_key`",
                place(name)
            )))
        }
    }
}

fn place(name: &SecretName) -> String {
    format!("the AWS secret {}", name.secret_id)
}

fn failure<E>(name: &SecretName, error: &SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let place = place(name);
    // Never use `Debug` here: it prints the answer's body, and with it the secret.
    let said = || with_causes(error);
    let unreachable = || {
        Failure::transient(format!(
            "{place} cannot be read from AWS: {}. Try again later; if it persists, check the region, the network and \
             the proxy.",
            said()
        ))
    };
    let Some(code) = error.as_service_error().and_then(|error| error.code()) else {
        return match error {
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => unreachable(),
            // No credentials, an unknown profile, or an invalid region.
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => {
                Failure::configuration(format!(
                    "{place} cannot be read from AWS: {}. Provide AWS credentials (environment, profile, or the role of \
                 the container or instance), and check the region.",
                    said()
                ))
            }
            _ => unreachable(),
        };
    };
    match code {
        "ResourceNotFoundException" => {
            Failure::configuration(format!("{place} does not exist: check its name or ARN, and the region"))
        }
        "AccessDeniedException" => Failure::configuration(format!(
            "{place} cannot be read with these AWS credentials: allow secretsmanager:GetSecretValue on it, and kms:Decrypt \
             if your own key encrypts it"
        )),
        code if TRANSIENT.contains(&code) => Failure::transient(format!(
            "{place} cannot be read from AWS at the moment ({code}). Try again later."
        )),
        code => Failure::configuration(format!("{place} cannot be read from AWS ({code}): {}", said())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(secret_id: &str, region: Option<&str>) -> SecretName {
        SecretName {
            secret_id: secret_id.to_owned(),
            region: region.map(str::to_owned),
            json_key: "token".to_owned(),
        }
    }

    #[test]
    fn the_region_is_the_configs_or_else_the_arns() {
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:asana-AbCdEf";
        assert_eq!(region(&name(arn, None)).as_deref(), Some("eu-west-1"));
        assert_eq!(region(&name(arn, Some("us-east-1"))).as_deref(), Some("us-east-1"));
        assert_eq!(region(&name("asana", None)), None);
    }

    #[test]
    fn messages_name_what_is_missing_and_print_no_value() {
        let name = name("asana", None);
        assert_eq!(token_of(&name, r#"{"token":" 1/42:abc\n"}"#).unwrap(), Secret::new("1/42:abc"));
        let said = |text| token_of(&name, text).unwrap_err().message;
        assert!(said("1/42:abc").contains("not a JSON object"));
        assert!(said(r#"["1/42:abc"]"#).contains("not a JSON object"));
        assert!(said(r#"{"token":7}"#).contains("not a text"));
        let lacking = said(r#"{"asana":"1/42:abc"}"#);
        assert!(lacking.contains("no key `token`; it has `asana`"), "{lacking}");
        for text in ["1/42:abc", r#"["1/42:abc"]"#, r#"{"asana":"1/42:abc"}"#] {
            assert!(!said(text).contains("1/42:abc"));
        }
    }
}
