//! What can be typed after `kestrel train`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use nn::architecture::Backbone;
use nn::train::{Device, cpu, cuda};

use super::{LabelArgs, TrainVoArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum TrainCommand {
    /// Train a detector on labelled images
    Detector(TrainDetectorArgs),
    /// Train networks that see depth and motion on video, without labels
    Vo(TrainVoArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TrainDetectorArgs {
    /// A labelled set, with images/ and labels/; may be given several times
    #[arg(long, value_name = "DIR", required = true)]
    pub(crate) data: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) labels: LabelArgs,
    /// Names of the classes that are to be found; others are background
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', required = true)]
    pub(crate) find: Vec<String>,
    /// One of --data whose labels leave objects out: what looks like an object there without a label is not learnt to be
    /// background; may be given several times
    #[arg(long, value_name = "DIR")]
    pub(crate) incomplete: Vec<PathBuf>,
    /// Learn also from so many pictures of the synthetic world: cars, vans, trucks and buses (--map holds for them too) at
    /// random places, from 20 to 120 m above ground, from straight down to 45 degrees
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) synthetic: usize,
    /// Scenes that are not learnt from but measured on: what stands before the last number of the images' names, or the
    /// beginning of it with a star: MOS,DJI_00*
    #[arg(long, value_name = "SCENE,...", value_delimiter = ',')]
    pub(crate) hold_out: Vec<String>,
    /// Steps from one measurement on the held-out images to the next; best.onnx is the network with the highest AP50, mean
    /// over --data. With two --data it takes about as long as ten steps
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = super::at_least_one)]
    pub(crate) validate_every: usize,
    /// Measure on at most so many held-out images of each --data, evenly spread
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = super::at_least_one)]
    pub(crate) validation_images: usize,
    /// End where so many measurements in a row brought no higher AP50
    #[arg(long, value_name = "N", value_parser = super::at_least_one)]
    pub(crate) patience: Option<usize>,
    /// Folder for the networks, the checkpoint, the curves and a report.html that shows how it goes
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Go on from the checkpoint in --out
    #[arg(long)]
    pub(crate) resume: bool,
    /// Begin with the weights of a checkpoint of the same network instead of at random
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub(crate) from: Option<PathBuf>,
    /// Begin with the backbone of a network in a TensorFlow Lite file, trained on other images, instead of at random
    #[arg(long, value_name = "FILE", conflicts_with_all = ["resume", "from"])]
    pub(crate) backbone_from: Option<PathBuf>,
    /// What looks at the image
    #[arg(long, value_enum, default_value_t = BackboneArg::MobilenetV2)]
    pub(crate) backbone: BackboneArg,
    /// Channels of the backbone as a share of the published ones
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    pub(crate) width: f32,
    /// Height and width of what the detector sees when it flies, a multiple of 32
    #[arg(long, value_name = "PIXELS", default_value_t = 320, value_parser = multiple_of_32)]
    pub(crate) input: usize,
    /// Height and width of the pieces that it learns from, a multiple of 32
    #[arg(long, value_name = "PIXELS", default_value_t = 224, value_parser = multiple_of_32)]
    pub(crate) crop: usize,
    /// Pieces in a step
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = super::at_least_one)]
    pub(crate) batch: usize,
    /// Steps of the training
    #[arg(long, value_name = "N", default_value_t = 6000, value_parser = super::at_least_one)]
    pub(crate) steps: usize,
    /// The highest learning rate; it rises over the first steps and falls as half a cosine
    #[arg(long, value_name = "RATE", default_value_t = 0.002)]
    pub(crate) learning_rate: f64,
    /// What the network learns on
    #[arg(long, value_enum, default_value_t = DeviceArg::Cpu)]
    pub(crate) device: DeviceArg,
    /// Steps between checkpoints
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = super::at_least_one)]
    pub(crate) save_every: usize,
    /// Chooses the first weights and everything that is drawn
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// What networks learn on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeviceArg {
    /// The processor
    Cpu,
    /// An NVIDIA GPU; the program must be built with --features cuda
    Cuda,
}

impl DeviceArg {
    /// The device.
    pub(crate) fn open(self) -> anyhow::Result<Device> {
        Ok(match self {
            Self::Cpu => cpu(),
            Self::Cuda => cuda().context("--device cuda")?,
        })
    }
}

/// Backbones by the names that people type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackboneArg {
    /// MobileNet, 2017
    MobilenetV1,
    /// MobileNetV2, 2018
    MobilenetV2,
    /// MobileNetV3-small, 2019
    MobilenetV3Small,
    /// SqueezeNet 1.1, 2016, with batch normalisation
    Squeezenet,
    /// ShuffleNetV2, 2018
    ShufflenetV2,
}

impl From<BackboneArg> for Backbone {
    fn from(backbone: BackboneArg) -> Self {
        match backbone {
            BackboneArg::MobilenetV1 => Self::MobileNetV1,
            BackboneArg::MobilenetV2 => Self::MobileNetV2,
            BackboneArg::MobilenetV3Small => Self::MobileNetV3Small,
            BackboneArg::Squeezenet => Self::SqueezeNet,
            BackboneArg::ShufflenetV2 => Self::ShuffleNetV2,
        }
    }
}

pub(super) fn multiple_of_32(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|error| format!("{error}"))?;
    if number > 0 && number.is_multiple_of(32) {
        Ok(number)
    } else {
        Err("expected a multiple of 32".to_owned())
    }
}
