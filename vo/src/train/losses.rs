//! What photometric training makes small, one function for each term. All tensors are `[batch, channels, height, width]`,
//! images between 0 and 1.

use burn::tensor::{Tensor, activation};
use nn::train::is_processor;
use serde::{Deserialize, Serialize};

use super::plain::{Projected, projected};
use super::{fused, plain};

/// What is seen beyond the border of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// The nearest pixel of the border.
    Border,
    /// Black.
    Zeros,
}

/// How one camera sees what is before another.
#[derive(Clone, Debug)]
pub struct Synthesised {
    /// What the target's pixels are in the source; black where they lie behind it.
    pub image: Tensor<4>,
    /// Their depth in the source, one channel.
    pub depth: Tensor<4>,
    /// 1 where the source sees them, else 0: one channel.
    pub is_seen: Tensor<4>,
}

/// The target as it looks from what the `source` saw: each pixel `p` of depth `D(p)` takes the value that lies at
/// `p' ~ K T D(p) K^-1 p` (Zhou et al., CVPR 2017, equation 2), between four pixels. `inverse_depth` `[batch, 1, height,
/// width]` is that of the target, `source_from_target` `[batch, 12]` the motion (see [`super::rigid`]), `camera`
/// `[batch, 4]` holds `fx fy cx cy` of both; gradients reach all four.
pub fn view_synthesis(
    source: Tensor<4>,
    inverse_depth: Tensor<4>,
    source_from_target: Tensor<2>,
    camera: Tensor<2>,
    padding: Padding,
) -> Synthesised {
    let channels = source.dims()[1];
    let all = match is_processor(&source.device()) {
        true => fused::synthesise(source, inverse_depth, source_from_target, camera, padding),
        false => plain::synthesise(source, &inverse_depth, &source_from_target, &camera, padding),
    };
    let part = |first: usize, count: usize| all.clone().narrow(1, first, count);
    Synthesised { image: part(0, channels), depth: part(channels, 1), is_seen: part(channels + 1, 1) }
}

/// `clamp((1 - SSIM(x, y)) / 2, 0, 1)` over windows of 3x3, each channel by itself (Wang et al., 2004; in this form Godard
/// et al., CVPR 2017). No gradient reaches `y`.
pub fn dissimilarity(x: Tensor<4>, y: Tensor<4>) -> Tensor<4> {
    if is_processor(&x.device()) { fused::dissimilarity(x, y) } else { plain::dissimilarity(x, y) }
}

/// `share * (1 - SSIM) / 2 + (1 - share) |x - y|`, mean over the channels: one channel (Godard et al., ICCV 2019, equation
/// 2, with a share of 0.85). No gradient reaches `y`.
pub fn photometric_error(x: Tensor<4>, y: Tensor<4>, share: f32) -> Tensor<4> {
    let absolute = (x.clone() - y.clone().detach()).abs().mean_dim(1);
    if share == 0.0 {
        return absolute;
    }
    absolute * (1.0 - share) + dissimilarity(x, y).mean_dim(1) * share
}

/// The least of several errors at each pixel: what one source doesn't see, another may (Godard et al., ICCV 2019, equation
/// 4).
pub fn minimum_reprojection(errors: Vec<Tensor<4>>) -> Tensor<4> {
    Tensor::cat(errors, 1).min_dim(1)
}

/// 1 where moving the camera explains the image better than leaving it where it is, else 0 (Godard et al., ICCV 2019,
/// equation 5): what moves along with the camera, or all of it where it stands, teaches nothing.
pub fn auto_mask(error: &Tensor<4>, still: &Tensor<4>) -> Tensor<4> {
    error.clone().lower(still.clone()).float()
}

/// Mean of `|dx d| exp(-|dx I|) + |dy d| exp(-|dy I|)` (Godard et al., CVPR 2017, equation 3).
pub fn edge_aware_smoothness(disparity: &Tensor<4>, image: &Tensor<4>) -> Tensor<1> {
    let along = |axis: usize| {
        let weight = (-step(image, axis).abs().mean_dim(1)).exp();
        (step(disparity, axis).abs() * weight).mean()
    };
    along(3) + along(2)
}

/// Mean of `|dxx d| + |dxy d| + |dyx d| + |dyy d|` (SfMLearner's; Zhou et al., CVPR 2017).
pub fn second_order_smoothness(disparity: &Tensor<4>) -> Tensor<1> {
    let [x, y] = [3, 2].map(|axis| step(disparity, axis));
    let mixed = step(&x, 2).abs().mean() * 2.0;
    mixed + step(&x, 3).abs().mean() + step(&y, 2).abs().mean()
}

/// `d / mean(d)`, image by image: smoothness can't be had by making everything far (Wang et al., CVPR 2018).
pub fn mean_normalised(disparity: Tensor<4>) -> Tensor<4> {
    let mean = disparity.clone().mean_dim(2).mean_dim(3);
    disparity / (mean + 1e-7)
}

/// `|a - b| / (a + b)` of the depth of points by one camera, and by the other at the place where it sees them (Bian et al.,
/// NeurIPS 2019, equation 2).
pub fn geometric_inconsistency(a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    ((a.clone() - b.clone()).abs() / (a + b).clamp_min(1e-6)).clamp(0.0, 1.0)
}

/// How much of each pixel a motion explains, `[batch, 1, height, width]` between 0 and 1, by the logits `[batch, 2, height,
/// width]` of "not" and "explained" (Zhou et al., CVPR 2017, section 3.3: a softmax).
pub fn explainability(logits: &Tensor<4>) -> Tensor<4> {
    activation::sigmoid(odds(logits))
}

/// The mean of `-ln E` of the explainability `E` by these logits: the cross-entropy with everything being explained, without
/// which nothing would be (Zhou et al., CVPR 2017, section 3.3).
pub fn explainability_error(logits: &Tensor<4>) -> Tensor<1> {
    -activation::log_sigmoid(odds(logits)).mean()
}

/// The logarithm of the odds of the second channel against the first.
fn odds(logits: &Tensor<4>) -> Tensor<4> {
    logits.clone().narrow(1, 1, 1) - logits.clone().narrow(1, 0, 1)
}

/// By how far each pixel of the target moves to where the source sees it, `p' - p` with `p' ~ K T D(p) K^-1 p`: `[batch, 2,
/// height, width]`, x and y in pixels (Yin and Shi, GeoNet, CVPR 2018, equation 1). The rest is as in [`view_synthesis`].
pub fn rigid_flow(
    inverse_depth: &Tensor<4>,
    source_from_target: &Tensor<2>,
    camera: &Tensor<2>,
) -> Tensor<4> {
    let Projected { from: [x, y], to: [to_x, to_y], .. } =
        projected(inverse_depth, source_from_target, camera);
    Tensor::cat(vec![to_x - x, to_y - y], 1)
}

/// The mean over both axes of `|f(p) + b(p')|` in pixels, of the flow `forward` and of what flows back from where it leads; 0
/// where the length of that is above 3 pixels and above a twentieth of the flow's, because something else is seen there
/// (Yin and Shi, GeoNet, CVPR 2018, equations 6 and 7).
pub fn forward_backward_error(forward: &Tensor<4>, backward: &Tensor<4>) -> Tensor<4> {
    let off = forward.clone() + backward.clone();
    let squared_length = |of: &Tensor<4>| of.clone().detach().square().sum_dim(1);
    let most = (squared_length(forward) * 0.05_f32.powi(2)).clamp_min(3.0_f32.powi(2));
    off.clone().abs().mean_dim(1) * squared_length(&off).lower(most).float()
}

/// The mean of `|ln a - ln b|` of inverse depths `a` where `b` is known, that is, not 0.
pub fn sparse_depth_error(predicted: Tensor<4>, known: Tensor<4>) -> Tensor<1> {
    let mask = known.clone().greater_elem(0.0).float();
    let known = known + (-mask.clone() + 1.0);
    masked_mean((predicted.log() - known.log()).abs(), mask)
}

/// What rotation matrices differ by that is neither little nor much.
const ROTATION_UNIT: f32 = 0.03;
/// What translations differ by that is neither little nor much: this much of the median depth, and this share of their
/// length. A camera that hardly moves is to be told from one that stands still, and one that is fast may be seen a little
/// shorter.
const TRANSLATION_UNIT: [f32; 2] = [0.01, 0.3];

/// The sum of `sqrt(1 + (a - b)^2 / u^2) - 1` over the entries of motions `[batch, 12]`, as `[batch, 1]`: the square of what
/// is small, because most motions hardly turn and an absolute difference would be content with none that does; no more
/// than in proportion for what is large, because odometry errs too. The unit `u` is 0.03 for rotations, and 0.01 and 0.3 of the
/// known length for translations.
pub fn motion_error(predicted: &Tensor<2>, known: &Tensor<2>) -> Tensor<2> {
    let translation = |motion: &Tensor<2>| {
        Tensor::cat([3, 7, 11].map(|entry| motion.clone().narrow(1, entry, 1)).into(), 1)
    };
    let rotation =
        |motion: &Tensor<2>| Tensor::cat([0, 4, 8].map(|entry| motion.clone().narrow(1, entry, 3)).into(), 1);
    let [least, share] = TRANSLATION_UNIT;
    let moved = translation(known);
    let length = moved.clone().square().sum_dim(1).sqrt();
    let off = (translation(predicted) - moved) / (length * share + least);
    let turned = (rotation(predicted) - rotation(known)) / ROTATION_UNIT;
    let squared = Tensor::cat(vec![off, turned], 1).square();
    // The same without the difference of two numbers near 1.
    (squared.clone() / ((squared + 1.0).sqrt() + 1.0)).sum_dim(1)
}

/// The mean of `values` where `mask` is not 0; 0 where it is 0 everywhere.
pub fn masked_mean(values: Tensor<4>, mask: Tensor<4>) -> Tensor<1> {
    let weight = mask.clone().sum().clamp_min(1.0);
    (values * mask).sum() / weight
}

/// Differences of neighbours along `axis`.
fn step(of: &Tensor<4>, axis: usize) -> Tensor<4> {
    let count = of.dims()[axis] - 1;
    of.clone().narrow(axis, 1, count) - of.clone().narrow(axis, 0, count)
}

#[cfg(test)]
mod tests;
