//! Memory that networks work in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Memory for what a network makes on its way, which several networks may share that never run at once: whoever runs
/// holds it, the others wait. As large as the largest of them needs.
///
/// ```no_run
/// use kestrel_nn::{Arena, Network, NnError, kernels::Kernel};
///
/// let arena = Arena::default();
/// let depth = Network::open("depth.onnx".as_ref(), Kernel::best())?.with_arena(&arena);
/// let pose = Network::open("pose.onnx".as_ref(), Kernel::best())?.with_arena(&arena);
/// # Ok::<(), NnError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Arena(Arc<Mutex<Vec<u8>>>);

impl Arena {
    /// Memory with room for `bytes`.
    pub(crate) fn with_room(bytes: usize) -> Self {
        let arena = Self::default();
        arena.make_room(bytes);
        arena
    }

    /// Makes it larger where need be.
    pub(crate) fn make_room(&self, bytes: usize) {
        let mut memory = self.hold();
        if memory.len() < bytes {
            memory.resize(bytes, 0);
        }
    }

    /// The memory, as soon as nobody else holds it. What is in it means nothing, so that a panic of another holder does not
    /// matter either.
    pub(crate) fn hold(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its size in bytes.
    pub fn bytes(&self) -> usize {
        self.hold().len()
    }
}
