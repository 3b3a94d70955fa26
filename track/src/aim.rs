//! What is looked for, and what is seen of it.

use crate::confidence::History;
use crate::place::Place;
use crate::stream::Stream;

/// What was seen in one window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighting {
    /// Where the window was.
    pub(crate) window: Place,
    /// Shift of the target from there in cells.
    pub(crate) shift: [f32; 2],
    /// Height of the peak.
    pub(crate) peak: f32,
    /// How usual the answer is, in `[0, 1]`.
    pub(crate) usual: f32,
    /// How sure it is that this is the target, in `[0, 1]`.
    pub(crate) confidence: f32,
}

impl Sighting {
    /// Where the target is.
    pub(crate) fn place(&self) -> Place {
        self.window.shifted(self.shift)
    }
}

/// What is looked for, and how the answers were while there was no doubt.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aim {
    pub(crate) convolution_stream: Stream,
    pub(crate) kernel_stream: Stream,
    pub(crate) history: History,
    pub(crate) velocity: [f32; 2],
}
