//! Windows of an image, brought to a fixed size.

use geometry::Image;

/// A rectangle of samples over an image, all sides in pixels of that image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Window {
    /// Middle of the window; pixel `(0, 0)` has its centre at the origin.
    pub(crate) center: [f32; 2],
    /// From one sample to the next, along x and y.
    pub(crate) step: [f32; 2],
    /// Samples along x and y.
    pub(crate) size: [usize; 2],
}

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

/// Fills `out`, shape `[height, width, CHANNELS]`, with samples of `image` in `[0, 1]`. Each is a mean over the area it
/// stands for, so that a reduction does not alias.
pub(crate) fn sample<const CHANNELS: usize>(
    image: &Image<u8, CHANNELS>,
    window: &Window,
    out: &mut Vec<f32>,
) {
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
        sample(&ramp(), &Window { center, step: [step; 2], size }, &mut out);
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
    fn beyond_the_image_its_edge_goes_on() {
        assert!(sampled([-50.0, -50.0], 1.0, [3, 3]).iter().all(|v| v.abs() < 1e-3));
        assert!(sampled([500.0, 500.0], 2.0, [3, 3]).iter().all(|v| (v - (4.0 * 39.0 + 29.0)).abs() < 1e-2));
    }
}
