//! Where layers write.

use std::ops::Range;

use super::window::ImageShape;
use crate::error::NnError;

/// Pixels to write, possibly some channels of a wider image or each second pixel of a larger one: layers write their part
/// of a concatenation or of a transposed convolution in place.
#[derive(Debug)]
pub struct Output<'a> {
    /// From the first channel of the first pixel on.
    pub values: &'a mut [u8],
    /// Values from one pixel to the next; at least the channels that the layer writes.
    pub step: usize,
    /// Values from one row to the next; at least those from its first to its last pixel.
    pub row_step: usize,
}

impl<'a> Output<'a> {
    /// The whole of an image of this shape.
    pub fn whole(values: &'a mut [u8], shape: ImageShape) -> Self {
        Self { values, step: shape.channels, row_step: shape.row() }
    }

    /// `Ok` where `rows` of `shape` fit.
    pub(super) fn check(&self, shape: ImageShape, rows: &Range<usize>) -> Result<(), NnError> {
        let row = shape.width.saturating_sub(1) * self.step + shape.channels;
        if rows.is_empty() || rows.end > shape.height || self.step < shape.channels || self.row_step < row {
            let found = format!("rows {rows:?}, {} and {} apart, of {shape:?}", self.step, self.row_step);
            return Err(NnError::Shape { expected: "rows and channels of the image", found });
        }
        let needed = (rows.len() - 1) * self.row_step + row;
        if self.values.len() < needed {
            return Err(NnError::Length { what: "output", expected: needed, found: self.values.len() });
        }
        Ok(())
    }

    /// Whether rows follow each other without a gap.
    pub(super) fn is_seamless(&self, shape: ImageShape) -> bool {
        self.row_step == shape.width * self.step
    }

    /// The row that is `index` rows below the first one.
    #[inline(always)]
    pub(super) fn row(&mut self, index: usize) -> &mut [u8] {
        &mut self.values[index * self.row_step..]
    }
}
