//! What follows from a plan and the settings once, before a sync: which streams depend on which, and how far back each
//! is read at most.

use crate::config::Settings;
use crate::moment::Moment;
use crate::plan::{Level, ListingId, Plan};
use crate::stream::Cursor;
use crate::stream_set::{StreamId, StreamSet};
use crate::window::Window;

/// Facts about a plan that many decisions need.
#[derive(Debug)]
pub struct Graph {
    /// For each stream, itself and the streams whose records can lead to a listing of it.
    pub above: Vec<StreamSet>,
    /// For each stream, itself and the streams that are listed below its records.
    pub below: Vec<StreamSet>,
    /// The streams with a listing per task: their cost grows with the number of tasks, so they are read last.
    pub deferred: StreamSet,
    /// The date before which the user wants nothing of each stream.
    pub starts: Vec<Option<Moment>>,
    /// What a slice reads of each stream that has never been read.
    pub broadest: Vec<Window>,
    /// The fields that each listing's rows are searched for.
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

    /// Where a listing's rows have a field, among those that are searched for.
    pub fn probe(&self, listing: ListingId, field: &str) -> Option<usize> {
        self.probes[listing.0].iter().position(|probed| *probed == field)
    }
}

/// The start date applies to what Asana can filter by time, and to everything below that.
fn respects_start_date(plan: &Plan, above: StreamSet) -> bool {
    above.iter().any(|above| {
        matches!(
            plan.stream(above).stream.cursor,
            Cursor::Moves { parameter: Some(_), .. } | Cursor::Fixed { parameter: Some(_), .. }
        )
    })
}
