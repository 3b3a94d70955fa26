//! Gradients of functions of single values that a convolution applies to what it makes.
//!
//! All that are here can tell their slope from what they gave, so that what they were given need not be kept.

use rayon::prelude::*;

use crate::architecture::Activation;
use crate::float_kernels::{LANES, vectorized};

/// Whether the slope of a function can be told from what it gave: [`apply`] and [`gradient`] know these.
pub(crate) fn is_known_by_output(function: Activation) -> bool {
    !matches!(function, Activation::HardSwish)
}

/// Makes of the gradient of what a function gave that of what it was given, and sums it over each plane of `pixels`.
pub(crate) fn gradient(
    function: Option<Activation>,
    output: &[f32],
    gradient: &mut [f32],
    pixels: usize,
) -> Vec<f32> {
    let planes = gradient.par_chunks_exact_mut(pixels).zip(output.par_chunks_exact(pixels));
    let sum = |(gradient, output): (&mut [f32], &[f32])| {
        vectorized(|| {
            slope(function, output, gradient);
            sum(gradient)
        })
    };
    planes.map(sum).collect()
}

#[inline(always)]
fn slope(function: Option<Activation>, output: &[f32], gradient: &mut [f32]) {
    match function {
        None | Some(Activation::HardSwish) => {}
        Some(Activation::Relu) => {
            times(output, gradient, |y, gradient| if y <= 0.0 { 0.0 } else { gradient });
        }
        Some(Activation::Relu6) => {
            times(output, gradient, |y, gradient| if (y <= 0.0) | (y >= 6.0) { 0.0 } else { gradient });
        }
        Some(Activation::Elu) => {
            times(output, gradient, |y, gradient| if y <= 0.0 { (y + 1.0) * gradient } else { gradient });
        }
        Some(Activation::Sigmoid) => times(output, gradient, |y, gradient| y * (1.0 - y) * gradient),
        Some(Activation::HardSigmoid) => {
            times(output, gradient, |y, gradient| if (y <= 0.0) | (y >= 1.0) { 0.0 } else { gradient / 6.0 });
        }
    }
}

#[inline(always)]
fn times(output: &[f32], gradient: &mut [f32], of: impl Fn(f32, f32) -> f32) {
    gradient.iter_mut().zip(output).for_each(|(gradient, &output)| *gradient = of(output, *gradient));
}

#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for block in blocks {
        sums.iter_mut().zip(block).for_each(|(sum, value)| *sum += value);
    }
    sums.iter().sum::<f32>() + rest.iter().sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float_kernels::apply;

    #[test]
    fn slopes_are_those_of_the_functions() {
        let values: Vec<f32> = (-40..=80).map(|step| step as f32 * 0.1 + 0.03).collect();
        let step = 1e-2;
        let given = |function, by: f32| {
            let mut values: Vec<f32> = values.iter().map(|value| value + by).collect();
            apply(Some(function), &mut values);
            values
        };
        use Activation::{Elu, HardSigmoid, Relu, Relu6, Sigmoid};
        for function in [Relu, Relu6, Elu, Sigmoid, HardSigmoid] {
            assert!(is_known_by_output(function));
            let mut found = vec![1.0; values.len()];
            let sums = gradient(Some(function), &given(function, 0.0), &mut found, values.len());
            assert!((sums[0] - found.iter().sum::<f32>()).abs() < 1e-4);
            for (index, (after, before)) in
                given(function, step).iter().zip(given(function, -step)).enumerate()
            {
                let wanted = (after - before) / (2.0 * step);
                assert!(
                    (found[index] - wanted).abs() < 1e-3,
                    "{function:?} at {}: {}",
                    values[index],
                    found[index]
                );
            }
            let mut broken = [f32::NAN];
            apply(Some(function), &mut broken);
            assert!(broken[0].is_nan(), "{function:?}");
        }
    }
}
