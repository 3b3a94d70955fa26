//! Images of another size.

use std::ops::Range;

use super::kernel::{Kernel, Work};
use super::lanes::Lanes;
use super::output::Output;
use super::window::ImageShape;
use crate::error::{NnError, check_length};

/// Channels, rows and columns of an image, in any order and each as often as it is named: enlargement by the nearest pixel,
/// cutting out, flipping, shuffling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    input: ImageShape,
    channels: Channels,
    rows: Vec<usize>,
    columns: Vec<usize>,
}

/// Channels of a pixel.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Channels {
    /// Those that follow each other.
    Range(Range<usize>),
    /// All, from the first half and the second in turn.
    Halves,
    /// Any.
    Listed(Vec<usize>),
}

impl Channels {
    fn new(list: Vec<usize>, of: usize) -> Self {
        let first = list[0];
        if list.iter().enumerate().all(|(index, &channel)| channel == first + index) {
            return Self::Range(first..first + list.len());
        }
        let half = of / 2;
        let is_dealt = |(index, &channel): (usize, &usize)| channel == index % 2 * half + index / 2;
        if list.len() == 2 * half && of == 2 * half && list.iter().enumerate().all(is_dealt) {
            return Self::Halves;
        }
        Self::Listed(list)
    }

    fn count(&self, of: usize) -> usize {
        match self {
            Self::Range(range) => range.len(),
            Self::Halves => of,
            Self::Listed(list) => list.len(),
        }
    }

    fn take(&self, from: &[u8], to: &mut [u8]) {
        match self {
            Self::Range(range) => to.copy_from_slice(&from[range.clone()]),
            Self::Halves => {
                let (first, second) = from.split_at(from.len() / 2);
                for ((to, &first), &second) in to.as_chunks_mut::<2>().0.iter_mut().zip(first).zip(second) {
                    *to = [first, second];
                }
            }
            Self::Listed(list) => to.iter_mut().zip(list).for_each(|(to, &channel)| *to = from[channel]),
        }
    }
}

/// A place between two rows or two columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Between {
    /// The two.
    pub neighbours: [usize; 2],
    /// How far it is from the first, in parts of [`Between::WHOLE`].
    pub part: u16,
}

/// An image between the pixels of another one: bilinear interpolation.
///
/// Places count in 1 / 2048 of a pixel; beyond that the result is exact until it is rounded, halves to even. The bytes stand
/// for what they stood for before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpolation {
    input: ImageShape,
    rows: Vec<Between>,
    columns: Vec<Between>,
}

impl Between {
    /// From one neighbour to the other.
    pub const WHOLE: u16 = 1 << Self::BITS;

    const BITS: u32 = 11;

    /// The place `position` among `length` rows or columns, which are repeated beyond both ends.
    pub fn at(position: f64, length: usize) -> Self {
        let last = length.saturating_sub(1);
        let position = position.clamp(0.0, last as f64);
        let first = position.floor() as usize;
        let part = ((position - position.floor()) * f64::from(Self::WHOLE)).round() as u16;
        Self { neighbours: [first, (first + 1).min(last)], part }
    }

    fn weights(self) -> [i32; 2] {
        [i32::from(Self::WHOLE - self.part), i32::from(self.part)]
    }
}

impl Selection {
    /// These channels, rows and columns of an image of this shape.
    ///
    /// # Errors
    /// [`NnError::Shape`] where there are none, or some that the image has not.
    pub fn new(input: ImageShape, [channels, rows, columns]: [Vec<usize>; 3]) -> Result<Self, NnError> {
        let are_within = |places: &[usize], length| !places.is_empty() && places.iter().all(|&p| p < length);
        let is_whole = are_within(&channels, input.channels);
        if is_whole && are_within(&rows, input.height) && are_within(&columns, input.width) {
            return Ok(Self { channels: Channels::new(channels, input.channels), input, rows, columns });
        }
        let found = format!("{channels:?}, {rows:?} and {columns:?} of {input:?}");
        Err(NnError::Shape { expected: "channels, rows and columns of the image", found })
    }

    /// The image that it writes.
    pub fn output(&self) -> ImageShape {
        let channels = self.channels.count(self.input.channels);
        ImageShape { height: self.rows.len(), width: self.columns.len(), channels }
    }

    /// Writes the output rows `rows`; `output` begins with the first of them.
    ///
    /// # Errors
    /// [`NnError::Length`] where `input` or `output` has another length than the shapes say.
    pub fn run_rows(&self, rows: Range<usize>, input: &[u8], mut output: Output<'_>) -> Result<(), NnError> {
        check_length("input", self.input.len(), input.len())?;
        output.check(self.output(), &rows)?;
        let (read, written, step) = (self.input.channels, self.output().channels, output.step);
        let row = self.input.width * read;
        for (index, &y) in self.rows[rows].iter().enumerate() {
            let input = &input[y * row..][..row];
            for (pixel, &x) in output.row(index).chunks_mut(step).zip(&self.columns) {
                self.channels.take(&input[x * read..][..read], &mut pixel[..written]);
            }
        }
        Ok(())
    }
}

impl Interpolation {
    /// These places of an image of this shape.
    ///
    /// # Errors
    /// [`NnError::Shape`] where there are none, or some outside the image.
    pub fn new(input: ImageShape, rows: Vec<Between>, columns: Vec<Between>) -> Result<Self, NnError> {
        let are_within = |places: &[Between], length| {
            let is_within = |place: &Between| {
                place.neighbours.iter().all(|&neighbour| neighbour < length) && place.part <= Between::WHOLE
            };
            !places.is_empty() && places.iter().all(is_within)
        };
        if are_within(&rows, input.height) && are_within(&columns, input.width) {
            return Ok(Self { input, rows, columns });
        }
        let found = format!("{rows:?} and {columns:?} of {input:?}");
        Err(NnError::Shape { expected: "places between pixels of the image", found })
    }

    /// The image that it writes.
    pub fn output(&self) -> ImageShape {
        ImageShape { height: self.rows.len(), width: self.columns.len(), channels: self.input.channels }
    }

    /// Writes the output rows `rows`; `output` begins with the first of them.
    ///
    /// # Errors
    /// [`NnError::Length`] where `input` or `output` has another length than the shapes say.
    pub fn run_rows(
        &self,
        kernel: Kernel,
        rows: Range<usize>,
        input: &[u8],
        output: Output<'_>,
    ) -> Result<(), NnError> {
        check_length("input", self.input.len(), input.len())?;
        output.check(self.output(), &rows)?;
        kernel.run(Interpolate { layer: self, rows, input, output });
        Ok(())
    }
}

struct Interpolate<'a> {
    layer: &'a Interpolation,
    rows: Range<usize>,
    input: &'a [u8],
    output: Output<'a>,
}

impl Work for Interpolate<'_> {
    type Output = ();

    #[inline(always)]
    fn on<L: Lanes>(mut self, _: L) {
        let Interpolation { input, rows, columns } = self.layer;
        let (channels, step) = (input.channels, self.output.step);
        for (index, y) in rows[self.rows.clone()].iter().enumerate() {
            let lines = y.neighbours.map(|row| &self.input[row * input.width * channels..]);
            let output = self.output.row(index);
            for (x, place) in columns.iter().enumerate() {
                let corners = lines.map(|line| place.neighbours.map(|x| &line[x * channels..][..channels]));
                between(corners, y.weights(), place.weights(), &mut output[x * step..][..channels]);
            }
        }
    }
}

/// The channels of a pixel between four others.
#[inline(always)]
fn between(corners: [[&[u8]; 2]; 2], rows: [i32; 2], columns: [i32; 2], output: &mut [u8]) {
    const BITS: u32 = 2 * Between::BITS;
    let [[a, b], [c, d]] = corners;
    let (top, bottom) = (a.iter().zip(b), c.iter().zip(d));
    for (output, ((&a, &b), (&c, &d))) in output.iter_mut().zip(top.zip(bottom)) {
        let blend = |[x, y]: [i32; 2], [of_x, of_y]: [i32; 2]| x * of_x + y * of_y;
        let top = blend([a.into(), b.into()], columns);
        let bottom = blend([c.into(), d.into()], columns);
        let value = blend([top, bottom], rows);
        // Halves to even, as `QuantizeLinear` has it: a half goes up where what is below it is odd.
        *output = ((value + (1 << (BITS - 1)) - 1 + ((value >> BITS) & 1)) >> BITS) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUT: ImageShape = ImageShape { height: 3, width: 4, channels: 2 };

    fn image() -> Vec<u8> {
        (0..INPUT.len()).map(|index| (index * 37 % 251) as u8).collect()
    }

    #[test]
    fn selections_take_what_they_name() {
        let layer = Selection::new(INPUT, [vec![0, 1], vec![2, 0, 0], vec![1, 3]]).unwrap();
        let (image, shape) = (image(), layer.output());
        let mut output = vec![0; shape.len()];
        layer.run_rows(0..3, &image, Output::whole(&mut output, shape)).unwrap();
        let pixel = |y: usize, x: usize| &image[(y * 4 + x) * 2..][..2];
        let expected = [pixel(2, 1), pixel(2, 3), pixel(0, 1), pixel(0, 3), pixel(0, 1), pixel(0, 3)];
        assert_eq!(output, expected.concat());
        for wrong in [[vec![0], vec![3], vec![0]], [vec![0], vec![], vec![0]], [vec![2], vec![0], vec![0]]] {
            assert!(Selection::new(INPUT, wrong).is_err());
        }
    }

    #[test]
    fn channels_come_in_the_order_that_they_are_named_in() {
        let input = ImageShape { height: 2, width: 3, channels: 6 };
        let image: Vec<u8> = (0..input.len() as u8).collect();
        let orders =
            [vec![0, 3, 1, 4, 2, 5], vec![2, 3, 4], vec![5], vec![5, 0, 0, 1], vec![0, 2, 4, 1, 3, 5]];
        for order in orders {
            let layer = Selection::new(input, [order.clone(), vec![0, 1], vec![0, 1, 2]]).unwrap();
            let shape = layer.output();
            let mut output = vec![0; shape.len()];
            layer.run_rows(0..2, &image, Output::whole(&mut output, shape)).unwrap();
            let expected = image.chunks(6).flat_map(|pixel| order.iter().map(|&channel| pixel[channel]));
            assert_eq!(output, expected.collect::<Vec<_>>(), "{order:?}");
        }
    }

    #[test]
    fn pixels_between_others_are_blended() {
        let image = image();
        let places = |length: usize| (0..2 * length).map(move |i| (i as f64 + 0.5) / 2.0 - 0.5);
        let rows: Vec<_> = places(3).map(|y| Between::at(y, 3)).collect();
        let columns: Vec<_> = places(4).map(|x| Between::at(x, 4)).collect();
        let layer = Interpolation::new(INPUT, rows, columns).unwrap();
        let shape = layer.output();
        for kernel in Kernel::available() {
            let mut output = vec![0; shape.len()];
            layer.run_rows(kernel, 0..shape.height, &image, Output::whole(&mut output, shape)).unwrap();
            let at = |y: usize, x: usize, c: usize| f64::from(image[(y * 4 + x) * 2 + c]);
            for (y, v) in places(3).enumerate() {
                for (x, u) in places(4).enumerate() {
                    let (v, u) = (v.clamp(0.0, 2.0), u.clamp(0.0, 3.0));
                    let (top, left) = (v as usize, u as usize);
                    let (below, right) = ((top + 1).min(2), (left + 1).min(3));
                    let (dv, du) = (v.fract(), u.fract());
                    for channel in 0..2 {
                        let row = |y| at(y, left, channel) * (1.0 - du) + at(y, right, channel) * du;
                        let expected = (row(top) * (1.0 - dv) + row(below) * dv).round_ties_even();
                        assert_eq!(
                            f64::from(output[(y * 8 + x) * 2 + channel]),
                            expected,
                            "{kernel} {y} {x}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn places_beyond_the_image_are_its_border() {
        assert_eq!(Between::at(-3.0, 5), Between { neighbours: [0, 1], part: 0 });
        assert_eq!(Between::at(9.0, 5), Between { neighbours: [4, 4], part: 0 });
        assert_eq!(Between::at(1.25, 5), Between { neighbours: [1, 2], part: 512 });
    }
}
