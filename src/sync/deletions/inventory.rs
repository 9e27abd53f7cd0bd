//! Lists which records of the tree exist: the listings and searches of this sync once more, for gids alone.

use std::cell::Cell;
use std::collections::BTreeSet;

use airbyte_protocol::message::Level;

use crate::asana::{self, Fault, Request};
use crate::slice_key::SliceKey;
use crate::stream::Paging;
use crate::stream_set::StreamSet;
use crate::sync::consequence::{Consequence, Place, consequence};
use crate::sync::context::Sync;
use crate::sync::deletions::tree::{Tree, note};
use crate::sync::failures::{Cause, Stop};
use crate::sync::gate::Depth;
use crate::sync::listing::Rows;
use crate::sync::report::grouped;
use crate::sync::requests;
use crate::window;

/// These requests come before every listing.
pub const FIRST: Depth = Depth::MAX;

/// Lists what exists, as long as that takes fewer requests than to ask for each record that was not seen. Returns whether
/// every listing was read to its end.
pub async fn list(
    sync: &Sync<'_>,
    tree: Tree<'_>,
    due: StreamSet,
    unseen: &impl Fn() -> BTreeSet<u64>,
) -> Result<bool, Stop> {
    let count = unseen().len();
    if count == 0 {
        return Ok(false);
    }
    let names: Vec<&str> = due.iter().map(|id| sync.plan().stream(id).stream.name).collect();
    let text = format!(
        "{}: comparing {} stored records with what exists in Asana, to find what was deleted",
        names.join(", "),
        grouped(count as u64)
    );
    sync.output.log(Level::Info, text);
    let mut is_whole = true;
    for rows in
        [listings(sync, tree, Whose::Slices), searches(sync, tree), listings(sync, tree, Whose::Users)]
    {
        if rows.len() >= unseen().len() {
            is_whole = false;
            continue;
        }
        let are_whole = Cell::new(true);
        sync.gate
            .for_each(FIRST, None, rows, |rows, slot| {
                let are_whole = &are_whole;
                async move {
                    if let Err(fault) = note_rows(sync, tree, rows).await {
                        are_whole.set(false);
                        if let Consequence::Stop(reason) = consequence(&fault, Place::Changes) {
                            return Err(Stop(Cause::Request { fault: &fault, reason }.failure()));
                        }
                    }
                    drop(slot);
                    Ok(())
                }
            })
            .await?;
        is_whole &= are_whole.get();
    }
    Ok(is_whole)
}

/// Whose listings of roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Each record that is a slice by itself.
    Slices,
    /// Each that is a slice per workspace.
    Users,
}

/// The listings of roots that this sync has made, for gids alone.
fn listings(sync: &Sync<'_>, tree: Tree<'_>, whose: Whose) -> Vec<Rows> {
    let mut found = Vec::new();
    for listing in tree.listings.iter().filter(|listing| listing.stream == tree.roots) {
        let Some(parent) = listing.parent else { continue };
        for key in sync.slices.borrow().seen_for(tree.roots) {
            let (object, workspace) = match (key, whose, sync.plan().stream(parent).repeats()) {
                (SliceKey::Object(object), Whose::Slices, false) => (object, object),
                (SliceKey::InWorkspace { workspace, object }, Whose::Users, true) => (object, workspace),
                _ => continue,
            };
            let request = requests::of_gids(listing.path, object, workspace, &[tree.parent]);
            found.push(rows_of(sync, request, Paging::Offset));
        }
    }
    found
}

/// The searches for all nodes and for what no listing shows, for gids alone.
fn searches(sync: &Sync<'_>, tree: Tree<'_>) -> Vec<Rows> {
    let plan = sync.plan();
    let of_nodes =
        plan.changes.iter().map(|id| plan.listing(*id)).filter(|listing| listing.stream == tree.nodes);
    let of_roots = plan.stream(tree.roots).stream.unlisted.map(|unlisted| unlisted.or_of_users);
    let paths: Vec<&str> = of_nodes.map(|listing| listing.path).chain(of_roots).collect();
    let mut found = Vec::new();
    for key in sync.slices.borrow().seen_for(tree.roots) {
        let SliceKey::Unlisted { workspace } = key else { continue };
        for path in &paths {
            let fields = [tree.parent, asana::SEARCH_FIELDS[0], asana::SEARCH_FIELDS[1]];
            let request = requests::of_gids(path, workspace, workspace, &fields);
            found.push(rows_of(sync, request, Paging::ByTime));
        }
    }
    found
}

fn rows_of(sync: &Sync<'_>, request: Request, paging: Paging) -> Rows {
    let indexed_until = window::next_cursor(sync.facts.began());
    Rows::of(sync.facts.client.clone(), request, paging, None, indexed_until)
}

/// Notes that what a listing shows exists.
async fn note_rows(sync: &Sync<'_>, tree: Tree<'_>, mut rows: Rows) -> Result<(), Fault> {
    loop {
        sync.output.room().await;
        let Some(page) = rows.next().await? else { return Ok(()) };
        page.rows().for_each(|row| note(sync, tree, row));
    }
}
