//! Sets of streams, one bit per stream of the table.

/// Index into the table of all streams and into `Plan::streams`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub usize);

const WORDS: usize = 4;

/// A set of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamSet([u64; WORDS]);

impl StreamSet {
    /// Maximum number of streams. A test checks that the table fits.
    pub const CAPACITY: usize = WORDS * 64;

    pub fn insert(&mut self, stream: StreamId) {
        self.0[stream.0 / 64] |= 1 << (stream.0 % 64);
    }

    pub fn remove(&mut self, stream: StreamId) {
        self.0[stream.0 / 64] &= !(1 << (stream.0 % 64));
    }

    pub fn contains(self, stream: StreamId) -> bool {
        self.0[stream.0 / 64] & (1 << (stream.0 % 64)) != 0
    }

    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    pub fn meets(self, other: Self) -> bool {
        self.0.iter().zip(other.0).any(|(one, another)| one & another != 0)
    }

    pub fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] | other.0[word]))
    }

    pub fn without(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & !other.0[word]))
    }

    pub fn intersection(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    pub fn iter(self) -> impl Iterator<Item = StreamId> {
        self.0.into_iter().enumerate().flat_map(|(word, bits)| {
            std::iter::successors(Some(bits), |bits| Some(bits & bits.wrapping_sub(1)))
                .take_while(|bits| *bits != 0)
                .map(move |bits| StreamId(word * 64 + bits.trailing_zeros() as usize))
        })
    }
}

impl FromIterator<StreamId> for StreamSet {
    fn from_iter<I: IntoIterator<Item = StreamId>>(streams: I) -> Self {
        let mut set = Self::default();
        streams.into_iter().for_each(|stream| set.insert(stream));
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::streams::ALL;

    fn streams() -> impl Strategy<Value = BTreeSet<usize>> {
        proptest::collection::btree_set(0..StreamSet::CAPACITY, 0..40)
    }

    fn set(streams: &BTreeSet<usize>) -> StreamSet {
        streams.iter().copied().map(StreamId).collect()
    }

    fn members(set: StreamSet) -> BTreeSet<usize> {
        set.iter().map(|stream| stream.0).collect()
    }

    #[test]
    fn the_table_fits() {
        assert!(ALL.len() <= StreamSet::CAPACITY);
    }

    proptest! {
        #[test]
        fn it_is_a_set(one in streams(), another in streams(), stream in 0..StreamSet::CAPACITY) {
            prop_assert_eq!(members(set(&one)), one.clone());
            prop_assert_eq!(members(set(&one).union(set(&another))), &one | &another);
            prop_assert_eq!(members(set(&one).without(set(&another))), &one - &another);
            prop_assert_eq!(members(set(&one).intersection(set(&another))), &one & &another);
            prop_assert_eq!(set(&one).meets(set(&another)), !one.is_disjoint(&another));
            prop_assert_eq!(set(&one).contains(StreamId(stream)), one.contains(&stream));
            prop_assert_eq!(set(&one).is_empty(), one.is_empty());
            let mut changed = set(&one);
            changed.remove(StreamId(stream));
            prop_assert!(!changed.contains(StreamId(stream)));
            changed.insert(StreamId(stream));
            prop_assert!(changed.contains(StreamId(stream)));
        }
    }
}
