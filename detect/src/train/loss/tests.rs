//! Losses against their definitions and against finite differences.

use nn::train::cpu;

use super::*;
use crate::encode;
use crate::priors::{Level, all_priors};

const CLASSES: usize = 2;

fn levels() -> Vec<Level> {
    vec![Level { stride: 8, shapes: vec![[10.0, 14.0], [20.0, 12.0]] }]
}

/// An image of 16 pixels: four cells with two priors each.
fn batch() -> BatchTargets {
    let priors = all_priors(&levels(), 16);
    let object = |x, y, width, height, class| Target {
        bounding_box: BoundingBox::new(x, y, width, height),
        class_id: Some(class),
    };
    let targets = [object(1.0, 2.0, 9.0, 11.0, 0), object(7.0, 8.0, 8.0, 7.0, 1)];
    let mut assigned = vec![Assignment::Background; priors.len()];
    assigned[0] = Assignment::Object(0);
    assigned[7] = Assignment::Object(1);
    assigned[3] = Assignment::Ignored;
    let mut batch = BatchTargets::default();
    batch.push(&priors, &assigned, &targets, CLASSES);
    batch
}

#[test]
fn what_looks_like_an_object_costs_nothing_where_labels_lack() {
    let priors = all_priors(&levels(), 16);
    let cost = |assignment: Assignment, logit: f32, loss: DetectionLoss| {
        let mut batch = BatchTargets::default();
        batch.push(&priors, &vec![assignment; priors.len()], &[], CLASSES);
        let mut logits = vec![-12.0; 16];
        logits[5] = logit;
        scalar(&loss.of(tensor(&logits, CLASSES), tensor(&[0.0; 32], 4), &batch)[0])
    };
    let sure = LOOKS_LIKE_AN_OBJECT + 0.1;
    let unsure = LOOKS_LIKE_AN_OBJECT - 0.1;
    let loss = ALL[0];
    assert!(cost(Assignment::Background, sure, loss) > 0.01);
    assert!(cost(Assignment::Unlabelled, sure, loss) < 1e-4);
    let [unlabelled, background] =
        [Assignment::Unlabelled, Assignment::Background].map(|of| cost(of, unsure, loss));
    assert!(unlabelled == background && background > 0.01, "{unlabelled}, {background}");
}

fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| random.f32() * 2.0 - 1.0).collect()
}

fn tensor(values: &[f32], columns: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / columns, columns]), &cpu())
}

fn total(loss: DetectionLoss, logits: &[f32], corrections: &[f32]) -> f32 {
    let [scores, boxes] = loss.of(tensor(logits, CLASSES), tensor(corrections, 4), &batch());
    scalar(&(scores + boxes))
}

const ALL: [DetectionLoss; 2] = [
    DetectionLoss {
        classes: ClassLoss::Focal { alpha: 0.25, gamma: 2.0 },
        boxes: BoxLoss::GeneralizedOverlap,
        box_weight: 2.0,
    },
    DetectionLoss {
        classes: ClassLoss::HardNegatives { per_object: 1.0 },
        boxes: BoxLoss::SmoothL1,
        box_weight: 1.0,
    },
];

#[test]
fn gradients_are_those_of_finite_differences() {
    const STEP: f32 = 1e-2;
    for loss in ALL {
        let (logits, corrections) = (values(16, 1), values(32, 2));
        let [a, b] = [tensor(&logits, CLASSES), tensor(&corrections, 4)].map(Tensor::require_grad);
        let [scores, boxes] = loss.of(a.clone(), b.clone(), &batch());
        let gradients = (scores + boxes).backward();
        let of = |tensor: &Tensor<2>| -> Vec<f32> {
            tensor.grad(&gradients).unwrap().into_data().try_to_vec().unwrap()
        };
        let check = |found: f32, moved: &dyn Fn(f32) -> f32, what: &str| {
            let expected = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            assert!(
                (found - expected).abs() < 2e-3 + 0.02 * expected.abs(),
                "{what}: {found}, {expected}, {loss:?}"
            );
        };
        for (index, found) in of(&a).into_iter().enumerate() {
            let moved = |by: f32| {
                let mut logits = logits.clone();
                logits[index] += by;
                total(loss, &logits, &corrections)
            };
            check(found, &moved, "score");
        }
        for (index, found) in of(&b).into_iter().enumerate() {
            let moved = |by: f32| {
                let mut corrections = corrections.clone();
                corrections[index] += by;
                total(loss, &logits, &corrections)
            };
            check(found, &moved, "box");
        }
    }
}

#[test]
fn what_is_right_costs_nothing_and_what_is_ignored_neither() {
    let priors = all_priors(&levels(), 16);
    let mut logits = vec![-12.0; 16];
    (logits[0], logits[15]) = (12.0, 12.0);
    let mut corrections = vec![0.0; 32];
    let objects = [(0, BoundingBox::new(1.0, 2.0, 9.0, 11.0)), (7, BoundingBox::new(7.0, 8.0, 8.0, 7.0))];
    for (row, object) in objects {
        corrections[row * 4..row * 4 + 4].copy_from_slice(&encode(&object, &priors[row]));
    }
    for loss in ALL {
        assert!(total(loss, &logits, &corrections) < 1e-3, "{loss:?}");
        let mut ignored = logits.clone();
        ignored[6] = 9.0;
        assert!(total(loss, &ignored, &corrections) < 1e-3, "{loss:?}");
        let mut wrong = logits.clone();
        wrong[8] = 9.0;
        assert!(total(loss, &wrong, &corrections) > 1.0, "{loss:?}");
    }
}

#[test]
fn generalised_overlap_is_that_of_its_definition() {
    // Side by side: no overlap, a gap of a third of the box around both.
    let rows = |values: [f32; 2]| tensor(&values, 2);
    let a = [rows([0.0, 0.0]), rows([1.0, 1.0])];
    let b = [rows([2.0, 0.0]), rows([3.0, 1.0])];
    let found: Vec<f32> = generalized_overlap(a, b).into_data().try_to_vec().unwrap();
    assert!((found[0] + 1.0 / 3.0).abs() < 1e-6);
}

#[test]
fn outputs_come_in_the_order_of_the_priors() {
    // [1, shapes 2 * numbers 3, rows 2, columns 2], each value its own index.
    let values: Vec<f32> = (0..24).map(|value| value as f32).collect();
    let map: Tensor<4> = Tensor::from_data(TensorData::new(values, [1, 6, 2, 2]), &cpu());
    let rows: Vec<f32> = by_prior(vec![map], 3).into_data().try_to_vec().unwrap();
    // Row 0, column 1, shape 1 is prior 3; its numbers are channels 3, 4 and 5 at cell 1.
    assert_eq!(rows[9..12], [13.0, 17.0, 21.0]);
}

#[test]
fn a_batch_without_objects_has_a_loss() {
    let priors = all_priors(&levels(), 16);
    let mut batch = BatchTargets::default();
    batch.push(&priors, &vec![Assignment::Background; priors.len()], &[], CLASSES);
    for loss in ALL {
        let [scores, boxes] = loss.of(tensor(&values(16, 1), CLASSES), tensor(&values(32, 2), 4), &batch);
        assert!(scalar(&scores).is_finite() && scalar(&boxes) == 0.0);
    }
}
