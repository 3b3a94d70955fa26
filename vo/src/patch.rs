//! Square patches of grey values.

use geometry::GrayImage;
use nalgebra::Vector2;

/// Side of a patch in pixels.
pub(crate) const SIDE: usize = 16;
/// A patch with a border of one for gradients.
const BORDERED: usize = SIDE + 2;
/// From a patch's centre to its first sample.
pub(crate) const HALF: f32 = (SIDE as f32 - 1.0) / 2.0;

/// Grey values, row by row.
pub(crate) type Patch = [[f32; SIDE]; SIDE];

/// Runs `work` compiled for the widest vector unit at hand. What it calls must be inlined into it to gain.
///
/// The result is the same on all: sums are written lane by lane, and nothing is fused or reordered.
#[inline(always)]
pub(crate) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// The patch around `pixel`, its mean taken out, and its gradients along x and y; `None` where it leaves the image.
#[inline(always)]
pub(crate) fn gradients(image: &GrayImage, pixel: Vector2<f32>) -> Option<(Patch, Patch, Patch)> {
    let bordered: [[f32; BORDERED]; BORDERED] = sample(image, pixel.map(|v| v - HALF - 1.0))?;
    let mut values = [[0.0; SIDE]; SIDE];
    let (mut gradient_x, mut gradient_y) = (values, values);
    for y in 0..SIDE {
        for x in 0..SIDE {
            values[y][x] = bordered[y + 1][x + 1];
            gradient_x[y][x] = 0.5 * (bordered[y + 1][x + 2] - bordered[y + 1][x]);
            gradient_y[y][x] = 0.5 * (bordered[y + 2][x + 1] - bordered[y][x + 1]);
        }
    }
    let mean = mean(&values);
    values.iter_mut().flatten().for_each(|v| *v -= mean);
    Some((values, gradient_x, gradient_y))
}

#[inline(always)]
fn mean(patch: &Patch) -> f32 {
    let mut sums = [0.0; SIDE];
    for row in patch {
        for x in 0..SIDE {
            sums[x] += row[x];
        }
    }
    sums.iter().sum::<f32>() / (SIDE * SIDE) as f32
}

/// Normalised cross-correlation, in `[-1, 1]`, with a template of mean zero.
#[inline(always)]
pub(crate) fn correlation(template: &Patch, patch: &Patch) -> f32 {
    let mean = mean(patch);
    let variance = dot(patch, patch) - mean * mean * (SIDE * SIDE) as f32;
    dot(patch, template) / (variance.max(1e-3) * dot(template, template).max(1e-3)).sqrt()
}

/// Sum of the products.
#[inline(always)]
pub(crate) fn dot(a: &Patch, b: &Patch) -> f32 {
    // One sum per column, so that the compiler may use vectors.
    let mut sums = [0.0; SIDE];
    for (a, b) in a.iter().zip(b) {
        for x in 0..SIDE {
            sums[x] += a[x] * b[x];
        }
    }
    sums.iter().sum()
}

/// Whether a bilinear sample at `at` needs nothing from outside the image, with a pixel to spare for rounding.
#[inline(always)]
pub(crate) fn inside(image: &GrayImage, at: &Vector2<f32>) -> bool {
    at.x >= 0.0 && at.y >= 0.0 && (at.x as usize) + 2 < image.width() && (at.y as usize) + 2 < image.height()
}

/// Bilinear samples of a square whose first sample lies at `start`; `None` where it leaves the image.
#[inline(always)]
pub(crate) fn sample<const N: usize>(image: &GrayImage, start: Vector2<f32>) -> Option<[[f32; N]; N]> {
    let (x0, y0) = (start.x.floor(), start.y.floor());
    let inside =
        x0 >= 0.0 && y0 >= 0.0 && x0 as usize + N < image.width() && y0 as usize + N < image.height();
    if !inside {
        return None;
    }
    let (ax, ay) = (start.x - x0, start.y - y0);
    let weights = [(1.0 - ax) * (1.0 - ay), ax * (1.0 - ay), (1.0 - ax) * ay, ax * ay];
    let (x0, y0) = (x0 as usize, y0 as usize);
    let mut patch = [[0.0; N]; N];
    for (y, out) in patch.iter_mut().enumerate() {
        let top = &image.row(y0 + y)[x0..x0 + N + 1];
        let bottom = &image.row(y0 + y + 1)[x0..x0 + N + 1];
        for x in 0..N {
            out[x] = weights[0] * f32::from(top[x])
                + weights[1] * f32::from(top[x + 1])
                + weights[2] * f32::from(bottom[x])
                + weights[3] * f32::from(bottom[x + 1]);
        }
    }
    Some(patch)
}
