//! What a flight comes to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::graph::{BranchCounters, HungStage, LatencySummary, Meter, process_cpu};
use crate::run::{METRICS, RunDirectory};
use crate::sinks::{DetectionTally, Tally, TargetTally};
use crate::stages::{DepthChoice, DetectChoice, PoseChoice};
use crate::{RuntimeError, flight};

/// How a flight ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The source had no more frames.
    EndOfSource,
    /// Someone asked for the end.
    Cancelled,
    /// The source gave nothing but errors.
    TooManySourceErrors,
    /// A live source said nothing for too long.
    SourceSilent,
    /// A stage hung for good.
    Hung(String),
}

/// Counters of one branch, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BranchSummary {
    /// Name of its stage; `source` is the entrance.
    pub name: String,
    /// In = out + dropped + failed.
    #[serde(flatten)]
    pub counters: BranchCounters,
}

/// One row of the latency table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LatencyRow {
    /// `source->odometry` from admission to the end of the stage; `odometry` the stage alone.
    pub path: String,
    /// The figures.
    #[serde(flatten)]
    pub latency: LatencySummary,
}

/// How the target was followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct TargetSummary {
    /// Frames in which it was followed, from that of the choice on.
    pub frames: u64,
    /// Frames in which it was seen for certain.
    pub confident_frames: u64,
    /// Frames in which it was probably seen.
    pub unsure_frames: u64,
    /// Frames in which it was not seen.
    pub lost_frames: u64,
    /// Frames in which it was seen, per hundred.
    pub held_percent: f64,
    /// Restarts of the tracker.
    pub restarts: u64,
    /// CPU time of the tracker's own thread per frame that it took.
    pub cpu_ms_per_frame: f64,
}

/// What the detector did and found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DetectionSummary {
    /// It looked at every so manieth frame.
    pub every: u64,
    /// Frames that reached it.
    pub frames: u64,
    /// Frames that it looked at.
    pub looks: u64,
    /// Objects found in all looks together; one that is seen at two looks counts twice.
    pub objects: u64,
    /// The same by the name of the class.
    pub per_class: BTreeMap<String, u64>,
    /// Objects that were told apart.
    pub identities: u64,
    /// Restarts of the detector.
    pub restarts: u64,
    /// CPU time of the detector's own thread per frame that reached it.
    pub cpu_ms_per_frame: f64,
    /// The same per look.
    pub cpu_ms_per_look: f64,
}

/// What saw depth, and at what cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DepthSummary {
    /// File of the network, or the name of one that comes with the program.
    pub network: String,
    /// It looked at every so manieth frame.
    pub every: u64,
    /// Frames that it looked at.
    pub looks: u64,
    /// Restarts of the network.
    pub restarts: u64,
    /// CPU time of the network's own thread per look.
    pub cpu_ms_per_look: f64,
}

/// What saw motion beside the odometry, and at what cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PoseSummary {
    /// File of the network, or the name of one that comes with the program.
    pub network: String,
    /// Frames with a pose by it.
    pub frames: u64,
    /// Restarts of the network.
    pub restarts: u64,
    /// CPU time of the network's own thread per frame.
    pub cpu_ms_per_frame: f64,
}

/// What a flight comes to: the content of `metrics.json`.
#[derive(Clone, Debug, Serialize)]
pub struct FlightSummary {
    /// Name of the source.
    pub source: String,
    /// Input frames, whatever became of them.
    pub frames: u64,
    /// Frames with a pose estimated from them.
    pub tracked_frames: u64,
    /// Re-initialisations and restarts of the odometry.
    pub resets: u32,
    /// What told the metres: `none`, `fixed`, `camera-height`, `agl` or `velocity`.
    pub scale_source: String,
    /// Metres per map unit at the end; `None` where they are not known and lengths are in map units.
    pub scale: Option<f64>,
    /// Its standard deviation relative to it.
    pub scale_sigma: Option<f64>,
    /// Wall time from the first frame to the last file, in seconds.
    pub wall_s: f64,
    /// Input frames per second of wall time.
    pub fps: f64,
    /// CPU time of all threads of the process, user and system, over the time that `wall_s` covers, per input frame:
    /// decoding, odometry, detection, depth, tracking, recording and viewing, to the last file of the flight. What comes before (loading the
    /// program, opening the source) and after (measuring, the report) is in `process_cpu_s` only.
    pub cpu_ms_per_frame: f64,
    /// CPU time of the whole process since it was started, in seconds: start, flight and, where a report is
    /// written, what leads to it.
    pub process_cpu_s: f64,
    /// CPU time of the odometry's own thread per frame that it processed.
    pub odometry_cpu_ms_per_frame: f64,
    /// How the target was followed, where there was one to follow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetSummary>,
    /// What the detector did and found, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detections: Option<DetectionSummary>,
    /// What saw depth, where there was something that did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<DepthSummary>,
    /// What saw motion beside the odometry, where there was something that did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pose: Option<PoseSummary>,
    /// Frames at the start that the latencies leave out.
    pub warm_up_frames: u64,
    /// Latencies by path.
    pub latency: Vec<LatencyRow>,
    /// Counters by branch.
    pub branches: Vec<BranchSummary>,
    /// What had to be assumed.
    pub assumptions: Vec<String>,
    /// Errors of the source, the first hundred.
    pub source_errors: Vec<String>,
    /// Files that are not complete.
    pub recording_faults: Vec<String>,
    /// How it ended.
    pub ended: Ended,
}

impl FlightSummary {
    /// Whether nothing was lost that should not be: no unreadable frame, no incomplete file, a proper end.
    pub fn is_clean(&self) -> bool {
        let proper = matches!(self.ended, Ended::EndOfSource | Ended::Cancelled);
        proper && self.source_errors.is_empty() && self.recording_faults.is_empty()
    }

    /// The counters of a branch.
    pub fn branch(&self, name: &str) -> Option<BranchCounters> {
        self.branches.iter().find(|branch| branch.name == name).map(|branch| branch.counters)
    }

    /// The latencies of a path, such as `source->odometry`.
    pub fn latency(&self, path: &str) -> Option<LatencySummary> {
        self.latency.iter().find(|row| row.path == path).map(|row| row.latency)
    }

    /// What `metrics.json` holds: this, with the entries of `extra` added (or put in place of ours).
    pub fn to_json(&self, extra: Map<String, Value>) -> String {
        let mut metrics = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(entries) = &mut metrics {
            entries.extend(extra);
        }
        format!("{metrics:#}\n")
    }

    /// Writes `metrics.json` into `run`, as [`to_json`](Self::to_json) has it.
    ///
    /// # Errors
    /// [`RuntimeError::Io`] where it can't be written.
    pub fn write(&self, run: &RunDirectory, extra: Map<String, Value>) -> Result<(), RuntimeError> {
        run.write(METRICS, &self.to_json(extra))
    }

    /// Reads the instruments.
    pub(crate) fn measure(&mut self, meters: &[Arc<Meter>], tally: Tally, wall: Duration, cpu: Duration) {
        let counters = |name: &str| meters.iter().find(|meter| meter.name() == name);
        self.frames = counters("source").map_or(0, |meter| meter.counters().received);
        (self.tracked_frames, self.resets) = (tally.tracked_frames, tally.resets);
        (self.scale, self.scale_sigma) = tally.scale.unzip();
        self.wall_s = wall.as_secs_f64();
        self.fps = self.frames as f64 / self.wall_s.max(1e-9);
        self.cpu_ms_per_frame = millis_per_frame(cpu, self.frames);
        self.process_cpu_s = process_cpu().as_secs_f64();
        if let Some(odometry) = counters(flight::ODOMETRY) {
            self.odometry_cpu_ms_per_frame = millis_per_frame(odometry.cpu(), odometry.counters().out);
        }
        let branch =
            |meter: &Arc<Meter>| BranchSummary { name: meter.name().into(), counters: meter.counters() };
        self.branches = meters.iter().map(branch).collect();
        let rows = meters.iter().filter(|meter| meter.latency().frames > 0).flat_map(|meter| {
            let path = format!("source->{}", meter.name());
            let whole = LatencyRow { path, latency: meter.latency() };
            [whole, LatencyRow { path: meter.name().into(), latency: meter.service() }]
        });
        self.latency = rows.collect();
    }

    /// Reads the tracker's; `tally` is `None` where nothing was followed.
    pub(crate) fn measure_target(&mut self, meters: &[Arc<Meter>], tally: Option<TargetTally>) {
        let meter = meters.iter().find(|meter| meter.name() == flight::FOLLOW);
        self.target = tally.zip(meter).map(|(TargetTally { confident, unsure, lost }, meter)| {
            let (frames, counters) = (confident + unsure + lost, meter.counters());
            TargetSummary {
                frames,
                confident_frames: confident,
                unsure_frames: unsure,
                lost_frames: lost,
                held_percent: 100.0 * (confident + unsure) as f64 / frames.max(1) as f64,
                restarts: counters.restarts,
                cpu_ms_per_frame: millis_per_frame(meter.cpu(), counters.out),
            }
        });
    }

    /// Reads the detector's; `found` is `None` where nobody looked.
    pub(crate) fn measure_detections(
        &mut self,
        meters: &[Arc<Meter>],
        found: Option<(&DetectChoice, DetectionTally)>,
    ) {
        let meter = meters.iter().find(|meter| meter.name() == flight::DETECT);
        self.detections = found.zip(meter).map(|((choice, tally), meter)| {
            let counters = meter.counters();
            DetectionSummary {
                every: choice.every,
                frames: counters.out,
                looks: tally.looks,
                objects: tally.per_class.iter().sum(),
                per_class: choice.classes.iter().cloned().zip(tally.per_class).collect(),
                identities: tally.identities,
                restarts: counters.restarts,
                cpu_ms_per_frame: millis_per_frame(meter.cpu(), counters.out),
                cpu_ms_per_look: millis_per_frame(meter.cpu(), tally.looks),
            }
        });
    }

    /// Reads the depth network's; `looks` is `None` where there was none.
    pub(crate) fn measure_depth(&mut self, meters: &[Arc<Meter>], looks: Option<(&DepthChoice, u64)>) {
        let meter = meters.iter().find(|meter| meter.name() == flight::DEPTH);
        self.depth = looks.zip(meter).map(|((choice, looks), meter)| DepthSummary {
            network: choice.network.clone(),
            every: choice.every,
            looks,
            restarts: meter.counters().restarts,
            cpu_ms_per_look: millis_per_frame(meter.cpu(), looks),
        });
    }

    /// Reads the pose network's; `poses` is `None` where there was none.
    pub(crate) fn measure_pose(&mut self, meters: &[Arc<Meter>], poses: Option<(&PoseChoice, u64)>) {
        let meter = meters.iter().find(|meter| meter.name() == flight::POSE);
        self.pose = poses.zip(meter).map(|((choice, frames), meter)| PoseSummary {
            network: choice.network.clone(),
            frames,
            restarts: meter.counters().restarts,
            cpu_ms_per_frame: millis_per_frame(meter.cpu(), frames),
        });
    }

    /// A flight that has not begun.
    pub(crate) fn of(source: &datasets::SourceInfo, warm_up_frames: u64, scale: &vo::ScaleSource) -> Self {
        Self {
            source: source.name.clone(),
            frames: 0,
            tracked_frames: 0,
            resets: 0,
            scale_source: scale.name().into(),
            scale: None,
            scale_sigma: None,
            wall_s: 0.0,
            fps: 0.0,
            cpu_ms_per_frame: 0.0,
            process_cpu_s: 0.0,
            odometry_cpu_ms_per_frame: 0.0,
            target: None,
            detections: None,
            depth: None,
            pose: None,
            warm_up_frames,
            latency: Vec::new(),
            branches: Vec::new(),
            assumptions: source.assumptions.clone(),
            source_errors: Vec::new(),
            recording_faults: Vec::new(),
            ended: Ended::EndOfSource,
        }
    }

    pub(crate) fn end(&mut self, hung: &[HungStage], log: SourceLog) {
        self.source_errors = log.errors;
        self.ended = match (hung.first(), log.ended) {
            (Some(hung), _) => Ended::Hung(hung.to_string()),
            (None, Some(ended)) => ended,
            // The pump never came back: the graph ended without its source.
            (None, None) if log.cancelled => Ended::Cancelled,
            (None, None) => Ended::SourceSilent,
        };
    }
}

/// What the source has had to say.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceLog {
    pub(crate) errors: Vec<String>,
    pub(crate) ended: Option<Ended>,
    pub(crate) cancelled: bool,
}

fn millis_per_frame(time: Duration, frames: u64) -> f64 {
    time.as_secs_f64() * 1e3 / frames.max(1) as f64
}
