//! Records that are gone: told by events, or absent from a listing that is always read whole. Knows no HTTP, no
//! status codes and no particular stream.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use airbyte_protocol::message::Level;
use serde_json::json;

use crate::asana::{self, Client, Consequence, Fault, Gap, Happenings, Place, Reason, Request};
use crate::config::TellDeletions;
use crate::emit::{Batch, Event};
use crate::error::Failure;
use crate::gid::Gid;
use crate::moment::Moment;
use crate::plan::{Mode, StreamId};
use crate::read::judge::failure_of;
use crate::read::report::grouped;
use crate::read::slices::{SliceId, StreamSet};
use crate::read::visit::{Job, Preparation, Visit};
use crate::read::walk::{Ready, Walk};
use crate::schema::DELETED_AT;
use crate::stream::Deletions;

/// So many records may be missing from a listing at once, whatever their share.
const FEW_MISSING: usize = 10;

/// Beyond a few, a larger share than one in this many is no sum of deletions but something that went wrong.
const MISSING_SHARE: usize = 10;

/// The action by which events cancel a deletion.
const UNDELETED: &str = "undeleted";

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

/// A record that its listing does not show any more, asked for by itself.
#[derive(Debug)]
pub struct Confirmation {
    pub stream: StreamId,
    pub gid: String,
    pub slice: SliceId,
}

/// What a listing showed, until the records that it did not show are asked for.
#[derive(Debug)]
pub struct Absence {
    known: BTreeSet<String>,
    /// Records that are still to be asked for.
    left: usize,
}

impl Walk<'_> {
    fn tells_deletions(&self, id: StreamId) -> bool {
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
        for (id, _) in &self.plan.feeds[feed].told {
            if let Some(token) = self.progress[id.0].state.token(&key) {
                places.entry(token.to_owned()).or_default().insert(*id);
            }
        }
        self.ready.push(Ready::Feed(FeedVisit { job, feed, places }));
        None
    }

    pub(super) fn feed_request(&self, visit: &FeedVisit) -> Request {
        request(self.plan.feeds[visit.feed].path, &visit.job.parent.to_string())
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
        let mut token = String::new();
        for Heard { streams, happenings } in heard {
            self.take_happenings(visit.feed, &key, streams, &happenings);
            token = happenings.token;
        }
        // All have heard everything up to the last answer.
        for (id, _) in &self.plan.feeds[visit.feed].told {
            self.progress[id.0].state.set_token(&key, token.clone());
            self.progress[id.0].is_dirty = true;
        }
    }

    fn take_happenings(&mut self, feed: usize, key: &str, streams: StreamSet, happenings: &Happenings) {
        // An object's last word counts among those that concern its being there.
        let mut gone: BTreeMap<(&str, &Gid), Option<Moment>> = BTreeMap::new();
        let plan = self.plan;
        let told = plan.feeds[feed].told.iter().filter(|(id, _)| streams.contains(*id));
        for event in &happenings.events {
            let is_deletion = told.clone().any(|(_, told)| {
                told.resource == event.resource && told.actions.contains(&event.action.as_str())
            });
            if is_deletion {
                let at = event.at.unwrap_or_else(|| (self.clock)());
                gone.insert((&event.resource, &event.gid), Some(at));
            } else if event.action == UNDELETED {
                gone.insert((&event.resource, &event.gid), None);
            }
        }
        for (id, told) in told {
            let of_stream = gone.iter().filter(|((resource, _), _)| *resource == told.resource);
            let mut is_restored = false;
            for ((_, gid), at) in of_stream {
                match at {
                    Some(at) => self.tell_deleted(*id, &gid.to_string(), *at),
                    None => is_restored = true,
                }
            }
            let is_filtered = plan.stream(*id).stream.cursor.parameter().is_some();
            if is_restored || (happenings.gap == Gap::Before && is_filtered) {
                // What came back may show none but its old times.
                self.progress[id.0].state.forget(key);
            }
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
                for (id, _) in &self.plan.feeds[visit.feed].told {
                    let name = self.plan.stream(*id).stream.name;
                    let Failure { class, message, .. } = Failure::of(fault);
                    let message =
                        format!("{name}: deletions in {} are not told. {message}", visit.job.parent);
                    let failure = Failure { class, message, stream: None }.of_stream(name);
                    self.progress[id.0].account.fail(failure);
                }
            }
        }
    }

    /// Whether the rows of a listing have to be kept in mind, for what is new among them and for what is missing.
    pub(super) fn keeps_in_mind(&self, id: StreamId) -> bool {
        let planned = self.plan.stream(id);
        let is_incremental =
            planned.selection.as_ref().is_some_and(|selection| selection.mode == Mode::Incremental);
        is_incremental && matches!(planned.stream.deletions, Deletions::Absence { .. })
    }

    /// Whether a listing shows what the events said is gone: they know sooner.
    pub(super) fn was_told_deleted(&self, id: StreamId, gid: &Gid) -> bool {
        !self.deleted.is_empty() && self.deleted.contains(&(id, gid.to_string()))
    }

    /// Whether a record was not listed at the last sync: one that became visible may have none but old times.
    pub(super) fn is_new(&self, id: StreamId, slice: SliceId, gid: &Gid) -> bool {
        let known = self.progress[id.0].state.known(&self.slices.get(slice).key);
        self.keeps_in_mind(id) && known.is_some_and(|known| !known.contains(&gid.to_string()))
    }

    /// A listing came to its end without a fault: what an earlier one showed and this one does not is asked for.
    pub(super) fn notice_absence(&mut self, visit: &mut Visit) {
        let id = self.plan.listing(visit.listing).stream;
        if !self.keeps_in_mind(id) {
            return;
        }
        let mut listed = std::mem::take(&mut visit.listed);
        let key = Rc::clone(&self.slices.get(visit.slice).key);
        let known = self.progress[id.0].state.known(&key).cloned().unwrap_or_default();
        let missing: Vec<String> = match self.tells_deletions(id) {
            true => known.difference(&listed).cloned().collect(),
            false => Vec::new(),
        };
        if missing.len() > FEW_MISSING && missing.len() * MISSING_SHARE > known.len() {
            let text = format!(
                "{}: {} of {} records are not listed any more. That is too many to be taken for deletions, so none \
                 of them is told as deleted; if they are, reset the stream",
                self.plan.stream(id).stream.name,
                grouped(missing.len() as u64),
                grouped(known.len() as u64)
            );
            self.log(Level::Warn, text);
            listed.extend(known);
            self.progress[id.0].state.set_known(&key, listed);
            return;
        }
        if missing.is_empty() {
            self.progress[id.0].state.set_known(&key, listed);
            return;
        }
        self.absences.insert((id, visit.slice), Absence { known: listed, left: missing.len() });
        for gid in missing {
            self.outstanding.add(id);
            self.slices.get_mut(visit.slice).add(id);
            self.ready.push(Ready::Confirmation(Confirmation { stream: id, gid, slice: visit.slice }));
        }
    }

    /// The request for a missing record.
    pub(super) fn confirmation_request(&self, confirmation: &Confirmation) -> Request {
        let path = match self.plan.stream(confirmation.stream).stream.deletions {
            Deletions::Absence { path } => path,
            Deletions::Untold | Deletions::Events { .. } => unreachable!("only absent records are confirmed"),
        };
        request(path, &confirmation.gid).query("opt_fields", "gid")
    }

    /// A missing record is gone only if Asana says that there is none. One that may not be seen any more, or that
    /// is there and not listed, is not, and is not looked for again.
    pub(super) fn take_confirmation(&mut self, confirmation: Confirmation, result: Result<String, Fault>) {
        let Confirmation { stream, gid, slice } = confirmation;
        let mut is_unknown = false;
        if let Err(fault) = &result {
            match asana::consequence(fault, Place::Detail) {
                Consequence::SkipSlice(Reason::NotFound) => {
                    let now = (self.clock)();
                    self.tell_deleted(stream, &gid, now);
                }
                Consequence::SkipSlice(_) => {}
                Consequence::FailSync(reason) => self.stopped = Some(failure_of(fault, reason.text())),
                Consequence::SkipStream(_) | Consequence::FailSlice(_) | Consequence::FailStream(_) => {
                    is_unknown = true;
                }
            }
        }
        if let Some(absence) = self.absences.get_mut(&(stream, slice)) {
            if is_unknown {
                // The next sync asks again.
                absence.known.insert(gid);
            }
            absence.left -= 1;
            if absence.left == 0
                && let Some(absence) = self.absences.remove(&(stream, slice))
            {
                let key = Rc::clone(&self.slices.get(slice).key);
                self.progress[stream.0].state.set_known(&key, absence.known);
            }
        }
        self.outstanding.remove(stream);
        self.slices.get_mut(slice).remove(stream);
        self.settle(slice);
    }

    /// Emits a record that is nothing but its key, its cursor and the time at which it was deleted.
    fn tell_deleted(&mut self, id: StreamId, gid: &str, at: Moment) {
        if !self.tells_deletions(id) || !self.deleted.insert((id, gid.to_owned())) {
            return;
        }
        let stream = self.plan.stream(id).stream;
        let mut record = serde_json::Map::new();
        record.extend(stream.primary_key.iter().map(|column| ((*column).to_owned(), json!(gid))));
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

/// The request for a path of one object.
fn request(path: &'static str, gid: &str) -> Request {
    let (endpoint, query) = path.split_once('?').unwrap_or((path, ""));
    let mut request = Request::new(endpoint, endpoint.replace("{gid}", gid));
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        request = request.query(name, value.replace("{gid}", gid));
    }
    request
}
