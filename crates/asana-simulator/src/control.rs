//! The `/control` endpoints: for tests in other languages. They are not part of Asana's API.
//!
//! - `GET /control/requests`: the request log as `{"data": [...]}`; `DELETE` clears it.
//! - `POST /control/edits`: an [`Edit`] as JSON; answers `{"gid": ...}`.
//! - `POST /control/clock`: `{"advance_seconds": n}`; answers `{"now": ...}`.
//! - `GET /control/truth/<collection>`: every record that the token's viewer can reach, in full, as
//!   `{"data": [...]}`; `opt_fields` select. Collections are the resources' plurals, and `portfolio_items`.
//! - `GET /control/floor`: the fewest requests of a full read, by endpoint and in total.
//! - `POST /control/faults`: `{"pattern", "status", "retry_after"?, "times"?}`; `DELETE` removes all rules.

use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

use crate::edit::Edit;
use crate::fault::{Fault, FaultRule};
use crate::floor::RequestFloor;
use crate::gid::{Gid, Kind};
use crate::opt_fields::Selection;
use crate::query::Query;
use crate::state::{SimulatorState, viewer};
use crate::world::{Viewer, World};

/// A body of `/control/clock`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_seconds: f64,
}

/// A body of `/control/faults`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatusFault {
    pattern: String,
    status: u16,
    retry_after: Option<u64>,
    times: Option<u32>,
}

/// Answers a control request with a status and a JSON body. `path` is what follows `/control`.
pub(crate) fn control(
    state: &SimulatorState,
    method: &str,
    path: &str,
    query: &str,
    body: &[u8],
) -> (u16, String) {
    let answer = match (method, path) {
        ("GET", "/requests") => Ok(requests(state)),
        ("DELETE", "/requests") => {
            state.log().records.clear();
            Ok(json!({}))
        }
        ("POST", "/edits") => read(body).and_then(|edit: Edit| {
            let edited = state.edit(|editor| editor.apply(&edit));
            edited.map(|gid| json!({ "gid": gid })).map_err(|error| error.to_string())
        }),
        ("POST", "/clock") => read(body).and_then(|advance: Advance| {
            let by =
                Duration::try_from_secs_f64(advance.advance_seconds).map_err(|error| error.to_string())?;
            state.clock.advance(by);
            Ok(json!({ "now": state.clock.now().to_string() }))
        }),
        ("POST", "/faults") => read(body).map(|fault: StatusFault| {
            let StatusFault { pattern, status, retry_after, times } = fault;
            let rule = FaultRule::new(&pattern, Fault::Status { status, retry_after });
            state.faults.add(FaultRule { times, ..rule });
            json!({})
        }),
        ("DELETE", "/faults") => {
            state.faults.clear();
            Ok(json!({}))
        }
        ("GET", "/floor") => Ok(state.look(|world| {
            let floor = RequestFloor::of_full_read(world, main_viewer(state));
            json!({ "by_endpoint": floor.by_endpoint, "total": floor.total() })
        })),
        ("GET", path) => match path.strip_prefix("/truth/") {
            Some(collection) => truth(state, collection, &Query::parse(query)),
            None => return (404, json!({ "error": "no such control endpoint" }).to_string()),
        },
        _ => return (404, json!({ "error": "no such control endpoint" }).to_string()),
    };
    match answer {
        Ok(value) => (200, value.to_string()),
        Err(error) => (400, json!({ "error": error }).to_string()),
    }
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

/// The first token's view.
fn main_viewer(state: &SimulatorState) -> Viewer {
    state.options.tokens.first().map_or(Viewer::User(Gid::new(Kind::User, 0)), viewer)
}

fn requests(state: &SimulatorState) -> Value {
    let log = state.log();
    let records = log.records.iter().map(|record| {
        let query: Vec<[&str; 2]> = record.query.iter().map(|(name, value)| [&**name, &**value]).collect();
        json!({
            "sequence": record.sequence,
            "method": &*record.method,
            "path": record.path,
            "endpoint": record.endpoint,
            "query": query,
            "status": record.status,
            "user_agent": &*record.user_agent,
            "at": record.at.to_string(),
            "rows": record.rows,
            "fault": record.fault.as_deref(),
        })
    });
    json!({ "data": records.collect::<Vec<_>>() })
}

fn truth(state: &SimulatorState, collection: &str, query: &Query) -> Result<Value, String> {
    let parsed = query.get("opt_fields").map(Selection::parse);
    let selection = parsed.as_ref().unwrap_or(Selection::everything());
    let viewer = main_viewer(state);
    state.look(|world| {
        if collection == "portfolio_items" {
            return Ok(json!({ "data": portfolio_items(world, viewer) }));
        }
        let kind =
            Kind::from_plural(collection).ok_or_else(|| format!("no collection is called {collection}"))?;
        let gids: Vec<Gid> = match kind {
            Kind::Portfolio => world
                .gids(Kind::Workspace)
                .flat_map(|workspace| world.portfolios_listed(workspace, viewer))
                .collect(),
            kind => world.visible(kind, viewer).collect(),
        };
        let records = gids.into_iter().filter_map(|gid| world.record(gid, viewer, selection));
        Ok(json!({ "data": records.collect::<Vec<_>>() }))
    })
}

fn portfolio_items(world: &World, viewer: Viewer) -> Vec<Value> {
    let workspaces = world.gids(Kind::Workspace);
    let portfolios = workspaces.flat_map(|workspace| world.portfolios_listed(workspace, viewer));
    let items = portfolios.flat_map(|portfolio| {
        let items = world.items_of_portfolio(portfolio).into_iter().filter(|item| world.sees(viewer, *item));
        items.map(move |item| json!({ "portfolio": portfolio, "gid": item }))
    });
    items.collect()
}
