//! Walks the plan: every listing fetched once, slice by slice, records and checkpoints as events. Knows no
//! particular stream, no protocol JSON, no status codes and no token.

mod absence;
mod checkpoint;
mod coverage;
mod deletions;
mod jobs;
mod judge;
mod open;
mod report;
pub mod row;
mod slices;
mod sweep;
mod take;
mod tell;
mod type_check;
mod vanished;
mod visit;
mod walk;

pub use report::{Account, Estimate, Standing, grouped};
pub use walk::Outcome;

use std::io::{self, Write};
use std::thread;

use tokio::sync::mpsc::{self, UnboundedReceiver};

use crate::asana::{Client, Notice};
use crate::config::Settings;
use crate::emit;
use crate::error::Failure;
use crate::moment::Moment;
use crate::plan::Plan;
use crate::state::StreamState;

/// Reads what the plan asks for and writes it to `output`, from a thread of its own, so that an output that
/// blocks does not hold up the requests under way. `states` has one state for each of the plan's streams. When `stop`
/// gives a failure, nothing more is asked for: what was read is written, then a state of each stream.
///
/// Gives what failed, and how the writing went.
pub async fn sync(
    plan: &Plan,
    settings: &Settings,
    client: Client,
    notices: UnboundedReceiver<Notice>,
    states: Vec<StreamState>,
    stop: impl Future<Output = Failure>,
    output: impl Write + Send + 'static,
) -> (Outcome, thread::Result<io::Result<()>>) {
    let (sender, receiver) = mpsc::channel(emit::QUEUE);
    let (secrets, config) = (settings.secrets.clone(), settings.file.clone());
    let writer = thread::spawn(move || emit::run(receiver, &secrets, &config, output));
    let now = || Moment::from_unix_milliseconds(emit::now());
    let outcome = walk::Walk::new(plan, settings, client, states, sender, now).run(notices, stop).await;
    (outcome, writer.join())
}
