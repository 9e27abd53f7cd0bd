//! `read`: the configured streams, from the plan to the exit code.

use std::collections::BTreeMap;
use std::future::pending;
use std::path::Path;

use airbyte_connector::verbs::{Ending, Interruption, ReadArguments, Session};
use airbyte_connector::{Failure, Output, files};
use airbyte_protocol::catalog::ConfiguredCatalog;
use airbyte_protocol::message::{Level, StreamDescriptor};
use airbyte_protocol::state as state_file;

use super::{block_on, connect, settings};
use crate::asana::{Patience, Timeouts};
use crate::plan::{Plan, UnknownStream};
use crate::state::{StreamState, Unusable};
use crate::sync;

pub(super) fn run(arguments: &ReadArguments, session: &mut Session) -> Result<Ending, Interruption> {
    let stop = session.stop();
    if std::env::var_os("DATA_CHANNEL_MEDIUM").is_some_and(|medium| medium == "SOCKET") {
        let message = "the platform wants records over sockets, and this connector writes them to stdout: set \
                       DATA_CHANNEL_MEDIUM to STDIO";
        return Err(Failure::configuration(message).into());
    }
    let settings = settings(&arguments.config, session)?;
    let Inputs { plan, states, left_out, .. } = inputs(arguments, session)?;
    let (client, notices) = connect(&settings, Patience::default(), Timeouts::default())?;
    // The session's own output is not used before the sync ends.
    let mut output = Output::stdout();
    output.hide(&settings.secrets);
    let stop = async {
        match stop {
            Some(stop) => stop.failure().await,
            None => pending().await,
        }
    };
    let (outcome, written) = block_on(sync::sync(&plan, &settings, client, notices, states, stop, output))?;
    written.map_err(|_| Failure::system("the writer of stdout panicked"))??;
    for failure in &left_out {
        session.output.failure(failure)?;
    }
    Ok(if outcome.failures.is_empty() && left_out.is_empty() { Ending::Done } else { Ending::Failed })
}

/// What catalog and state ask for.
pub(super) struct Inputs {
    pub catalog: ConfiguredCatalog,
    pub plan: Plan,
    /// One for each stream of the plan.
    pub states: Vec<StreamState>,
    /// Why streams of the catalog are not in the plan.
    pub left_out: Vec<Failure>,
}

pub(super) fn inputs(arguments: &ReadArguments, session: &mut Session) -> Result<Inputs, Interruption> {
    let mut catalog = files::read_catalog(&arguments.catalog)?;
    let mut given = given_states(arguments.state.as_deref(), session)?;
    let unusable = leave_out_unusable(&mut catalog, &given);
    let (plan, unknown) = Plan::new(&catalog);
    let states = states(&plan, &mut given, session)?;
    let left_out = unusable.into_iter().chain(unknown.iter().map(unknown_stream)).collect();
    Ok(Inputs { catalog, plan, states, left_out })
}

fn unknown_stream(unknown: &UnknownStream) -> Failure {
    let hint = match unknown.suggestion {
        Some(name) => format!("did you mean `{name}`?"),
        None => "deselect it, or refresh the source's schema".to_owned(),
    };
    let message =
        format!("the catalog asks for stream `{}`, which this connector does not have: {hint}", unknown.name);
    Failure::configuration(message).of_stream(StreamDescriptor::named(&unknown.name))
}

/// What the state file has of each stream that it names.
fn given_states(
    path: Option<&Path>,
    session: &mut Session,
) -> Result<BTreeMap<String, Result<StreamState, Unusable>>, Interruption> {
    let Some(path) = path else { return Ok(BTreeMap::new()) };
    let parsed = state_file::parse_file(&files::read(path, "state")?).map_err(|why| {
        Failure::configuration(format!("the state file {} cannot be used: {}", path.display(), why.0))
    })?;
    for sentence in &parsed.passed_over {
        session.output.log(Level::Warn, format!("{sentence}: passed over"))?;
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
                let failure = Failure::configuration(format!("{name}: its state {why}"));
                failures.push(failure.of_stream(StreamDescriptor::named(name)));
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
    session: &mut Session,
) -> Result<Vec<StreamState>, Interruption> {
    let mut states = Vec::new();
    for planned in &plan.streams {
        let name = planned.stream.name;
        let state = given.remove(name).unwrap_or_else(|| Ok(StreamState::default()));
        if let Err(why @ Unusable::Foreign) = &state {
            let text = format!("{name}: its state {why}, so it is read from the beginning");
            session.output.log(Level::Info, text)?;
        }
        states.push(state.unwrap_or_default());
    }
    Ok(states)
}
