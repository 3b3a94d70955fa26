//! What was seen of depth: to the application, and into the counts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::graph::{Packet, Stage, StageError};
use crate::stages::DepthEstimate;

/// Told of every frame whose depth was seen, on a thread that the network waits for: be quick.
pub type DepthObserver = Box<dyn FnMut(&Arc<DepthEstimate>) + Send>;

/// The sink of the depth network. Clones share observer and count, so that a restart goes on where it was.
#[derive(Clone)]
pub struct DepthSink {
    observer: Arc<Mutex<DepthObserver>>,
    looks: Arc<AtomicU64>,
}

impl DepthSink {
    /// A sink that tells `observer`.
    pub fn new(observer: DepthObserver) -> Self {
        Self { observer: Arc::new(Mutex::new(observer)), looks: Arc::default() }
    }

    /// Frames whose depth was seen so far.
    pub fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }
}

impl Stage for DepthSink {
    type Input = DepthEstimate;
    type Output = ();

    fn process(&mut self, input: &Packet<DepthEstimate>) -> Result<Option<()>, StageError> {
        self.looks.fetch_add(1, Ordering::Relaxed);
        (self.observer.lock().unwrap_or_else(PoisonError::into_inner))(&input.payload);
        Ok(Some(()))
    }

    fn reset(&mut self) {}
}
