//! Random parts of generated records: instants, seeds, users and names.

use crate::gid::Index;
use crate::random::Random;
use crate::time::{DAY, Timestamp};
use crate::vocabulary;
use crate::world::World;

/// How long before its end a world's history starts.
const HISTORY: i64 = 900 * DAY;

/// An instant in the world's history, at a part of it given in thousandths, and up to a part later.
pub(super) fn instant(world: &World, random: &mut Random, from: u64, to: u64) -> Timestamp {
    let span = HISTORY as u64;
    let offset = span * from / 1000 + random.below((span * (to - from) / 1000).max(1));
    Timestamp(world.end.0 - HISTORY + offset as i64)
}

/// A seed whose last byte is the record's index among its kind. Features that every world must have, however small,
/// depend on that byte; the rest is random.
pub(super) fn placed(random: &mut Random, place: usize) -> u64 {
    random.next() & !0xff | (place as u64 & 0xff)
}

/// The workspace's users, as they were generated.
pub(super) fn users(world: &World, workspace: Index) -> Vec<Index> {
    world.workspaces[workspace as usize].generated.users.clone()
}

/// A name, or at the first places of a kind one of the awkward ones, so that every world has those.
pub(super) fn subject(random: &mut Random, place: usize) -> String {
    let subject = vocabulary::subject(random);
    if place % 3 == 2 { format!("{subject} {}", vocabulary::awkward(place / 3)) } else { subject }
}
