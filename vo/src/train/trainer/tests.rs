//! A small training from end to end.

use geometry::{PinholeCamera, Timestamp};
use nn::kernels::Kernel;
use nn::train::cpu;

use super::super::clip::ClipFrame;
use super::super::sight::Sight;
use super::*;
use crate::networks::{DispNet, LightDepth, LightPose, PoseExpNet};
use crate::{DepthNetwork, PoseNetwork};

const SIZE: [usize; 2] = [32, 64];
/// Pixels by which the wall moves from frame to frame.
const SHIFT: f32 = 3.0;

fn config(steps: usize) -> TrainConfig {
    TrainConfig {
        depth: DepthArchitecture::Light(LightDepth { width: 0.1 }),
        pose: PoseArchitecture::Light(LightPose),
        size: SIZE,
        batch: 2,
        steps,
        learning_rate: 2e-3,
        warm_up: 2,
        average_decay: 0.9,
        seed: 3,
        augmentation: Augmentation { scale: 1.1, light: 0.1, mirror: false, reverse: false, turn: 0.0 },
        recipe: Recipe::monodepth2(),
        inverse_depths: [0.01, 10.0],
        pose_unit: 0.05,
        learns_focal: false,
    }
}

/// A camera that goes along a painted wall.
fn clips() -> Arc<[Clip]> {
    let [height, width] = SIZE;
    let paint = |x: f32, y: f32, channel: f32| {
        let wave = (0.31 * x + channel).sin() + (0.17 * x - 0.23 * y).cos() + (0.4 * y + channel).sin();
        (127.0 + 40.0 * wave) as u8
    };
    let frame = |time: usize| {
        let place = |index: usize| (index % (height * width) % width, index % (height * width) / width);
        let value = |index: usize| {
            let ((x, y), channel) = (place(index), index / (height * width));
            paint(x as f32 + SHIFT * time as f32, y as f32, channel as f32)
        };
        let stamp = Timestamp::from_nanos(time as i64 * 100_000_000);
        ClipFrame { number: time, stamp, planes: (0..3 * height * width).map(value).collect(), sight: None }
    };
    let clip = Clip {
        name: "wall".into(),
        camera: PinholeCamera::from_horizontal_fov(width, height, 1.2).unwrap(),
        frames: (0..8).map(frame).collect(),
        snippets: (1..7).map(|place| [place - 1, place, place + 1]).collect(),
        still: 0,
        unread: 0,
    };
    [clip].into()
}

fn learn(trainer: &mut Trainer, steps: usize) -> Vec<Losses> {
    let batches = trainer.batches(clips());
    (0..steps).map(|_| trainer.step(&batches.make(trainer.steps_taken())).unwrap()).collect()
}

#[test]
fn networks_learn_how_the_camera_moves_and_fly() {
    let mut trainer = Trainer::new(config(120), 1, None, cpu()).unwrap();
    let unmoved = error_of_moving(&trainer);
    learn(&mut trainer, 120);
    assert!(trainer.is_done());
    let moved = error_of_moving(&trainer);
    assert!(moved < 0.7 * unmoved, "{unmoved} to {moved}");
    let [height, width] = SIZE;
    let depth = DepthNetwork::read(&trainer.depth_onnx().unwrap(), Kernel::best()).unwrap();
    assert_eq!(depth.network().inputs().next().unwrap().shape, [1, 3, height, width]);
    assert!(PoseNetwork::read(&trainer.pose_onnx().unwrap(), Kernel::best()).is_ok());
}

#[test]
fn turns_are_learnt_from_cameras_that_go_straight() {
    let mut clips = clips().to_vec();
    for frame in &mut clips[0].frames {
        let world_from_camera = geometry::Se3::identity();
        frame.sight = Some(Sight { map: 0, world_from_camera, points: vec![[32.0, 16.0, 1.0]] });
    }
    let recipe = Recipe { scales: 0, guidance_weight: 1.0, ..Recipe::monodepth2() };
    let augmentation = Augmentation { turn: 0.05, ..config(0).augmentation };
    let config = TrainConfig { recipe, augmentation, batch: 8, ..config(150) };
    let mut trainer = Trainer::new(config, 1, None, cpu()).unwrap();
    let depth = trainer.networks.depth.weights();
    let batches = trainer.batches(clips.into());
    let losses: Vec<_> = (0..150).map(|step| trainer.step(&batches.make(step)).unwrap().guidance).collect();
    let mean = |losses: &[f32]| losses.iter().sum::<f32>() / losses.len() as f32;
    let [first, last] = [mean(&losses[..20]), mean(&losses[130..])];
    assert!(last < 0.5 * first, "{first} to {last}");
    assert_eq!(trainer.networks.depth.weights(), depth, "no depth is learnt");
}

/// SfMLearner's networks.
fn published(config: TrainConfig) -> TrainConfig {
    let depth = DepthArchitecture::DispNet(DispNet);
    TrainConfig { depth, pose: PoseArchitecture::PoseExpNet(PoseExpNet), pose_unit: 0.01, ..config }
}

#[test]
fn sfmlearners_networks_learn_and_fly() {
    let recipe = Recipe { explainability_weight: 0.1, ..Recipe::sfmlearner() };
    let config = published(TrainConfig { recipe, learning_rate: 2e-4, ..config(12) });
    let mut trainer = Trainer::new(config, 1, None, cpu()).unwrap();
    let losses = learn(&mut trainer, 12);
    assert!(losses.iter().all(|losses| losses.explainability > 0.0));
    let (before, after) = (losses[0].sum(), losses[11].sum());
    assert!(after < before, "{before} to {after}");
    assert!(DepthNetwork::read(&trainer.depth_onnx().unwrap(), Kernel::best()).is_ok());
    assert!(PoseNetwork::read(&trainer.pose_onnx().unwrap(), Kernel::best()).is_ok());
}

#[test]
fn masks_need_a_network_that_has_them() {
    let recipe = Recipe { explainability_weight: 0.1, ..Recipe::sfmlearner() };
    let refused = Trainer::new(TrainConfig { recipe, ..config(1) }, 1, None, cpu()).err().unwrap();
    assert!(matches!(refused, TrainError::NoMasks), "{refused}");
}

/// The same motion comes out of the training and out of flight, whatever images a network sees and whatever its angles are.
#[test]
fn motions_that_are_learnt_are_those_that_fly() {
    for pose in [PoseArchitecture::Light(LightPose), PoseArchitecture::PoseExpNet(PoseExpNet)] {
        let mut trainer = Trainer::new(TrainConfig { pose, ..config(8) }, 1, None, cpu()).unwrap();
        learn(&mut trainer, 8);
        let clips = clips();
        let batch = trainer.batches(Arc::clone(&clips)).unchanged(&[2]);
        let mut evaluator = trainer.averaged().unwrap();
        let (_, predictions) = evaluator.networks.predict(&evaluator.config, &batch, &evaluator.device);
        let learnt: Vec<f32> = predictions.motions[1].clone().into_data().try_to_vec().unwrap();
        let frames = [2, 3, 4].map(|place| clips[0].frame(place));
        let mut flying = PoseNetwork::read(&trainer.pose_onnx().unwrap(), Kernel::best()).unwrap();
        let images = frames.map(|frame| flying.prepare(&frame).unwrap());
        let flown = flying.predict(images.each_ref()).unwrap();
        assert!(flown.translation.norm() > 1e-4, "{flown:?}");
        // Row by row.
        for (learnt, flown) in learnt.iter().zip(flown.to_matrix3x4().transpose().iter()) {
            assert!((f64::from(*learnt) - flown).abs() < 1e-5, "{learnt} and {flown}");
        }
    }
}

/// How far the middle image is from what the networks make of the one before it, mean over what that saw.
fn error_of_moving(trainer: &Trainer) -> f32 {
    let batch = trainer.batches(clips()).unchanged(&[3]);
    let seen = trainer.averaged().unwrap().look(&batch);
    let differences = batch.images[1].iter().zip(&seen.synthesised).filter(|(_, seen)| **seen > 0.0);
    let (sum, count) = differences.fold((0.0, 0), |(sum, count), (a, b)| (sum + (a - b).abs(), count + 1));
    assert!(count > 3 * SIZE[0] * SIZE[1] / 2, "the camera still sees the wall");
    sum / count as f32
}

#[test]
fn every_recipe_makes_its_loss_smaller() {
    let there_and_back = Recipe { forward_backward_weight: 0.05, ..Recipe::sc() };
    for recipe in [Recipe::sfmlearner(), Recipe::sc(), there_and_back] {
        let config = TrainConfig { recipe, ..config(40) };
        let mut trainer = Trainer::new(config, 1, None, cpu()).unwrap();
        let losses = learn(&mut trainer, 40);
        let mean = |losses: &[Losses]| losses.iter().map(Losses::sum).sum::<f32>() / losses.len() as f32;
        let (before, after) = (mean(&losses[..5]), mean(&losses[35..]));
        assert!(after < 0.95 * before, "{before} to {after}");
    }
}

#[test]
fn a_training_that_was_cut_off_ends_as_it_would_have() {
    let config = || TrainConfig { learns_focal: true, ..config(6) };
    let mut whole = Trainer::new(config(), 1, None, cpu()).unwrap();
    learn(&mut whole, 6);
    let mut first = Trainer::new(config(), 1, None, cpu()).unwrap();
    learn(&mut first, 3);
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("checkpoint");
    first.save(&place).unwrap();
    let mut second = Trainer::resume(config(), 1, &place, cpu()).unwrap();
    assert_eq!(second.steps_taken(), 3);
    learn(&mut second, 3);
    assert_eq!(second.depth_onnx().unwrap(), whole.depth_onnx().unwrap());
    assert_eq!(second.pose_onnx().unwrap(), whole.pose_onnx().unwrap());
    assert_eq!(second.focal_factors(), whole.focal_factors());
    assert_ne!(whole.focal_factors(), [1.0], "it is learnt");
}

#[test]
fn a_batch_that_is_no_number_changes_nothing() {
    let mut trainer = Trainer::new(config(2), 1, None, cpu()).unwrap();
    let before = trainer.depth_onnx().unwrap();
    let mut batch = trainer.batches(clips()).make(0);
    batch.images[1][5] = f32::NAN;
    let error = trainer.step(&batch).unwrap_err();
    assert!(matches!(error, TrainError::Diverged { step: 0, .. }), "{error}");
    assert_eq!((trainer.depth_onnx().unwrap(), trainer.steps_taken()), (before, 0));
}

#[test]
fn what_networks_can_not_see_is_refused() {
    let refused = |config: TrainConfig, clips: usize| {
        Trainer::new(config, clips, None, cpu()).map(drop).unwrap_err().to_string()
    };
    assert!(refused(config(1), 0).contains("at least one clip"));
    let odd = TrainConfig { size: [32, 100], ..config(1) };
    assert!(refused(odd, 1).contains("that 32 divides, found 100x32"));
}
