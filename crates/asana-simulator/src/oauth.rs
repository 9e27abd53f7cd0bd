//! Asana's OAuth token endpoint: a refresh token in, an access token out.

use std::sync::{Mutex, PoisonError};

use serde_json::json;

use crate::options::{App, Refresh, Token};
use crate::query::Query;
use crate::time::Timestamp;

/// The path of the endpoint, which is not below the API's.
pub(crate) const PATH: &str = "/-/oauth_token";

/// The access tokens that were issued.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    given: Mutex<Given>,
}

#[derive(Debug, Default)]
struct Given {
    count: u32,
    /// `None`: the app's first one.
    refresh_token: Option<String>,
    live: Vec<(Token, Timestamp)>,
}

impl Grants {
    /// Answers a request to the endpoint: status and body.
    pub(crate) fn grant(&self, app: Option<&App>, form: &str, now: Timestamp) -> (u16, String) {
        let form = Query::parse(form);
        let Some(app) = app else { return refused("invalid_client") };
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if form.get("grant_type") != Some("refresh_token") {
            return refused("unsupported_grant_type");
        }
        let is_client = form.get("client_id") == Some(&app.client_id)
            && form.get("client_secret") == Some(&app.client_secret);
        if !is_client {
            return refused("invalid_client");
        }
        let good = given.refresh_token.as_deref().unwrap_or(&app.refresh_token);
        if form.get("refresh_token") != Some(good) {
            return refused("invalid_grant");
        }
        given.count += 1;
        let count = given.count;
        let mut token = app.token.clone();
        token.text = format!("{}-{count}", token.text);
        let mut answer = json!({"access_token": token.text, "token_type": "bearer",
            "expires_in": app.lifetime.as_secs()});
        if app.refresh == Refresh::Replaced {
            let next = format!("{}-{count}", app.refresh_token);
            answer["refresh_token"] = json!(next);
            given.refresh_token = Some(next);
        }
        given.live.push((token, now.plus(app.lifetime)));
        (200, answer.to_string())
    }

    /// Number of access tokens that were issued.
    pub(crate) fn count(&self) -> u32 {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).count
    }

    /// The access token with this text, if it is valid.
    pub(crate) fn find(&self, text: &str, now: Timestamp) -> Option<Token> {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.live.retain(|(_, until)| *until > now);
        given.live.iter().find(|(token, _)| token.text == text).map(|(token, _)| token.clone())
    }
}

/// The error body of the OAuth standard.
fn refused(error: &str) -> (u16, String) {
    let status = if error == "invalid_client" { 401 } else { 400 };
    (status, json!({"error": error, "error_description": "The request was refused."}).to_string())
}
