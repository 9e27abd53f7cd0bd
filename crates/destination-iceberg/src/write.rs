//! The `write` verb: events from the intake to stream writers, and STATEs out when their records are committed.
//! Knows no file format and no JSON of records.

use std::collections::HashMap;
use std::io::BufRead;
use std::sync::Arc;
use std::time::{Duration, Instant};

use airbyte_connector::Output;
use airbyte_connector::verbs::Result;
use airbyte_protocol::message::{Level, StreamStatus};

use crate::acknowledgement::Acknowledgements;
use crate::automatic_maintenance::AutomaticMaintenance;
use crate::batch::{Batch, BatchBuilder, RowIds};
use crate::catalog::{Catalog, Table};
use crate::config::Config;
use crate::deletion::DeleteForm;
use crate::failure::{self, Failure};
use crate::intake::{Batches, Event, Scope, read};
use crate::key::Key;
use crate::orphans::{ForeignKey, foreign_keys};
use crate::plan::StreamPlan;
use crate::raw_rows::RawRows;
use crate::snowflake::refresh_statement;
use crate::stream_writer::{Committed, StreamWriter};
use crate::table::prepare_all;

/// Events that may wait between the intake's thread and the writer; a batch of them is at most about 2 MiB of JSON.
const EVENTS_IN_FLIGHT: usize = 2;
/// The keys that all upserts may hold together, about 200 bytes each.
const KEYS_IN_MEMORY: usize = 100_000;

/// Writes the input's records into the plans' tables. An error is one that stopped it; an incomplete source is one,
/// after everything that came was committed.
pub async fn write(
    config: &Config,
    plans: Vec<StreamPlan>,
    input: impl BufRead + Send + 'static,
    output: &mut Output,
) -> Result<()> {
    let catalog = Catalog::open(config).await?;
    let (plans, ready): (Vec<_>, Vec<_>) = prepare_all(&catalog, plans, config).await?.into_iter().unzip();
    let shapes =
        plans.iter().zip(&ready).map(|(plan, ready)| (plan.stream.clone(), ready.shape.clone())).collect();
    let (sender, mut events) = tokio::sync::mpsc::channel(EVENTS_IN_FLIGHT);
    // Not joined: it ends with its input, or blocks on it when the process is to end already.
    let raw_rows = Arc::new(RawRows::new(plans.len()));
    let shared = raw_rows.clone();
    std::thread::spawn(move || read(input, shapes, &shared, &sender));
    let target_bytes = (config.target_file_size_mib << 20) as usize;
    let form = DeleteForm { deletes: config.deletes, target_bytes };
    let mut maintenance = AutomaticMaintenance::of(config);
    if let Some(maintainer) = catalog.maintainer().filter(|_| maintenance.is_some()) {
        output.log(Level::Info, format!("{maintainer} maintains the tables of this catalog"))?;
        maintenance = None;
    }
    let now = Instant::now();
    let count = plans.len() as u32;
    let foreign_keys = foreign_keys(&plans).into();
    let streams: Vec<StreamWriter> = plans
        .into_iter()
        .zip(ready)
        .map(|(plan, ready)| StreamWriter::new(plan, ready, form, maintenance, count, now))
        .collect();
    let mut writer = Writer {
        catalog,
        output,
        waiting: Acknowledgements::new(streams.len()),
        ended: vec![Ended::NotYet; streams.len()],
        foreign_keys,
        is_deleting: vec![false; streams.len()],
        streams,
        raw_rows,
        interval: Duration::from_secs(config.commit_interval_seconds),
    };
    loop {
        let event = match writer.next_due() {
            Some(due) => tokio::time::timeout_at(due.into(), events.recv()).await,
            None => Ok(events.recv().await),
        };
        match event {
            Err(_elapsed) => writer.commit_due(Instant::now()).await?,
            Ok(Some(Event::End(outcome))) => return writer.finish(outcome).await,
            Ok(Some(event)) => writer.take(event).await?,
            Ok(None) => return Err(Failure::system("the thread that reads stdin died").into()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    NotYet,
    Complete,
    Incomplete,
}

struct Writer<'a> {
    catalog: Catalog,
    output: &'a mut Output,
    streams: Vec<StreamWriter>,
    /// The rows that no stream has written yet.
    raw_rows: Arc<RawRows>,
    waiting: Acknowledgements,
    ended: Vec<Ended>,
    foreign_keys: Arc<[ForeignKey]>,
    /// The streams whose orphans are being deleted.
    is_deleting: Vec<bool>,
    interval: Duration,
}

impl Writer<'_> {
    async fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Rows { stream, batch } => self.write_batch(stream, batch).await,
            Event::State { scope, line } => {
                match scope {
                    Scope::Stream { stream, records } => self.waiting.push(stream, records, line)?,
                    Scope::Everything { records } => self.waiting.push_for_everything(records, line)?,
                }
                self.commit_due(Instant::now()).await?;
                self.acknowledge()
            }
            Event::Status { stream, status: StreamStatus::Complete } => {
                self.ended[stream] = Ended::Complete;
                self.write_raw_rows(stream).await?;
                self.raw_rows.end(stream);
                self.delete_orphans_of(stream).await?;
                let done = self.streams[stream].complete(&self.catalog).await;
                self.settle(stream, done)
            }
            Event::Status { stream, status: StreamStatus::Incomplete } => {
                self.ended[stream] = Ended::Incomplete;
                self.commit(stream).await
            }
            Event::Status { .. } => Ok(()),
            Event::Warning(text) => Ok(self.output.log(Level::Warn, text)?),
            Event::End(outcome) => Ok(outcome?),
        }
    }

    /// The next moment at which records have waited long enough for a STATE that wants to go out.
    fn next_due(&self) -> Option<Instant> {
        let streams = self.streams.iter().enumerate();
        let waiting = streams.filter(|(index, _)| self.waiting.is_waiting(*index));
        waiting.filter_map(|(index, stream)| stream.due(self.raw_rows.records(index), self.interval)).min()
    }

    async fn commit_due(&mut self, now: Instant) -> Result<()> {
        for index in 0..self.streams.len() {
            if !self.waiting.is_waiting(index) {
                continue;
            }
            let due = self.streams[index].due(self.raw_rows.records(index), self.interval);
            if due.is_some_and(|due| due <= now) {
                self.commit(index).await?;
            }
        }
        Ok(())
    }

    /// Commits what came of a stream so far, unless it is a refresh, which its end publishes.
    async fn commit(&mut self, stream: usize) -> Result<()> {
        self.write_raw_rows_before_its_end(stream).await?;
        self.delete_orphans_of(stream).await?;
        let done = self.streams[stream].commit(&self.catalog).await;
        self.settle(stream, done)
    }

    /// Deletes the rows that refer to rows which the stream's next commit deletes.
    ///
    /// It comes before that commit. With the commit, the STATE behind the deletions goes out, and then the source does
    /// not send them again.
    async fn delete_orphans_of(&mut self, stream: usize) -> Result<()> {
        let deleted = self.streams[stream].deleted_keys();
        if deleted.is_empty() || self.is_deleting[stream] {
            return Ok(());
        }
        self.is_deleting[stream] = true;
        let done = self.delete_orphans(stream, deleted).await;
        self.is_deleting[stream] = false;
        done
    }

    /// Deletes the rows that refer to the deleted keys of the stream, and those that refer to them.
    async fn delete_orphans(&mut self, stream: usize, deleted: HashMap<Key, ()>) -> Result<()> {
        let foreign_keys = self.foreign_keys.clone();
        let mut waiting = vec![(stream, deleted)];
        while let Some((parent, mut deleted)) = waiting.pop() {
            for ForeignKey { child, column, parents } in foreign_keys.iter() {
                if !parents.contains(&parent) {
                    continue;
                }
                // A row can move from one parent stream to another, and its children with it.
                for other in parents.iter().filter(|other| **other != parent) {
                    self.write_raw_rows_before_its_end(*other).await?;
                    let existing = self.streams[*other].existing(&deleted).await;
                    let existing = existing.map_err(|failure| self.of_stream(*other, failure))?;
                    deleted.retain(|key, ()| !existing.contains(key));
                }
                if !self.is_deleting[*child] {
                    Box::pin(self.commit(*child)).await?;
                }
                let orphans = self.streams[*child].delete_where(&self.catalog, column, &deleted).await;
                let orphans = orphans.map_err(|failure| self.of_stream(*child, failure))?;
                if !orphans.is_empty() {
                    let ident = &self.streams[*child].table().ident;
                    let text =
                        format!("{} rows of table {ident} deleted with what they refer to", orphans.len());
                    self.output.log(Level::Info, text)?;
                    waiting.push((*child, orphans));
                }
            }
        }
        Ok(())
    }

    fn of_stream(&self, stream: usize, failure: Failure) -> Failure {
        failure.of_stream(self.streams[stream].plan.stream.clone())
    }

    async fn write_raw_rows_before_its_end(&mut self, stream: usize) -> Result<()> {
        match self.streams[stream].commits_before_its_end() {
            true => Box::pin(self.write_raw_rows(stream)).await,
            false => Ok(()),
        }
    }

    /// Writes the rows of a stream that were kept as they came.
    async fn write_raw_rows(&mut self, stream: usize) -> Result<()> {
        if self.raw_rows.records(stream) == 0 {
            return Ok(());
        }
        let raw_rows = self.raw_rows.clone();
        let mut builder = BatchBuilder::new(self.streams[stream].shape().clone(), RowIds::new())?;
        let mut batches = Batches::new(&raw_rows, raw_rows.take(stream));
        while let Some(batch) = batches.next(&mut builder)? {
            self.write_batch(stream, batch).await?;
        }
        raw_rows.count_unknown_fields(stream, builder.take_unknown_fields());
        Ok(())
    }

    async fn write_batch(&mut self, stream: usize, batch: Batch) -> Result<()> {
        let written = self.streams[stream].write(&self.catalog, batch).await;
        written.map_err(|failure| self.of_stream(stream, failure))?;
        self.bound_memory().await
    }

    /// Works off the stream with the most keys while all streams together hold too many.
    async fn bound_memory(&mut self) -> Result<()> {
        while self.streams.iter().map(StreamWriter::held_keys).sum::<usize>() > KEYS_IN_MEMORY {
            let Some(largest) = self.largest(StreamWriter::held_keys) else { break };
            self.delete_orphans_of(largest).await?;
            let done = self.streams[largest].work_off(&self.catalog).await;
            self.settle(largest, done)?;
        }
        Ok(())
    }

    fn largest(&self, measure: fn(&StreamWriter) -> usize) -> Option<usize> {
        let measured = self.streams.iter().map(measure).enumerate();
        // A stream whose orphans are being deleted must not commit before they are.
        let free = measured.filter(|(index, size)| *size > 0 && !self.is_deleting[*index]);
        free.max_by_key(|(_, size)| *size).map(|(index, _)| index)
    }

    /// Tells of a commit, and passes on the STATEs that waited for it.
    fn settle(&mut self, stream: usize, done: failure::Result<Option<Committed>>) -> Result<()> {
        let done = done.map_err(|failure| self.of_stream(stream, failure))?;
        let stream = &self.streams[stream];
        let Some(Committed { records, metadata_location, joined, expired, warning }) = done else {
            return Ok(());
        };
        let ident = &stream.table().ident;
        let text = format!("{records} records committed to table {ident}: {metadata_location}");
        self.output.log(Level::Info, text + &for_snowflake(stream.table()))?;
        if joined > 0 || expired > 0 {
            let text = format!("table {ident}: {joined} files were joined, {expired} snapshots expired");
            self.output.log(Level::Info, text)?;
        }
        if let Some(failure) = warning {
            let text = format!(
                "table {ident} is complete but could not be maintained: {}. The next sync tries again",
                failure.message
            );
            self.output.log(Level::Warn, text)?;
        }
        self.acknowledge()
    }

    fn acknowledge(&mut self) -> Result<()> {
        let progress: Vec<_> = self.streams.iter().map(StreamWriter::progress).collect();
        self.waiting.ready(&progress, |line| Ok(self.output.line(line)?))
    }

    /// The input is over: commits what there is, and fails if the source did not complete every stream.
    async fn finish(mut self, outcome: failure::Result<()>) -> Result<()> {
        for index in 0..self.streams.len() {
            self.commit(index).await?;
            let unknown = self.raw_rows.unknown_fields(index);
            if unknown > 0 {
                let name = &self.streams[index].plan.stream.name;
                let text = format!(
                    "stream {name}: {unknown} values of fields that are not in the catalog were ignored"
                );
                self.output.log(Level::Warn, text)?;
            }
        }
        outcome?;
        let ended = self.ended.iter().zip(&self.streams);
        let missing: Vec<&str> = ended
            .filter(|(ended, _)| **ended != Ended::Complete)
            .map(|(_, stream)| stream.plan.stream.name.as_str())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Failure::transient(format!(
            "the source did not complete every stream: {}. Their refreshes were not published; what they append or \
             upsert was committed",
            missing.join(", ")
        ))
        .into())
    }
}

/// What Snowflake has to run where it reads the table's files by itself; empty elsewhere.
fn for_snowflake(table: &Table) -> String {
    refresh_statement(&table.ident, &table.metadata_location, table.metadata.location())
        .map(|statement| format!("; Snowflake, if it reads the files by itself: {statement}"))
        .unwrap_or_default()
}
