//! `check`: whom the token belongs to and which workspaces it sees, in one request.

use std::path::Path;

use airbyte_connector::verbs::{self, Ending, Interruption, Session};
use airbyte_connector::{Failure, unix_milliseconds};
use airbyte_protocol::Message;
use serde::Deserialize;

use super::{block_on, connect, settings};
use crate::asana::{self, Notice, Patience, Request, Timeouts};
use crate::config::Settings;

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

pub(super) fn run(config: &Path, session: &mut Session) -> Result<Ending, Interruption> {
    let answer = match settings(config, session) {
        Ok(settings) => ask(&settings, session)?,
        Err(failure) => Err(failure),
    };
    session.output.message(verbs::connection_status(answer.map(Some))?)?;
    Ok(Ending::Done)
}

/// Asana's answer about the token's user. A refresh token that Asana replaced meanwhile is reported at once.
fn ask(settings: &Settings, session: &mut Session) -> Result<Result<String, Failure>, Interruption> {
    let (client, mut notices) = match connect(settings, Patience::brief(), Timeouts::brief()) {
        Ok(connected) => connected,
        Err(failure) => return Ok(Err(failure)),
    };
    let request = Request::new("/users/me", "/users/me").query("opt_fields", "name,email,workspaces.name");
    let answer = block_on(asana::get_one(&client, &request))?;
    while let Ok(notice) = notices.try_recv() {
        if let Notice::RefreshTokenReplaced { refresh_token } = notice {
            let config = settings.file.with_refresh_token(&refresh_token);
            session.output.message(Message::new_config(config, unix_milliseconds()))?;
        }
    }
    Ok(answer.map_err(|fault| Failure::from(&fault)).and_then(|answer| {
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
        return Err(Failure::configuration(format!(
            "The token belongs to {user}, who sees no workspace: add that user to one in Asana."
        )));
    }
    match wanted.iter().find(|wanted| me.workspaces.iter().all(|workspace| workspace.gid != **wanted)) {
        Some(missing) => Err(Failure::configuration(format!(
            "The token belongs to {user}, who does not see workspace {missing} of the config's `workspaces`. \
             Workspaces seen: {seen}."
        ))),
        None => Ok(format!("The token belongs to {user}. Workspaces seen: {seen}.")),
    }
}
