//! `discover`: the streams that can be read. Knows no network: the catalog is the same for every account.

use std::path::Path;

use airbyte_protocol::Message;

use super::{Ending, Trouble, settings, tell};
use crate::catalog;

pub(super) fn run(config: &Path) -> Result<Ending, Trouble> {
    settings(config)?;
    tell(Message::Catalog { catalog: catalog::discovered() })?;
    Ok(Ending::Done)
}
