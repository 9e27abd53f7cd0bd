//! What the daily comparison of stored records with what exists takes, if nothing was deleted.

use std::collections::BTreeSet;

use crate::config::ReportDeletions;
use crate::estimate::walk::{PAGE, Seen, Subject};
use crate::gid::Gid;
use crate::listed::Gids;
use crate::stream::Deletions;
use crate::stream_set::{StreamId, StreamSet};
use crate::sync::{Unseen, is_comparison_due};

/// The requests of a comparison.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub struct Comparison {
    pub requests: f64,
    /// How many of them are searches.
    pub searches: f64,
}

/// The comparison that this sync makes, if one is due.
pub fn expected(subject: Subject<'_>, seen: &Seen) -> Comparison {
    let Subject { plan, settings, states, began, .. } = subject;
    let is_due = |id: &StreamId| {
        let planned = plan.stream(*id);
        let state = &states[id.0];
        planned.reports_deletions
            && matches!(planned.stream.deletions, Deletions::Events { .. })
            && !state.listed().is_empty()
            && is_comparison_due(state.compared(), began)
    };
    let due: StreamSet = (0..plan.streams.len()).map(StreamId).filter(is_due).collect();
    if due.is_empty() || settings.deletions == ReportDeletions::No || seen.is_everything_listed {
        return Comparison::default();
    }
    // As `deletions/inventory.rs`: listings of gids, as long as there are fewer of them than records to ask for.
    let unseen = Unseen::new(plan, states).of(due);
    let stored = unseen.len() as f64;
    let slices = seen.rows_of_slices.len() as f64;
    if slices >= stored {
        return Comparison { requests: stored, searches: 0.0 };
    }
    let below = below_slices(subject, due);
    let mut requests: f64 = below.pages;
    let others = unseen.difference(&below.records).count() as f64;
    let searches = 2.0 * seen.workspaces;
    if others == 0.0 || searches >= others {
        return Comparison { requests: requests + others, searches: 0.0 };
    }
    if seen.is_searchable {
        let searches = searches + (others / PAGE).floor();
        return Comparison { requests: requests + searches, searches };
    }
    requests += searches + seen.uncounted.min(others);
    Comparison { requests, searches }
}

/// What is stored below slices.
struct Below {
    records: BTreeSet<u64>,
    pages: f64,
}

fn below_slices(subject: Subject<'_>, due: StreamSet) -> Below {
    let mut below = Below { records: BTreeSet::new(), pages: 0.0 };
    let plan = subject.plan;
    // The roots of the tree; of a stream that is not selected, nothing is stored.
    let roots =
        plan.listings.iter().find(|listing| listing.tree.is_some_and(|tree| tree.stream != listing.stream));
    let Some(roots) = roots.map(|listing| listing.stream) else { return below };
    let state = &subject.states[roots.0];
    let objects: BTreeSet<_> = due
        .iter()
        .flat_map(|id| subject.states[id.0].objects_with_events().cloned().collect::<Vec<_>>())
        .collect();
    for object in objects {
        let held = state.listed().missing(&object, &Gids::default());
        below.pages += (held.len() as f64 / PAGE).ceil().max(1.0);
        below.records.extend(held.iter().filter_map(Gid::number));
    }
    below
}
