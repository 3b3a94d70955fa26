//! What the doctor says of such flights: may a network learn from them?

use std::sync::Arc;

use geometry::{Frame, GrayImage, Se3};
use kestrel_vo::doctor::{Diagnosis, Doctor, Verdict};

use crate::scene::{FRAME_RATE, NADIR, OBLIQUE, along, blurred, looking, ramp, scene};

fn diagnose(
    frames: usize,
    pose: impl Fn(f64) -> Se3,
    change: impl Fn(usize, Frame) -> Option<Frame>,
) -> Diagnosis {
    let mut doctor = Doctor::default();
    for index in 0..frames {
        let frame = scene().frame(index, &pose(index as f64 / FRAME_RATE), None);
        match change(index, frame) {
            Some(frame) => doctor.examine(&frame),
            None => doctor.miss_frame(),
        }
    }
    doctor.diagnose()
}

fn with_image(frame: Frame, image: GrayImage) -> Frame {
    Frame { gray: Arc::new(image), ..frame }
}

fn flight(t: f64) -> Se3 {
    looking(along(6.0 * t), 0.0, OBLIQUE)
}

#[test]
fn an_oblique_flight_is_one_long_snippet() {
    let of = diagnose(80, flight, |_, frame| Some(frame));
    assert!(of.moving_share > 0.95 && of.static_share == 0.0 && of.turning_share < 0.05, "{of:?}");
    assert!(of.usable_share > 0.95 && of.usable_snippets.len() == 1, "{of:?}");
    assert!(of.planar_share.unwrap() < 0.5 && of.blurred_share == 0.0, "{of:?}");
    assert_eq!((of.exposure_jumps, of.cuts, of.gaps, of.unreadable_frames), (0, 0, 0, 0));
    assert!((of.frame_rate_hz.unwrap() - FRAME_RATE).abs() < 0.1);
}

#[test]
fn hovering_and_turning_teach_nothing() {
    let hover = diagnose(60, |_| looking(along(0.0), 0.0, OBLIQUE), |_, frame| Some(frame));
    assert!(hover.static_share > 0.95 && hover.verdict == Verdict::Unusable, "{hover:?}");
    for down in [OBLIQUE, NADIR] {
        let turn = diagnose(60, |t| looking(along(0.0), 0.5 * t, down), |_, frame| Some(frame));
        assert!(turn.turning_share > 0.9 && turn.moving_share < 0.1, "{turn:?}");
        assert!(turn.verdict == Verdict::Unusable && turn.usable_share < 0.1, "{turn:?}");
    }
}

#[test]
fn only_the_flight_between_two_hovers_is_taken() {
    let of = diagnose(
        120,
        |t| looking(along(6.0 * (ramp(t, 0.0, 3.0) - ramp(t, 0.0, 1.5))), 0.0, OBLIQUE),
        |_, frame| Some(frame),
    );
    assert!((0.2..0.8).contains(&of.usable_share) && of.static_share > 0.3, "{of:?}");
    let inside = |s: &kestrel_vo::doctor::Snippet| s.first + 20 >= 30 && s.last <= 60 + 20;
    assert!(of.usable_snippets.iter().all(inside), "{of:?}");
}

#[test]
fn blur_darkness_and_lost_frames_part_the_flight() {
    let of = diagnose(100, flight, |index, frame| match index {
        20..24 => {
            let image = blurred(&frame.gray, 25);
            Some(with_image(frame, image))
        }
        50.. if index < 75 => {
            let dark = frame.gray.as_slice().iter().map(|v| v / 2).collect();
            let (width, height) = frame.size();
            Some(with_image(frame, GrayImage::from_vec(width, height, dark).unwrap()))
        }
        90 => None,
        _ => Some(frame),
    });
    assert_eq!((of.exposure_jumps, of.unreadable_frames), (2, 1), "{of:?}");
    assert!((of.blurred_share - 0.04).abs() < 0.011, "{of:?}");
    let crosses = |at: usize| of.usable_snippets.iter().any(|s| s.first < at && s.last >= at);
    assert!(![20, 50, 75, 90].into_iter().any(crosses), "{of:?}");
    assert!(of.usable_share > 0.7, "{of:?}");
}

#[test]
fn two_frames_or_frames_of_many_sizes_are_no_video() {
    let two = diagnose(2, flight, |_, frame| Some(frame));
    assert!(two.verdict == Verdict::Unusable && two.reasons[0].contains("2 frames"), "{two:?}");
    let mixed = diagnose(40, flight, |index, frame| {
        let image = GrayImage::filled(300 + index, 240, [90]);
        Some(if index % 2 == 1 { with_image(frame, image) } else { frame })
    });
    assert_eq!((mixed.odd_sizes, mixed.verdict), (20, Verdict::Unusable));
    assert!(mixed.reasons.iter().any(|reason| reason.contains("20 of another size")), "{mixed:?}");
    assert_eq!(Doctor::default().diagnose().verdict, Verdict::Unusable);
}
