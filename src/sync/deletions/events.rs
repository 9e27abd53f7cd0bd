//! Asana's events on one record: which deletions they report, and where they go on at the next sync.

use std::collections::BTreeMap;

use airbyte_protocol::message::Level;

use crate::asana::{self, Client, Fault, Gap, Happening, Happenings, Request};
use crate::config::ReportDeletions;
use crate::gid::Gid;
use crate::listed::{ELSEWHERE, Gids};
use crate::moment::Moment;
use crate::plan::{PlannedDeletionEvents, PlannedFeed};
use crate::slice_key::SliceKey;
use crate::stream::{DeletionEvents, Listing};
use crate::stream_set::{StreamId, StreamSet};
use crate::sync::consequence::{Consequence, Place, consequence};
use crate::sync::context::Sync;
use crate::sync::deletions::tombstones;
use crate::sync::failures::{Cause, Stop};
use crate::sync::requests;

/// The action by which events cancel a deletion.
const UNDELETED: &str = "undeleted";

/// The action after which a record is not where it was: it may be deleted, or only elsewhere.
const REMOVED: &str = "removed";

/// How many records without events are logged one by one.
const LOGGED: u64 = 3;

/// What some streams have not read yet.
#[derive(Debug)]
struct EventBatch {
    streams: StreamSet,
    happenings: Happenings,
}

/// Reads the events of a record of `stream`, if there are any to read. Emits the tombstones that they lead to, and stores
/// where they go on.
///
/// # Errors
///
/// When the answer shows that nothing else can be read either.
pub async fn read(sync: &Sync<'_>, stream: StreamId, of: &Gid) -> Result<(), Stop> {
    let found = sync.plan().feeds.iter().find(|feed| feed.of == stream);
    let Some(feed) = found.filter(|_| sync.facts.settings.deletions == ReportDeletions::Yes) else {
        return Ok(());
    };
    let key = SliceKey::Object(of.clone());
    // Nearly always all streams have the same token; one that was reset or is new has none.
    let mut tokens: BTreeMap<String, StreamSet> = BTreeMap::new();
    for PlannedDeletionEvents { stream, .. } in &feed.streams {
        if let Some(token) = sync.progress().stream(*stream).state.token(&key) {
            tokens.entry(token.to_owned()).or_default().insert(*stream);
        }
    }
    sync.output.room().await;
    match fetch(&sync.facts.client, &requests::of_one(feed.path, of), &tokens).await {
        Ok(batches) => {
            take(sync, feed, of, &key, &batches);
            Ok(())
        }
        Err(fault) => go_without(sync, feed, of, &fault),
    }
}

/// All events since each token. Without a token, the answer is only a token to begin with.
async fn fetch(
    client: &Client,
    request: &Request,
    tokens: &BTreeMap<String, StreamSet>,
) -> Result<Vec<EventBatch>, Fault> {
    let mut batches = Vec::new();
    for (token, streams) in tokens {
        let happenings = asana::happenings(client, request, Some(token.clone())).await?;
        batches.push(EventBatch { streams: *streams, happenings });
    }
    if batches.is_empty() {
        let happenings = asana::happenings(client, request, None).await?;
        batches.push(EventBatch { streams: StreamSet::default(), happenings });
    }
    Ok(batches)
}

fn take(sync: &Sync<'_>, feed: &PlannedFeed, of: &Gid, key: &SliceKey, batches: &[EventBatch]) {
    for EventBatch { streams, happenings } in batches {
        for planned in feed.streams.iter().filter(|planned| streams.contains(planned.stream)) {
            take_batch(sync, planned, of, happenings);
        }
    }
    for planned in &feed.streams {
        // The slice was read before, and its events were not: nobody knows what was deleted since.
        let mut progress = sync.progress();
        let state = &mut progress.stream(planned.stream).state;
        if state.token(key).is_none() && state.was_read(key) && is_listed_in_part(sync, planned.stream) {
            state.forget(key);
        }
    }
    // Store the first token; some streams will receive events twice.
    let Some(first) = batches.first() else { return };
    for PlannedDeletionEvents { stream, .. } in &feed.streams {
        let mut progress = sync.progress();
        progress.stream(*stream).state.set_token(key, first.happenings.token.clone());
        progress.touch(*stream);
    }
}

/// What the events of the record `of` mean for one stream.
fn take_batch(sync: &Sync<'_>, planned: &PlannedDeletionEvents, of: &Gid, happenings: &Happenings) {
    let PlannedDeletionEvents { stream, events, above } = planned;
    let at_or_now = |at: Option<Moment>| at.unwrap_or_else(|| sync.facts.now());
    let mut is_restored = false;
    for (gid, word) in last_words(happenings, events) {
        match word {
            LastWord::Gone(at) => {
                tombstones::emit(sync, *stream, gid, at_or_now(at));
                // Nothing documents that events name what is deleted with it.
                let below = sync.progress().stream(*stream).state.listed().missing(gid, &Gids::default());
                below.iter().for_each(|gid| sync.deleted.borrow_mut().unseen.must_check(gid));
            }
            LastWord::There => is_restored = true,
        }
    }
    for (parent, word) in above.iter().flat_map(|events| last_words(happenings, events)) {
        match word {
            LastWord::Gone(at) => tombstones::emit_below(sync, *stream, parent, at_or_now(at)),
            LastWord::There => is_restored = true,
        }
    }
    let of_kind = || happenings.events.iter().filter(|event| event.resource == events.resource);
    let is_deletion = |event: &&Happening| events.actions.contains(&event.action.as_str());
    // The listing of a parent shows by itself which of its rows are gone.
    let may_depart = !sync.plan().stream(*stream).is_keyed_by_parent();
    let is_departure = |event: &&Happening| may_depart && !is_deletion(event) && event.action == REMOVED;
    let mut progress = sync.progress();
    let state = &mut progress.stream(*stream).state;
    let listed = state.listed_mut();
    listed.remove(of, of_kind().filter(is_deletion).map(|event| &event.gid));
    // One that left its parent is elsewhere, or was deleted there, of which these events do not tell.
    let kinds: Vec<&str> = std::iter::once(events).chain(above).map(|events| events.resource).collect();
    let departures = happenings.events.iter().filter(|event| event.action == REMOVED);
    for event in departures.filter(|event| kinds.contains(&event.resource.as_str())) {
        sync.deleted.borrow_mut().unseen.must_check(&event.gid);
    }
    for event in of_kind().filter(is_departure) {
        if listed.holds(of, &event.gid) == Some(true) {
            listed.add(&ELSEWHERE, [event.gid.clone()].into_iter().collect());
        }
    }
    listed.remove(of, of_kind().filter(is_departure).map(|event| &event.gid));
    if happenings.gap == Gap::Before {
        state.set_compared(None);
    }
    if is_restored {
        // A record that was restored may only have old times.
        state.forget(&SliceKey::Object(of.clone()));
    }
}

/// Whether an incremental sync lists only changed records, or only those below changed parents. Such a listing cannot show
/// a deletion, so a slice whose events were lost is read whole. Streams below tasks do not need this: Asana documents that
/// a task is modified when something on it is removed.
fn is_listed_in_part(sync: &Sync<'_>, stream: StreamId) -> bool {
    let planned = sync.plan().stream(stream).stream;
    planned.cursor.parameter().is_some() || matches!(planned.listing, Listing::Tree(_))
}

/// Goes on without the events of a record; no stream fails without them. The token stays, so the next sync that may read the
/// events reports these deletions. While Asana refuses them, the daily comparison finds the deletions.
fn go_without(sync: &Sync<'_>, feed: &PlannedFeed, of: &Gid, fault: &Fault) -> Result<(), Stop> {
    if let Consequence::Stop(reason) = consequence(fault, Place::Events) {
        return Err(Stop(Cause::Request { fault, reason }.failure()));
    }
    for PlannedDeletionEvents { stream, .. } in &feed.streams {
        sync.progress().stream(*stream).state.lack_events(&SliceKey::Object(of.clone()));
    }
    if sync.deleted.borrow_mut().lack_events() > LOGGED {
        return Ok(());
    }
    let reason = fault.reason();
    let (level, text) = match reason.is_refusal() {
        true => (
            Level::Info,
            format!("deletions in {of} are found by the daily comparison, because {}", reason.text()),
        ),
        false => (
            Level::Warn,
            format!(
                "deletions in {of} are reported by a later sync, because its events cannot be read. {fault}"
            ),
        ),
    };
    sync.output.log(level, text);
    Ok(())
}

/// What events said last of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastWord {
    /// It was deleted, and when, as far as that is known.
    Gone(Option<Moment>),
    /// It is there again.
    There,
}

/// The last word on each object that `events` are about.
fn last_words<'happenings>(
    happenings: &'happenings Happenings,
    events: &DeletionEvents,
) -> BTreeMap<&'happenings Gid, LastWord> {
    let mut last = BTreeMap::new();
    for event in happenings.events.iter().filter(|event| event.resource == events.resource) {
        if events.actions.contains(&event.action.as_str()) {
            last.insert(&event.gid, LastWord::Gone(event.at));
        } else if event.action == UNDELETED {
            last.insert(&event.gid, LastWord::There);
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts_and_other_actions_are_none() {
        let event = |gid, resource: &str, action: &str, second| Happening {
            gid: Gid::Number(gid),
            resource: resource.to_owned(),
            action: action.to_owned(),
            at: Some(Moment::from_unix_milliseconds(second)),
        };
        let events = vec![
            event(1, "task", "deleted", 1),
            event(2, "task", "deleted", 2),
            event(2, "task", "undeleted", 3),
            event(3, "task", "undeleted", 4),
            event(3, "task", "deleted", 5),
            event(4, "task", "removed", 6),
            event(5, "story", "deleted", 7),
            event(1, "task", "changed", 8),
        ];
        let happenings = Happenings { events, ..Happenings::default() };
        let words = last_words(&happenings, &DeletionEvents { resource: "task", actions: &["deleted"] });
        let gone = |second| LastWord::Gone(Some(Moment::from_unix_milliseconds(second)));
        let expected = [(1, gone(1)), (2, LastWord::There), (3, gone(5))];
        let words: Vec<_> = words.into_iter().map(|(gid, word)| (gid.clone(), word)).collect();
        assert_eq!(words, expected.map(|(gid, word)| (Gid::Number(gid), word)));
    }
}
