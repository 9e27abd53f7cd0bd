//! Reads the events of one resource to their end.
//!
//! From Asana's page on events: the first call has no token and returns one. A call with a token returns at most 100
//! events, the next token, and whether there are more. If a token is too old (24 hours, earlier under load), Asana
//! returns a new one, and the events in between are lost. Delivery is at most once.

use serde::Deserialize;

use super::client::{Client, Garbage, Request, Tries};
use super::fault::{Fault, Kind};
use super::page::{FRUITLESS_ANSWERS, utf8};
use crate::gid::Gid;
use crate::moment::Moment;

/// After this many answers for one token, the events are considered endless.
const MAX_ANSWERS: usize = 10_000;

/// The events of a resource and of everything in it.
#[derive(Debug, Default)]
pub struct Happenings {
    /// In Asana's order.
    pub events: Vec<Happening>,
    /// The token of the next call.
    pub token: String,
    pub gap: Gap,
}

/// Whether events are missing since the previous call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gap {
    #[default]
    None,
    /// There was no token, it was too old, or Asana lost some of the events.
    Before,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    pub gid: Gid,
    /// The resource's type, such as `task`.
    pub resource: String,
    /// Such as `deleted`.
    pub action: String,
    pub at: Option<Moment>,
}

/// All events since `token`. If Asana does not accept the token, whatever the status, the events start over.
///
/// # Errors
///
/// The last fault.
pub async fn happenings(
    client: &Client,
    request: &Request,
    token: Option<String>,
) -> Result<Happenings, Fault> {
    let had_token = token.is_some();
    match since(client, request, token).await {
        Err(fault) if had_token && may_be_for_its_token(&fault) => since(client, request, None).await,
        outcome => outcome,
    }
}

/// Whether the request may succeed without a token. Asana documents 412 for tokens that are too old.
fn may_be_for_its_token(fault: &Fault) -> bool {
    matches!(fault.kind, Kind::CorrectRequest | Kind::LeaveOut | Kind::StartAgain { sync: None })
}

async fn since(client: &Client, request: &Request, token: Option<String>) -> Result<Happenings, Fault> {
    let mut happenings = Happenings { token: token.clone().unwrap_or_default(), ..Happenings::default() };
    let mut token = token;
    let mut fruitless = 0;
    for _ in 0..MAX_ANSWERS {
        let request = match &token {
            Some(token) => request.clone().query("sync", token.clone()),
            None => request.clone(),
        };
        match client.fetch(&request, Tries::All, |body| parse(&utf8(body.bytes)?)).await {
            Ok(answer) => {
                let is_progress = !answer.events.is_empty() && token.as_ref() != Some(&answer.token);
                fruitless = if is_progress { 0 } else { fruitless + 1 };
                happenings.events.extend(answer.events);
                if token.is_none() || answer.gap == Gap::Before {
                    happenings.gap = Gap::Before;
                }
                happenings.token.clone_from(&answer.token);
                token = Some(answer.token);
                if !answer.has_more {
                    return Ok(happenings);
                }
                if fruitless >= FRUITLESS_ANSWERS {
                    break;
                }
            }
            // Calling again with the new token could go on forever if the server always answers like this.
            Err(Fault { kind: Kind::StartAgain { sync: Some(fresh) }, .. }) => {
                happenings.gap = Gap::Before;
                happenings.token = fresh;
                return Ok(happenings);
            }
            Err(fault) => return Err(fault),
        }
    }
    let message = "expected an end of the events, but Asana kept sending more";
    Err(Fault::new(Kind::DistrustAnswer, Some(200), message, &request.asked()))
}

struct Answer {
    events: Vec<Happening>,
    token: String,
    has_more: bool,
    gap: Gap,
}

/// The action of an event that reports lost events. It has no resource.
const LOST: &str = "sync_error";

fn parse(text: &str) -> Result<Answer, Garbage> {
    #[derive(Deserialize)]
    struct Envelope {
        data: Vec<Event>,
        sync: String,
        #[serde(default)]
        has_more: bool,
    }
    #[derive(Deserialize)]
    struct Event {
        /// Absent if the token has no access to the resource.
        resource: Option<Resource>,
        action: String,
        created_at: Option<String>,
    }
    #[derive(Deserialize)]
    struct Resource {
        gid: String,
        resource_type: Option<String>,
    }
    let envelope: Envelope = serde_json::from_str(text).map_err(|error| {
        Garbage::new(format!("events under `data` and a token under `sync` ({error})"), text)
    })?;
    let happening = |event: Event| {
        let resource = event.resource?;
        Some(Happening {
            gid: Gid::new(&resource.gid),
            resource: resource.resource_type?,
            action: event.action,
            at: event.created_at.as_deref().and_then(Moment::parse),
        })
    };
    let is_lossy = envelope.data.iter().any(|event| event.action == LOST);
    Ok(Answer {
        gap: if is_lossy { Gap::Before } else { Gap::None },
        events: envelope.data.into_iter().filter_map(happening).collect(),
        token: envelope.sync,
        has_more: envelope.has_more,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_without_a_resource_are_skipped_and_the_others_keep_their_order() {
        let text = r#"{"data":[
            {"resource":{"gid":"7","resource_type":"task","name":"a"},"action":"deleted","created_at":"2026-01-02T03:04:05.678Z"},
            {"resource":null,"action":"removed"},
            {"resource":{"gid":"8","resource_type":"story"},"action":"undeleted","parent":null,"user":null}],
            "sync":"abc","has_more":true,"errors":null}"#;
        let answer = parse(text).unwrap();
        let kept: Vec<_> = answer
            .events
            .iter()
            .map(|event| (event.gid.to_string(), event.resource.as_str(), event.action.as_str(), event.at))
            .collect();
        let at = Moment::parse("2026-01-02T03:04:05.678Z");
        assert_eq!(
            kept,
            [("7".to_owned(), "task", "deleted", at), ("8".to_owned(), "story", "undeleted", None)]
        );
        assert_eq!((answer.token.as_str(), answer.has_more), ("abc", true));
    }

    #[test]
    fn lost_events_are_a_gap() {
        let event =
            r#"{"action":"sync_error","message":"There was an error with the event queue","type":"x"}"#;
        for (data, gap) in [(event, Gap::Before), (r#"{"action":"changed"}"#, Gap::None)] {
            let answer = parse(&format!(r#"{{"data":[{data}],"sync":"a"}}"#)).unwrap();
            assert_eq!((answer.gap, answer.events.len()), (gap, 0));
        }
    }

    #[test]
    fn an_answer_without_a_token_or_events_is_malformed() {
        for text in [
            "",
            "{}",
            r#"{"data":[]}"#,
            r#"{"sync":"a"}"#,
            r#"{"data":[{}],"sync":"a"}"#,
            r#"{"data":[],"sync":1}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(!parse(r#"{"data":[],"sync":"a"}"#).unwrap().has_more);
    }
}
