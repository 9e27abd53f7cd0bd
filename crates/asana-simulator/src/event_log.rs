//! All events since the world was generated, in order, and the streams that contain each.

use std::collections::HashMap;

use crate::gid::{Gid, Index};
use crate::time::Timestamp;

/// An event.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub at: Timestamp,
    pub user: Index,
    pub resource: Gid,
    /// The resource's name at that time; it may be deleted now.
    pub name: String,
    pub action: &'static str,
    /// What the resource was added to or removed from.
    pub parent: Option<Gid>,
    pub change: Option<Change>,
}

/// What changed, for the action `changed`.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub field: &'static str,
    pub action: &'static str,
    /// The value, if it is a resource. Events leave other values out.
    pub value: Option<Gid>,
}

/// All events, and which of them are in each stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventLog {
    events: Vec<Event>,
    streams: HashMap<Gid, Vec<u32>>,
}

impl EventLog {
    /// Adds an event to the streams of these resources.
    pub(crate) fn note(&mut self, event: Event, streams: &[Gid]) {
        let place = self.events.len() as u32;
        for stream in streams {
            let places = self.streams.entry(*stream).or_default();
            if places.last() != Some(&place) {
                places.push(place);
            }
        }
        self.events.push(event);
    }

    /// The events of a stream, starting at a position. Positions count all events of the world.
    pub(crate) fn from(&self, stream: Gid, position: u64) -> impl Iterator<Item = (u64, &Event)> {
        let places = self.streams.get(&stream).map_or(&[][..], Vec::as_slice);
        let start = places.partition_point(|place| u64::from(*place) < position);
        places[start..].iter().map(|place| (u64::from(*place), &self.events[*place as usize]))
    }

    pub(crate) fn end(&self) -> u64 {
        self.events.len() as u64
    }
}
