//! What the network looks at: parts of a frame, scaled to its input.

use geometry::{BoundingBox, Frame};
use nn::Taps;

/// Grey around an image that does not fill the input: the middle of what the network is used to.
const PADDING: f32 = 0.5;

/// How a frame is looked at that is larger than the network's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tiling {
    /// The whole frame at once, scaled down: fast, blind to the smallest.
    Whole,
    /// The whole frame and, where it is more than half as large again as the input, tiles of it at full resolution.
    Tiles {
        /// The least that neighbours share, as a share of a tile.
        overlap: f32,
    },
}

impl Default for Tiling {
    /// Tiles that share a quarter.
    fn default() -> Self {
        Self::Tiles { overlap: 0.25 }
    }
}

/// A part of a frame that becomes the upper left part of the network's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    /// Left edge, top edge, width and height in pixels of the frame.
    pub(crate) area: [usize; 4],
    /// Pixels of the input for one of the frame, at most 1.
    pub(crate) scale: f32,
}

impl Tiling {
    /// The windows through which an input of `size` looks at a frame of `[width, height]`.
    pub(crate) fn windows(self, frame: [usize; 2], size: usize) -> Vec<Window> {
        let longest = frame[0].max(frame[1]);
        let scale = (size as f32 / longest as f32).min(1.0);
        let whole = Window { area: [0, 0, frame[0], frame[1]], scale };
        match self {
            Self::Tiles { overlap } if longest * 2 > size * 3 => {
                let [columns, rows] = frame.map(|length| starts(length, size, overlap));
                let tile = |x: usize, y: usize| Window {
                    area: [x, y, size.min(frame[0]), size.min(frame[1])],
                    scale: 1.0,
                };
                let tiles = rows.iter().flat_map(|&y| columns.iter().map(move |&x| tile(x, y)));
                std::iter::once(whole).chain(tiles).collect()
            }
            _ => vec![whole],
        }
    }
}

/// Where tiles of `size` begin that cover `length` and share at least `overlap` of themselves, evenly spread.
fn starts(length: usize, size: usize, overlap: f32) -> Vec<usize> {
    if length <= size {
        return vec![0];
    }
    let step = (size as f32 * (1.0 - overlap.clamp(0.0, 0.9))).max(1.0);
    let steps = ((length - size) as f32 / step).ceil() as usize;
    (0..=steps).map(|index| index * (length - size) / steps.max(1)).collect()
}

impl Window {
    /// The box in the frame of a box in the input; nothing where the window cuts it off within the frame: the next
    /// window, or the whole, shows all of it.
    pub(crate) fn to_frame(self, found: &BoundingBox, frame: [usize; 2]) -> Option<BoundingBox> {
        /// A box this near to a cut, in pixels of the frame, is taken to be cut.
        const CUT: f32 = 2.0;
        let [x, y, width, height] = self.area.map(|value| value as f32);
        let corner = |(along, down)| (x + along / self.scale, y + down / self.scale);
        let found =
            BoundingBox::from_corners(corner((found.x, found.y)), corner((found.right(), found.bottom())));
        let is_cut = (x > 0.0 && found.x < x + CUT)
            || (y > 0.0 && found.y < y + CUT)
            || (x + width < frame[0] as f32 && found.right() > x + width - CUT)
            || (y + height < frame[1] as f32 && found.bottom() > y + height - CUT);
        if is_cut { None } else { found.clipped(frame[0], frame[1]) }
    }
}

/// Scales windows into inputs of one size; keeps its memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cutter {
    columns: Taps,
    rows: Taps,
    /// Rows of the window that become one row of the input, summed: the channels of each column.
    sum: Vec<f32>,
}

impl Cutter {
    /// Writes `window` of `frame` into `input`, planes `[3, size, size]` of red, green and blue, each value
    /// `(value / 255 - mean) / deviation`. Grey frames have three like planes.
    pub(crate) fn cut(
        &mut self,
        frame: &Frame,
        window: Window,
        size: usize,
        [mean, deviation]: [[f32; 3]; 2],
        input: &mut [f32],
    ) {
        let plane = size * size;
        let gain: [f32; 3] = std::array::from_fn(|channel| 1.0 / (255.0 * deviation[channel]));
        let shift: [f32; 3] = std::array::from_fn(|channel| -mean[channel] / deviation[channel]);
        for (channel, values) in input.chunks_exact_mut(plane).enumerate() {
            values.fill(PADDING / deviation[channel] + shift[channel]);
        }
        let [x, y, width, height] = window.area;
        if window.scale == 1.0 {
            // Nothing lies between pixels, as in every tile.
            for row in 0..height {
                let pixels = row_of(frame, y + row, [x, width]);
                let channels = pixels.len() / width;
                for channel in 0..3 {
                    let values = &mut input[channel * plane + row * size..][..width];
                    let of_channel = pixels[channel.min(channels - 1)..].iter().step_by(channels);
                    for (value, &byte) in values.iter_mut().zip(of_channel) {
                        *value = f32::from(byte) * gain[channel] + shift[channel];
                    }
                }
            }
            return;
        }
        let scaled = |length: usize| ((length as f32 * window.scale).round() as usize).clamp(1, size);
        let (new_width, new_height) = (scaled(width), scaled(height));
        self.columns.prepare(width, new_width, 1.0 / window.scale);
        self.rows.prepare(height, new_height, 1.0 / window.scale);
        for row in 0..new_height {
            self.sum.clear();
            for (source, weight) in self.rows.of(row).filter(|(_, weight)| *weight > 0.0) {
                let values = row_of(frame, y + source, [x, width]);
                self.sum.resize(values.len(), 0.0);
                self.sum.iter_mut().zip(values).for_each(|(sum, &value)| *sum += weight * f32::from(value));
            }
            let channels = self.sum.len() / width;
            for channel in 0..3 {
                let start = channel * plane + row * size;
                let values = &mut input[start..start + new_width];
                let of_channel = |at: usize| self.sum[at * channels + channel.min(channels - 1)];
                for (to, value) in values.iter_mut().enumerate() {
                    *value = self.columns.blend(to, of_channel) * gain[channel] + shift[channel];
                }
            }
        }
    }
}

/// The bytes of row `y` from column `x` on, `width` pixels of it.
fn row_of(frame: &Frame, y: usize, [x, width]: [usize; 2]) -> &[u8] {
    match &frame.rgb {
        Some(rgb) => &rgb.row(y)[3 * x..3 * (x + width)],
        None => &frame.gray.row(y)[x..x + width],
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use geometry::{GrayImage, PinholeCamera, RgbImage, Timestamp};

    use super::*;

    #[test]
    fn a_tile_has_the_pixels_of_the_frame_and_grey_beside_them() {
        const SIZE: usize = 8;
        let rgb = RgbImage::from_fn(6, 5, |x, y| [10 * x as u8, 40 * y as u8, 200]);
        let gray = GrayImage::from_fn(6, 5, |x, y| [(10 * x + y) as u8]);
        let camera = Arc::new(PinholeCamera::from_horizontal_fov(6, 5, 1.0).unwrap());
        let gray = Frame { stamp: Timestamp::from_nanos(0), seq: 0, gray: Arc::new(gray), rgb: None, camera };
        let color = Frame { rgb: Some(Arc::new(rgb.clone())), ..gray.clone() };
        let normalisation = [[0.5, 0.4, 0.3], [0.25, 0.5, 1.0]];
        let window = Window { area: [1, 2, 5, 3], scale: 1.0 };
        for frame in [color, gray] {
            let mut input = vec![f32::NAN; 3 * SIZE * SIZE];
            Cutter::default().cut(&frame, window, SIZE, normalisation, &mut input);
            for (place, found) in input.into_iter().enumerate() {
                let (channel, y, x) = (place / (SIZE * SIZE), place / SIZE % SIZE, place % SIZE);
                let value = match &frame.rgb {
                    _ if x >= 5 || y >= 3 => 127.5,
                    Some(rgb) => f32::from(rgb.pixel(x + 1, y + 2)[channel]),
                    None => f32::from(frame.gray.pixel(x + 1, y + 2)[0]),
                };
                let wanted = (value / 255.0 - normalisation[0][channel]) / normalisation[1][channel];
                assert!((found - wanted).abs() < 1e-5, "{channel} {x} {y}: {found}, {wanted}");
            }
        }
    }
}
