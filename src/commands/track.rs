//! `kestrel track`: one target, followed through a source.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use datasets::{Dataset, ReadAhead, SourceSpec, Window, WindowSpec};
use geometry::{BoundingBox, Frame, TrackState};
use runtime::graph::{process_cpu, thread_cpu};
use serde_json::json;
use track::{Tracker, TrackerConfig};

use crate::cli::TrackArgs;
use crate::commands::{INCOMPLETE, ensure_apart};
use crate::logging::{answer, say};
use crate::progress::FrameProgress;

/// Frames decoded ahead of use.
const AHEAD: usize = 4;

pub(super) fn track(args: &TrackArgs) -> anyhow::Result<ExitCode> {
    ensure_own(&args.out)?;
    ensure_apart(Path::new(&args.source), &args.out)?;
    let window =
        WindowSpec { skip: args.window.skip, stride: args.window.stride, max_frames: args.window.max_frames };
    let source = Window::new(datasets::open(&SourceSpec::new(&args.source))?, window);
    let mut source = ReadAhead::new(source, AHEAD)?;
    let before = process_cpu();
    let followed = follow(&mut source, args.target)?;
    let process = process_cpu() - before;
    fs::write(&args.out, &followed.rows)
        .with_context(|| format!("{}: can't write the boxes", args.out.display()))?;
    let summary = followed.summary(args, process);
    answer(&if args.json { summary.to_string() } else { followed.text(args) })?;
    Ok(if followed.unread_frames > 0 { ExitCode::from(INCOMPLETE) } else { ExitCode::SUCCESS })
}

/// What became of the target.
struct Followed {
    /// One `x,y,w,h,confidence` per frame.
    rows: String,
    frames: usize,
    lost_frames: usize,
    unread_frames: usize,
    /// CPU time of the tracker alone, on the frames after the first.
    tracker: Duration,
}

impl Followed {
    fn cpu_ms_per_frame(&self) -> f64 {
        self.tracker.as_secs_f64() * 1e3 / self.frames.saturating_sub(1).max(1) as f64
    }

    fn summary(&self, args: &TrackArgs, process: Duration) -> serde_json::Value {
        json!({
            "out": args.out.display().to_string(),
            "frames": self.frames,
            "lost_frames": self.lost_frames,
            "unread_frames": self.unread_frames,
            "cpu_ms_per_frame": self.cpu_ms_per_frame(),
            "process_cpu_ms_per_frame": process.as_secs_f64() * 1e3 / self.frames as f64,
        })
    }

    fn text(&self, args: &TrackArgs) -> String {
        format!(
            "{} frames in {}: {} without sight of the target, {} unread; {:.2} ms CPU a frame (the tracker's thread, \
             decoding left out)",
            self.frames,
            args.out.display(),
            self.lost_frames,
            self.unread_frames,
            self.cpu_ms_per_frame()
        )
    }
}

fn follow(source: &mut dyn Dataset, target: BoundingBox) -> anyhow::Result<Followed> {
    let mut tracker = Tracker::new(TrackerConfig::default());
    let first = source.next_frame()?;
    let Some(first) = first else { bail!("expected at least one frame, found none") };
    tracker.init(&first, target)?;
    let mut followed = Followed {
        rows: String::new(),
        frames: 1,
        lost_frames: 0,
        unread_frames: 0,
        tracker: Duration::ZERO,
    };
    let mut last = target;
    add_row(&mut followed.rows, &target, 1.0);
    let mut bar = FrameProgress::new(source.info().frame_count.map(|count| count as u64));
    loop {
        match source.next_frame() {
            Ok(None) => break,
            Ok(Some(frame)) => last = follow_frame(&mut tracker, &frame, &mut followed)?,
            Err(error) => {
                // A frame that can't be read still has its row, so that rows and frames stay side by side.
                say(&format!("frame {}: {error}", followed.frames));
                followed.unread_frames += 1;
                add_row(&mut followed.rows, &last, 0.0);
            }
        }
        followed.frames += 1;
        bar.update(followed.frames as u64, || format!("{} lost", followed.lost_frames));
    }
    bar.finish();
    Ok(followed)
}

fn follow_frame(
    tracker: &mut Tracker,
    frame: &Frame,
    followed: &mut Followed,
) -> anyhow::Result<BoundingBox> {
    let before = thread_cpu();
    let track = tracker.update(frame)?;
    followed.tracker += thread_cpu() - before;
    followed.lost_frames += usize::from(track.state == TrackState::Lost);
    add_row(&mut followed.rows, &track.bounding_box, track.confidence);
    Ok(track.bounding_box)
}

fn add_row(rows: &mut String, b: &BoundingBox, confidence: f32) {
    // Writing to a string can't fail.
    let _ = writeln!(rows, "{:.2},{:.2},{:.2},{:.2},{confidence:.4}", b.x, b.y, b.width, b.height);
}

/// Only an earlier file of boxes may be replaced.
fn ensure_own(path: &Path) -> anyhow::Result<()> {
    let is_row = |line: &str| line.split(',').filter(|number| number.parse::<f32>().is_ok()).count() == 5;
    let is_own = fs::read_to_string(path).map_or(!path.exists(), |text| text.lines().all(is_row));
    ensure!(is_own, "expected a new file or earlier boxes for --out, found {}", path.display());
    Ok(())
}
