//! Functions of single bytes.

use super::kernel::{Kernel, Work};
use super::lanes::Lanes;
use crate::error::{NnError, check_length};

/// Writes what the table has for each byte of `input`; the shorter of both slices ends it.
pub fn look_up(kernel: Kernel, input: &[u8], table: &[u8; 256], output: &mut [u8]) {
    kernel.run(LookUp { input, table, output });
}

struct LookUp<'a> {
    input: &'a [u8],
    table: &'a [u8; 256],
    output: &'a mut [u8],
}

impl Work for LookUp<'_> {
    type Output = ();

    #[inline(always)]
    fn on<L: Lanes>(self, lanes: L) {
        let length = self.output.len().min(self.input.len());
        let output = &mut self.output[..length];
        output.copy_from_slice(&self.input[..length]);
        lanes.look_up(self.table, output);
    }
}

/// Writes what the table has for each byte of `[pixels, channels]` into `[channels, pixels]`.
///
/// # Errors
/// [`NnError::Length`] where the lengths differ.
pub fn look_up_planes(
    channels: usize,
    input: &[u8],
    table: &[f32; 256],
    output: &mut [f32],
) -> Result<(), NnError> {
    check_length("values to look up", output.len(), input.len())?;
    let pixels = output.len() / channels;
    for (channel, plane) in output.chunks_exact_mut(pixels).enumerate() {
        for (value, pixel) in plane.iter_mut().zip(input.chunks_exact(channels)) {
            *value = table[usize::from(pixel[channel])];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_are_looked_up() {
        let table = std::array::from_fn(|byte| (byte as u8).wrapping_mul(7) ^ 0x5a);
        let input: Vec<_> = (0..=255).chain(3..90).collect();
        let expected: Vec<_> = input.iter().map(|&byte: &u8| byte.wrapping_mul(7) ^ 0x5a).collect();
        for kernel in Kernel::available() {
            let mut output = vec![0; input.len()];
            look_up(kernel, &input, &table, &mut output);
            assert_eq!(output, expected, "{kernel}");
        }
    }

    #[test]
    fn planes_of_floats_are_looked_up() {
        let table = std::array::from_fn(|byte| byte as f32 / 2.0);
        let mut output = [0.0; 6];
        look_up_planes(2, &[1, 2, 3, 4, 5, 6], &table, &mut output).unwrap();
        assert_eq!(output, [0.5, 1.5, 2.5, 1.0, 2.0, 3.0]);
        assert!(look_up_planes(2, &[1, 2], &table, &mut output).is_err());
    }
}
