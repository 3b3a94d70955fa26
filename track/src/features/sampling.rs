//! Windows of an image, brought to a fixed size.

use geometry::Image;

/// A rectangle of samples over an image, all sides in pixels of that image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    /// Middle of the window; pixel `(0, 0)` has its centre at the origin.
    pub(crate) center: [f32; 2],
    /// From one sample to the next, along the window's own x and y.
    pub(crate) step: [f32; 2],
    /// Samples along the window's own x and y.
    pub(crate) size: [usize; 2],
    /// Angle in radians from the image's x to the window's, towards y.
    pub(crate) turn: f32,
}

/// A smaller turn than this many radians is none: a pixel in a hundred.
const LEAST_TURN: f32 = 0.01;
/// Samples beyond a turned window that those inside are interpolated from.
const MARGIN: f32 = 2.0;

/// Along one axis: which values make a sample, and with what weight. Each sample has the same number of them.
struct Taps {
    per_sample: usize,
    index: Vec<u32>,
    weight: Vec<f32>,
}

/// Most values that make one sample; beyond, they are spread thinner.
const MAX_TAPS: usize = 6;

impl Taps {
    /// For samples `step` apart around `center` in a row of `length` values; beyond its ends the outermost value goes on.
    fn new(center: f32, step: f32, count: usize, length: usize) -> Self {
        let points = (step.ceil() as usize).clamp(1, MAX_TAPS / 2);
        let per_sample = 2 * points;
        let last = length as f32 - 1.0;
        let (mut index, mut weight) = (Vec::new(), Vec::new());
        for sample in 0..count {
            for point in 0..points {
                let within = (point as f32 + 0.5) / points as f32 - 0.5;
                let at = center + (sample as f32 - (count as f32 - 1.0) / 2.0 + within) * step;
                let at = at.clamp(0.0, last);
                let floor = at.floor();
                let second = at - floor;
                index.extend([floor as u32, (floor + 1.0).min(last) as u32]);
                weight.extend([(1.0 - second) / points as f32, second / points as f32]);
            }
        }
        Self { per_sample, index, weight }
    }

    fn of(&self, sample: usize) -> (&[u32], &[f32]) {
        let range = sample * self.per_sample..(sample + 1) * self.per_sample;
        (&self.index[range.clone()], &self.weight[range])
    }

    /// The samples of `line`, which begins with the value `first` of its row.
    #[inline(always)]
    fn resample<const TAPS: usize, const CHANNELS: usize>(
        &self,
        line: &[f32],
        first: usize,
        out: &mut [f32],
    ) {
        let pixels = line.as_chunks::<CHANNELS>().0;
        let taps = self.index.as_chunks::<TAPS>().0.iter().zip(self.weight.as_chunks::<TAPS>().0);
        for (out, (indices, weights)) in out.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(taps) {
            *out = [0.0; CHANNELS];
            for (index, weight) in indices.iter().zip(weights) {
                let pixel = &pixels[*index as usize - first];
                out.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += weight * value);
            }
        }
    }

    fn range(&self) -> std::ops::Range<usize> {
        let first = self.index.iter().min().copied().unwrap_or(0);
        let last = self.index.iter().max().copied().unwrap_or(0);
        first as usize..last as usize + 1
    }
}

/// Takes samples; its buffer is kept.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    upright: Vec<f32>,
}

impl Sampler {
    /// Fills `out`, shape `[height, width, CHANNELS]`, with samples of `image` in `[0, 1]`. Each is a mean over the area it
    /// stands for, so that a reduction does not alias.
    pub(crate) fn sample<const CHANNELS: usize>(
        &mut self,
        image: &Image<u8, CHANNELS>,
        window: &Window,
        out: &mut Vec<f32>,
    ) {
        if window.turn.abs() < LEAST_TURN {
            sample_upright(image, window, out);
        } else {
            self.sample_turned(image, window, out);
        }
    }

    /// Samples upright around the window first, which reduces it, then turns by interpolating between those.
    fn sample_turned<const CHANNELS: usize>(
        &mut self,
        image: &Image<u8, CHANNELS>,
        window: &Window,
        out: &mut Vec<f32>,
    ) {
        let (sin, cos) = window.turn.sin_cos();
        let half = [0, 1].map(|axis| window.step[axis] * window.size[axis] as f32 / 2.0);
        let reach = [half[0] * cos.abs() + half[1] * sin.abs(), half[0] * sin.abs() + half[1] * cos.abs()];
        // No finer than the pixels, whose values are then taken as they are.
        let step = window.step[0].min(window.step[1]).max(1.0);
        let center = if step > 1.0 { window.center } else { window.center.map(f32::round) };
        let size = reach.map(|reach| 2 * (reach / step + MARGIN).ceil() as usize + 1);
        let around = Window { center, step: [step; 2], size, turn: 0.0 };
        sample_upright(image, &around, &mut self.upright);
        // All in samples of the upright window.
        let middle = [0, 1].map(|axis| (window.center[axis] - center[axis]) / step + (size[axis] / 2) as f32);
        let [along, down] = window.step.map(|v| v / step);
        let pixels = self.upright.as_chunks::<CHANNELS>().0;
        let [width, height] = window.size;
        out.resize(width * height * CHANNELS, 0.0);
        for (y, line) in out.chunks_exact_mut(width * CHANNELS).enumerate() {
            let v = (y as f32 - (height as f32 - 1.0) / 2.0) * down;
            for (x, out) in line.as_chunks_mut::<CHANNELS>().0.iter_mut().enumerate() {
                let u = (x as f32 - (width as f32 - 1.0) / 2.0) * along;
                let at = [middle[0] + cos * u - sin * v, middle[1] + sin * u + cos * v];
                *out = between(pixels, size[0], at);
            }
        }
    }
}

/// The value at `at` between the four samples around it.
#[inline(always)]
fn between<const CHANNELS: usize>(pixels: &[[f32; CHANNELS]], width: usize, at: [f32; 2]) -> [f32; CHANNELS] {
    let [x, y] = at.map(|v| v as usize);
    let [right, below] = [at[0] - x as f32, at[1] - y as f32];
    let first = y * width + x;
    let [a, b] = [&pixels[first], &pixels[first + 1]];
    let [c, d] = [&pixels[first + width], &pixels[first + width + 1]];
    std::array::from_fn(|i| {
        let (above, under) = (a[i] + (b[i] - a[i]) * right, c[i] + (d[i] - c[i]) * right);
        above + (under - above) * below
    })
}

fn sample_upright<const CHANNELS: usize>(image: &Image<u8, CHANNELS>, window: &Window, out: &mut Vec<f32>) {
    let [width, height] = window.size;
    out.resize(width * height * CHANNELS, 0.0);
    let columns = Taps::new(window.center[0], window.step[0], width, image.width());
    let rows = Taps::new(window.center[1], window.step[1], height, image.height());
    let range = columns.range();
    let mut line = vec![0.0; range.len() * CHANNELS];
    for (y, out) in out.chunks_exact_mut(width * CHANNELS).enumerate() {
        line.fill(0.0);
        let (indices, weights) = rows.of(y);
        for (&row, &weight) in indices.iter().zip(weights) {
            let values = &image.row(row as usize)[range.start * CHANNELS..range.end * CHANNELS];
            crate::simd::vectorized(|| add_scaled(&mut line, values, weight / 255.0));
        }
        match columns.per_sample {
            // A number that the compiler knows becomes a loop without a branch.
            2 => columns.resample::<2, CHANNELS>(&line, range.start, out),
            4 => columns.resample::<4, CHANNELS>(&line, range.start, out),
            _ => columns.resample::<MAX_TAPS, CHANNELS>(&line, range.start, out),
        }
    }
}

#[inline(always)]
fn add_scaled(line: &mut [f32], values: &[u8], weight: f32) {
    for (sum, &value) in line.iter_mut().zip(values) {
        *sum += weight * f32::from(value);
    }
}

#[cfg(test)]
mod tests {
    use geometry::GrayImage;

    use super::*;

    fn ramp() -> GrayImage {
        GrayImage::from_fn(40, 30, |x, y| [(4 * x + y) as u8])
    }

    fn sampled(center: [f32; 2], step: f32, size: [usize; 2]) -> Vec<f32> {
        let mut out = Vec::new();
        let window = Window { center, step: [step; 2], size, turn: 0.0 };
        Sampler::default().sample(&ramp(), &window, &mut out);
        out.iter().map(|v| v * 255.0).collect()
    }

    #[test]
    fn a_ramp_is_met_at_any_step() {
        for step in [0.3, 1.0, 1.7, 3.0] {
            let got = sampled([20.0, 15.0], step, [5, 5]);
            for (i, value) in got.iter().enumerate() {
                let (x, y) =
                    (20.0 + (i % 5) as f32 * step - 2.0 * step, 15.0 + (i / 5) as f32 * step - 2.0 * step);
                assert!((value - (4.0 * x + y)).abs() < 1e-2, "step {step}: {value} at {x}, {y}");
            }
        }
    }

    #[test]
    fn a_turned_window_sees_the_image_turned() {
        let image = GrayImage::from_fn(400, 300, |x, y| [(x / 4 + y / 3) as u8]);
        for (turn, step) in [(0.4, [1.0, 1.0]), (-1.2, [0.6, 1.7]), (3.0, [2.5, 3.5])] {
            let window = Window { center: [201.3, 150.8], step, size: [31, 20], turn };
            let mut out = Vec::new();
            Sampler::default().sample(&image, &window, &mut out);
            for (i, value) in out.iter().enumerate() {
                let (u, v) = (((i % 31) as f32 - 15.0) * step[0], ((i / 31) as f32 - 9.5) * step[1]);
                let x = 201.3 + turn.cos() * u - turn.sin() * v;
                let y = 150.8 + turn.sin() * u + turn.cos() * v;
                // The image has steps of a grey value.
                let error = value * 255.0 - (x / 4.0 + y / 3.0);
                assert!((-1.8..0.3).contains(&error), "{turn} at {x}, {y}: {error}");
            }
        }
    }

    #[test]
    fn beyond_the_image_its_edge_goes_on() {
        assert!(sampled([-50.0, -50.0], 1.0, [3, 3]).iter().all(|v| v.abs() < 1e-3));
        assert!(sampled([500.0, 500.0], 2.0, [3, 3]).iter().all(|v| (v - (4.0 * 39.0 + 29.0)).abs() < 1e-2));
    }
}
