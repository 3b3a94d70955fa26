//! What a training has come to, measured on what it does not learn from.

use std::fmt;
use std::path::Path;

use anyhow::Context;
use datasets::depth::{DepthFormat, DepthSample, depth_samples};
use eval::OdometryProtocol;
use eval::depth::{DepthCrop, DepthPairs, DepthProtocol, DepthReport, DepthScaling};
use geometry::Trajectory;
use nn::kernels::Kernel;
use vo::train::{Batch, Clip, Losses, Trainer};
use vo::{DepthNetwork, NetworkOdometry, PoseNetwork};

use super::sources::{self, Lesson};
use crate::cli::TrainVoArgs;
use crate::logging::say;

/// Snippets of each source that are measured on, and images with true depth, evenly spread.
const SNIPPETS: usize = 24;
const IMAGES: usize = 40;
/// Frames of each source, from the first on, whose motions are measured.
const POSES: usize = 100;
/// Names of the figures of each source.
const FIGURES: [&str; 3] = ["loss", "abs_rel", "ate_5_frames"];

/// What is measured on.
pub(super) struct Validation {
    sources: Vec<HeldOut>,
    learns_depth: bool,
}

/// One source.
struct HeldOut {
    name: String,
    lessons: Vec<Lesson>,
    /// Images whose true depth lies with it.
    truth: Option<(DepthFormat, Vec<DepthSample>)>,
}

/// What was measured.
pub(super) struct Validated {
    sources: Vec<Measured>,
}

/// What was measured on one source.
struct Measured {
    name: String,
    loss: Option<f32>,
    /// The relative error of depth.
    abs_rel: Option<f64>,
    /// SfMLearner's error of motions over five frames, in metres.
    ate_5_frames: Option<f64>,
}

impl Validation {
    /// What `--validation` names.
    pub(super) fn new(args: &TrainVoArgs) -> anyhow::Result<Self> {
        let held_out = |path: &String| {
            let truth = truth(Path::new(path));
            let lessons = sources::lessons(std::slice::from_ref(path), args);
            let lessons = match (lessons, &truth) {
                (Ok(lessons), _) => lessons,
                // Single images with true depth are no clip.
                (Err(_), Some(_)) => Vec::new(),
                (Err(error), None) => return Err(error),
            };
            let name = Path::new(path).file_name().map_or(path.clone(), |name| name.to_string_lossy().into());
            if let Some((_, samples)) = &truth {
                say(&format!("{path}: true depth of {} images", samples.len()));
            }
            Ok(HeldOut { name, lessons, truth })
        };
        let sources = args.validation.iter().map(held_out).collect::<anyhow::Result<_>>()?;
        Ok(Self { sources, learns_depth: !args.motion_only })
    }

    /// Whether there is anything to measure on.
    pub(super) fn is_possible(&self) -> bool {
        !self.sources.is_empty()
    }

    /// What [`Validated::figures`] are of.
    pub(super) fn figure_names(&self) -> Vec<String> {
        let names = |source: &HeldOut| FIGURES.map(|figure| format!("{figure} {}", source.name));
        self.sources.iter().flat_map(names).collect()
    }

    /// Measures the averaged networks of `trainer`.
    pub(super) fn run(&self, trainer: &Trainer) -> anyhow::Result<Validated> {
        let [depth, pose] = [trainer.depth_onnx()?, trainer.pose_onnx()?];
        let measure = |source: &HeldOut| {
            let truth = source.truth.as_ref().filter(|_| self.learns_depth);
            let abs_rel = truth.map(|(format, samples)| {
                abs_rel(&depth, *format, samples).with_context(|| source.name.clone())
            });
            Ok(Measured {
                name: source.name.clone(),
                loss: source.loss(trainer)?,
                abs_rel: abs_rel.transpose()?,
                ate_5_frames: source.ate_5_frames(&pose)?,
            })
        };
        Ok(Validated { sources: self.sources.iter().map(measure).collect::<anyhow::Result<_>>()? })
    }

    /// Snippets to be looked at: one of each clip that is measured on.
    pub(super) fn samples(&self, trainer: &Trainer) -> Vec<(String, Batch)> {
        let sample = |clip: &Clip| {
            let batches = trainer.batches([clip.clone()].into());
            (clip.name.clone(), batches.unchanged(&[clip.snippets.len() / 2]))
        };
        let clips = self.sources.iter().flat_map(HeldOut::clips);
        clips.map(sample).collect()
    }
}

impl HeldOut {
    fn clips(&self) -> impl Iterator<Item = &Clip> {
        self.lessons.iter().map(|lesson| &lesson.clip)
    }

    /// The mean error over five frames of the pose network `onnx`, over all with a true trajectory.
    fn ate_5_frames(&self, onnx: &[u8]) -> anyhow::Result<Option<f64>> {
        let mut errors = Vec::new();
        for Lesson { clip, truth } in &self.lessons {
            let Some(truth) = truth else { continue };
            let mut odometry = NetworkOdometry::new(PoseNetwork::read(onnx, Kernel::best())?);
            let mut seen = Trajectory::new();
            for place in 0..clip.frames.len().min(POSES) {
                let frame = clip.frame(place);
                seen.push(frame.stamp, odometry.register_frame(&frame)?)?;
            }
            let report = eval::evaluate(truth, &seen, &OdometryProtocol::default())?;
            errors.extend(report.ate_5_frames.map(|five| five.mean_m));
        }
        Ok((!errors.is_empty()).then(|| errors.iter().sum::<f64>() / errors.len() as f64))
    }

    /// The mean loss over the clips.
    fn loss(&self, trainer: &Trainer) -> anyhow::Result<Option<f32>> {
        let mut evaluator = trainer.averaged()?;
        let mut sums = Vec::new();
        for clip in self.clips() {
            let batches = trainer.batches([clip.clone()].into());
            let chosen = evenly(clip.snippets.len(), SNIPPETS);
            let losses =
                chosen.chunks(batches.batch).map(|chosen| evaluator.losses(&batches.unchanged(chosen)));
            sums.extend(losses.map(|losses: Losses| losses.sum()));
        }
        Ok((!sums.is_empty()).then(|| sums.iter().sum::<f32>() / sums.len() as f32))
    }
}

/// `most` of `count` places, or all of them.
fn evenly(count: usize, most: usize) -> Vec<usize> {
    let chosen = count.min(most);
    (0..chosen).map(|index| index * count / chosen).collect()
}

/// The images below `path` whose depth is known.
fn truth(path: &Path) -> Option<(DepthFormat, Vec<DepthSample>)> {
    let formats = [DepthFormat::World, DepthFormat::KittiObject, DepthFormat::Tum];
    let mut read = formats.into_iter().filter_map(|format| Some((format, depth_samples(path, format).ok()?)));
    read.next().map(|(format, samples)| {
        let chosen = evenly(samples.len(), IMAGES);
        (format, chosen.into_iter().map(|index| samples[index].clone()).collect())
    })
}

/// The mean relative error of depths by the network `onnx`: each image scaled by its median for single images, all by the
/// median of these for a sequence.
fn abs_rel(onnx: &[u8], format: DepthFormat, samples: &[DepthSample]) -> anyhow::Result<f64> {
    let (crop, scaling) = match format {
        DepthFormat::KittiObject => (DepthCrop::Garg, DepthScaling::Image),
        _ => (DepthCrop::None, DepthScaling::Sequence),
    };
    let protocol = DepthProtocol { crop, min_m: 1e-3, max_m: 80.0 }.checked()?;
    let mut network = DepthNetwork::read(onnx, Kernel::best())?;
    let look = |sample: &DepthSample| {
        let frame = sample.frame()?;
        let (width, height) = frame.size();
        let predicted = network.predict(&frame)?.depth(width, height);
        Ok(DepthPairs::new(&sample.truth(frame.size())?, &predicted, &protocol)?)
    };
    let pairs = samples.iter().map(look).collect::<anyhow::Result<Vec<DepthPairs>>>()?;
    let names: Vec<String> = samples.iter().map(|sample| sample.name.clone()).collect();
    let report = DepthReport::measure(&names, &protocol, |index| -> anyhow::Result<DepthPairs> {
        Ok(pairs[index].clone())
    })?;
    Ok(report.errors.by(scaling).abs_rel)
}

impl Validated {
    /// In the order of [`Validation::figure_names`].
    pub(super) fn figures(&self) -> Vec<Option<f64>> {
        let figures = |source: &Measured| {
            let Measured { loss, abs_rel, ate_5_frames, .. } = *source;
            [loss.map(f64::from), abs_rel, ate_5_frames]
        };
        self.sources.iter().flat_map(figures).collect()
    }
}

impl fmt::Display for Validated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Measured { name, loss, abs_rel, ate_5_frames }) in self.sources.iter().enumerate() {
            let loss = loss.map_or(String::new(), |loss| format!(" loss {loss:.4}"));
            let abs_rel = abs_rel.map_or(String::new(), |error| format!(" abs rel {error:.3}"));
            let ate = ate_5_frames.map_or(String::new(), |error| format!(" 5-frame ATE {error:.4} m"));
            write!(f, "{}{name}:{loss}{abs_rel}{ate}", if index > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}
