//! A map from gids to bits, with a limit on memory. Entries beyond it are stored in a temporary file.

mod spilled;

use std::collections::{BTreeMap, HashMap};
use std::io;

use crate::gid::Gid;
use spilled::Spilled;

/// Default maximum number of gids in memory: a quarter of a million, in less than two megabytes. Accounts with more
/// tasks are rare. Only they need a temporary file, with nine bytes per gid and one page read per lookup.
pub const MOST_IN_MEMORY: usize = 1 << 18;

/// Maximum number of gids in a block. Inserting into a full block splits it.
const BLOCK: usize = 256;

/// A set of bits for each gid. An entry takes about six bytes; a hash table would take twenty to forty.
#[derive(Debug)]
pub struct GidMarks {
    /// By the first gid in each.
    blocks: BTreeMap<u64, Block>,
    /// Number of gids in the blocks.
    in_blocks: usize,
    most_in_memory: usize,
    /// Entries that were spilled. If a gid is in a block too, the block's entry is the newer one.
    spilled: Option<Spilled>,
    /// The different sets of bits, usually few. Blocks store an index into this list.
    sets: Vec<u64>,
    /// Gids that are not numbers, and entries whose set does not fit in the list.
    others: HashMap<Gid, u64>,
}

/// Gids in ascending order that share their upper half.
#[derive(Debug, Default)]
struct Block {
    lower: Vec<u32>,
    sets: Vec<u8>,
}

impl GidMarks {
    /// An empty map that keeps up to `most_in_memory` gids in memory.
    pub fn new(most_in_memory: usize) -> Self {
        Self {
            blocks: BTreeMap::new(),
            in_blocks: 0,
            most_in_memory,
            spilled: None,
            sets: Vec::new(),
            others: HashMap::new(),
        }
    }

    /// The bits that are set for a gid.
    ///
    /// # Errors
    ///
    /// If the temporary file cannot be read.
    pub fn of(&self, gid: &Gid) -> io::Result<u64> {
        let other = if self.others.is_empty() { None } else { self.others.get(gid) };
        let set = gid.number().map_or(Ok(None), |number| self.set_of(number))?;
        Ok(other.copied().unwrap_or_default() | set.map_or(0, |set| self.sets[usize::from(set)]))
    }

    /// Sets bits for a gid, and returns the bits that were set before.
    ///
    /// # Errors
    ///
    /// If the temporary file cannot be read.
    pub fn set(&mut self, gid: &Gid, bits: u64) -> io::Result<u64> {
        let before = self.of(gid)?;
        if before | bits == before {
            return Ok(before);
        }
        match gid.number().and_then(|number| Some((number, self.place_of(before | bits)?))) {
            Some((number, set)) => {
                self.in_blocks += usize::from(self.in_block(number).is_none());
                self.put(number, set);
            }
            None => *self.others.entry(gid.clone()).or_default() |= bits,
        }
        Ok(before)
    }

    /// Spills the entries to a temporary file if there are more than the limit.
    ///
    /// # Errors
    ///
    /// If the file cannot be written. All entries then stay in memory, and later calls do not try again.
    pub fn stay_small(&mut self) -> io::Result<()> {
        if self.in_blocks <= self.most_in_memory {
            return Ok(());
        }
        let entries = self.blocks.iter().flat_map(|(key, block)| {
            let numbers = block.lower.iter().map(|lower| upper(*key) | u64::from(*lower));
            numbers.zip(block.sets.iter().copied())
        });
        let spilled = Spilled::write(self.spilled.as_ref(), entries);
        self.go_on_with(spilled)
    }

    fn go_on_with(&mut self, spilled: io::Result<Spilled>) -> io::Result<()> {
        match spilled {
            Ok(spilled) => {
                self.spilled = Some(spilled);
                self.blocks.clear();
                self.in_blocks = 0;
                Ok(())
            }
            Err(error) => {
                self.most_in_memory = usize::MAX;
                Err(error)
            }
        }
    }

    /// The index of a gid's set.
    fn set_of(&self, number: u64) -> io::Result<Option<u8>> {
        match (self.in_block(number), &self.spilled) {
            (None, Some(spilled)) => spilled.of(number),
            (set, _) => Ok(set),
        }
    }

    fn in_block(&self, number: u64) -> Option<u8> {
        let block = self.blocks.range(..=number).next_back().filter(|(key, _)| upper(**key) == upper(number));
        block.and_then(|(_, block)| Some(block.sets[block.lower.binary_search(&lower(number)).ok()?]))
    }

    /// The block that contains a number, or into which it is inserted.
    fn key_of(&self, number: u64) -> Option<u64> {
        let has_upper = |(key, _): &(&u64, &Block)| upper(**key) == upper(number);
        let before = self.blocks.range(..=number).next_back().filter(has_upper);
        before.or_else(|| self.blocks.range(number..).next().filter(has_upper)).map(|(key, _)| *key)
    }

    /// The index of a set, or `None` if a byte is too small for it.
    fn place_of(&mut self, set: u64) -> Option<u8> {
        let place = self.sets.iter().position(|other| *other == set).unwrap_or(self.sets.len());
        let name = u8::try_from(place).ok()?;
        if place == self.sets.len() {
            self.sets.push(set);
        }
        Some(name)
    }

    fn put(&mut self, number: u64, set: u8) {
        let Some((key, block)) = self.key_of(number).and_then(|key| Some((key, self.blocks.get_mut(&key)?)))
        else {
            self.blocks.insert(number, Block { lower: vec![lower(number)], sets: vec![set] });
            return;
        };
        match block.lower.binary_search(&lower(number)) {
            Ok(at) => block.sets[at] = set,
            Err(at) if block.lower.len() == BLOCK => {
                // Gids are mostly inserted in ascending order, so a gid after a full block starts a new one.
                if at == BLOCK {
                    self.blocks.insert(number, Block { lower: vec![lower(number)], sets: vec![set] });
                } else {
                    let rest = block.split();
                    self.blocks.insert(upper(number) | u64::from(rest.lower[0]), rest);
                    self.put(number, set);
                }
            }
            Err(at) => {
                block.lower.insert(at, lower(number));
                block.sets.insert(at, set);
                if at == 0
                    && let Some(block) = self.blocks.remove(&key)
                {
                    self.blocks.insert(number, block);
                }
            }
        }
    }
}

impl Block {
    /// Removes the second half, and frees its memory.
    fn split(&mut self) -> Self {
        let rest = Self { lower: self.lower.split_off(BLOCK / 2), sets: self.sets.split_off(BLOCK / 2) };
        self.lower.shrink_to_fit();
        self.sets.shrink_to_fit();
        rest
    }
}

fn upper(number: u64) -> u64 {
    number & !u64::from(u32::MAX)
}

fn lower(number: u64) -> u32 {
    (number & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl GidMarks {
        /// Memory of the blocks, without the tree around them.
        fn bytes(&self) -> usize {
            let blocks = self.blocks.values();
            blocks.map(|block| size_of::<Block>() + 4 * block.lower.capacity() + block.sets.capacity()).sum()
        }
    }

    #[test]
    fn every_text_comes_back_and_no_two_are_one() {
        let texts = [
            "0",
            "7",
            "07",
            "1201234567890123",
            "18446744073709551615",
            "99999999999999999999999",
            "external:a",
            "",
        ];
        let mut marks = GidMarks::new(2);
        for (index, text) in texts.into_iter().enumerate() {
            let gid = Gid::new(text);
            assert_eq!(gid.to_string(), text);
            assert_eq!(marks.of(&gid).unwrap(), 0, "{text}");
            marks.set(&gid, 1 << index).unwrap();
            marks.set(&gid, 1 << 63).unwrap();
            marks.stay_small().unwrap();
            assert_eq!(marks.of(&gid).unwrap(), 1 << index | 1 << 63, "{text}");
        }
    }

    proptest! {
        /// Gids near each other and far apart, ascending, descending and mixed; more sets than a byte can index; all in
        /// memory, or most in a file that is rewritten many times.
        #[test]
        fn it_is_a_table_of_bits(
            start in prop_oneof![Just(0_u64), Just(1_201_234_567_890_123), Just(u64::MAX - (1 << 40))],
            step in prop_oneof![Just(1_u64), Just(1_000_000), Just(1 << 30)],
            order in prop_oneof![Just(1_u64), Just(1022), Just(389)],
            sets in prop_oneof![Just(3_u64), Just(700)],
            most_in_memory in prop_oneof![Just(usize::MAX), Just(100), Just(700)],
        ) {
            let mut marks = GidMarks::new(most_in_memory);
            let mut expected: HashMap<u64, u64> = HashMap::new();
            for turn in 0..2046_u64 {
                // Every place twice, with other bits.
                let number = start + (turn * order % 1023) * step;
                let bits = (turn % sets) << (turn / 1023 * 20);
                let before = expected.entry(number).or_default();
                prop_assert_eq!(marks.set(&Gid::Number(number), bits).unwrap(), *before);
                marks.stay_small().unwrap();
                *before |= bits;
            }
            for (number, bits) in expected {
                prop_assert_eq!(marks.of(&Gid::Number(number)).unwrap(), bits);
                prop_assert!(step == 1 || marks.of(&Gid::Number(number + 1)).unwrap() == 0);
            }
            prop_assert!(marks.in_blocks <= most_in_memory);
            prop_assert_eq!(marks.in_blocks, marks.blocks.values().map(|block| block.lower.len()).sum::<usize>());
        }
    }

    #[test]
    fn a_million_gids_take_less_than_two_megabytes() {
        // As far apart as those of a large account, ascending and shuffled.
        for order in [1, 387_420_489_u64] {
            let mut marks = GidMarks::new(MOST_IN_MEMORY);
            let mut largest = 0;
            for turn in 0..1_000_000 {
                let place = turn * order % 1_000_003;
                let gid = Gid::Number(1_200_000_000_000_000 + place * 11_999_999);
                marks.set(&gid, (1 << 63) | (turn % 5)).unwrap();
                if marks.in_blocks > MOST_IN_MEMORY {
                    largest = largest.max(marks.bytes());
                }
                marks.stay_small().unwrap();
            }
            assert!((1..2_000_000).contains(&largest), "{largest} bytes");
        }
    }

    #[test]
    fn everything_stays_in_memory_if_no_file_can_be_written() {
        let mut marks = GidMarks::new(1);
        let [first, second, third] = [1, 2, 3].map(Gid::Number);
        marks.set(&first, 1).unwrap();
        marks.set(&second, 2).unwrap();
        marks.stay_small().unwrap();
        marks.set(&second, 4).unwrap();
        assert!(marks.go_on_with(Err(io::Error::other("a full disk"))).is_err());
        marks.set(&third, 8).unwrap();
        marks.stay_small().unwrap();
        assert_eq!(marks.in_blocks, 2, "it is not tried again");
        assert_eq!([first, second, third].map(|gid| marks.of(&gid).unwrap()), [1, 6, 8]);
    }
}
