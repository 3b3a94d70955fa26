//! Which part of the image is worth learning from.

use geometry::GrayImage;
use serde::Serialize;

/// Rows and columns at most this bright, and this even, are bars beside a film.
const DARK: u8 = 24;
const EVEN: u8 = 12;
/// Width at which networks learn, and what height and width must be multiples of.
const LEARNT_WIDTH: usize = 416;
const MULTIPLE: usize = 32;

/// A part of the image, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Crop {
    /// First column.
    pub x: usize,
    /// First row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// What lies inside the black bars that all frames have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// First column and row, and those after the last.
    start: [usize; 2],
    end: [usize; 2],
    size: [usize; 2],
}

impl Content {
    /// Nothing yet of images of this size.
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { start: [width, height], end: [0, 0], size: [width, height] }
    }

    /// Takes in what a frame shows.
    pub(super) fn add(&mut self, image: &GrayImage) {
        let [width, height] = self.size;
        let pixels = image.as_slice();
        let is_row = |y: &usize| !is_bar(image.row(*y).iter().copied());
        let is_column = |x: &usize| !is_bar((0..height).map(|y| pixels[y * width + x]));
        // Only as far as bars have been seen so far.
        let columns = ((0..self.start[0]).find(is_column), (self.end[0]..width).rev().find(is_column));
        let rows = ((0..self.start[1]).find(is_row), (self.end[1]..height).rev().find(is_row));
        for (axis, (first, last)) in [columns, rows].into_iter().enumerate() {
            self.start[axis] = first.unwrap_or(self.start[axis]);
            self.end[axis] = last.map_or(self.end[axis], |last| last + 1);
        }
    }

    /// Whether a bar was seen.
    pub(super) fn has_bars(&self) -> bool {
        !self.is_empty() && (self.start != [0, 0] || self.end != self.size)
    }

    fn is_empty(&self) -> bool {
        self.start[0] >= self.end[0] || self.start[1] >= self.end[1]
    }

    /// The part to learn from, in pixels `factor` times as small, and the size to learn it at: about 416 pixels wide, both
    /// sides multiples of 32, the aspect ratio kept by cutting off as little as can be, evenly.
    pub(super) fn suggestion(&self, factor: usize) -> (Crop, [usize; 2]) {
        let (start, end) = if self.is_empty() { ([0, 0], self.size) } else { (self.start, self.end) };
        let [width, height] = std::array::from_fn(|axis| (end[axis] - start[axis]) * factor);
        let rows = LEARNT_WIDTH as f64 * height as f64 / width.max(1) as f64 / MULTIPLE as f64;
        let size = [LEARNT_WIDTH, (rows.round() as usize).max(1) * MULTIPLE];
        let scale = (width as f64 / size[0] as f64).min(height as f64 / size[1] as f64);
        let [kept_width, kept_height] = size.map(|side| (side as f64 * scale).round() as usize);
        let (x, y) =
            (start[0] * factor + (width - kept_width) / 2, start[1] * factor + (height - kept_height) / 2);
        (Crop { x, y, width: kept_width, height: kept_height }, size)
    }
}

fn is_bar(line: impl Iterator<Item = u8>) -> bool {
    let (low, high) = line.fold((u8::MAX, 0), |(low, high), value| (low.min(value), high.max(value)));
    high <= DARK && high - low.min(high) <= EVEN
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_bars(width: usize, height: usize, above: usize, left: usize) -> GrayImage {
        GrayImage::from_fn(width, height, |x, y| {
            let is_inside = y >= above && y < height - above && x >= left;
            [if is_inside { 60 + ((x * 7 + y * 13) % 90) as u8 } else { 16 }]
        })
    }

    #[test]
    fn bars_that_all_frames_have_are_cut_off() {
        let mut content = Content::new(160, 90);
        content.add(&GrayImage::filled(160, 90, [3]));
        assert!(!content.has_bars(), "a dark frame shows nothing");
        content.add(&with_bars(160, 90, 30, 20));
        content.add(&with_bars(160, 90, 12, 8));
        assert!(content.has_bars());
        let (crop, size) = content.suggestion(4);
        assert_eq!((content.start, content.end), ([8, 12], [160, 78]));
        assert!(crop.x >= 32 && crop.y >= 48 && crop.x + crop.width <= 640 && crop.y + crop.height <= 312);
        assert_eq!((size, crop.height), ([416, 192], 264));
    }

    #[test]
    fn sizes_are_multiples_and_keep_the_aspect_ratio() {
        for (width, height, expected) in
            [(1241, 376, [416, 128]), (640, 360, [416, 224]), (640, 480, [416, 320]), (1280, 720, [416, 224])]
        {
            let (crop, size) = Content::new(width, height).suggestion(1);
            assert_eq!(size, expected, "{width}x{height}");
            let aspect = |w: usize, h: usize| w as f64 / h as f64;
            assert!((aspect(crop.width, crop.height) / aspect(size[0], size[1]) - 1.0).abs() < 0.01);
            assert!(crop.x + crop.width <= width && crop.y + crop.height <= height);
            assert!(crop.width * crop.height > 85 * width * height / 100, "{crop:?}");
        }
    }
}
