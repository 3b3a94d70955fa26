//! An image with what was found in it, for people.

use std::ops::RangeInclusive;

use geometry::{Frame, ImageError, RgbImage, class_color};
use image::Rgb;
use image::imageops::{FilterType, resize};

use super::{FoundBox, Rectangle};
use crate::drawing::{Picture, crop, outline_of};
use crate::lettering::{text_width, write};

/// A box with its words.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// The box, in pixels of the frame.
    pub rectangle: Rectangle,
    /// What is written beside it; nothing where that is empty.
    pub label: String,
    /// Instead, where there is no room for all of it.
    pub short_label: String,
    /// 8-bit RGB.
    pub color: [u8; 3],
}

const DARK: Rgb<u8> = Rgb([16, 20, 26]);
/// Pixels of the picture's longer side for one of a line's width, and for one of a letter's height.
const LINE: u32 = 640;
const LETTERS: u32 = 62;
/// Heights of letters that are read with ease and don't hide too much.
const LETTER_HEIGHTS: RangeInclusive<u32> = 13..=56;
/// A label may hide this share of itself of other boxes and labels.
const MOST_HIDDEN: f64 = 0.2;

impl Annotation {
    /// Boxes with class and score beside them, or the score alone where there is no more room: the surest first, which choose
    /// their places first. `names` are those of the classes.
    pub fn of_boxes(found: &[FoundBox], names: &[String]) -> Vec<Self> {
        let mut sorted: Vec<_> = found.iter().collect();
        sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
        let annotation = |found: &FoundBox| {
            let name = names.get(found.class).map_or("", String::as_str);
            Self {
                rectangle: found.rectangle,
                label: format!("{name} {:.2}", found.score).trim_start().to_owned(),
                short_label: format!("{:.2}", found.score).trim_start_matches('0').to_owned(),
                color: class_color(found.class),
            }
        };
        sorted.into_iter().map(annotation).collect()
    }
}

/// The frame with boxes and words on it. Where its longer side is not in `longer_side`, the picture is reduced, or enlarged by a whole
/// factor, so that lines and letters stay clear.
///
/// # Errors
/// [`ImageError`] for a picture of an impossible size.
pub fn annotated(
    frame: &Frame,
    annotations: &[Annotation],
    longer_side: RangeInclusive<usize>,
) -> Result<RgbImage, ImageError> {
    let (mut picture, scale) = scaled(frame, longer_side);
    let longest = picture.width().max(picture.height());
    let line = i64::from((longest / LINE).max(2));
    for of in annotations {
        let (start, end) = around(&of.rectangle, scale, line);
        outline_of(line + 1, &mut picture, (start.0 - 1, start.1 - 1), (end.0 + 1, end.1 + 1), DARK);
    }
    for of in annotations {
        let (start, end) = around(&of.rectangle, scale, line);
        outline_of(line, &mut picture, start, end, Rgb(of.color));
    }
    let height = (longest / LETTERS).clamp(*LETTER_HEIGHTS.start(), *LETTER_HEIGHTS.end());
    for label in labels(annotations, scale, line, height, picture.dimensions()) {
        label.draw(&mut picture);
    }
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    RgbImage::from_vec(width, height, picture.into_raw())
}

/// The frame at a size that can be drawn on, and pixels of it for one of the frame's.
fn scaled(frame: &Frame, longer_side: RangeInclusive<usize>) -> (Picture, f64) {
    let (width, height) = frame.size();
    let whole = crop(frame, &Rectangle::new(0.0, 0.0, width as f64, height as f64));
    let longest = width.max(height).max(1);
    if longest > *longer_side.end() {
        let scale = *longer_side.end() as f64 / longest as f64;
        let side = |of: usize| ((of as f64 * scale) as u32).max(1);
        return (resize(&whole, side(width), side(height), FilterType::Triangle), scale);
    }
    let factor = longer_side.start().div_ceil(longest).max(1) as u32;
    if factor == 1 {
        return (whole, 1.0);
    }
    let larger = resize(&whole, width as u32 * factor, height as u32 * factor, FilterType::CatmullRom);
    (larger, factor.into())
}

/// Corners of the line around a box: outside of it, so that small objects stay visible.
fn around(of: &Rectangle, scale: f64, line: i64) -> ((i64, i64), (i64, i64)) {
    let pixel = |value: f64| (value * scale).round() as i64;
    let start = (pixel(of.x) - line, pixel(of.y) - line);
    (start, (pixel(of.x + of.width) + line, pixel(of.y + of.height) + line))
}

/// Words at their place.
struct Label<'a> {
    text: &'a str,
    area: Rectangle,
    letter_height: u32,
    color: [u8; 3],
}

impl Label<'_> {
    fn draw(&self, picture: &mut Picture) {
        let (x, y) = (self.area.x as i64, self.area.y as i64);
        let end = (x + self.area.width as i64, y + self.area.height as i64);
        outline_of(i64::MAX, picture, (x, y), end, Rgb(self.color));
        let margin = margin(self.letter_height);
        write(picture, self.text, (x + margin, y), self.letter_height, DARK);
    }
}

/// Room on both sides of the words.
fn margin(letter_height: u32) -> i64 {
    i64::from(letter_height / 5).max(2)
}

/// Places for the words, where they hide the least; the surest of the annotations, which come first, choose first.
fn labels<'a>(
    annotations: &'a [Annotation],
    scale: f64,
    line: i64,
    letter_height: u32,
    picture: (u32, u32),
) -> Vec<Label<'a>> {
    let boxes: Vec<Rectangle> = annotations
        .iter()
        .map(|of| {
            let (start, end) = around(&of.rectangle, scale, line);
            let [x, y, right, bottom] = [start.0, start.1, end.0, end.1].map(|value| value as f64);
            Rectangle::new(x, y, right - x, bottom - y)
        })
        .collect();
    let mut placed: Vec<Label<'a>> = Vec::new();
    for (index, of) in annotations.iter().enumerate() {
        let others = boxes.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, other)| other);
        let taken: Vec<Rectangle> =
            others.copied().chain(placed.iter().map(|label: &Label<'_>| label.area)).collect();
        let texts = [of.label.as_str(), of.short_label.as_str()].into_iter().filter(|text| !text.is_empty());
        let mut fitting = texts.filter_map(|text| {
            let width = i64::from(text_width(text, letter_height)) + 2 * margin(letter_height);
            let size = (width as f64, f64::from(letter_height));
            let area = place(&boxes[index], size, &taken, picture)?;
            Some(Label { text, area, letter_height, color: of.color })
        });
        placed.extend(fitting.next());
    }
    placed
}

/// Beside the box, inside the picture, where nothing else is; `None` where too much would be hidden everywhere.
fn place(
    own: &Rectangle,
    (width, height): (f64, f64),
    taken: &[Rectangle],
    picture: (u32, u32),
) -> Option<Rectangle> {
    let (right, bottom) = (own.x + own.width, own.y + own.height);
    let corners = [
        (own.x, own.y - height),
        (own.x, bottom),
        (right - width, own.y - height),
        (right - width, bottom),
        (right, own.y),
        (own.x - width, own.y),
    ];
    let (last_x, last_y) = (f64::from(picture.0) - width, f64::from(picture.1) - height);
    let areas = corners.map(|(x, y)| {
        let inside = |value: f64, last: f64| value.min(last).max(0.0).round();
        Rectangle::new(inside(x, last_x), inside(y, last_y), width, height)
    });
    let hidden = |area: &Rectangle| {
        // Pushed into the picture it may hide its own object; a large one has room for it.
        let own_share = if own.area() > 8.0 * area.area() { 0.0 } else { area.common_area(own) };
        taken.iter().map(|other| area.common_area(other)).sum::<f64>() + own_share
    };
    let best = areas.into_iter().map(|area| (hidden(&area), area)).min_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(hidden, area)| *hidden <= MOST_HIDDEN * area.area()).map(|(_, area)| area)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use geometry::{GrayImage, PinholeCamera, Timestamp};

    use super::*;

    fn frame(width: usize, height: usize) -> Frame {
        Frame {
            stamp: Timestamp::ZERO,
            seq: 0,
            gray: Arc::new(GrayImage::filled(width, height, [90])),
            rgb: None,
            camera: Arc::new(PinholeCamera::from_horizontal_fov(width, height, 1.2).unwrap()),
        }
    }

    fn found(x: f64, y: f64, side: f64, score: f64) -> FoundBox {
        FoundBox { class: 1, rectangle: Rectangle::new(x, y, side, side), score }
    }

    fn annotations(found: &[FoundBox]) -> Vec<Annotation> {
        Annotation::of_boxes(found, &["car".to_owned(), "van".to_owned()])
    }

    #[test]
    fn boxes_lie_outside_of_what_they_show_at_every_size() {
        for (size, longer_side, expected) in [
            ((100, 60), 960..=usize::MAX, (1000, 600)),
            ((3000, 1000), 960..=usize::MAX, (3000, 1000)),
            ((3000, 1000), 640..=960, (960, 320)),
            ((640, 480), 640..=960, (640, 480)),
        ] {
            let side = size.0 as f64 / 10.0;
            let of = annotations(&[found(side, side, side, 0.8)]);
            let picture = annotated(&frame(size.0, size.1), &of, longer_side).unwrap();
            assert_eq!(picture.size(), expected);
            let scale = picture.width() as f64 / size.0 as f64;
            let pixel = |x: f64, y: f64| picture.pixel((x * scale) as usize, (y * scale) as usize);
            let is_gray = |pixel: [u8; 3]| pixel.iter().all(|value| value.abs_diff(90) < 3);
            assert!(
                is_gray(pixel(1.1 * side, 1.1 * side)) && is_gray(pixel(1.5 * side, 1.5 * side)),
                "{size:?}"
            );
            let line = picture.pixel((side * scale) as usize - 2, (1.5 * side * scale) as usize);
            assert_eq!(line, class_color(1), "{size:?}");
        }
    }

    #[test]
    fn the_surest_choose_their_place_first_and_no_label_hides_another_box() {
        let row: Vec<_> = (0..30).map(|i| found(20.0 + 14.0 * f64::from(i), 100.0, 12.0, 0.4)).collect();
        let of = annotations(&[row, vec![found(500.0, 100.0, 26.0, 0.9)]].concat());
        assert_eq!((of[0].label.as_str(), of[0].short_label.as_str()), ("van 0.90", ".90"));
        let labels = labels(&of, 1.0, 2, 16, (960, 540));
        assert_eq!(labels[0].text, "van 0.90");
        assert!(labels.len() > 4, "{}", labels.len());
        for (index, label) in labels.iter().enumerate() {
            let of_others = labels[..index].iter().map(|other| label.area.common_area(&other.area));
            assert!(of_others.sum::<f64>() <= MOST_HIDDEN * label.area.area());
            let hidden: f64 = of.iter().map(|of| label.area.common_area(&of.rectangle)).sum();
            assert!(hidden <= MOST_HIDDEN * label.area.area());
        }
    }

    #[test]
    fn where_there_is_no_room_for_the_class_the_score_stands_alone() {
        let tall = |x: f64| FoundBox {
            rectangle: Rectangle::new(x, 60.0, 40.0, 140.0),
            ..found(x, 60.0, 40.0, 0.9)
        };
        // Between two tall boxes, in a gap that is narrower than the name.
        let of = annotations(&[tall(60.0), tall(142.0), found(106.0, 110.0, 30.0, 0.4)]);
        let texts: Vec<_> = labels(&of, 1.0, 2, 16, (960, 540)).iter().map(|label| label.text).collect();
        assert_eq!(texts, ["van 0.90", "van 0.90", ".40"]);
    }

    #[test]
    fn boxes_at_and_beyond_the_edge_are_drawn_as_far_as_they_are_seen() {
        for (x, y) in [(-10.0, -10.0), (95.0, 50.0), (-500.0, 0.0), (900.0, 900.0)] {
            let of = annotations(&[found(x, y, 20.0, 0.5)]);
            assert!(annotated(&frame(100, 60), &of, 100..=200).is_ok());
        }
    }

    #[test]
    fn a_class_without_a_name_has_its_score() {
        let of = Annotation::of_boxes(&[FoundBox { class: 7, ..found(0.0, 0.0, 9.0, 1.0) }], &[]);
        assert_eq!((of[0].label.as_str(), of[0].short_label.as_str()), ("1.00", "1.00"));
    }
}
