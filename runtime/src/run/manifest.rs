//! `run.toml`: what was flown.

use std::fs;
use std::path::{Path, PathBuf};

use datasets::{SourceSpec, WindowSpec};
use geometry::{BoundingBox, CameraError, Distortion, PinholeCamera};
use serde::{Deserialize, Serialize};
use vo::VoConfig;

use super::directory::io_error;
use super::{MANIFEST, ScaleTable};
use crate::RuntimeError;
use crate::graph::Schedule;
use crate::stages::{DepthChoice, DetectChoice, FollowStart, Pointer, PoseChoice, TargetChoice};

/// All that a replay needs to know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Where the frames came from.
    pub source: SourceTable,
    /// How they flew.
    pub flight: FlightTable,
    /// Numbers of the estimator.
    pub vo: VoTable,
    /// What told the metres.
    #[serde(default)]
    pub scale: ScaleTable,
    /// What was followed, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<FollowTable>,
    /// What looked for objects, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detect: Option<DetectTable>,
    /// What saw depth, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<DepthTable>,
    /// What saw motion beside the odometry, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pose: Option<PoseTable>,
    /// What wrote this.
    pub versions: VersionsTable,
}

/// Where the frames came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceTable {
    /// What the user typed, to be opened again.
    pub spec: String,
    /// Calibration file used instead of what the source brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<PathBuf>,
    /// Horizontal field of view in degrees used instead of what the source brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fov_deg: Option<f64>,
    /// Frames left out at the start.
    pub skip: usize,
    /// Every so manieth frame was used.
    pub stride: usize,
    /// At most so many frames were used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_frames: Option<usize>,
    /// Its name in reports.
    pub name: String,
    /// Whether it was live, so that it can't be opened again.
    pub live: bool,
    /// Whether the frames lie in `frames/`.
    pub frames_stored: bool,
    /// What had to be assumed.
    pub assumptions: Vec<String>,
    /// Its camera.
    pub camera: CameraTable,
}

impl SourceTable {
    /// What [`datasets::open`] takes.
    pub fn to_spec(&self) -> SourceSpec {
        let (calibration, fov_deg) = (self.calibration.clone(), self.fov_deg);
        SourceSpec { source: self.spec.clone(), calibration, fov_deg }
    }

    /// The part of the source that was flown.
    pub fn to_window(&self) -> WindowSpec {
        WindowSpec { skip: self.skip, stride: self.stride, max_frames: self.max_frames }
    }
}

/// How the frames flew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlightTable {
    /// Threads or inline.
    pub schedule: Schedule,
    /// Frames under way at once, for live sources.
    pub max_in_flight: u64,
    /// Deadline of the odometry per frame.
    pub odometry_deadline_ms: u64,
    /// Frames left out of the latencies.
    pub warm_up_frames: u64,
}

/// [`TargetChoice`] as a table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FollowTable {
    /// What was pointed at.
    #[serde(flatten)]
    pub target: PointerTable,
    /// When it was chosen.
    #[serde(flatten)]
    pub start: StartTable,
}

/// [`DetectChoice`] as a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectTable {
    /// File of the detector, or the name of one that comes with the program.
    pub detector: String,
    /// Tells its bytes from those of others.
    pub fingerprint: String,
    /// Names of its classes.
    pub classes: Vec<String>,
    /// Nothing was reported below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_threshold: Option<f32>,
    /// It looked at every so manieth frame.
    pub every: u64,
}

impl From<&DetectChoice> for DetectTable {
    fn from(choice: &DetectChoice) -> Self {
        let DetectChoice { detector, fingerprint, classes, score_threshold, every } = choice.clone();
        Self { detector, fingerprint, classes, score_threshold, every }
    }
}

impl DetectTable {
    /// The choice, to be made again.
    pub fn to_choice(&self) -> DetectChoice {
        let Self { detector, fingerprint, classes, score_threshold, every } = self.clone();
        DetectChoice { detector, fingerprint, classes, score_threshold, every }
    }
}

/// [`DepthChoice`] as a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepthTable {
    /// File of the network, or the name of one that comes with the program.
    pub network: String,
    /// Tells its bytes from those of others.
    pub fingerprint: String,
    /// It looked at every so manieth frame.
    pub every: u64,
}

impl From<&DepthChoice> for DepthTable {
    fn from(choice: &DepthChoice) -> Self {
        let DepthChoice { network, fingerprint, every } = choice.clone();
        Self { network, fingerprint, every }
    }
}

impl DepthTable {
    /// The choice, to be made again.
    pub fn to_choice(&self) -> DepthChoice {
        let Self { network, fingerprint, every } = self.clone();
        DepthChoice { network, fingerprint, every }
    }
}

/// [`PoseChoice`] as a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoseTable {
    /// File of the network, or the name of one that comes with the program.
    pub network: String,
    /// Tells its bytes from those of others.
    pub fingerprint: String,
}

impl From<&PoseChoice> for PoseTable {
    fn from(choice: &PoseChoice) -> Self {
        let PoseChoice { network, fingerprint } = choice.clone();
        Self { network, fingerprint }
    }
}

impl PoseTable {
    /// The choice, to be made again.
    pub fn to_choice(&self) -> PoseChoice {
        let Self { network, fingerprint } = self.clone();
        PoseChoice { network, fingerprint }
    }
}

/// [`Pointer`] as a key.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointerTable {
    /// `[x, y, width, height]` in pixels.
    Box([f32; 4]),
    /// `[x, y]` in pixels.
    Point([f32; 2]),
    /// The detector's identity.
    Identity(u64),
}

/// [`FollowStart`] as a key.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartTable {
    /// In the frame of this number.
    FromFrame(u64),
    /// After so many seconds.
    FromSeconds(f64),
}

impl From<&TargetChoice> for FollowTable {
    fn from(choice: &TargetChoice) -> Self {
        let TargetChoice { target, start } = choice;
        let target = match target {
            Pointer::Box(b) => PointerTable::Box([b.x, b.y, b.width, b.height]),
            Pointer::Point(point) => PointerTable::Point(*point),
            Pointer::Identity(id) => PointerTable::Identity(*id),
        };
        let start = match start {
            FollowStart::Frame(number) => StartTable::FromFrame(*number),
            FollowStart::Seconds(seconds) => StartTable::FromSeconds(*seconds),
        };
        Self { target, start }
    }
}

impl FollowTable {
    /// The choice, to be made again.
    pub fn to_choice(self) -> TargetChoice {
        let target = match self.target {
            PointerTable::Box([x, y, width, height]) => Pointer::Box(BoundingBox::new(x, y, width, height)),
            PointerTable::Point(point) => Pointer::Point(point),
            PointerTable::Identity(id) => Pointer::Identity(id),
        };
        let start = match self.start {
            StartTable::FromFrame(number) => FollowStart::Frame(number),
            StartTable::FromSeconds(seconds) => FollowStart::Seconds(seconds),
        };
        TargetChoice { target, start }
    }
}

/// What wrote the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionsTable {
    /// Version of Kestrel.
    pub kestrel: String,
    /// Version of the layout of the folder.
    pub layout: u32,
}

impl Default for VersionsTable {
    fn default() -> Self {
        Self { kestrel: env!("CARGO_PKG_VERSION").into(), layout: 1 }
    }
}

/// [`VoConfig`] as a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VoTable {
    /// Features kept in view.
    pub max_tracks: usize,
}

impl From<&VoConfig> for VoTable {
    fn from(config: &VoConfig) -> Self {
        // Without `..`: a number that a replay needs can't be forgotten here.
        let VoConfig { max_tracks, scale: _in_a_table_of_its_own } = config;
        Self { max_tracks: *max_tracks }
    }
}

/// [`PinholeCamera`] as a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CameraTable {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `[fx, fy, cx, cy]` in pixels.
    pub intrinsics: [f64; 4],
    /// The lens.
    pub lens: LensTable,
}

/// [`Distortion`] as a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "snake_case")]
pub enum LensTable {
    /// Straight lines stay straight.
    None,
    /// Brown-Conrady.
    RadialTangential {
        /// `[k1, k2, p1, p2, k3]`.
        coefficients: [f64; 5],
    },
    /// Kannala-Brandt.
    KannalaBrandt {
        /// `[k1, k2, k3, k4]`.
        coefficients: [f64; 4],
    },
}

impl From<&PinholeCamera> for CameraTable {
    fn from(camera: &PinholeCamera) -> Self {
        let (focal, center) = (camera.focal(), camera.center());
        let lens = match camera.distortion() {
            Distortion::None => LensTable::None,
            Distortion::RadialTangential { k1, k2, p1, p2, k3 } => {
                LensTable::RadialTangential { coefficients: [k1, k2, p1, p2, k3] }
            }
            Distortion::KannalaBrandt { k } => LensTable::KannalaBrandt { coefficients: k },
        };
        let intrinsics = [focal.x, focal.y, center.x, center.y];
        Self { width: camera.width(), height: camera.height(), intrinsics, lens }
    }
}

impl TryFrom<&CameraTable> for PinholeCamera {
    type Error = CameraError;

    fn try_from(table: &CameraTable) -> Result<Self, CameraError> {
        let [fx, fy, cx, cy] = table.intrinsics;
        let distortion = match table.lens {
            LensTable::None => Distortion::None,
            LensTable::RadialTangential { coefficients: [k1, k2, p1, p2, k3] } => {
                Distortion::RadialTangential { k1, k2, p1, p2, k3 }
            }
            LensTable::KannalaBrandt { coefficients } => Distortion::KannalaBrandt { k: coefficients },
        };
        Self::new(table.width, table.height, fx, fy, cx, cy)?.with_distortion(distortion)
    }
}

impl Manifest {
    /// The numbers of the estimator that flew, samples and all.
    ///
    /// # Errors
    /// [`RuntimeError`] where the samples in `run_dir` can't be read.
    pub fn to_vo_config(&self, run_dir: &Path) -> Result<VoConfig, RuntimeError> {
        Ok(VoConfig { max_tracks: self.vo.max_tracks, scale: self.scale.to_source(run_dir)? })
    }

    /// The manifest of the run in `run_dir`.
    ///
    /// # Errors
    /// [`RuntimeError::Io`], and [`RuntimeError::Manifest`] with the place in the file.
    pub fn read(run_dir: &Path) -> Result<Self, RuntimeError> {
        let path = run_dir.join(MANIFEST);
        let text = fs::read_to_string(&path).map_err(io_error("read", &path))?;
        toml::from_str(&text).map_err(|error| RuntimeError::Manifest { path, reason: error.to_string() })
    }

    /// The text of `run.toml`.
    ///
    /// # Errors
    /// [`RuntimeError::Manifest`] for a number that TOML can't hold.
    pub fn to_toml(&self) -> Result<String, RuntimeError> {
        toml::to_string(self)
            .map_err(|error| RuntimeError::Manifest { path: MANIFEST.into(), reason: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_survives_to_the_last_bit() {
        let target = Pointer::Box(BoundingBox::new(0.1, 251.0, 1.0 / 3.0, 67.5));
        for (target, start) in
            [(target, FollowStart::Frame(17)), (Pointer::Point([0.7, 9.0]), FollowStart::Seconds(0.1 + 0.2))]
        {
            let choice = TargetChoice { target, start };
            let text = toml::to_string(&FollowTable::from(&choice)).unwrap();
            let table: FollowTable = toml::from_str(&text).unwrap();
            assert_eq!(table.to_choice(), choice, "{text}");
        }
    }

    #[test]
    fn a_detector_survives_to_the_last_bit() {
        for score_threshold in [None, Some(0.1 + 0.2)] {
            let choice = DetectChoice {
                detector: "a \"b\".onnx".to_owned(),
                fingerprint: "00ff".to_owned(),
                classes: vec!["car".to_owned(), "bus, red".to_owned()],
                score_threshold,
                every: 7,
            };
            let text = toml::to_string(&DetectTable::from(&choice)).unwrap();
            let table: DetectTable = toml::from_str(&text).unwrap();
            assert_eq!(table.to_choice(), choice, "{text}");
        }
    }

    #[test]
    fn a_depth_network_survives() {
        let (network, fingerprint) = ("a \"b\".onnx".to_owned(), "00ff".to_owned());
        let choice = DepthChoice { network, fingerprint, every: 7 };
        let text = toml::to_string(&DepthTable::from(&choice)).unwrap();
        let table: DepthTable = toml::from_str(&text).unwrap();
        assert_eq!(table.to_choice(), choice, "{text}");
    }

    #[test]
    fn a_camera_survives_to_the_last_bit() {
        let lens = Distortion::KannalaBrandt { k: [0.1 + 0.2, -1e-7, 1.0 / 3.0, 0.0] };
        let camera = PinholeCamera::new(640, 480, 458.654_321_987, 457.3, 319.5, 239.5).unwrap();
        let camera = camera.with_distortion(lens).unwrap();
        let text = toml::to_string(&CameraTable::from(&camera)).unwrap();
        let table: CameraTable = toml::from_str(&text).unwrap();
        assert_eq!(PinholeCamera::try_from(&table).unwrap(), camera);
    }
}
