//! Boxes in an image, and what was found in them.

use crate::Timestamp;

/// An axis-aligned box in pixels; `(x, y)` is its top-left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoundingBox {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width, at least 0.
    pub width: f32,
    /// Height, at least 0.
    pub height: f32,
}

impl BoundingBox {
    /// A box from its top-left corner and size.
    pub const fn new(x: f32, y: f32, width: f32, height: f32) -> Self {
        Self { x, y, width, height }
    }

    /// The box between two opposite corners, in any order.
    pub fn from_corners(a: (f32, f32), b: (f32, f32)) -> Self {
        Self::new(a.0.min(b.0), a.1.min(b.1), (a.0 - b.0).abs(), (a.1 - b.1).abs())
    }

    /// Right edge.
    pub fn right(&self) -> f32 {
        self.x + self.width
    }

    /// Bottom edge.
    pub fn bottom(&self) -> f32 {
        self.y + self.height
    }

    /// `(x, y)` of the centre.
    pub fn center(&self) -> (f32, f32) {
        (self.x + self.width / 2.0, self.y + self.height / 2.0)
    }

    /// Area in square pixels.
    pub fn area(&self) -> f32 {
        self.width * self.height
    }

    /// Whether all four numbers are finite and both sides positive.
    pub fn is_valid(&self) -> bool {
        [self.x, self.y, self.width, self.height].iter().all(|v| v.is_finite())
            && self.width > 0.0
            && self.height > 0.0
    }

    /// The part common to both; `None` where they don't overlap.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let (right, bottom) = (self.right().min(other.right()), self.bottom().min(other.bottom()));
        (right > x && bottom > y).then(|| Self::new(x, y, right - x, bottom - y))
    }

    /// The part inside an image of `width` by `height` pixels; `None` where nothing is.
    pub fn clipped(&self, width: usize, height: usize) -> Option<Self> {
        self.intersection(&Self::new(0.0, 0.0, width as f32, height as f32))
    }

    /// Intersection over union, in `[0, 1]`; 0 where either box has no area.
    pub fn iou(&self, other: &Self) -> f32 {
        let common = self.intersection(other).map_or(0.0, |b| b.area());
        let union = self.area() + other.area() - common;
        if union > 0.0 { common / union } else { 0.0 }
    }
}

/// Something a detector found in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// Where, in the pixels of the frame it was found in.
    pub bounding_box: BoundingBox,
    /// Index into the model's class names.
    pub class_id: u32,
    /// Confidence in `[0, 1]`.
    pub score: f32,
}

/// Colours that can be told apart on grass, sand and asphalt.
const CLASS_COLORS: [[u8; 3]; 8] = [
    [64, 224, 96],
    [255, 176, 0],
    [80, 176, 255],
    [255, 96, 168],
    [190, 140, 255],
    [0, 220, 210],
    [255, 112, 32],
    [236, 236, 80],
];

/// The colour of a class, 8-bit RGB, the same in every picture and view.
pub fn class_color(class: usize) -> [u8; 3] {
    CLASS_COLORS[class % CLASS_COLORS.len()]
}

/// How far a track is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackState {
    /// Seen too few times to be shown.
    Tentative,
    /// Seen now.
    Confirmed,
    /// Not seen now; its box is a prediction.
    Lost,
}

/// One object followed through time.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// Identity, unique within a run.
    pub id: u64,
    /// Stamp of the frame the box belongs to.
    pub stamp: Timestamp,
    /// Where.
    pub bounding_box: BoundingBox,
    /// Confidence in `[0, 1]`.
    pub confidence: f32,
    /// How far to believe it.
    pub state: TrackState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_beside_each_other_have_colours_of_their_own() {
        assert!((0..20).all(|class| (1..8).all(|by| class_color(class) != class_color(class + by))));
    }

    #[test]
    fn iou_of_half_overlapping_boxes_is_a_third() {
        let (a, b) = (BoundingBox::new(0.0, 0.0, 2.0, 2.0), BoundingBox::new(1.0, 0.0, 2.0, 2.0));
        assert!((a.iou(&b) - 1.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn touching_and_empty_boxes_do_not_overlap() {
        let a = BoundingBox::new(0.0, 0.0, 2.0, 2.0);
        assert_eq!(a.iou(&BoundingBox::new(2.0, 0.0, 2.0, 2.0)), 0.0);
        assert_eq!(BoundingBox::new(0.0, 0.0, 0.0, 0.0).iou(&BoundingBox::new(0.0, 0.0, 0.0, 0.0)), 0.0);
    }

    #[test]
    fn clipping_leaves_the_visible_part() {
        let clipped = BoundingBox::new(-5.0, 5.0, 10.0, 10.0).clipped(8, 8);
        assert_eq!(clipped, Some(BoundingBox::new(0.0, 5.0, 5.0, 3.0)));
        assert_eq!(BoundingBox::new(20.0, 5.0, 10.0, 10.0).clipped(8, 8), None);
    }
}
