//! How well detectors find objects, by the protocols of the benchmarks.
//!
//! | protocol | question | start at |
//! |---|---|---|
//! | COCO | how precise at every recall, for boxes that overlap the object by half or more? | [`DetectionReport::measure`] |
//! | VEDAI, original | does the centre of a detection lie on the vehicle, and how many false ones come with it? | [`VedaiReport::measure`] |
//!
//! The modern protocol of VEDAI is COCO's over eight of its classes ([`MODERN_VEDAI_CLASSES`]) and the boxes around the
//! oriented ones. Boxes are pixels, `x` and `y` the top-left corner.

mod annotation;
mod average_precision;
mod confusion;
mod matching;
mod picture;
mod report;
mod results;
mod vedai;

use geometry::Detection;

pub use crate::tracking::Rectangle;
pub use annotation::{Annotation, annotated};
pub use confusion::{Confusion, ImageVerdict, OperatingPoint};
pub use picture::{detection_picture, labelled_picture};
pub use report::{ClassReport, DetectionReport, SceneReport};
pub use results::{DetectionResults, ImageKey, ResultBox};
pub use vedai::{
    MODERN_VEDAI_CLASSES, VedaiDetection, VedaiFold, VedaiObject, VedaiReport, read_vedai_annotations,
    read_vedai_detections,
};

/// What a true box asks of a detector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TruthRole {
    /// To be found.
    #[default]
    Object,
    /// May be found or missed; neither counts.
    Optional,
    /// A region of many objects: any number of detections in it does not count.
    Crowd,
}

/// Where something is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TruthBox {
    /// Index of its class.
    pub class: usize,
    /// The box in pixels.
    pub rectangle: Rectangle,
    /// Area of the object in square pixels, which decides whether it is small, medium or large; that of its outline in COCO.
    pub area_px: f64,
    /// What it asks of a detector.
    pub role: TruthRole,
}

impl TruthBox {
    /// An object that fills its box.
    pub fn new(class: usize, rectangle: Rectangle) -> Self {
        Self { class, rectangle, area_px: rectangle.area(), role: TruthRole::Object }
    }
}

/// Where something was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoundBox {
    /// Index of its class.
    pub class: usize,
    /// The box in pixels.
    pub rectangle: Rectangle,
    /// Confidence, on any scale.
    pub score: f64,
}

impl From<&Detection> for FoundBox {
    fn from(of: &Detection) -> Self {
        Self { class: of.class_id as usize, rectangle: of.bounding_box.into(), score: of.score.into() }
    }
}

/// One image with what is there and what was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectionImage {
    /// As reports call it.
    pub name: String,
    /// What it belongs to, for the table of scenes.
    pub scene: String,
    /// What is there.
    pub truth: Vec<TruthBox>,
    /// What was found, in any order; equal scores are ranked as they stand.
    pub found: Vec<FoundBox>,
}
