//! `spec`: what the config may contain. Knows no network.

use airbyte_protocol::Message;

use super::{Ending, Trouble, tell};
use crate::config;

pub(super) fn run() -> Result<Ending, Trouble> {
    tell(Message::Spec { spec: config::specification() })?;
    Ok(Ending::Done)
}
