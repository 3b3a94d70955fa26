//! What follows a flight: measure it, write the page, say what came out.

use std::path::Path;
use std::process::ExitCode;

use datasets::TargetTruth;
use eval::{
    Alignment, Figure, LatencyStats, OdometryProtocol, OdometryReport, Report, TrajectoryFile, figures_table,
};
use geometry::{Timestamp, Trajectory};
use runtime::graph::process_cpu;
use runtime::run::{
    DETECTIONS, MANIFEST, METRICS, Manifest, RECORDING, REPORT, RunDirectory, TARGET, TRAJECTORY_KITTI,
    TRAJECTORY_NETWORK, TRAJECTORY_TUM, read_admitted,
};
use runtime::{Ended, FlightSummary};
use serde_json::{Map, Value};
use vo::ScaleSource;

use crate::commands::{HUNG, INCOMPLETE};
use crate::depths;
use crate::detections::{self, DetectionReport};
use crate::films::{Films, developed};
use crate::logging::{answer, say};
use crate::poses;
use crate::target::TargetReport;

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
    pub(crate) films: &'a Films,
    /// The true boxes of what may have been followed.
    pub(crate) target_truth: Option<TargetTruth>,
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
        let network = self.network(estimate.as_ref()).unwrap_or_else(|fault| {
            self.note_fault(Err(fault));
            None
        });
        let target = self.target().unwrap_or_else(|fault| {
            self.note_fault(Err(fault));
            None
        });
        let objects = self.objects().unwrap_or_else(|fault| {
            self.note_fault(Err(fault));
            None
        });
        let mut entries = accuracy.as_ref().map_or_else(Map::new, Accuracy::entries);
        let measured = target.as_ref().and_then(TargetReport::one_pass);
        entries.extend(
            measured.map(|report| {
                ("target_accuracy".to_owned(), serde_json::to_value(report).unwrap_or_default())
            }),
        );
        entries.extend(network.as_ref().map(NetworkPath::entry));
        let parts = Parts { accuracy, network, target, objects };
        let written = self.write_report(estimate, &parts);
        self.note_fault(written);
        self.summary.process_cpu_s = process_cpu().as_secs_f64();
        let written = self.summary.write(self.run, entries.clone());
        self.note_fault(written.map_err(Into::into));
        let text = self.text(&parts);
        answer(&if self.json { self.summary.to_json(entries) } else { text })?;
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

    /// What is known of the target; `None` where nothing was followed.
    fn target(&self) -> anyhow::Result<Option<TargetReport>> {
        let followed = self.summary.target.filter(|target| target.frames > 0);
        let read = |_| {
            let film = developed(&self.films.target);
            TargetReport::read(self.run.path(), &film, self.target_truth.as_ref())
        };
        followed.map(read).transpose()
    }

    /// What was found; `None` where nobody looked.
    fn objects(&self) -> anyhow::Result<Option<DetectionReport>> {
        if self.summary.detections.is_none() {
            return Ok(None);
        }
        let flown = Manifest::read(self.run.path())?.detect;
        let classes = flown.map(|detect| detect.classes).unwrap_or_default();
        DetectionReport::read(self.run.path(), &developed(&self.films.objects), &classes).map(Some)
    }

    fn object_figures(&self) -> Vec<Figure> {
        self.summary.detections.as_ref().map(detections::figures).unwrap_or_default()
    }

    fn depth_figures(&self) -> Vec<Figure> {
        self.summary.depth.as_ref().map(depths::figures).unwrap_or_default()
    }

    fn target_figures(&self, target: Option<&TargetReport>) -> Vec<Figure> {
        let figures = |(target, summary): (&TargetReport, _)| target.figures(summary);
        target.zip(self.summary.target.as_ref()).map(figures).unwrap_or_default()
    }

    /// What the pose network's trajectory is worth: against the truth, or else against the odometry; `None` where there is
    /// nothing to compare.
    fn network(&self, estimate: Option<&TrajectoryFile>) -> anyhow::Result<Option<NetworkPath>> {
        let Some(summary) = &self.summary.pose else { return Ok(None) };
        let Some(path) = poses::read(self.run.path(), summary)? else { return Ok(None) };
        if let Some(report) = self.measured(&path, Alignment::Sim3)? {
            return Ok(Some(NetworkPath::AgainstTruth(report)));
        }
        let against = |estimate: &TrajectoryFile| {
            let odometry = &estimate.trajectory;
            eval::evaluate(odometry, &path.trajectory, &protocol(odometry, Alignment::Sim3))
        };
        Ok(estimate.map(against).transpose()?.map(NetworkPath::AgainstOdometry))
    }

    fn pose_figures(&self, network: Option<&NetworkPath>) -> Vec<Figure> {
        let accuracy = network.and_then(NetworkPath::accuracy);
        self.summary.pose.as_ref().map(|summary| poses::figures(summary, accuracy)).unwrap_or_default()
    }

    fn accuracy(&self, estimate: Option<&TrajectoryFile>) -> anyhow::Result<Option<Accuracy>> {
        let Some(estimate) = estimate else { return Ok(None) };
        let Some(shape) = self.measured(estimate, Alignment::Sim3)? else { return Ok(None) };
        let metric = match self.summary.scale {
            Some(_) => self.measured(estimate, Alignment::Se3)?,
            None => None,
        };
        Ok(Some(Accuracy { shape, metric }))
    }

    fn measured(
        &self,
        estimate: &TrajectoryFile,
        alignment: Alignment,
    ) -> anyhow::Result<Option<OdometryReport>> {
        let report = match &self.truth {
            Truth::None => return Ok(None),
            Truth::Trajectory(truth) => {
                eval::evaluate(truth, &estimate.trajectory, &protocol(truth, alignment))?
            }
            Truth::File(truth) if truth.format.has_stamps() => {
                eval::evaluate_files(truth, estimate, &protocol(&truth.trajectory, alignment))?
            }
            Truth::File(truth) => {
                let truth = self.stamped(truth)?;
                eval::evaluate(&truth, &estimate.trajectory, &protocol(&truth, alignment))?
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
                .protocol("all threads in flight; decoding, detection, depth, recording and viewing included")
                .count(frames, "frames"),
            Figure::new("CPU, odometry", summary.odometry_cpu_ms_per_frame, "ms/frame")
                .protocol("its own thread")
                .count(frames, "frames"),
        ];
        figures.extend(self.scale_figures());
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

    /// What is known of the metres; nothing where nobody asked.
    fn scale_figures(&self) -> Vec<Figure> {
        let summary = &self.summary;
        if summary.scale_source == ScaleSource::None.name() {
            return Vec::new();
        }
        let protocol = format!("from {}, at the end of the flight", summary.scale_source);
        let sigma_percent = summary.scale_sigma.map(|sigma| 100.0 * sigma);
        vec![
            Figure::new("scale", summary.scale, "m/map unit").protocol(&protocol),
            Figure::new("scale, standard deviation", sigma_percent, "%").protocol(protocol),
        ]
    }

    fn write_report(&self, estimate: Option<TrajectoryFile>, parts: &Parts) -> anyhow::Result<()> {
        let Parts { accuracy, network, target, objects } = parts;
        let (accuracy, target) = (accuracy.as_ref(), target.as_ref());
        let mut page = Report::new(&self.title).subtitle(format!("kestrel {}", env!("CARGO_PKG_VERSION")));
        page = match (accuracy, estimate) {
            (Some(accuracy), _) => page.odometry("estimate", accuracy.shape.clone()),
            (None, Some(estimate)) => {
                let unit = if self.summary.scale.is_some() { "m" } else { "map units" };
                page.trajectory("estimate", estimate.trajectory).length_unit(unit)
            }
            (None, None) => page,
        };
        page = match network {
            Some(NetworkPath::AgainstTruth(report)) => page.odometry(NETWORK, report.clone()),
            Some(NetworkPath::AgainstOdometry(report)) => page.trajectory(NETWORK, poses::aligned(report)?),
            None => page,
        };
        page = target.iter().fold(page, |page, target| page.target(target.section()));
        page = objects.iter().fold(page, |page, objects| page.objects(objects.section()));
        page = page.figures(self.figures()).figures(self.target_figures(target));
        page = page.figures(self.object_figures()).figures(self.depth_figures());
        page = page.figures(accuracy.map(Accuracy::metric_figures).unwrap_or_default());
        page = page.figures(self.pose_figures(network.as_ref()));
        page = self.summary.latency.iter().map(latency_stats).fold(page, Report::latency);
        page = developed(&self.films.snapshots).pictures()?.into_iter().fold(page, Report::frame);
        page = developed(&self.films.depths).pictures()?.into_iter().fold(page, Report::frame);
        page = self.notes(accuracy).into_iter().fold(page, Report::note);
        let manifest = std::fs::read_to_string(self.run.path().join(MANIFEST)).unwrap_or_default();
        page.configuration(manifest).write(self.run.path().join(REPORT))?;
        Ok(())
    }

    /// What a reader must know: assumptions, and whatever went wrong.
    fn notes(&self, accuracy: Option<&Accuracy>) -> Vec<String> {
        let scale = self.unit_note(accuracy).filter(|_| self.summary.tracked_frames > 0).map(str::to_owned);
        let parts = [&self.summary.assumptions, &self.summary.source_errors, &self.summary.recording_faults];
        parts.into_iter().flatten().cloned().chain(scale).chain(self.shortfall()).collect()
    }

    /// What a reader must know of the unit of length.
    fn unit_note(&self, accuracy: Option<&Accuracy>) -> Option<&'static str> {
        let was_asked_for = self.summary.scale_source != ScaleSource::None.name();
        match self.summary.scale {
            Some(_) => None,
            None if was_asked_for => Some(SCALE_NOT_FOUND),
            None => accuracy.is_none().then_some(NO_SCALE),
        }
    }

    /// Why the run is not what it might have been, where it ended early or found nothing.
    fn shortfall(&self) -> Option<String> {
        let summary = &self.summary;
        match &summary.ended {
            Ended::EndOfSource if summary.tracked_frames == 0 => Some(NOTHING_TRACKED.to_owned()),
            Ended::EndOfSource if summary.target.is_some_and(|target| target.frames == 0) => {
                Some(NOTHING_FOLLOWED.to_owned())
            }
            Ended::EndOfSource => None,
            Ended::Cancelled => Some(format!("ended on request after {} frames", summary.frames)),
            Ended::TooManySourceErrors => Some("ended early: the source gave nothing but errors".to_owned()),
            Ended::SourceSilent => Some("ended early: the source fell silent".to_owned()),
            Ended::Hung(stage) => Some(format!("ended early: a stage hung for good: {stage}")),
        }
    }

    fn text(&self, parts: &Parts) -> String {
        let (accuracy, target) = (parts.accuracy.as_ref(), parts.target.as_ref());
        let mut figures = self.figures();
        figures.extend(self.target_figures(target));
        figures.extend(self.object_figures());
        figures.extend(self.depth_figures());
        figures.extend(accuracy.map(|accuracy| accuracy.shape.figures()).unwrap_or_default());
        figures.extend(accuracy.map(Accuracy::metric_figures).unwrap_or_default());
        figures.extend(self.pose_figures(parts.network.as_ref()));
        let file = |name: &str| self.run.path().join(name);
        let written = [REPORT, RECORDING, TRAJECTORY_KITTI, TRAJECTORY_NETWORK, TARGET, DETECTIONS, METRICS]
            .map(file)
            .into_iter()
            .filter(|path| path.exists());
        let unit = self.unit_note(accuracy).map_or_else(String::new, |note| format!("note: {note}\n"));
        let files: String = written.map(|path| format!("  {}\n", path.display())).collect();
        format!("{}\n{}{unit}\n{files}", self.title, figures_table(&figures))
    }

    /// Whether there is what was asked for: a target that was followed, which needs no trajectory, or else a trajectory.
    fn has_result(&self) -> bool {
        self.summary.target.map_or(self.summary.tracked_frames > 0, |target| target.frames > 0)
    }

    fn exit_code(&self) -> ExitCode {
        let summary = &self.summary;
        let faults = summary.source_errors.iter().chain(&summary.recording_faults).cloned();
        for note in faults.chain(self.shortfall()) {
            say(&format!("kestrel: {note}"));
        }
        match &summary.ended {
            Ended::Hung(_) => ExitCode::from(HUNG as u8),
            Ended::EndOfSource if !self.has_result() => ExitCode::from(INCOMPLETE),
            _ if summary.is_clean() => ExitCode::SUCCESS,
            _ => ExitCode::from(INCOMPLETE),
        }
    }
}

const NO_SCALE: &str = "Lengths are in map units, not metres: one camera alone knows no scale. The unit is the median \
                        depth of the scene where the map began.";
const SCALE_NOT_FOUND: &str = "Lengths are in map units, not metres: the source of scale said nothing that could be used. \
                               Samples must carry the stamps of the frames' clock; heights need ground in view.";
const NOTHING_TRACKED: &str = "no frame was tracked, so there is no trajectory: the camera must move sideways or forward \
                               past things with texture";

const NOTHING_FOLLOWED: &str = "nothing was followed: the flight ended before the frame of --follow-at, or the detector never gave \
                                the id of --follow";

/// What the network's trajectory is called in the report.
const NETWORK: &str = "pose network";

/// What was measured of a flight.
struct Parts {
    accuracy: Option<Accuracy>,
    network: Option<NetworkPath>,
    target: Option<TargetReport>,
    objects: Option<DetectionReport>,
}

/// How the pose network's trajectory compares, a scale fitted.
enum NetworkPath {
    AgainstTruth(OdometryReport),
    /// Where there is no truth.
    AgainstOdometry(OdometryReport),
}

impl NetworkPath {
    /// What it is worth, if that is known.
    fn accuracy(&self) -> Option<&OdometryReport> {
        match self {
            Self::AgainstTruth(report) => Some(report),
            Self::AgainstOdometry(_) => None,
        }
    }

    /// What `metrics.json` holds of it.
    fn entry(&self) -> (String, Value) {
        let (key, report) = match self {
            Self::AgainstTruth(report) => ("network_accuracy", report),
            Self::AgainstOdometry(report) => ("network_against_odometry", report),
        };
        (key.to_owned(), serde_json::to_value(report).unwrap_or_default())
    }
}

/// How well the flight's path is known.
struct Accuracy {
    /// With a scale fitted, so that runs with and without one compare.
    shape: OdometryReport,
    /// Without, where the run claims metres.
    metric: Option<OdometryReport>,
}

impl Accuracy {
    /// What `metrics.json` holds of it.
    fn entries(&self) -> Map<String, Value> {
        let mut entries = accuracy_entries(&self.shape);
        let Some(metric) = &self.metric else { return entries };
        entries.insert("metric_ate_rmse_m".to_owned(), metric.ate_rmse_m.into());
        entries.insert("metric_error_percent".to_owned(), metric_error_percent(metric).into());
        entries.insert("scale_error_percent".to_owned(), self.scale_error_percent().into());
        let report = serde_json::to_value(metric).unwrap_or_default();
        entries.insert("metric_accuracy".to_owned(), report);
        entries
    }

    /// By how much the estimate's lengths are too large.
    fn scale_error_percent(&self) -> f64 {
        100.0 * (1.0 / self.shape.scale - 1.0)
    }

    fn metric_figures(&self) -> Vec<Figure> {
        let Some(metric) = &self.metric else { return Vec::new() };
        let se3 = |name, value: f64, unit| {
            Figure::new(name, value, unit)
                .protocol("align se3, no scale fitted")
                .count(metric.frames, "frames")
        };
        vec![
            se3("metric ATE rmse", metric.ate_rmse_m, "m"),
            se3("metric error", metric_error_percent(metric), "% of path"),
            se3("lengths too long by", self.scale_error_percent(), "%").protocol("against the sim3 fit"),
        ]
    }
}

fn metric_error_percent(metric: &OdometryReport) -> f64 {
    100.0 * metric.ate_rmse_m / metric.path_length_m.max(f64::MIN_POSITIVE)
}

/// Segments that fit the path.
fn protocol(truth: &Trajectory, alignment: Alignment) -> OdometryProtocol {
    let lengths_m = match truth.path_length() {
        short if short < 100.0 => vec![10.0, 20.0, 30.0, 40.0, 50.0],
        middling if middling < 400.0 => vec![50.0, 100.0, 150.0, 200.0],
        _ => (1..=8).map(|i| f64::from(i) * 100.0).collect(),
    };
    OdometryProtocol { lengths_m, ..OdometryProtocol::aligned_by(alignment) }
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
