//! The estimator on flights whose truth is known exactly.
#![expect(clippy::unwrap_used, reason = "a test may fall over")]

use std::sync::Arc;

use datasets::world::{Effects, Motion, World, WorldConfig};
use eval::{Alignment, OdometryProtocol, OdometryReport, evaluate};
use geometry::{Frame, GrayImage, PinholeCamera, Timestamp, Trajectory};
use kestrel_vo::{Odometry, TrackingState, VisualOdometry, VoConfig};

const FRAMES: usize = 80;

fn world(motion: Motion, effects: Effects) -> World {
    let config =
        WorldConfig { frames: FRAMES, width: 320, height: 240, effects, ..WorldConfig::for_motion(motion) };
    World::new(config).unwrap()
}

fn fly(world: &World) -> Vec<Odometry> {
    let mut odometry = VisualOdometry::new(VoConfig::default());
    (0..FRAMES).map(|i| odometry.register_frame(&world.frame(i))).collect()
}

/// Measured over the tracked frames, scale fitted.
fn measure(world: &World, estimates: &[Odometry]) -> OdometryReport {
    let (mut truth, mut estimate) = (Trajectory::new(), Trajectory::new());
    for (i, odometry) in estimates.iter().enumerate() {
        truth.push(world.stamp(i), world.pose(i)).unwrap();
        if odometry.state == TrackingState::Tracking {
            estimate.push(odometry.stamp, odometry.world_from_camera).unwrap();
        }
    }
    let protocol =
        OdometryProtocol { lengths_m: vec![5.0, 10.0], ..OdometryProtocol::aligned_by(Alignment::Sim3) };
    evaluate(&truth, &estimate, &protocol).unwrap()
}

fn check(motion: Motion, effects: Effects, max_ate_share: f64) {
    let world = world(motion, effects);
    let report = measure(&world, &fly(&world));
    assert!(
        report.frames >= FRAMES * 7 / 10,
        "{motion:?}: only {} of {FRAMES} frames tracked",
        report.frames
    );
    let share = report.ate_rmse_m / report.path_length_m;
    assert!(share < max_ate_share, "{motion:?}: ATE is {:.3} % of the path", 100.0 * share);
}

#[test]
fn a_clean_flight_is_tracked_to_half_a_percent_of_its_path() {
    check(Motion::Nadir, Effects::none(), 5e-3);
    check(Motion::Oblique, Effects::none(), 5e-3);
}

#[test]
fn vibration_noise_and_a_rolling_shutter_cost_a_percent_or_two() {
    check(Motion::Nadir, Effects::default(), 0.02);
    check(Motion::Oblique, Effects::default(), 0.02);
    check(Motion::Forward, Effects::default(), 0.02);
}

#[test]
fn the_same_frames_give_the_same_bits() {
    let world = world(Motion::Nadir, Effects::default());
    let frames: Vec<Frame> = (0..20).map(|i| world.frame(i)).collect();
    let run = || {
        let mut odometry = VisualOdometry::new(VoConfig::default());
        frames.iter().map(|frame| odometry.register_frame(frame)).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

/// A frame that shows `image`, seen by a camera of its size.
fn frame(index: usize, image: GrayImage) -> Frame {
    let camera = PinholeCamera::from_horizontal_fov(image.width(), image.height(), 1.2).unwrap();
    let stamp = Timestamp::from_nanos(index as i64 * 50_000_000);
    Frame { stamp, seq: index as u64, gray: Arc::new(image), rgb: None, camera: Arc::new(camera) }
}

#[test]
fn darkness_is_never_taken_for_a_place() {
    let mut odometry = VisualOdometry::new(VoConfig::default());
    for i in 0..10 {
        let dark = odometry.register_frame(&frame(i, GrayImage::filled(320, 240, [0])));
        assert_ne!(dark.state, TrackingState::Tracking);
        assert!(dark.world_from_camera.is_finite());
    }
}

#[test]
fn more_than_a_second_of_darkness_in_flight_costs_a_reset_and_says_so() {
    let world = world(Motion::Nadir, Effects::none());
    let mut odometry = VisualOdometry::new(VoConfig::default());
    let mut states = Vec::new();
    for i in 0..FRAMES {
        let mut frame = world.frame(i);
        if (27..49).contains(&i) {
            frame.gray = Arc::new(GrayImage::filled(320, 240, [0]));
        }
        let registered = odometry.register_frame(&frame);
        states.push((registered.state, registered.reset_count));
    }
    assert_eq!(states[26], (TrackingState::Tracking, 0));
    assert!(states[27..49].iter().all(|(state, _)| *state != TrackingState::Tracking), "{states:?}");
    assert_eq!(states[FRAMES - 1], (TrackingState::Tracking, 1), "{states:?}");
}

#[test]
fn frames_of_any_size_are_survived() {
    let mut odometry = VisualOdometry::new(VoConfig::default());
    for (i, (width, height)) in [(320, 240), (16, 12), (1, 1), (3000, 2), (320, 240)].into_iter().enumerate()
    {
        let image = GrayImage::from_fn(width, height, |x, y| [(x * 31 + y * 17) as u8]);
        assert!(odometry.register_frame(&frame(i, image)).world_from_camera.is_finite());
    }
}

#[test]
fn a_camera_that_stands_still_is_not_initialised() {
    let world = world(Motion::Nadir, Effects::none());
    let still = world.frame(0);
    let mut odometry = VisualOdometry::new(VoConfig::default());
    for i in 0..30 {
        let frame = Frame { stamp: world.stamp(i), seq: i as u64, ..still.clone() };
        assert_eq!(odometry.register_frame(&frame).state, TrackingState::Initializing);
    }
}

#[test]
fn velocity_points_where_the_camera_goes() {
    let world = world(Motion::Nadir, Effects::none());
    let estimates = fly(&world);
    let (before, last) = (&estimates[FRAMES - 2], &estimates[FRAMES - 1]);
    let moved = last.world_from_camera.translation - before.world_from_camera.translation;
    let expected = moved / last.stamp.secs_since(before.stamp);
    assert!((last.velocity_in_world - expected).norm() < 0.2 * expected.norm());
}
