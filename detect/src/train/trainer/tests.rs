//! A small training from end to end.

use geometry::RgbImage;
use nn::kernels::Kernel;

use super::super::Losses;
use super::super::augment::Target;
use super::*;
use crate::Detector;
use nn::architecture::Backbone;
use nn::train::{Loader, cpu};

fn config(steps: usize) -> TrainConfig {
    TrainConfig {
        network: NetworkDescription {
            backbone: Backbone::MobileNetV1,
            width: 0.1,
            pyramid_channels: 16,
            strides: vec![8, 16],
            shapes: 2,
            classes: 1,
        },
        classes: vec!["block".into()],
        input: 96,
        crop: 64,
        batch: 4,
        steps,
        learning_rate: 0.01,
        warm_up: 2,
        weight_decay: 0.01,
        average_decay: 0.9,
        seed: 3,
        augmentation: Augmentation { mosaic: 0.0, light: 0.2, scale: [0.8, 1.2], rotation_deg: 0.0 },
        loss: DetectionLoss::default(),
    }
}

/// Red blocks on grey.
fn pictures() -> Arc<[Picture]> {
    let places = [[20.0, 30.0], [70.0, 60.0], [40.0, 80.0]];
    let picture = |shift: f32| {
        let boxes = places.map(|[x, y]| BoundingBox::new(x + shift, y, 16.0, 12.0));
        let is_in = |x: usize, y: usize| {
            let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
            boxes.iter().any(|b| (b.x..b.right()).contains(&x) && (b.y..b.bottom()).contains(&y))
        };
        let image =
            RgbImage::from_fn(120, 110, |x, y| if is_in(x, y) { [220, 30, 30] } else { [110, 120, 115] });
        let target = |bounding_box| Target { bounding_box, class_id: Some(0) };
        Picture::new(image, boxes.map(target).into())
    };
    [0.0, 5.0, 11.0].map(picture).into()
}

fn learn(trainer: &mut Trainer, pictures: &Arc<[Picture]>, steps: usize) -> Vec<Losses> {
    let batches = trainer.batches(Arc::clone(pictures));
    let mut loader = Loader::start(trainer.steps_taken(), move |step| batches.make(step));
    (0..steps).map(|_| trainer.step(loader.next_batch().unwrap()).unwrap()).collect()
}

#[test]
fn a_detector_learns_and_flies() {
    let pictures = pictures();
    let mut trainer = Trainer::new(config(250), &pictures, None, cpu()).unwrap();
    let losses = learn(&mut trainer, &pictures, 250);
    let mean =
        |losses: &[Losses]| losses.iter().map(|l| l.classes + l.boxes).sum::<f32>() / losses.len() as f32;
    let (before, after) = (mean(&losses[..10]), mean(&losses[240..]));
    assert!(after < before / 2.0, "{before} to {after}");
    assert!(trainer.is_done());
    let detector = Detector::read(&trainer.onnx().unwrap(), Kernel::best()).unwrap();
    assert_eq!(detector.classes(), ["block"]);
    assert_eq!(detector.network().inputs().next().unwrap().shape, [1, 3, 96, 96]);
}

#[test]
fn a_training_that_was_cut_off_ends_as_it_would_have() {
    let pictures = pictures();
    let mut whole = Trainer::new(config(6), &pictures, None, cpu()).unwrap();
    learn(&mut whole, &pictures, 6);
    let mut first = Trainer::new(config(6), &pictures, None, cpu()).unwrap();
    learn(&mut first, &pictures, 3);
    assert!(first.judge(0.7) && !first.judge(0.6));
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("checkpoint");
    first.save(&place).unwrap();
    let mut second = Trainer::resume(config(6), &pictures, &place, cpu()).unwrap();
    assert_eq!(second.steps_taken(), 3);
    assert_eq!(*second.best(), Best { figure: Some((0.7, 3)), without_gain: 1 });
    learn(&mut second, &pictures, 3);
    assert_eq!(second.onnx().unwrap(), whole.onnx().unwrap());
}

#[test]
fn pictures_without_objects_teach_nothing() {
    let empty = [Picture::new(RgbImage::filled(64, 64, [9; 3]), Vec::new())];
    let error = Trainer::new(config(1), &empty, None, cpu()).map(drop).unwrap_err();
    assert!(error.to_string().contains("found 1 pictures without any"), "{error}");
}
