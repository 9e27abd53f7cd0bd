//! How many bodies are in memory at a time, and the buffers that they are in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A buffer that has grown beyond this, in bytes, is not kept for what comes next. Hardly a page is larger.
pub(super) const LARGE_BODY: usize = 1024 * 1024;

/// What is made of a body takes a buffer of its own.
const BUFFERS_OF_TURN: usize = 2;

/// The right to have a body in memory, for so many at a time, from its first byte until what it holds is written out.
#[derive(Debug)]
pub(super) struct Turns {
    free: Arc<Semaphore>,
    buffers: Arc<Buffers>,
}

/// A body's right to be in memory: another one is received when this is dropped.
#[derive(Debug)]
pub struct Turn {
    buffers: Arc<Buffers>,
    #[expect(dead_code, reason = "it is there to be dropped")]
    permit: OwnedSemaphorePermit,
}

/// Empty buffers that were used before. A page of half a megabyte gets memory of its own from the system, which is wiped
/// for it and given back: with every page anew, that takes a third of the connector's time.
#[derive(Debug)]
struct Buffers {
    spare: Mutex<Vec<Vec<u8>>>,
    most: usize,
}

impl Turns {
    pub(super) fn new(turns: usize) -> Self {
        let buffers = Buffers { spare: Mutex::default(), most: turns * BUFFERS_OF_TURN };
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
    /// An empty buffer, which may have room already.
    pub fn buffer(&self) -> Vec<u8> {
        self.buffers.spare().pop().unwrap_or_default()
    }

    /// Takes a buffer back that is not needed any more.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut spare = self.buffers.spare();
        if (1..=LARGE_BODY).contains(&buffer.capacity()) && spare.len() < self.buffers.most {
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
    async fn buffers_come_back_empty_and_are_no_more_than_can_be_in_use() {
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
