//! Tombstones: records with nothing but a key, cursors and the time of the deletion.

use serde_json::json;

use crate::config::ReportDeletions;
use crate::emit::{Batch, Event};
use crate::gid::Gid;
use crate::moment::Moment;
use crate::schema::{DELETED_AT, UPDATED_AT};
use crate::stream::Deletions;
use crate::stream_set::{StreamId, StreamSet};
use crate::sync::context::Sync;

/// Whether the stream reports deletions in this sync.
pub fn are_wanted(sync: &Sync<'_>, id: StreamId) -> bool {
    sync.facts.settings.deletions == ReportDeletions::Yes && sync.plan().stream(id).reports_deletions
}

/// The streams that report deletions by events in this sync.
pub fn reporting(sync: &Sync<'_>) -> StreamSet {
    let ids = sync.plan().selected().map(|(id, _)| id);
    let is_by_events =
        |id: &StreamId| matches!(sync.plan().stream(*id).stream.deletions, Deletions::Events { .. });
    ids.filter(|id| are_wanted(sync, *id)).filter(is_by_events).collect()
}

/// Emits the tombstone of a deleted record, once per sync: one for each row that it has.
pub fn emit(sync: &Sync<'_>, id: StreamId, gid: &Gid, at: Moment) {
    if !are_wanted(sync, id) || !sync.deleted.borrow_mut().report(id, gid) {
        return;
    }
    if sync.plan().stream(id).is_keyed_by_parent() {
        let parents = sync.progress().stream(id).state.listed().parents_of(gid);
        parents.iter().for_each(|parent| emit_row(sync, id, parent, gid, at));
    } else {
        emit_row(sync, id, gid, gid, at);
    }
}

/// Emits the tombstones of everything that was listed below a record.
pub fn emit_below(sync: &Sync<'_>, id: StreamId, parent: &Gid, at: Moment) {
    let below = sync.progress().stream(id).state.listed_mut().take(parent);
    if !are_wanted(sync, id) {
        return;
    }
    if sync.plan().stream(id).is_keyed_by_parent() {
        below.iter().for_each(|gid| emit_row(sync, id, parent, gid, at));
    } else {
        below.iter().for_each(|gid| emit(sync, id, gid, at));
    }
}

/// Emits the tombstone of one row. Only a key that has the parent's column needs the parent.
pub fn emit_row(sync: &Sync<'_>, id: StreamId, parent: &Gid, gid: &Gid, at: Moment) {
    let planned = sync.plan().stream(id);
    let stream = planned.stream;
    let mut record = serde_json::Map::new();
    for column in stream.primary_key {
        let value = if planned.parent_column.as_deref() == Some(*column) { parent } else { gid };
        record.insert((*column).to_owned(), json!(value.to_string()));
    }
    record.extend(stream.cursor.field().map(|field| (field.to_owned(), json!(at.to_string()))));
    if planned.selection.as_ref().is_some_and(|selection| selection.columns.contains(UPDATED_AT)) {
        record.insert(UPDATED_AT.to_owned(), json!(sync.facts.version().to_string()));
    }
    record.insert(DELETED_AT.to_owned(), json!(at.to_string()));
    let text = serde_json::Value::Object(record).to_string().into_bytes();
    let ends = vec![text.len()];
    let mut progress = sync.progress();
    progress.start(id, &sync.output);
    progress.count(id, 1, 0, sync.facts.version());
    progress.stream(id).account.deletions += 1;
    sync.output.push(Event::Records(Batch { stream: stream.name, text, ends, turn: None }));
}
