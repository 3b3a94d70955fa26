//! Boxes drawn on frames, for reports.

use geometry::Frame;
use image::{ImageBuffer, Rgb};

use crate::tracking::Rectangle;

/// What can be drawn on.
pub(crate) type Picture = ImageBuffer<Rgb<u8>, Vec<u8>>;

/// Width of lines in pixels.
const LINE: i64 = 2;

/// The pixels of a frame that `view` shows; those at the edge go on where it reaches beyond.
pub(crate) fn crop(frame: &Frame, view: &Rectangle) -> Picture {
    let (x, y) = (view.x as usize, view.y as usize);
    let (width, height) = ((view.width as usize).max(1), (view.height as usize).max(1));
    let last = (frame.size().0.saturating_sub(1), frame.size().1.saturating_sub(1));
    let pixel = |dx: u32, dy: u32| {
        let (x, y) = ((x + dx as usize).min(last.0), (y + dy as usize).min(last.1));
        Rgb(frame.rgb.as_ref().map_or_else(|| [frame.gray.pixel(x, y)[0]; 3], |rgb| rgb.pixel(x, y)))
    };
    Picture::from_fn(width as u32, height as u32, pixel)
}

/// The outline of a box between two corners in pixels; what lies outside the picture is not drawn.
pub(crate) fn outline(picture: &mut Picture, start: (i64, i64), end: (i64, i64), color: Rgb<u8>) {
    outline_of(LINE, picture, start, end, color);
}

/// The same with lines of `width` pixels.
pub(crate) fn outline_of(
    width: i64,
    picture: &mut Picture,
    start: (i64, i64),
    end: (i64, i64),
    color: Rgb<u8>,
) {
    for y in start.1.max(0)..end.1.min(picture.height().into()) {
        for x in start.0.max(0)..end.0.min(picture.width().into()) {
            let from_edge = (x - start.0).min(end.0 - 1 - x).min(y - start.1).min(end.1 - 1 - y);
            if from_edge < width {
                picture.put_pixel(x as u32, y as u32, color);
            }
        }
    }
}
