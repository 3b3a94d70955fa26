//! A training under way, and the files that it leaves.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use nn::quantize::{QuantizeOptions, Quantizer};
use nn::train::Loader;
use vo::train::{Batch, BatchMaker, Clip, Losses, TrainError, Trainer};

use super::page::{self, Page};
use super::validation::Validation;
use crate::cli::TrainVoArgs;
use crate::commands::replace_file;
use crate::commands::training::{CHECKPOINT, CONFIGURATION, CURVES, Curves, PAGE, Row, Table};
use crate::logging::say;
use crate::progress::FrameProgress;

/// The averaged networks, in float and on bytes.
const DEPTH: [&str; 2] = ["depth.onnx", "depth-int8.onnx"];
const POSE: [&str; 2] = ["pose.onnx", "pose-int8.onnx"];
/// What a training that broke off saw last.
const LAST_SEEN: &str = "last-batch.jpg";
/// Names of the losses in the curves.
const LOSSES: [&str; 5] =
    ["photometric_loss", "smoothness_loss", "consistency_loss", "explainability_loss", "guidance_loss"];
/// Batches that show what the values of a network range over.
const CALIBRATION: usize = 24;

/// A training with its files.
pub(super) struct Session<'a> {
    args: &'a TrainVoArgs,
    trainer: Trainer,
    validation: Validation,
    curves: Curves,
    progress: FrameProgress,
    batches: BatchMaker,
}

impl<'a> Session<'a> {
    /// A training, at its beginning or where it was cut off, that writes into `--out`.
    pub(super) fn new(
        args: &'a TrainVoArgs,
        trainer: Trainer,
        validation: Validation,
        clips: Arc<[Clip]>,
    ) -> anyhow::Result<Self> {
        let figures = validation.figure_names();
        let curves = Curves::open(&args.out.join(CURVES), trainer.steps_taken(), &LOSSES, &figures)?;
        let progress = FrameProgress::new(Some(args.steps as u64)).counting("step");
        let batches = trainer.batches(clips);
        Ok(Self { args, trainer, validation, curves, progress, batches })
    }

    /// Takes the steps that are left.
    pub(super) fn train(mut self) -> anyhow::Result<()> {
        let batches = self.batches.clone();
        let mut loader = Loader::start(self.trainer.steps_taken(), move |step| batches.make(step));
        let (start, first) = (Instant::now(), self.trainer.steps_taken());
        let mut mean = None;
        while !self.trainer.is_done() {
            let (step, loss) = self.step(&mut loader)?;
            let smooth = mean.map_or(loss, |mean: f32| mean + 0.05 * (loss - mean));
            mean = Some(smooth);
            let (elapsed, waited, left) = (start.elapsed(), loader.waited, self.args.steps - step);
            self.progress.update(step as u64, || note(smooth, elapsed, waited, step - first, left));
            if step.is_multiple_of(self.args.save_every) || self.trainer.is_done() {
                self.save()?;
            }
        }
        self.progress.finish();
        if self.args.learn_focal {
            let names = self.batches.clips.iter().zip(self.trainer.focal_factors());
            names.for_each(|(clip, factor)| say(&format!("{}: focal length times {factor:.3}", clip.name)));
        }
        self.quantize()
    }

    /// Takes a step; returns its number and its loss.
    fn step(&mut self, loader: &mut Loader<Batch>) -> anyhow::Result<(usize, f32)> {
        let (start, waited, learning_rate) = (Instant::now(), loader.waited, self.trainer.learning_rate());
        let batch = loader.next_batch().context("the thread that makes batches has ended")?;
        let losses = self.trainer.step(&batch).map_err(|error| self.broken_off(&batch, error))?;
        let (step, time, waited) = (self.trainer.steps_taken(), start.elapsed(), loader.waited - waited);
        let is_due = step.is_multiple_of(self.args.validate_every) || self.trainer.is_done();
        let figures = if is_due && self.validation.is_possible() { self.validate()? } else { Vec::new() };
        let Losses { photometric, smoothness, consistency, explainability, guidance } = losses;
        let of_step = vec![photometric, smoothness, consistency, explainability, guidance];
        self.curves.write(&Row { step, losses: of_step, learning_rate, time, waited, figures })?;
        Ok((step, losses.sum()))
    }

    /// Keeps what could not be learnt from, to be looked at.
    fn broken_off(&self, batch: &Batch, error: TrainError) -> anyhow::Error {
        let path = self.args.out.join(LAST_SEEN);
        let kept = page::shown(batch, self.batches.size()).and_then(|image| {
            let image = image::RgbImage::from_raw(
                image.width() as u32,
                image.height() as u32,
                image.as_slice().to_vec(),
            );
            Ok(image.context("a picture of the batch")?.save(&path)?)
        });
        let error = anyhow::Error::new(error);
        match kept {
            Ok(()) => error.context(format!("the last batch is in {}", path.display())),
            Err(kept) => error.context(format!("and the last batch could not be kept: {kept:#}")),
        }
    }

    fn validate(&self) -> anyhow::Result<Vec<Option<f64>>> {
        let validated = self.validation.run(&self.trainer)?;
        self.progress.line(&format!("step {}: {validated}", self.trainer.steps_taken()));
        Ok(validated.figures())
    }

    /// Writes the latest networks, then the checkpoint: after a cut between the two the networks are written once more.
    fn save(&self) -> anyhow::Result<()> {
        if !self.args.motion_only {
            replace_file(&self.args.out.join(DEPTH[0]), &self.trainer.depth_onnx()?)?;
        }
        replace_file(&self.args.out.join(POSE[0]), &self.trainer.pose_onnx()?)?;
        self.trainer.save(&self.args.out.join(CHECKPOINT))?;
        if let Err(error) = self.write_page() {
            // The training is worth more than the page about it.
            self.progress.line(&format!("no report of step {}: {error:#}", self.trainer.steps_taken()));
        }
        Ok(())
    }

    fn write_page(&self) -> anyhow::Result<()> {
        let out = &self.args.out;
        let mut samples = self.validation.samples(&self.trainer);
        samples.push(("what is learnt from".to_owned(), self.batches.make(self.trainer.steps_taken())));
        let page = Page {
            name: out.file_name().unwrap_or(out.as_os_str()).to_string_lossy().into_owned(),
            steps: self.args.steps,
            configuration: fs::read_to_string(out.join(CONFIGURATION))?,
            size: self.batches.size(),
            samples,
        };
        let table = Table::read(&out.join(CURVES))?;
        replace_file(&out.join(PAGE), page.html(&self.trainer, &table)?.as_bytes())
    }

    /// Writes what was learnt on bytes.
    fn quantize(&self) -> anyhow::Result<()> {
        let pose_images = self.trainer.pose_images();
        for ([float, bytes], is_pose) in [(DEPTH, false), (POSE, true)] {
            if self.args.motion_only && !is_pose {
                continue;
            }
            let path = self.args.out.join(float);
            let file = fs::read(&path).with_context(|| path.display().to_string())?;
            let mut quantizer = Quantizer::new(&file)?;
            for step in 0..CALIBRATION {
                let batch = BatchMaker { batch: 1, ..self.batches.clone() }.make(step);
                let input = match is_pose {
                    true => {
                        pose_images.order().iter().flat_map(|&place| batch.inputs[place].clone()).collect()
                    }
                    false => batch.inputs[1].clone(),
                };
                quantizer.observe(&[input])?;
            }
            let quantized = quantizer.finish(&QuantizeOptions::default())?;
            let path = self.args.out.join(bytes);
            replace_file(&path, &quantized.file)?;
            let in_float = quantized.report.in_float.len();
            say(&format!("{}: {float} on bytes, {in_float} nodes in float", path.display()));
        }
        Ok(())
    }
}

fn note(loss: f32, elapsed: Duration, waited: Duration, done: usize, left: usize) -> String {
    let per_step = elapsed.as_secs_f64() / done.max(1) as f64;
    let minutes = per_step * left as f64 / 60.0;
    let waited = 100.0 * waited.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
    format!(
        "loss {loss:.4}, {per_step:.2} s a step ({waited:.0} % waiting for images), {minutes:.0} min left"
    )
}
