//! The detector that comes with the program, or one from a file.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use detect::Detector;
use nn::kernels::Kernel;
use runtime::run::DetectTable;
use runtime::stages::{DetectChoice, DetectorFactory, ObjectDetector};

use crate::cli::FlightDetectorArgs;
use crate::model_file::{ModelFile, VEHICLES};

const WITHOUT: &str = "--no-detector replays without it";

/// The bytes of an ONNX file that holds a detector.
#[derive(Clone, Debug)]
pub(crate) struct DetectorFile(ModelFile);

impl DetectorFile {
    /// The file at `path`, or where there is none, the detector that comes with the program.
    ///
    /// # Errors
    /// Where the file can't be read; whether it holds a detector is seen by [`detector`](Self::detector).
    pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self(ModelFile::open(path, &VEHICLES)?))
    }

    /// Its path, or the name of what comes with the program.
    pub(crate) fn name(&self) -> &str {
        self.0.name()
    }

    /// The detector in it, on the best kernel of this processor.
    ///
    /// # Errors
    /// Where the file holds none.
    pub(crate) fn detector(&self) -> anyhow::Result<Detector> {
        Detector::read(self.0.bytes(), Kernel::best()).with_context(|| self.name().to_owned())
    }

    /// What looks for objects in a flight; `None` where nobody is to look.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`detector`](Self::detector).
    pub(crate) fn for_flight(
        args: &FlightDetectorArgs,
    ) -> anyhow::Result<Option<(DetectChoice, DetectorFactory)>> {
        if args.no_detector {
            return Ok(None);
        }
        let file = Self::open(args.detector.as_deref())?;
        let choice = DetectChoice {
            detector: file.name().to_owned(),
            fingerprint: file.0.fingerprint(),
            classes: file.detector()?.classes().to_vec(),
            score_threshold: args.detect_score,
            every: args.detect_every,
        };
        Ok(Some((choice, file.factory(args.detect_score))))
    }

    /// What looked for objects in a recorded flight.
    ///
    /// # Errors
    /// Where the detector that flew is gone or another one is in its place.
    pub(crate) fn as_flown(flown: &DetectTable) -> anyhow::Result<DetectorFactory> {
        let file = Self(ModelFile::as_flown(&flown.detector, &flown.fingerprint, &VEHICLES, WITHOUT)?);
        file.detector().context(WITHOUT)?;
        Ok(file.factory(flown.score_threshold))
    }

    fn factory(self, score_threshold: Option<f32>) -> DetectorFactory {
        Arc::new(move || {
            let detector = Detector::read(self.0.bytes(), Kernel::best())?;
            let detector = match score_threshold {
                Some(score) => detector.with_score_threshold(score),
                None => detector,
            };
            Ok(Box::new(detector) as Box<dyn ObjectDetector>)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_file::DEPTH;

    #[test]
    fn what_comes_with_the_program_is_a_small_detector_in_whole_numbers() {
        let file = DetectorFile::open(None).unwrap();
        assert!(file.0.bytes().len() <= 4 << 20, "{} bytes", file.0.bytes().len());
        let detector = file.detector().unwrap();
        assert!(detector.classes().contains(&"car".to_owned()));
        assert_eq!(detector.network().plan().float_ops().count(), 0);
        assert_eq!(detector.windows([320, 320]), 1);
    }

    #[test]
    fn a_file_that_is_no_detector_is_named() {
        let file = DetectorFile(ModelFile::open(None, &DEPTH).unwrap());
        let error = format!("{:#}", file.detector().unwrap_err());
        assert!(error.contains(DEPTH.name), "{error}");
    }
}
