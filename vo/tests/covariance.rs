//! Whether the estimator knows how far off it is.
#![expect(clippy::unwrap_used, reason = "a test may fall over")]

use datasets::world::{Effects, Motion, World, WorldConfig};
use kestrel_vo::{Odometry, ScaleSample, ScaleSource, TrackingState, VisualOdometry, VoConfig};
use nalgebra::{Matrix6, Vector6};

const FRAMES: usize = 30;

fn world(motion: Motion, seed: u64) -> World {
    let effects = Effects { rolling_shutter: false, ..Effects::default() };
    let size = WorldConfig { frames: FRAMES, width: 640, height: 480, ..WorldConfig::for_motion(motion) };
    World::new(WorldConfig { seed, effects, ..size }).unwrap()
}

/// Heights with 0.1 m of noise give the metres.
fn fly(world: &World, seed: u64) -> Vec<Odometry> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut noise_m = || 0.1 * ((0..12).map(|_| rng.f64()).sum::<f64>() - 6.0);
    let height = |i| ScaleSample { stamp: world.stamp(i), value: world.height_above_ground_m(i) + noise_m() };
    let heights: Vec<_> = (0..FRAMES).map(height).collect();
    let scale = ScaleSource::HeightAboveGround(heights.into());
    let mut odometry = VisualOdometry::new(VoConfig { scale, ..VoConfig::default() });
    (0..FRAMES).map(|i| odometry.register_frame(&world.frame(i))).collect()
}

/// Error of the last pose as a tangent in the camera's frame, against where the map began.
fn error_at_the_end(world: &World, flight: &[Odometry]) -> Vector6<f64> {
    let began = flight.iter().find_map(|odometry| odometry.keyframes.first()).unwrap().stamp;
    let first = (0..FRAMES).find(|i| world.stamp(*i) == began).unwrap();
    let truth = world.pose(first).inverse() * world.pose(FRAMES - 1);
    (flight.last().unwrap().world_from_camera.inverse() * truth).log()
}

/// The error squared, in units of its covariance: on average 6 where the covariance is right.
fn normalized_square(error: &Vector6<f64>, covariance: &Matrix6<f64>) -> f64 {
    error.dot(&covariance.cholesky().unwrap().solve(error))
}

#[test]
fn errors_are_as_large_as_the_covariance_says() {
    let mut squares = Vec::new();
    for motion in [Motion::Nadir, Motion::Oblique, Motion::Forward] {
        for seed in 31..33 {
            let world = world(motion, seed);
            let flight = fly(&world, seed);
            let last = flight.last().unwrap();
            assert_eq!(last.state, TrackingState::Tracking);
            squares.push(normalized_square(&error_at_the_end(&world, &flight), &last.covariance));
        }
    }
    // The band of 36 degrees of freedom that normal errors leave once in a hundred times.
    let mean = squares.iter().sum::<f64>() / squares.len() as f64;
    assert!((3.0..10.3).contains(&mean), "{mean:.1} on average, of {squares:.1?}");
}

#[test]
fn uncertainty_grows_along_the_way_and_is_positive_definite() {
    let world = world(Motion::Oblique, 5);
    let tracked: Vec<Odometry> = fly(&world, 5)
        .into_iter()
        .filter(|o| o.state == TrackingState::Tracking && o.scale.is_some())
        .collect();
    for odometry in &tracked {
        assert!(odometry.covariance.cholesky().is_some(), "frame {}: {}", odometry.seq, odometry.covariance);
    }
    let sigma_m = |o: &Odometry| o.covariance.fixed_view::<3, 3>(0, 0).trace().sqrt();
    let (early, late) = (&tracked[tracked.len() / 4], tracked.last().unwrap());
    assert!(sigma_m(late) > 1.2 * sigma_m(early), "{} m, then {} m", sigma_m(early), sigma_m(late));
}
