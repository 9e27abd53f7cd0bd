//! Marks beside gids in a temporary file, for accounts that have more of them than are to be kept in memory.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;

/// A gid, and the place of its set of bits.
pub type Entry = (u64, u8);

/// An entry in the file: the gid's eight bytes, the lowest first, and the place.
const ENTRY: usize = 9;

/// So many entries are read to look one up: about a page of the disk.
const PAGE: usize = 455;

/// Buffers of that many bytes, for what is read and written from end to end.
const BUFFER: usize = 64 * 1024;

/// Entries in ascending order. Their file has no name, so that nothing is left of it when the process ends, however it
/// ends.
#[derive(Debug)]
pub struct Spilled {
    file: File,
    entries: usize,
    /// The first gid of each page.
    firsts: Vec<u64>,
}

impl Spilled {
    /// What is in `before` and in `entries`, which ascend. Of a gid that is in both, `entries` has the last word.
    ///
    /// # Errors
    ///
    /// When the folder for temporary files cannot be written or is full. `before` stays as it was.
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

    /// The place beside a gid, if the gid is here.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
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

/// A file that is being written.
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
    fn what_is_lost_is_an_error_and_not_an_unknown_gid() {
        let spilled = Spilled::write(None, (0..1000).map(|gid| (gid, 1))).unwrap();
        assert_eq!(spilled.of(999).unwrap(), Some(1));
        assert_eq!(spilled.of(1000).unwrap(), None);
        spilled.file.set_len(0).unwrap();
        assert!(spilled.of(999).is_err());
        assert!(Spilled::write(Some(&spilled), std::iter::once((2, 2))).is_err());
    }
}
