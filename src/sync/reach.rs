//! How far back are the listings of a slice read, and which listings below a record are due? The read path and the
//! estimate both decide it here.

use crate::moment::Moment;
use crate::plan::{Level, ListingId, Plan};
use crate::stream::ChangeSignal;
use crate::stream_set::{StreamId, StreamSet};
use crate::sync::graph::Graph;
use crate::sync::slices::Purpose;
use crate::window::Window;

/// What a slice reads.
#[derive(Debug, Clone, Copy)]
pub struct Reach<'a> {
    pub plan: &'a Plan,
    pub graph: &'a Graph,
    pub purpose: Purpose,
    /// The window of each stream.
    pub windows: &'a [Window],
    /// Streams whose changes since their cursor are found by the workspace's search.
    pub covered_by_search: StreamSet,
}

impl Reach<'_> {
    /// How far back a listing has to be read for every stream that needs it.
    pub fn of_listing(&self, listing: ListingId) -> Window {
        let stream = self.plan.listing(listing).stream;
        let planned = self.plan.stream(stream);
        let own = self.windows[stream.0];
        if planned.children.is_empty() {
            return own;
        }
        match planned.level {
            // Its records are slices of their own, each with its own cursor.
            Level::Workspace | Level::SliceRoot => Window::Whole,
            Level::InSlice => {
                planned.children.iter().fold(own, |window, child| window.union(self.of_parents(*child)))
            }
        }
    }

    /// How far back the parents of a listing have to be read.
    pub fn of_parents(&self, child: ListingId) -> Window {
        let listing = self.plan.listing(child);
        let wanted = self.graph.below[listing.stream.0]
            .without(self.covered_by_search(child))
            .iter()
            .map(|id| self.windows[id.0])
            .fold(Window::Done, Window::union);
        match (listing.change_signal, wanted) {
            (_, Window::Done) => Window::Done,
            (ChangeSignal::MovesParent, window) => window,
            (ChangeSignal::Missing, _) => Window::Whole,
        }
    }

    /// The streams whose changes the search finds. For them, this listing is not read.
    fn covered_by_search(&self, listing: ListingId) -> StreamSet {
        let stream = self.plan.listing(listing).stream;
        if !self.plan.changes.iter().any(|search| self.plan.listing(*search).stream == stream) {
            return StreamSet::default();
        }
        match self.purpose {
            Purpose::FindChanges => self.graph.below[stream.0],
            Purpose::Read => self.covered_by_search,
        }
    }

    /// The windows below a record of this level. Records that are slices have windows of their own, which are computed
    /// when the slice begins.
    pub fn windows_below(&self, level: Level) -> &[Window] {
        match level {
            Level::Workspace | Level::SliceRoot => &self.graph.broadest,
            Level::InSlice => self.windows,
        }
    }

    /// Whether one of the `wanted` streams may find news in a listing below a record with this level and time.
    pub fn is_due(&self, child: ListingId, level: Level, time: Option<Moment>, wanted: StreamSet) -> bool {
        let listing = self.plan.listing(child);
        let windows = self.windows_below(level);
        let left = match level {
            // Their children are separate slices.
            Level::Workspace | Level::SliceRoot => StreamSet::default(),
            Level::InSlice => self.covered_by_search(child),
        };
        let has_news = |id: StreamId| match listing.change_signal {
            ChangeSignal::MovesParent => windows[id.0].admits(time),
            ChangeSignal::Missing => windows[id.0] != Window::Done,
        };
        let below = self.graph.below[listing.stream.0].without(left);
        below.iter().any(|id| wanted.contains(id) && has_news(id))
    }
}

/// The streams of a slice with these windows for which a search that reads `searched` finds every change.
pub fn covered_by(searched: &[Window], windows: &[Window]) -> StreamSet {
    let is_covered = |(own, searched): (&Window, &Window)| match own {
        Window::Since(_) => searched.holds(*own),
        Window::Whole | Window::Done => false,
    };
    let streams = windows.iter().zip(searched).enumerate();
    streams.filter(|(_, both)| is_covered(*both)).map(|(index, _)| StreamId(index)).collect()
}
