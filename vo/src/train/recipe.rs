//! Which losses, and how much of each.

use serde::{Deserialize, Serialize};

use super::losses::Padding;

/// A choice of losses. The published ones are [`Recipe::sfmlearner`], [`Recipe::monodepth2`] and [`Recipe::sc`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Share of structural dissimilarity in the photometric error; the rest is the absolute difference.
    pub ssim_share: f32,
    /// Whether each pixel has the error of the source that explains it best, or the mean over the sources.
    pub minimum_reprojection: bool,
    /// Whether pixels that a still camera explains better are left out.
    pub auto_mask: bool,
    /// Whether pixels are left out that a source does not see, or, where it has a depth of its own, doubts.
    pub visibility_mask: bool,
    /// What lies beyond borders.
    pub padding: Padding,
    /// Outputs of the depth network that are learnt from, the finest first; 0 learns no depth, but motions alone, from what
    /// odometry knows.
    pub scales: usize,
    /// Whether coarse outputs are enlarged to the size of the image, or the image is reduced to theirs.
    pub full_resolution: bool,
    /// How smoothness is measured.
    pub smoothness: Smoothness,
    /// Its weight, halved from each scale to the next coarser one.
    pub smoothness_weight: f32,
    /// Weight of the agreement between depths of different images. Above 0, depths of all images are predicted, and each
    /// is both target and source.
    pub consistency_weight: f32,
    /// Weight of the agreement between where pixels go from image to image and whence they come back, in pixels; above 0, as
    /// with the one before, depths of all images are predicted.
    pub forward_backward_weight: f32,
    /// Weight of everything being explained; above 0, pixels count as much as the pose network says that its motions explain
    /// them, for which it must be one with masks ([`crate::networks::PoseExpNet`]).
    pub explainability_weight: f32,
    /// Weight of the agreement with what odometry knows ([`super::Guide`]); above 0, its motions are those that images are
    /// compared by, wherever they are known (Klodt and Vedaldi, Supervising the New with the Old, ECCV 2018).
    pub guidance_weight: f32,
}

/// A measure of smoothness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Smoothness {
    /// [`super::losses::second_order_smoothness`] of the inverse depth.
    SecondOrder,
    /// [`super::losses::edge_aware_smoothness`] of the mean-normalised inverse depth.
    EdgeAware,
}

impl Recipe {
    /// Zhou et al., CVPR 2017, as its published code has it: no explainability mask, a smoothness of 0.5. Published is the sum
    /// over two sources, of images between -1 and 1; ours is their mean, of images between 0 and 1, and so a quarter. The
    /// paper's mask, of weight 0.2, has half of that here.
    pub fn sfmlearner() -> Self {
        Self {
            ssim_share: 0.0,
            minimum_reprojection: false,
            auto_mask: false,
            visibility_mask: false,
            padding: Padding::Zeros,
            scales: 4,
            full_resolution: false,
            smoothness: Smoothness::SecondOrder,
            smoothness_weight: 0.5 / 4.0,
            consistency_weight: 0.0,
            forward_backward_weight: 0.0,
            explainability_weight: 0.0,
            guidance_weight: 0.0,
        }
    }

    /// Godard et al., ICCV 2019.
    pub fn monodepth2() -> Self {
        Self {
            ssim_share: 0.85,
            minimum_reprojection: true,
            auto_mask: true,
            visibility_mask: false,
            padding: Padding::Border,
            scales: 4,
            full_resolution: true,
            smoothness: Smoothness::EdgeAware,
            smoothness_weight: 1e-3,
            consistency_weight: 0.0,
            forward_backward_weight: 0.0,
            explainability_weight: 0.0,
            guidance_weight: 0.0,
        }
    }

    /// Bian et al., NeurIPS 2019.
    pub fn sc() -> Self {
        Self {
            minimum_reprojection: false,
            auto_mask: false,
            visibility_mask: true,
            padding: Padding::Zeros,
            scales: 1,
            smoothness_weight: 0.1,
            consistency_weight: 0.5,
            ..Self::monodepth2()
        }
    }
}
