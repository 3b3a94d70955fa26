//! Metres, on flights whose truth is known exactly.
#![expect(clippy::unwrap_used, reason = "a test may fall over")]

use std::sync::{Arc, OnceLock};

use datasets::world::{Effects, Motion, World, WorldConfig};
use eval::{Alignment, OdometryProtocol, OdometryReport, evaluate};
use geometry::{Frame, Timestamp, Trajectory};
use kestrel_vo::{DepthPrior, Odometry, ScaleSample, ScaleSource, TrackingState, VisualOdometry, VoConfig};
use nalgebra::Vector2;

const FRAMES: usize = 80;

/// A clean flight and its frames.
struct Flown {
    world: World,
    frames: Vec<Frame>,
}

fn flown(motion: Motion) -> &'static Flown {
    static NADIR: OnceLock<Flown> = OnceLock::new();
    static OBLIQUE: OnceLock<Flown> = OnceLock::new();
    static FORWARD: OnceLock<Flown> = OnceLock::new();
    let cell = match motion {
        Motion::Nadir => &NADIR,
        Motion::Oblique => &OBLIQUE,
        Motion::Forward => &FORWARD,
    };
    cell.get_or_init(|| {
        let size = WorldConfig { frames: FRAMES, width: 320, height: 240, ..WorldConfig::for_motion(motion) };
        let world = World::new(WorldConfig { effects: Effects::none(), ..size }).unwrap();
        let frames = (0..FRAMES).map(|i| world.frame(i)).collect();
        Flown { world, frames }
    })
}

impl Flown {
    fn register(&self, scale: ScaleSource) -> Vec<Odometry> {
        let mut odometry = VisualOdometry::new(VoConfig { scale, ..VoConfig::default() });
        self.frames.iter().map(|frame| odometry.register_frame(frame)).collect()
    }

    /// Heights at 20 Hz with 0.1 m of noise; `disturbed` may change each.
    fn heights(&self, disturbed: impl Fn(usize, f64) -> f64) -> Vec<ScaleSample> {
        let mut rng = fastrand::Rng::with_seed(11);
        let mut noise_m = || 0.1 * ((0..12).map(|_| rng.f64()).sum::<f64>() - 6.0);
        let height = |i| self.world.height_above_ground_m(i) + noise_m();
        let heights: Vec<f64> = (0..FRAMES).map(height).collect();
        let sample =
            |(i, h): (usize, &f64)| ScaleSample { stamp: self.world.stamp(i), value: disturbed(i, *h) };
        heights.iter().enumerate().map(sample).collect()
    }

    fn speeds(&self) -> Vec<ScaleSample> {
        let place = |i: usize| self.world.pose(i).translation;
        let speed = |i| (place(i + 1) - place(i)).norm() * self.world.config().frame_rate;
        (0..FRAMES - 1).map(|i| ScaleSample { stamp: self.world.stamp(i), value: speed(i) }).collect()
    }

    /// Error over the tracked frames, after rotation and translation and without a scale.
    fn measure(&self, estimates: &[Odometry], alignment: Alignment) -> OdometryReport {
        let (mut truth, mut estimate) = (Trajectory::new(), Trajectory::new());
        for (i, odometry) in estimates.iter().enumerate() {
            truth.push(self.world.stamp(i), self.world.pose(i)).unwrap();
            if odometry.state == TrackingState::Tracking {
                estimate.push(odometry.stamp, odometry.world_from_camera).unwrap();
            }
        }
        let protocol = OdometryProtocol { lengths_m: vec![5.0], ..OdometryProtocol::aligned_by(alignment) };
        evaluate(&truth, &estimate, &protocol).unwrap()
    }

    /// Error relative to the path without a scale, and by how much the lengths are wrong.
    #[track_caller]
    fn check(&self, estimates: &[Odometry], max_share: f64, max_scale_error: f64) {
        let tracked = estimates.iter().filter(|o| o.state == TrackingState::Tracking).count();
        assert!(tracked > FRAMES * 2 / 3, "{tracked} frames tracked");
        let report = self.measure(estimates, Alignment::Se3);
        let (share, fitted) =
            (report.ate_rmse_m / report.path_length_m, self.measure(estimates, Alignment::Sim3));
        assert!(share < max_share, "{:.2} % of the path, fitted scale {:.4}", 100.0 * share, fitted.scale);
        assert!((fitted.scale - 1.0).abs() < max_scale_error, "fitted scale {:.4}", fitted.scale);
        let last = estimates.last().unwrap();
        let deviations = (fitted.scale - 1.0).abs() / last.scale_sigma.unwrap();
        assert!(deviations < 4.0, "off by {deviations:.1} standard deviations");
    }
}

#[test]
fn heights_above_ground_make_metres() {
    for motion in [Motion::Nadir, Motion::Oblique] {
        let flown = flown(motion);
        let heights = flown.heights(|_, height| height);
        flown.check(&flown.register(ScaleSource::HeightAboveGround(heights.into())), 0.01, 0.02);
    }
}

#[test]
fn a_rangefinder_over_roofs_and_a_dropout_cost_little() {
    let flown = flown(Motion::Nadir);
    let disturbed = |i: usize, height: f64| match i {
        // Roofs of six metres, every third reading.
        _ if i.is_multiple_of(3) => height - 6.0,
        // No echo.
        30..50 => f64::NAN,
        _ => height,
    };
    let heights = flown.heights(disturbed);
    flown.check(&flown.register(ScaleSource::HeightAboveGround(heights.into())), 0.015, 0.03);
}

#[test]
fn speeds_make_metres() {
    let flown = flown(Motion::Oblique);
    flown.check(&flown.register(ScaleSource::Velocity(flown.speeds().into())), 0.015, 0.03);
}

#[test]
fn a_camera_at_a_known_height_above_a_road_makes_metres() {
    let flown = flown(Motion::Forward);
    let heights = (0..FRAMES).map(|i| flown.world.height_above_ground_m(i));
    let mean = heights.sum::<f64>() / FRAMES as f64;
    flown.check(&flown.register(ScaleSource::CameraHeight(mean)), 0.03, 0.06);
}

#[test]
fn heights_given_in_flight_are_worth_those_given_before() {
    let flown = flown(Motion::Nadir);
    let heights = flown.heights(|_, height| height);
    let mut odometry = VisualOdometry::new(VoConfig::default());
    let estimates: Vec<_> = flown
        .frames
        .iter()
        .zip(&heights)
        .map(|(frame, height)| {
            odometry.add_height(height.stamp, height.value);
            odometry.register_frame(frame)
        })
        .collect();
    flown.check(&estimates, 0.01, 0.02);
}

/// True depth, said to be as uncertain as this share of it, from whole frames rendered with their depth.
struct TrueDepth(f64, Vec<(Timestamp, Arc<geometry::DepthImage>)>);

impl DepthPrior for TrueDepth {
    fn depth_at(&self, stamp: Timestamp, pixel: Vector2<f64>) -> Option<(f64, f64)> {
        let (_, depth) = self.1.iter().find(|(at, _)| *at == stamp)?;
        let [depth_m] = depth.pixel(pixel.x.round() as usize, pixel.y.round() as usize);
        (depth_m > 0.0).then_some((f64::from(depth_m), self.0 * f64::from(depth_m)))
    }
}

#[test]
fn a_depth_prior_makes_metres() {
    let flown = flown(Motion::Oblique);
    let depth = |i: usize| (flown.world.stamp(i), Arc::new(flown.world.render(i).depth));
    // Depth of every other frame only.
    let prior = TrueDepth(0.05, (0..FRAMES).step_by(2).map(depth).collect());
    let mut odometry = VisualOdometry::new(VoConfig::default()).with_depth_prior(Arc::new(prior));
    let estimates: Vec<_> = flown.frames.iter().map(|frame| odometry.register_frame(frame)).collect();
    flown.check(&estimates, 0.01, 0.02);
}

#[test]
fn looks_at_one_scene_are_worth_one_look() {
    let flown = flown(Motion::Oblique);
    let depth = |i: usize| (flown.world.stamp(i), Arc::new(flown.world.render(i).depth));
    let prior = TrueDepth(0.4, (0..FRAMES).map(depth).collect());
    let mut odometry = VisualOdometry::new(VoConfig::default()).with_depth_prior(Arc::new(prior));
    let estimates: Vec<_> = flown.frames.iter().map(|frame| odometry.register_frame(frame)).collect();
    let place = |i: usize| flown.world.pose(i).translation;
    let way_m: f64 = (1..FRAMES).map(|i| (place(i) - place(i - 1)).norm()).sum();
    let scenes = 1.0 + way_m / flown.world.height_above_ground_m(0);
    let sigma = estimates.last().and_then(|odometry| odometry.scale_sigma).unwrap();
    // What a network errs by in one scene, it errs by in each frame of it: half of 0.4, as often as the scene is another.
    let least = 0.2 / scenes.sqrt();
    assert!((0.7 * least..0.3).contains(&sigma), "{sigma} where {least} is left after {scenes:.1} scenes");
}

#[test]
fn without_a_source_nothing_claims_metres() {
    let flown = flown(Motion::Nadir);
    let estimates = flown.register(ScaleSource::None);
    assert!(estimates.iter().all(|o| o.scale.is_none() && o.scale_sigma.is_none()));
    // Samples of another day are no source.
    let late = flown.heights(|_, height| height).into_iter().map(|sample| ScaleSample {
        stamp: Timestamp::from_nanos(sample.stamp.as_nanos() + 86_400_000_000_000),
        ..sample
    });
    let unscaled = flown.register(ScaleSource::HeightAboveGround(late.collect()));
    assert_eq!(unscaled, estimates, "no reading, no change");
}

#[test]
fn a_fixed_scale_is_the_same_flight_in_another_unit() {
    let flown = flown(Motion::Nadir);
    let (unscaled, fixed) = (flown.register(ScaleSource::None), flown.register(ScaleSource::Fixed(30.0)));
    for (unscaled, fixed) in unscaled.iter().zip(&fixed) {
        let (a, b) = (unscaled.world_from_camera.translation * 30.0, fixed.world_from_camera.translation);
        assert!((a - b).norm() < 1e-6 * (1.0 + a.norm()));
        assert!(
            (unscaled.velocity_in_world * 30.0 - fixed.velocity_in_world).norm() < 1e-9 * (1.0 + a.norm())
        );
        for (a, b) in unscaled.points.iter().zip(&fixed.points) {
            assert!(
                (a.point_in_world * 30.0 - b.point_in_world).norm() < 1e-6 * (1.0 + b.point_in_world.norm())
            );
        }
        for (a, b) in unscaled.keyframes.iter().zip(&fixed.keyframes) {
            let (a, b) = (a.world_from_camera.translation * 30.0, b.world_from_camera.translation);
            assert!((a - b).norm() < 1e-6 * (1.0 + b.norm()));
        }
    }
    // A median depth of 30 m is about right from 30 m: nobody is to take it for exact.
    let (first, last) =
        (fixed.iter().find_map(|o| o.scale_sigma).unwrap(), fixed[FRAMES - 1].scale_sigma.unwrap());
    assert!(last > first);
}

#[test]
fn uncertain_metres_make_an_uncertain_place() {
    let flown = flown(Motion::Nadir);
    let heights = flown.heights(|_, height| height);
    let estimates = flown.register(ScaleSource::HeightAboveGround(heights.into()));
    let last = estimates.last().unwrap();
    let way = last.world_from_camera.translation;
    let in_camera = last.world_from_camera.rotation.inverse() * way.normalize();
    let covariance = last.covariance.fixed_view::<3, 3>(0, 0).into_owned();
    let sigma_m = (in_camera.transpose() * covariance * in_camera)[0].sqrt();
    assert!(sigma_m > 0.5 * last.scale_sigma.unwrap() * way.norm(), "{sigma_m} m after {} m", way.norm());
}
