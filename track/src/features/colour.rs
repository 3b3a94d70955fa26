//! Colours as people name them: how much of a colour is black, blue, brown ... white.
//!
//! The eleven basic colour terms of Berlin and Kay, each by one focal colour of our own choice, and a soft choice among
//! them by distance in CIELAB (CIE 015, D65).

use std::sync::LazyLock;

/// The terms, alphabetically as in [`FOCAL_SRGB`], and one value of padding.
pub(crate) const COLOUR_LENGTH: usize = 12;

/// Black, blue, brown, green, grey, orange, pink, purple, red, white, yellow.
const FOCAL_SRGB: [[u8; 3]; 11] = [
    [20, 20, 20],
    [40, 80, 180],
    [115, 75, 40],
    [55, 130, 60],
    [128, 128, 128],
    [235, 130, 35],
    [235, 150, 170],
    [115, 50, 130],
    [190, 30, 40],
    [240, 240, 240],
    [235, 205, 50],
];

/// Distance in CIELAB over which a name gives way to its neighbour.
const SOFTNESS: f32 = 18.0;
/// Levels per channel in the table.
const LEVELS: usize = 32;
const SHIFT: u32 = 3;

type Names = [f32; COLOUR_LENGTH];

static TABLE: LazyLock<Vec<Names>> = LazyLock::new(|| {
    let focal = FOCAL_SRGB.map(|rgb| lab(rgb.map(f32::from)));
    let level = |index: usize, shift: usize| ((index / shift % LEVELS) as f32 + 0.5) * (1 << SHIFT) as f32;
    let indices = 0..LEVELS * LEVELS * LEVELS;
    indices.map(|i| names(&focal, lab([level(i, LEVELS * LEVELS), level(i, LEVELS), level(i, 1)]))).collect()
});

fn names(focal: &[[f32; 3]; 11], colour: [f32; 3]) -> Names {
    let mut names = [0.0; COLOUR_LENGTH];
    for (name, focal) in names.iter_mut().zip(focal) {
        let squared: f32 = focal.iter().zip(colour).map(|(a, b)| (a - b).powi(2)).sum();
        *name = (-squared / (2.0 * SOFTNESS * SOFTNESS)).exp() + 1e-9;
    }
    let sum: f32 = names.iter().sum();
    names.map(|name| name / sum)
}

/// CIELAB of an sRGB colour in `[0, 255]`.
fn lab(rgb: [f32; 3]) -> [f32; 3] {
    let [r, g, b] = rgb.map(|v| {
        let v = v / 255.0;
        if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
    });
    let x = (0.412_456_4 * r + 0.357_576_1 * g + 0.180_437_5 * b) / 0.950_47;
    let y = 0.212_672_9 * r + 0.715_152_2 * g + 0.072_175 * b;
    let z = (0.019_333_9 * r + 0.119_192 * g + 0.950_304_1 * b) / 1.088_83;
    let f = |t: f32| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
    [116.0 * f(y) - 16.0, 500.0 * (f(x) - f(y)), 200.0 * (f(y) - f(z))]
}

/// Samples per cell along an axis: colour needs fewer than gradients do.
pub(crate) const SAMPLES_PER_CELL: usize = 2;

/// Means of the names over cells of [`SAMPLES_PER_CELL`] squared samples of `colour`, `[2 rows, 2 columns, CHANNELS]` in
/// `[0, 1]`; grey has one channel. Writes [`COLOUR_LENGTH`] values per cell at the start of each piece of `stride` values
/// of `out`, which begins with the first of them.
pub(crate) fn describe<const CHANNELS: usize>(
    colour: &[f32],
    columns: usize,
    out: &mut [f32],
    stride: usize,
) {
    let table = &*TABLE;
    let samples = colour.as_chunks::<CHANNELS>().0;
    let width = SAMPLES_PER_CELL * columns;
    for (index, cell) in out.chunks_mut(stride).enumerate() {
        let (x, y) = (index % columns * SAMPLES_PER_CELL, index / columns * SAMPLES_PER_CELL);
        let mut sums = [0.0; COLOUR_LENGTH];
        for at in [y * width + x, y * width + x + 1, (y + 1) * width + x, (y + 1) * width + x + 1] {
            let names = &table[table_index(&samples[at])];
            sums.iter_mut().zip(names).for_each(|(sum, name)| *sum += name);
        }
        for (value, sum) in cell.iter_mut().zip(sums) {
            *value = sum / (SAMPLES_PER_CELL * SAMPLES_PER_CELL) as f32;
        }
    }
}

#[inline(always)]
fn table_index<const CHANNELS: usize>(sample: &[f32; CHANNELS]) -> usize {
    let level = |c: usize| ((sample[c.min(CHANNELS - 1)] * 255.0) as usize >> SHIFT).min(LEVELS - 1);
    (level(0) * LEVELS + level(1)) * LEVELS + level(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn focal_colours_are_called_by_their_names() {
        let focal = FOCAL_SRGB.map(|rgb| lab(rgb.map(f32::from)));
        for (index, rgb) in FOCAL_SRGB.iter().enumerate() {
            let names = names(&focal, lab(rgb.map(f32::from)));
            assert!(names[index] > 0.7, "{rgb:?}: {names:?}");
            assert!((names.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn lab_of_white_and_red_are_the_known_ones() {
        let close = |a: [f32; 3], b: [f32; 3]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.1);
        assert!(close(lab([255.0; 3]), [100.0, 0.0, 0.0]));
        assert!(close(lab([255.0, 0.0, 0.0]), [53.24, 80.09, 67.2]));
    }

    #[test]
    fn a_cell_half_red_half_white_has_both() {
        let (red, white) = ([0.745, 0.12, 0.16], [0.95; 3]);
        let mut out = vec![0.0; COLOUR_LENGTH];
        describe::<3>([red, white, red, white].as_flattened(), 1, &mut out, COLOUR_LENGTH);
        assert!((out[8] - 0.5).abs() < 0.1 && (out[9] - 0.5).abs() < 0.1, "{out:?}");
    }
}
