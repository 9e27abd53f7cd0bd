//! What a page's rows turn into: records, and listings below them. Knows no HTTP, no checkpoints and no particular
//! stream.

use airbyte_protocol::message::Level;

use crate::asana::Page;
use crate::emit::{Batch, Event};
use crate::error::Failure;
use crate::gid::Gid;
use crate::moment::Moment;
use crate::plan::{ListingId, StreamId};
use crate::read::row::{self, Probe};
use crate::read::slices::SliceId;
use crate::read::visit::{Job, Preparation, Visit};
use crate::read::walk::Walk;
use crate::stream::{Cursor, News};
use crate::window::Window;

impl Walk<'_> {
    pub(super) fn take_page(&mut self, visit: &mut Visit, page: &Page) -> Result<(), Failure> {
        let listing = self.plan.listing(visit.listing);
        let mut batches: Vec<(StreamId, Batch)> = Vec::new();
        for (index, row) in page.rows().enumerate() {
            let probe =
                Probe::read(row, &self.probes[visit.listing.0]).map_err(|_| nonsense(listing.path))?;
            let gid = probe.gid.clone().ok_or_else(|| nonsense(listing.path))?;
            let field = |name: &str| {
                let index = self.probes[visit.listing.0].iter().position(|probed| *probed == name);
                index.and_then(|index| probe.field(index))
            };
            let node_parent = listing
                .tree
                .and_then(|tree| row::reference(field(tree.parent)).map(|gid| (tree.stream, gid)));
            if node_parent.is_none() && !listing.rows.holds(listing.rows.field().and_then(field)) {
                continue;
            }
            let (stream, parent) = match node_parent {
                Some((stream, parent)) => (stream, parent),
                None => (listing.stream, visit.parent.clone()),
            };
            let planned = self.plan.stream(stream);
            if planned.depth == 0 && !self.workspaces.is_empty() && !self.workspaces.contains(&gid) {
                continue;
            }
            let time = match planned.stream.cursor {
                Cursor::Moves { field: name, .. } | Cursor::Fixed { field: name, .. } => {
                    row::moment(field(name))
                }
                Cursor::None | Cursor::Parents { .. } => None,
            };
            let selection = planned.selection.as_ref();
            let selection = selection.filter(|_| self.slices.get(visit.slice).windows[stream.0].admits(time));
            let due = self.children_due(visit.slice, stream, time);
            let filled = self.children_filled(stream, &field);
            let new = self.claim(stream, &gid, u32::from(selection.is_some()) | due << 1);
            if self.notes_absence(stream) {
                visit.listed.insert(gid.to_string());
            }
            if let Some(selection) = selection.filter(|_| new & 1 != 0) {
                if index as u64 == visit.pages % page.len().max(1) as u64 {
                    for text in self.type_check.look(stream, planned.stream, row)? {
                        self.outbox.push_back(Event::Log { level: Level::Warn, text });
                    }
                }
                let at = batches.iter().position(|(id, _)| *id == stream).unwrap_or_else(|| {
                    let batch = Batch { stream: planned.stream.name, text: Vec::new(), ends: Vec::new() };
                    batches.push((stream, batch));
                    batches.len() - 1
                });
                let batch = &mut batches[at].1;
                let is_exact =
                    listing.asked.as_ref().is_some_and(|asked| asked.is_subset(&selection.columns));
                let chosen = (!is_exact).then_some(&selection.columns);
                let added = planned.parent_column.as_deref().map(|column| (column, &parent));
                row::shape(row, chosen, added, &mut batch.text).map_err(|_| nonsense(listing.path))?;
                batch.ends.push(batch.text.len());
            }
            let children = (new >> 1) & filled;
            if children != 0 {
                self.add_job(visit, stream, gid, children);
            }
        }
        for (id, batch) in batches {
            self.start_stream(id);
            self.progress[id.0].account.records += batch.ends.len() as u64;
            self.progress[id.0].has_emitted = true;
            self.outbox.push_back(Event::Records(batch));
        }
        Ok(())
    }

    /// Those of a record's `bits` that are still to be done: the lowest stands for emitting it, the others for the
    /// listings below it. What a slice has no use for, another one that shows the record may still claim.
    fn claim(&mut self, stream: StreamId, gid: &Gid, bits: u32) -> u32 {
        let planned = self.plan.stream(stream);
        if !planned.repeats() {
            return bits;
        }
        let children = planned.children.iter().enumerate();
        let of_each_workspace = children
            .filter(|(_, child)| self.plan.listing(**child).is_per_workspace())
            .fold(0, |found, (index, _)| found | 2 << index);
        self.done[stream.0].claim(gid, bits) | (bits & of_each_workspace)
    }

    /// Which listings below a record have news in this slice: a bit for each child listing of its stream.
    fn children_due(&self, slice: SliceId, stream: StreamId, time: Option<Moment>) -> u32 {
        let planned = self.plan.stream(stream);
        let is_due = |child: ListingId| {
            // Above that, each record is a slice of its own, with its own cursor.
            planned.depth < 2 || {
                let window = self.child_window(slice, child);
                match self.plan.listing(child).news {
                    News::MovesParent => window.admits(time),
                    News::Untold => window != Window::Done,
                }
            }
        };
        let children = planned.children.iter().enumerate();
        children.filter(|(_, child)| is_due(**child)).fold(0, |bits, (index, _)| bits | 1 << index)
    }

    /// Which listings below a record hold anything, as far as the record says.
    fn children_filled<'row>(&self, stream: StreamId, field: &impl Fn(&str) -> Option<&'row str>) -> u32 {
        let children = self.plan.stream(stream).children.iter().enumerate();
        let is_filled = |child: ListingId| {
            let when = self.plan.listing(child).when;
            when.holds(when.field().and_then(field))
        };
        children.filter(|(_, child)| is_filled(**child)).fold(0, |bits, (index, _)| bits | 1 << index)
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

fn nonsense(path: &str) -> Failure {
    Failure::transient(format!(
        "GET {path} answered a row that is no record with a gid, as Asana's are; try again later, and report this if \
         it stays"
    ))
}
