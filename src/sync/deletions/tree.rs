//! The trees of records that others are on, such as tasks with their subtasks. A record says itself in which of the tree's
//! two streams it is.

use crate::plan::PlannedListing;
use crate::stream_set::StreamId;
use crate::sync::context::Sync;
use crate::sync::deletions::sighting;
use crate::sync::deletions::unseen::SeenAs;
use crate::sync::row::{self, Probe};

/// Where the records of the tree are listed.
#[derive(Debug, Clone, Copy)]
pub struct Tree<'a> {
    pub roots: StreamId,
    pub nodes: StreamId,
    /// The field by which a node names its parent.
    pub parent: &'static str,
    /// Names one root or node.
    pub path: &'static str,
    pub listings: &'a [PlannedListing],
}

/// The trees that the plan lists.
pub fn trees<'a>(sync: &Sync<'a>) -> Vec<Tree<'a>> {
    let plan = sync.plan();
    let mut found: Vec<Tree<'a>> = Vec::new();
    for listing in &plan.listings {
        let Some(tree) = listing.tree.filter(|tree| tree.stream != listing.stream) else { continue };
        let Some(path) = plan.stream(listing.stream).stream.deletions.path() else { continue };
        if !found.iter().any(|other| other.roots == listing.stream) {
            let (roots, nodes, parent) = (listing.stream, tree.stream, tree.parent);
            found.push(Tree { roots, nodes, parent, path, listings: &plan.listings });
        }
    }
    found
}

/// Notes that a record of the tree exists.
pub fn note(sync: &Sync<'_>, tree: Tree<'_>, record: &str) {
    let Ok(probe) = Probe::read(record, &[tree.parent]) else { return };
    let Some(gid) = &probe.gid else { return };
    match row::reference(probe.field(0)) {
        Some(_) => sighting::note(sync, tree.nodes, gid, SeenAs::Node, None),
        None => sighting::note(sync, tree.roots, gid, SeenAs::Root, None),
    }
}
