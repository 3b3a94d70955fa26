//! `kestrel train detector`.

mod curves;
mod validation;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use datasets::labels::LabelSet;
use detect::network::NetworkDescription;
use detect::train::augment::{Augmentation, Picture};
use detect::train::loss::{DetectionLoss, cpu};
use detect::train::{BatchMaker, Loader, Losses, TrainConfig, Trainer, pictures, quantized};
use nn::train::{Checkpoint, tflite};

use crate::cli::TrainDetectorArgs;
use crate::commands::{labels, name_of, replace_file};
use crate::logging::say;
use crate::progress::FrameProgress;
use curves::{Curves, Row};
use validation::Validation;

/// Feature maps of these strides find vehicles of 10 to 100 pixels.
const STRIDES: [usize; 3] = [8, 16, 32];
/// What a training leaves in its folder: the averaged network as it is and as it was at its best, that on bytes, and all that
/// it needs to go on.
const LATEST: &str = "detector.onnx";
const BEST: &str = "best.onnx";
const ON_BYTES: &str = "detector-int8.onnx";
const CHECKPOINT: &str = "checkpoint";
/// Pictures that show what the values of a network range over.
const CALIBRATION_PIECES: usize = 96;

pub(super) fn train_detector(args: &TrainDetectorArgs) -> anyhow::Result<ExitCode> {
    let config = config(args);
    let (learnt_from, held_out) = sets(args)?;
    let decoded = learnt_from.iter().map(|set| pictures(set, &config.classes));
    let shown: Arc<[Picture]> = decoded.collect::<Result<Vec<_>, _>>()?.concat().into();
    let images = held_out.iter().map(|set| set.images.len()).sum::<usize>();
    let validation = validation(args, held_out)?;
    let measured = validation.images();
    say(&format!("{} images to learn from, {images} held out, {measured} of them measured on", shown.len()));
    let trainer = trainer(args, config, &shown)?;
    Session::new(args, trainer, validation)?.train(shown)?;
    Ok(ExitCode::SUCCESS)
}

fn config(args: &TrainDetectorArgs) -> TrainConfig {
    let network = NetworkDescription {
        backbone: args.backbone.into(),
        width: args.width,
        pyramid_channels: 64,
        strides: STRIDES.to_vec(),
        shapes: 3,
        classes: args.find.len(),
    };
    TrainConfig {
        network,
        classes: args.find.clone(),
        input: args.input,
        crop: args.crop,
        batch: args.batch,
        steps: args.steps,
        learning_rate: args.learning_rate,
        warm_up: (args.steps / 20).min(200),
        weight_decay: 0.01,
        average_decay: 0.998,
        seed: args.seed,
        augmentation: Augmentation::default(),
        loss: DetectionLoss::default(),
    }
}

/// The sets, each without the scenes that are held out, and those.
fn sets(args: &TrainDetectorArgs) -> anyhow::Result<(Vec<LabelSet>, Vec<LabelSet>)> {
    let map = args.labels.map.clone().unwrap_or_default();
    let mut split = (Vec::new(), Vec::new());
    let mut scenes = BTreeSet::new();
    for folder in &args.data {
        let set = labels::source(folder, &args.labels).read()?.mapped(&map);
        scenes.extend(set.scenes().into_iter().map(str::to_owned));
        let (held_out, learnt_from) = set.partition(|image| is_held_out(image.scene(), &args.hold_out));
        split.0.push(learnt_from);
        split.1.push(held_out);
    }
    for pattern in &args.hold_out {
        let is_there = scenes.iter().any(|scene| is_held_out(scene, std::slice::from_ref(pattern)));
        ensure!(
            is_there,
            "expected scenes of the data to hold out, found `{pattern}`, which is none of them"
        );
    }
    Ok(split)
}

fn validation(args: &TrainDetectorArgs, held_out: Vec<LabelSet>) -> anyhow::Result<Validation> {
    let names = args.data.iter().map(|folder| name_of(folder, &args.data));
    let validation = Validation::new(&args.find, names.zip(held_out).collect(), args.validation_images);
    ensure!(
        args.patience.is_none() || validation.is_possible(),
        "expected held-out images (--hold-out) with objects to end by --patience, found none"
    );
    Ok(validation)
}

fn is_held_out(scene: &str, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => scene.starts_with(beginning),
        None => scene == pattern,
    })
}

fn trainer(args: &TrainDetectorArgs, config: TrainConfig, shown: &[Picture]) -> anyhow::Result<Trainer> {
    let checkpoint = args.out.join(CHECKPOINT);
    let written = args.out.join("config.json");
    let text = serde_json::to_string_pretty(&config)?;
    if args.resume {
        let before = fs::read_to_string(&written).with_context(|| format!("{}", written.display()))?;
        ensure!(before == text, "expected the configuration of {}, found {text}", written.display());
        return Ok(Trainer::resume(config, shown, &checkpoint, cpu())?);
    }
    ensure!(
        !checkpoint.exists(),
        "expected a new folder, or --resume, found the checkpoint {}",
        checkpoint.display()
    );
    let initial = args.from.as_deref().map(averaged_weights).transpose()?;
    let trainer = Trainer::new(config, shown, initial, cpu())?;
    let trainer = match &args.backbone_from {
        Some(file) => {
            with_backbone(trainer, file).with_context(|| format!("can't begin with {}", file.display()))?
        }
        None => trainer,
    };
    fs::create_dir_all(&args.out).with_context(|| format!("can't make {}", args.out.display()))?;
    replace_file(&written, text.as_bytes())?;
    Ok(trainer)
}

/// A training whose backbone begins with the weights in a TensorFlow Lite file.
fn with_backbone(trainer: Trainer, file: &Path) -> anyhow::Result<Trainer> {
    Ok(trainer.with_backbone(&tflite::convolutions(&fs::read(file)?)?)?)
}

/// The averaged weights of another training.
fn averaged_weights(checkpoint: &Path) -> anyhow::Result<nn::architecture::Weights> {
    let weights = Checkpoint::read(checkpoint)?.weights.remove("average");
    weights.with_context(|| format!("{}: no averaged weights", checkpoint.display()))
}

/// A training with its files.
struct Session<'a> {
    args: &'a TrainDetectorArgs,
    trainer: Trainer,
    validation: Validation,
    curves: Curves,
    progress: FrameProgress,
}

impl<'a> Session<'a> {
    fn new(args: &'a TrainDetectorArgs, trainer: Trainer, validation: Validation) -> anyhow::Result<Self> {
        let figures = if validation.is_possible() { validation.figure_names() } else { Vec::new() };
        let curves = Curves::open(&args.out.join("curves.csv"), trainer.steps_taken(), &figures)?;
        Ok(Self { args, trainer, validation, curves, progress: FrameProgress::new(Some(args.steps as u64)) })
    }

    /// Takes the steps that are left.
    fn train(mut self, shown: Arc<[Picture]>) -> anyhow::Result<()> {
        let batches = self.trainer.batches(shown);
        let mut loader = Loader::start(batches.clone(), self.trainer.steps_taken());
        let (start, first) = (Instant::now(), self.trainer.steps_taken());
        let mut mean = None;
        while !self.is_over() {
            let row = self.step(&mut loader)?;
            let follow = |mean: f32, new: f32| mean + 0.05 * (new - mean);
            let smooth = mean.map_or(row.losses, |mean: Losses| Losses {
                classes: follow(mean.classes, row.losses.classes),
                boxes: follow(mean.boxes, row.losses.boxes),
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
        self.quantize(&batches)
    }

    fn is_over(&self) -> bool {
        self.trainer.is_done() || self.is_stale()
    }

    fn is_stale(&self) -> bool {
        self.args.patience.is_some_and(|patience| self.trainer.best().is_stale(patience))
    }

    fn step(&mut self, loader: &mut Loader) -> anyhow::Result<Row> {
        let (start, waited, learning_rate) = (Instant::now(), loader.waited, self.trainer.learning_rate());
        let batch = loader.next_batch().context("the thread that makes batches has ended")?;
        let losses = self.trainer.step(batch)?;
        let (step, time, waited) = (self.trainer.steps_taken(), start.elapsed(), loader.waited - waited);
        let is_due = step.is_multiple_of(self.args.validate_every) || self.trainer.is_done();
        let figures = if is_due && self.validation.is_possible() { self.validate()? } else { Vec::new() };
        let row = Row { step, losses, learning_rate, time, waited, figures };
        self.curves.write(&row)?;
        Ok(row)
    }

    /// Measures the averaged network, and keeps it where it is the best so far.
    fn validate(&mut self) -> anyhow::Result<Vec<Option<f64>>> {
        let onnx = self.trainer.onnx()?;
        let validated = self.validation.run(&onnx)?;
        let is_best = self.trainer.judge(validated.ap50().unwrap_or(f64::NAN));
        if is_best {
            replace_file(&self.args.out.join(BEST), &onnx)?;
        }
        let remark = if is_best { ", the best so far" } else { "" };
        self.progress.line(&format!("step {}: {validated}{remark}", self.trainer.steps_taken()));
        Ok(validated.figures(self.args.find.len()))
    }

    /// Writes the latest network, then the checkpoint: after a cut between the two the network is written once more.
    fn save(&self) -> anyhow::Result<()> {
        replace_file(&self.args.out.join(LATEST), &self.trainer.onnx()?)?;
        Ok(self.trainer.save(&self.args.out.join(CHECKPOINT))?)
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
    fn quantize(&mut self, batches: &BatchMaker) -> anyhow::Result<()> {
        let chosen = if self.trainer.best().figure.is_some() { BEST } else { LATEST };
        let path = self.args.out.join(chosen);
        let float = fs::read(&path).with_context(|| path.display().to_string())?;
        let quantized = quantized(&float, batches, CALIBRATION_PIECES)?;
        let path = self.args.out.join(ON_BYTES);
        replace_file(&path, &quantized.file)?;
        let measured = match self.validation.is_possible() {
            true => format!("; {}", self.validation.run(&quantized.file)?),
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
