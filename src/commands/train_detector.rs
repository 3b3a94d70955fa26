//! `kestrel train detector`.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use datasets::labels::LabelSet;
use detect::network::NetworkDescription;
use detect::train::augment::{Augmentation, Picture};
use detect::train::loss::{DetectionLoss, cpu};
use detect::train::{Loader, Losses, TrainConfig, Trainer, pictures};
use nn::train::{Checkpoint, tflite};

use crate::cli::TrainDetectorArgs;
use crate::commands::labels;
use crate::logging::say;
use crate::progress::FrameProgress;

/// Feature maps of these strides find vehicles of 10 to 100 pixels.
const STRIDES: [usize; 3] = [8, 16, 32];

pub(super) fn train_detector(args: &TrainDetectorArgs) -> anyhow::Result<ExitCode> {
    let config = config(args);
    let (learnt_from, held_out) = sets(args)?;
    let decoded = learnt_from.iter().map(|set| pictures(set, &config.classes));
    let shown: Arc<[Picture]> = decoded.collect::<Result<Vec<_>, _>>()?.concat().into();
    let held = held_out.iter().map(|set| set.images.len()).sum::<usize>();
    say(&format!("{} images to learn from, {held} held out", shown.len()));
    fs::create_dir_all(&args.out).with_context(|| format!("can't make {}", args.out.display()))?;
    let trainer = trainer(args, config, &shown)?;
    train(args, trainer, shown)?;
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
    for folder in &args.data {
        let set = labels::source(folder, &args.labels).read()?.mapped(&map);
        let (held_out, learnt_from) = set.partition(|image| is_held_out(image.scene(), &args.hold_out));
        split.0.push(learnt_from);
        split.1.push(held_out);
    }
    Ok(split)
}

fn is_held_out(scene: &str, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(beginning) => scene.starts_with(beginning),
        None => scene == pattern,
    })
}

fn trainer(args: &TrainDetectorArgs, config: TrainConfig, shown: &[Picture]) -> anyhow::Result<Trainer> {
    let checkpoint = args.out.join("checkpoint");
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
    fs::write(&written, text).with_context(|| format!("can't write {}", written.display()))?;
    let initial = args.from.as_deref().map(averaged_weights).transpose()?;
    let trainer = Trainer::new(config, shown, initial, cpu())?;
    let Some(file) = &args.backbone_from else { return Ok(trainer) };
    let broken = || format!("can't begin with {}", file.display());
    let trained = tflite::convolutions(&fs::read(file).with_context(broken)?).with_context(broken)?;
    trainer.with_backbone(&trained).with_context(broken)
}

/// The averaged weights of another training.
fn averaged_weights(checkpoint: &Path) -> anyhow::Result<nn::architecture::Weights> {
    let weights = Checkpoint::read(checkpoint)?.weights.remove("average");
    weights.with_context(|| format!("{}: no averaged weights", checkpoint.display()))
}

fn train(args: &TrainDetectorArgs, mut trainer: Trainer, shown: Arc<[Picture]>) -> anyhow::Result<()> {
    let mut curves = Curves::open(&args.out.join("curves.csv"), trainer.steps_taken())?;
    let mut progress = FrameProgress::new(Some(args.steps as u64));
    let mut loader = Loader::start(trainer.batches(shown), trainer.steps_taken());
    let (start, first) = (Instant::now(), trainer.steps_taken());
    let mut mean = None;
    while !trainer.is_done() {
        let batch = loader.next_batch().context("the thread that makes batches has ended")?;
        let losses = trainer.step(batch)?;
        let step = trainer.steps_taken();
        curves.write(step, losses)?;
        let follow = |mean: f32, new: f32| mean + 0.05 * (new - mean);
        let smooth = mean.map_or(losses, |mean: Losses| Losses {
            classes: follow(mean.classes, losses.classes),
            boxes: follow(mean.boxes, losses.boxes),
        });
        mean = Some(smooth);
        let elapsed = start.elapsed();
        progress
            .update(step as u64, || note(smooth, elapsed, loader.waited, step - first, args.steps - step));
        if step.is_multiple_of(args.save_every) || trainer.is_done() {
            trainer.save(&args.out.join("checkpoint"))?;
            let path = args.out.join("detector.onnx");
            fs::write(&path, trainer.onnx()?).with_context(|| format!("can't write {}", path.display()))?;
        }
    }
    progress.finish();
    Ok(())
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

/// Losses of each step, in a file.
struct Curves {
    file: File,
}

impl Curves {
    /// Goes on behind step `step`: a training that was cut off has written further than its checkpoint.
    fn open(path: &Path, step: usize) -> anyhow::Result<Self> {
        let broken = || format!("can't write {}", path.display());
        let before = if step == 0 { String::new() } else { fs::read_to_string(path).with_context(broken)? };
        let mut file = File::create(path).with_context(broken)?;
        let kept = before.lines().skip(1).take(step);
        let text: Vec<&str> = std::iter::once("step,class_loss,box_loss").chain(kept).collect();
        writeln!(file, "{}", text.join("\n")).with_context(broken)?;
        Ok(Self { file })
    }

    fn write(&mut self, step: usize, losses: Losses) -> anyhow::Result<()> {
        Ok(writeln!(self.file, "{step},{},{}", losses.classes, losses.boxes)?)
    }
}
