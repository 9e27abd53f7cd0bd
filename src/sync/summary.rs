//! The end of a sync: what failed, the last checkpoints, and one line per stream.

use std::collections::BTreeSet;

use airbyte_connector::Failure;
use airbyte_protocol::message::{Level, StreamDescriptor};

use crate::emit::Event;
use crate::stream_set::StreamId;
use crate::sync::context::Sync;
use crate::sync::terminal::Terminal;

/// How a sync ended.
#[derive(Debug)]
pub struct Outcome {
    pub failures: Vec<Failure>,
}

/// Reports what failed, failures that may pass first, and what was read of each stream.
pub async fn finish(sync: &Sync<'_>, stopped: Option<Failure>, terminal: &Terminal) -> Outcome {
    let plan = sync.plan();
    let mut failures = causes(sync);
    failures.extend(stopped);
    failures.sort_by_key(|failure| failure.kind);
    // Some runners stop reading at the first ERROR trace, so everything else comes before it.
    sync.progress().finish(&sync.output);
    for (id, planned) in plan.selected() {
        let requests = requests(sync, id);
        let mut progress = sync.progress();
        let is_finished = progress.is_finished(id);
        let account = &mut progress.stream(id).account;
        account.requests = requests;
        account.is_unfinished = !is_finished;
        let is_whole = is_finished && account.skips() == 0;
        let level = if !is_whole { Level::Warn } else { Level::Info };
        sync.output.log(level, account.line(planned.stream.name));
    }
    failures.iter().cloned().for_each(|failure| sync.output.push(Event::Failed(failure)));
    // Where the writer has gone, nobody reads this.
    drop(sync.output.flush().await);
    if terminal.is_watched() {
        show(sync, terminal, &failures);
    }
    Outcome { failures }
}

/// Shows the end of the sync at the terminal.
fn show(sync: &Sync<'_>, terminal: &Terminal, failures: &[Failure]) {
    let client = &sync.facts.client;
    let mut progress = sync.progress();
    let standing = progress.standing(&client.counts(), client.pause());
    let streams: Vec<_> = sync
        .plan()
        .selected()
        .map(|(id, planned)| (planned.stream.name, progress.stream(id).account.clone()))
        .collect();
    let failures: Vec<_> = failures.iter().map(|failure| client.redact(&failure.message)).collect();
    terminal.finish(streams, &standing, &failures);
}

/// What went wrong, each cause once with the streams that it concerns.
fn causes(sync: &Sync<'_>) -> Vec<Failure> {
    let mut causes: Vec<(Failure, Vec<&str>)> = Vec::new();
    for (id, planned) in sync.plan().selected() {
        for failure in &sync.progress().stream(id).account.failures {
            let name = planned.stream.name;
            match causes.iter_mut().find(|(cause, _)| cause == failure) {
                Some((_, streams)) if streams.contains(&name) => {}
                Some((_, streams)) => streams.push(name),
                None => causes.push((failure.clone(), vec![name])),
            }
        }
    }
    let of_streams = |(failure, streams): (Failure, Vec<&str>)| {
        let message = format!("{}: {}", streams.join(", "), failure.message);
        let named = Failure { message, ..failure };
        match streams[..] {
            [only] => named.of_stream(StreamDescriptor::named(only)),
            _ => named,
        }
    };
    causes.into_iter().map(of_streams).collect()
}

/// Requests sent for a stream's listings, retries included.
fn requests(sync: &Sync<'_>, id: StreamId) -> u64 {
    let of_stream = sync.plan().listings.iter().filter(|listing| listing.stream == id);
    let endpoints: BTreeSet<&str> = of_stream.map(|listing| listing.endpoint()).collect();
    let counts = sync.facts.client.counts();
    endpoints.iter().filter_map(|endpoint| counts.get(*endpoint)).map(|counts| counts.requests).sum()
}
