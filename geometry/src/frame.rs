//! One image with its moment and its camera.

use std::sync::Arc;

use crate::{GrayImage, PinholeCamera, RgbImage, Timestamp};

/// What a camera delivered at one moment. Cloning shares the pixels.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When the image was exposed.
    pub stamp: Timestamp,
    /// Position in the source, from 0; a gap means that the source lost frames.
    pub seq: u64,
    /// Luminance; every frame has it.
    pub gray: Arc<GrayImage>,
    /// Colour, where the source has it; the same size as `gray`.
    pub rgb: Option<Arc<RgbImage>>,
    /// The camera that took it, for images of this size.
    pub camera: Arc<PinholeCamera>,
}

impl Frame {
    /// `(width, height)` in pixels.
    pub fn size(&self) -> (usize, usize) {
        self.gray.size()
    }
}
