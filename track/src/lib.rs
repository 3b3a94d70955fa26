//! Box, frames and ego-motion to tracks.
//!
//! So far what a single-object tracker offers.

use geometry::{BoundingBox, Frame, Track};

/// Follows one target that was shown to it once.
pub trait SingleObjectTracker: Send {
    /// Takes `target`, in the pixels of `frame`, as what is to be followed; forgets any earlier target.
    fn init(&mut self, frame: &Frame, target: BoundingBox);

    /// Where the target is in the next frame; `None` before [`init`](Self::init).
    fn update(&mut self, frame: &Frame) -> Option<Track>;
}
