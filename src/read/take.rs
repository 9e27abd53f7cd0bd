//! What a page's rows turn into: records, and listings below them. Knows no HTTP, no checkpoints and no particular
//! stream.

use std::io;
use std::sync::Arc;

use airbyte_protocol::message::Level;

use crate::asana::{Page, Turn};
use crate::emit::{Batch, Event};
use crate::error::Failure;
use crate::gid::Gid;
use crate::moment::Moment;
use crate::plan::{PlannedListing, StreamId};
use crate::read::jobs::{Job, Preparation};
use crate::read::open::windows_below;
use crate::read::row::{self, Probe};
use crate::read::slices::{SliceId, StreamSet};
use crate::read::visit::Visit;
use crate::read::walk::Walk;
use crate::stream::{Cursor, News};
use crate::window::Window;

/// Records of a page by their stream; a page of tasks has subtasks too.
type Batches = Vec<(StreamId, Batch)>;

/// What is looked at in a row besides what the walk needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Types,
    Nothing,
}

impl Walk<'_> {
    /// Takes the rows of a page. What they turn into goes out, up to the first row that cannot be taken.
    pub(super) fn take_page(&mut self, visit: &mut Visit, page: Page) -> Result<(), Failure> {
        let mut batches = Batches::new();
        let checked = visit.pages % page.len().max(1) as u64;
        let taken = page.rows().enumerate().try_for_each(|(index, row)| {
            let check = if index as u64 == checked { Check::Types } else { Check::Nothing };
            self.take_row(visit, row, check, &mut batches, page.turn())
        });
        let turn = page.into_turn().map(Arc::new);
        for (id, mut batch) in batches {
            batch.turn.clone_from(&turn);
            self.start_stream(id);
            let account = &mut self.progress[id.0].account;
            account.records += batch.ends.len() as u64;
            account.bytes += batch.text.len() as u64;
            self.progress[id.0].has_emitted = true;
            self.outbox.push_back(Event::Records(batch));
        }
        if let Err(error) = self.coverage.stay_small() {
            let text = format!(
                "no temporary file can be written ({error}), so the connector keeps in memory which tasks it has read: \
                 about seven bytes for each"
            );
            self.log(Level::Warn, text);
        }
        taken
    }

    fn take_row(
        &mut self,
        visit: &mut Visit,
        row: &str,
        check: Check,
        batches: &mut Batches,
        turn: Option<&Turn>,
    ) -> Result<(), Failure> {
        let listing = self.plan.listing(visit.listing);
        let probe = Probe::read(row, &self.probes[visit.listing.0]).map_err(|_| nonsense(listing.path))?;
        let gid = probe.gid.clone().ok_or_else(|| nonsense(listing.path))?;
        let field = |name: &str| {
            let index = self.probes[visit.listing.0].iter().position(|probed| *probed == name);
            index.and_then(|index| probe.field(index))
        };
        let node_parent =
            listing.tree.and_then(|tree| row::reference(field(tree.parent)).map(|gid| (tree.stream, gid)));
        // A search's index lags: what it finds below a record may hang on none any more.
        let is_sweep = self.plan.sweep == Some(visit.listing);
        let is_one_of_them = || !is_sweep && listing.rows.holds(listing.rows.field().and_then(field));
        if node_parent.is_none() && !is_one_of_them() {
            return Ok(());
        }
        let (stream, parent) = match node_parent {
            Some((stream, parent)) => (stream, parent),
            None => (listing.stream, visit.parent.clone()),
        };
        // The events know sooner than a listing.
        if self.was_told_deleted(stream, &gid) {
            return Ok(());
        }
        let planned = self.plan.stream(stream);
        if planned.depth == 0 && !self.workspaces.is_empty() && !self.workspaces.contains(&gid) {
            return Ok(());
        }
        let time = match planned.stream.cursor {
            Cursor::Moves { field: name, .. } | Cursor::Fixed { field: name, .. } => row::moment(field(name)),
            Cursor::None | Cursor::Parents { .. } => None,
        };
        if let Some(selection) = &planned.selection
            && (self.slices.get(visit.slice).windows[stream.0].admits(time)
                || self.is_new(stream, &visit.parent, &gid))
            && (!planned.repeats() || self.coverage.emit(stream, &gid).map_err(forgetful)?)
        {
            if check == Check::Types {
                for text in self.type_check.look(stream, planned.stream, row)? {
                    self.outbox.push_back(Event::Log { level: Level::Warn, text });
                }
            }
            let is_exact = listing.asked.as_ref().is_some_and(|asked| asked.is_subset(&selection.columns));
            let chosen = (!is_exact).then_some(&selection.columns);
            let added = planned.parent_column.as_deref().map(|column| (column, &parent));
            let batch = batch_of(batches, stream, planned.stream.name, turn);
            row::shape(row, chosen, added, &mut batch.text).map_err(|_| nonsense(listing.path))?;
            batch.ends.push(batch.text.len());
        }
        if listing.is_kept && stream == listing.stream {
            visit.listed.push(&gid);
        }
        let (children, lacking) = self.children_below(visit.slice, stream, &gid, time, &field)?;
        if planned.repeats() {
            let windows = windows_below(planned.depth, &self.broadest, &self.slices, visit.slice);
            self.coverage.cover(stream, &gid, lacking, windows).map_err(forgetful)?;
        }
        if children != 0 {
            self.add_job(visit, stream, gid, children);
        }
        Ok(())
    }

    /// Which listings below a record are worth a request: a bit for each child listing of its stream. What another
    /// slice reads there already is not; gives the streams of which it does not read enough.
    fn children_below<'row>(
        &self,
        slice: SliceId,
        stream: StreamId,
        gid: &Gid,
        time: Option<Moment>,
        field: &impl Fn(&str) -> Option<&'row str>,
    ) -> Result<(u32, StreamSet), Failure> {
        let planned = self.plan.stream(stream);
        let windows = windows_below(planned.depth, &self.broadest, &self.slices, slice);
        let below = planned.children.iter().fold(StreamSet::default(), |below, child| {
            below.union(self.below[self.plan.listing(*child).stream.0])
        });
        let lacking = if planned.repeats() {
            self.coverage.lacking(stream, gid, below, windows).map_err(forgetful)?
        } else {
            below
        };
        let has_news = |listing: &PlannedListing, id: StreamId| match listing.news {
            News::MovesParent => windows[id.0].admits(time),
            News::Untold => windows[id.0] != Window::Done,
        };
        let mut bits = 0;
        for (index, child) in planned.children.iter().enumerate() {
            let listing = self.plan.listing(*child);
            let wanted = if listing.is_per_workspace() { below } else { lacking };
            let left_to_sweep = if planned.depth < 2 {
                // They are slices of their own.
                StreamSet::default()
            } else {
                self.left_to_sweep(slice, *child)
            };
            let is_due = self.below[listing.stream.0]
                .iter()
                .any(|id| wanted.contains(id) && !left_to_sweep.contains(id) && has_news(listing, id));
            // A listing that held something is made once more, to see what became of it.
            let is_worth_it = || {
                listing.when.holds(listing.when.field().and_then(field))
                    || (listing.is_kept
                        && self.progress[listing.stream.0]
                            .state
                            .listed()
                            .count(gid)
                            .is_some_and(|held| held > 0))
            };
            if is_due && is_worth_it() {
                bits |= 1 << index;
            }
        }
        Ok((bits, lacking))
    }

    pub(super) fn add_job(&mut self, visit: &mut Visit, stream: StreamId, gid: Gid, children: u32) {
        let planned = self.plan.stream(stream);
        let slice = (planned.depth >= 2).then_some(visit.slice);
        for (index, child) in planned.children.iter().enumerate() {
            if children & (1 << index) != 0 {
                let child = self.plan.listing(*child).stream;
                self.outstanding.add(child);
                if let Some(slice) = slice {
                    self.slices.get_mut(slice).add(child);
                }
            }
        }
        let workspace = if planned.depth == 0 { gid.clone() } else { visit.workspace.clone() };
        let preparation = Preparation::Due;
        visit.children.push(Job { stream, parent: gid, workspace, slice, children, preparation });
    }
}

fn batch_of<'a>(
    batches: &'a mut Batches,
    id: StreamId,
    stream: &'static str,
    turn: Option<&Turn>,
) -> &'a mut Batch {
    let at = batches.iter().position(|(other, _)| *other == id).unwrap_or_else(|| {
        let text = turn.map(Turn::buffer).unwrap_or_default();
        batches.push((id, Batch { stream, text, ends: Vec::new(), turn: None }));
        batches.len() - 1
    });
    &mut batches[at].1
}

fn forgetful(error: io::Error) -> Failure {
    Failure::transient(format!(
        "the temporary file that tells which records were read already cannot be read: {error}. Run the sync again; if \
         that does not help, look after the disk that temporary files are on"
    ))
}

fn nonsense(path: &str) -> Failure {
    Failure::transient(format!(
        "GET {path} answered a row that is no record with a gid, as Asana's are; try again later, and report this if \
         it stays"
    ))
}
