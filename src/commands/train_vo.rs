//! `kestrel train vo`.

mod page;
mod session;
mod sources;
mod validation;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, ensure};
use nn::train::tflite;
use serde::Serialize;
use vo::networks::{DepthArchitecture, DispNet, LightDepth, LightPose, PoseArchitecture, PoseExpNet};
use vo::train::{Augmentation, Clip, Recipe, TrainConfig, Trainer};

use crate::cli::{NetworksArg, RecipeArg, TrainVoArgs};
use crate::commands::replace_file;
use crate::commands::training::{CHECKPOINT, CONFIGURATION};
use crate::logging::say;
use session::Session;
use validation::Validation;

/// How far cameras are turned where motions alone are learnt, in radians: what a car or a drone turns by in a tenth of a second.
const SPREAD_OF_TURNS: f32 = 0.02;

pub(super) fn train_vo(args: &TrainVoArgs) -> anyhow::Result<ExitCode> {
    ensure!(
        !args.motion_only || args.guidance > 0.0,
        "expected a --guidance above 0, from which --motion-only learns"
    );
    let is_light = args.networks == NetworksArg::Light;
    ensure!(
        is_light || args.backbone_from.is_none(),
        "expected --networks light for --backbone-from: DispNet has no MobileNetV2 in it"
    );
    let config = config(args);
    let lessons = sources::lessons(&args.data, args)?;
    let clips: Arc<[Clip]> = lessons.into_iter().map(|lesson| lesson.clip).collect();
    let snippets: usize = clips.iter().map(|clip| clip.snippets.len()).sum();
    say(&format!("{snippets} snippets of three frames from {} sources to learn from", clips.len()));
    let validation = Validation::new(args)?;
    let recipe = Setting { training: &config, clips: clips.iter().map(ClipSetting::of).collect() };
    let trainer = trainer(args, config.clone(), &serde_json::to_string_pretty(&recipe)?, clips.len())?;
    Session::new(args, trainer, validation, clips)?.train()?;
    Ok(ExitCode::SUCCESS)
}

/// What decides the outcome, as it is written down: a training that goes on must have the same.
#[derive(Serialize)]
struct Setting<'a> {
    #[serde(flatten)]
    training: &'a TrainConfig,
    clips: Vec<ClipSetting<'a>>,
}

/// What is learnt from.
#[derive(Serialize)]
struct ClipSetting<'a> {
    name: &'a str,
    frames: usize,
    snippets: usize,
    /// In pixels of the size that networks see.
    focal: [f64; 2],
    center: [f64; 2],
}

impl<'a> ClipSetting<'a> {
    fn of(clip: &'a Clip) -> Self {
        let (focal, center) = (clip.camera.focal(), clip.camera.center());
        Self {
            name: &clip.name,
            frames: clip.frames.len(),
            snippets: clip.snippets.len(),
            focal: focal.into(),
            center: center.into(),
        }
    }
}

fn config(args: &TrainVoArgs) -> TrainConfig {
    let (depth, pose, pose_unit) = match args.networks {
        NetworksArg::Light => (
            DepthArchitecture::Light(LightDepth { width: args.channels }),
            PoseArchitecture::Light(LightPose),
            0.05,
        ),
        // The unit is the published one, too.
        NetworksArg::Sfmlearner => {
            (DepthArchitecture::DispNet(DispNet), PoseArchitecture::PoseExpNet(PoseExpNet), 0.01)
        }
    };
    let augmentation = match args.motion_only {
        // A pose network does not know where the centre of a piece lies, and so which way a flow of pixels leads: without
        // a depth that learns along, pieces would only blur what it says of directions.
        true => Augmentation { scale: 1.0, turn: SPREAD_OF_TURNS, ..Augmentation::default() },
        false => Augmentation::default(),
    };
    TrainConfig {
        depth,
        pose,
        size: [args.height, args.width],
        batch: args.batch,
        steps: args.steps,
        learning_rate: args.learning_rate,
        warm_up: (args.steps / 20).min(200),
        average_decay: 0.998,
        seed: args.seed,
        augmentation: Augmentation { reverse: args.reverse, ..augmentation },
        recipe: recipe(args),
        inverse_depths: [0.01, 10.0],
        pose_unit,
        learns_focal: args.learn_focal,
    }
}

fn recipe(args: &TrainVoArgs) -> Recipe {
    let recipe = match args.recipe {
        RecipeArg::Sfmlearner => Recipe::sfmlearner(),
        RecipeArg::Monodepth2 => Recipe::monodepth2(),
        RecipeArg::Sc => Recipe::sc(),
    };
    Recipe {
        ssim_share: args.ssim.unwrap_or(recipe.ssim_share),
        smoothness_weight: args.smoothness.unwrap_or(recipe.smoothness_weight),
        consistency_weight: args.consistency.unwrap_or(recipe.consistency_weight),
        forward_backward_weight: args.forward_backward.unwrap_or(recipe.forward_backward_weight),
        explainability_weight: args.explainability.unwrap_or(recipe.explainability_weight),
        guidance_weight: args.guidance,
        scales: match args.motion_only {
            true => 0,
            false => args.scales.map_or(recipe.scales, usize::from),
        },
        ..recipe
    }
}

/// The training as `setting` has it, anew or from its checkpoint.
fn trainer(args: &TrainVoArgs, config: TrainConfig, setting: &str, clips: usize) -> anyhow::Result<Trainer> {
    let device = args.device.open()?;
    let checkpoint = args.out.join(CHECKPOINT);
    let written = args.out.join(CONFIGURATION);
    if args.resume {
        let before = fs::read_to_string(&written).with_context(|| format!("{}", written.display()))?;
        ensure!(before == setting, "expected the configuration of {}, found {setting}", written.display());
        return Ok(Trainer::resume(config, clips, &checkpoint, device)?);
    }
    ensure!(
        !checkpoint.exists(),
        "expected a new folder, or --resume, found the checkpoint {}",
        checkpoint.display()
    );
    let trainer = Trainer::new(config, clips, None, device)?;
    let trainer = match &args.backbone_from {
        Some(file) => {
            with_backbone(trainer, file).with_context(|| format!("can't begin with {}", file.display()))?
        }
        None => trainer,
    };
    fs::create_dir_all(&args.out).with_context(|| format!("can't make {}", args.out.display()))?;
    replace_file(&written, setting.as_bytes())?;
    Ok(trainer)
}

/// A training whose backbone begins with the weights in a TensorFlow Lite file.
fn with_backbone(trainer: Trainer, file: &Path) -> anyhow::Result<Trainer> {
    Ok(trainer.with_backbone(&tflite::convolutions(&fs::read(file)?)?)?)
}
