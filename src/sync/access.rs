//! Can the token read a kind of listing at all? Listings of one kind have the same path, such as the tasks of each project.
//!
//! One refused listing may be a private object. If every listing of a kind is refused, the stream must not look complete,
//! because an overwrite would empty its table.

use std::collections::BTreeMap;

use crate::asana::{Fault, Reason};
use crate::plan::{ListingId, Plan};
use crate::stream;
use crate::stream_set::StreamId;
use crate::sync::failures::Cause;
use crate::sync::graph::Graph;

/// How the listings of one kind went.
#[derive(Debug, Default)]
pub struct Tries {
    /// Listings that were read to their end.
    pub read: u64,
    pub refused: u64,
    reasons: Vec<Reason>,
    /// The first refusal, as a sentence.
    first: Option<String>,
}

impl Tries {
    pub fn refuse(&mut self, fault: &Fault, reason: Reason) {
        self.refused += 1;
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
        self.first.get_or_insert_with(|| fault.to_string());
    }
}

/// The kind of listing of which nothing could be read and which the stream depends on.
pub fn none_readable<'t>(
    plan: &Plan,
    graph: &Graph,
    id: StreamId,
    tries: impl Fn(StreamId) -> &'t BTreeMap<ListingId, Tries>,
) -> Option<Cause<'static>> {
    let above = graph.above[id.0].iter().filter(|above| depends(plan, graph, id, *above));
    let (listing, tries) = above
        .flat_map(|above| tries(above).iter())
        .find(|(_, tries)| tries.read == 0 && tries.refused > 0)?;
    Some(Cause::NoneReadable {
        path: plan.listing(*listing).path,
        listings: tries.refused,
        reasons: tries.reasons.clone(),
        first: tries.first.clone().unwrap_or_default(),
    })
}

/// Whether the stream is incomplete without anything of `above`. A stream that only some plans or users have, such as
/// goals, is one source among several for the streams that also have others.
fn depends(plan: &Plan, graph: &Graph, id: StreamId, above: StreamId) -> bool {
    if id == above || plan.stream(above).stream.plan == stream::Plan::Any {
        return true;
    }
    let mut sources = plan.listings.iter().filter(|listing| listing.stream == id);
    sources.all(|listing| listing.parent.is_some_and(|parent| graph.below[above.0].contains(parent)))
}
