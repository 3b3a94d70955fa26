//! `kestrel pose`: how the camera moves, by a pose network alone.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use datasets::{Dataset, SourceSpec, WindowSpec, open_ahead};
use eval::{kitti_row, tum_row};
use geometry::{Se3, Timestamp};
use runtime::graph::process_cpu;
use serde_json::json;
use vo::NetworkOdometry;

use crate::cli::{PoseArgs, TrajectoryFormatArg};
use crate::commands::{INCOMPLETE, replace_file};
use crate::logging::{answer, say};
use crate::model_file::{ModelFile, POSE};
use crate::progress::FrameProgress;

pub(super) fn pose(args: &PoseArgs) -> anyhow::Result<ExitCode> {
    ensure!(
        args.out != Path::new(&args.source),
        "expected another file for --out than the source, found {}",
        args.out.display()
    );
    let network = ModelFile::open(args.model.as_deref(), &POSE)?.pose_network()?;
    let seen = look(NetworkOdometry::new(network.with_threads(args.threads)?), args)?;
    let row = |(stamp, pose): &(Timestamp, Se3)| match args.format {
        TrajectoryFormatArg::Tum => tum_row(*stamp, pose),
        TrajectoryFormatArg::Kitti => kitti_row(pose),
    };
    let text: String = seen.poses.iter().map(|pose| format!("{}\n", row(pose))).collect();
    replace_file(&args.out, text.as_bytes())?;
    let (frames, unread, out) = (seen.poses.len(), seen.unread, args.out.display());
    let cpu_ms = seen.cpu.as_secs_f64() * 1e3 / frames.saturating_sub(1).max(1) as f64;
    answer(&if args.json {
        json!({
            "out": out.to_string(),
            "frames": frames,
            "unread_frames": unread,
            "cpu_ms_per_frame": cpu_ms,
        })
        .to_string()
    } else {
        format!(
            "{frames} poses in {out}, {unread} frames unread; {cpu_ms:.2} ms CPU a frame (the network, resizing included)"
        )
    })?;
    Ok(if unread > 0 { ExitCode::from(INCOMPLETE) } else { ExitCode::SUCCESS })
}

/// What came out.
struct Seen {
    /// `world_from_camera`, in the network's unit; the first camera is the world.
    poses: Vec<(Timestamp, Se3)>,
    unread: usize,
    cpu: Duration,
}

/// Where the camera of each frame is. A frame that can't be read has no pose, and the motion over it is seen at
/// once.
fn look(mut odometry: NetworkOdometry, args: &PoseArgs) -> anyhow::Result<Seen> {
    let window =
        WindowSpec { skip: args.window.skip, stride: args.window.stride, max_frames: args.window.max_frames };
    let mut source = open_ahead(&SourceSpec::new(&args.source), window)?;
    let mut bar = FrameProgress::new(source.info().frame_count.map(|count| count as u64));
    let mut seen = Seen { poses: Vec::new(), unread: 0, cpu: Duration::ZERO };
    loop {
        match source.next_frame() {
            Ok(None) => break,
            Ok(Some(frame)) => {
                let start = process_cpu();
                let pose = odometry.register_frame(&frame)?;
                seen.cpu += process_cpu() - start;
                seen.poses.push((frame.stamp, pose));
            }
            Err(error) => {
                say(&error.to_string());
                seen.unread += 1;
            }
        }
        bar.update((seen.poses.len() + seen.unread) as u64, String::new);
    }
    bar.finish();
    ensure!(
        seen.poses.len() > 1,
        "expected at least two frames, found {} in {}",
        seen.poses.len(),
        args.source
    );
    Ok(seen)
}
