//! Flights over the synthetic world, whose boxes are exact.

use std::collections::BTreeMap;
use std::sync::Arc;

use datasets::world::{Motion, World, WorldConfig};
use geometry::{GrayImage, PinholeCamera, Timestamp};

use super::*;

/// Frames of a flight.
const FRAMES: usize = 40;

/// What is true of a frame: identities with their boxes.
type Truth = Vec<(u64, BoundingBox)>;

fn flight(motion: Motion, seed: u64) -> Vec<(Frame, Truth)> {
    let config = WorldConfig {
        seed,
        frames: FRAMES,
        frame_rate: 10.0,
        width: 320,
        height: 240,
        ..WorldConfig::for_motion(motion)
    };
    let world = World::new(config).unwrap();
    let is_seen = |b: &datasets::world::WorldBox| b.occlusion < 0.5 && b.truncation < 0.3;
    (0..FRAMES)
        .map(|i| {
            let rendered = world.render(i);
            let seen = rendered.boxes.iter().filter(|b| is_seen(b)).map(|b| (b.id, b.full_extent));
            (rendered.frame.clone(), seen.filter(|(_, b)| b.area() > 40.0).collect())
        })
        .collect()
}

/// What a detector would find: `dropped` of what is there is missed, the rest is off by a little.
fn detected(truth: &Truth, dropped: f64, rng: &mut fastrand::Rng) -> Vec<Detection> {
    let mut found = Vec::new();
    for (_, b) in truth {
        let mut off = |scale: f32| (rng.f32() - 0.5) * 0.1 * scale;
        let bounding_box = BoundingBox::new(
            b.x + off(b.width),
            b.y + off(b.height),
            b.width * (1.0 + off(1.0)),
            b.height * (1.0 + off(1.0)),
        );
        if rng.f64() >= dropped {
            found.push(Detection { bounding_box, class_id: 0, score: 0.9 });
        }
    }
    found
}

/// IDF1 (Ristani et al., Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking, 2016): identities are
/// joined once for the whole flight such that most boxes agree with an overlap of at least a half. Twice the boxes that agree,
/// and all boxes of both: their ratio is the score, also over several flights.
fn agreement(truths: &[Truth], tracks: &[Vec<Track>]) -> [f64; 2] {
    let mut agreements = BTreeMap::new();
    let (mut true_count, mut found_count) = (0, 0);
    for (truth, tracks) in truths.iter().zip(tracks) {
        (true_count, found_count) = (true_count + truth.len(), found_count + tracks.len());
        for (id, b) in truth {
            for track in tracks.iter().filter(|track| track.bounding_box.iou(b) >= 0.5) {
                *agreements.entry((*id, track.id)).or_insert(0_u32) += 1;
            }
        }
    }
    let ids = |of: fn(&(u64, u64)) -> u64| {
        let mut ids: Vec<_> = agreements.keys().map(of).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    let (own, found) = (ids(|pair| pair.0), ids(|pair| pair.1));
    let agreeing = |row: usize, column: usize| {
        f64::from(agreements.get(&(own[row], found[column])).copied().unwrap_or(0))
    };
    let assigned = Costs::from_fn(own.len(), found.len(), |row, column| -agreeing(row, column)).assign();
    let pairs = assigned.iter().enumerate().filter_map(|(row, column)| Some((row, (*column)?)));
    let agreed: f64 = pairs.map(|(row, column)| agreeing(row, column)).sum();
    [2.0 * agreed, (true_count + found_count) as f64]
}

/// Confidence below which a track is not counted: it has gone unseen for four frames.
const SHOWN: f32 = 0.4;

fn tracked(flight: &[(Frame, Truth)], dropped: f64) -> [f64; 2] {
    let mut rng = fastrand::Rng::with_seed(17);
    let mut tracker = MultiTracker::new(MultiTrackerConfig::default());
    let is_shown = |track: &Track| track.state != TrackState::Tentative && track.confidence >= SHOWN;
    let tracks: Vec<Vec<Track>> = flight
        .iter()
        .map(|(frame, truth)| {
            let tracks = tracker.update(frame, &detected(truth, dropped, &mut rng), None);
            tracks.into_iter().filter(is_shown).collect()
        })
        .collect();
    let truths: Vec<_> = flight.iter().map(|(_, truth)| truth.clone()).collect();
    agreement(&truths, &tracks)
}

#[test]
fn identities_hold_over_a_synthetic_world_where_a_fifth_of_the_detections_is_dropped() {
    let mut sum = [0.0; 2];
    for (motion, seed) in [(Motion::Oblique, 3), (Motion::Nadir, 5), (Motion::Oblique, 8)] {
        let [agreed, all] = tracked(&flight(motion, seed), 0.2);
        println!("{motion:?} {seed}: IDF1 {:.3}, {all} boxes", agreed / all);
        sum = [sum[0] + agreed, sum[1] + all];
    }
    let score = sum[0] / sum[1];
    println!("all: IDF1 {score:.3}");
    assert!(score >= 0.9, "IDF1 {score}");
}

fn blank(index: i64) -> Frame {
    Frame {
        stamp: Timestamp::from_nanos(index * 100_000_000),
        seq: index as u64,
        gray: Arc::new(GrayImage::from_fn(200, 100, |x, y| [((x * 7) ^ (y * 13)) as u8])),
        rgb: None,
        camera: Arc::new(PinholeCamera::from_horizontal_fov(200, 100, 1.0).unwrap()),
    }
}

fn found(x: f32, y: f32) -> Detection {
    Detection { bounding_box: BoundingBox::new(x, y, 20.0, 10.0), class_id: 0, score: 0.8 }
}

#[test]
fn a_track_is_tentative_then_confirmed_then_lost_and_found_with_its_identity() {
    let mut tracker = MultiTracker::new(MultiTrackerConfig::default());
    let mut states = Vec::new();
    for i in 0..14 {
        let seen = [found(10.0 + 4.0 * i as f32, 40.0)];
        let seen = if (6..10).contains(&i) { &[][..] } else { &seen[..] };
        let tracks = tracker.update(&blank(i), seen, None);
        assert_eq!(tracks.iter().map(|track| track.id).collect::<Vec<_>>(), [0], "frame {i}");
        states.push(tracks[0].state);
    }
    use TrackState::{Confirmed, Lost, Tentative};
    let (before, rest) = states.split_at(6);
    assert_eq!(before, [Tentative, Confirmed, Confirmed, Confirmed, Confirmed, Confirmed]);
    assert_eq!(rest, [Lost, Lost, Lost, Lost, Confirmed, Confirmed, Confirmed, Confirmed]);
}

#[test]
fn what_is_seen_once_is_forgotten_and_what_stays_away_ends() {
    let config = MultiTrackerConfig { longest_absence: 3, ..MultiTrackerConfig::default() };
    let mut tracker = MultiTracker::new(config);
    tracker.update(&blank(0), &[found(50.0, 40.0)], None);
    tracker.update(&blank(1), &[], None);
    assert!(tracker.update(&blank(2), &[], None).is_empty());
    (3..8).for_each(|i| drop(tracker.update(&blank(i), &[found(50.0, 40.0)], None)));
    let counts: Vec<_> = (8..13).map(|i| tracker.update(&blank(i), &[], None).len()).collect();
    assert_eq!(counts, [1, 1, 1, 0, 0]);
}

#[test]
fn a_jump_of_the_camera_costs_no_identity_where_it_is_told() {
    let mut tracker = MultiTracker::new(MultiTrackerConfig::default());
    (0..5).for_each(|i| drop(tracker.update(&blank(i), &[found(20.0, 20.0)], None)));
    let jump = ImageMotion::from_shift(90.0, 40.0);
    let tracks = tracker.update(&blank(5), &[found(110.0, 60.0)], Some(&jump));
    assert_eq!(
        tracks.iter().map(|track| (track.id, track.state)).collect::<Vec<_>>(),
        [(0, TrackState::Confirmed)]
    );
}

#[test]
fn nonsense_is_passed_over() {
    let mut tracker = MultiTracker::new(MultiTrackerConfig::default());
    let nonsense = [
        (f32::NAN, 0.0, 5.0, 5.0),
        (0.0, 0.0, 0.0, 5.0),
        (0.0, 0.0, f32::INFINITY, 5.0),
        (-500.0, 0.0, 5.0, 5.0),
    ];
    let nonsense = nonsense.map(|(x, y, width, height)| Detection {
        bounding_box: BoundingBox::new(x, y, width, height),
        class_id: 0,
        score: 0.9,
    });
    assert!(tracker.update(&blank(0), &nonsense, None).is_empty());
    let doubtful = Detection { score: f32::NAN, ..found(50.0, 50.0) };
    assert!(tracker.update(&blank(1), &[doubtful], None).is_empty());
    let motion = ImageMotion::from_shift(f32::NAN, f32::NAN);
    assert_eq!(tracker.update(&blank(2), &[found(50.0, 50.0)], Some(&motion)).len(), 1);
}

/// The camera pans by so many pixels a frame over a still scene, and everything is detected.
const PAN: f32 = 9.0;

fn panned(seq: usize) -> (Frame, Vec<Detection>) {
    let shift = PAN * seq as f32;
    let gray = GrayImage::filled(320, 240, [90]);
    let camera = PinholeCamera::from_horizontal_fov(320, 240, 1.2).unwrap();
    let stamp = Timestamp::from_nanos(seq as i64);
    let frame = Frame { stamp, seq: seq as u64, gray: Arc::new(gray), rgb: None, camera: Arc::new(camera) };
    let at = |x: f32, class_id| Detection {
        bounding_box: BoundingBox::new(x - shift, 100.0, 14.0, 10.0),
        class_id,
        score: 0.8,
    };
    (frame, vec![at(250.0, 0), at(-500.0, 1), at(290.0, 1)])
}

#[test]
fn objects_are_carried_on_between_looks_and_known_again() {
    let config =
        MultiTrackerConfig { confirming_hits: 1, appearance: false, ..MultiTrackerConfig::default() };
    let mut tracker = MultiTracker::new(config).with_first_id(5);
    for seq in 0..17 {
        let (frame, detections) = panned(seq);
        if seq % 8 == 0 {
            tracker.update(&frame, &detections, None);
            assert_eq!(tracker.identities(), [Some(5), None, Some(6)], "frame {seq}");
        } else {
            tracker.coast(None);
        }
        let seen: Vec<_> = tracker.seen(&frame).collect();
        assert_eq!(
            seen.iter().map(|(track, class)| (track.id, *class)).collect::<Vec<_>>(),
            [(5, 0), (6, 1)]
        );
        for ((track, _), truth) in seen.iter().zip([&detections[0], &detections[2]]) {
            let (x, y) = track.bounding_box.center();
            let (true_x, true_y) = truth.bounding_box.center();
            // Speeds are known from the second look on.
            let is_near = (x - true_x).hypot(y - true_y) < 12.0;
            assert!(is_near || seq < 8, "frame {seq}: {track:?}, not {truth:?}");
        }
    }
    assert_eq!(tracker.next_id(), 7);
}

#[test]
fn what_leaves_the_image_between_looks_is_not_shown() {
    let mut tracker = MultiTracker::new(MultiTrackerConfig::default());
    let frame = panned(0).0;
    let at =
        |x: f32| [Detection { bounding_box: BoundingBox::new(x, 99.0, 20.0, 10.0), class_id: 0, score: 0.8 }];
    for x in [40.0, 30.0, 20.0] {
        tracker.update(&frame, &at(x), None);
    }
    let seen = [1, 2, 3, 4, 5].map(|_| {
        tracker.coast(None);
        tracker.seen(&frame).count()
    });
    assert!(seen[0] == 1 && seen[4] == 0, "{seen:?}");
}
