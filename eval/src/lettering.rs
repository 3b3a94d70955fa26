//! Text on pictures: Noto Sans Mono, bold, at any size.

use image::Rgb;
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster, get_raster_width};

use crate::drawing::Picture;

const WEIGHT: FontWeight = FontWeight::Bold;
/// The size that the letters come in; others are scaled from it.
const RASTER: RasterHeight = RasterHeight::Size32;
/// Stands for what the font does not have.
const UNKNOWN: char = '?';

/// Width in pixels of `text` in lines of `height` pixels.
pub(crate) fn text_width(text: &str, height: u32) -> u32 {
    let width = get_raster_width(WEIGHT, RASTER) as f32 * scale(height);
    (width * text.chars().count() as f32).ceil() as u32
}

/// Writes `text` with its upper left corner at `(x, y)`; what lies outside the picture is not drawn.
pub(crate) fn write(picture: &mut Picture, text: &str, (x, y): (i64, i64), height: u32, color: Rgb<u8>) {
    let scale = scale(height);
    let letter_width = get_raster_width(WEIGHT, RASTER) as f32;
    let glyphs = text.chars().map(|letter| get_raster(letter, WEIGHT, RASTER));
    let glyphs: Vec<_> =
        glyphs.filter_map(|glyph| glyph.or_else(|| get_raster(UNKNOWN, WEIGHT, RASTER))).collect();
    for (row, column) in (0..height).flat_map(|row| (0..text_width(text, height)).map(move |c| (row, c))) {
        // Where the middle of the pixel lies in the letters as they come.
        let (along, down) = ((column as f32 + 0.5) / scale, (row as f32 + 0.5) / scale);
        let Some(glyph) = glyphs.get((along / letter_width) as usize) else { continue };
        let ink = coverage(glyph, along % letter_width, down, 1.0 / scale);
        let at = (x + i64::from(column), y + i64::from(row));
        let (Ok(at_x), Ok(at_y)) = (u32::try_from(at.0), u32::try_from(at.1)) else { continue };
        if let Some(pixel) = picture.get_pixel_mut_checked(at_x, at_y) {
            for (value, ink_value) in pixel.0.iter_mut().zip(color.0) {
                *value = (f32::from(*value) + (f32::from(ink_value) - f32::from(*value)) * ink) as u8;
            }
        }
    }
}

fn scale(height: u32) -> f32 {
    height as f32 / RASTER.val() as f32
}

/// Mean ink, in `[0, 1]`, of the square of `side` around a point of a letter.
fn coverage(glyph: &RasterizedChar, x: f32, y: f32, side: f32) -> f32 {
    let span = |middle: f32, length: usize| {
        let half = side.max(1.0) / 2.0;
        let first = (middle - half).max(0.0);
        (first, (middle + half).min(length as f32).max(first))
    };
    let (left, right) = span(x, glyph.width());
    let (top, bottom) = span(y, glyph.height());
    let share = |index: usize, first: f32, last: f32| {
        ((index as f32 + 1.0).min(last) - (index as f32).max(first)).max(0.0)
    };
    let mut ink = 0.0;
    for (row, values) in glyph.rows().enumerate().take(bottom.ceil() as usize).skip(top as usize) {
        for (column, value) in values.iter().enumerate().take(right.ceil() as usize).skip(left as usize) {
            ink += f32::from(*value) * share(row, top, bottom) * share(column, left, right);
        }
    }
    let area = side.max(1.0).powi(2);
    (ink / (255.0 * area)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How dark `text` is on average, and whether ink lies in each of its letters.
    fn written(text: &str, height: u32) -> (f64, Vec<bool>) {
        let width = text_width(text, height);
        let mut picture = Picture::from_pixel(width, height, Rgb([255; 3]));
        write(&mut picture, text, (0, 0), height, Rgb([0; 3]));
        let mean = picture.pixels().map(|pixel| 255.0 - f64::from(pixel.0[0])).sum::<f64>()
            / (255.0 * f64::from(width * height));
        let letters = text.chars().count() as u32;
        let dark_in = |letter: u32| {
            let columns = letter * width / letters..(letter + 1) * width / letters;
            columns.flat_map(|x| (0..height).map(move |y| (x, y))).any(|(x, y)| picture[(x, y)].0[0] < 128)
        };
        (mean, (0..letters).map(dark_in).collect())
    }

    #[test]
    fn letters_have_as_much_ink_at_every_size() {
        let (at_raster, letters) = written("car 0.87", 32);
        assert_eq!(letters, [true, true, true, false, true, true, true, true]);
        assert!(at_raster > 0.08, "{at_raster}");
        for height in [12, 20, 47, 96] {
            let (ink, letters) = written("car 0.87", height);
            assert!((ink - at_raster).abs() < 0.25 * at_raster, "{height}: {ink} and {at_raster}");
            assert_eq!(letters.iter().filter(|is_dark| **is_dark).count(), 7, "{height}");
        }
    }

    #[test]
    fn what_the_font_does_not_have_is_a_question_mark_and_edges_are_no_problem() {
        assert_eq!(written("車", 24), written("?", 24));
        let mut picture = Picture::from_pixel(20, 10, Rgb([255; 3]));
        for corner in [(-15, -5), (15, 5), (-900, 0), (900, 900)] {
            write(&mut picture, "bus", corner, 16, Rgb([0; 3]));
        }
        assert!(picture.pixels().any(|pixel| pixel.0[0] < 64));
    }
}
