//! Marks beside gids, in a bounded part of the memory however many there are.

mod spilled;

use std::collections::{BTreeMap, HashMap};
use std::io;

use crate::gid::Gid;
use spilled::Spilled;

/// So many gids are kept in memory as a rule: a quarter of a million, in less than two megabytes. Accounts of more tasks are
/// rare, and only they pay for a temporary file: nine bytes of it a gid, and a read of a page each time that one is looked up.
pub const MOST_IN_MEMORY: usize = 1 << 18;

/// So many gids are in a block at most. What one more costs is to move half of them.
const BLOCK: usize = 256;

/// What has been done about each gid: a bit for each kind of thing. A gid takes six bytes or so, where a hash table would
/// take twenty to forty.
#[derive(Debug)]
pub struct GidMarks {
    /// By the first gid in each.
    blocks: BTreeMap<u64, Block>,
    /// How many gids are in them.
    in_blocks: usize,
    most_in_memory: usize,
    /// What was in the blocks when they were full. Of a gid that is in a block too, the block has the last word.
    spilled: Option<Spilled>,
    /// The sets of bits that there are, few as a rule: a block names them by their place.
    sets: Vec<u64>,
    /// Gids that are no numbers, and whatever there was no place for.
    others: HashMap<Gid, u64>,
}

/// Gids in ascending order that share their upper half.
#[derive(Debug, Default)]
struct Block {
    lower: Vec<u32>,
    sets: Vec<u8>,
}

impl GidMarks {
    /// Marks of which those of so many gids are kept in memory at most.
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
    /// When the temporary file cannot be read.
    pub fn of(&self, gid: &Gid) -> io::Result<u64> {
        let other = if self.others.is_empty() { None } else { self.others.get(gid) };
        let set = gid.number().map_or(Ok(None), |number| self.set_of(number))?;
        Ok(other.copied().unwrap_or_default() | set.map_or(0, |set| self.sets[usize::from(set)]))
    }

    /// Sets bits for a gid. Returns those that were set before.
    ///
    /// # Errors
    ///
    /// When the temporary file cannot be read.
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

    /// Moves what is in memory to a temporary file, if that is more than is to be kept there.
    ///
    /// # Errors
    ///
    /// When the file cannot be written. Everything is kept in memory then, and it is not tried again.
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

    /// The place of a gid's set.
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

    /// The block in which a number is, or has to come.
    fn key_of(&self, number: u64) -> Option<u64> {
        let has_upper = |(key, _): &(&u64, &Block)| upper(**key) == upper(number);
        let before = self.blocks.range(..=number).next_back().filter(has_upper);
        before.or_else(|| self.blocks.range(number..).next().filter(has_upper)).map(|(key, _)| *key)
    }

    /// `None` when there are as many sets as a byte can name.
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
                // Gids mostly come in ascending order: what is behind a full block begins another one.
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
    /// Takes the second half out, and gives back the room for it.
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
        /// What the blocks take, without the tree that holds them.
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
        /// Near each other, far from each other, upwards, downwards and mixed; more sets than a byte names; all in
        /// memory, or most of them in a file that is written over and over.
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
        // As far apart as those of a large account, upwards and in no order.
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
    fn where_no_file_can_be_written_everything_stays_in_memory() {
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
