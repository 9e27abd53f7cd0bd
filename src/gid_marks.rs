//! Marks beside gids, a few bytes for each however many there are. Knows no stream.

use std::collections::{BTreeMap, HashMap};

use crate::gid::Gid;

/// So many gids are in a block at most. What one more costs is to move half of them.
const BLOCK: usize = 256;

/// What has been done about each gid: a bit for each kind of thing. A gid takes six bytes or so, where a hash table would
/// take twenty to forty.
#[derive(Debug, Default)]
pub struct GidMarks {
    /// By the first gid in each.
    blocks: BTreeMap<u64, Block>,
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
    /// The bits that are set for a gid.
    pub fn of(&self, gid: &Gid) -> u64 {
        let other = if self.others.is_empty() { None } else { self.others.get(gid) };
        other.copied().unwrap_or_default() | gid.number().map_or(0, |number| self.in_block(number))
    }

    /// Sets bits for a gid. Returns those that were set before.
    pub fn set(&mut self, gid: &Gid, bits: u64) -> u64 {
        let before = self.of(gid);
        if before | bits == before {
            return before;
        }
        match gid.number().and_then(|number| Some((number, self.place_of(before | bits)?))) {
            Some((number, set)) => self.put(number, set),
            None => *self.others.entry(gid.clone()).or_default() |= bits,
        }
        before
    }

    fn in_block(&self, number: u64) -> u64 {
        let block = self.blocks.range(..=number).next_back().filter(|(key, _)| upper(**key) == upper(number));
        let set =
            block.and_then(|(_, block)| Some(block.sets[block.lower.binary_search(&lower(number)).ok()?]));
        set.map_or(0, |set| self.sets[usize::from(set)])
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
        let mut marks = GidMarks::default();
        for (index, text) in texts.into_iter().enumerate() {
            let gid = Gid::new(text);
            assert_eq!(gid.to_string(), text);
            assert_eq!(marks.of(&gid), 0, "{text}");
            marks.set(&gid, 1 << index);
            marks.set(&gid, 1 << 63);
            assert_eq!(marks.of(&gid), 1 << index | 1 << 63, "{text}");
        }
    }

    proptest! {
        /// Near each other, far from each other, upwards, downwards and mixed; and more sets than a byte names.
        #[test]
        fn it_is_a_table_of_bits(
            start in prop_oneof![Just(0_u64), Just(1_201_234_567_890_123), Just(u64::MAX - (1 << 40))],
            step in prop_oneof![Just(1_u64), Just(1_000_000), Just(1 << 30)],
            order in prop_oneof![Just(1_u64), Just(1022), Just(389)],
            sets in prop_oneof![Just(3_u64), Just(700)],
        ) {
            let mut marks = GidMarks::default();
            let mut expected: HashMap<u64, u64> = HashMap::new();
            for turn in 0..2046_u64 {
                // Every place twice, with other bits.
                let number = start + (turn * order % 1023) * step;
                let bits = (turn % sets) << (turn / 1023 * 20);
                marks.set(&Gid::Number(number), bits);
                *expected.entry(number).or_default() |= bits;
            }
            for (number, bits) in expected {
                prop_assert_eq!(marks.of(&Gid::Number(number)), bits);
                prop_assert!(step == 1 || marks.of(&Gid::Number(number + 1)) == 0);
            }
        }
    }

    #[test]
    fn a_million_gids_take_less_than_eight_megabytes() {
        // As far apart as those of a large account, upwards and in no order.
        for order in [1, 387_420_489_u64] {
            let mut marks = GidMarks::default();
            for turn in 0..1_000_000 {
                let place = turn * order % 1_000_003;
                marks.set(&Gid::Number(1_200_000_000_000_000 + place * 11_999_999), (1 << 63) | (turn % 5));
            }
            assert!(marks.bytes() < 8_000_000, "{} bytes", marks.bytes());
        }
    }
}
