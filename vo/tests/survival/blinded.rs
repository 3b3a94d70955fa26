//! Half a second, or more, in which nothing is seen.

use std::sync::Arc;

use geometry::{Frame, GrayImage, Se3};
use kestrel_vo::{ScaleSample, ScaleSource, TrackingState, VoConfig};
use nalgebra::Vector3;

use crate::flown::{Flight, fly_through};
use crate::scene::{HEIGHT, NADIR, OBLIQUE, WIDTH, along, blurred, looking, scene, stamp};

/// Half a second.
const BLIND: std::ops::Range<usize> = 35..45;

/// A flight that turns a little all the time.
fn pose(down: f64) -> impl Fn(f64) -> Se3 {
    move |t| looking(along(6.0 * t), 0.15 * t, down)
}

fn covered(frame: &Frame, value: u8) -> Frame {
    Frame { gray: Arc::new(GrayImage::filled(WIDTH, HEIGHT, [value])), ..frame.clone() }
}

#[track_caller]
fn check_recovery(down: f64, spoilt: impl Fn(usize, &Frame) -> Frame) {
    let spoil = |i, frame| if BLIND.contains(&i) { spoilt(i, &frame) } else { frame };
    let flown = fly_through(65, pose(down), spoil);
    flown.assert_tracked(15..BLIND.start);
    flown.assert_tracked(BLIND.end + 1..65);
    assert_eq!(flown.resets(), 0);
    let metres_per_unit = flown.metres_per_unit(15, BLIND.start - 1);
    flown.assert_error(BLIND.start - 1, 64, metres_per_unit, 0.4, 0.5);
}

#[test]
fn half_a_second_of_black_grey_or_something_else_is_bridged() {
    check_recovery(NADIR, |_, frame| covered(frame, 0));
    check_recovery(OBLIQUE, |_, frame| covered(frame, 120));
    let elsewhere = looking(Vector3::new(70.0, 60.0, 12.0), 1.0, NADIR);
    check_recovery(NADIR, |i, _| scene().frame(i, &elsewhere, None));
}

#[test]
fn half_a_second_of_blur_is_bridged() {
    for down in [NADIR, OBLIQUE] {
        check_recovery(down, |_, frame| Frame { gray: Arc::new(blurred(&frame.gray, 15)), ..frame.clone() });
    }
}

#[test]
fn the_unseen_pose_goes_on_and_grows_uncertain() {
    let blind = |i, frame| if BLIND.contains(&i) { covered(&frame, 0) } else { frame };
    let flown = fly_through(BLIND.end, pose(NADIR), blind);
    let metres_per_unit = flown.metres_per_unit(15, BLIND.start - 1);
    flown.assert_error(BLIND.start - 1, BLIND.end - 1, metres_per_unit, 0.5, 1.5);
    for i in BLIND {
        assert_eq!(flown.state(i), TrackingState::Lost);
        let sigmas = |i: usize| flown.odometry[i].covariance.diagonal();
        assert!((0..6).all(|axis| sigmas(i)[axis] > sigmas(i - 1)[axis]), "frame {i}");
        assert!(flown.odometry[i].tracks.is_empty(), "tracks that this frame does not show");
    }
}

/// A map given up after a second of darkness: the next one goes on in metres.
#[test]
fn after_a_longer_darkness_another_map_goes_on_in_metres() {
    const DARK: std::ops::Range<usize> = 50..72;
    let heights = (0..130).map(|i| ScaleSample { stamp: stamp(i), value: 30.0 });
    let scale = ScaleSource::HeightAboveGround(heights.collect());
    let change = |i, frame| if DARK.contains(&i) { covered(&frame, 0) } else { frame };
    let pose = |t: f64| looking(along(6.0 * t), 0.0, NADIR);
    let flown =
        Flight { pose, change, vehicle: |_| None }.fly(130, VoConfig { scale, ..VoConfig::default() });
    assert_eq!(flown.resets(), 1);
    flown.assert_tracked(95..130);
    assert!(flown.odometry[DARK.start..].iter().all(|o| o.scale.is_some()), "metres are never lost");
    let legs = [(20, DARK.start - 1), (95, 129)];
    for leg in legs {
        let factor = flown.metres_per_unit(leg.0, leg.1);
        assert!((factor - 1.0).abs() < 0.1, "frames {leg:?}: {factor} metres per metre");
    }
}
