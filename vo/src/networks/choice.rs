//! Which network.

use nn::architecture::Architecture;
use serde::{Deserialize, Serialize};

use super::{DispNet, LightDepth, LightPose, PoseExpNet};
use crate::pose::{PoseDescription, PoseImages, RotationForm};

/// A network that sees depth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DepthArchitecture {
    /// For small processors.
    Light(LightDepth),
    /// SfMLearner's.
    DispNet(DispNet),
}

/// A network that sees motion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoseArchitecture {
    /// For small processors: of two images.
    Light(LightPose),
    /// SfMLearner's: of three images, with masks.
    PoseExpNet(PoseExpNet),
}

impl DepthArchitecture {
    /// Its outputs as it learns, each of half the size of the one before.
    pub const SCALES: usize = 4;

    /// The network with `scales` outputs `logits_0`, `logits_1` ...: training wants [`DepthArchitecture::SCALES`], flight one.
    pub fn architecture(self, scales: usize) -> Architecture {
        match self {
            Self::Light(network) => network.architecture(scales),
            Self::DispNet(network) => network.architecture(scales),
        }
    }
}

impl PoseArchitecture {
    /// The network as it learns.
    pub fn learning(self) -> Architecture {
        match self {
            Self::Light(network) => network.architecture(),
            Self::PoseExpNet(network) => network.architecture(),
        }
    }

    /// The network as it flies, with the outputs `translation` and `rotation`.
    pub fn flying(self) -> Architecture {
        match self {
            Self::Light(network) => network.architecture(),
            Self::PoseExpNet(network) => network.flying(),
        }
    }

    /// What its file says of it, where its outputs are in `unit`.
    pub fn description(self, unit: f32) -> PoseDescription {
        match self {
            Self::Light(_) => {
                PoseDescription { unit, images: PoseImages::Pair, rotation: RotationForm::Vector }
            }
            Self::PoseExpNet(_) => {
                PoseDescription { unit, images: PoseImages::Triple, rotation: RotationForm::Euler }
            }
        }
    }
}
