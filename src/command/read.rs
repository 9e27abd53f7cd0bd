//! `read`: the configured streams, from the plan to the exit code. Knows no HTTP and no cursor arithmetic.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::Path;

use airbyte_protocol::catalog::ConfiguredCatalog;
use airbyte_protocol::message::Level;
use airbyte_protocol::state as state_file;

use super::stop::Stop;
use super::{Ending, Trouble, block_on, connect, file, log, settings, tell_failure};
use crate::asana::{Patience, Secrets, Timeouts};
use crate::emit;
use crate::error::Failure;
use crate::plan::{Plan, UnknownStream};
use crate::state::{StreamState, Unusable};
use crate::sync;

pub(super) fn run(
    config: &Path,
    catalog: &Path,
    state: Option<&Path>,
    stop: Option<Stop>,
) -> Result<Ending, Trouble> {
    if std::env::var_os("DATA_CHANNEL_MEDIUM").is_some_and(|medium| medium == "SOCKET") {
        let message = "the platform wants records over sockets, and this connector writes them to stdout: set \
                       DATA_CHANNEL_MEDIUM to STDIO";
        return Err(Failure::config(message).into());
    }
    let settings = settings(config)?;
    let mut catalog = configured_catalog(catalog)?;
    let mut given = given_states(state, &settings.secrets)?;
    let unusable = leave_out_unusable(&mut catalog, &given);
    let (plan, unknown) = Plan::new(&catalog);
    let states = states(&plan, &mut given, &settings.secrets)?;
    let (client, notices) = connect(&settings, Patience::default(), Timeouts::default())?;
    let stdout = emit::stdout()?;
    let stop = async {
        match stop {
            Some(stop) => stop.failure().await,
            None => pending().await,
        }
    };
    let (outcome, written) = block_on(sync::sync(&plan, &settings, client, notices, states, stop, stdout))?;
    written.map_err(|_| Failure::bug("the writer of stdout broke down"))??;
    let left_out: Vec<Failure> = unusable.into_iter().chain(unknown.iter().map(unknown_stream)).collect();
    for failure in &left_out {
        tell_failure(failure, Some(&settings.secrets))?;
    }
    Ok(if outcome.failures.is_empty() && left_out.is_empty() { Ending::Done } else { Ending::Failed })
}

fn configured_catalog(path: &Path) -> Result<ConfiguredCatalog, Failure> {
    let text = file(path, "catalog")?;
    if text.trim().is_empty() {
        return Err(Failure::config(format!("the catalog file {} is empty", path.display())));
    }
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

/// What the state file has of each stream that it names.
fn given_states(
    path: Option<&Path>,
    secrets: &Secrets,
) -> Result<BTreeMap<String, Result<StreamState, Unusable>>, Trouble> {
    let Some(path) = path else { return Ok(BTreeMap::new()) };
    let parsed = state_file::parse_file(&file(path, "state")?).map_err(|why| {
        Failure::config(format!("the state file {} cannot be used: {}", path.display(), why.0))
    })?;
    for sentence in &parsed.passed_over {
        log(Level::Warn, &format!("{sentence}: passed over"), secrets)?;
    }
    Ok(parsed.streams.iter().map(|(name, state)| (name.clone(), StreamState::parse(state))).collect())
}

/// Takes the streams out of the catalog whose state is ours and cannot be used: going on from nothing would be wrong. The
/// others are read.
fn leave_out_unusable(
    catalog: &mut ConfiguredCatalog,
    given: &BTreeMap<String, Result<StreamState, Unusable>>,
) -> Vec<Failure> {
    let mut failures = Vec::new();
    catalog.streams.retain(|configured| {
        let name = &configured.stream.name;
        match given.get(name) {
            None | Some(Ok(_) | Err(Unusable::Foreign)) => true,
            Some(Err(why)) => {
                failures.push(Failure::config(format!("{name}: its state {why}")).of_stream(name));
                false
            }
        }
    });
    failures
}

/// The state of every stream of the plan.
fn states(
    plan: &Plan,
    given: &mut BTreeMap<String, Result<StreamState, Unusable>>,
    secrets: &Secrets,
) -> Result<Vec<StreamState>, Trouble> {
    let mut states = Vec::new();
    for planned in &plan.streams {
        let name = planned.stream.name;
        let state = given.remove(name).unwrap_or_else(|| Ok(StreamState::default()));
        if let Err(why @ Unusable::Foreign) = &state {
            let text = format!("{name}: its state {why}, so it is read from the beginning");
            log(Level::Info, &text, secrets)?;
        }
        states.push(state.unwrap_or_default());
    }
    Ok(states)
}
