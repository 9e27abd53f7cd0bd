//! Limits how many listings are read at once. The deepest waiting listing starts next, so that slices complete soon.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::rc::Rc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::oneshot;

use crate::asana::Client;

/// Levels below the root listing. Deeper listings start first.
pub type Depth = u32;

/// Admits listings. Clones share one gate.
#[derive(Debug, Clone)]
pub struct Gate {
    state: Rc<RefCell<State>>,
    client: Client,
    limit: usize,
}

#[derive(Debug, Default)]
struct State {
    open: usize,
    arrivals: u64,
    waiting: BTreeMap<(Reverse<Depth>, u64), oneshot::Sender<Slot>>,
}

/// The permit to read one listing. Dropping it admits the next.
#[derive(Debug)]
pub struct Slot {
    gate: Gate,
}

impl Gate {
    pub fn new(client: Client, limit: usize) -> Self {
        Self { state: Rc::default(), client, limit }
    }

    pub async fn enter(&self, depth: Depth) -> Slot {
        let (sender, admitted) = oneshot::channel();
        {
            let mut state = self.state.borrow_mut();
            state.arrivals += 1;
            let place = (Reverse(depth), state.arrivals);
            state.waiting.insert(place, sender);
        }
        self.admit();
        admitted.await.expect("the gate keeps the sender until it admits")
    }

    /// Admits waiting listings up to the limit, as long as answers are processed as fast as they arrive. If none is open,
    /// it admits one even if they are not, so that the sync cannot stall.
    pub fn admit(&self) {
        loop {
            let next = {
                let mut state = self.state.borrow_mut();
                let has_room = state.open == 0 || (state.open < self.limit && self.client.keeps_up());
                if !has_room {
                    return;
                }
                let Some((_, next)) = state.waiting.pop_first() else { return };
                if next.is_closed() {
                    continue;
                }
                state.open += 1;
                next
            };
            // If the receiver is gone, the slot is dropped, which admits the next.
            drop(next.send(Slot { gate: self.clone() }));
        }
    }

    /// Runs `work` for every item, each with a slot. The first item uses `first`, if there is one.
    ///
    /// # Errors
    ///
    /// The first error of `work`. It cancels the other items.
    pub async fn for_each<Item, Work, Error>(
        &self,
        depth: Depth,
        mut first: Option<Slot>,
        items: impl IntoIterator<Item = Item>,
        work: impl Fn(Item, Slot) -> Work,
    ) -> Result<(), Error>
    where
        Work: Future<Output = Result<(), Error>>,
    {
        let mut items = items.into_iter();
        let mut running = FuturesUnordered::new();
        let mut entering = None;
        loop {
            if entering.is_none()
                && let Some(item) = items.next()
            {
                if let Some(slot) = first.take() {
                    running.push(work(item, slot));
                    continue;
                }
                entering = Some(Box::pin(async move { (item, self.enter(depth).await) }));
            }
            tokio::select! {
                biased;
                // Running items go first, so that their children start before the next item.
                Some(done) = running.next() => done?,
                Some((item, slot)) = async {
                    match entering.as_mut() {
                        Some(entering) => Some(entering.await),
                        None => None,
                    }
                } => {
                    entering = None;
                    running.push(work(item, slot));
                }
                else => return Ok(()),
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.gate.state.borrow_mut().open -= 1;
        self.gate.admit();
    }
}
