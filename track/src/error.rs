//! What can go wrong.

use geometry::BoundingBox;
use thiserror::Error;

/// Why a target can't be followed.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum TrackError {
    /// A box that is no box, or lies outside the image.
    #[error(
        "expected a box of finite numbers and positive sides, at least partly inside the {width}x{height} image, found {found:?}"
    )]
    Box {
        /// What was given.
        found: BoundingBox,
        /// Width of the image.
        width: usize,
        /// Height of the image.
        height: usize,
    },
    /// A frame of another size than the first.
    #[error("expected frames of {}x{} pixels as at the start, found {}x{}", expected.0, expected.1, found.0, found.1)]
    FrameSize {
        /// Size of the first frame.
        expected: (usize, usize),
        /// Size of this one.
        found: (usize, usize),
    },
    /// No target was chosen.
    #[error("expected a target to be chosen before frames are given, found none")]
    NoTarget,
}
