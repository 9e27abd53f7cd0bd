//! Limits how many bodies are in memory at a time, and reuses their buffers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Buffers larger than this, in bytes, are not reused. Few pages are larger.
pub(super) const LARGE_BODY: usize = 1024 * 1024;

/// A body and the records made from it have one buffer each.
const BUFFERS_OF_TURN: usize = 2;

/// Permits for bodies in memory.
#[derive(Debug)]
pub(super) struct Turns {
    free: Arc<Semaphore>,
    buffers: Arc<Buffers>,
}

/// The permit for one body, from its first byte until its records are written. Dropping it admits the next body.
#[derive(Debug)]
pub struct Turn {
    buffers: Arc<Buffers>,
    #[expect(dead_code, reason = "it is there to be dropped")]
    permit: OwnedSemaphorePermit,
}

/// Empty buffers for reuse. Without it, the system zeroes fresh memory for each page of half a megabyte, which takes a
/// third of the connector's time.
#[derive(Debug)]
struct Buffers {
    spare: Mutex<Vec<Vec<u8>>>,
    limit: usize,
}

impl Turns {
    pub(super) fn new(turns: usize) -> Self {
        let buffers = Buffers { spare: Mutex::default(), limit: turns * BUFFERS_OF_TURN };
        Self { free: Arc::new(Semaphore::new(turns)), buffers: Arc::new(buffers) }
    }

    pub(super) async fn next(&self) -> Turn {
        let permit = Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed");
        Turn { buffers: Arc::clone(&self.buffers), permit }
    }

    pub(super) fn is_one_free(&self) -> bool {
        self.free.available_permits() > 0
    }
}

impl Turn {
    /// An empty buffer, which may already have capacity.
    pub fn buffer(&self) -> Vec<u8> {
        self.buffers.spare().pop().unwrap_or_default()
    }

    /// Returns a buffer for reuse.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut spare = self.buffers.spare();
        if (1..=LARGE_BODY).contains(&buffer.capacity()) && spare.len() < self.buffers.limit {
            spare.push(buffer);
        }
    }
}

impl Buffers {
    fn spare(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn buffers_are_reused_empty_and_their_number_is_limited() {
        let turns = Turns::new(1);
        let turn = turns.next().await;
        assert!(!turns.is_one_free());
        assert_eq!(turn.buffer().capacity(), 0);
        for length in [0, 7, LARGE_BODY + 1, 9, 8] {
            turn.give_back(vec![b'x'; length]);
        }
        drop(turn);
        assert!(turns.is_one_free());
        let turn = turns.next().await;
        let capacities = [turn.buffer(), turn.buffer(), turn.buffer()].map(|buffer| {
            assert!(buffer.is_empty());
            buffer.capacity()
        });
        assert_eq!(capacities, [9, 7, 0]);
    }
}
