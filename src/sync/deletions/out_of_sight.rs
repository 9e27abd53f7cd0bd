//! When is the daily comparison due, and which records that are out of sight does it ask for again? A record is out of sight
//! if it exists, or the token may not see it, and no listing shows it. Each day a part of them has its turn, so their
//! deletion is reported one day, and they cost little until then.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use crate::moment::Moment;

/// How long stored records are taken to exist. A daily schedule is never a whole day apart.
const EVERY: Duration = Duration::from_secs(20 * 60 * 60);

/// How many records that are out of sight are asked for again each time.
const ASKED_AGAIN: usize = 100;

/// Whether a day has passed since the stored records were compared with what exists.
pub fn is_due(compared: Option<Moment>, began: Moment) -> bool {
    compared.is_none_or(|at| began >= at.plus(EVERY))
}

/// Those whose turn it is in a sync that began then.
pub fn turn(all: &BTreeSet<u64>, began: Moment) -> HashSet<u64> {
    let days = began.unix_milliseconds() / EVERY.as_millis() as u64;
    let start =
        usize::try_from(days).unwrap_or(0).wrapping_mul(ASKED_AGAIN).checked_rem(all.len()).unwrap_or(0);
    all.iter().copied().cycle().skip(start).take(ASKED_AGAIN.min(all.len())).collect()
}
