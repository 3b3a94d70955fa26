//! What follows a flight: measure it, write the page, say what came out.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use eval::{
    Alignment, Figure, LatencyStats, OdometryProtocol, OdometryReport, Report, TrajectoryFile, figures_table,
};
use geometry::Trajectory;
use runtime::run::{MANIFEST, METRICS, RECORDING, REPORT, RunDirectory, TRAJECTORY_KITTI, TRAJECTORY_TUM};
use runtime::{Ended, FlightSummary};
use serde_json::{Map, Value};

use crate::commands::{HUNG, INCOMPLETE};
use crate::logging::{answer, say};
use crate::snapshots::Snapshots;

/// What a run is measured against.
pub(crate) enum Truth {
    /// Nothing is known.
    None,
    /// The dataset's own truth.
    Trajectory(Trajectory),
    /// A file that the user named.
    File(TrajectoryFile),
}

/// A flight that has landed.
pub(crate) struct Landed<'a> {
    pub(crate) title: String,
    pub(crate) run: &'a RunDirectory,
    pub(crate) summary: FlightSummary,
    pub(crate) truth: Truth,
    pub(crate) snapshots: &'a Snapshots,
    pub(crate) json: bool,
}

impl Landed<'_> {
    /// Measures, writes `metrics.json` and `report.html`, prints, and chooses the exit code.
    pub(crate) fn finish(self) -> anyhow::Result<ExitCode> {
        let estimate = self.estimate()?;
        let accuracy = self.accuracy(estimate.as_ref())?;
        self.summary.write(self.run, accuracy.as_ref().map_or_else(Map::new, accuracy_entries))?;
        self.write_report(estimate, accuracy.as_ref())?;
        if self.json {
            let metrics = std::fs::read_to_string(self.run.path().join(METRICS))
                .context("can't read metrics.json back")?;
            answer(&metrics)?;
        } else {
            answer(&self.text(accuracy.as_ref()))?;
        }
        Ok(self.exit_code())
    }

    /// The poses of the tracked frames; `None` where no frame was tracked.
    fn estimate(&self) -> anyhow::Result<Option<TrajectoryFile>> {
        let path = self.run.path().join(TRAJECTORY_TUM);
        let is_there = self.summary.tracked_frames > 0 && path.exists();
        is_there.then(|| eval::read_trajectory(&path)).transpose().map_err(Into::into)
    }

    fn accuracy(&self, estimate: Option<&TrajectoryFile>) -> anyhow::Result<Option<OdometryReport>> {
        let Some(estimate) = estimate else { return Ok(None) };
        let report = match &self.truth {
            Truth::None => return Ok(None),
            Truth::Trajectory(truth) => eval::evaluate(truth, &estimate.trajectory, &protocol(truth))?,
            // Rows of frames join the rows of every frame; stamps join the poses that have one.
            Truth::File(truth) if truth.format.has_stamps() => {
                eval::evaluate_files(truth, estimate, &protocol(&truth.trajectory))?
            }
            Truth::File(truth) => {
                let every_frame = eval::read_trajectory(self.run.path().join(TRAJECTORY_KITTI))?;
                eval::evaluate_files(truth, &every_frame, &protocol(&truth.trajectory))?
            }
        };
        Ok(Some(report))
    }

    fn figures(&self) -> Vec<Figure> {
        let (summary, frames) = (&self.summary, self.summary.frames as usize);
        let schedule = format!("wall time, {}", self.summary.source);
        let tracked = 100.0 * summary.tracked_frames as f64 / summary.frames.max(1) as f64;
        let mut figures = vec![
            Figure::new("frame rate", summary.fps, "frames/s").protocol(schedule).count(frames, "frames"),
            Figure::new("tracked", tracked, "%")
                .protocol("frames with a pose of their own")
                .count(frames, "frames"),
            Figure::new("resets", f64::from(summary.resets), "")
                .protocol("maps given up and begun anew")
                .count(frames, "frames"),
            Figure::new("CPU, whole process", summary.cpu_ms_per_frame, "ms/frame")
                .protocol("all threads; decoding, recording and viewing included")
                .count(frames, "frames"),
            Figure::new("CPU, odometry", summary.odometry_cpu_ms_per_frame, "ms/frame")
                .protocol("its own thread")
                .count(frames, "frames"),
        ];
        if let Some(latency) = summary.latency("source->odometry") {
            let protocol = format!("admission to pose, first {} frames left out", summary.warm_up_frames);
            let figure = |name: &str, value: f64| {
                Figure::new(name, value, "ms").protocol(&protocol).count(latency.frames as usize, "frames")
            };
            figures.extend([
                figure("latency, median", latency.p50_ms),
                figure("latency, 99th percentile", latency.p99_ms),
            ]);
        }
        figures
    }

    fn write_report(
        &self,
        estimate: Option<TrajectoryFile>,
        accuracy: Option<&OdometryReport>,
    ) -> anyhow::Result<()> {
        let mut page = Report::new(&self.title).subtitle(format!("kestrel {}", env!("CARGO_PKG_VERSION")));
        page = match (accuracy, estimate) {
            (Some(accuracy), _) => page.odometry("estimate", accuracy.clone()),
            (None, Some(estimate)) => page.trajectory("estimate", estimate.trajectory),
            (None, None) => page.note("No frame was tracked, so there is no trajectory."),
        };
        page = page.figures(self.figures());
        page = self.summary.latency.iter().map(latency_stats).fold(page, Report::latency);
        page = self.snapshots.pictures()?.into_iter().fold(page, Report::frame);
        page = self.notes().into_iter().fold(page, Report::note);
        let manifest = std::fs::read_to_string(self.run.path().join(MANIFEST)).unwrap_or_default();
        page.configuration(manifest).write(self.run.path().join(REPORT))?;
        Ok(())
    }

    /// What a reader must know: assumptions, and whatever went wrong.
    fn notes(&self) -> Vec<String> {
        let summary = &self.summary;
        let ended = match &summary.ended {
            Ended::EndOfSource => None,
            Ended::Cancelled => Some("The flight was ended before the source was.".to_owned()),
            Ended::TooManySourceErrors => {
                Some("The source gave nothing but errors, so the flight ended.".to_owned())
            }
            Ended::SourceSilent => Some("The source fell silent, so the flight ended.".to_owned()),
            Ended::Hung(stage) => Some(format!("A stage hung for good: {stage}.")),
        };
        let parts = [&summary.assumptions, &summary.source_errors, &summary.recording_faults];
        parts.into_iter().flatten().cloned().chain(ended).collect()
    }

    fn text(&self, accuracy: Option<&OdometryReport>) -> String {
        let mut figures = self.figures();
        figures.extend(accuracy.map(OdometryReport::figures).unwrap_or_default());
        let file = |name: &str| self.run.path().join(name);
        let written =
            [REPORT, RECORDING, TRAJECTORY_KITTI, METRICS].map(file).into_iter().filter(|path| path.exists());
        let files: String = written.map(|path| format!("  {}\n", path.display())).collect();
        format!("{}\n{}\n{files}", self.title, figures_table(&figures))
    }

    fn exit_code(&self) -> ExitCode {
        for note in self.summary.source_errors.iter().chain(&self.summary.recording_faults) {
            say(&format!("kestrel: {note}"));
        }
        match &self.summary.ended {
            Ended::Hung(stage) => {
                say(&format!("kestrel: {stage}"));
                ExitCode::from(HUNG as u8)
            }
            _ if self.summary.is_clean() => ExitCode::SUCCESS,
            _ => ExitCode::from(INCOMPLETE),
        }
    }
}

/// Sim(3), because a single camera knows no scale, and segments that fit the path.
fn protocol(truth: &Trajectory) -> OdometryProtocol {
    let lengths_m = match truth.path_length() {
        short if short < 100.0 => vec![10.0, 20.0, 30.0, 40.0, 50.0],
        middling if middling < 400.0 => vec![50.0, 100.0, 150.0, 200.0],
        _ => (1..=8).map(|i| f64::from(i) * 100.0).collect(),
    };
    OdometryProtocol { lengths_m, ..OdometryProtocol::aligned_by(Alignment::Sim3) }
}

fn accuracy_entries(report: &OdometryReport) -> Map<String, Value> {
    let value = serde_json::to_value(report).unwrap_or_default();
    let main =
        ["ate_rmse_m", "t_err_percent", "r_err_deg_per_100m"].map(|key| (key.to_owned(), value[key].clone()));
    main.into_iter().chain([("accuracy".to_owned(), value.clone())]).collect()
}

fn latency_stats(row: &runtime::LatencyRow) -> LatencyStats {
    LatencyStats {
        path: row.path.clone(),
        count: row.latency.frames as usize,
        p50_ms: row.latency.p50_ms,
        p90_ms: row.latency.p90_ms,
        p99_ms: row.latency.p99_ms,
        max_ms: row.latency.max_ms,
        histogram: Vec::new(),
    }
}

/// A file that the user named as truth.
pub(crate) fn truth_file(path: &Path) -> anyhow::Result<Truth> {
    Ok(Truth::File(eval::read_trajectory(path)?))
}
