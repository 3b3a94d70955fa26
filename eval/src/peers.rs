//! Kestrel beside other programs that saw the same frames.
//!
//! A peer runs as a process of its own and leaves a folder with two files. [`PEER_RECORD`] is one JSON object: `name`,
//! `version`, `frames`, `frames_posed`, `has_rotation`, `cpu_ms_per_frame` (process time over all threads, image
//! reading left out), `reading_cpu_ms_per_frame` and `notes`; or `name` and `failure`. `trajectory.txt` is KITTI with
//! index, one row per posed frame.

use std::path::{Path, PathBuf};

use geometry::{Timestamp, Trajectory};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{
    Comparison, ComparisonRow, EvalError, OdometryProtocol, OdometryReport, TrajectoryFile, TrajectoryFormat,
    evaluate_files, read_trajectory,
};

/// Name of the file that makes a folder that of a peer.
pub const PEER_RECORD: &str = "peer.json";
const PEER_TRAJECTORY: &str = "trajectory.txt";
const NANOS_PER_FRAME: i64 = 1_000_000_000;
/// A similarity of positions needs three of them.
const FEWEST_POSES: usize = 3;

/// What became of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// Its name.
    pub name: String,
    /// What ran, where that is known.
    pub version: Option<String>,
    /// What it estimated, or why it failed.
    pub track: Result<PeerTrack, String>,
}

/// What a program estimated, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerTrack {
    /// Its poses by frame number.
    pub trajectory: TrajectoryFile,
    /// Frames that it was given.
    pub frames: usize,
    /// Whether its poses have rotations that mean something.
    pub has_rotation: bool,
    /// Computing time per frame without the reading of images, milliseconds.
    pub cpu_ms: f64,
    /// The same with reading and all else that the process did.
    pub whole_cpu_ms: f64,
    /// What to know about it.
    pub notes: Vec<String>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    version: Option<String>,
    failure: Option<String>,
}

#[derive(Deserialize)]
struct Measures {
    frames: usize,
    frames_posed: usize,
    has_rotation: bool,
    cpu_ms_per_frame: f64,
    reading_cpu_ms_per_frame: f64,
    #[serde(default)]
    notes: Vec<String>,
}

/// Reads the folder that a peer left.
///
/// # Errors
/// [`EvalError::Peer`] where the record is missing, lacks something or does not fit the trajectory;
/// [`read_trajectory`]'s where that can't be read.
pub fn read_peer(folder: &Path) -> Result<Peer, EvalError> {
    let path = folder.join(PEER_RECORD);
    let text = std::fs::read_to_string(&path).map_err(|error| fault(&path, "a peer's record", &error))?;
    let header: Header = parse(&path, &text)?;
    let track = match header.failure {
        Some(why) => Err(why),
        None => Ok(read_track(folder, parse(&path, &text)?)?),
    };
    Ok(Peer { name: header.name, version: header.version, track })
}

fn read_track(folder: &Path, measures: Measures) -> Result<PeerTrack, EvalError> {
    let (frames, posed) = (measures.frames, measures.frames_posed);
    let path = folder.join(PEER_TRAJECTORY);
    let trajectory = read_trajectory(&path)?;
    let expected = format!("{posed} rows, as {PEER_RECORD} says");
    ensure(trajectory.trajectory.len() == posed, &path, expected, || trajectory.trajectory.len())?;
    let is_numbered = trajectory.format == TrajectoryFormat::KittiIndexed;
    ensure(is_numbered, &path, TrajectoryFormat::KittiIndexed.to_string(), || trajectory.format)?;
    let last = trajectory.trajectory.stamps().last().map_or(0, |stamp| stamp.as_nanos() / NANOS_PER_FRAME);
    ensure(last < frames as i64, &path, format!("numbers of {frames} frames"), || last)?;
    let cpu_ms = measures.cpu_ms_per_frame;
    let reading_ms = measures.reading_cpu_ms_per_frame;
    let is_time = |ms: f64| ms.is_finite() && ms >= 0.0;
    ensure(
        is_time(cpu_ms) && is_time(reading_ms),
        &folder.join(PEER_RECORD),
        "CPU times of 0 ms or more",
        || format!("{cpu_ms} and {reading_ms}"),
    )?;
    let (has_rotation, notes) = (measures.has_rotation, measures.notes);
    Ok(PeerTrack { trajectory, frames, has_rotation, cpu_ms, whole_cpu_ms: cpu_ms + reading_ms, notes })
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, EvalError> {
    serde_json::from_str(text).map_err(|error| fault(path, "a peer's record", &error))
}

fn fault(path: &Path, expected: impl Into<String>, found: &impl ToString) -> EvalError {
    EvalError::Peer { path: path.to_path_buf(), expected: expected.into(), found: found.to_string() }
}

fn ensure<T: ToString>(
    holds: bool,
    path: &Path,
    expected: impl Into<String>,
    found: impl FnOnce() -> T,
) -> Result<(), EvalError> {
    if holds { Ok(()) } else { Err(fault(path, expected, &found())) }
}

/// Programs side by side. As JSON, the fields are the keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeerComparison {
    /// File of the ground truth.
    pub ground_truth: PathBuf,
    /// Frames that every program was given; `None` where all failed.
    pub frames: Option<usize>,
    /// Length of the ground truth's path over those frames, metres.
    pub path_length_m: f64,
    /// The table, one row per program.
    #[serde(flatten)]
    pub table: Comparison,
    /// How all this was measured, and what to know about a program.
    pub notes: Vec<String>,
    /// Everything about those that were measured; for charts, not for JSON.
    #[serde(skip)]
    pub reports: Vec<(String, OdometryReport)>,
}

const CPU_NOTES: [&str; 2] = [
    "cpu ms: CPU time per frame over all threads without image reading, starting and loading; of Kestrel that of the \
     odometry's thread, which does all of the estimating",
    "whole cpu ms: with image reading, and of Kestrel with recording and all else that the process did",
];

/// Measures programs against one ground truth by one protocol.
///
/// A program that posed fewer than three frames is a row that says so. Ground truth beyond the frames that the programs
/// were given is left out.
///
/// # Errors
/// [`EvalError::Peer`] where the programs were given different numbers of frames; [`evaluate_files`]'.
pub fn compare_peers(
    ground_truth: &TrajectoryFile,
    peers: &[Peer],
    protocol: &OdometryProtocol,
) -> Result<PeerComparison, EvalError> {
    let frames = common_frames(peers)?;
    let ground_truth = first_frames(ground_truth, frames);
    let mut comparison = PeerComparison {
        ground_truth: ground_truth.path.clone(),
        frames,
        path_length_m: ground_truth.trajectory.path_length(),
        table: Comparison::new(),
        notes: Vec::new(),
        reports: Vec::new(),
    };
    for peer in peers {
        let row = match &peer.track {
            Err(why) => ComparisonRow::failed(&peer.name, format!("failed: {why}")),
            Ok(track) if track.trajectory.trajectory.len() < FEWEST_POSES => too_few(peer, track),
            Ok(track) => {
                let report = measure(&ground_truth, track, protocol)?;
                let row = row(peer, track, &report);
                comparison.reports.push((peer.name.clone(), report));
                row
            }
        };
        comparison.table = comparison.table.row(ComparisonRow { version: peer.version.clone(), ..row });
    }
    comparison.notes = notes(peers, &comparison.reports);
    Ok(comparison)
}

fn measure(
    ground_truth: &TrajectoryFile,
    track: &PeerTrack,
    protocol: &OdometryProtocol,
) -> Result<OdometryReport, EvalError> {
    let report = evaluate_files(ground_truth, &track.trajectory, protocol)?;
    Ok(if track.has_rotation { report } else { report.of_positions() })
}

fn row(peer: &Peer, track: &PeerTrack, report: &OdometryReport) -> ComparisonRow {
    let is_partial = 2 * report.frames < track.frames;
    ComparisonRow {
        frames_given: Some(track.frames),
        cpu_ms: Some(track.cpu_ms),
        whole_cpu_ms: Some(track.whole_cpu_ms),
        remark: is_partial.then(|| "lost for most of the way".to_owned()),
        ..ComparisonRow::measured(&peer.name, report)
    }
}

fn too_few(peer: &Peer, track: &PeerTrack) -> ComparisonRow {
    ComparisonRow {
        frames: track.trajectory.trajectory.len(),
        frames_given: Some(track.frames),
        cpu_ms: Some(track.cpu_ms),
        whole_cpu_ms: Some(track.whole_cpu_ms),
        ..ComparisonRow::failed(&peer.name, "failed: too few poses to measure")
    }
}

fn common_frames(peers: &[Peer]) -> Result<Option<usize>, EvalError> {
    let mut tracks = peers.iter().filter_map(|peer| Some((&peer.name, peer.track.as_ref().ok()?)));
    let Some((first_name, first)) = tracks.next() else { return Ok(None) };
    for (_, track) in tracks {
        let expected = format!("a trajectory over {} frames, as of {first_name}", first.frames);
        ensure(track.frames == first.frames, &track.trajectory.path, expected, || track.frames)?;
    }
    Ok(Some(first.frames))
}

/// Frame numbers are stamps of whole seconds; stamped ground truth stays whole.
fn first_frames(ground_truth: &TrajectoryFile, frames: Option<usize>) -> TrajectoryFile {
    let limit = match frames {
        Some(frames) if !ground_truth.format.has_stamps() => frames as i64 * NANOS_PER_FRAME,
        _ => i64::MAX,
    };
    let mut trajectory = Trajectory::new();
    for (stamp, pose) in ground_truth.trajectory.iter().filter(|(stamp, _)| stamp.as_nanos() < limit) {
        // The stamps come from a trajectory, so they increase.
        let _ = trajectory.push(stamp, *pose);
    }
    TrajectoryFile { trajectory, ..ground_truth.clone() }
}

fn notes(peers: &[Peer], reports: &[(String, OdometryReport)]) -> Vec<String> {
    let protocol = reports.iter().find(|(_, report)| report.t_err_percent.is_some()).or(reports.first());
    let protocol = protocol.map(|(_, report)| match &report.t_err_missing_because {
        None => format!("t_err, r_err: {}", report.protocol.segments),
        Some(why) => format!("no t_err, r_err: {why}"),
    });
    let of_peer = |peer: &Peer| {
        let notes = peer.track.iter().flat_map(|track| &track.notes);
        notes.map(|note| format!("{}: {note}", peer.name)).collect::<Vec<_>>()
    };
    let cpu = CPU_NOTES.map(str::to_owned);
    protocol.into_iter().chain(cpu).chain(peers.iter().flat_map(of_peer)).collect()
}

/// The stamp that stands for a frame number, as in files of [KITTI's formats](TrajectoryFormat::has_stamps).
pub fn frame_stamp(frame: usize) -> Timestamp {
    Timestamp::from_nanos(frame as i64 * NANOS_PER_FRAME)
}

#[cfg(test)]
mod tests;
