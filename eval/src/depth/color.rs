//! Depth as colours that an eye reads evenly.
//!
//! The colours lie on a curve in Oklab (Ottosson, "A perceptual color space for image processing", 2020), where distances
//! are what an eye sees: from dark violet over red and orange to bright yellow, lightness rising all the way. Entries of the
//! table are equally far apart on that curve, so that equal steps of a value look equal, in grey print too.

use std::sync::LazyLock;

use geometry::{DepthImage, RgbImage};

/// Entries of the table.
const COLORS: usize = 256;
/// Points of the curve from which they are chosen.
const POINTS: usize = 4096;
/// Oklab's lightness at the two ends.
const LIGHTNESS: [f64; 2] = [0.2, 0.93];
/// Hue at the two ends, in degrees.
const HUE_DEG: [f64; 2] = [285.0, 465.0];
/// Oklab's chroma where the screen can show as much.
const CHROMA: f64 = 0.16;
/// Shares of an image's known depths that are nearer than the near end of the colours, and farther than the far one.
const OUTSIDE: f64 = 0.02;

static TABLE: LazyLock<Vec<[u8; 3]>> = LazyLock::new(table);

/// The colour of a value from 0 (far, dark) to 1 (near, bright); values outside get the colour of the end.
pub fn depth_color(nearness: f32) -> [u8; 3] {
    let index = (nearness.clamp(0.0, 1.0) * (COLORS - 1) as f32).round() as usize;
    TABLE.get(index).copied().unwrap_or_default()
}

/// `depth` in colours by its inverse, from `[far, near]`, as [`inverse_depth_range`] tells them; black where unknown.
pub fn color_depth(depth: &DepthImage, [far, near]: [f32; 2]) -> RgbImage {
    let (width, height) = depth.size();
    RgbImage::from_fn(width, height, |x, y| {
        let [depth] = depth.pixel(x, y);
        if depth > 0.0 {
            depth_color((1.0 / depth - far) / (near - far).max(f32::MIN_POSITIVE))
        } else {
            [0; 3]
        }
    })
}

/// The inverse depths between which nearly all of an image lies, the far end first; `None` where no depth is known.
pub fn inverse_depth_range(depth: &DepthImage) -> Option<[f32; 2]> {
    let mut values: Vec<f32> =
        depth.as_slice().iter().filter(|d| **d > 0.0).map(|depth| 1.0 / depth).collect();
    let last = values.len().checked_sub(1)?;
    values.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| values[(share * last as f64).round() as usize];
    Some([at(OUTSIDE), at(1.0 - OUTSIDE)])
}

/// Colours at equal distances on the curve.
fn table() -> Vec<[u8; 3]> {
    let points: Vec<[f64; 3]> = (0..POINTS).map(|index| point(index as f64 / (POINTS - 1) as f64)).collect();
    let mut along = vec![0.0; POINTS];
    for index in 1..POINTS {
        along[index] = along[index - 1] + distance(&points[index - 1], &points[index]);
    }
    let length = along[POINTS - 1];
    let entry = |index: usize| {
        let wanted = length * index as f64 / (COLORS - 1) as f64;
        let next = along.partition_point(|length| *length < wanted).min(POINTS - 1);
        linear_rgb(&points[next]).map(encode)
    };
    (0..COLORS).map(entry).collect()
}

/// The curve, in Oklab.
fn point(t: f64) -> [f64; 3] {
    let between = |[from, to]: [f64; 2]| from + t * (to - from);
    let (lightness, hue) = (between(LIGHTNESS), between(HUE_DEG).to_radians());
    let with = |chroma: f64| [lightness, chroma * hue.cos(), chroma * hue.sin()];
    let is_shown = |chroma: f64| linear_rgb(&with(chroma)).iter().all(|value| (0.0..=1.0).contains(value));
    // As much colour as the screen can show at this lightness, up to a limit.
    let (mut shown, mut not_shown) = (0.0, CHROMA);
    for _ in 0..20 {
        let middle = (shown + not_shown) / 2.0;
        *(if is_shown(middle) { &mut shown } else { &mut not_shown }) = middle;
    }
    with(shown)
}

fn distance(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// Linear sRGB of a colour in Oklab.
fn linear_rgb(&[lightness, a, b]: &[f64; 3]) -> [f64; 3] {
    let long = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let medium = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let short = (lightness - 0.089_484_177_5 * a - 1.291_485_548_0 * b).powi(3);
    [
        4.076_741_662_1 * long - 3.307_711_591_3 * medium + 0.230_969_929_2 * short,
        -1.268_438_004_6 * long + 2.609_757_401_1 * medium - 0.341_319_396_5 * short,
        -0.004_196_086_3 * long - 0.703_418_614_7 * medium + 1.707_614_701_0 * short,
    ]
}

/// As sRGB stores it (IEC 61966-2-1).
fn encode(linear: f64) -> u8 {
    let linear = linear.clamp(0.0, 1.0);
    let encoded = if linear <= 0.003_130_8 { 12.92 * linear } else { 1.055 * linear.powf(1.0 / 2.4) - 0.055 };
    (encoded * 255.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Oklab of a stored colour, by the way there.
    fn oklab(rgb: [u8; 3]) -> [f64; 3] {
        let [r, g, b] = rgb.map(|value| {
            let value = f64::from(value) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        let long = (0.412_221_470_8 * r + 0.536_332_536_3 * g + 0.051_445_992_9 * b).cbrt();
        let medium = (0.211_903_498_2 * r + 0.680_699_545_1 * g + 0.107_396_956_6 * b).cbrt();
        let short = (0.088_302_461_9 * r + 0.281_718_837_6 * g + 0.629_978_700_5 * b).cbrt();
        [
            0.210_454_255_3 * long + 0.793_617_785_0 * medium - 0.004_072_046_8 * short,
            1.977_998_495_1 * long - 2.428_592_205_0 * medium + 0.450_593_709_9 * short,
            0.025_904_037_1 * long + 0.782_771_766_2 * medium - 0.808_675_766_0 * short,
        ]
    }

    #[test]
    fn equal_steps_look_equal_and_lightness_rises() {
        let colors: Vec<[f64; 3]> = (0..=32).map(|i| oklab(depth_color(i as f32 / 32.0))).collect();
        let steps: Vec<f64> = colors.windows(2).map(|pair| distance(&pair[0], &pair[1])).collect();
        let mean = steps.iter().sum::<f64>() / steps.len() as f64;
        assert!(steps.iter().all(|step| (step / mean - 1.0).abs() < 0.15), "{steps:?}");
        assert!(colors.windows(2).all(|pair| pair[1][0] > pair[0][0]), "{colors:?}");
        assert!(colors[0][0] < 0.25 && colors[32][0] > 0.9);
    }

    #[test]
    fn near_is_bright_and_unknown_black() {
        let depth = DepthImage::from_vec(4, 1, vec![1.0, 2.0, 100.0, 0.0]).unwrap();
        let range = inverse_depth_range(&depth).unwrap();
        assert_eq!(range, [0.01, 1.0]);
        let image = color_depth(&depth, range);
        assert_eq!(image.pixel(3, 0), [0; 3]);
        assert_eq!((image.pixel(0, 0), image.pixel(2, 0)), (depth_color(1.0), depth_color(0.0)));
        assert!(inverse_depth_range(&DepthImage::filled(2, 2, [0.0])).is_none());
    }
}
