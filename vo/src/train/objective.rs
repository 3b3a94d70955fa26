//! The loss of what networks predict for three images in a row.

use burn::tensor::Tensor;
use burn::tensor::module::{avg_pool2d, interpolate};
use burn::tensor::ops::{AvgPoolOptions, InterpolateMode, InterpolateOptions};

use super::losses::{
    Synthesised, auto_mask, edge_aware_smoothness, explainability, explainability_error,
    forward_backward_error, geometric_inconsistency, masked_mean, mean_normalised, minimum_reprojection,
    motion_error, photometric_error, rigid_flow, second_order_smoothness, sparse_depth_error, view_synthesis,
};
use super::recipe::{Recipe, Smoothness};
use super::rigid;

/// Images of three moments in a row.
#[derive(Clone, Debug)]
pub struct Snippets {
    /// `[batch, 3, height, width]`, between 0 and 1, in the order of time.
    pub images: [Tensor<4>; 3],
    /// `[batch, 4]`: `fx fy cx cy` in pixels.
    pub camera: Tensor<2>,
    /// What odometry knows of them.
    pub guide: Option<GuideTensors>,
}

/// [`super::Guide`] as tensors.
#[derive(Clone, Debug)]
pub struct GuideTensors {
    /// `[batch, 12]` each.
    pub motions: [Tensor<2>; 2],
    /// `[batch, 1]`.
    pub is_known: Tensor<2>,
    /// `[batch, 1, height, width]` each.
    pub inverse_depths: [Tensor<4>; 3],
}

/// What networks say of them.
#[derive(Clone, Debug)]
pub struct Predictions {
    /// Inverse depths `[batch, 1, height, width]` of images that are targets, the finest scale first; each coarser one has
    /// half the size.
    pub inverse_depths: [Option<Vec<Tensor<4>>>; 3],
    /// The motions `second_from_first` and `third_from_second`, `[batch, 12]` (see [`rigid`]).
    pub motions: [Tensor<2>; 2],
    /// For each scale, the finest first, what the motions from the middle image to the first and to the last explain: logits
    /// `[batch, 2, height, width]` ([`explainability`]); empty for a pose network without masks.
    pub masks: Vec<[Tensor<4>; 2]>,
}

/// What makes up a loss; each has its weight in it already.
#[derive(Clone, Debug)]
pub struct Terms {
    /// How differently images look from what others saw of the same places.
    pub photometric: Tensor<1>,
    /// How rough depth is.
    pub smoothness: Tensor<1>,
    /// How much depths of different images disagree, and flows between them.
    pub consistency: Tensor<1>,
    /// How much is said not to be explained.
    pub explainability: Tensor<1>,
    /// How far depths and motions are from those that odometry knows.
    pub guidance: Tensor<1>,
}

/// Added to the error of a still camera, so that a tie is for the moving one.
const TIE: f32 = 1e-5;

impl Terms {
    /// Their sum.
    pub fn sum(&self) -> Tensor<1> {
        let Self { photometric, smoothness, consistency, explainability, guidance } = self.clone();
        photometric + smoothness + consistency + explainability + guidance
    }

    fn add(self, other: Self) -> Self {
        Self {
            photometric: self.photometric + other.photometric,
            smoothness: self.smoothness + other.smoothness,
            consistency: self.consistency + other.consistency,
            explainability: self.explainability + other.explainability,
            guidance: self.guidance + other.guidance,
        }
    }

    fn scaled(self, factor: f32) -> Self {
        Self {
            photometric: self.photometric * factor,
            smoothness: self.smoothness * factor,
            consistency: self.consistency * factor,
            explainability: self.explainability * factor,
            guidance: self.guidance * factor,
        }
    }
}

impl Recipe {
    /// Which of three images are targets.
    pub fn targets(&self) -> &'static [usize] {
        match self.consistency_weight > 0.0 || self.forward_backward_weight > 0.0 {
            _ if self.scales == 0 => &[],
            true => &[0, 1, 2],
            false => &[1],
        }
    }

    /// How wrong `predictions` of `snippets` are: the mean over the targets, and over the scales.
    pub fn loss(&self, snippets: &Snippets, predictions: &Predictions) -> Terms {
        let zero = Tensor::zeros([1], &snippets.camera.device());
        let [photometric, smoothness, consistency, explainability, guidance] = [(); 5].map(|()| zero.clone());
        let mut sum = Terms { photometric, smoothness, consistency, explainability, guidance };
        let guide = snippets.guide.as_ref().filter(|_| self.guidance_weight > 0.0);
        let views = Views { recipe: self, snippets, predictions, guide };
        for scale in 0..self.scales {
            for &target in self.targets() {
                if let Some(terms) = views.terms(target, scale) {
                    sum = sum.add(terms);
                }
            }
        }
        let mean = sum.scaled(1.0 / (self.scales * self.targets().len()).max(1) as f32);
        let of_motions = views.error_of_motions().map_or(zero, |error| error * self.guidance_weight);
        Terms { guidance: mean.guidance + of_motions, ..mean }
    }
}

/// The images as a recipe looks at them.
struct Views<'a> {
    recipe: &'a Recipe,
    snippets: &'a Snippets,
    predictions: &'a Predictions,
    guide: Option<&'a GuideTensors>,
}

impl Views<'_> {
    fn terms(&self, target: usize, scale: usize) -> Option<Terms> {
        let recipe = self.recipe;
        let predicted = self.inverse_depth(target, scale)?;
        let factor = 1 << scale;
        let image = self.image(target, if recipe.full_resolution { 1 } else { factor });
        let inverse_depth = match recipe.full_resolution {
            true => enlarged(predicted.clone(), image.dims()),
            false => predicted.clone(),
        };
        let sources = [target.wrapping_sub(1), target + 1].into_iter().filter(|&source| source < 3);
        let seen: Vec<_> =
            sources.map(|source| self.seen(target, source, scale, &image, &inverse_depth)).collect();
        let photometric = self.photometric(&seen);
        let zero = || Tensor::zeros([1], &image.device());
        let mean = |of: &dyn Fn(&Seen) -> Option<Tensor<1>>| {
            let each = seen.iter().filter_map(of);
            each.fold(zero(), |sum: Tensor<1>, one| sum + one / seen.len() as f32)
        };
        let consistency = mean(&|seen| seen.disagreement(recipe.consistency_weight))
            + mean(&|seen| seen.flowing_apart(recipe.forward_backward_weight));
        let explainability = mean(&|seen| {
            let error = explainability_error(seen.mask.as_ref()?);
            Some(error * recipe.explainability_weight)
        });
        let smoothness = match recipe.smoothness {
            Smoothness::SecondOrder => second_order_smoothness(&predicted),
            Smoothness::EdgeAware => {
                edge_aware_smoothness(&mean_normalised(predicted), &self.image(target, factor))
            }
        };
        let smoothness = smoothness * (recipe.smoothness_weight / factor as f32);
        let guidance = match self.guide {
            Some(guide) => {
                let known = guide.inverse_depths[target].clone();
                sparse_depth_error(enlarged(inverse_depth, known.dims()), known) * recipe.guidance_weight
            }
            None => zero(),
        };
        Some(Terms { photometric, smoothness, consistency, explainability, guidance })
    }

    fn inverse_depth(&self, image: usize, scale: usize) -> Option<Tensor<4>> {
        self.predictions.inverse_depths[image].as_ref().and_then(|scales| scales.get(scale)).cloned()
    }

    /// An image, its size divided by `factor`.
    fn image(&self, index: usize, factor: usize) -> Tensor<4> {
        reduced(self.snippets.images[index].clone(), factor)
    }

    /// The motion `source_from_target` between neighbours.
    fn motion(&self, target: usize, source: usize) -> Tensor<2> {
        let pair = target.min(source);
        let predicted = self.predictions.motions[pair].clone();
        let forward = match self.guide {
            Some(guide) => {
                let doubt = -guide.is_known.clone() + 1.0;
                guide.motions[pair].clone() * guide.is_known.clone() + predicted * doubt
            }
            None => predicted,
        };
        if source > target { forward } else { rigid::inverse(&forward) }
    }

    /// How far predicted motions are from those that odometry knows.
    fn error_of_motions(&self) -> Option<Tensor<1>> {
        let guide = self.guide?;
        let count = guide.is_known.clone().sum().clamp_min(1.0);
        let pairs = self.predictions.motions.iter().zip(&guide.motions);
        let errors = pairs.map(|(predicted, known)| {
            (motion_error(predicted, known) * guide.is_known.clone()).sum() / count.clone()
        });
        errors.reduce(|sum, error| sum + error).map(|sum| sum / 2.0)
    }

    /// How `source` sees `target`.
    fn seen(
        &self,
        target: usize,
        source: usize,
        scale: usize,
        image: &Tensor<4>,
        inverse_depth: &Tensor<4>,
    ) -> Seen {
        let recipe = self.recipe;
        let factor = if recipe.full_resolution { 1 } else { 1 << scale };
        let source_image = self.image(source, factor);
        let camera = reduced_camera(&self.snippets.camera, factor);
        // Where the source has a depth, it is sampled as one more channel.
        let source_depth = self.inverse_depth(source, scale).map(|inverse| match recipe.full_resolution {
            true => enlarged(inverse, image.dims()).recip(),
            false => inverse.recip(),
        });
        let motion = self.motion(target, source);
        // So is what flows back from there.
        let flows = source_depth.as_ref().filter(|_| recipe.forward_backward_weight > 0.0).map(|depth| {
            let back = rigid_flow(&depth.clone().recip(), &rigid::inverse(&motion), &camera);
            (rigid_flow(inverse_depth, &motion, &camera), back)
        });
        let channels = [Some(&source_image), source_depth.as_ref(), flows.as_ref().map(|(_, back)| back)];
        let all = Tensor::cat(channels.into_iter().flatten().cloned().collect(), 1);
        let Synthesised { image: all, depth, is_seen } =
            view_synthesis(all, inverse_depth.clone(), motion, camera, recipe.padding);
        let inconsistency = source_depth.map(|_| {
            let sampled = all.clone().narrow(1, 3, 1);
            geometric_inconsistency(depth, sampled)
        });
        let error = photometric_error(all.clone().narrow(1, 0, 3), image.clone(), recipe.ssim_share);
        let still =
            recipe.auto_mask.then(|| photometric_error(source_image, image.clone(), recipe.ssim_share));
        let apart = flows.map(|(forward, _)| forward_backward_error(&forward, &all.narrow(1, 4, 2)));
        let mask = self.mask(target, source, scale);
        let error = match &mask {
            Some(logits) => error * enlarged(explainability(logits), image.dims()),
            None => error,
        };
        Seen { error, still, is_seen, inconsistency, apart, mask }
    }

    /// The logits of what the motion explains, where that is asked.
    fn mask(&self, target: usize, source: usize, scale: usize) -> Option<Tensor<4>> {
        let masks = self.predictions.masks.get(scale).filter(|_| self.recipe.explainability_weight > 0.0)?;
        match (target, source) {
            (1, 0) => Some(masks[0].clone()),
            (1, 2) => Some(masks[1].clone()),
            _ => None,
        }
    }

    fn photometric(&self, seen: &[Seen]) -> Tensor<1> {
        if self.recipe.minimum_reprojection {
            let least = |errors: Vec<Tensor<4>>| minimum_reprojection(errors);
            let error = least(seen.iter().map(|seen| seen.error.clone()).collect());
            let still: Vec<_> = seen.iter().filter_map(|seen| seen.still.clone()).collect();
            if still.is_empty() {
                return error.mean();
            }
            return masked_by_still(error, least(still));
        }
        let count = seen.len() as f32;
        let one = |seen: &Seen| match self.recipe.visibility_mask {
            true => {
                let doubt = seen.inconsistency.clone().map(|doubt| -doubt.detach() + 1.0);
                let error = doubt.map_or(seen.error.clone(), |trust| seen.error.clone() * trust);
                masked_mean(error, seen.is_seen.clone())
            }
            false => match &seen.still {
                Some(still) => masked_by_still(seen.error.clone(), still.clone()),
                None => seen.error.clone().mean(),
            },
        };
        let zero = Tensor::zeros([1], &seen[0].error.device());
        seen.iter().map(one).fold(zero, |sum: Tensor<1>, one| sum + one / count)
    }
}

/// A target from what one source saw.
struct Seen {
    /// How different it looks, as far as the motion is said to explain it.
    error: Tensor<4>,
    /// The error of a camera that stands still.
    still: Option<Tensor<4>>,
    is_seen: Tensor<4>,
    inconsistency: Option<Tensor<4>>,
    /// How far pixels come back beside where they went from, in pixels.
    apart: Option<Tensor<4>>,
    /// Logits of what the motion explains.
    mask: Option<Tensor<4>>,
}

impl Seen {
    fn disagreement(&self, weight: f32) -> Option<Tensor<1>> {
        let inconsistency = self.inconsistency.clone().filter(|_| weight > 0.0)?;
        Some(masked_mean(inconsistency, self.is_seen.clone()) * weight)
    }

    fn flowing_apart(&self, weight: f32) -> Option<Tensor<1>> {
        Some(masked_mean(self.apart.clone()?, self.is_seen.clone()) * weight)
    }
}

/// The mean over all pixels of the error, or of that of a still camera where it is less: no gradient comes from there.
fn masked_by_still(error: Tensor<4>, still: Tensor<4>) -> Tensor<1> {
    let still = still + TIE;
    let mask = auto_mask(&error.clone().detach(), &still);
    (error * mask.clone() + still.detach() * (-mask + 1.0)).mean()
}

/// Means over squares of `factor` pixels.
fn reduced(image: Tensor<4>, factor: usize) -> Tensor<4> {
    if factor == 1 {
        return image;
    }
    let mut options = AvgPoolOptions::new([factor; 2]);
    options.stride = [factor; 2];
    avg_pool2d(image, options)
}

/// The camera of an image that is reduced by `factor`; pixel centres lie at integers.
fn reduced_camera(camera: &Tensor<2>, factor: usize) -> Tensor<2> {
    if factor == 1 {
        return camera.clone();
    }
    let focal = camera.clone().narrow(1, 0, 2) / factor as f32;
    let centre = (camera.clone().narrow(1, 2, 2) + 0.5) / factor as f32 - 0.5;
    Tensor::cat(vec![focal, centre], 1)
}

/// `values` between their pixels, at as many as `[.., height, width]` has.
fn enlarged(values: Tensor<4>, [.., height, width]: [usize; 4]) -> Tensor<4> {
    let [_, _, rows, columns] = values.dims();
    if [rows, columns] == [height, width] {
        return values;
    }
    let options = InterpolateOptions::new(InterpolateMode::Bilinear).with_align_corners(false);
    interpolate(values, options.with_output_size([height, width]))
}
