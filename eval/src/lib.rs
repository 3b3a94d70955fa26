//! Estimates and ground truth to metrics with units, and reports.
//!
//! Start at [`evaluate_paths`] (two files, one protocol, one [`OdometryReport`]) and [`Report`] (one self-contained
//! HTML page). Between the two: files are [read](read_trajectory), [joined](join), put into one
//! frame of reference, [aligned](align) and [measured](metrics). Every number leaves as a [`Figure`] that names its
//! unit, protocol and count, because most quarrels of this field are about those.

mod alignment;
mod association;
mod comparison;
pub mod depth;
pub mod detection;
mod drawing;
mod error;
mod figure;
mod formats;
mod latency;
mod lettering;
pub mod metrics;
mod odometry;
mod peers;
mod report;
pub mod tracking;

pub use alignment::{Alignment, Fit, Similarity, align};
pub use association::{AssociatedFrame, Association, JoinRule, join, join_by_stamp};
pub use comparison::{Comparison, ComparisonRow};
pub use error::EvalError;
pub use figure::{Figure, figures_table};
pub use formats::{
    TrajectoryFile, TrajectoryFormat, kitti_row, parse_trajectory, read_trajectory, tum_row, write_kitti,
    write_tum,
};
pub use latency::{HistogramBin, LatencyStats};
pub use odometry::{
    LengthError, OdometryProtocol, OdometryReport, ProtocolText, SnippetFigures, evaluate,
    evaluate_association, evaluate_files, evaluate_paths,
};
pub use peers::{PEER_RECORD, Peer, PeerComparison, PeerTrack, compare_peers, frame_stamp, read_peer};
pub use report::{
    DetectedObjects, DetectorLook, FollowedTarget, Plot, Report, SampleFrame, TargetGrade, TargetSample,
};
