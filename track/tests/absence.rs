//! What the tracker says of a target that is hidden or leaves, and how soon it has one that comes back.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside test functions")]

mod common;

use common::{SIZE, Scene, frame, frame_of};
use geometry::{BoundingBox, Frame, RgbImage};
use kestrel_track::{Tracker, TrackerConfig};

/// Frames of each run, and those without the target.
const FRAMES: usize = 100;
const ABSENT: std::ops::Range<usize> = 40..65;

/// What was said of a run.
struct Said {
    /// Share of the frames without target that have a confidence of .5 or more.
    trusted: f32,
    /// Share of the frames that hold the target and have less.
    doubted: f32,
    /// Frames from the target's return until it is held.
    regained: Option<usize>,
}

/// Follows a target; `at` says where it is, `show` makes the frame.
fn follow(
    config: TrackerConfig,
    at: impl Fn(usize) -> Option<BoundingBox>,
    show: impl Fn(usize) -> Frame,
) -> Said {
    let mut tracker = Tracker::new(config);
    tracker.init(&show(0), at(0).unwrap()).unwrap();
    let (mut absent, mut held, mut back) = (Vec::new(), Vec::new(), Vec::new());
    for i in 1..FRAMES {
        let track = tracker.update(&show(i)).unwrap();
        let Some(truth) = at(i) else {
            absent.push(track.confidence);
            continue;
        };
        let is_held = track.bounding_box.iou(&truth) > 0.5;
        held.extend(is_held.then_some(track.confidence));
        if i >= ABSENT.end {
            back.push(is_held);
        }
    }
    let share = |of: &[f32], counts: fn(f32) -> bool| {
        of.iter().filter(|confidence| counts(**confidence)).count() as f32 / of.len().max(1) as f32
    };
    Said {
        trusted: share(&absent, |confidence| confidence >= 0.5),
        doubted: share(&held, |confidence| confidence < 0.5),
        regained: back.iter().position(|is_held| *is_held),
    }
}

/// `rgb` with a plain wall over a box.
fn covered(frame: &Frame, wall: &BoundingBox) -> RgbImage {
    let rgb = frame.rgb.as_ref().unwrap();
    RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        let inside =
            (wall.x..wall.right()).contains(&(x as f32)) && (wall.y..wall.bottom()).contains(&(y as f32));
        if inside { [90, (100 + x % 13 * 2) as u8, (110 + y % 7 * 3) as u8] } else { rgb.pixel(x, y) }
    })
}

/// A target that passes behind a wall.
fn pass_behind_wall(config: TrackerConfig) -> Said {
    // A third of it is hidden from frame 36, all from 47, some till 69.
    let at = |i: usize| BoundingBox::new(40.0 + 2.2 * i as f32, 100.0, 34.0, 24.0);
    let wall = BoundingBox::new(142.0, 60.0, 46.0, 110.0);
    let seen = |i: usize| (!ABSENT.contains(&i)).then(|| at(i));
    follow(config, seen, |i| {
        let open = frame(i, Scene { target: Some(at(i)), camera: (0.0, 0.0) });
        frame_of(i, covered(&open, &wall))
    })
}

#[test]
fn a_target_behind_a_wall_is_not_believed_in_and_found_when_it_comes_out() {
    let said = pass_behind_wall(TrackerConfig::default());
    assert!(said.doubted < 0.1, "{}", said.doubted);
    assert!(said.regained.is_some_and(|frames| frames <= 8), "{:?}", said.regained);
    // As long as a strip of it shows it may be believed in.
    assert!(said.trusted < 0.3, "{}", said.trusted);
}

#[test]
fn a_target_that_the_camera_turns_from_is_not_believed_in_and_found_when_it_turns_back() {
    let camera = |i: usize| {
        let away = (i as f32 - 32.0).clamp(0.0, 10.0).min((73.0 - i as f32).clamp(0.0, 10.0));
        (28.0 * away, 0.0)
    };
    let at = |i: usize| BoundingBox::new(150.0 + camera(i).0, 100.0 + camera(i).1, 34.0, 24.0);
    let seen = |i: usize| {
        let visible = at(i).clipped(SIZE.0, SIZE.1).map_or(0.0, |b| b.area() / at(i).area());
        (visible > 0.3).then(|| at(i))
    };
    let said = follow(TrackerConfig::default(), seen, |i| {
        frame(i, Scene { target: Some(at(i)), camera: camera(i) })
    });
    assert!(said.doubted < 0.1, "{}", said.doubted);
    assert!(said.regained.is_some_and(|frames| frames <= 12), "{:?}", said.regained);
    assert!(said.trusted < 0.1, "{}", said.trusted);
}

#[test]
fn a_target_that_is_gone_is_not_believed_in_again() {
    let at = |i: usize| BoundingBox::new(150.0, 100.0 - 3.3 * i as f32, 34.0, 24.0);
    let seen = |i: usize| (at(i).y > -16.0).then(|| at(i));
    let said = follow(TrackerConfig::default(), seen, |i| {
        frame(i, Scene { target: Some(at(i)), camera: (0.0, 0.0) })
    });
    assert!(said.trusted < 0.1 && said.doubted < 0.1, "{}, {}", said.trusted, said.doubted);
}

#[test]
fn one_stream_alone_does_not_believe_in_the_wall_either() {
    let alone: [fn(&mut TrackerConfig); 2] = [|c| c.kernel_stream = false, |c| c.convolution_stream = false];
    for (which, switch) in alone.into_iter().enumerate() {
        let mut config = TrackerConfig::default();
        switch(&mut config);
        let said = pass_behind_wall(config);
        assert!(said.trusted < 0.3 && said.doubted < 0.1, "{which}: {}, {}", said.trusted, said.doubted);
    }
}
