use std::fs;

use tempfile::TempDir;

use super::*;
use crate::{Alignment, parse_trajectory};

const FRAMES: usize = 8;

fn pose_row(frame: usize, scale: f64) -> String {
    let (x, z) = ((frame as f64 * 0.7).sin() * scale, frame as f64 * scale);
    format!("1 0 0 {x} 0 1 0 0 0 0 1 {z}\n")
}

fn truth(frames: usize) -> TrajectoryFile {
    let rows: String = (0..frames).map(|frame| pose_row(frame, 1.0)).collect();
    parse_trajectory(Path::new("truth.txt"), &rows).unwrap()
}

fn record(extra: &str) -> String {
    format!(
        r#"{{"name": "other", "version": "other 1.2", "frames": {FRAMES}, "frames_posed": 6, "has_rotation": true,
            "cpu_ms_per_frame": 30, "reading_cpu_ms_per_frame": 2, "notes": ["slow"]{extra}}}"#
    )
}

/// A peer at half scale that posed the frames from number 2.
fn folder(record: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (2..FRAMES).map(|frame| format!("{frame} {}", pose_row(frame, 0.5))).collect();
    fs::write(folder.path().join(PEER_TRAJECTORY), rows).unwrap();
    fs::write(folder.path().join(PEER_RECORD), record).unwrap();
    folder
}

fn compared(peers: &[Peer], truth_frames: usize) -> Result<PeerComparison, EvalError> {
    let protocol =
        OdometryProtocol { lengths_m: vec![3.0], step: 1, ..OdometryProtocol::aligned_by(Alignment::Sim3) };
    compare_peers(&truth(truth_frames), peers, &protocol)
}

#[track_caller]
fn assert_refused(folder: &TempDir, parts: &[&str]) {
    let error = read_peer(folder.path()).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}

#[test]
fn poses_cost_and_gaps_are_in_one_row() {
    let folder = folder(&record(""));
    let comparison = compared(&[read_peer(folder.path()).unwrap()], 2 * FRAMES).unwrap();
    let row = &comparison.table.rows[0];
    assert_eq!((row.frames, row.frames_given), (6, Some(FRAMES)));
    assert_eq!((row.cpu_ms, row.whole_cpu_ms), (Some(30.0), Some(32.0)));
    assert!(row.ate_rmse_m.unwrap() < 1e-9 && row.t_err_percent.unwrap() < 1e-9, "{row:?}");
    let report = &comparison.reports[0].1;
    assert!((report.scale - 2.0).abs() < 1e-9);
    assert_eq!(report.ground_truth_frames, FRAMES, "truth beyond the frames is left out");
    assert!(comparison.notes.contains(&"other: slow".to_owned()));
}

#[test]
fn a_failure_is_a_row() {
    let failed = folder(r#"{"name": "broken", "failure": "ended by signal 11"}"#);
    let peers = [read_peer(failed.path()).unwrap(), read_peer(folder(&record("")).path()).unwrap()];
    let comparison = compared(&peers, FRAMES).unwrap();
    assert_eq!(comparison.table.rows[0].remark.as_deref(), Some("failed: ended by signal 11"));
    assert_eq!(comparison.table.rows[1].ate_rmse_m.map(|ate| ate < 1e-9), Some(true));
    let alone = compared(&peers[..1], FRAMES).unwrap();
    assert_eq!((alone.frames, alone.reports.len()), (None, 0));
}

#[test]
fn positions_alone_have_no_drift() {
    let folder = folder(&record("").replace("\"has_rotation\": true", "\"has_rotation\": false"));
    let comparison = compared(&[read_peer(folder.path()).unwrap()], FRAMES).unwrap();
    let row = &comparison.table.rows[0];
    assert!(row.t_err_percent.is_none() && row.r_err_deg_per_100m.is_none() && row.ate_rmse_m.is_some());
    assert!(comparison.reports[0].1.figures().iter().all(|figure| figure.name != "APE rotation rmse"));
}

#[test]
fn two_poses_are_no_trajectory() {
    let folder = folder(&record("").replace("\"frames_posed\": 6", "\"frames_posed\": 2"));
    let rows: String = (2..4).map(|frame| format!("{frame} {}", pose_row(frame, 0.5))).collect();
    fs::write(folder.path().join(PEER_TRAJECTORY), rows).unwrap();
    let comparison = compared(&[read_peer(folder.path()).unwrap()], FRAMES).unwrap();
    let row = &comparison.table.rows[0];
    assert_eq!((row.frames, row.ate_rmse_m), (2, None));
    assert_eq!(row.remark.as_deref(), Some("failed: too few poses to measure"));
}

#[test]
fn what_does_not_fit_is_refused() {
    assert_refused(
        &tempfile::tempdir().unwrap(),
        &["peer.json: expected a peer's record, found No such file"],
    );
    assert_refused(&folder("{"), &["peer.json: expected a peer's record"]);
    assert_refused(&folder(r#"{"name": "x"}"#), &["missing field `frames`"]);
    let wrong = |from: &str, to: &str| folder(&record("").replace(from, to));
    assert_refused(&wrong("\"frames_posed\": 6", "\"frames_posed\": 7"), &["expected 7 rows", "found 6"]);
    assert_refused(&wrong("\"frames\": 8", "\"frames\": 7"), &["expected numbers of 7 frames, found 7"]);
    assert_refused(&wrong(": 30,", ": -30,"), &["expected CPU times of 0 ms or more, found -30 and 2"]);
    let unnumbered = folder(&record(""));
    let rows: String = (0..6).map(|frame| pose_row(frame, 1.0)).collect();
    fs::write(unnumbered.path().join(PEER_TRAJECTORY), rows).unwrap();
    assert_refused(&unnumbered, &["expected KITTI with index, found KITTI"]);
}

#[test]
fn programs_that_saw_other_frames_are_not_compared() {
    let peer = read_peer(folder(&record("")).path()).unwrap();
    let longer = read_peer(folder(&record("").replace("\"frames\": 8", "\"frames\": 9")).path()).unwrap();
    let error = compared(&[peer, longer], FRAMES).unwrap_err().to_string();
    assert!(error.contains("expected a trajectory over 8 frames, as of other, found 9"), "{error}");
}
