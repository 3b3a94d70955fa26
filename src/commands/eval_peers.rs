//! `kestrel eval peers`.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use eval::{
    Alignment, OdometryProtocol, PEER_RECORD, Peer, PeerComparison, PeerTrack, Report, TrajectoryFile,
    TrajectoryFormat, compare_peers, frame_stamp, read_peer, read_trajectory,
};
use geometry::Trajectory;
use runtime::run::{ADMITTED, MANIFEST, METRICS, Manifest, TRAJECTORY_TUM, read_admitted};
use serde_json::Value;

use crate::cli::EvalPeersArgs;
use crate::commands::ensure_replaceable;
use crate::logging::{answer, say};

pub(super) fn eval_peers(args: &EvalPeersArgs) -> anyhow::Result<ExitCode> {
    let ground_truth = read_trajectory(&args.gt)?;
    let peers = args.runs.iter().map(|folder| read_run(folder)).collect::<anyhow::Result<Vec<Peer>>>()?;
    let comparison = compare_peers(&ground_truth, &peers, &protocol(args, &ground_truth, &peers))?;
    if let Some(path) = &args.report {
        ensure_replaceable(path)?;
        page(&comparison).write(path)?;
        say(&format!("report: {}", path.display()));
    }
    answer(&if args.json { serde_json::to_string_pretty(&comparison)? } else { text(&comparison) })?;
    Ok(ExitCode::SUCCESS)
}

/// One global Sim(3), because a single camera knows no scale, and segments that fit the path of the frames.
fn protocol(args: &EvalPeersArgs, ground_truth: &TrajectoryFile, peers: &[Peer]) -> OdometryProtocol {
    let frames = peers.iter().find_map(|peer| Some(peer.track.as_ref().ok()?.frames));
    let distances = ground_truth.trajectory.distances();
    let last = frames.unwrap_or(distances.len()).min(distances.len()).saturating_sub(1);
    let fitting = || match distances.get(last) {
        Some(length_m) if *length_m < 100.0 => vec![10.0, 20.0, 30.0, 40.0, 50.0],
        _ => vec![50.0, 100.0, 150.0, 200.0],
    };
    OdometryProtocol {
        lengths_m: args.lengths.clone().unwrap_or_else(fitting),
        step: args.step,
        ..OdometryProtocol::aligned_by(Alignment::Sim3)
    }
}

fn read_run(folder: &Path) -> anyhow::Result<Peer> {
    if folder.join(PEER_RECORD).exists() {
        return Ok(read_peer(folder)?);
    }
    if folder.join(MANIFEST).exists() {
        return own_run(folder);
    }
    bail!(
        "{}: expected {PEER_RECORD} of a peer or {MANIFEST} of a Kestrel run, found neither",
        folder.display()
    )
}

/// A run of Kestrel as one among the others.
fn own_run(folder: &Path) -> anyhow::Result<Peer> {
    let path = folder.join(METRICS);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{}: expected the figures of a Kestrel run", path.display()))?;
    let metrics: Value = serde_json::from_str(&text)
        .with_context(|| format!("{}: expected the figures of a Kestrel run", path.display()))?;
    let number = |key: &str| {
        let value = metrics[key].as_f64().filter(|value| value.is_finite() && *value >= 0.0);
        value
            .with_context(|| format!("{}: expected a number `{key}`, found {}", path.display(), metrics[key]))
    };
    let manifest = Manifest::read(folder)?;
    let frames = number("frames")? as usize;
    let track = match number("tracked_frames")? {
        0.0 => Err(format!("none of {frames} frames was posed")),
        _ => Ok(PeerTrack {
            trajectory: numbered(folder, &manifest)?,
            frames,
            has_rotation: true,
            cpu_ms: number("odometry_cpu_ms_per_frame")?,
            whole_cpu_ms: number("cpu_ms_per_frame")?,
            notes: vec!["poses as known after the run".to_owned()],
        }),
    };
    Ok(Peer {
        name: "Kestrel".to_owned(),
        version: Some(format!("kestrel {}", manifest.versions.kestrel)),
        track,
    })
}

/// The poses of a run by the number of their frame in the sequence.
fn numbered(folder: &Path, manifest: &Manifest) -> anyhow::Result<TrajectoryFile> {
    let window = manifest.source.to_window();
    let rows = read_admitted(folder)?;
    let frame_at: HashMap<_, _> = rows.iter().enumerate().map(|(index, row)| (row.stamp, index)).collect();
    let stamped = read_trajectory(folder.join(TRAJECTORY_TUM))?;
    let mut trajectory = Trajectory::new();
    for (stamp, pose) in stamped.trajectory.iter() {
        let index = frame_at.get(&stamp).with_context(|| {
            format!("{}: expected a frame at {stamp} in {ADMITTED}, found none", stamped.path.display())
        })?;
        trajectory.push(frame_stamp(window.skip + index * window.stride), *pose)?;
    }
    Ok(TrajectoryFile { format: TrajectoryFormat::KittiIndexed, trajectory, ..stamped })
}

fn subtitle(comparison: &PeerComparison) -> String {
    let ground_truth = comparison.ground_truth.display();
    match comparison.frames {
        Some(frames) => {
            format!("{frames} frames, {:.1} m, against {ground_truth}", comparison.path_length_m)
        }
        None => format!("against {ground_truth}"),
    }
}

fn text(comparison: &PeerComparison) -> String {
    let notes: String = comparison.notes.iter().map(|note| format!("- {note}\n")).collect();
    format!("{}\n\n{}\n{notes}", subtitle(comparison), comparison.table)
}

fn page(comparison: &PeerComparison) -> Report {
    let page = Report::new("Kestrel and its peers").subtitle(subtitle(comparison));
    let page = page.comparison(comparison.table.clone());
    let page = comparison.notes.iter().fold(page, Report::note);
    comparison.reports.iter().fold(page, |page, (name, report)| page.odometry(name, report.clone()))
}
