//! Where layers write.

use std::ops::Range;

use super::window::ImageShape;
use crate::error::NnError;

/// Pixels to write, possibly some channels of a wider image: layers write their part of a concatenation in place.
#[derive(Debug)]
pub struct Output<'a> {
    /// From the first channel of the first pixel on.
    pub values: &'a mut [u8],
    /// Values from one pixel to the next; at least the channels that the layer writes.
    pub step: usize,
}

impl<'a> Output<'a> {
    /// The whole of an image of `channels` channels.
    pub fn whole(values: &'a mut [u8], channels: usize) -> Self {
        Self { values, step: channels }
    }

    /// `Ok` where `rows` of `shape` fit.
    pub(super) fn check(&self, shape: ImageShape, rows: &Range<usize>) -> Result<(), NnError> {
        if rows.is_empty() || rows.end > shape.height || self.step < shape.channels {
            let found = format!("rows {rows:?} at {} values a pixel of {shape:?}", self.step);
            return Err(NnError::Shape { expected: "rows and channels of the image", found });
        }
        let needed = (rows.len() * shape.width - 1) * self.step + shape.channels;
        if self.values.len() < needed {
            return Err(NnError::Length { what: "output", expected: needed, found: self.values.len() });
        }
        Ok(())
    }
}
