//! The detector that comes with the program, or one from a file.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use anyhow::Context;
use detect::Detector;
use nn::kernels::Kernel;

/// See `models/vehicles-320-int8.md`. Inside the program, so that one file on board has all it needs.
const BUILT_IN: &[u8] = include_bytes!("../models/vehicles-320-int8.onnx");
/// What results call it.
pub(crate) const BUILT_IN_NAME: &str = "vehicles-320-int8";

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
        let name = path.display().to_string();
        let bytes = fs::read(path).with_context(|| name.clone())?;
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
    }
}
