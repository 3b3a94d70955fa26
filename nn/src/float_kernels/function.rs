//! Functions of single values that a convolution applies to what it makes.

use crate::architecture::Activation;

/// What is done to results.
#[derive(Clone, Copy, Debug)]
pub(crate) struct After<'a> {
    /// Added to each channel; nothing where it is empty.
    pub(crate) bias: &'a [f32],
    pub(crate) function: Option<Activation>,
}

/// Puts the values of a function in the place of what it is given. A NaN stays one.
#[inline(always)]
pub(crate) fn apply(function: Option<Activation>, values: &mut [f32]) {
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
}
