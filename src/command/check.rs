//! `check`: whom the token belongs to and which workspaces it sees, in one request. Knows no stream.

use std::path::Path;

use airbyte_protocol::Message;
use airbyte_protocol::message::{CheckStatus, ConnectionStatus};
use serde::Deserialize;

use super::{Ending, Trouble, block_on, connect, settings, tell};
use crate::asana::{self, Notice, Patience, Request, Timeouts};
use crate::config::Settings;
use crate::emit;
use crate::error::{Class, Failure};

/// Asana's answer about the token's user, as far as it is asked for.
#[derive(Deserialize)]
struct Me {
    name: Option<String>,
    email: Option<String>,
    workspaces: Vec<Workspace>,
}

#[derive(Deserialize)]
struct Workspace {
    gid: String,
    name: Option<String>,
}

pub(super) fn run(config: &Path) -> Result<Ending, Trouble> {
    // A config that cannot work is an answer, not an accident: FAILED, and exit code 0.
    let (result, secrets) = match settings(config) {
        Err(failure) => (Err(failure), None),
        Ok(settings) => (ask(&settings)?, Some(settings.secrets)),
    };
    let connection_status = match result {
        Ok(message) => ConnectionStatus { status: CheckStatus::Succeeded, message: Some(message) },
        Err(failure) if failure.class == Class::Config => {
            ConnectionStatus { status: CheckStatus::Failed, message: Some(failure.message) }
        }
        Err(failure) => return Err(Trouble::Expected(failure)),
    };
    emit::one(Message::ConnectionStatus { connection_status }, secrets.as_ref())?;
    Ok(Ending::Done)
}

/// Asana's word on the token's user. What else it said that the platform has to keep is told at once.
fn ask(settings: &Settings) -> Result<Result<String, Failure>, Trouble> {
    let (client, mut notices) = match connect(settings, Patience::brief(), Timeouts::brief()) {
        Ok(connected) => connected,
        Err(failure) => return Ok(Err(failure)),
    };
    let request = Request::new("/users/me", "/users/me").query("opt_fields", "name,email,workspaces.name");
    let answer = block_on(asana::get_one(&client, &request))?;
    while let Ok(notice) = notices.try_recv() {
        if let Notice::RefreshTokenReplaced { refresh_token } = notice {
            tell(Message::new_config(settings.file.with_refresh_token(&refresh_token), emit::now()))?;
        }
    }
    Ok(answer.map_err(|fault| Failure::of(&fault)).and_then(|answer| {
        let me: Me = serde_json::from_str(&answer).map_err(|_| {
            Failure::transient("Asana's answer about the token's user is not what it documents")
        })?;
        verdict(&me, &settings.workspaces)
    }))
}

fn verdict(me: &Me, wanted: &[String]) -> Result<String, Failure> {
    let seen = me.workspaces.iter().map(|workspace| {
        let name = workspace.name.as_deref().unwrap_or("unnamed");
        format!("{name} ({})", workspace.gid)
    });
    let seen = seen.collect::<Vec<_>>().join(", ");
    let user = match (&me.name, &me.email) {
        (Some(name), Some(email)) => format!("{name} <{email}>"),
        (Some(name), None) => name.clone(),
        (None, Some(email)) => email.clone(),
        (None, None) => "a user without a name".to_owned(),
    };
    if me.workspaces.is_empty() {
        return Err(Failure::config(format!(
            "The token belongs to {user}, who sees no workspace: add that user to one in Asana."
        )));
    }
    match wanted.iter().find(|wanted| me.workspaces.iter().all(|workspace| workspace.gid != **wanted)) {
        Some(missing) => Err(Failure::config(format!(
            "The token belongs to {user}, who does not see workspace {missing} of the config's `workspaces`. \
             Workspaces seen: {seen}."
        ))),
        None => Ok(format!("The token belongs to {user}. Workspaces seen: {seen}.")),
    }
}
