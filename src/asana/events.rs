//! The event stream of one resource, followed to its end.
//!
//! Asana's page on events: the first call has no token and is answered with one; a call with a token answers at
//! most 100 events and the next token, and whether there is more. A token that is too old (24 hours, earlier
//! under load) is answered with a fresh one, and what happened between is not told. Delivery is at most once.

use serde::Deserialize;

use super::client::{Client, Garbage, Request, Tries};
use super::fault::{Fault, Kind};
use super::page::{FRUITLESS_ANSWERS, utf8};
use crate::gid::Gid;
use crate::moment::Moment;

/// More answers than this for one token are no stream that ends.
const MOST_ANSWERS: usize = 10_000;

/// What happened to a resource and to what is in it.
#[derive(Debug, Default)]
pub struct Happenings {
    /// In their order.
    pub events: Vec<Happening>,
    /// Where the next call goes on.
    pub token: String,
    pub gap: Gap,
}

/// Whether the events join those of an earlier call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gap {
    #[default]
    None,
    /// There was no token, it was too old, or Asana lost some of the events: what happened before is not told.
    Before,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    pub gid: Gid,
    /// The resource's kind, such as `task`.
    pub resource: String,
    /// Such as `deleted`.
    pub action: String,
    pub at: Option<Moment>,
}

/// Everything since `token`. If Asana does not take the token, whatever it says about it, the events begin anew.
///
/// # Errors
///
/// Whatever keeps events from coming.
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
    for _ in 0..MOST_ANSWERS {
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
            // Asked again with the fresh token, a server that answers so for ever would never come to an end.
            Err(Fault { kind: Kind::StartAgain { sync: Some(fresh) }, .. }) => {
                happenings.gap = Gap::Before;
                happenings.token = fresh;
                return Ok(happenings);
            }
            Err(fault) => return Err(fault),
        }
    }
    let message = "expected an end of the events, and there was none";
    Err(Fault::new(Kind::DistrustAnswer, Some(200), message, &request.asked()))
}

struct Answer {
    events: Vec<Happening>,
    token: String,
    has_more: bool,
    gap: Gap,
}

/// The action of an event that stands for others which Asana has lost. It has no resource.
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
        /// Absent where the resource may not be seen.
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
    fn events_without_a_resource_are_passed_over_and_the_others_kept_in_their_order() {
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
    fn events_that_were_lost_are_a_gap() {
        let event =
            r#"{"action":"sync_error","message":"There was an error with the event queue","type":"x"}"#;
        for (data, gap) in [(event, Gap::Before), (r#"{"action":"changed"}"#, Gap::None)] {
            let answer = parse(&format!(r#"{{"data":[{data}],"sync":"a"}}"#)).unwrap();
            assert_eq!((answer.gap, answer.events.len()), (gap, 0));
        }
    }

    #[test]
    fn an_answer_without_a_token_or_events_is_not_asanas() {
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
