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
