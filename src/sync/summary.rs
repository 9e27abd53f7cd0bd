//! The end of a sync: what failed, the last checkpoints, and one line per stream.

use std::collections::BTreeSet;

use airbyte_protocol::message::Level;

use crate::emit::Event;
use crate::error::Failure;
use crate::stream_set::StreamId;
use crate::sync::context::Sync;
use crate::sync::failures::Cause;

/// How a sync ended.
#[derive(Debug)]
pub struct Outcome {
    pub failures: Vec<Failure>,
}

/// Reports what failed, failures that may pass first, and what was read of each stream.
pub async fn finish(sync: &Sync<'_>, stopped: Option<Failure>) -> Outcome {
    let plan = sync.plan();
    if let Some(stopped) = &stopped {
        mark_unfinished(sync, stopped);
    }
    let mut failures: Vec<Failure> = Vec::new();
    let mut add = |failure: Failure| {
        // Workspaces share paths, and with them messages.
        if !failures.contains(&failure) {
            failures.push(failure);
        }
    };
    stopped.iter().cloned().for_each(&mut add);
    for (id, _) in plan.selected() {
        sync.progress().stream(id).account.failures.iter().cloned().for_each(&mut add);
    }
    failures.sort_by_key(|failure| failure.class);
    // Some runners stop reading at the first ERROR trace, so everything else comes before it.
    sync.progress().finish(&sync.output);
    for (id, planned) in plan.selected() {
        let requests = requests(sync, id);
        let mut progress = sync.progress();
        let account = &mut progress.stream(id).account;
        account.requests = requests;
        let level = if account.is_incomplete() || account.skips() > 0 { Level::Warn } else { Level::Info };
        sync.output.log(level, account.line(planned.stream.name));
    }
    failures.iter().cloned().for_each(|failure| sync.output.push(Event::Failed(failure)));
    // Where the writer has gone, nobody reads this.
    drop(sync.output.flush().await);
    Outcome { failures }
}

/// Streams that a stop left unread are incomplete.
fn mark_unfinished(sync: &Sync<'_>, stopped: &Failure) {
    for (id, planned) in sync.plan().selected() {
        let mut progress = sync.progress();
        if !progress.is_finished(id) && !progress.stream(id).account.is_incomplete() {
            let failure = Cause::Stopped { by: stopped }.of_stream(planned.stream.name);
            progress.stream(id).account.fail(failure);
        }
    }
}

/// Requests sent for a stream's listings, retries included.
fn requests(sync: &Sync<'_>, id: StreamId) -> u64 {
    let of_stream = sync.plan().listings.iter().filter(|listing| listing.stream == id);
    let endpoints: BTreeSet<&str> = of_stream.map(|listing| listing.endpoint()).collect();
    let counts = sync.facts.client.counts();
    endpoints.iter().filter_map(|endpoint| counts.get(*endpoint)).map(|counts| counts.requests).sum()
}
