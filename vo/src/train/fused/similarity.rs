//! Structural similarity over windows of 3x3 pixels, and its gradient.
//!
//! Means over windows are sums of three along rows, then of three rows; an image is continued at its borders by its
//! reflection, without the border pixel itself.

use rayon::prelude::*;

use super::super::plain::{C1, C2};

/// Height and width of images, at least 2.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) height: usize,
    pub(super) width: usize,
}

/// What two windows come to.
struct Window {
    numerators: [f32; 2],
    denominators: [f32; 2],
    means: [f32; 2],
}

impl Window {
    /// From the means of `x`, `y`, `x^2`, `y^2` and `x y`.
    fn new([x, y, xx, yy, xy]: [f32; 5]) -> Self {
        Self {
            numerators: [2.0 * x * y + C1, 2.0 * (xy - x * y) + C2],
            denominators: [x * x + y * y + C1, (xx - x * x) + (yy - y * y) + C2],
            means: [x, y],
        }
    }

    fn similarity(&self) -> f32 {
        self.numerators[0] * self.numerators[1] / (self.denominators[0] * self.denominators[1])
    }

    /// Derivatives of the similarity by the means of `x`, `x^2` and `x y`.
    fn derivatives(&self) -> [f32; 3] {
        let ([n1, n2], [d1, d2], [x, y]) = (self.numerators, self.denominators, self.means);
        let both = d1 * d2;
        let similarity = n1 * n2 / both;
        [
            2.0 * y * (n2 - n1) / both - similarity * 2.0 * x * (1.0 / d1 - 1.0 / d2),
            -similarity / d2,
            2.0 * n1 / both,
        ]
    }
}

impl Size {
    fn pixels(self) -> usize {
        self.height * self.width
    }

    /// `clamp((1 - SSIM) / 2, 0, 1)` for each pixel of each plane.
    pub(super) fn dissimilarity(self, x: &[f32], y: &[f32]) -> Vec<f32> {
        let mut output = vec![0.0; x.len()];
        let planes = output.par_chunks_mut(self.pixels()).zip(x.par_chunks(self.pixels()));
        planes.zip(y.par_chunks(self.pixels())).for_each(|((output, x), y)| {
            let means = self.all_means(x, y);
            for (index, output) in output.iter_mut().enumerate() {
                *output = dissimilarity(&Window::new(std::array::from_fn(|of| means[of][index])));
            }
        });
        output
    }

    /// The gradient by `x` of the sum of the products of [`Size::dissimilarity`] and `gradient`.
    pub(super) fn gradient(self, x: &[f32], y: &[f32], gradient: &[f32]) -> Vec<f32> {
        let mut output = vec![0.0; x.len()];
        let pixels = self.pixels();
        let planes = output.par_chunks_mut(pixels).zip(x.par_chunks(pixels)).zip(y.par_chunks(pixels));
        planes.zip(gradient.par_chunks(pixels)).for_each(|(((output, x), y), gradient)| {
            self.plane_gradient(x, y, gradient, output);
        });
        output
    }

    fn plane_gradient(self, x: &[f32], y: &[f32], gradient: &[f32], output: &mut [f32]) {
        let means = self.all_means(x, y);
        let mut of_means = [0, 1, 2].map(|_| vec![0.0; self.pixels()]);
        for (index, &gradient) in gradient.iter().enumerate() {
            let window = Window::new(std::array::from_fn(|of| means[of][index]));
            let is_clamped = !(0.0..=1.0).contains(&((1.0 - window.similarity()) / 2.0));
            let gradient = if is_clamped { 0.0 } else { -gradient / 2.0 };
            let derivatives = window.derivatives();
            (0..3).for_each(|of| of_means[of][index] = gradient * derivatives[of]);
        }
        let [of_x, of_xx, of_xy] = of_means.map(|of| self.spread(&of));
        for (index, output) in output.iter_mut().enumerate() {
            *output = of_x[index] + 2.0 * x[index] * of_xx[index] + y[index] * of_xy[index];
        }
    }

    /// Means over windows of `x`, `y`, `x^2`, `y^2` and `x y`.
    fn all_means(self, x: &[f32], y: &[f32]) -> [Vec<f32>; 5] {
        let product = |a: &[f32], b: &[f32]| -> Vec<f32> { a.iter().zip(b).map(|(a, b)| a * b).collect() };
        let means = |values: &[f32]| self.means(values);
        [means(x), means(y), means(&product(x, x)), means(&product(y, y)), means(&product(x, y))]
    }

    /// The mean over the window around each pixel.
    fn means(self, plane: &[f32]) -> Vec<f32> {
        let Self { height, width } = self;
        let mut along = vec![0.0; plane.len()];
        for (sums, row) in along.chunks_exact_mut(width).zip(plane.chunks_exact(width)) {
            for (sum, three) in sums[1..].iter_mut().zip(row.windows(3)) {
                *sum = three[0] + three[1] + three[2];
            }
            sums[0] = row[0] + 2.0 * row[1];
            sums[width - 1] = row[width - 1] + 2.0 * row[width - 2];
        }
        let mut means = vec![0.0; plane.len()];
        for (y, means) in means.chunks_exact_mut(width).enumerate() {
            let above = if y == 0 { 1 } else { y - 1 };
            let below = if y == height - 1 { height - 2 } else { y + 1 };
            let [above, here, below] = [above, y, below].map(|y| &along[y * width..][..width]);
            for (x, mean) in means.iter_mut().enumerate() {
                *mean = (above[x] + here[x] + below[x]) / 9.0;
            }
        }
        means
    }

    /// The gradient of [`Size::means`]: what each pixel gives to the windows that see it.
    fn spread(self, of_means: &[f32]) -> Vec<f32> {
        let Self { height, width } = self;
        let mut down = vec![0.0; of_means.len()];
        for (y, row) in of_means.chunks_exact(width).enumerate() {
            let above = if y == 0 { 1 } else { y - 1 };
            let below = if y == height - 1 { height - 2 } else { y + 1 };
            for target in [above, y, below] {
                let target = &mut down[target * width..][..width];
                target.iter_mut().zip(row).for_each(|(target, value)| *target += value / 9.0);
            }
        }
        let mut output = vec![0.0; of_means.len()];
        for (output, row) in output.chunks_exact_mut(width).zip(down.chunks_exact(width)) {
            output.copy_from_slice(row);
            for (x, value) in row.iter().enumerate() {
                output[if x == 0 { 1 } else { x - 1 }] += value;
                output[if x == width - 1 { width - 2 } else { x + 1 }] += value;
            }
        }
        output
    }
}

fn dissimilarity(window: &Window) -> f32 {
    ((1.0 - window.similarity()) / 2.0).clamp(0.0, 1.0)
}
