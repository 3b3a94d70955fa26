//! Functions of single values that a convolution applies to what it makes, and their gradients.
//!
//! All that are here can tell their slope from what they gave, so that what they were given need not be kept.

use rayon::prelude::*;

use super::lanes::{LANES, vectorized};
use crate::architecture::Activation;

/// Whether the slope of a function can be told from what it gave: [`apply`] and [`gradient`] know these.
pub(crate) fn is_known_by_output(function: Activation) -> bool {
    !matches!(function, Activation::HardSwish)
}

/// Puts the values of a function in the place of what it is given. A NaN stays one.
#[inline(always)]
pub(super) fn apply(function: Option<Activation>, values: &mut [f32]) {
    match function {
        None | Some(Activation::HardSwish) => {}
        Some(Activation::Relu) => each(values, |x| if x <= 0.0 { 0.0 } else { x }),
        Some(Activation::Relu6) => each(values, |x| x.clamp(0.0, 6.0)),
        Some(Activation::Elu) => each(values, |x| if x <= 0.0 { exp(x) - 1.0 } else { x }),
        Some(Activation::Sigmoid) => each(values, |x| 1.0 / (1.0 + exp(-x))),
        Some(Activation::HardSigmoid) => each(values, |x| (x / 6.0 + 0.5).clamp(0.0, 1.0)),
    }
}

#[inline(always)]
fn each(values: &mut [f32], of: impl Fn(f32) -> f32) {
    values.iter_mut().for_each(|value| *value = of(*value));
}

/// Makes of the gradient of what a function gave that of what it was given, and sums it over each plane of `pixels`.
pub(super) fn gradient(
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

/// The exponential function to 2 units in the last place, in operations of which processors do several at once.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// 1.5 * 2^23: a number added to it is rounded to an integer, which is then in its last bits.
    const ROUND: f32 = 12_582_912.0;
    /// The natural logarithm of 2, in a part of few digits and the rest.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let x = if x < -87.0 { -87.0 } else { x };
    let x = if x > 88.0 { 88.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let power = rounded - ROUND;
    let rest = x - power * LN_2[0] - power * LN_2[1];
    let coefficients = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0];
    let series =
        coefficients.into_iter().fold(1.0 / 5040.0, |sum: f32, coefficient| sum * rest + coefficient);
    series * f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_function_is_that_of_the_library() {
        for step in -8_700..=8_800 {
            let x = step as f32 * 0.01;
            let wanted = f64::from(x).exp();
            let error = (f64::from(exp(x)) - wanted).abs() / wanted;
            assert!(error < 2.5e-7, "at {x}: {error}");
        }
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
    }

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
