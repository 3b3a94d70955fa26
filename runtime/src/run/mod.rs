//! The folder that a flight leaves behind.

mod admitted;
mod detections;
mod directory;
mod manifest;
mod scale;
mod stored_frames;
mod target;

pub use admitted::{AdmittedRow, read_admitted};
pub(crate) use detections::{DETECTIONS_HEADER, detection_record};
pub use detections::{DetectionOutcome, DetectionRow, read_detections};
pub use directory::{RunDirectory, keep_earlier};
pub use manifest::{
    CameraTable, DepthTable, DetectTable, FlightTable, FollowTable, LensTable, Manifest, PointerTable,
    PoseTable, SourceTable, StartTable, VersionsTable, VoTable,
};
pub use scale::ScaleTable;
pub(crate) use scale::write_scale_samples;
pub use stored_frames::StoredFrames;
pub(crate) use target::{TARGET_HEADER, odometry_record, target_record};
pub use target::{TargetOutcome, TargetRow, read_target};

/// What was flown, and all that a replay needs to know; its presence marks a folder as a run.
pub const MANIFEST: &str = "run.toml";
/// Estimated poses, TUM format: `stamp tx ty tz qx qy qz qw`. As adjusted after the fact; what was known in flight is in
/// `odometry.jsonl`.
pub const TRAJECTORY_TUM: &str = "trajectory.tum";
/// The same, one pose per input frame, KITTI format: 12 numbers, row by row. A frame without a pose of its own holds
/// the last.
pub const TRAJECTORY_KITTI: &str = "trajectory.kitti.txt";
/// Poses by the pose network alone, TUM format, in its own unit, where a flight had one.
pub const TRAJECTORY_NETWORK: &str = "trajectory.network.tum";
/// One JSON object per registered frame.
pub const ODOMETRY: &str = "odometry.jsonl";
/// Samples that told the metres, `stamp_s value`, where there were any.
pub const SCALE_SAMPLES: &str = "scale_samples.txt";
/// One row per input frame: `seq,stamp_ns,outcome`.
pub const ADMITTED: &str = "admitted.csv";
/// One row per frame that the tracker took: `seq,stamp_ns,x,y,w,h,confidence,state`, boxes in pixels; state is `waiting` (for the
/// choice), `confident`, `unsure`, `lost` or `restarted`.
pub const TARGET: &str = "target.csv";
/// For each frame that reached the detector, one row per object or one without: `seq,stamp_ns,class,score,x,y,w,h,id,state`, boxes in
/// pixels; state is `found`, `nothing` (it looked), `passed` (it did not) or `restarted`.
pub const DETECTIONS: &str = "detections.csv";
/// The frames of a live flight.
pub const FRAMES: &str = "frames";
/// Everything that was counted.
pub const METRICS: &str = "metrics.json";
/// For the rerun viewer.
pub const RECORDING: &str = "recording.rrd";
/// For people.
pub const REPORT: &str = "report.html";
