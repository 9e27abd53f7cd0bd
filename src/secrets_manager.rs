//! The access token from AWS Secrets Manager, by the machine's AWS credentials.

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

/// Errors of the service that pass by themselves; the client has tried again a few times already.
const TRANSIENT: &[&str] =
    &["InternalServiceError", "InternalFailure", "ServiceUnavailable", "ThrottlingException"];

/// Gets the access token.
///
/// # Errors
///
/// A failure that says what is missing: credentials, a right, a region, the secret, or the key in it.
pub async fn token(name: &SecretName) -> Result<Secret, Failure> {
    // The one TLS provider of the program; the SDK's own would bring a second.
    let https = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(https);
    if let Some(region) = region(name) {
        loader = loader.region(Region::new(region));
    }
    let settings = loader.load().await;
    if settings.region().is_none() {
        return Err(Failure::configuration(format!(
            "{}: it is not said in which AWS region it is: name it in `credentials.region` or in AWS_REGION",
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
            "{} is no JSON object: store the access token as {{\"{key}\": \"...\"}}",
            place(name)
        )));
    };
    match fields.get(key) {
        Some(Value::String(token)) if !token.trim().is_empty() => Ok(Secret::new(token)),
        Some(_) => Err(Failure::configuration(format!(
            "{}: what is under the key `{key}` is no text, or an empty one: store the access token there",
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
    // Never what `Debug` shows of it, which has the answer's body, and with it the secret.
    let said = || with_causes(error);
    let unreachable = || {
        Failure::transient(format!(
            "{place} cannot be had from AWS: {}. Try again later; if it stays, check the region, the network and the \
             proxy.",
            said()
        ))
    };
    let Some(code) = error.as_service_error().and_then(|error| error.code()) else {
        return match error {
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => unreachable(),
            // No credentials, an unknown profile, a name that no region has.
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => {
                Failure::configuration(format!(
                    "{place} cannot be had from AWS: {}. Give the machine AWS credentials (environment, profile, or the \
                 role of its container or instance), and check the region.",
                    said()
                ))
            }
            _ => unreachable(),
        };
    };
    match code {
        "ResourceNotFoundException" => {
            Failure::configuration(format!("{place} is not there: check its name or ARN, and the region"))
        }
        "AccessDeniedException" => Failure::configuration(format!(
            "{place} may not be read: give the AWS identity the right secretsmanager:GetSecretValue on it, and \
             kms:Decrypt where it has a key of its own"
        )),
        code if TRANSIENT.contains(&code) => Failure::transient(format!(
            "{place} cannot be had from AWS at present ({code}). Try again later."
        )),
        code => Failure::configuration(format!("{place} cannot be had from AWS ({code}): {}", said())),
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
    fn what_the_secret_lacks_is_said_and_no_value_of_it() {
        let name = name("asana", None);
        assert_eq!(token_of(&name, r#"{"token":" 1/42:abc\n"}"#).unwrap(), Secret::new("1/42:abc"));
        let said = |text| token_of(&name, text).unwrap_err().message;
        assert!(said("1/42:abc").contains("no JSON object"));
        assert!(said(r#"["1/42:abc"]"#).contains("no JSON object"));
        assert!(said(r#"{"token":7}"#).contains("no text"));
        let lacking = said(r#"{"asana":"1/42:abc"}"#);
        assert!(lacking.contains("no key `token`; it has `asana`"), "{lacking}");
        for text in ["1/42:abc", r#"["1/42:abc"]"#, r#"{"asana":"1/42:abc"}"#] {
            assert!(!said(text).contains("1/42:abc"));
        }
    }
}
