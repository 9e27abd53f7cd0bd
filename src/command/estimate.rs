//! `estimate`: how many requests a sync takes, and how long.

use airbyte_connector::unix_milliseconds;
use airbyte_connector::verbs::{Ending, Interruption, ReadArguments, Session};
use clap::Args;

use super::{block_on, connect, read, settings};
use crate::asana::{Patience, Timeouts};
use crate::estimate;
use crate::moment::Moment;

/// Say how many requests a sync takes, and how long, by few requests.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    read: ReadArguments,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, session: &mut Session) -> Result<Ending, Interruption> {
    let settings = settings(&arguments.read.config, session)?;
    let read::Inputs { catalog, plan: _, states, left_out } = read::inputs(&arguments.read, session)?;
    if let Some(failure) = left_out.into_iter().next() {
        return Err(failure.into());
    }
    let (client, _notices) = connect(&settings, Patience::default(), Timeouts::default())?;
    let began = Moment::from_unix_milliseconds(unix_milliseconds());
    let estimate = block_on(estimate::estimate(&catalog, &settings, client, states, began))??;
    let mut text = match arguments.json {
        true => estimate.to_json().to_string(),
        false => estimate.to_text(),
    };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    session.output.line(text.as_bytes())?;
    Ok(Ending::Done)
}
