//! The queue to the writer of stdout. Pushing never waits, so records and their checkpoint stay in order. Callers wait
//! for room before each request instead.

use std::cell::RefCell;
use std::collections::VecDeque;

use airbyte_protocol::message::Level;
use tokio::sync::{Notify, mpsc};

use crate::emit::Event;

/// Events that wait for the writer.
#[derive(Debug)]
pub struct Output {
    queue: RefCell<VecDeque<Event>>,
    writer: mpsc::Sender<Event>,
    filled: Notify,
    drained: Notify,
}

/// The reader of stdout has closed it.
#[derive(Debug)]
pub struct Gone;

impl Output {
    pub fn new(writer: mpsc::Sender<Event>) -> Self {
        Self { queue: RefCell::default(), writer, filled: Notify::new(), drained: Notify::new() }
    }

    pub fn push(&self, event: Event) {
        self.queue.borrow_mut().push_back(event);
        self.filled.notify_one();
    }

    pub fn log(&self, level: Level, text: String) {
        self.push(Event::Log { level, text });
    }

    /// Waits until the queue is empty, so that nothing is requested while stdout is blocked.
    pub async fn room(&self) {
        while !self.is_empty() {
            self.drained.notified().await;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.queue.borrow().is_empty()
    }

    /// Whether a checkpoint of the stream waits for the writer.
    pub fn has_checkpoint(&self, name: &str) -> bool {
        let is_it = |event: &Event| matches!(event, Event::Checkpoint { stream, .. } if *stream == name);
        self.queue.borrow().iter().any(is_it)
    }

    /// Forwards events to the writer until it is gone, and calls `drained` whenever the queue becomes empty.
    pub async fn pump(&self, drained: impl Fn()) -> Gone {
        loop {
            if self.flush().await.is_err() {
                return Gone;
            }
            drained();
            self.filled.notified().await;
        }
    }

    /// Forwards all waiting events.
    ///
    /// # Errors
    ///
    /// If the writer is gone.
    pub async fn flush(&self) -> Result<(), Gone> {
        while !self.is_empty() {
            let permit = self.writer.reserve().await.map_err(|_| Gone)?;
            if let Some(event) = self.queue.borrow_mut().pop_front() {
                permit.send(event);
            }
        }
        self.drained.notify_waiters();
        Ok(())
    }

    /// Removes and returns the waiting events.
    #[cfg(test)]
    pub fn take(&self) -> Vec<Event> {
        self.queue.borrow_mut().drain(..).collect()
    }
}
