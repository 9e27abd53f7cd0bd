//! What a listing shows exists, and in that stream. A record that was in another stream before has left it.

use std::time::Duration;

use crate::gid::Gid;
use crate::moment::Moment;
use crate::stream_set::StreamId;
use crate::sync::context::Sync;
use crate::sync::deletions::tombstones;
use crate::sync::deletions::unseen::SeenAs;

/// Asana's times have milliseconds.
const STEP: Duration = Duration::from_millis(1);

/// Notes that a record of `stream` exists. `time` is its cursor, as far as that is known.
pub fn note(sync: &Sync<'_>, stream: StreamId, gid: &Gid, seen_as: SeenAs, time: Option<Moment>) {
    let left = {
        let mut deleted = sync.deleted.borrow_mut();
        deleted.unseen.see(gid, seen_as);
        deleted.take_former_stream(stream, gid)
    };
    if let Some(left) = left {
        // Later than the row that it replaces, and in Asana's time.
        let at = time.unwrap_or_else(|| sync.facts.began()).plus(STEP);
        tombstones::emit(sync, left, gid, at);
    }
}
