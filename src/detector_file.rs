//! The detector that comes with the program, or one from a file.

use std::borrow::Cow;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use detect::Detector;
use nn::kernels::Kernel;
use runtime::run::DetectTable;
use runtime::stages::{DetectChoice, DetectorFactory, ObjectDetector};

use crate::cli::FlightDetectorArgs;

/// See `models/vehicles-320-int8.md`. Inside the program, so that one file on board has all it needs.
const BUILT_IN: &[u8] = include_bytes!("../models/vehicles-320-int8.onnx");
/// What results call it.
pub(crate) const BUILT_IN_NAME: &str = "vehicles-320-int8";

const WITHOUT: &str = "--no-detector replays without it";

/// The bytes of an ONNX file that holds a detector.
#[derive(Clone, Debug)]
pub(crate) struct DetectorFile {
    name: String,
    bytes: Cow<'static, [u8]>,
}

impl DetectorFile {
    /// The file at `path`, or where there is none, what comes with the program.
    ///
    /// # Errors
    /// Where the file can't be read; whether it holds a detector is seen by [`detector`](Self::detector).
    pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Self { name: BUILT_IN_NAME.to_owned(), bytes: Cow::Borrowed(BUILT_IN) });
        };
        // As seen from anywhere, so that a replay finds it.
        let path = std::path::absolute(path)?;
        let name = path.display().to_string();
        let bytes = fs::read(&path).with_context(|| name.clone())?;
        Ok(Self { name, bytes: Cow::Owned(bytes) })
    }

    /// Its path, or the name of what comes with the program.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The detector in it, on the best kernel of this processor.
    ///
    /// # Errors
    /// Where the file holds none.
    pub(crate) fn detector(&self) -> anyhow::Result<Detector> {
        Detector::read(&self.bytes, Kernel::best()).with_context(|| self.name.clone())
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
            detector: file.name.clone(),
            fingerprint: file.fingerprint(),
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
        let path = Some(Path::new(&flown.detector)).filter(|_| flown.detector != BUILT_IN_NAME);
        let file = Self::open(path).context(WITHOUT)?;
        let found = file.fingerprint();
        ensure!(
            found == flown.fingerprint,
            "expected the detector that flew, {} with fingerprint {}, found {found}; {WITHOUT}",
            flown.detector,
            flown.fingerprint
        );
        file.detector().context(WITHOUT)?;
        Ok(file.factory(flown.score_threshold))
    }

    fn factory(self, score_threshold: Option<f32>) -> DetectorFactory {
        Arc::new(move || {
            let detector = Detector::read(&self.bytes, Kernel::best())?;
            let detector = match score_threshold {
                Some(score) => detector.with_score_threshold(score),
                None => detector,
            };
            Ok(Box::new(detector) as Box<dyn ObjectDetector>)
        })
    }

    /// Tells the bytes from those of another file: FNV-1a of 64 bits in hexadecimal digits.
    fn fingerprint(&self) -> String {
        let hash = self.bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        format!("{hash:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_with_the_program_is_a_small_detector_in_whole_numbers() {
        let file = DetectorFile::open(None).unwrap();
        assert!(file.bytes.len() <= 4 << 20, "{} bytes", file.bytes.len());
        let detector = file.detector().unwrap();
        assert!(detector.classes().contains(&"car".to_owned()));
        assert_eq!(detector.network().plan().float_ops().count(), 0);
        assert_eq!(detector.windows([320, 320]), 1);
    }

    #[test]
    fn a_file_that_is_no_detector_is_named() {
        let error = DetectorFile::open(Some("nowhere.onnx".as_ref())).unwrap_err();
        assert!(format!("{error:#}").contains("nowhere.onnx"), "{error:#}");
        let file = DetectorFile { name: "text.onnx".to_owned(), bytes: Cow::Borrowed(b"text") };
        let error = format!("{:#}", file.detector().unwrap_err());
        assert!(error.contains("text.onnx") && error.contains("ONNX"), "{error}");
        // FNV-1a of `a`, from the table of its authors.
        let file = DetectorFile { bytes: Cow::Borrowed(b"a"), ..file };
        assert_eq!(file.fingerprint(), "af63dc4c8601ec8c");
    }
}
