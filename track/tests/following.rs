//! What a target may do, and what the tracker then says.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside test functions")]

mod common;

use common::{SIZE, Scene, frame, frame_of};
use geometry::{BoundingBox, Track, TrackState};
use kestrel_track::{ImageMotion, Tracker, TrackerConfig};

fn still(target: BoundingBox) -> Scene {
    Scene { target: Some(target), camera: (0.0, 0.0) }
}

/// Follows `scene(i)` from the box of the first.
fn follow(count: usize, scene: impl Fn(usize) -> Scene) -> Vec<Track> {
    let mut tracker = Tracker::new(TrackerConfig::default());
    tracker.init(&frame(0, scene(0)), scene(0).target.unwrap()).unwrap();
    (1..count).map(|i| tracker.update(&frame(i, scene(i))).unwrap()).collect()
}

#[test]
fn a_target_that_moves_and_grows_is_held_and_measured() {
    let at = |i: usize| {
        let (i, scale) = (i as f32, 1.01_f32.powi(i as i32));
        let (x, y) = (90.0 + 2.5 * i, 120.0 + 30.0 * (0.1 * i).sin());
        BoundingBox::new(x - 20.0 * scale, y - 12.0 * scale, 40.0 * scale, 24.0 * scale)
    };
    let tracks = follow(50, |i| still(at(i)));
    for (i, track) in tracks.iter().enumerate() {
        let overlap = track.bounding_box.iou(&at(i + 1));
        assert!(overlap > 0.6, "frame {}: {overlap}, {:?}", i + 1, track.bounding_box);
        assert_eq!(track.state, TrackState::Confirmed);
    }
    let last = &tracks[tracks.len() - 1].bounding_box;
    assert!((last.width / at(49).width - 1.0).abs() < 0.15, "{last:?} instead of {:?}", at(49));
}

#[test]
fn a_target_that_is_hidden_for_a_while_is_lost_and_found() {
    let at = |i: usize| BoundingBox::new(60.0 + 2.0 * i as f32, 100.0, 36.0, 24.0);
    let tracks = follow(60, |i| match i {
        30..42 => Scene { target: None, camera: (0.0, 0.0) },
        _ => still(at(i)),
    });
    assert!(tracks[33..41].iter().all(|track| track.state == TrackState::Lost));
    let last = &tracks[tracks.len() - 1];
    assert_eq!(last.state, TrackState::Confirmed);
    assert!(last.bounding_box.iou(&at(59)) > 0.6, "{:?}", last.bounding_box);
}

#[test]
fn a_jump_of_the_camera_is_measured_or_told() {
    let jump = |i: usize| if i < 20 { (0.0, 0.0) } else { (-70.0, 40.0) };
    let at = |i: usize| BoundingBox::new(180.0 + jump(i).0, 90.0 + jump(i).1, 24.0, 18.0);
    let scene = |i: usize| Scene { target: Some(at(i)), camera: jump(i) };
    let measured = follow(25, scene);
    assert!(measured[23].bounding_box.iou(&at(24)) > 0.6, "{:?}", measured[23].bounding_box);
    let mut tracker = Tracker::new(TrackerConfig { ego_motion: false, ..TrackerConfig::default() });
    tracker.init(&frame(0, scene(0)), at(0)).unwrap();
    for i in 1..25 {
        let motion =
            if i == 20 { ImageMotion::from_shift(-70.0, 40.0) } else { ImageMotion::from_shift(0.0, 0.0) };
        let track = tracker.update_with_motion(&frame(i, scene(i)), Some(&motion)).unwrap();
        assert!(track.bounding_box.iou(&at(i)) > 0.6, "frame {i}: {:?}", track.bounding_box);
    }
}

#[test]
fn a_target_that_leaves_for_good_is_lost_and_its_box_stays_at_the_edge() {
    let tracks = follow(90, |i| still(BoundingBox::new(200.0 + 4.0 * i as f32, 100.0, 36.0, 24.0)));
    let late = &tracks[50..];
    assert!(late.iter().all(|track| track.state == TrackState::Lost && track.confidence < 0.6));
    for track in late {
        let (x, y) = track.bounding_box.center();
        assert!((0.0..=SIZE.0 as f32).contains(&x) && (0.0..=SIZE.1 as f32).contains(&y), "{track:?}");
    }
}

#[test]
fn the_same_frames_have_the_same_answers() {
    let run = || follow(20, |i| still(BoundingBox::new(60.0 + 3.0 * i as f32, 100.0, 36.0, 24.0)));
    assert_eq!(run(), run());
}

#[test]
fn every_part_can_be_left_out() {
    let switches: [fn(&mut TrackerConfig); 13] = [
        |c| c.kernel_stream = false,
        |c| c.convolution_stream = false,
        |c| c.cross_patch_similarity = false,
        |c| c.deformable_parts = false,
        |c| c.reliability_fusion = false,
        |c| c.fast_memory = false,
        |c| c.colour = false,
        |c| c.scale = false,
        |c| c.aspect = true,
        |c| c.occlusion_gate = false,
        |c| c.redetection = false,
        |c| c.long_memory = false,
        |c| c.ego_motion = false,
    ];
    let at = |i: usize| BoundingBox::new(60.0 + 3.0 * i as f32, 100.0, 36.0, 24.0);
    for (which, switch) in switches.into_iter().enumerate() {
        let mut config = TrackerConfig::default();
        switch(&mut config);
        let mut tracker = Tracker::new(config);
        tracker.init(&frame(0, still(at(0))), at(0)).unwrap();
        let last = (1..15).map(|i| tracker.update(&frame(i, still(at(i)))).unwrap()).last().unwrap();
        assert!(last.bounding_box.iou(&at(14)) > 0.5, "switch {which}: {:?}", last.bounding_box);
    }
}

#[test]
fn a_target_that_turns_by_a_right_angle_is_held_in_its_new_form() {
    const FRAMES: usize = 45;
    let center = |i: usize| [70.0 + 4.0 * i as f32, 120.0];
    let shown = |i: usize| {
        let ground = frame(i, Scene { target: None, camera: (0.0, 0.0) });
        let rgb = ground.rgb.as_ref().unwrap();
        let (sin, cos) = (std::f32::consts::FRAC_PI_2 * i as f32 / FRAMES as f32).sin_cos();
        let painted = geometry::RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
            let (dx, dy) = (x as f32 + 0.5 - center(i)[0], y as f32 + 0.5 - center(i)[1]);
            let (u, v) = ((cos * dx + sin * dy) / 60.0 + 0.5, (cos * dy - sin * dx) / 24.0 + 0.5);
            match (0.0..1.0).contains(&u) && (0.0..1.0).contains(&v) {
                false => rgb.pixel(x, y),
                true if u > 0.7 => [40, 40, 90],
                true if v < 0.4 => [220, 60, 40],
                true => [200, 190, 60],
            }
        });
        frame_of(i, painted)
    };
    let around = |i: usize, [width, height]: [f32; 2]| {
        BoundingBox::new(center(i)[0] - width / 2.0, center(i)[1] - height / 2.0, width, height)
    };
    let [with, without] = [true, false].map(|rotation| {
        let mut tracker = Tracker::new(TrackerConfig { rotation, ..TrackerConfig::default() });
        tracker.init(&shown(0), around(0, [60.0, 24.0])).unwrap();
        let last = (1..=FRAMES).map(|i| tracker.update(&shown(i)).unwrap().bounding_box).last();
        last.unwrap().iou(&around(FRAMES, [24.0, 60.0]))
    });
    assert!(with > 0.7 && without < 0.5, "{with}, {without}");
}
