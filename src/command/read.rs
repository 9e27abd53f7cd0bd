//! `read`: the configured streams, from the plan to the exit code. Knows no HTTP and no cursor arithmetic.

use std::collections::BTreeMap;
use std::path::Path;

use airbyte_protocol::catalog::ConfiguredCatalog;
use airbyte_protocol::message::Level;
use airbyte_protocol::state as state_file;
use serde_json::Value;

use super::{Ending, Trouble, block_on, connect, file, log, settings, tell_failure};
use crate::asana::{Patience, Secret, Timeouts};
use crate::emit;
use crate::error::Failure;
use crate::plan::{Plan, UnknownStream};
use crate::read;
use crate::state::{StreamState, Unusable};

pub(super) fn run(config: &Path, catalog: &Path, state: Option<&Path>) -> Result<Ending, Trouble> {
    let settings = settings(config)?;
    let (plan, unknown) = Plan::new(&configured_catalog(catalog)?);
    let states = states(&plan, state, &settings.token)?;
    let (client, notices) = connect(&settings, Patience::default(), Timeouts::default())?;
    let stdout = emit::stdout()?;
    let (outcome, written) = block_on(read::sync(&plan, &settings, client, notices, states, stdout))?;
    written.map_err(|_| Failure::bug("the writer of stdout broke down"))??;
    for stream in &unknown {
        tell_failure(&unknown_stream(stream))?;
    }
    Ok(if !outcome.failures.is_empty() || !unknown.is_empty() { Ending::Failed } else { Ending::Done })
}

fn configured_catalog(path: &Path) -> Result<ConfiguredCatalog, Failure> {
    let text = file(path, "catalog")?;
    let deserializer = &mut serde_json::Deserializer::from_str(&text);
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let inner = error.inner();
        Failure::config(format!(
            "the catalog file {} is not a configured catalog: at `{}`, line {}: {inner}. Make one from what `discover` \
             prints, or take one from `catalogs/`",
            path.display(),
            error.path(),
            inner.line(),
        ))
    })
}

fn unknown_stream(unknown: &UnknownStream) -> Failure {
    let hint = match unknown.suggestion {
        Some(name) => format!("did you mean `{name}`?"),
        None => "deselect it, or refresh the source's schema".to_owned(),
    };
    let message =
        format!("the catalog asks for stream `{}`, which this connector does not have: {hint}", unknown.name);
    Failure::config(message).of_stream(&unknown.name)
}

/// The state of every stream of the plan; what cannot be used is told, and stops the sync where going on from
/// nothing would be wrong.
fn states(plan: &Plan, path: Option<&Path>, token: &Secret) -> Result<Vec<StreamState>, Trouble> {
    let mut given: BTreeMap<String, Value> = BTreeMap::new();
    if let Some(path) = path {
        let parsed = state_file::parse_file(&file(path, "state")?).map_err(|why| {
            Failure::config(format!("the state file {} cannot be used: {}", path.display(), why.0))
        })?;
        for sentence in &parsed.passed_over {
            log(Level::Warn, &format!("{sentence}: passed over"), token)?;
        }
        given = parsed.streams;
    }
    let mut states = Vec::new();
    for planned in &plan.streams {
        let name = planned.stream.name;
        let state = match given.get(name).map(StreamState::parse) {
            None => StreamState::default(),
            Some(Ok(state)) => state,
            Some(Err(why @ Unusable::Foreign)) => {
                log(
                    Level::Info,
                    &format!("{name}: its state {why}, so it is read from the beginning"),
                    token,
                )?;
                StreamState::default()
            }
            Some(Err(why)) if planned.selection.is_some() => {
                return Err(Failure::config(format!("{name}: its state {why}")).of_stream(name).into());
            }
            Some(Err(_)) => StreamState::default(),
        };
        states.push(state);
    }
    Ok(states)
}
