//! What can be typed after `kestrel train vo`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::train::{DeviceArg, multiple_of_32};
use super::{CameraArgs, WindowArgs, at_least_one};

#[derive(Debug, Args)]
pub(crate) struct TrainVoArgs {
    /// What is learnt from: videos, folders of images, KITTI sequences, anything else that `kestrel run` takes, or a folder of
    /// such folders
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub(crate) data: Vec<String>,
    /// What is measured on and not learnt from; where true depth lies with it, depth is measured too
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) validation: Vec<String>,
    /// Folder for the networks, the checkpoint, the curves and a report.html that shows how it goes
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Go on from the checkpoint in --out
    #[arg(long)]
    pub(crate) resume: bool,
    /// Which losses
    #[arg(long, value_enum, default_value_t = RecipeArg::Monodepth2)]
    pub(crate) recipe: RecipeArg,
    /// Share of structural similarity in the photometric error, instead of the recipe's
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) ssim: Option<f32>,
    /// Weight of smoothness, instead of the recipe's
    #[arg(long, value_name = "WEIGHT", value_parser = weight)]
    pub(crate) smoothness: Option<f32>,
    /// Weight of the agreement between depths of neighbouring images, instead of the recipe's; above 0, each image is a target
    #[arg(long, value_name = "WEIGHT", value_parser = weight)]
    pub(crate) consistency: Option<f32>,
    /// Weight of the agreement between where pixels go from image to image and whence they come back, in pixels; above 0, each
    /// image is a target
    #[arg(long, value_name = "WEIGHT", value_parser = weight)]
    pub(crate) forward_backward: Option<f32>,
    /// Weight of everything being explained, for masks of what motions explain; needs --networks sfmlearner, whose paper has
    /// 0.2, which is 0.1 here
    #[arg(long, value_name = "WEIGHT", value_parser = weight)]
    pub(crate) explainability: Option<f32>,
    /// Weight of the agreement with what the odometry finds in the videos, motions and points; 0 learns from the
    /// looks of images alone, as published
    #[arg(long, value_name = "WEIGHT", value_parser = weight, default_value_t = 0.1)]
    pub(crate) guidance: f32,
    /// Learn the pose network alone, from the motions that the odometry finds, several times as fast; cameras are turned at random, so
    /// that straight flights teach turns as well
    #[arg(long, conflicts_with_all = ["recipe", "ssim", "smoothness", "consistency", "forward_backward", "explainability", "scales", "learn_focal", "backbone_from"])]
    pub(crate) motion_only: bool,
    /// Let every second snippet run backwards: of cameras that only ever go ahead, a pose network learns to give any motion
    /// as one ahead
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Outputs that are learnt from, each of half the size of the one before, instead of the recipe's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=4))]
    pub(crate) scales: Option<u8>,
    #[command(flatten)]
    pub(crate) camera: CameraArgs,
    /// Learn the focal lengths too, beginning with those that --fov or the data say
    #[arg(long)]
    pub(crate) learn_focal: bool,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    /// Learn only from what `kestrel doctor` finds usable, at the step between frames that it suggests for each source
    #[arg(long)]
    pub(crate) only_usable: bool,
    /// Width of the images that networks see, a multiple of 32; frames are stretched to it
    #[arg(long, value_name = "PIXELS", default_value_t = 416, value_parser = multiple_of_32)]
    pub(crate) width: usize,
    /// Their height, a multiple of 32
    #[arg(long, value_name = "PIXELS", default_value_t = 128, value_parser = multiple_of_32)]
    pub(crate) height: usize,
    /// Which networks learn
    #[arg(long, value_enum, default_value_t = NetworksArg::Light)]
    pub(crate) networks: NetworksArg,
    /// Channels of the light depth network's backbone, a MobileNetV2, as a share of the published ones
    #[arg(long, value_name = "SHARE", default_value_t = 1.0)]
    pub(crate) channels: f32,
    /// Begin with the backbone of a network in a TensorFlow Lite file, trained on other images, instead of at random
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub(crate) backbone_from: Option<PathBuf>,
    /// Snippets of three frames in a step
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = at_least_one)]
    pub(crate) batch: usize,
    /// Steps of the training
    #[arg(long, value_name = "N", default_value_t = 6000, value_parser = at_least_one)]
    pub(crate) steps: usize,
    /// The highest learning rate; it rises over the first steps and falls as half a cosine
    #[arg(long, value_name = "RATE", default_value_t = 2e-4)]
    pub(crate) learning_rate: f64,
    /// What the networks learn on
    #[arg(long, value_enum, default_value_t = DeviceArg::Cpu)]
    pub(crate) device: DeviceArg,
    /// Steps from one measurement on --validation to the next
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = at_least_one)]
    pub(crate) validate_every: usize,
    /// Steps between checkpoints
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = at_least_one)]
    pub(crate) save_every: usize,
    /// Chooses the first weights and everything that is drawn
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Networks for depth and motion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworksArg {
    /// For small processors: MobileNetV2 with a decoder, and a pose network of two images
    Light,
    /// DispNet and PoseExpNet of Zhou et al., CVPR 2017: 32 million parameters, several times as slow
    Sfmlearner,
}

/// Published combinations of losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RecipeArg {
    /// Zhou et al., CVPR 2017
    Sfmlearner,
    /// Godard et al., ICCV 2019
    Monodepth2,
    /// Bian et al., NeurIPS 2019
    Sc,
}

fn share(text: &str) -> Result<f32, String> {
    let in_range = |share: &f32| (0.0..=1.0).contains(share);
    text.parse().ok().filter(in_range).ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

fn weight(text: &str) -> Result<f32, String> {
    let in_range = |weight: &f32| weight.is_finite() && *weight >= 0.0;
    text.parse().ok().filter(in_range).ok_or_else(|| "expected a number, 0 or more".to_owned())
}
