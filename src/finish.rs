//! What follows a flight: measure it, write the page, say what came out.

use std::path::Path;
use std::process::ExitCode;

use eval::{
    Alignment, Figure, LatencyStats, OdometryProtocol, OdometryReport, Report, TrajectoryFile, figures_table,
};
use geometry::{Timestamp, Trajectory};
use runtime::graph::process_cpu;
use runtime::run::{
    MANIFEST, METRICS, Manifest, RECORDING, REPORT, RunDirectory, TRAJECTORY_KITTI, TRAJECTORY_TUM,
    read_admitted,
};
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
    /// Measures, writes `metrics.json` and `report.html`, prints, and chooses the exit code. A full disk costs the files and
    /// not the answer.
    pub(crate) fn finish(mut self) -> anyhow::Result<ExitCode> {
        let estimate = self.estimate()?;
        // Truth that does not fit is no reason to leave a flight without its report.
        let accuracy = self.accuracy(estimate.as_ref()).unwrap_or_else(|fault| {
            self.note_fault(Err(fault));
            None
        });
        let entries = accuracy.as_ref().map_or_else(Map::new, accuracy_entries);
        let written = self.write_report(estimate, accuracy.as_ref());
        self.note_fault(written);
        self.summary.process_cpu_s = process_cpu().as_secs_f64();
        let written = self.summary.write(self.run, entries.clone());
        self.note_fault(written.map_err(Into::into));
        answer(&if self.json { self.summary.to_json(entries) } else { self.text(accuracy.as_ref()) })?;
        Ok(self.exit_code())
    }

    fn note_fault(&mut self, written: anyhow::Result<()>) {
        self.summary.recording_faults.extend(written.err().map(|error| error.to_string()));
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
            Truth::File(truth) if truth.format.has_stamps() => {
                eval::evaluate_files(truth, estimate, &protocol(&truth.trajectory))?
            }
            Truth::File(truth) => {
                let truth = self.stamped(truth)?;
                eval::evaluate(&truth, &estimate.trajectory, &protocol(&truth))?
            }
        };
        Ok(Some(report))
    }

    /// Truth that numbers the source's frames, with the stamps that the run's frames have.
    fn stamped(&self, truth: &TrajectoryFile) -> anyhow::Result<Trajectory> {
        let window = Manifest::read(self.run.path())?.source.to_window();
        let mut stamped = Trajectory::new();
        for (index, row) in read_admitted(self.run.path())?.iter().enumerate() {
            // Such files give frame n the stamp n seconds.
            let frame = (window.skip + index * window.stride) as i64;
            let stamps = truth.trajectory.stamps();
            let Ok(at) = stamps.binary_search(&Timestamp::from_nanos(frame * 1_000_000_000)) else {
                continue;
            };
            // A frame with a bad stamp has no pose to compare with.
            let _ = stamped.push(row.stamp, truth.trajectory.poses()[at]);
        }
        Ok(stamped)
    }

    fn figures(&self) -> Vec<Figure> {
        let (summary, frames) = (&self.summary, self.summary.frames as usize);
        let schedule = format!("wall time, {}", self.summary.source);
        let tracked = 100.0 * summary.tracked_frames as f64 / summary.frames.max(1) as f64;
        let mut figures = vec![
            Figure::new("frame rate", summary.fps, "frames/s").protocol(schedule).count(frames, "frames"),
            Figure::new("tracked", tracked, "%")
                .protocol("frames whose pose was known in flight")
                .count(frames, "frames"),
            Figure::new("resets", f64::from(summary.resets), "")
                .protocol("maps given up and begun anew")
                .count(frames, "frames"),
            Figure::new("CPU, whole process", summary.cpu_ms_per_frame, "ms/frame")
                .protocol("all threads in flight; decoding, recording and viewing included")
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
            (None, Some(estimate)) => {
                page.trajectory("estimate", estimate.trajectory).length_unit("map units")
            }
            (None, None) => page,
        };
        page = page.figures(self.figures());
        page = self.summary.latency.iter().map(latency_stats).fold(page, Report::latency);
        page = self.snapshots.pictures()?.into_iter().fold(page, Report::frame);
        page = self.notes(accuracy.is_some()).into_iter().fold(page, Report::note);
        let manifest = std::fs::read_to_string(self.run.path().join(MANIFEST)).unwrap_or_default();
        page.configuration(manifest).write(self.run.path().join(REPORT))?;
        Ok(())
    }

    /// What a reader must know: assumptions, and whatever went wrong.
    fn notes(&self, is_measured: bool) -> Vec<String> {
        let scale = (self.summary.tracked_frames > 0 && !is_measured).then(|| NO_SCALE.to_owned());
        let parts = [&self.summary.assumptions, &self.summary.source_errors, &self.summary.recording_faults];
        parts.into_iter().flatten().cloned().chain(scale).chain(self.shortfall()).collect()
    }

    /// Why the run is not what it might have been, where it ended early or found nothing.
    fn shortfall(&self) -> Option<String> {
        let summary = &self.summary;
        match &summary.ended {
            Ended::EndOfSource if summary.tracked_frames == 0 => Some(NOTHING_TRACKED.to_owned()),
            Ended::EndOfSource => None,
            Ended::Cancelled => Some(format!("ended on request after {} frames", summary.frames)),
            Ended::TooManySourceErrors => Some("ended early: the source gave nothing but errors".to_owned()),
            Ended::SourceSilent => Some("ended early: the source fell silent".to_owned()),
            Ended::Hung(stage) => Some(format!("ended early: a stage hung for good: {stage}")),
        }
    }

    fn text(&self, accuracy: Option<&OdometryReport>) -> String {
        let mut figures = self.figures();
        figures.extend(accuracy.map(OdometryReport::figures).unwrap_or_default());
        let file = |name: &str| self.run.path().join(name);
        let written =
            [REPORT, RECORDING, TRAJECTORY_KITTI, METRICS].map(file).into_iter().filter(|path| path.exists());
        let unit = if accuracy.is_none() { format!("note: {NO_SCALE}\n") } else { String::new() };
        let files: String = written.map(|path| format!("  {}\n", path.display())).collect();
        format!("{}\n{}{unit}\n{files}", self.title, figures_table(&figures))
    }

    fn exit_code(&self) -> ExitCode {
        let summary = &self.summary;
        let faults = summary.source_errors.iter().chain(&summary.recording_faults).cloned();
        for note in faults.chain(self.shortfall()) {
            say(&format!("kestrel: {note}"));
        }
        match &summary.ended {
            Ended::Hung(_) => ExitCode::from(HUNG as u8),
            Ended::EndOfSource if summary.tracked_frames == 0 => ExitCode::from(INCOMPLETE),
            _ if summary.is_clean() => ExitCode::SUCCESS,
            _ => ExitCode::from(INCOMPLETE),
        }
    }
}

const NO_SCALE: &str = "Lengths are in map units, not metres: one camera alone knows no scale. The unit is the median \
                        depth of the scene where the map began.";
const NOTHING_TRACKED: &str = "no frame was tracked, so there is no trajectory: the camera must move sideways or forward \
                               past things with texture";

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
