//! A temporary file for what does not fit into memory. Knows neither rows nor states.

use std::fs::File;
use std::os::unix::fs::FileExt;

use crate::failure::{Failure, Result};

/// A file without a name in the folder for temporary files (`TMPDIR`), made when it is first needed. The system frees
/// it with the process, however that ends.
#[derive(Debug, Default)]
pub struct Spill {
    file: Option<File>,
    end: u64,
    /// Bytes that will still be read. Without any, the file starts over.
    waiting: u64,
}

/// A place in the file.
#[derive(Debug)]
pub struct Segment {
    start: u64,
    length: usize,
}

impl Spill {
    pub fn write(&mut self, bytes: &[u8]) -> Result<Segment> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(tempfile::tempfile().map_err(unusable)?),
        };
        file.write_all_at(bytes, self.end).map_err(unusable)?;
        let segment = Segment { start: self.end, length: bytes.len() };
        self.end += bytes.len() as u64;
        self.waiting += bytes.len() as u64;
        Ok(segment)
    }

    /// Reads a segment, which is not read again.
    pub fn read(&mut self, segment: &Segment) -> Result<Vec<u8>> {
        let mut bytes = vec![0; segment.length];
        let file =
            self.file.as_ref().ok_or_else(|| Failure::system("nothing was written to the temporary file"))?;
        file.read_exact_at(&mut bytes, segment.start).map_err(unusable)?;
        self.waiting -= segment.length as u64;
        if self.waiting == 0 {
            self.end = 0;
            file.set_len(0).map_err(unusable)?;
        }
        Ok(bytes)
    }
}

fn unusable(error: std::io::Error) -> Failure {
    let folder = std::env::temp_dir();
    let folder = folder.display();
    Failure::system(format!(
        "what does not fit into memory cannot be kept in a temporary file: {error}. Make room in {folder}, or set \
         TMPDIR to a folder that has some"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_the_file_starts_over() {
        let mut spill = Spill::default();
        let (first, second) = (spill.write(b"first").unwrap(), spill.write(b"second").unwrap());
        assert_eq!(spill.read(&second).unwrap(), b"second");
        assert_eq!((spill.read(&first).unwrap(), spill.end), (b"first".to_vec(), 0));
        let third = spill.write(b"third").unwrap();
        assert_eq!(spill.read(&third).unwrap(), b"third");
    }
}
