//! Rotation on the spot and in flight.

use kestrel_vo::TrackingState;

use crate::flown::fly;
use crate::scene::{NADIR, OBLIQUE, along, looking, ramp};

#[test]
fn rotation_alone_makes_no_map() {
    let yaw = |t: f64| looking(along(0.0), 0.8 * t, OBLIQUE);
    let pitch = |t: f64| looking(along(0.0), 0.0, OBLIQUE + 0.3 * (2.0 * t).sin());
    for flown in [fly(50, yaw), fly(50, pitch)] {
        assert!((0..50).all(|i| flown.state(i) == TrackingState::Initializing));
        // The heading is known all the same.
        flown.assert_error(0, 49, 1.0, 0.01, 1.0);
    }
}

#[test]
fn a_nadir_camera_yaws_on_the_spot_and_flies_on() {
    let flown = fly(120, |t| {
        let way = ramp(t, 0.0, 1.5) + ramp(t, 4.5, 99.0);
        looking(along(6.0 * way), 0.6 * ramp(t, 1.5, 4.5), NADIR)
    });
    flown.assert_tracked(15..120);
    assert_eq!(flown.resets(), 0);
    let metres_per_unit = flown.metres_per_unit(15, 30);
    flown.assert_error(30, 90, metres_per_unit, 0.15, 0.3);
    flown.assert_error(30, 119, metres_per_unit, 0.2, 0.3);
}

#[test]
fn an_oblique_camera_yaws_as_far_as_its_view_overlaps() {
    let flown = fly(110, |t| {
        let way = ramp(t, 0.0, 1.5) + ramp(t, 3.5, 99.0);
        looking(along(6.0 * way), 0.6 * ramp(t, 1.5, 3.5), OBLIQUE)
    });
    flown.assert_tracked(15..110);
    assert_eq!(flown.resets(), 0);
    flown.assert_error(30, 109, flown.metres_per_unit(15, 30), 0.5, 0.5);
}

#[test]
fn turned_away_from_its_map_it_begins_another_with_the_same_heading_and_about_the_same_unit() {
    let flown = fly(160, |t| {
        let way = ramp(t, 0.0, 1.5) + ramp(t, 5.5, 99.0);
        looking(along(6.0 * way), 0.785 * ramp(t, 1.5, 5.5), OBLIQUE)
    });
    assert_eq!(flown.resets(), 1);
    flown.assert_tracked(145..160);
    let (before, after) = (flown.metres_per_unit(15, 30), flown.metres_per_unit(145, 159));
    assert!((after / before).ln().abs() < 0.4, "{before} and {after} metres per unit");
    let (_, turned_deg) = flown.error(30, 159, before);
    assert!(turned_deg < 1.5, "heading is off by {turned_deg} degrees");
}

#[test]
fn fast_yaw_in_flight_is_followed() {
    for (down, degrees_per_s) in [(NADIR, 90.0_f64), (OBLIQUE, 60.0)] {
        let yaw = |t: f64| degrees_per_s.to_radians() * ramp(t, 1.5, 3.0);
        let flown = fly(75, |t| looking(along(6.0 * t), yaw(t), down));
        flown.assert_tracked(15..75);
        assert_eq!(flown.resets(), 0);
        flown.assert_error(30, 74, flown.metres_per_unit(15, 30), 0.4, 0.7);
    }
}
