//! Boxes and frames that nobody should give.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside test functions")]

mod common;

use common::{SIZE, Scene, frame, frame_of};
use geometry::{BoundingBox, RgbImage};
use kestrel_track::{TrackError, Tracker, TrackerConfig};

fn scene() -> Scene {
    Scene { target: Some(BoundingBox::new(100.0, 80.0, 40.0, 30.0)), camera: (0.0, 0.0) }
}

#[test]
fn boxes_that_are_none_are_refused_and_leave_the_target_that_was() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    tracker.init(&frame(0, scene()), scene().target.unwrap()).unwrap();
    let nan = f32::NAN;
    for (x, y, width, height) in [
        (nan, 0.0, 10.0, 10.0),
        (0.0, 0.0, f32::INFINITY, 10.0),
        (10.0, 10.0, 0.0, 10.0),
        (10.0, 10.0, 10.0, -4.0),
        (10.0, 10.0, 0.2, 0.2),
        (-50.0, 10.0, 40.0, 10.0),
        (SIZE.0 as f32, 10.0, 40.0, 10.0),
        (SIZE.0 as f32 - 0.5, 10.0, 40.0, 10.0),
    ] {
        let found = BoundingBox::new(x, y, width, height);
        let error = tracker.init(&frame(1, scene()), found).unwrap_err();
        assert!(matches!(error, TrackError::Box { width: 320, height: 240, .. }), "{error}");
    }
    let track = tracker.update(&frame(2, scene())).unwrap();
    assert!(track.id == 0 && track.bounding_box.iou(&scene().target.unwrap()) > 0.7);
}

#[test]
fn boxes_beyond_the_image_are_followed_by_what_is_inside() {
    for found in [
        BoundingBox::new(-20.0, -20.0, 60.0, 50.0),
        BoundingBox::new(300.0, 220.0, 60.0, 50.0),
        BoundingBox::new(-1e6, -1e6, 2e6, 2e6),
        BoundingBox::new(0.0, 100.0, 320.0, 1.0),
        BoundingBox::new(100.0, 0.0, 1.5, 240.0),
        BoundingBox::new(100.0, 100.0, 1.0, 1.0),
    ] {
        let mut tracker = Tracker::new(TrackerConfig { aspect: true, ..TrackerConfig::default() });
        tracker.init(&frame(0, scene()), found).unwrap();
        for i in 1..6 {
            let track = tracker.update(&frame(i, scene())).unwrap();
            assert!(track.bounding_box.is_valid() && (0.0..=1.0).contains(&track.confidence), "{track:?}");
        }
    }
}

#[test]
fn frames_of_another_size_are_refused_and_change_nothing() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    assert_eq!(tracker.update(&frame(0, scene())), Err(TrackError::NoTarget));
    tracker.init(&frame(0, scene()), scene().target.unwrap()).unwrap();
    let other = frame_of(1, RgbImage::filled(100, 80, [0; 3]));
    let error = tracker.update(&other).unwrap_err();
    assert_eq!(error.to_string(), "expected frames of 320x240 pixels as at the start, found 100x80");
    let track = tracker.update(&frame(2, scene())).unwrap();
    assert!(track.bounding_box.iou(&scene().target.unwrap()) > 0.7);
}

#[test]
fn flat_and_tiny_images_have_an_answer() {
    for (width, height) in [(1, 1), (2, 3), (16, 16), (64, 1)] {
        let flat = |i: usize| frame_of(i, RgbImage::filled(width, height, [90; 3]));
        let mut tracker = Tracker::new(TrackerConfig::default());
        tracker.init(&flat(0), BoundingBox::new(0.0, 0.0, width as f32, height as f32)).unwrap();
        for i in 1..15 {
            let track = tracker.update(&flat(i)).unwrap();
            assert!(track.bounding_box.is_valid() && (0.0..=1.0).contains(&track.confidence), "{track:?}");
        }
    }
}
