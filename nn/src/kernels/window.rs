//! Sizes of convolutions: what slides over what.

use std::ops::Range;

use crate::error::NnError;

/// Rows of a window that a convolution can have.
pub(super) const MAX_WINDOW: usize = 16;

/// An image of quantised activations, `[height, width, channels]`, the channels of a pixel side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageShape {
    /// Rows.
    pub height: usize,
    /// Pixels per row.
    pub width: usize,
    /// Values per pixel.
    pub channels: usize,
}

/// A window that slides over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns.
    pub size: [usize; 2],
    /// Rows and columns from one place to the next.
    pub stride: [usize; 2],
    /// Pixels of zeros above and left of the image.
    pub padding_before: [usize; 2],
    /// Pixels of zeros below and right of the image.
    pub padding_after: [usize; 2],
}

impl ImageShape {
    /// Values of the whole image.
    pub fn len(self) -> usize {
        self.height * self.width * self.channels
    }

    /// Whether there is no value at all.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Values of one row.
    pub(super) fn row(self) -> usize {
        self.width * self.channels
    }
}

impl Window {
    /// A square window with the padding that keeps the size of the image at stride 1.
    pub fn square(size: usize, stride: usize) -> Self {
        let padding = [(size - 1) / 2; 2];
        Self { size: [size; 2], stride: [stride; 2], padding_before: padding, padding_after: padding }
    }

    /// Rows and columns of places that the window takes over `input`.
    ///
    /// # Errors
    /// [`NnError::Shape`] where an extent is zero or the window larger than the padded image.
    pub fn places(&self, input: ImageShape) -> Result<[usize; 2], NnError> {
        let refuse = |expected| {
            let found = format!("{self:?} over {input:?}");
            Err(NnError::Shape { expected, found })
        };
        let lengths = [input.height, input.width];
        if input.is_empty() || self.size.contains(&0) || self.stride.contains(&0) {
            return refuse("sizes and strides above zero");
        }
        let mut places = [0; 2];
        for axis in 0..2 {
            let padded = lengths[axis] + self.padding_before[axis] + self.padding_after[axis];
            let Some(slack) = padded.checked_sub(self.size[axis]) else {
                return refuse("a window no larger than the padded image");
            };
            places[axis] = slack / self.stride[axis] + 1;
        }
        Ok(places)
    }

    /// Whether the window is one pixel that visits every pixel.
    pub(super) fn is_pointwise(&self) -> bool {
        self.size == [1; 2]
            && self.stride == [1; 2]
            && self.padding_before == [0; 2]
            && self.padding_after == [0; 2]
    }

    /// Rows of the padded image that the window covers at output row `y`, counted from the first row of the image.
    pub(super) fn rows(&self, y: usize) -> Range<isize> {
        let first = (y * self.stride[0]) as isize - self.padding_before[0] as isize;
        first..first + self.size[0] as isize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: ImageShape = ImageShape { height: 5, width: 8, channels: 3 };

    #[test]
    fn places_follow_the_definition() {
        assert_eq!(Window::square(3, 1).places(IMAGE), Ok([5, 8]));
        assert_eq!(Window::square(3, 2).places(IMAGE), Ok([3, 4]));
        assert_eq!(Window::square(1, 2).places(IMAGE), Ok([3, 4]));
        assert_eq!(Window::square(3, 2).rows(0), -1..2);
    }

    #[test]
    fn windows_that_fit_nowhere_are_refused() {
        let unpadded = Window { padding_before: [0; 2], padding_after: [0; 2], ..Window::square(7, 1) };
        assert!(unpadded.places(IMAGE).is_err());
        assert!(Window { stride: [0, 1], ..Window::square(3, 1) }.places(IMAGE).is_err());
        assert!(Window::square(3, 1).places(ImageShape { channels: 0, ..IMAGE }).is_err());
    }
}
