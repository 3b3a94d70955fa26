//! An image of one camera as another sees it, and its gradients, in one pass over the pixels.
//!
//! With the inverse depth `r` of a pixel `(u, v)`, its ray `d = ((u - cx) / fx, (v - cy) / fy, 1)`, and the rotation `R` and
//! translation `t` of `source_from_target`, the pixel is seen in the source where `q = R d + r t` projects to: the point
//! itself is `q / r`, whose projection is the same, and which needs no division where something is infinitely far away.

use rayon::prelude::*;

use super::super::Padding;
use super::super::plain::NEAREST;

/// Sizes of what is synthesised.
#[derive(Clone, Copy, Debug)]
pub(super) struct Synthesis {
    pub(super) channels: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) padding: Padding,
}

/// Values of a batch: images `[batch, channels, height, width]`, inverse depths `[batch, 1, height, width]`, transforms
/// `[batch, 12]`, rows of `[R | t]`, and cameras `[batch, 4]`, `fx fy cx cy`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inputs<'a> {
    pub(super) source: &'a [f32],
    pub(super) inverse_depth: &'a [f32],
    pub(super) transform: &'a [f32],
    pub(super) camera: &'a [f32],
}

/// Gradients of [`Inputs`], in its order.
pub(super) struct Gradients {
    pub(super) source: Vec<f32>,
    pub(super) inverse_depth: Vec<f32>,
    pub(super) transform: Vec<f32>,
    pub(super) camera: Vec<f32>,
}

/// One image of a batch.
struct One<'a> {
    of: Synthesis,
    source: &'a [f32],
    inverse_depth: &'a [f32],
    transform: &'a [f32],
    camera: &'a [f32],
}

/// Where a pixel is seen.
struct Seen {
    ray: [f32; 2],
    q: [f32; 3],
    pixel: [f32; 2],
}

/// The four pixels around a place, and how they are mixed.
struct Taps {
    /// Index of each; of one beside it where it lies outside.
    index: [usize; 4],
    /// 1 for those that are there, 0 for those outside, where that is black.
    presence: [f32; 4],
    /// How far the place is from the first, in both directions.
    fraction: [f32; 2],
    /// Whether a step in each direction changes what is seen.
    moves: [bool; 2],
    is_inside: bool,
}

impl Synthesis {
    fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Channels of the output: those of the source, the depth in the source, and whether the pixel is seen there.
    pub(super) fn output_channels(&self) -> usize {
        self.channels + 2
    }

    pub(super) fn forward(&self, inputs: Inputs<'_>) -> Vec<f32> {
        let size = self.output_channels() * self.pixels();
        let mut output = vec![0.0; inputs.transform.len() / 12 * size];
        let images = output.par_chunks_mut(size).enumerate();
        images.for_each(|(index, output)| self.one(inputs, index).forward(output));
        output
    }

    /// Of the sum of the products of output and `gradient`; that of the source where `wants_source`, else empty.
    pub(super) fn gradients(&self, inputs: Inputs<'_>, gradient: &[f32], wants_source: bool) -> Gradients {
        let batch = inputs.transform.len() / 12;
        let (size, pixels) = (self.output_channels() * self.pixels(), self.pixels());
        let images = (0..batch).into_par_iter().map(|index| {
            let mut source = vec![0.0; if wants_source { self.channels * pixels } else { 0 }];
            let mut inverse_depth = vec![0.0; pixels];
            let one = self.one(inputs, index);
            let gradient = &gradient[index * size..][..size];
            let (transform, camera) = one.gradients(gradient, &mut source, &mut inverse_depth);
            Gradients { source, inverse_depth, transform: transform.into(), camera: camera.into() }
        });
        let images: Vec<Gradients> = images.collect();
        let all = |part: fn(&Gradients) -> &[f32]| images.iter().flat_map(part).copied().collect();
        Gradients {
            source: all(|image| &image.source),
            inverse_depth: all(|image| &image.inverse_depth),
            transform: all(|image| &image.transform),
            camera: all(|image| &image.camera),
        }
    }

    fn one<'a>(&self, inputs: Inputs<'a>, index: usize) -> One<'a> {
        let part = |values: &'a [f32], size: usize| &values[index * size..][..size];
        One {
            of: *self,
            source: part(inputs.source, self.channels * self.pixels()),
            inverse_depth: part(inputs.inverse_depth, self.pixels()),
            transform: part(inputs.transform, 12),
            camera: part(inputs.camera, 4),
        }
    }

    fn taps(&self, [x, y]: [f32; 2]) -> Taps {
        let (right, bottom) = ((self.width - 1) as f32, (self.height - 1) as f32);
        let is_in = [(0.0..=right).contains(&x), (0.0..=bottom).contains(&y)];
        let [x, y] = match self.padding {
            Padding::Border => [x.clamp(0.0, right), y.clamp(0.0, bottom)],
            // What is far outside is as black as what is a little more than a pixel outside.
            Padding::Zeros => [x.clamp(-2.0, right + 2.0), y.clamp(-2.0, bottom + 2.0)],
        };
        let (left, top) = (x.floor(), y.floor());
        let columns =
            [left, left + 1.0].map(|x| (x.clamp(0.0, right), f32::from((0.0..=right).contains(&x))));
        let rows = [top, top + 1.0].map(|y| (y.clamp(0.0, bottom), f32::from((0.0..=bottom).contains(&y))));
        let [a, b, c, d] = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(column, row): (usize, usize)| {
            let ((x, is_column), (y, is_row)) = (columns[column], rows[row]);
            (y as usize * self.width + x as usize, is_column * is_row)
        });
        let (index, presence) = ([a.0, b.0, c.0, d.0], [a.1, b.1, c.1, d.1]);
        let moves = if self.padding == Padding::Border { is_in } else { [true; 2] };
        Taps { index, presence, fraction: [x - left, y - top], moves, is_inside: is_in[0] && is_in[1] }
    }
}

impl Taps {
    fn weights(&self) -> [f32; 4] {
        let [x, y] = self.fraction;
        let weights = [(1.0 - x) * (1.0 - y), x * (1.0 - y), (1.0 - x) * y, x * y];
        std::array::from_fn(|tap| weights[tap] * self.presence[tap])
    }

    fn values(&self, plane: &[f32]) -> [f32; 4] {
        std::array::from_fn(|tap| plane[self.index[tap]] * self.presence[tap])
    }

    /// How much what is seen in `values` changes with a step of one pixel in each direction.
    fn slope(&self, [a, b, c, d]: [f32; 4]) -> [f32; 2] {
        let [x, y] = self.fraction;
        let slope = [(b - a) * (1.0 - y) + (d - c) * y, (c - a) * (1.0 - x) + (d - b) * x];
        [0, 1].map(|axis| if self.moves[axis] { slope[axis] } else { 0.0 })
    }
}

impl One<'_> {
    /// Where the target's pixel `(u, v)` of inverse depth `r` is seen; `None` where it is not before the camera.
    fn project(&self, u: usize, v: usize, r: f32) -> Option<Seen> {
        let &[fx, fy, cx, cy] = self.camera else { return None };
        let ray = [(u as f32 - cx) / fx, (v as f32 - cy) / fy];
        let q = [0, 1, 2].map(|axis| {
            let row = &self.transform[axis * 4..][..4];
            row[0] * ray[0] + row[1] * ray[1] + row[2] + row[3] * r
        });
        let pixel = [fx * q[0] / q[2] + cx, fy * q[1] / q[2] + cy];
        (q[2] > NEAREST && r > 0.0).then_some(Seen { ray, q, pixel })
    }

    fn forward(&self, output: &mut [f32]) {
        let Synthesis { channels, width, .. } = self.of;
        let pixels = self.of.pixels();
        for (index, &r) in self.inverse_depth.iter().enumerate() {
            let Some(seen) = self.project(index % width, index / width, r) else { continue };
            let taps = self.of.taps(seen.pixel);
            let weights = taps.weights();
            for channel in 0..channels {
                let plane = &self.source[channel * pixels..][..pixels];
                let parts = taps.index.iter().zip(weights).map(|(&tap, weight)| plane[tap] * weight);
                output[channel * pixels + index] = parts.sum();
            }
            output[channels * pixels + index] = seen.q[2] / r;
            output[(channels + 1) * pixels + index] = f32::from(taps.is_inside);
        }
    }

    /// Adds to the gradients of source and inverse depth; returns those of transform and camera.
    fn gradients(
        &self,
        gradient: &[f32],
        of_source: &mut [f32],
        of_inverse_depth: &mut [f32],
    ) -> ([f32; 12], [f32; 4]) {
        let Synthesis { channels, width, .. } = self.of;
        let pixels = self.of.pixels();
        // Sums over all pixels want more digits than a pixel has.
        let (mut of_transform, mut of_camera) = ([0.0_f64; 12], [0.0_f64; 4]);
        for (index, &r) in self.inverse_depth.iter().enumerate() {
            let Some(seen) = self.project(index % width, index / width, r) else { continue };
            let taps = self.of.taps(seen.pixel);
            let weights = taps.weights();
            let mut of_pixel = [0.0; 2];
            for channel in 0..channels {
                let g = gradient[channel * pixels + index];
                let slope = taps.slope(taps.values(&self.source[channel * pixels..][..pixels]));
                (0..2).for_each(|axis| of_pixel[axis] += g * slope[axis]);
                if !of_source.is_empty() {
                    let plane = &mut of_source[channel * pixels..][..pixels];
                    for (&tap, weight) in taps.index.iter().zip(weights) {
                        plane[tap] += g * weight;
                    }
                }
            }
            let of_depth = gradient[channels * pixels + index];
            let found = self.of_geometry(&seen, r, of_pixel, of_depth);
            of_inverse_depth[index] = found.inverse_depth;
            (0..12).for_each(|place| of_transform[place] += f64::from(found.transform[place]));
            (0..4).for_each(|place| of_camera[place] += f64::from(found.camera[place]));
        }
        (of_transform.map(|value| value as f32), of_camera.map(|value| value as f32))
    }

    /// From the gradients of the place that is seen and of the depth there to those of what decides them.
    fn of_geometry(&self, seen: &Seen, r: f32, of_pixel: [f32; 2], of_depth: f32) -> OfGeometry {
        let &[fx, fy, ..] = self.camera else { return OfGeometry::default() };
        let (Seen { ray, q, .. }, transform) = (seen, self.transform);
        let plane = [q[0] / q[2], q[1] / q[2]];
        let of_plane = [of_pixel[0] * fx, of_pixel[1] * fy];
        let of_q = [
            of_plane[0] / q[2],
            of_plane[1] / q[2],
            of_depth / r - (of_plane[0] * plane[0] + of_plane[1] * plane[1]) / q[2],
        ];
        let mut found = OfGeometry::default();
        let mut of_ray = [0.0; 2];
        for (row, of_q) in of_q.into_iter().enumerate() {
            for (place, factor) in [ray[0], ray[1], 1.0, r].into_iter().enumerate() {
                found.transform[row * 4 + place] = of_q * factor;
            }
            (0..2).for_each(|axis| of_ray[axis] += of_q * transform[row * 4 + axis]);
            found.inverse_depth += of_q * transform[row * 4 + 3];
        }
        found.inverse_depth -= of_depth * q[2] / (r * r);
        for (axis, focal) in [fx, fy].into_iter().enumerate() {
            found.camera[axis] = of_pixel[axis] * plane[axis] - of_ray[axis] * ray[axis] / focal;
            found.camera[axis + 2] = of_pixel[axis] - of_ray[axis] / focal;
        }
        found
    }
}

/// What a pixel adds to the gradients.
#[derive(Default)]
struct OfGeometry {
    inverse_depth: f32,
    transform: [f32; 12],
    camera: [f32; 4],
}
