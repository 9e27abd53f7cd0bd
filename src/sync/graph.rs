//! Facts that are derived once from plan and settings: which streams depend on which, and the broadest window of each.

use crate::config::Settings;
use crate::moment::Moment;
use crate::plan::{Level, ListingId, Plan};
use crate::stream::Cursor;
use crate::stream_set::{StreamId, StreamSet};
use crate::window::Window;

/// Derived facts about a plan.
#[derive(Debug)]
pub struct Graph {
    /// For each stream, itself and all its ancestors.
    pub above: Vec<StreamSet>,
    /// For each stream, itself and all its descendants.
    pub below: Vec<StreamSet>,
    /// The streams with a listing per task. Their cost grows with the number of tasks, so they are read last.
    pub deferred: StreamSet,
    /// The config's start date for each stream to which it applies.
    pub starts: Vec<Option<Moment>>,
    /// The window of a slice that has never been read, for each stream.
    pub broadest: Vec<Window>,
    /// The fields that the read path needs of each listing's rows.
    pub probes: Vec<Vec<&'static str>>,
}

impl Graph {
    pub fn new(plan: &Plan, settings: &Settings) -> Self {
        let ids = || (0..plan.streams.len()).map(StreamId);
        let below: Vec<StreamSet> = ids().map(|id| plan.below(id)).collect();
        let above: Vec<StreamSet> =
            ids().map(|id| ids().filter(|other| below[other.0].contains(id)).collect()).collect();
        let per_record = ids().filter(|id| plan.stream(*id).level == Level::InSlice);
        let deferred = per_record
            .flat_map(|id| &plan.stream(id).children)
            .fold(StreamSet::default(), |set, child| set.union(below[plan.listing(*child).stream.0]));
        let starts: Vec<_> =
            above.iter().map(|above| settings.start.filter(|_| respects_start_date(plan, *above))).collect();
        let broadest = ids().map(|id| match &plan.stream(id).selection {
            Some(selection) => Window::of(selection.mode, None, starts[id.0]),
            None => Window::Done,
        });
        let broadest = broadest.collect();
        let probes = plan.listings.iter().map(|listing| plan.probed_fields(listing).into_iter().collect());
        Self { probes: probes.collect(), above, below, deferred, starts, broadest }
    }

    /// The index of a field in `probes` of the listing.
    pub fn probe(&self, listing: ListingId, field: &str) -> Option<usize> {
        self.probes[listing.0].iter().position(|probed| *probed == field)
    }
}

/// Whether the start date applies: to streams that Asana can filter by time, and to everything below them.
fn respects_start_date(plan: &Plan, above: StreamSet) -> bool {
    above.iter().any(|above| {
        matches!(
            plan.stream(above).stream.cursor,
            Cursor::Moves { parameter: Some(_), .. } | Cursor::Fixed { parameter: Some(_), .. }
        )
    })
}
