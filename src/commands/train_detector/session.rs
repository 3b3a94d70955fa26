//! A training under way, and the files that it leaves.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use detect::train::augment::Picture;
use detect::train::{Batch, BatchMaker, Losses, Trainer, quantized};
use eval::SampleFrame;
use nn::train::Loader;

use super::page::Page;
use super::validation::Validation;
use crate::cli::TrainDetectorArgs;
use crate::commands::replace_file;
use crate::commands::training::{CHECKPOINT, CONFIGURATION, CURVES, Curves, PAGE, Row, Table};
use crate::logging::say;
use crate::progress::FrameProgress;

/// The averaged network as it is, as it was at its best, and that on bytes.
const LATEST: &str = "detector.onnx";
const BEST: &str = "best.onnx";
const ON_BYTES: &str = "detector-int8.onnx";
/// Names of the losses in the curves.
const LOSSES: [&str; 2] = ["class_loss", "box_loss"];
/// Inputs that the page shows.
const INPUTS: usize = 8;
/// Inputs that show what the values of a network range over.
const CALIBRATION: usize = 96;

/// A training with its files.
pub(super) struct Session<'a> {
    args: &'a TrainDetectorArgs,
    trainer: Trainer,
    validation: Validation,
    curves: Curves,
    progress: FrameProgress,
    /// Makes what the page shows of the batches.
    batches: BatchMaker,
    /// Held-out images with what was found when they were last measured on.
    found: Vec<SampleFrame>,
}

impl<'a> Session<'a> {
    /// A training, at its beginning or where it was cut off, that writes into `--out`.
    pub(super) fn new(
        args: &'a TrainDetectorArgs,
        trainer: Trainer,
        validation: Validation,
        shown: Arc<[Picture]>,
    ) -> anyhow::Result<Self> {
        let figures = if validation.is_possible() { validation.figure_names() } else { Vec::new() };
        let curves = Curves::open(&args.out.join(CURVES), trainer.steps_taken(), &LOSSES, &figures)?;
        let progress = FrameProgress::new(Some(args.steps as u64)).counting("step");
        let batches = trainer.batches(shown);
        Ok(Self { args, trainer, validation, curves, progress, batches, found: Vec::new() })
    }

    /// Takes the steps that are left.
    pub(super) fn train(mut self) -> anyhow::Result<()> {
        let batches = self.batches.clone();
        let mut loader = Loader::start(self.trainer.steps_taken(), move |step| batches.make(step));
        let (start, first) = (Instant::now(), self.trainer.steps_taken());
        let mut mean = None;
        while !self.is_over() {
            let (row, losses) = self.step(&mut loader)?;
            let follow = |mean: f32, new: f32| mean + 0.05 * (new - mean);
            let smooth = mean.map_or(losses, |mean: Losses| Losses {
                classes: follow(mean.classes, losses.classes),
                boxes: follow(mean.boxes, losses.boxes),
            });
            mean = Some(smooth);
            let (elapsed, waited, left) = (start.elapsed(), loader.waited, self.args.steps - row.step);
            let note = || note(smooth, elapsed, waited, row.step - first, left);
            self.progress.update(row.step as u64, note);
            if row.step.is_multiple_of(self.args.save_every) || self.is_over() {
                self.save()?;
            }
        }
        self.progress.finish();
        self.conclude();
        self.quantize()
    }

    fn is_over(&self) -> bool {
        self.trainer.is_done() || self.is_stale()
    }

    fn is_stale(&self) -> bool {
        self.args.patience.is_some_and(|patience| self.trainer.best().is_stale(patience))
    }

    fn step(&mut self, loader: &mut Loader<Batch>) -> anyhow::Result<(Row, Losses)> {
        let (start, waited, learning_rate) = (Instant::now(), loader.waited, self.trainer.learning_rate());
        let batch = loader.next_batch().context("the thread that makes batches has ended")?;
        let losses = self.trainer.step(batch)?;
        let (step, time, waited) = (self.trainer.steps_taken(), start.elapsed(), loader.waited - waited);
        let is_due = step.is_multiple_of(self.args.validate_every) || self.trainer.is_done();
        let figures = if is_due && self.validation.is_possible() { self.validate()? } else { Vec::new() };
        let of_step = vec![losses.classes, losses.boxes];
        let row = Row { step, losses: of_step, learning_rate, time, waited, figures };
        self.curves.write(&row)?;
        Ok((row, losses))
    }

    /// Measures the averaged network, and keeps it where it is the best so far.
    fn validate(&mut self) -> anyhow::Result<Vec<Option<f64>>> {
        let onnx = self.trainer.onnx()?;
        let (start, step, all) = (Instant::now(), self.trainer.steps_taken(), self.validation.images());
        let validated = self.validation.run(&onnx, &mut |done| {
            let note = || {
                let left = start.elapsed().as_secs_f64() / done as f64 * (all - done) as f64;
                format!("measured on {done} of {all} held-out images, {left:.0} s left")
            };
            self.progress.update(step as u64, note);
        })?;
        let pictures = self.validation.pictures(&validated);
        self.found = pictures.unwrap_or_else(|error| {
            self.progress.line(&format!("no pictures of step {step}: {error:#}"));
            Vec::new()
        });
        let is_best = self.trainer.judge(validated.ap50().unwrap_or(f64::NAN));
        if is_best {
            replace_file(&self.args.out.join(BEST), &onnx)?;
        }
        let remark = if is_best { ", the best so far" } else { "" };
        self.progress.line(&format!("step {step}: {validated}{remark}"));
        Ok(validated.figures(self.args.find.len()))
    }

    /// Writes the latest network, then the checkpoint: after a cut between the two the network is written once more.
    fn save(&self) -> anyhow::Result<()> {
        replace_file(&self.args.out.join(LATEST), &self.trainer.onnx()?)?;
        self.trainer.save(&self.args.out.join(CHECKPOINT))?;
        if let Err(error) = self.write_page() {
            // The training is worth more than the page about it.
            self.progress.line(&format!("no report of step {}: {error:#}", self.trainer.steps_taken()));
        }
        Ok(())
    }

    fn write_page(&self) -> anyhow::Result<()> {
        let out = &self.args.out;
        let step = self.trainer.steps_taken();
        let page = Page {
            name: out.file_name().unwrap_or(out.as_os_str()).to_string_lossy().into_owned(),
            steps: self.args.steps,
            configuration: fs::read_to_string(out.join(CONFIGURATION))?,
            best: self.trainer.best().figure,
            inputs: self.batches.inputs(step - 1).take(INPUTS).collect(),
            found: self.found.clone(),
        };
        replace_file(&out.join(PAGE), page.html(&Table::read(&out.join(CURVES))?)?.as_bytes())
    }

    fn conclude(&self) {
        if self.is_stale() && !self.trainer.is_done() {
            let taken = self.trainer.steps_taken();
            say(&format!("ended after {taken} of {} steps: no gain for too long", self.args.steps));
        }
        if let Some((figure, step)) = self.trainer.best().figure {
            let path = self.args.out.join(BEST);
            say(&format!("{}: AP50 {figure:.3} after {step} steps", path.display()));
        }
    }

    /// Writes the best network, or the latest where none was measured, on bytes.
    fn quantize(&mut self) -> anyhow::Result<()> {
        let chosen = if self.trainer.best().figure.is_some() { BEST } else { LATEST };
        let path = self.args.out.join(chosen);
        let float = fs::read(&path).with_context(|| path.display().to_string())?;
        let quantized = quantized(&float, &self.batches, CALIBRATION)?;
        let path = self.args.out.join(ON_BYTES);
        replace_file(&path, &quantized.file)?;
        let measured = match self.validation.is_possible() {
            true => format!("; {}", self.validation.run(&quantized.file, &mut |_| ())?),
            false => String::new(),
        };
        let in_float = quantized.report.in_float.len();
        say(&format!("{}: {chosen} on bytes, {in_float} nodes in float{measured}", path.display()));
        Ok(())
    }
}

fn note(losses: Losses, elapsed: Duration, waited: Duration, done: usize, left: usize) -> String {
    let per_step = elapsed.as_secs_f64() / done.max(1) as f64;
    let minutes = per_step * left as f64 / 60.0;
    let waited = 100.0 * waited.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
    let Losses { classes, boxes } = losses;
    format!(
        "scores {classes:.3}, boxes {boxes:.3}, {per_step:.2} s a step ({waited:.0} % waiting for images), {minutes:.0} min left"
    )
}
