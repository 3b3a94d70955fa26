//! A detector of white pixels, whose answers are known.

use std::sync::Arc;

use geometry::{PinholeCamera, RgbImage, Timestamp};
use nn::architecture::{Builder, Convolution, Weights};

use super::*;
use crate::priors::Level;

const SIZE: usize = 64;
const SHAPE: [f32; 2] = [12.0, 8.0];

fn description() -> Description {
    Description {
        classes: vec!["white".into(), "never".into()],
        levels: vec![Level { stride: 8, shapes: vec![SHAPE] }],
        score_threshold: 0.5,
        max_iou: 0.5,
    }
}

/// Sees every eighth pixel: a score above a half where it is white, boxes that are the priors.
fn file(description: &Description) -> Vec<u8> {
    let mut network = Builder::new(3);
    let image = network.input();
    let look = Convolution { kernel: 1, stride: 8, groups: 1, bias: true };
    let scores = network.convolution("s", image, 2, look);
    let boxes = network.convolution("b", image, 4, look);
    let architecture = network.finish(&[("scores_8", scores), ("boxes_8", boxes)]);
    let weights = Weights {
        values: [
            ("s.weight", vec![4.0, 4.0, 4.0, 0.0, 0.0, 0.0]),
            ("s.bias", vec![-9.0, -20.0]),
            ("b.weight", vec![0.0; 12]),
            ("b.bias", vec![0.0; 4]),
        ]
        .map(|(name, values)| (name.to_owned(), values))
        .into(),
    };
    let mut metadata = Preprocessing::default().metadata();
    metadata.push(description.metadata());
    architecture.to_onnx(&weights, [SIZE; 2], &metadata).unwrap()
}

fn detector() -> Detector {
    Detector::read(&file(&description()), Kernel::best()).unwrap()
}

/// Black with white blocks of 8 pixels that begin at these places.
fn frame(width: usize, height: usize, blocks: &[[usize; 2]]) -> Frame {
    let is_white = |x: usize, y: usize| {
        blocks.iter().any(|&[bx, by]| (bx..bx + 8).contains(&x) && (by..by + 8).contains(&y))
    };
    let rgb = RgbImage::from_fn(width, height, |x, y| [if is_white(x, y) { 255 } else { 0 }; 3]);
    Frame {
        stamp: Timestamp::from_nanos(0),
        seq: 0,
        gray: Arc::new(rgb.to_gray()),
        rgb: Some(Arc::new(rgb)),
        camera: Arc::new(PinholeCamera::from_horizontal_fov(width, height, 1.2).unwrap()),
    }
}

#[test]
fn what_is_there_is_found_where_it_is() {
    let found = detector().detect(&frame(SIZE, SIZE, &[[16, 24], [48, 8]])).unwrap();
    let centres: Vec<_> = found.iter().map(|d| d.bounding_box.center()).collect();
    assert_eq!(centres, [(52.0, 12.0), (20.0, 28.0)]);
    let expected = 1.0 / (1.0 + (-3.0f32).exp());
    assert!(found.iter().all(|d| d.class_id == 0 && (d.score - expected).abs() < 1e-4), "{found:?}");
    assert_eq!((found[0].bounding_box.width, found[0].bounding_box.height), (SHAPE[0], SHAPE[1]));
    assert_eq!(detector().classes(), ["white", "never"]);
}

#[test]
fn grey_frames_are_seen_too() {
    let mut gray = frame(SIZE, SIZE, &[[16, 24]]);
    gray.rgb = None;
    assert_eq!(detector().detect(&gray).unwrap().len(), 1);
}

#[test]
fn small_frames_fill_a_part_of_the_input() {
    let found = detector().detect(&frame(40, 24, &[[16, 8]])).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].bounding_box.center(), (20.0, 12.0));
}

#[test]
fn large_frames_are_seen_in_tiles_and_each_object_once() {
    // Tiles begin at 0, 32 and 64.
    let blocks = [[40, 40], [96, 88], [8, 64]];
    let large = frame(128, 128, &blocks);
    let found = detector().detect(&large).unwrap();
    for [x, y] in blocks {
        let at = (x as f32 + 4.0, y as f32 + 4.0);
        let near = found.iter().filter(|d| {
            let (dx, dy) = (d.bounding_box.center().0 - at.0, d.bounding_box.center().1 - at.1);
            dx.hypot(dy) < 6.0
        });
        assert_eq!(near.count(), 1, "{at:?} in {found:?}");
    }
    assert!(detector().windows([128, 128]) > 4);
    assert_eq!(detector().with_tiling(Tiling::Whole).windows([128, 128]), 1);
    assert_eq!(detector().windows([SIZE, SIZE]), 1);
}

#[test]
fn nothing_is_reported_below_the_threshold() {
    let one = frame(SIZE, SIZE, &[[16, 24]]);
    assert!(detector().with_score_threshold(0.99).detect(&one).unwrap().is_empty());
}

#[test]
fn what_is_no_detector_is_refused() {
    let refused = |bytes: &[u8]| Detector::read(bytes, Kernel::best()).unwrap_err().to_string();
    assert!(refused(b"nothing").contains("no ONNX model"));
    let mut other = description();
    other.levels[0].stride = 16;
    assert!(refused(&file(&other)).contains("outputs"));
    let mut none = description();
    none.classes.clear();
    assert!(refused(&file(&none)).contains("classes"));
    let mut broken = description();
    broken.levels[0].shapes[0][0] = -1.0;
    assert!(refused(&file(&broken)).contains("positive size"));
}
