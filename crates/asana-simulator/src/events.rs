//! The events endpoints, and which streams an event about a record reaches.
//!
//! Source: Asana's pages on events and workspace events. An event reaches the stream of its own resource and of
//! everything that contains it: a subtask's story reaches the subtask, its ancestors, and all their projects.

use std::time::Duration;

use crate::event_log::Event;
use crate::gid::{Gid, Kind};
use crate::json::{Object, escape};
use crate::opt_fields::{Level, Selection};
use crate::random::mix;
use crate::refusal::Refusal;
use crate::render::View;
use crate::time::{Timestamp, append};
use crate::world::World;

/// Maximum number of events in one answer: of a resource, and of a workspace.
const PER_ANSWER: usize = 100;
const PER_WORKSPACE_ANSWER: usize = 1000;

const TOO_OLD: &str = "Sync token invalid or too old. If you are attempting to keep resources in sync, you must \
                       fetch the full dataset for this query now and use the new sync token for the next sync.";

impl World {
    /// The streams that an event about a record reaches.
    pub(crate) fn streams_of(&self, gid: Gid) -> Vec<Gid> {
        let mut streams = vec![gid];
        let mut task = match gid.kind() {
            Kind::Task => Some(gid.index()),
            Kind::Story => Some(self.task_of_story(gid.index())),
            Kind::Attachment => {
                let parent = self.attachments[gid.index() as usize].parent;
                streams.push(parent);
                (parent.kind() == Kind::Task).then(|| parent.index())
            }
            Kind::Section => {
                streams.push(Gid::new(Kind::Project, self.sections[gid.index() as usize].project));
                None
            }
            Kind::StatusUpdate => {
                streams.push(self.status_updates[gid.index() as usize].parent);
                None
            }
            _ => None,
        };
        while let Some(index) = task {
            let record = &self.tasks[index as usize];
            streams.push(Gid::new(Kind::Task, index));
            streams.extend(record.memberships.iter().map(|home| Gid::new(Kind::Project, home.project)));
            task = record.parent;
        }
        if let Some(workspace) = streams.iter().find_map(|stream| self.workspace_of(*stream)) {
            streams.push(workspace);
        }
        streams
    }
}

/// The answer of the events endpoints: events and the next token.
pub(crate) fn events(
    view: View<'_>,
    selection: Option<&Selection>,
    stream: Gid,
    sync: Option<&str>,
    now: Timestamp,
    lifetime: Duration,
) -> Result<(String, usize), Refusal> {
    let log = &view.world.events;
    let position = match sync.and_then(|token| read_token(token, stream)) {
        Some((position, issued)) if now < issued.plus(lifetime) => position,
        _ => {
            let message =
                if sync.is_none() { format!("sync: Missing input. {TOO_OLD}") } else { TOO_OLD.to_owned() };
            let sync = Some(token(log.end(), now, stream));
            return Err(Refusal { sync, ..Refusal::new(412, message) });
        }
    };
    let most = if stream.kind() == Kind::Workspace { PER_WORKSPACE_ANSWER } else { PER_ANSWER };
    let mut events = log.from(stream, position);
    let mut body = String::from("{\"data\":[");
    let mut next = log.end();
    let mut rows = 0;
    let mut has_more = false;
    for (place, event) in events.by_ref() {
        if rows == most {
            next = place;
            has_more = true;
            break;
        }
        if rows > 0 {
            body.push(',');
        }
        write_event(view, &mut body, selection.unwrap_or(Selection::compact()), event);
        rows += 1;
    }
    append(&mut body, format_args!("],\"sync\":\"{}\",\"has_more\":{has_more}}}", token(next, now, stream)));
    Ok((body, rows))
}

fn write_event(view: View<'_>, out: &mut String, selection: &Selection, event: &Event) {
    let mut object = Object::begin(out, selection);
    object.nested("user", Level::Compact, |out, inner| {
        view.write(out, inner, Gid::new(Kind::User, event.user))
    });
    object.nested("resource", Level::Compact, |out, inner| {
        write_named(view, out, inner, event.resource, &event.name)
    });
    object.word("type", Level::Compact, event.resource.kind().resource_type());
    object.word("action", Level::Compact, event.action);
    object.optional("parent", Level::Compact, event.parent, |out, inner, parent| {
        write_named(view, out, inner, parent, &view.name_of(parent));
    });
    object.time("created_at", Level::Compact, event.at);
    if let Some(change) = &event.change {
        object.nested("change", Level::Compact, |out, inner| {
            let mut object = Object::begin(out, inner);
            object.word("field", Level::Compact, change.field);
            object.word("action", Level::Compact, change.action);
            if let Some(value) = change.value {
                let name = match change.action {
                    "added" => "added_value",
                    "removed" => "removed_value",
                    _ => "new_value",
                };
                object.nested(name, Level::Compact, |out, inner| {
                    write_named(view, out, inner, value, &view.name_of(value));
                });
            }
            object.end();
        });
    }
    object.end();
}

/// A resource as it is now, or what is known of a deleted one.
fn write_named(view: View<'_>, out: &mut String, selection: &Selection, gid: Gid, name: &str) {
    if view.world.sees(view.viewer, gid) {
        view.write(out, selection, gid);
        return;
    }
    let mut object = Object::resource(out, selection, gid);
    if selection.inside("name", Level::Compact).is_some() {
        object.nested("name", Level::Compact, |out, _| escape(out, name));
    }
    object.end();
}

/// 32 hexadecimal digits: position, time of issue, and a checksum that ties them to their stream.
fn token(position: u64, issued: Timestamp, stream: Gid) -> String {
    format!("{position:010x}{:012x}{:010x}", issued.0, checksum(position, issued, stream))
}

fn read_token(token: &str, stream: Gid) -> Option<(u64, Timestamp)> {
    if token.len() != 32 || !token.is_ascii() {
        return None;
    }
    let number = |range: std::ops::Range<usize>| u64::from_str_radix(&token[range], 16).ok();
    let (position, issued) = (number(0..10)?, Timestamp(number(10..22)? as i64));
    (number(22..32)? == checksum(position, issued, stream)).then_some((position, issued))
}

fn checksum(position: u64, issued: Timestamp, stream: Gid) -> u64 {
    mix(position ^ mix(issued.0 as u64 ^ mix(stream.number()))) & 0xff_ffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_token_reads_back_for_its_own_stream_alone() {
        let stream = Gid::new(Kind::Project, 3);
        let text = token(77, Timestamp(1_750_000_000_123), stream);
        assert_eq!(text.len(), 32);
        assert_eq!(read_token(&text, stream), Some((77, Timestamp(1_750_000_000_123))));
        assert_eq!(read_token(&text, Gid::new(Kind::Project, 4)), None);
        for broken in ["", "x", &text[1..], &"é".repeat(16), &text.replace('0', "1")] {
            assert_eq!(read_token(broken, stream), None, "{broken}");
        }
    }
}
