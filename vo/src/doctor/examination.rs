//! Frame by frame through a video.

use std::sync::Arc;

use geometry::{Frame, GrayImage, PinholeCamera};
use nalgebra::Vector2;

use super::Diagnosis;
use super::border::Content;
use super::brightness::{brightening, difference};
use super::findings::{View, diagnose};
use super::motion::Sight;
use super::sharpness::edge_width;
use crate::features::{Expectation, FeatureTracker};
use crate::median::median;

/// Width at which frames are looked at, about: networks learn at 416 to 832 pixels.
const WIDTH: usize = 640;
/// Features followed.
const FEATURES: usize = 220;

/// Looks at a video frame by frame, and says at the end whether it will do to learn from.
///
/// ```no_run
/// use kestrel_vo::doctor::{Doctor, Verdict};
///
/// # fn look(frames: &[geometry::Frame]) {
/// let mut doctor = Doctor::default();
/// frames.iter().for_each(|frame| doctor.examine(frame));
/// let diagnosis = doctor.diagnose();
/// if diagnosis.verdict == Verdict::Unusable {
///     println!("{}", diagnosis.reasons.join("\n"));
/// }
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Doctor {
    eyes: Option<Eyes>,
    sights: Vec<Sight>,
    odd_sizes: usize,
}

/// What is made for the size of the first frame, and what the last one showed.
#[derive(Debug)]
struct Eyes {
    size: (usize, usize),
    factor: usize,
    camera: Arc<PinholeCamera>,
    tracker: FeatureTracker,
    last: Option<Arc<GrayImage>>,
    /// How features moved in the last frame, in pixels.
    drift: Vector2<f32>,
    content: Content,
}

impl Doctor {
    /// Takes in the next frame. One of another size than the first is taken for one that can't be read.
    pub fn examine(&mut self, frame: &Frame) {
        if self.eyes.is_none() {
            self.eyes = Eyes::new(frame);
        }
        match self.eyes.as_mut().filter(|eyes| eyes.size == frame.size()) {
            Some(eyes) => self.sights.push(eyes.look(frame)),
            None => {
                self.odd_sizes += 1;
                self.miss_frame();
            }
        }
    }

    /// Takes in that the next frame can't be read.
    pub fn miss_frame(&mut self) {
        self.sights.push(Sight::default());
    }

    /// Frames taken in so far, those that can't be read included.
    pub fn frames(&self) -> usize {
        self.sights.len()
    }

    /// What all frames together tell.
    pub fn diagnose(self) -> Diagnosis {
        let view = self.eyes.map(|eyes| View {
            size: eyes.size,
            factor: eyes.factor,
            camera: eyes.camera,
            content: eyes.content,
        });
        diagnose(&self.sights, view, self.odd_sizes)
    }
}

impl Eyes {
    fn new(frame: &Frame) -> Option<Self> {
        let size = frame.size();
        let factor = ((size.0 as f64 / WIDTH as f64).round() as usize).max(1);
        let (width, height) = (size.0 / factor, size.1 / factor);
        Some(Self {
            size,
            factor,
            camera: Arc::new(frame.camera.resized(width, height).ok()?),
            tracker: FeatureTracker::new(width, height, FEATURES, 0),
            last: None,
            drift: Vector2::zeros(),
            content: Content::new(width, height),
        })
    }

    fn look(&mut self, frame: &Frame) -> Sight {
        let gray = match self.factor {
            1 => Arc::clone(&frame.gray),
            factor => Arc::new(frame.gray.reduced(factor)),
        };
        self.content.add(&gray);
        let small =
            Frame { gray: Arc::clone(&gray), rgb: None, camera: Arc::clone(&self.camera), ..frame.clone() };
        self.tracker.begin(&small);
        let drift = self.drift;
        self.tracker.follow(&self.camera, |feature| Expectation::Around(feature.pixel + drift));
        let moved = || self.tracker.features().iter().map(|f| [f.previous_pixel(), f.pixel]);
        let along = |axis: usize| median(moved().map(|[from, to]| f64::from(to[axis] - from[axis])));
        self.drift = Vector2::new(along(0).unwrap_or(0.0) as f32, along(1).unwrap_or(0.0) as f32);
        let last = self.last.as_ref();
        let mut sight = Sight {
            stamp: Some(frame.stamp),
            edge_width_px: edge_width(&gray),
            brightening: last.and_then(|last| brightening(last, &gray, moved())),
            difference: last.map(|last| difference(last, &gray)),
            shown_share: self.tracker.shown_share(),
            rays: Vec::new(),
        };
        self.tracker.replenish(&self.camera);
        let rays = self.tracker.features().iter().map(|f| (f.id, f.ray.map(|v| v as f32)));
        sight.rays = rays.collect();
        self.last = Some(gray);
        sight
    }
}
