//! Flights that follow a target: what they leave behind, what faults cost, and that a replay repeats them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may, as the tests themselves do")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::*;
use datasets::SourceSpec;
use geometry::BoundingBox;
use kestrel_runtime::graph::Schedule;
use kestrel_runtime::run::*;
use kestrel_runtime::stages::{FollowStart, Pointer, Sight, TargetChoice};
use kestrel_runtime::{Flight, FlightConfig, FlightSummary};

const COMPARED: [&str; 4] = [TARGET, ODOMETRY, ADMITTED, TRAJECTORY_KITTI];

/// Frames of the tracker and of the odometry that cost a restart.
type Troubles<'a> = (&'a [(u64, Injected)], &'a [u64]);

const TARGET_BOX: BoundingBox = BoundingBox::new(2.0, 3.0, 6.0, 5.0);

fn flight(source: Made, schedule: Schedule, (of_tracker, of_odometry): Troubles<'_>) -> Flight {
    let config = FlightConfig {
        schedule,
        source_spec: SourceSpec::new("made"),
        follow: Some(TargetChoice { target: Pointer::Box(TARGET_BOX), start: FollowStart::Frame(2) }),
        follow_deadline: Duration::from_millis(150),
        ..FlightConfig::default()
    };
    Flight::new(Box::new(source), config)
        .with_estimator(DeadReckoning::factory(of_odometry, Duration::ZERO))
        .with_follower(Drifter::factory(of_tracker, Duration::ZERO))
}

fn fly(out: &Path, schedule: Schedule, troubles: Troubles<'_>) -> FlightSummary {
    fly_into(out, flight(Made::recorded(40), schedule, troubles))
}

fn replay(run: &Path, out: &Path, source: Option<Made>) -> FlightSummary {
    replay_into(out, replay_of(run, source).with_follower(Drifter::factory(&[], Duration::ZERO)))
}

fn bytes(run: &Path) -> Vec<Vec<u8>> {
    contents(run, &COMPARED)
}

#[test]
fn every_frame_has_a_row_and_every_row_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let summary = fly(&out, Schedule::Threads, (&[(20, Injected::Error)], &[]));
    assert_balanced(&summary);
    let rows = read_target(&out).unwrap();
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());
    let count = |wanted: fn(&TargetOutcome) -> bool| rows.iter().filter(|row| wanted(&row.outcome)).count();
    assert_eq!(count(|outcome| *outcome == TargetOutcome::Waiting), 2);
    assert_eq!(count(|outcome| *outcome == TargetOutcome::Restarted), 1);
    let first =
        TargetOutcome::Followed { bounding_box: TARGET_BOX, confidence: 1.0, sight: Sight::Confident };
    assert_eq!((rows[2].outcome, rows[20].outcome), (first, TargetOutcome::Restarted));

    let target = summary.target.unwrap();
    let lost = count(|outcome| matches!(outcome, TargetOutcome::Followed { sight: Sight::Lost, .. }));
    assert_eq!((target.frames, target.lost_frames as usize, target.restarts), (37, lost, 1));
    assert_eq!(target.confident_frames + target.unsure_frames + target.lost_frames, 37);
    assert!((target.held_percent - 100.0 * (37 - lost) as f64 / 37.0).abs() < 1e-9);
    let metrics: serde_json::Value = serde_json::from_slice(&fs::read(out.join(METRICS)).unwrap()).unwrap();
    assert_eq!(metrics["target"]["frames"], 37);
    assert!(metrics["target"]["cpu_ms_per_frame"].as_f64().unwrap() > 0.0);
    assert_eq!(summary.branch("follow").unwrap().failed, 1);
}

#[test]
fn a_flight_without_a_target_says_nothing_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunDirectory::create(folder.path()).unwrap();
    let summary = Flight::new(Box::new(Made::recorded(5)), FlightConfig::default())
        .with_estimator(DeadReckoning::factory(&[], Duration::ZERO))
        .into_run(run)
        .run()
        .unwrap();
    assert!(summary.target.is_none() && summary.branch("follow").is_none());
    assert!(!folder.path().join(TARGET).exists());
    let texts = [METRICS, MANIFEST].map(|name| fs::read_to_string(folder.path().join(name)).unwrap());
    assert!(texts.iter().all(|text| !text.contains("target") && !text.contains("follow")), "{texts:?}");
}

#[test]
fn the_trackers_faults_cost_the_tracker_only() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let faults = [(9, Injected::Panic), (10, Injected::Error), (25, Injected::Stall)];
    let troubled = fly(&at("troubled"), Schedule::Threads, (&faults, &[]));
    let calm = fly(&at("calm"), Schedule::Threads, (&[], &[]));
    assert_balanced(&troubled);
    let follow = troubled.branch("follow").unwrap();
    assert_eq!((follow.restarts, follow.stalls, follow.failed, follow.out), (3, 1, 3, 37));
    assert_eq!((troubled.resets, troubled.tracked_frames), (0, calm.tracked_frames));
    let odometry = |name: &str| fs::read(at(name).join(ODOMETRY)).unwrap();
    assert_eq!(odometry("troubled"), odometry("calm"));
    assert!(troubled.is_clean(), "{:?}", troubled.ended);
}

#[test]
fn a_replay_repeats_the_tracker_to_the_byte_whoever_was_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let faults = [(5, Injected::Panic), (13, Injected::Error), (14, Injected::Panic), (25, Injected::Stall)];
    fly(&at("run"), Schedule::Threads, (&faults, &[30, 13]));
    let repeated = replay(&at("run"), &at("again"), Some(Made::recorded(40)));
    assert_balanced(&repeated);
    assert_eq!(bytes(&at("run")), bytes(&at("again")));
    // A replay of the replay, too.
    replay(&at("again"), &at("third"), Some(Made::recorded(40)));
    assert_eq!(bytes(&at("run")), bytes(&at("third")));
    assert_eq!(repeated.branch("follow").unwrap().restarts, 4);
}

#[test]
fn both_schedules_follow_alike() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let troubles: Troubles<'_> = (&[(9, Injected::Panic)], &[17]);
    fly(&at("threads"), Schedule::Threads, troubles);
    fly(&at("inline"), Schedule::Inline, troubles);
    assert_eq!(bytes(&at("threads")), bytes(&at("inline")));
}

#[test]
fn a_slow_tracker_costs_a_live_odometry_no_frame_and_is_repeated_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut source = Made::of((0..150).map(|seq| Some(frame(seq))).collect(), true);
    source.period = Duration::from_millis(4);
    let faults = [(60, Injected::Panic)];
    let flight = flight(source, Schedule::Threads, (&faults, &[70]))
        .with_follower(Drifter::factory(&faults, Duration::from_millis(15)));
    let summary = fly_into(&at("run"), flight);
    assert_balanced(&summary);
    let [source, follow] = ["source", "follow"].map(|name| summary.branch(name).unwrap());
    assert!(source.dropped < 30, "the entrance drops for the odometry alone: {source:?}");
    assert!(follow.dropped > 60, "{follow:?}");
    let repeated = replay(&at("run"), &at("again"), None);
    assert_balanced(&repeated);
    assert_eq!(bytes(&at("run")), bytes(&at("again")));
}

#[test]
fn a_record_cut_short_is_followed_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fly(&at("run"), Schedule::Threads, (&[(9, Injected::Panic)], &[]));
    let whole = fs::read_to_string(at("run").join(TARGET)).unwrap();
    let cut: String = whole.lines().take(21).map(|line| format!("{line}\n")).collect();
    fs::write(at("run").join(TARGET), cut).unwrap();
    replay(&at("run"), &at("again"), Some(Made::recorded(40)));
    assert_eq!(fs::read_to_string(at("again").join(TARGET)).unwrap(), whole);
}

#[test]
fn the_application_sees_what_the_tracker_saw() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    flight(Made::recorded(6), Schedule::Threads, (&[], &[]))
        .target_observed_by(move |followed| {
            log.lock().unwrap().push((followed.frame.seq, followed.target.is_some()));
        })
        .run()
        .unwrap();
    let expected: Vec<_> = (0..6).map(|seq| (seq, seq >= 2)).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
}
