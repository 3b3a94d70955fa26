//! `kestrel train detector`.

mod page;
mod session;
mod validation;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, ensure};
use datasets::labels::LabelSet;
use detect::network::NetworkDescription;
use detect::train::augment::{Augmentation, Picture};
use detect::train::loss::DetectionLoss;
use detect::train::{TrainConfig, Trainer, pictures, synthetic_pictures};
use nn::train::{Checkpoint, tflite};
use serde::Serialize;

use crate::cli::TrainDetectorArgs;
use crate::commands::training::{CHECKPOINT, CONFIGURATION};
use crate::commands::{labels, name_of, replace_file};
use crate::logging::say;
use crate::progress::FrameProgress;
use session::Session;
use validation::Validation;

/// Feature maps of these strides find vehicles of 10 to 100 pixels.
const STRIDES: [usize; 3] = [8, 16, 32];

pub(super) fn train_detector(args: &TrainDetectorArgs) -> anyhow::Result<ExitCode> {
    let config = config(args);
    let (learnt_from, held_out) = sets(args)?;
    let unreadable = |error| say(&format!("{error}: not learnt from"));
    let mut shown: Vec<Picture> = Vec::new();
    for (folder, set) in args.data.iter().zip(&learnt_from) {
        let is_complete = !args.incomplete.contains(folder);
        for mut picture in pictures(set, &config.classes, unreadable) {
            picture.is_complete = is_complete;
            shown.push(picture);
        }
    }
    let real = shown.len();
    shown.extend(synthetic(args)?);
    let shown: Arc<[Picture]> = shown.into();
    let images = held_out.iter().map(|set| set.images.len()).sum::<usize>();
    let validation = validation(args, held_out)?;
    let measured = validation.images();
    say(&format!("{real} images to learn from, {images} held out, {measured} of them measured on"));
    let recipe = Recipe {
        training: &config,
        images: real,
        synthetic: args.synthetic,
        incomplete: shown.iter().filter(|picture| !picture.is_complete).count(),
        held_out: images,
        hold_out: &args.hold_out,
    };
    let recipe = serde_json::to_string_pretty(&recipe)?;
    let trainer = trainer(args, config, &recipe, &shown)?;
    Session::new(args, trainer, validation, shown)?.train()?;
    Ok(ExitCode::SUCCESS)
}

/// What decides the outcome, as it is written down: a training that goes on must have the same.
#[derive(Serialize)]
struct Recipe<'a> {
    #[serde(flatten)]
    training: &'a TrainConfig,
    /// How many labelled images are learnt from.
    images: usize,
    /// How many pictures of the synthetic world are.
    synthetic: usize,
    /// How many of all have labels for some objects only.
    incomplete: usize,
    /// How many images are held out, and the patterns that say which.
    held_out: usize,
    hold_out: &'a [String],
}

/// Pictures of the synthetic world.
fn synthetic(args: &TrainDetectorArgs) -> anyhow::Result<Vec<Picture>> {
    let mut progress = FrameProgress::new(Some(args.synthetic as u64)).counting("synthetic picture");
    let map = args.labels.map.clone().unwrap_or_default();
    let update = |done: usize| progress.update(done as u64, String::new);
    let pictures = synthetic_pictures(args.synthetic, args.seed, &args.find, &map, update)?;
    progress.finish();
    Ok(pictures)
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
    for folder in &args.incomplete {
        ensure!(
            args.data.contains(folder),
            "expected one of --data as --incomplete, found {}",
            folder.display()
        );
    }
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

/// The training as `recipe` has it, anew or from its checkpoint.
fn trainer(
    args: &TrainDetectorArgs,
    config: TrainConfig,
    recipe: &str,
    shown: &[Picture],
) -> anyhow::Result<Trainer> {
    let device = args.device.open()?;
    let checkpoint = args.out.join(CHECKPOINT);
    let written = args.out.join(CONFIGURATION);
    if args.resume {
        let before = fs::read_to_string(&written).with_context(|| format!("{}", written.display()))?;
        ensure!(before == recipe, "expected the configuration of {}, found {recipe}", written.display());
        return Ok(Trainer::resume(config, shown, &checkpoint, device)?);
    }
    ensure!(
        !checkpoint.exists(),
        "expected a new folder, or --resume, found the checkpoint {}",
        checkpoint.display()
    );
    let initial = args.from.as_deref().map(averaged_weights).transpose()?;
    let trainer = Trainer::new(config, shown, initial, device)?;
    let trainer = match &args.backbone_from {
        Some(file) => {
            with_backbone(trainer, file).with_context(|| format!("can't begin with {}", file.display()))?
        }
        None => trainer,
    };
    fs::create_dir_all(&args.out).with_context(|| format!("can't make {}", args.out.display()))?;
    replace_file(&written, recipe.as_bytes())?;
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
