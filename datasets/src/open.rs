//! From what the user typed to a source of frames.

use std::path::{Path, PathBuf};

use crate::{
    Dataset, DatasetError, ReadAhead, Undistorted, Window, WindowSpec, euroc, folder, kitti, otb, sfmlearner,
    tum, uav123, vot, world,
};

/// A source of frames as the user names it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceSpec {
    /// A folder, a video file, a device (`/dev/video0` or its index), a stream's address or a GStreamer pipeline.
    pub source: String,
    /// Calibration file to use instead of what the source brings; see [`Calibration::read`](crate::Calibration::read).
    pub calibration: Option<PathBuf>,
    /// Horizontal field of view in degrees to use instead of what the source brings; not together with `calibration`.
    pub fov_deg: Option<f64>,
}

impl SourceSpec {
    /// The source with the calibration it brings itself.
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), ..Self::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        Path::new(&self.source)
    }
}

/// A kind of source: how it is told from the others, and how it is opened.
pub(crate) struct Format {
    /// What it looks like, for the user.
    pub(crate) looks_like: &'static str,
    pub(crate) recognise: fn(&SourceSpec) -> bool,
    pub(crate) open: fn(&SourceSpec) -> Result<Box<dyn Dataset>, DatasetError>,
}

/// Every kind of source, the most particular first: the first that recognises its own opens it.
const FORMATS: &[Format] = &[
    world::FORMAT,
    kitti::FORMAT,
    euroc::FORMAT,
    tum::FORMAT,
    otb::FORMAT,
    uav123::FORMAT,
    vot::FORMAT,
    sfmlearner::FORMAT,
    folder::FORMAT,
    #[cfg(feature = "video")]
    crate::video::DEVICE,
    #[cfg(feature = "video")]
    crate::video::STREAM,
    #[cfg(feature = "video")]
    crate::video::FILE,
];

/// Opens the source that `spec` names; what it is, is told from its content.
///
/// # Errors
/// [`DatasetError`] where nothing of that name exists, where it is of no known kind (both list the kinds) or where it
/// is of a kind but breaks its rules.
pub fn open(spec: &SourceSpec) -> Result<Box<dyn Dataset>, DatasetError> {
    let unexpected = |expected: String, found: &str| DatasetError::Content {
        expected,
        found: found.into(),
        path: spec.path().to_owned(),
    };
    if spec.calibration.is_some() && spec.fov_deg.is_some() {
        return Err(unexpected("either a calibration or a field of view".into(), "both"));
    }
    if let Some(format) = FORMATS.iter().find(|format| (format.recognise)(spec)) {
        return (format.open)(spec);
    }
    let found = match (spec.path().exists(), spec.path().is_dir()) {
        (false, _) => "no such file, folder or device",
        (true, true) => "a folder with none of these",
        (true, false) => "a file that is none of these",
    };
    Err(unexpected(accepted(), found))
}

/// Those that follow one target and bring its boxes.
const TARGET_FORMATS: &[Format] = &[otb::FORMAT, uav123::FORMAT, vot::FORMAT];

/// Whether `source` is a sequence that brings the boxes of one target: of OTB, DTB70, UAV123 or VOT.
pub fn is_target_sequence(source: &Path) -> bool {
    let spec = SourceSpec::new(source.to_string_lossy());
    TARGET_FORMATS.iter().any(|format| (format.recognise)(&spec))
}

/// Frames decoded ahead of use.
const AHEAD: usize = 4;

/// Opens a source ready to fly: cut to `window`, without a lens, decoded ahead on a thread of its own.
///
/// # Errors
/// As [`open`].
pub fn open_ahead(spec: &SourceSpec, window: WindowSpec) -> Result<ReadAhead, DatasetError> {
    ReadAhead::new(Undistorted::new(Window::new(open(spec)?, window))?, AHEAD)
}

fn accepted() -> String {
    let kinds: Vec<_> = FORMATS.iter().map(|format| format.looks_like).collect();
    let note = if cfg!(feature = "video") { "" } else { " (this build has no video support)" };
    format!("{}{note}", kinds.join(", or "))
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    #[test]
    fn what_does_not_exist_gets_the_list_of_what_is_accepted() {
        let error = open(&SourceSpec::new("/nowhere/flight.mp4")).err().unwrap().to_string();
        for part in [
            "KITTI",
            "EuRoC",
            "TUM",
            "OTB",
            "UAV123",
            "VOT",
            "folder of",
            "no such file",
            "/nowhere/flight.mp4",
        ] {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
    }

    #[test]
    fn an_empty_folder_is_no_source() {
        let folder = tempdir().unwrap();
        let error = open(&SourceSpec::new(folder.path().to_string_lossy())).err().unwrap().to_string();
        assert!(error.contains("a folder with none of these"), "{error}");
    }

    #[test]
    fn two_answers_to_one_question_are_refused() {
        let spec = SourceSpec { fov_deg: Some(60.0), ..SourceSpec::new("x") };
        let spec = SourceSpec { calibration: Some("c.yaml".into()), ..spec };
        assert!(open(&spec).err().unwrap().to_string().contains("either a calibration or a field of view"));
    }
}
