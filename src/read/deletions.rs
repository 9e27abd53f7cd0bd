//! Records that are gone: told by events, or gone with what they hung on. Knows no HTTP, no status codes and no
//! particular stream.

use std::collections::BTreeMap;

use airbyte_protocol::message::Level;
use serde_json::json;

use crate::asana::{self, Client, Consequence, Fault, Gap, Happening, Happenings, Place, Request};
use crate::config::TellDeletions;
use crate::emit::{Batch, Event};
use crate::error::Failure;
use crate::gid::Gid;
use crate::moment::Moment;
use crate::plan::{PlannedTold, StreamId};
use crate::read::jobs::{Job, Preparation};
use crate::read::judge::failure_of;
use crate::read::slices::StreamSet;
use crate::read::visit;
use crate::read::walk::{Ready, Walk};
use crate::schema::DELETED_AT;
use crate::stream::{Listing, Told};

/// The action by which events cancel a deletion.
const UNDELETED: &str = "undeleted";

/// The actions after which a record is not where it was: it may be gone, or only elsewhere.
const LEFT: [&str; 2] = ["deleted", "removed"];

/// So many listings without events are told one by one.
const TOLD: u64 = 3;

/// The events of one record, asked for before what is below it is listed.
#[derive(Debug)]
pub struct FeedVisit {
    /// What is opened when they have come.
    pub job: Job,
    /// Its place in `Plan::feeds`.
    pub feed: usize,
    /// Where the streams have got to in them, by sync token.
    pub places: BTreeMap<String, StreamSet>,
}

/// What some streams have not heard yet.
#[derive(Debug)]
pub struct Heard {
    pub streams: StreamSet,
    pub happenings: Happenings,
}

impl FeedVisit {
    /// All events since each of the places. Where there is none, the answer is nothing but a place to begin at.
    ///
    /// # Errors
    ///
    /// Whatever keeps events from coming.
    pub async fn hear(&self, client: &Client, request: &Request) -> Result<Vec<Heard>, Fault> {
        let mut heard = Vec::new();
        for (token, streams) in &self.places {
            let happenings = asana::happenings(client, request, Some(token.clone())).await?;
            heard.push(Heard { streams: *streams, happenings });
        }
        if heard.is_empty() {
            let happenings = asana::happenings(client, request, None).await?;
            heard.push(Heard { streams: StreamSet::default(), happenings });
        }
        Ok(heard)
    }
}

impl Walk<'_> {
    pub(super) fn tells_deletions(&self, id: StreamId) -> bool {
        self.settings.deletions == TellDeletions::Yes && self.plan.stream(id).tells_deletions
    }

    /// Asks for the events of the record whose children the job opens. Gives the job back if no one wants them.
    pub(super) fn begin_feed(&mut self, job: Job) -> Option<Job> {
        let found = self.plan.feeds.iter().position(|feed| feed.of == job.stream);
        let Some(feed) = found.filter(|_| self.settings.deletions == TellDeletions::Yes) else {
            return Some(job);
        };
        let key = job.parent.to_string();
        // Nearly always all streams are at the same place; one that was reset or is new is at none.
        let mut places: BTreeMap<String, StreamSet> = BTreeMap::new();
        for PlannedTold { stream, .. } in &self.plan.feeds[feed].told {
            if let Some(token) = self.progress[stream.0].state.token(&key) {
                places.entry(token.to_owned()).or_default().insert(*stream);
            }
        }
        self.ready.push(Ready::Feed(FeedVisit { job, feed, places }));
        None
    }

    pub(super) fn feed_request(&self, visit: &FeedVisit) -> Request {
        visit::request_of_one(self.plan.feeds[visit.feed].path, &visit.job.parent)
    }

    /// Tells what the events say is gone, keeps where they go on, and opens what waited for them.
    pub(super) fn take_feed(&mut self, visit: FeedVisit, result: Result<Vec<Heard>, Fault>) {
        match result {
            Ok(heard) => self.take_heard(&visit, heard),
            Err(fault) => self.miss_feed(&visit, &fault),
        }
        self.jobs.push(Job { preparation: Preparation::Done, ..visit.job });
    }

    fn take_heard(&mut self, visit: &FeedVisit, heard: Vec<Heard>) {
        let key = visit.job.parent.to_string();
        // All have heard everything up to the first answer, and some of them more, which they hear again.
        let Some(token) = heard.first().map(|heard| heard.happenings.token.clone()) else { return };
        for Heard { streams, happenings } in heard {
            let plan = self.plan;
            for told in plan.feeds[visit.feed].told.iter().filter(|told| streams.contains(told.stream)) {
                self.take_happenings(told, &visit.job.parent, &happenings);
            }
        }
        for PlannedTold { stream, .. } in &self.plan.feeds[visit.feed].told {
            self.progress[stream.0].state.set_token(&key, token.clone());
            self.progress[stream.0].is_dirty = true;
        }
    }

    /// What one stream hears in the events of the record `of`.
    fn take_happenings(&mut self, planned: &PlannedTold, of: &Gid, happenings: &Happenings) {
        let PlannedTold { stream, told, above } = planned;
        let mut is_restored = false;
        for (gid, word) in last_words(happenings, told) {
            match word {
                LastWord::Gone(at) => self.tell_deleted(*stream, gid, at.unwrap_or_else(|| (self.clock)())),
                LastWord::There => is_restored = true,
            }
        }
        for (parent, word) in above.iter().flat_map(|told| last_words(happenings, told)) {
            match word {
                LastWord::Gone(at) => {
                    self.tell_deleted_below(*stream, parent, at.unwrap_or_else(|| (self.clock)()));
                }
                LastWord::There => is_restored = true,
            }
        }
        let left =
            |event: &&Happening| event.resource == told.resource && LEFT.contains(&event.action.as_str());
        let gone = happenings.events.iter().filter(left).map(|event| &event.gid);
        self.progress[stream.0].state.listed_mut().remove(of, gone);
        // What is below unmoved parents, or unmoved itself, is listed again only if nothing is known of the slice. What
        // hangs on a task needs no such thing: Asana documents that it moves the task when it goes.
        let planned = self.plan.stream(*stream);
        let is_listed_in_part =
            planned.stream.cursor.parameter().is_some() || matches!(planned.stream.listing, Listing::Tree(_));
        if is_restored || (happenings.gap == Gap::Before && is_listed_in_part) {
            // What came back may show none but its old times.
            self.progress[stream.0].state.forget(&of.to_string());
        }
    }

    /// Without events, deletions in this record are not told; its place in them stays, so that they may be later.
    fn miss_feed(&mut self, visit: &FeedVisit, fault: &Fault) {
        match asana::consequence(fault, Place::Detail) {
            Consequence::SkipSlice(reason) => {
                self.without_events += 1;
                if self.without_events <= TOLD {
                    let (of, why) = (&visit.job.parent, reason.text());
                    self.log(Level::Info, format!("no deletions can be told from {of}, because {why}"));
                }
            }
            Consequence::FailSync(reason) => self.stopped = Some(failure_of(fault, reason.text())),
            Consequence::SkipStream(_) | Consequence::FailSlice(_) | Consequence::FailStream(_) => {
                for PlannedTold { stream, .. } in &self.plan.feeds[visit.feed].told {
                    let name = self.plan.stream(*stream).stream.name;
                    let Failure { class, message, .. } = Failure::of(fault);
                    let message =
                        format!("{name}: deletions in {} are not told. {message}", visit.job.parent);
                    let failure = Failure { class, message, stream: None }.of_stream(name);
                    self.progress[stream.0].account.fail(failure);
                }
            }
        }
    }

    /// Whether this sync has told that a record is gone. What a listing still shows of it is older than that.
    pub(super) fn was_told_deleted(&self, id: StreamId, gid: &Gid) -> bool {
        !self.deleted.is_empty() && self.deleted.contains(&(id, gid.clone()))
    }

    /// Tells that everything is deleted that was listed below a record.
    pub(super) fn tell_deleted_below(&mut self, id: StreamId, parent: &Gid, at: Moment) {
        for gid in self.progress[id.0].state.listed_mut().take(parent) {
            self.tell_deleted(id, &gid, at);
        }
    }

    /// Emits a record that is nothing but its key, its cursor and the time at which it was deleted.
    pub(super) fn tell_deleted(&mut self, id: StreamId, gid: &Gid, at: Moment) {
        if !self.tells_deletions(id) || !self.deleted.insert((id, gid.clone())) {
            return;
        }
        let stream = self.plan.stream(id).stream;
        let mut record = serde_json::Map::new();
        record.extend(stream.primary_key.iter().map(|column| ((*column).to_owned(), json!(gid.to_string()))));
        record.extend(stream.cursor.field().map(|field| (field.to_owned(), json!(at.to_string()))));
        record.insert(DELETED_AT.to_owned(), json!(at.to_string()));
        let text = serde_json::Value::Object(record).to_string().into_bytes();
        let ends = vec![text.len()];
        self.start_stream(id);
        self.progress[id.0].account.records += 1;
        self.progress[id.0].account.deletions += 1;
        self.outbox.push_back(Event::Records(Batch { stream: stream.name, text, ends, turn: None }));
    }
}

/// What events said last of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastWord {
    /// It was deleted, and when, as far as that is known.
    Gone(Option<Moment>),
    /// It is there again.
    There,
}

/// The last word on each object that `told` is about.
fn last_words<'happenings>(
    happenings: &'happenings Happenings,
    told: &Told,
) -> BTreeMap<&'happenings Gid, LastWord> {
    let mut last = BTreeMap::new();
    for event in happenings.events.iter().filter(|event| event.resource == told.resource) {
        if told.actions.contains(&event.action.as_str()) {
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
        let words = last_words(&happenings, &Told { resource: "task", actions: &["deleted"] });
        let gone = |second| LastWord::Gone(Some(Moment::from_unix_milliseconds(second)));
        let expected = [(1, gone(1)), (2, LastWord::There), (3, gone(5))];
        let words: Vec<_> = words.into_iter().map(|(gid, word)| (gid.clone(), word)).collect();
        assert_eq!(words, expected.map(|(gid, word)| (Gid::Number(gid), word)));
    }
}
