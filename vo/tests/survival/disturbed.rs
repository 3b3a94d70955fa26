//! Things that move by themselves, and light that changes.

use std::sync::Arc;

use geometry::{Frame, GrayImage};
use kestrel_vo::VoConfig;
use nalgebra::{Vector2, Vector3};

use crate::flown::{Flight, fly_through};
use crate::scene::{NADIR, OBLIQUE, Plate, along, looking};

/// A third of the image is a vehicle's roof that crosses the view.
#[test]
fn a_vehicle_that_fills_a_third_of_the_view_does_not_drag_the_pose_along() {
    for (down, ahead) in [(NADIR, 0.0), (OBLIQUE, 30.0)] {
        let vehicle = |t: f64| {
            let center = Vector3::new(6.0 * t + ahead + 4.0 * (t - 2.0), 9.0 * (t - 2.0), 1.5);
            Some(Plate { center, half: Vector2::repeat(10.5), look: Vector2::new(40.0, 70.0) })
        };
        let pose = |t: f64| looking(along(6.0 * t), 0.0, down);
        let flight = Flight { pose, change: |_, frame| frame, vehicle: |t| vehicle(t).filter(|_| t > 1.0) };
        let flown = flight.fly(80, VoConfig::default());
        flown.assert_tracked(15..80);
        assert_eq!(flown.resets(), 0);
        flown.assert_error(20, 79, flown.metres_per_unit(15, 20), 0.6, 0.5);
    }
}

#[test]
fn exposure_may_alternate_between_frames() {
    let exposed = |i: usize, frame: Frame| {
        let gain = [0.6, 1.6, 1.0, 0.6, 1.3, 0.8][i % 6];
        let bright = |x: usize, y: usize| (f64::from(frame.gray.pixel(x, y)[0]) * gain).min(255.0) as u8;
        let (width, height) = frame.gray.size();
        let gray = Arc::new(GrayImage::from_fn(width, height, |x, y| [bright(x, y)]));
        Frame { gray, ..frame }
    };
    let flown = fly_through(60, |t| looking(along(6.0 * t), 0.1 * t, NADIR), exposed);
    flown.assert_tracked(18..60);
    flown.assert_error(18, 59, flown.metres_per_unit(18, 59), 0.15, 0.3);
}
