//! From two trajectories to every figure that the field asks for.

use std::path::Path;
use std::time::Duration;

use geometry::Trajectory;
use nalgebra::Vector3;
use serde::Serialize;

use crate::association::pairs;
use crate::metrics::{
    Drift, RelativeProtocol, SNIPPET_PROTOCOL, Statistics, absolute_errors, constant_velocity_errors,
    kitti_drift, relative_errors, snippet_errors,
};
use crate::{
    Alignment, AssociatedFrame, Association, EvalError, Figure, JoinRule, TrajectoryFile, align,
    figures_table, join, join_by_stamp, read_trajectory,
};

/// How an estimate is measured.
#[derive(Clone, Debug, PartialEq)]
pub struct OdometryProtocol {
    /// What alignment may change before errors are taken.
    pub alignment: Alignment,
    /// Segment lengths for drift, metres. KITTI: 100 to 800.
    pub lengths_m: Vec<f64>,
    /// A segment starts at every so many frames. KITTI: 10.
    pub step: usize,
    /// Stamps further apart are not the same moment.
    pub max_time_difference: Duration,
    /// Take the ground truth between its samples; for stamped trajectories.
    pub interpolate_ground_truth: bool,
    /// Pairs for the relative error.
    pub relative: RelativeProtocol,
}

impl Default for OdometryProtocol {
    /// KITTI's segments, no alignment, 20 ms, frame to frame.
    fn default() -> Self {
        let rule = JoinRule::default();
        Self {
            alignment: Alignment::None,
            lengths_m: (1..=8).map(|hundreds| f64::from(hundreds) * 100.0).collect(),
            step: 10,
            max_time_difference: rule.max_time_difference,
            interpolate_ground_truth: rule.interpolate_ground_truth,
            relative: RelativeProtocol::default(),
        }
    }
}

impl OdometryProtocol {
    /// The usual protocol with this alignment.
    pub fn aligned_by(alignment: Alignment) -> Self {
        Self { alignment, ..Self::default() }
    }

    fn join_rule(&self) -> JoinRule {
        JoinRule {
            max_time_difference: self.max_time_difference,
            interpolate_ground_truth: self.interpolate_ground_truth,
        }
    }
}

/// Drift over the segments of one length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LengthError {
    /// Nominal length.
    pub length_m: f64,
    /// Mean translation error, percent; `None` without segments.
    pub t_err_percent: Option<f64>,
    /// Mean rotation error.
    pub r_err_deg_per_100m: Option<f64>,
    /// Number of segments.
    pub segments: usize,
}

/// SfMLearner's error over five frames; see [`SnippetErrors`](crate::metrics::SnippetErrors) for its flaws.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SnippetFigures {
    /// Mean of `sqrt(sum) / N` over all snippets: the number in the literature.
    pub mean_m: f64,
    /// Its standard deviation over the snippets.
    pub std_m: f64,
    /// Mean of `sqrt(sum / N)`: the same without the flaw in the division.
    pub rmse_mean_m: f64,
    /// Mean of `sqrt(sum) / N` of a camera that goes on as in the first true step of each snippet.
    pub constant_velocity_mean_m: f64,
    /// Number of snippets.
    pub snippets: usize,
}

/// How the figures were taken, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProtocolText {
    /// How poses found their partners.
    pub association: String,
    /// What was aligned.
    pub alignment: String,
    /// Drift segments.
    pub segments: String,
    /// Pairs of the relative error.
    pub relative: String,
    /// The five-frame error, with its flaws.
    pub snippet: String,
}

/// Everything measured between one estimate and its ground truth. As JSON, the fields are the keys.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OdometryReport {
    /// KITTI drift: mean translation error over all segments, percent; `None` where no segment was long enough.
    pub t_err_percent: Option<f64>,
    /// KITTI drift: mean rotation error over all segments, degrees per 100 m.
    pub r_err_deg_per_100m: Option<f64>,
    /// Absolute trajectory error: root mean square of the distances after alignment.
    pub ate_rmse_m: f64,
    /// Frames with ground truth and estimate.
    pub frames: usize,
    /// Why `t_err_percent` is missing.
    pub t_err_missing_because: Option<String>,
    /// Frames of the ground truth that were asked for; more than `frames` where the estimate has gaps.
    pub ground_truth_frames: usize,
    /// Length of the ground truth's path over those frames.
    pub path_length_m: f64,
    /// What the estimate was multiplied by.
    pub scale: f64,
    /// Number of drift segments.
    pub segments: usize,
    /// Drift by segment length.
    pub per_length: Vec<LengthError>,
    /// Distances after alignment, metres.
    pub ape_translation_m: Statistics,
    /// Angles after alignment, degrees; `None` where the estimate has no rotations.
    pub ape_rotation_deg: Option<Statistics>,
    /// Relative errors, metres; `None` where there is no pair.
    pub rpe_translation_m: Option<Statistics>,
    /// Relative errors, degrees.
    pub rpe_rotation_deg: Option<Statistics>,
    /// SfMLearner's error; `None` with fewer than five frames in a row.
    pub ate_5_frames: Option<SnippetFigures>,
    /// The alignment's name.
    pub alignment: Alignment,
    /// How all this was measured.
    pub protocol: ProtocolText,
    /// What a reader must know before believing the figures.
    pub notes: Vec<String>,
    /// The frames after alignment, seen from the first common pose; for charts, not for JSON.
    #[serde(skip)]
    pub aligned: Vec<AssociatedFrame>,
}

/// Reads two files and measures one against the other: all that `kestrel eval odometry` does.
///
/// # Errors
/// As [`read_trajectory`] and [`evaluate_files`].
pub fn evaluate_paths(
    ground_truth: impl AsRef<Path>,
    estimate: impl AsRef<Path>,
    protocol: &OdometryProtocol,
) -> Result<OdometryReport, EvalError> {
    evaluate_files(&read_trajectory(ground_truth)?, &read_trajectory(estimate)?, protocol)
}

/// Measures an estimate against ground truth, joined by stamp.
///
/// # Errors
/// [`EvalError::NothingMatches`] where no stamp has a partner; [`EvalError::Protocol`] for a senseless protocol.
pub fn evaluate(
    ground_truth: &Trajectory,
    estimate: &Trajectory,
    protocol: &OdometryProtocol,
) -> Result<OdometryReport, EvalError> {
    evaluate_association(&join_by_stamp(ground_truth, estimate, protocol.join_rule())?, protocol)
}

/// Measures one file against another, joined as their formats allow (see [`join`]).
///
/// # Errors
/// As [`evaluate`], and [`EvalError::CannotJoin`] for formats that have nothing in common.
pub fn evaluate_files(
    ground_truth: &TrajectoryFile,
    estimate: &TrajectoryFile,
    protocol: &OdometryProtocol,
) -> Result<OdometryReport, EvalError> {
    let mut report = evaluate_association(&join(ground_truth, estimate, protocol.join_rule())?, protocol)?;
    report.notes.extend([ground_truth, estimate].into_iter().filter_map(repetition_note));
    Ok(report)
}

fn repetition_note(file: &TrajectoryFile) -> Option<String> {
    let count = file.repeated_stamps;
    (count > 0).then(|| {
        format!("{count} rows of {} repeat the stamp before them and are left out", file.path.display())
    })
}

/// Measures joined trajectories.
///
/// Both are first seen from their first common pose, then the estimate is aligned, then everything is measured on the
/// aligned poses: so `scale` changes drift, and `se3` does not.
///
/// # Errors
/// [`EvalError::Protocol`] for a senseless protocol or an association without a pair.
pub fn evaluate_association(
    association: &Association,
    protocol: &OdometryProtocol,
) -> Result<OdometryReport, EvalError> {
    let relative_to_first = association.relative_to_first();
    let (truth, estimate): (Vec<Vector3<f64>>, Vec<Vector3<f64>>) =
        relative_to_first.pairs().map(|(g, e)| (g.translation, e.translation)).unzip();
    let fit = align(&estimate, &truth, protocol.alignment);
    let similarity = fit.ground_truth_from_estimate;
    let aligned = relative_to_first.map(|pose| *pose, |pose| similarity.apply(pose)).frames;
    let drift = kitti_drift(&aligned, &protocol.lengths_m, protocol.step)?;
    let absolute = absolute_errors(&aligned);
    let relative = relative_errors(&aligned, protocol.relative)?;
    let no_pair = || EvalError::Protocol { expected: "at least one pair of poses", found: "none".to_owned() };
    let ape_translation_m = Statistics::of(&absolute.translation_m).ok_or_else(no_pair)?;
    let ape_rotation = Statistics::of(&absolute.rotation_rad).ok_or_else(no_pair)?;
    let path_length_m = crate::metrics::distances(&aligned).last().copied().unwrap_or(0.0);
    Ok(OdometryReport {
        t_err_percent: drift.t_err_percent(),
        r_err_deg_per_100m: drift.r_err_deg_per_100m(),
        ate_rmse_m: ape_translation_m.rmse,
        frames: ape_translation_m.count,
        t_err_missing_because: missing_drift(&drift, path_length_m, &protocol.lengths_m),
        ground_truth_frames: aligned.len(),
        path_length_m,
        scale: similarity.scale,
        segments: drift.segments.len(),
        per_length: per_length(&drift, &protocol.lengths_m),
        ape_translation_m,
        ape_rotation_deg: Some(ape_rotation.times(DEGREES)),
        rpe_translation_m: Statistics::of(&relative.translation_m),
        rpe_rotation_deg: Statistics::of(&relative.rotation_rad).map(|s| s.times(DEGREES)),
        ate_5_frames: five_frame_figures(&aligned),
        alignment: protocol.alignment,
        protocol: ProtocolText::new(protocol, &association.protocol, similarity.scale),
        notes: fit.notes.into_iter().chain(gap_note(&aligned)).collect(),
        aligned,
    })
}

const DEGREES: f64 = 180.0 / std::f64::consts::PI;
const SNIPPET_FRAMES: usize = 5;

fn missing_drift(drift: &Drift, path_length_m: f64, lengths_m: &[f64]) -> Option<String> {
    let shortest = lengths_m.iter().copied().min_by(f64::total_cmp);
    drift.segments.is_empty().then(|| match shortest {
        Some(shortest) if path_length_m > shortest => {
            format!("no segment of {shortest} m has an estimate at both ends")
        }
        Some(shortest) => {
            format!("the path of {path_length_m:.1} m is shorter than the shortest segment, {shortest} m")
        }
        None => "no segment lengths were asked for".to_owned(),
    })
}

fn per_length(drift: &Drift, lengths_m: &[f64]) -> Vec<LengthError> {
    let error = |&length_m: &f64| {
        let drift = drift.of_length(length_m);
        LengthError {
            length_m,
            t_err_percent: drift.t_err_percent(),
            r_err_deg_per_100m: drift.r_err_deg_per_100m(),
            segments: drift.segments.len(),
        }
    };
    lengths_m.iter().map(error).collect()
}

fn five_frame_figures(frames: &[AssociatedFrame]) -> Option<SnippetFigures> {
    let errors = snippet_errors(frames, SNIPPET_FRAMES);
    let (ate, rmse) = (Statistics::of(&errors.ate_m)?, Statistics::of(&errors.rmse_m)?);
    let going_on = Statistics::of(&constant_velocity_errors(frames, SNIPPET_FRAMES).ate_m)?;
    Some(SnippetFigures {
        mean_m: ate.mean,
        std_m: ate.std,
        rmse_mean_m: rmse.mean,
        constant_velocity_mean_m: going_on.mean,
        snippets: ate.count,
    })
}

fn gap_note(frames: &[AssociatedFrame]) -> Option<String> {
    let missing = frames.len() - pairs(frames).count();
    (missing > 0).then(|| {
        format!("{missing} of {} ground-truth frames have no estimate and are left out", frames.len())
    })
}

impl ProtocolText {
    fn new(protocol: &OdometryProtocol, association: &str, scale: f64) -> Self {
        let alignment = match protocol.alignment {
            Alignment::None => "none: first common poses coincide, scale as estimated".to_owned(),
            Alignment::Scale => {
                format!("scale: first common poses coincide, positions times {scale:.6} (least squares)")
            }
            Alignment::Se3 => {
                "se3: Umeyama rotation and translation over all frames, scale as estimated".to_owned()
            }
            Alignment::Sim3 => {
                format!("sim3: Umeyama rotation, translation and scale {scale:.6} over all frames")
            }
        };
        Self {
            association: association.to_owned(),
            alignment,
            segments: format!(
                "segments of {} m from every {} frames, as KITTI's devkit",
                lengths_text(&protocol.lengths_m),
                protocol.step
            ),
            relative: protocol.relative.to_string(),
            snippet: SNIPPET_PROTOCOL.to_owned(),
        }
    }
}

/// `100, 200 .. 800` where the lengths are evenly spaced, else all of them.
fn lengths_text(lengths_m: &[f64]) -> String {
    let evenly = lengths_m.windows(3).all(|w| (w[2] - 2.0 * w[1] + w[0]).abs() < 1e-9);
    match lengths_m {
        [first, second, _, .., last] if evenly => format!("{first}, {second} .. {last}"),
        _ => lengths_m.iter().map(f64::to_string).collect::<Vec<_>>().join(", "),
    }
}

impl OdometryReport {
    /// What remains of it where the estimate's rotations mean nothing: the errors of positions over the whole path.
    #[must_use]
    pub fn of_positions(self) -> Self {
        let nothing = |length: LengthError| LengthError {
            t_err_percent: None,
            r_err_deg_per_100m: None,
            segments: 0,
            ..length
        };
        Self {
            t_err_percent: None,
            r_err_deg_per_100m: None,
            t_err_missing_because: Some(
                "drift over segments needs rotations, found positions only".to_owned(),
            ),
            segments: 0,
            per_length: self.per_length.into_iter().map(nothing).collect(),
            ape_rotation_deg: None,
            rpe_translation_m: None,
            rpe_rotation_deg: None,
            ate_5_frames: None,
            ..self
        }
    }

    /// The figures, each with its unit, protocol and count.
    pub fn figures(&self) -> Vec<Figure> {
        let aligned = format!("align {}, joined {}", self.alignment, self.protocol.association);
        let segments = match &self.t_err_missing_because {
            Some(why) => why.clone(),
            None => format!("{}; {aligned}", self.protocol.segments),
        };
        let relative = format!("{}; {aligned}", self.protocol.relative);
        let drift = |name, value, unit| {
            Figure::new(name, value, unit).protocol(&segments).count(self.segments, "segments")
        };
        let ape = |name, value: f64, unit| {
            Figure::new(name, value, unit).protocol(&aligned).count(self.frames, "frames")
        };
        let ape_rotation = self.ape_rotation_deg.map(|stats| ape("APE rotation rmse", stats.rmse, "deg"));
        let rpe = |name, stats: Option<Statistics>, unit| {
            let count = stats.map_or(0, |s| s.count);
            Figure::new(name, stats.map(|s| s.rmse), unit).protocol(&relative).count(count, "pairs")
        };
        let mut figures = vec![
            ape("ATE rmse", self.ate_rmse_m, "m"),
            drift("drift, translation (t_err)", self.t_err_percent, "%"),
            drift("drift, rotation (r_err)", self.r_err_deg_per_100m, "deg/100 m"),
            ape("APE median", self.ape_translation_m.median, "m"),
            ape("APE max", self.ape_translation_m.max, "m"),
        ];
        figures.extend(ape_rotation);
        figures.extend([
            rpe("RPE translation rmse", self.rpe_translation_m, "m"),
            rpe("RPE rotation rmse", self.rpe_rotation_deg, "deg"),
            ape("scale applied", self.scale, "1"),
            ape("path length", self.path_length_m, "m")
                .protocol("along the ground truth")
                .count(self.ground_truth_frames, "frames"),
        ]);
        figures.extend(self.ate_5_frames.iter().flat_map(snippet_figures));
        figures
    }
}

fn snippet_figures(snippet: &SnippetFigures) -> [Figure; 3] {
    let figure = |name, value: f64, protocol| {
        Figure::new(name, value, "m").protocol(protocol).count(snippet.snippets, "snippets")
    };
    [
        figure("5-frame ATE", snippet.mean_m, SNIPPET_PROTOCOL),
        figure(
            "5-frame ATE, constant velocity",
            snippet.constant_velocity_mean_m,
            "the same of a camera that goes on as in the first true step of each snippet",
        ),
        figure("5-frame rmse", snippet.rmse_mean_m, "the same snippets with sqrt(sum/N)"),
    ]
}

/// The figures as an aligned table, the protocol below and then the notes.
impl std::fmt::Display for OdometryReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let brief = |figure: Figure| {
            let protocol = if figure.value.is_some() { String::new() } else { figure.protocol };
            Figure { protocol, ..figure }
        };
        let figures: Vec<Figure> = self.figures().into_iter().map(brief).collect();
        write!(f, "{}", figures_table(&figures))?;
        let protocol = &self.protocol;
        writeln!(f, "\nalignment    {}", protocol.alignment)?;
        writeln!(f, "association  {}", protocol.association)?;
        writeln!(f, "drift        {}", protocol.segments)?;
        writeln!(f, "RPE          {}", protocol.relative)?;
        writeln!(f, "5-frame ATE  {}", protocol.snippet)?;
        self.notes.iter().try_for_each(|note| writeln!(f, "note         {note}"))
    }
}
