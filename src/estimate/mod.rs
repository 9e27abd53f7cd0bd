//! How many requests will a sync take? Found out by few requests: one for each project at most, and fifty more.

mod asker;
mod comparison;
mod report;
mod sample;
mod walk;

pub use report::{Estimate, Line};

use airbyte_connector::Failure;
use airbyte_protocol::catalog::ConfiguredCatalog;

use crate::asana::Client;
use crate::config::Settings;
use crate::estimate::asker::Asker;
use crate::estimate::walk::{Subject, Walk};
use crate::moment::Moment;
use crate::plan::{Mode, Plan, PlannedListing};
use crate::state::StreamState;
use crate::stream_set::StreamId;
use crate::sync::graph::Graph;

/// Requests besides one per project.
const BUDGET: usize = 50;

/// Estimates a sync of `catalog` that goes on from `states`, which has one for each stream of its plan. `began` is the
/// present.
///
/// # Errors
///
/// If Asana does not answer.
pub async fn estimate(
    catalog: &ConfiguredCatalog,
    settings: &Settings,
    client: Client,
    mut states: Vec<StreamState>,
    began: Moment,
) -> Result<Estimate, Failure> {
    let (plan, _) = Plan::new(catalog);
    for (planned, state) in plan.streams.iter().zip(&mut states) {
        let is_full = planned.selection.as_ref().is_some_and(|selection| selection.mode == Mode::FullRefresh);
        // A full refresh that came to its end starts over.
        if is_full && state.is_complete() {
            state.start_over();
        }
    }
    let graph = Graph::new(&plan, settings);
    let asker = Asker::new(client, BUDGET);
    let subject = Subject { plan: &plan, graph: &graph, settings, states: &states, began };
    let mut walk = Walk::new(subject, &asker);
    walk.run().await?;
    // Times in states are Asana's.
    let subject = Subject { began: asker.client.began(began), ..subject };
    let comparison = comparison::expected(subject, &walk.seen);
    let is_incremental =
        plan.selected().any(|(id, planned)| planned.is_incremental() && !states[id.0].is_empty());
    let mut estimate = Estimate::new(settings.limits, asker.sent(), is_incremental);
    let listings = || plan.listings.iter().zip(&walk.costs.of_listings);
    for (id, planned) in (0..plan.streams.len()).map(|index| (StreamId(index), &plan.streams[index])) {
        let requests: f64 =
            listings().filter(|(listing, _)| listing.stream == id).map(|(_, cost)| cost).sum();
        estimate.add(Line::of_stream(planned.stream.name, requests, planned.selection.is_some()));
    }
    estimate.add(Line::other("deletion events", walk.costs.of_feeds.iter().sum()));
    estimate.add(Line::other("daily comparison", comparison.requests));
    estimate.searches = walk.costs.searches + comparison.searches;
    if let Some(dominant) = estimate.dominant() {
        let mut without = catalog.clone();
        without.streams.retain(|configured| configured.stream.name != dominant);
        let (smaller, _) = Plan::new(&without);
        let name = |plan: &Plan, id: Option<StreamId>| id.map(|id| plan.stream(id).stream.name);
        let is_kept = |listing: &PlannedListing| {
            smaller.listings.iter().any(|other| {
                other.path == listing.path
                    && name(&smaller, Some(other.stream)) == name(&plan, Some(listing.stream))
                    && name(&smaller, other.parent) == name(&plan, listing.parent)
            })
        };
        let mut requests: f64 =
            listings().filter(|(listing, _)| is_kept(listing)).map(|(_, cost)| cost).sum();
        if !smaller.feeds.is_empty() {
            requests += walk.costs.of_feeds.iter().sum::<f64>() + comparison.requests;
        }
        estimate.without = Some((dominant, requests));
    }
    Ok(estimate)
}
