//! A running simulator: started and stopped, observed and changed while it serves.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::edit::Editor;
use crate::fault::Faults;
use crate::options::Options;
use crate::record::RequestRecord;
use crate::server;
use crate::state::{SimulatorState, viewer};
use crate::time::Timestamp;
use crate::world::{Viewer, World};

/// A simulator that serves on 127.0.0.1 until it is shut down or dropped.
#[derive(Debug)]
pub struct Simulator {
    state: Arc<SimulatorState>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Starts on the current runtime.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub async fn start(world: World, options: Options) -> io::Result<Self> {
        let port = options.port;
        let state = Arc::new(SimulatorState::new(world, options));
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(server::run(listener, state.clone(), async {
            // A dropped sender stops it too.
            let _ = stopped.await;
        }));
        Ok(Self { state, address, stop: Some(stop), thread: None })
    }

    /// Starts on a thread of its own, for tests that are not asynchronous.
    ///
    /// # Errors
    /// When the runtime cannot be built or the port cannot be bound.
    pub fn start_blocking(world: World, options: Options) -> io::Result<Self> {
        let port = options.port;
        let state = Arc::new(SimulatorState::new(world, options));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", port)))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = state.clone();
        let thread = std::thread::Builder::new().name("asana-simulator".to_owned()).spawn(move || {
            // It fails only before it serves, when the listener has no address; that was asked for above.
            let _ = runtime.block_on(server::run(listener, serving, async {
                let _ = stopped.await;
            }));
        })?;
        Ok(Self { state, address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where the API is, such as `http://127.0.0.1:40123/api/1.0`.
    pub fn base_url(&self) -> String {
        format!("http://{}/api/1.0", self.address)
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request since the start or the last [`Simulator::clear_requests`], in the order of arrival.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.state.log().records.clone()
    }

    pub fn clear_requests(&self) {
        self.state.log().records.clear();
    }

    /// How many refresh tokens have been exchanged for access tokens.
    pub fn exchanges(&self) -> u32 {
        self.state.grants.count()
    }

    /// Reads the world.
    pub fn world<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        self.state.look(look)
    }

    /// Changes the world, at the current virtual time, as the main user by default.
    pub fn edit<T>(&self, change: impl FnOnce(&mut Editor<'_>) -> T) -> T {
        self.state.edit(change)
    }

    /// The fault rules.
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// Virtual time.
    pub fn now(&self) -> Timestamp {
        self.state.clock.now()
    }

    /// Moves virtual time forward.
    pub fn advance(&self, by: Duration) {
        self.state.clock.advance(by);
    }

    /// The view of a token; `None` for an unknown one.
    pub fn viewer(&self, token: &str) -> Option<Viewer> {
        self.state.options.tokens.iter().find(|known| known.text == token).map(viewer)
    }

    /// The shared state, for serving it elsewhere too.
    pub fn state(&self) -> Arc<SimulatorState> {
        self.state.clone()
    }

    /// Stops serving and waits for the simulator's own thread, if it has one.
    pub fn shutdown(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // That thread has reported its panic.
            let _ = thread.join();
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop();
    }
}
