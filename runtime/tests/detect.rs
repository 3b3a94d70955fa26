//! Flights that look for objects: what they leave behind, what faults cost, and that a replay repeats them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may, as the tests themselves do")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::*;
use datasets::SourceSpec;
use kestrel_runtime::graph::Schedule;
use kestrel_runtime::run::*;
use kestrel_runtime::stages::{DetectChoice, FollowStart, Pointer, TargetChoice};
use kestrel_runtime::{Flight, FlightConfig, FlightSummary};

const COMPARED: [&str; 4] = [DETECTIONS, ODOMETRY, ADMITTED, TRAJECTORY_KITTI];

/// Frames of the detector and of the odometry that cost a restart.
type Troubles<'a> = (&'a [(u64, Injected)], &'a [u64]);

fn choice(every: u64) -> DetectChoice {
    DetectChoice {
        detector: "seer".to_owned(),
        fingerprint: "5ee2".to_owned(),
        classes: vec!["car".to_owned(), "bus".to_owned(), "kite".to_owned()],
        score_threshold: None,
        every,
    }
}

fn flight(source: Made, schedule: Schedule, troubles: Troubles<'_>) -> Flight {
    following(None, source, schedule, troubles)
}

fn following(
    follow: Option<TargetChoice>,
    source: Made,
    schedule: Schedule,
    (of_detector, of_odometry): Troubles<'_>,
) -> Flight {
    let config = FlightConfig {
        schedule,
        follow,
        source_spec: SourceSpec::new("made"),
        detect_deadline: Duration::from_millis(150),
        ..FlightConfig::default()
    };
    Flight::new(Box::new(source), config)
        .with_estimator(DeadReckoning::factory(of_odometry, Duration::ZERO))
        .with_detector(choice(3), Seer::factory(of_detector, Duration::ZERO))
}

fn fly(out: &Path, schedule: Schedule, troubles: Troubles<'_>) -> FlightSummary {
    fly_into(out, flight(Made::recorded(40), schedule, troubles))
}

fn replay(run: &Path, out: &Path, source: Option<Made>) -> FlightSummary {
    replay_into(out, replay_of(run, source).with_detector(Seer::factory(&[], Duration::ZERO)))
}

fn bytes(run: &Path) -> Vec<Vec<u8>> {
    contents(run, &COMPARED)
}

#[test]
fn every_frame_has_rows_and_every_object_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let summary = fly(&out, Schedule::Threads, (&[(21, Injected::Error)], &[]));
    assert_balanced(&summary);
    let rows = read_detections(&out).unwrap();
    let frames: BTreeSet<u64> = rows.iter().map(|row| row.seq).collect();
    assert_eq!(frames, (0..40).collect());
    let of = |wanted: fn(&DetectionOutcome) -> bool| -> BTreeSet<u64> {
        rows.iter().filter(|row| wanted(&row.outcome)).map(|row| row.seq).collect()
    };
    let looks = of(|outcome| matches!(outcome, DetectionOutcome::Found { .. } | DetectionOutcome::Nothing));
    // The new one looks at once.
    let expected: BTreeSet<u64> = (0..21).step_by(3).chain((22..40).step_by(3)).collect();
    assert_eq!((looks.clone(), of(|o| *o == DetectionOutcome::Restarted)), (expected, BTreeSet::from([21])));
    let found: Vec<_> = rows
        .iter()
        .filter_map(|row| match &row.outcome {
            DetectionOutcome::Found { class, id, .. } => Some((class.as_str(), id.unwrap())),
            _ => None,
        })
        .collect();
    let detections = summary.detections.clone().unwrap();
    assert_eq!((detections.looks, detections.objects), (looks.len() as u64, found.len() as u64));
    let cars = found.iter().filter(|(class, _)| *class == "car").count() as u64;
    assert!(cars > 0 && detections.per_class["car"] == cars && detections.per_class["kite"] == 0);
    let ids: BTreeSet<u64> = found.iter().map(|(_, id)| *id).collect();
    assert_eq!((detections.identities, detections.restarts), (ids.len() as u64, 1));
    let metrics: serde_json::Value = serde_json::from_slice(&fs::read(out.join(METRICS)).unwrap()).unwrap();
    assert_eq!(metrics["detections"]["per_class"]["car"], cars);
    assert_eq!(metrics["detections"]["frames"], 39);
    assert_eq!(Manifest::read(&out).unwrap().detect.unwrap().to_choice(), choice(3));
}

#[test]
fn a_flight_without_a_detector_says_nothing_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let summary = Flight::new(Box::new(Made::recorded(5)), FlightConfig::default())
        .with_estimator(DeadReckoning::factory(&[], Duration::ZERO))
        .into_run(RunDirectory::create(folder.path()).unwrap())
        .run()
        .unwrap();
    assert!(summary.detections.is_none() && summary.branch("detect").is_none());
    assert!(!folder.path().join(DETECTIONS).exists());
    let texts = [METRICS, MANIFEST].map(|name| fs::read_to_string(folder.path().join(name)).unwrap());
    assert!(texts.iter().all(|text| !text.contains("detect")), "{texts:?}");
}

#[test]
fn the_detectors_faults_cost_the_detector_only() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let faults = [(9, Injected::Panic), (10, Injected::Error), (26, Injected::Stall)];
    let troubled = fly(&at("troubled"), Schedule::Threads, (&faults, &[]));
    let calm = fly(&at("calm"), Schedule::Threads, (&[], &[]));
    assert_balanced(&troubled);
    let detect = troubled.branch("detect").unwrap();
    assert_eq!((detect.restarts, detect.stalls, detect.failed, detect.out), (3, 1, 3, 37));
    assert_eq!((troubled.resets, troubled.tracked_frames), (0, calm.tracked_frames));
    let odometry = |name: &str| fs::read(at(name).join(ODOMETRY)).unwrap();
    assert_eq!(odometry("troubled"), odometry("calm"));
    assert!(troubled.is_clean(), "{:?}", troubled.ended);
}

#[test]
fn a_replay_repeats_the_detector_to_the_byte_whoever_was_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let faults = [(6, Injected::Panic), (13, Injected::Error), (14, Injected::Panic), (24, Injected::Stall)];
    fly(&at("run"), Schedule::Threads, (&faults, &[30, 13]));
    let repeated = replay(&at("run"), &at("again"), Some(Made::recorded(40)));
    assert_balanced(&repeated);
    assert_eq!(bytes(&at("run")), bytes(&at("again")));
    // A replay of the replay, too.
    replay(&at("again"), &at("third"), Some(Made::recorded(40)));
    assert_eq!(bytes(&at("run")), bytes(&at("third")));
    assert_eq!(repeated.branch("detect").unwrap().restarts, summary_restarts(&at("run")));
}

fn summary_restarts(run: &Path) -> u64 {
    let metrics: serde_json::Value = serde_json::from_slice(&fs::read(run.join(METRICS)).unwrap()).unwrap();
    metrics["detections"]["restarts"].as_u64().unwrap()
}

#[test]
fn an_identity_is_followed_and_repeated_whoever_was_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let follower = || Drifter::factory(&[], Duration::ZERO);
    let faults = [(13, Injected::Error), (24, Injected::Panic)];
    let choice = TargetChoice { target: Pointer::Identity(1), start: FollowStart::Frame(0) };
    let flight = following(Some(choice), Made::recorded(40), Schedule::Threads, (&faults, &[]));
    assert_balanced(&fly_into(&at("run"), flight.with_follower(follower())));
    let has_it = |row: &&DetectionRow| matches!(row.outcome, DetectionOutcome::Found { id: Some(1), .. });
    let seen = read_detections(&at("run")).unwrap();
    let first = seen.iter().find(has_it).unwrap().seq;
    let rows = read_target(&at("run")).unwrap();
    assert!(first > 0 && rows.len() == 40, "{first}");
    for row in rows.iter().filter(|row| row.outcome != TargetOutcome::Restarted) {
        let is_waiting = row.outcome == TargetOutcome::Waiting;
        assert_eq!(is_waiting, row.seq < first, "{row:?}");
    }
    let replay = replay_of(&at("run"), Some(Made::recorded(40))).with_follower(follower());
    replay_into(&at("again"), replay.with_detector(Seer::factory(&[], Duration::ZERO)));
    let compared = [TARGET, DETECTIONS];
    assert_eq!(contents(&at("run"), &compared), contents(&at("again"), &compared));
}

#[test]
fn a_replay_without_the_detector_repeats_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fly(&at("run"), Schedule::Threads, (&[(6, Injected::Panic)], &[]));
    let summary = replay_into(&at("again"), replay_of(&at("run"), Some(Made::recorded(40))));
    assert!(summary.detections.is_none() && !at("again").join(DETECTIONS).exists());
    assert_eq!(fs::read(at("run").join(ODOMETRY)).unwrap(), fs::read(at("again").join(ODOMETRY)).unwrap());
}

#[test]
fn both_schedules_look_alike() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let troubles: Troubles<'_> = (&[(9, Injected::Panic)], &[17]);
    fly(&at("threads"), Schedule::Threads, troubles);
    fly(&at("inline"), Schedule::Inline, troubles);
    assert_eq!(bytes(&at("threads")), bytes(&at("inline")));
}

#[test]
fn a_slow_detector_costs_a_live_odometry_no_frame_and_is_repeated_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut source = Made::of((0..150).map(|seq| Some(frame(seq))).collect(), true);
    source.period = Duration::from_millis(4);
    let faults = [(60, Injected::Panic)];
    let flight = flight(source, Schedule::Threads, (&[], &[70]))
        .with_detector(choice(3), Seer::factory(&faults, Duration::from_millis(60)));
    let summary = fly_into(&at("run"), flight);
    assert_balanced(&summary);
    let [source, detect] = ["source", "detect"].map(|name| summary.branch(name).unwrap());
    // Were it to wait for the detector, it would drop four of five.
    assert!(source.dropped < 75, "the entrance drops for the odometry alone: {source:?}");
    assert!(detect.dropped > 60, "{detect:?}");
    let repeated = replay(&at("run"), &at("again"), None);
    assert_balanced(&repeated);
    assert_eq!(bytes(&at("run")), bytes(&at("again")));
}

#[test]
fn a_detector_that_cannot_be_made_costs_its_branch_only() {
    let folder = tempfile::tempdir().unwrap();
    let summary = flight(Made::recorded(12), Schedule::Threads, (&[], &[]))
        .with_detector(choice(3), Arc::new(|| Err("no memory".into())))
        .into_run(RunDirectory::create(folder.path()).unwrap())
        .run()
        .unwrap();
    assert_balanced(&summary);
    let detect = summary.branch("detect").unwrap();
    assert_eq!((detect.failed, summary.frames), (12, 12));
    assert!(summary.tracked_frames > 0 && summary.detections.unwrap().looks == 0);
}

#[test]
fn the_application_sees_what_the_detector_saw() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    flight(Made::recorded(6), Schedule::Threads, (&[], &[]))
        .detections_observed_by(move |detected| {
            log.lock().unwrap().push((detected.frame.seq, detected.look.is_some()));
        })
        .run()
        .unwrap();
    let expected: Vec<_> = (0..6).map(|seq| (seq, seq % 3 == 0)).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
}
