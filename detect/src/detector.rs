//! Frames to detections.

use std::fs;
use std::path::Path;

use geometry::{BoundingBox, Detection, Frame};
use nn::kernels::Kernel;
use nn::preprocess::{Colors, Preprocessing};
use nn::{Network, Port};

use crate::description::Description;
use crate::error::DetectError;
use crate::priors::{all_priors, decode};
use crate::suppression::non_maximum_suppression;
use crate::window::{Cutter, Tiling, Window};

/// So many of the best boxes of a window are looked at further: more of them cost more than the network does.
const CANDIDATES: usize = 400;
/// Boxes of different classes that overlap by more than this are one object; the surer class has it.
const ONE_OBJECT_IOU: f32 = 0.8;

/// A network that finds things, with what its file says of its outputs.
///
/// ```no_run
/// use kestrel_detect::{DetectError, Detector};
///
/// # fn look(frame: &geometry::Frame) -> Result<(), DetectError> {
/// let mut detector = Detector::open("detector_int8.onnx".as_ref())?;
/// for detection in detector.detect(frame)? {
///     println!("{} {:.2}", detector.classes()[detection.class_id as usize], detection.score);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Detector {
    network: Network,
    description: Description,
    normalisation: [[f32; 3]; 2],
    size: usize,
    priors: Vec<BoundingBox>,
    tiling: Tiling,
    score_threshold: f32,
    cutter: Cutter,
}

impl Detector {
    /// The detector in the ONNX file at `path`, on the best kernel of this processor.
    ///
    /// # Errors
    /// [`DetectError::File`] where it can't be read, else as [`Detector::read`].
    pub fn open(path: &Path) -> Result<Self, DetectError> {
        let bytes = fs::read(path).map_err(|error| DetectError::File { path: path.to_owned(), error })?;
        Self::read(&bytes, Kernel::best())
    }

    /// The detector in the `bytes` of an ONNX file.
    ///
    /// # Errors
    /// [`DetectError::Network`] where they are no network that runs here, [`DetectError::Description`] where they don't
    /// describe a detector, or its outputs are not what they describe.
    pub fn read(bytes: &[u8], kernel: Kernel) -> Result<Self, DetectError> {
        let description = Description::of_file(bytes)?;
        let network = Network::read(bytes, kernel)?;
        let inputs: Vec<Port> = network.inputs().cloned().collect();
        let size = input_size(&inputs)?;
        check_outputs(&network, &description, size)?;
        let Preprocessing { colors, mean, deviation } = Preprocessing::of_file(bytes, &inputs)?;
        if colors != Colors::Rgb {
            let found = colors.name().to_owned();
            return Err(DetectError::Description { expected: "a detector that takes rgb", found });
        }
        Ok(Self {
            network,
            normalisation: [mean, deviation],
            size,
            priors: all_priors(&description.levels, size),
            tiling: Tiling::default(),
            score_threshold: description.score_threshold,
            description,
            cutter: Cutter::default(),
        })
    }

    /// Looks at frames as `tiling` says.
    pub fn with_tiling(self, tiling: Tiling) -> Self {
        Self { tiling, ..self }
    }

    /// Reports nothing below `score_threshold` instead of what the file says.
    pub fn with_score_threshold(self, score_threshold: f32) -> Self {
        Self { score_threshold, ..self }
    }

    /// Has `threads` share the work.
    ///
    /// # Errors
    /// [`DetectError::Network`] where they can't be had.
    pub fn with_threads(self, threads: usize) -> Result<Self, DetectError> {
        Ok(Self { network: self.network.with_threads(threads)?, ..self })
    }

    /// Names of its classes.
    pub fn classes(&self) -> &[String] {
        &self.description.classes
    }

    /// The network inside.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How many times the network runs for a frame of `[width, height]`.
    pub fn windows(&self, frame: [usize; 2]) -> usize {
        self.tiling.windows(frame, self.size).len()
    }

    /// What is in `frame`, in its pixels, by falling score.
    ///
    /// # Errors
    /// [`DetectError::Network`] where a node in float fails.
    pub fn detect(&mut self, frame: &Frame) -> Result<Vec<Detection>, DetectError> {
        let (width, height) = frame.size();
        let frame_size = [width, height];
        let max_iou = self.description.max_iou;
        let mut found = Vec::new();
        for window in self.tiling.windows(frame_size, self.size) {
            let input = self.network.input(0);
            self.cutter.cut(frame, window, self.size, self.normalisation, input);
            self.network.run()?;
            let seen = self.read_outputs(window, frame_size);
            found.extend(non_maximum_suppression(best(seen), max_iou));
        }
        Ok(one_class_each(non_maximum_suppression(found, max_iou)))
    }

    /// What the last run saw through `window`.
    fn read_outputs(&self, window: Window, frame: [usize; 2]) -> Vec<Detection> {
        let mut found = Vec::new();
        let classes = self.description.classes.len();
        let threshold = (self.score_threshold / (1.0 - self.score_threshold)).ln();
        let mut first_prior = 0;
        for (level, priors) in self.description.levels.iter().enumerate() {
            let (scores, boxes) = (self.network.output(2 * level), self.network.output(2 * level + 1));
            let (shapes, cells) = (priors.shapes.len(), priors.cells(self.size).pow(2));
            for (channel, scores) in scores.chunks_exact(cells).enumerate() {
                let (shape, class) = (channel / classes, channel % classes);
                for (cell, &logit) in scores.iter().enumerate().filter(|(_, logit)| **logit > threshold) {
                    let part = |part: usize| boxes[(shape * 4 + part) * cells + cell];
                    let prior = &self.priors[first_prior + cell * shapes + shape];
                    let in_input = decode(std::array::from_fn(part), prior);
                    let Some(bounding_box) = window.to_frame(&in_input, frame) else { continue };
                    let score = 1.0 / (1.0 + (-logit).exp());
                    found.push(Detection { bounding_box, class_id: class as u32, score });
                }
            }
            first_prior += cells * shapes;
        }
        found
    }
}

/// Width and height of the one square image that goes in.
fn input_size(inputs: &[Port]) -> Result<usize, DetectError> {
    match inputs {
        [port] if port.shape.len() == 4 && port.shape[1] == 3 && port.shape[2] == port.shape[3] => {
            Ok(port.shape[2])
        }
        _ => Err(DetectError::Description {
            expected: "one input [1, 3, size, size]",
            found: format!("{inputs:?}"),
        }),
    }
}

fn check_outputs(network: &Network, description: &Description, size: usize) -> Result<(), DetectError> {
    let classes = description.classes.len();
    let expected = description.levels.iter().flat_map(|level| {
        let (cells, shapes) = (level.cells(size), level.shapes.len());
        [("scores", shapes * classes), ("boxes", shapes * 4)].map(|(what, channels)| Port {
            name: format!("{what}_{}", level.stride),
            shape: vec![1, channels, cells, cells],
        })
    });
    let expected: Vec<Port> = expected.collect();
    let found: Vec<Port> = network.outputs().cloned().collect();
    if expected == found {
        return Ok(());
    }
    Err(DetectError::Description {
        expected: "the outputs that the description of the detector speaks of",
        found: format!("{found:?} instead of {expected:?}"),
    })
}

/// The best [`CANDIDATES`] in any order.
fn best(mut seen: Vec<Detection>) -> Vec<Detection> {
    if seen.len() > CANDIDATES {
        seen.select_nth_unstable_by(CANDIDATES, |a, b| b.score.total_cmp(&a.score));
        seen.truncate(CANDIDATES);
    }
    seen
}

/// Drops, of `detections` by falling score, those that a surer one of another class covers.
fn one_class_each(detections: Vec<Detection>) -> Vec<Detection> {
    let mut kept: Vec<Detection> = Vec::with_capacity(detections.len());
    for detection in detections {
        let is_taken = |k: &Detection| k.bounding_box.iou(&detection.bounding_box) > ONE_OBJECT_IOU;
        if !kept.iter().any(is_taken) {
            kept.push(detection);
        }
    }
    kept
}

#[cfg(test)]
mod tests;
