//! The part of the map that is stored in a temporary file.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;

/// A gid, and the index of its set of bits.
pub type Entry = (u64, u8);

/// Bytes of an entry in the file: the gid in little endian, and the index.
const ENTRY: usize = 9;

/// Number of entries that a lookup reads: about a disk page.
const PAGE: usize = 455;

/// Size of the buffers for sequential reads and writes, in bytes.
const BUFFER: usize = 64 * 1024;

/// Entries in ascending order. Their file has no name, so it disappears with the process, however that ends.
#[derive(Debug)]
pub struct Spilled {
    file: File,
    entries: usize,
    /// The first gid of each page.
    firsts: Vec<u64>,
}

impl Spilled {
    /// Merges `before` and `entries`, which are in ascending order. For a gid in both, the entry in `entries` is kept.
    ///
    /// # Errors
    ///
    /// If the folder for temporary files is not writable or full. `before` is unchanged.
    pub fn write(before: Option<&Self>, entries: impl Iterator<Item = Entry>) -> io::Result<Self> {
        let mut spilling = Spilling::begin()?;
        let mut old_entries = before.map(Self::each).transpose()?;
        let mut next_old = || old_entries.as_mut().and_then(Iterator::next).transpose();
        let mut old = next_old()?;
        for entry in entries {
            while let Some(smaller) = old.filter(|old| old.0 < entry.0) {
                spilling.push(smaller)?;
                old = next_old()?;
            }
            if old.is_some_and(|old| old.0 == entry.0) {
                old = next_old()?;
            }
            spilling.push(entry)?;
        }
        while let Some(rest) = old {
            spilling.push(rest)?;
            old = next_old()?;
        }
        spilling.end()
    }

    /// The index of a gid's set, if the file has the gid.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn of(&self, gid: u64) -> io::Result<Option<u8>> {
        let Some(page) = self.firsts.partition_point(|first| *first <= gid).checked_sub(1) else {
            return Ok(None);
        };
        let begin = page * PAGE;
        let mut bytes = [0; PAGE * ENTRY];
        let bytes = &mut bytes[..ENTRY * PAGE.min(self.entries - begin)];
        self.file.read_exact_at(bytes, (begin * ENTRY) as u64)?;
        let (entries, _) = bytes.as_chunks();
        let found = entries.binary_search_by_key(&gid, |entry| parse(entry).0);
        Ok(found.ok().map(|at| parse(&entries[at]).1))
    }

    fn each(&self) -> io::Result<impl Iterator<Item = io::Result<Entry>>> {
        let mut reader = BufReader::with_capacity(BUFFER, &self.file);
        reader.rewind()?;
        Ok((0..self.entries).map(move |_| {
            let mut bytes = [0; ENTRY];
            reader.read_exact(&mut bytes)?;
            Ok(parse(&bytes))
        }))
    }
}

/// A file while it is written.
struct Spilling {
    writer: BufWriter<File>,
    entries: usize,
    firsts: Vec<u64>,
}

impl Spilling {
    fn begin() -> io::Result<Self> {
        let writer = BufWriter::with_capacity(BUFFER, tempfile::tempfile()?);
        Ok(Self { writer, entries: 0, firsts: Vec::new() })
    }

    fn push(&mut self, (gid, place): Entry) -> io::Result<()> {
        if self.entries.is_multiple_of(PAGE) {
            self.firsts.push(gid);
        }
        self.entries += 1;
        self.writer.write_all(&gid.to_le_bytes())?;
        self.writer.write_all(&[place])
    }

    fn end(self) -> io::Result<Spilled> {
        let file = self.writer.into_inner()?;
        Ok(Spilled { file, entries: self.entries, firsts: self.firsts })
    }
}

fn parse(&[a, b, c, d, e, f, g, h, place]: &[u8; ENTRY]) -> Entry {
    (u64::from_le_bytes([a, b, c, d, e, f, g, h]), place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_file_is_an_error_and_not_an_unknown_gid() {
        let spilled = Spilled::write(None, (0..1000).map(|gid| (gid, 1))).unwrap();
        assert_eq!(spilled.of(999).unwrap(), Some(1));
        assert_eq!(spilled.of(1000).unwrap(), None);
        spilled.file.set_len(0).unwrap();
        assert!(spilled.of(999).is_err());
        assert!(Spilled::write(Some(&spilled), std::iter::once((2, 2))).is_err());
    }
}
