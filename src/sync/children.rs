//! Parents whose child listings wait for their turn. There can be millions, so each takes a few bytes.

use crate::gid::Gid;
use crate::plan::{ListingId, Plan};
use crate::stream_set::{StreamId, StreamSet};
use crate::varint;

/// The bit of a parent that changed so late that Asana's search may not know it yet.
pub const RECENT: u32 = 1 << 31;

/// Parents by stream, and for each the child listings that are still to be read: a bit per child listing of its stream, and
/// [`RECENT`]. A test checks that no stream has more listings than bits.
#[derive(Debug, Clone, Default)]
pub struct PendingListings {
    groups: Vec<(StreamId, Packed)>,
}

/// A child listing, and the record that it is below.
#[derive(Debug, Clone)]
pub struct PendingListing {
    pub listing: ListingId,
    pub parent: Gid,
    /// The parent changed so late that Asana's search may not know it yet.
    pub is_recent: bool,
}

/// Gids and bits. A gid is stored as its distance from the one before.
#[derive(Debug, Clone, Default)]
struct Packed {
    bytes: Vec<u8>,
    last: u64,
    /// Gids that are not numbers.
    others: Vec<(Gid, u32)>,
}

impl PendingListings {
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub fn push(&mut self, stream: StreamId, parent: Gid, listings: u32) {
        let at = self.groups.iter().position(|(other, _)| *other == stream).unwrap_or_else(|| {
            self.groups.push((stream, Packed::default()));
            self.groups.len() - 1
        });
        self.groups[at].1.push(parent, listings);
    }

    /// Adds what another listing found.
    pub fn append(&mut self, others: Self) {
        if self.is_empty() {
            *self = others;
            return;
        }
        for (stream, parent, listings) in others.into_records() {
            self.push(stream, parent, listings);
        }
    }

    /// The records' gids.
    pub fn gids(&self) -> Vec<Gid> {
        self.groups.iter().flat_map(|(_, packed)| packed.clone().into_iter().map(|(gid, _)| gid)).collect()
    }

    /// Releases the room that more records would have taken.
    pub fn shrink(&mut self) {
        self.groups.iter_mut().for_each(|(_, packed)| packed.bytes.shrink_to_fit());
    }

    /// The records, those of a stream in the order in which they came.
    pub fn into_records(self) -> impl Iterator<Item = (StreamId, Gid, u32)> {
        self.groups
            .into_iter()
            .flat_map(|(stream, packed)| packed.into_iter().map(move |(gid, bits)| (stream, gid, bits)))
    }

    pub fn into_listings(self, plan: &Plan) -> impl Iterator<Item = PendingListing> {
        self.into_records().flat_map(move |(stream, parent, bits)| {
            let is_recent = bits & RECENT != 0;
            listings(plan, stream, bits).map(move |listing| PendingListing {
                listing,
                parent: parent.clone(),
                is_recent,
            })
        })
    }

    /// The streams of the child listings.
    pub fn streams(&self, plan: &Plan) -> StreamSet {
        self.clone().into_listings(plan).map(|pending| plan.listing(pending.listing).stream).collect()
    }

    /// The child listings that are `wanted`, and the others.
    pub fn split(self, plan: &Plan, wanted: impl Fn(&PendingListing) -> bool) -> (Self, Self) {
        let (mut chosen, mut others) = (Self::default(), Self::default());
        for (stream, parent, bits) in self.into_records() {
            let mut pending = PendingListing { listing: ListingId(0), parent, is_recent: bits & RECENT != 0 };
            let mut of_chosen = 0;
            for (index, listing) in plan.stream(stream).children.iter().enumerate() {
                pending.listing = *listing;
                of_chosen |= if bits & (1 << index) != 0 && wanted(&pending) { 1 << index } else { 0 };
            }
            for (part, own) in [(&mut chosen, of_chosen), (&mut others, bits & !of_chosen)] {
                if own & !RECENT != 0 {
                    part.push(stream, pending.parent.clone(), own | (bits & RECENT));
                }
            }
        }
        (chosen, others)
    }
}

/// The child listings of a stream whose bits are set.
pub fn listings(plan: &Plan, stream: StreamId, bits: u32) -> impl Iterator<Item = ListingId> {
    let children = plan.stream(stream).children.iter().enumerate();
    children.filter(move |(index, _)| bits & (1 << index) != 0).map(|(_, listing)| *listing)
}

impl Packed {
    fn push(&mut self, gid: Gid, bits: u32) {
        match gid {
            Gid::Number(number) => {
                let distance = number.wrapping_sub(self.last).cast_signed();
                varint::write(&mut self.bytes, varint::zigzag(distance));
                varint::write(&mut self.bytes, u64::from(bits));
                self.last = number;
            }
            Gid::Text(_) => self.others.push((gid, bits)),
        }
    }

    fn into_iter(self) -> impl Iterator<Item = (Gid, u32)> {
        let Self { bytes, others, .. } = self;
        let (mut at, mut last) = (0, 0_u64);
        let numbers = std::iter::from_fn(move || {
            let distance = varint::unzigzag(varint::read(&bytes, &mut at)?);
            let bits = varint::read(&bytes, &mut at)?;
            last = last.wrapping_add_signed(distance);
            Some((Gid::Number(last), u32::try_from(bits).ok()?))
        });
        numbers.chain(others)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::streams::ALL;

    #[test]
    fn the_table_fits() {
        for stream in ALL {
            let listings = ALL.iter().flat_map(|other| other.parents());
            // A tree is listed below its roots and below itself.
            let count = listings.filter(|parent| std::ptr::eq(*parent, *stream)).count() + 1;
            assert!(count < u32::BITS as usize, "{}", stream.name);
        }
    }

    #[test]
    fn a_gid_of_asanas_takes_a_few_bytes() {
        let mut children = PendingListings::default();
        for index in 0..1000_u64 {
            children.push(StreamId(3), Gid::Number(1_200_000_000_000_000 + index * 11_999_999), 3);
        }
        assert!(children.groups[0].1.bytes.len() < 6000);
    }

    proptest! {
        #[test]
        fn what_is_pushed_comes_back(
            records in proptest::collection::vec(
                (0..3_usize, prop_oneof![any::<u64>().prop_map(Gid::Number), "[a-z]{1,3}".prop_map(|text| Gid::new(&text))],
                    any::<u32>()), 0..40),
            split in 0..40_usize,
        ) {
            let mut parts = [PendingListings::default(), PendingListings::default()];
            for (index, (stream, gid, bits)) in records.iter().enumerate() {
                parts[usize::from(index >= split)].push(StreamId(*stream), gid.clone(), *bits);
            }
            let [mut children, others] = parts;
            children.append(others);
            let mut found: Vec<_> = children.into_records().map(|(id, gid, bits)| (id.0, gid, bits)).collect();
            let mut expected = records;
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected);
        }
    }
}
