//! How wrong a detector is.

use burn::tensor::{Int, Tensor, TensorData, activation};
use geometry::BoundingBox;
use serde::{Deserialize, Serialize};

use super::assign::Assignment;
use super::augment::Target;
use crate::priors::MAX_LOG_SIZE;

/// Logit of the score, 0.5, from which what may lack a label is no longer taught to be background (Zhang et al., Solving
/// missing-annotation object detection with background recalibration loss, ICASSP 2020, whose loss goes further).
const LOOKS_LIKE_AN_OBJECT: f32 = 0.0;

/// How wrong scores are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ClassLoss {
    /// `-alpha (1 - p)^gamma log p` of what is right: the many easy priors weigh little (Lin et al., ICCV 2017).
    Focal {
        /// Weight of objects; background has the rest.
        alpha: f32,
        /// How little the easy ones weigh.
        gamma: f32,
    },
    /// Cross entropy of the objects and of the worst of the background, some for each object (SSD, section 2.2).
    HardNegatives {
        /// How many for each object.
        per_object: f32,
    },
}

/// How wrong boxes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BoxLoss {
    /// The smooth L1 norm of the corrections (SSD, equation 2).
    SmoothL1,
    /// One minus the generalised overlap (Rezatofighi et al., CVPR 2019).
    GeneralizedOverlap,
}

/// A loss of both kinds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectionLoss {
    /// Of the scores.
    pub classes: ClassLoss,
    /// Of the boxes.
    pub boxes: BoxLoss,
    /// How much boxes count.
    pub box_weight: f32,
}

impl Default for DetectionLoss {
    fn default() -> Self {
        Self {
            classes: ClassLoss::Focal { alpha: 0.25, gamma: 2.0 },
            boxes: BoxLoss::GeneralizedOverlap,
            box_weight: 2.0,
        }
    }
}

/// What the priors of a batch are to learn, on the host.
#[derive(Clone, Debug, Default)]
pub struct BatchTargets {
    /// `[batch * priors, classes]`: 1 for the class of the object.
    classes: Vec<f32>,
    /// `[batch * priors]`: 0 for what is ignored.
    weights: Vec<f32>,
    /// `[batch * priors]`: 1 for background that may be an object without a label.
    unlabelled: Vec<f32>,
    /// Rows of `[batch * priors]` with an object.
    rows: Vec<i32>,
    /// The prior of each of them, `[x, y, width, height]` of its centre and size.
    priors: Vec<f32>,
    /// The object of each of them, likewise.
    objects: Vec<f32>,
}

impl BatchTargets {
    /// Adds an image: what its `priors` are assigned to.
    pub fn push(
        &mut self,
        priors: &[BoundingBox],
        assigned: &[Assignment],
        targets: &[Target],
        classes: usize,
    ) {
        for (prior, assignment) in priors.iter().zip(assigned) {
            let row = self.weights.len();
            self.weights.push(f32::from(*assignment != Assignment::Ignored));
            self.unlabelled.push(f32::from(*assignment == Assignment::Unlabelled));
            self.classes.resize(self.classes.len() + classes, 0.0);
            if let Assignment::Object(number) = assignment {
                let target = &targets[*number];
                let class = target.class_id.unwrap_or(0) as usize;
                self.classes[row * classes + class] = 1.0;
                self.rows.push(row as i32);
                self.priors.extend(centre_and_size(prior));
                self.objects.extend(centre_and_size(&target.bounding_box));
            }
        }
    }

    /// How many priors learn an object.
    pub fn objects(&self) -> usize {
        self.rows.len()
    }
}

fn centre_and_size(of: &BoundingBox) -> [f32; 4] {
    let (x, y) = of.center();
    [x, y, of.width, of.height]
}

impl DetectionLoss {
    /// The loss of `logits`, `[batch * priors, classes]`, and `corrections` of priors, `[batch * priors, 4]`: of scores and
    /// of boxes, each for one prior that learns an object.
    pub fn of(&self, logits: Tensor<2>, corrections: Tensor<2>, targets: &BatchTargets) -> [Tensor<1>; 2] {
        let device = logits.device();
        let [rows, classes] = logits.dims();
        let wanted = Tensor::from_data(TensorData::new(targets.classes.clone(), [rows, classes]), &device);
        let column = |values: &[f32]| -> Tensor<2> {
            Tensor::from_data(TensorData::new(values.to_vec(), [rows, 1]), &device)
        };
        // What scores like an object where not all of them have labels teaches nothing.
        let looks_like_one = logits.clone().detach().max_dim(1).greater_elem(LOOKS_LIKE_AN_OBJECT).float();
        let weights = column(&targets.weights) - column(&targets.unlabelled) * looks_like_one;
        let objects = targets.objects().max(1) as f32;
        let scores = self.classes.of(logits, wanted, weights, targets.objects()) / objects;
        if targets.rows.is_empty() {
            return [scores, corrections.sum() * 0.0];
        }
        let count = targets.rows.len();
        let matrix = |values: &[f32]| -> Tensor<2> {
            Tensor::from_data(TensorData::new(values.to_vec(), [count, 4]), &device)
        };
        let chosen: Tensor<1, Int> =
            Tensor::from_data(TensorData::new(targets.rows.clone(), [count]), &device);
        let corrections = corrections.select(0, chosen);
        let boxes = self.boxes.of(corrections, &matrix(&targets.priors), &matrix(&targets.objects));
        [scores, boxes * (self.box_weight / objects)]
    }
}

impl ClassLoss {
    /// The sum over all priors; `weights` are `[rows, 1]`.
    fn of(self, logits: Tensor<2>, wanted: Tensor<2>, weights: Tensor<2>, objects: usize) -> Tensor<1> {
        // -log of the probability of what is right, for logits of any size.
        let entropy = activation::relu(logits.clone()) - logits.clone() * wanted.clone()
            + ((-logits.clone().abs()).exp() + 1.0).log();
        match self {
            Self::Focal { alpha, gamma } => {
                let score = activation::sigmoid(logits);
                let miss = score.clone() + wanted.clone() - score * wanted.clone() * 2.0;
                let balance = wanted * (2.0 * alpha - 1.0) + (1.0 - alpha);
                (entropy * miss.powf_scalar(gamma) * balance * weights).sum()
            }
            Self::HardNegatives { per_object } => {
                let device = entropy.device();
                let hardest =
                    hardest(&entropy, &wanted, &weights, (objects.max(1) as f32 * per_object) as usize);
                let rows = hardest.len();
                let chosen = Tensor::from_data(TensorData::new(hardest, [rows, 1]), &device);
                (entropy * chosen).sum()
            }
        }
    }
}

/// 1 for rows with an object and for the `count` worst of the others that are not ignored.
fn hardest(entropy: &Tensor<2>, wanted: &Tensor<2>, weights: &Tensor<2>, count: usize) -> Vec<f32> {
    let values = |tensor: Tensor<2>| tensor.into_data().try_to_vec::<f32>().unwrap_or_default();
    let worst = values(entropy.clone().detach().sum_dim(1));
    let (objects, weights) = (values(wanted.clone().sum_dim(1)), values(weights.clone()));
    let mut chosen: Vec<f32> = objects.iter().map(|&object| object.min(1.0)).collect();
    let mut others: Vec<usize> =
        (0..worst.len()).filter(|&row| objects[row] == 0.0 && weights[row] > 0.0).collect();
    others.sort_by(|&a, &b| worst[b].total_cmp(&worst[a]).then(a.cmp(&b)));
    others.into_iter().take(count).for_each(|row| chosen[row] = 1.0);
    chosen
}

impl BoxLoss {
    /// The sum over all rows; `priors` and `objects` are centres and sizes, `[rows, 4]`.
    fn of(self, corrections: Tensor<2>, priors: &Tensor<2>, objects: &Tensor<2>) -> Tensor<1> {
        match self {
            Self::SmoothL1 => {
                let centre = (columns(objects, 0) - columns(priors, 0)) / columns(priors, 2) * 10.0;
                let size = (columns(objects, 2) / columns(priors, 2)).log() * 5.0;
                let error = (corrections - Tensor::cat(vec![centre, size], 1)).abs();
                let near = error.clone().clamp_max(1.0);
                (near.clone() * near.clone() * 0.5 + (error - near)).sum()
            }
            Self::GeneralizedOverlap => {
                let centre = columns(&corrections, 0) * columns(priors, 2) * 0.1 + columns(priors, 0);
                let log = (columns(&corrections, 2) * 0.2).clamp(-MAX_LOG_SIZE, MAX_LOG_SIZE);
                let size = log.exp() * columns(priors, 2);
                let found = corners(centre, size);
                let objects = corners(columns(objects, 0), columns(objects, 2));
                (generalized_overlap(found, objects) * -1.0 + 1.0).sum()
            }
        }
    }
}

/// Two columns from `first` on.
fn columns(of: &Tensor<2>, first: usize) -> Tensor<2> {
    let rows = of.dims()[0];
    of.clone().slice([0..rows, first..first + 2])
}

/// Upper left and lower right.
fn corners(centre: Tensor<2>, size: Tensor<2>) -> [Tensor<2>; 2] {
    [centre.clone() - size.clone() / 2.0, centre + size / 2.0]
}

/// Overlap minus the share of the smallest box around both that is in neither, `[rows, 1]`.
fn generalized_overlap(a: [Tensor<2>; 2], b: [Tensor<2>; 2]) -> Tensor<2> {
    let area = |sides: Tensor<2>| sides.prod_dim(1);
    let [a_low, a_high] = a;
    let [b_low, b_high] = b;
    let areas = area(a_high.clone() - a_low.clone()) + area(b_high.clone() - b_low.clone());
    let least_high = a_high.clone().min_pair(b_high.clone());
    let most_low = a_low.clone().max_pair(b_low.clone());
    let common = area((least_high - most_low).clamp_min(0.0));
    let around = area(a_high.max_pair(b_high) - a_low.min_pair(b_low));
    let union = areas - common.clone();
    common / union.clone() - (around.clone() - union) / around
}

/// Outputs of a network, `[batch, shapes * numbers, rows, columns]` for each feature map, as `[batch * priors, numbers]`
/// in the order of [`crate::all_priors`] for each image.
pub fn by_prior(maps: Vec<Tensor<4>>, numbers: usize) -> Tensor<2> {
    let rows = |map: Tensor<4>| -> Tensor<3> {
        let [batch, channels, height, width] = map.dims();
        let shapes = channels / numbers;
        let split: Tensor<5> = map.reshape([batch, shapes, numbers, height, width]);
        split.permute([0, 3, 4, 1, 2]).reshape([batch, height * width * shapes, numbers])
    };
    let all = Tensor::cat(maps.into_iter().map(rows).collect(), 1);
    let [batch, priors, numbers] = all.dims();
    all.reshape([batch * priors, numbers])
}

/// The value of a tensor of one number.
pub(crate) fn scalar(tensor: &Tensor<1>) -> f32 {
    tensor.clone().into_data().try_to_vec::<f32>().ok().and_then(|v| v.first().copied()).unwrap_or(f32::NAN)
}

#[cfg(test)]
mod tests;
