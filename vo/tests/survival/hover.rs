//! No parallax, for long.

use kestrel_vo::TrackingState;

use crate::flown::fly;
use crate::scene::{NADIR, OBLIQUE, along, looking, ramp};

#[test]
fn a_drone_that_hovers_first_waits_and_then_flies() {
    let flown = fly(130, |t| looking(along(6.0 * ramp(t, 5.0, 99.0)), 0.0, NADIR));
    assert!((0..100).all(|i| flown.state(i) == TrackingState::Initializing));
    flown.assert_tracked(118..130);
    assert_eq!(flown.resets(), 0);
}

#[test]
fn hovering_in_flight_is_no_motion_and_flying_on_no_reset() {
    for down in [NADIR, OBLIQUE] {
        let flown = fly(140, |t| {
            let way = ramp(t, 0.0, 1.5) + ramp(t, 6.0, 99.0);
            looking(along(6.0 * way), 0.0, down)
        });
        flown.assert_tracked(15..140);
        assert_eq!(flown.resets(), 0);
        let metres_per_unit = flown.metres_per_unit(15, 30);
        for frame in 31..120 {
            flown.assert_error(30, frame, metres_per_unit, 0.1, 0.1);
        }
        flown.assert_error(120, 139, metres_per_unit, 0.15, 0.2);
    }
}

/// The estimator keeps nothing of frames that tell nothing new.
#[test]
fn hovering_on_and_on_neither_slows_it_down_nor_fills_its_map() {
    let hover = fly(90, |t| looking(along(6.0 * ramp(t, 0.0, 1.5)), 0.0, NADIR));
    let keyframes = hover.odometry[35..].iter().filter(|o| !o.keyframes.is_empty()).count();
    assert_eq!(keyframes, 0, "keyframes while hovering");
    assert!(hover.odometry[35..].iter().all(|o| o.tracks.len() <= 400));
}
