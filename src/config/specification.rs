//! What `spec` prints: the form's schema in the dialect of Airbyte's platform, and what its "Sign in" button needs.
//! Knows no config.

use airbyte_protocol::message::ConnectorSpecification;
use serde_json::{Value, json};

use super::form::Config;
use crate::schema;

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
pub(super) fn connection_specification() -> Value {
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
