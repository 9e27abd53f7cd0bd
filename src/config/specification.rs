//! What `spec` prints: the form's schema, and what the "Sign in" button of Airbyte's platform needs.

use airbyte_connector::config::form_schema;
use airbyte_protocol::message::ConnectorSpecification;
use serde_json::{Value, json};

use super::form::Config;

/// What `spec` prints.
pub fn specification() -> ConnectorSpecification {
    ConnectorSpecification {
        documentation_url: None,
        changelog_url: None,
        connection_specification: form_schema::<Config>(),
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
