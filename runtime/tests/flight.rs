//! Whole flights: what they leave behind, and that a replay repeats them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may, as the tests themselves do")]

mod common;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::*;
use datasets::SourceSpec;
use geometry::Frame;
use kestrel_runtime::graph::{CancelFlag, Schedule};
use kestrel_runtime::run::*;
use kestrel_runtime::sinks::files::{Disk, Record, Storage};
use kestrel_runtime::{Ended, Flight, FlightConfig, FlightSummary, Replay, RuntimeError, replay};

const COMPARED: [&str; 4] = [TRAJECTORY_TUM, TRAJECTORY_KITTI, ODOMETRY, ADMITTED];

fn config(schedule: Schedule) -> FlightConfig {
    FlightConfig { schedule, source_spec: SourceSpec::new("made"), ..FlightConfig::default() }
}

/// 40 frames with an unreadable one, a duplicate stamp and a straggler.
fn troubled() -> Vec<Option<Frame>> {
    let mut frames: Vec<_> = (0..40).map(|seq| Some(frame(seq))).collect();
    frames[7] = None;
    frames[12] = Some(frame_at(12, 11 * 33_333_333));
    frames[20] = Some(frame_at(20, 5 * 33_333_333));
    frames
}

fn fly(source: Made, out: &Path, schedule: Schedule, faults: &[u64]) -> FlightSummary {
    let estimator = DeadReckoning::factory(faults, Duration::ZERO);
    fly_into(out, Flight::new(Box::new(source), config(schedule)).with_estimator(estimator))
}

fn bytes(run: &Path) -> Vec<Vec<u8>> {
    contents(run, &COMPARED)
}

fn lines(run: &Path, name: &str) -> Vec<String> {
    fs::read_to_string(run.join(name)).unwrap().lines().map(str::to_string).collect()
}

#[test]
fn a_flight_accounts_for_every_frame() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let summary = fly(Made::of(troubled(), false), &out, Schedule::Threads, &[30]);
    assert_eq!((summary.frames, summary.resets, &summary.ended), (40, 1, &Ended::EndOfSource));
    assert_eq!(summary.source_errors, ["can't decode image made/000007.png: truncated"]);
    assert!(!summary.is_clean());
    assert_balanced(&summary);
    assert_eq!(lines(&out, TRAJECTORY_KITTI).len(), 40);
    let outcomes: Vec<_> =
        lines(&out, ADMITTED)[1..].iter().map(|l| l.rsplit(',').next().unwrap().to_string()).collect();
    let expected = |i| match i {
        7 | 12 | 20 => "failed",
        30 => "restarted",
        _ => "admitted",
    };
    assert_eq!(outcomes, (0..40).map(expected).collect::<Vec<_>>());
    let kitti = lines(&out, TRAJECTORY_KITTI);
    assert!(
        kitti[7] == kitti[6] && kitti[8] != kitti[7] && kitti.iter().all(|row| row.split(' ').count() == 12)
    );
    // 36 frames came out; of these 2 are initialising at the start and 2 after the restart.
    assert_eq!((lines(&out, ODOMETRY).len(), lines(&out, TRAJECTORY_TUM).len() - 1), (36, 32));
    assert_eq!(summary.tracked_frames, 32);
    let metrics: serde_json::Value = serde_json::from_slice(&fs::read(out.join(METRICS)).unwrap()).unwrap();
    for key in [
        "frames",
        "tracked_frames",
        "resets",
        "cpu_ms_per_frame",
        "process_cpu_s",
        "fps",
        "latency",
        "branches",
        "assumptions",
    ] {
        assert!(!metrics[key].is_null(), "{key}");
    }
    assert_eq!(metrics["branches"][1]["in"], 39);
}

#[test]
fn the_trajectory_goes_on_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    fly(Made::recorded(20), &out, Schedule::Inline, &[10]);
    let x: Vec<f64> =
        lines(&out, TRAJECTORY_KITTI).iter().map(|l| l.split(' ').nth(3).unwrap().parse().unwrap()).collect();
    assert!(x.windows(2).all(|pair| pair[1] >= pair[0] && pair[1] - pair[0] < 0.05), "{x:?}");
}

#[test]
fn a_replay_repeats_the_flight_to_the_byte_restarts_included() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fly(Made::of(troubled(), false), &at("run"), Schedule::Threads, &[30]);
    for name in ["first", "second"] {
        let again = Replay::open(&at("run"), |manifest| {
            assert_eq!(manifest.source.spec, "made");
            Ok(Box::new(Made::of(troubled(), false)))
        });
        // No fault is injected this time: the restart comes from the record.
        let again = again.unwrap().with_estimator(DeadReckoning::factory(&[], Duration::ZERO));
        assert_eq!(again.run(RunDirectory::create(&at(name)).unwrap()).unwrap().frames, 40);
    }
    assert_eq!(bytes(&at("first")), bytes(&at("second")));
    assert_eq!(bytes(&at("run")), bytes(&at("first")));
}

#[test]
fn a_live_flight_is_replayed_from_its_own_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut source = Made::of((0..120).map(|seq| Some(frame(seq))).collect(), true);
    source.period = Duration::from_millis(1);
    let summary = Flight::new(Box::new(source), config(Schedule::Threads))
        .with_estimator(DeadReckoning::factory(&[], Duration::from_millis(5)))
        .into_run(RunDirectory::create(&at("run")).unwrap())
        .run()
        .unwrap();
    let source = summary.branch("source").unwrap();
    assert!(source.dropped > 20 && source.out > 10, "{source:?}");
    assert_eq!(lines(&at("run"), TRAJECTORY_KITTI).len(), 120);

    replay_into(&at("again"), replay_of(&at("run"), None));
    assert_eq!(bytes(&at("run")), bytes(&at("again")));
}

#[test]
fn a_replay_of_another_source_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fly(Made::recorded(10), &at("run"), Schedule::Inline, &[]);
    let shorter = replay(&at("run"), &at("again"), |_| Ok(Box::new(Made::recorded(5))));
    assert!(matches!(shorter, Err(RuntimeError::ReplayMismatch { seq: 5, .. })), "{shorter:?}");
}

#[test]
fn both_schedules_write_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fly(Made::of(troubled(), false), &at("threads"), Schedule::Threads, &[30]);
    fly(Made::of(troubled(), false), &at("inline"), Schedule::Inline, &[30]);
    assert_eq!(bytes(&at("threads")), bytes(&at("inline")));
}

#[test]
fn a_cancelled_flight_ends_with_everything_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let cancel = CancelFlag::default();
    let stop = cancel.clone();
    let mut source = Made::recorded(100_000);
    source.period = Duration::from_micros(200);
    let summary = Flight::new(Box::new(source), config(Schedule::Threads))
        .with_estimator(DeadReckoning::factory(&[], Duration::ZERO))
        .into_run(RunDirectory::create(&out).unwrap())
        .cancelled_by(cancel)
        .observed_by(move |progress| {
            if progress.frames_done == 50 {
                stop.cancel();
            }
        })
        .run()
        .unwrap();
    assert_eq!(summary.ended, Ended::Cancelled);
    assert_eq!(lines(&out, TRAJECTORY_KITTI).len() as u64, summary.frames);
}

#[test]
fn a_source_of_nothing_but_errors_ends_the_flight() {
    let source = Made::of(vec![None; 500], false);
    let summary = Flight::new(Box::new(source), config(Schedule::Threads)).run().unwrap();
    assert_eq!((summary.ended, summary.frames), (Ended::TooManySourceErrors, 51));
}

#[test]
fn a_silent_camera_ends_the_flight() {
    let mut source = Made::of(vec![Some(frame(0)); 2], true);
    source.period = Duration::from_secs(3);
    let config = FlightConfig { source_timeout: Duration::from_millis(200), ..config(Schedule::Threads) };
    let summary = Flight::new(Box::new(source), config).run().unwrap();
    assert_eq!(summary.ended, Ended::SourceSilent);
}

/// A disk on which every file takes `room` bytes and no more.
struct Small {
    room: usize,
}

struct SmallFile {
    file: Box<dyn Record>,
    room: usize,
}

impl Storage for Small {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Record>> {
        Ok(Box::new(SmallFile { file: Disk.create(path)?, room: self.room }))
    }
}

impl Write for SmallFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = self.file.write(&data[..data.len().min(self.room)])?;
        self.room -= written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Record for SmallFile {
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
}

#[test]
fn a_full_disk_is_told_once_per_file_and_leaves_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let summary = Flight::new(Box::new(Made::recorded(200)), config(Schedule::Threads))
        .with_estimator(DeadReckoning::factory(&[], Duration::ZERO))
        .with_storage(Arc::new(Small { room: 1000 }))
        .into_run(RunDirectory::create(&out).unwrap())
        .run()
        .unwrap();
    assert_eq!((summary.frames, &summary.ended, summary.is_clean()), (200, &Ended::EndOfSource, false));
    assert_eq!(summary.recording_faults.len(), 4, "{:?}", summary.recording_faults);
    assert!(summary.recording_faults[1].contains("trajectory.tum"), "{:?}", summary.recording_faults);
    let kitti = fs::read_to_string(out.join(TRAJECTORY_KITTI)).unwrap();
    assert!(
        kitti.ends_with('\n') && kitti.len() <= 1000 && kitti.lines().all(|row| row.split(' ').count() == 12)
    );
    for row in lines(&out, ODOMETRY) {
        serde_json::from_str::<serde_json::Value>(&row).unwrap();
    }
}

#[test]
fn no_image_is_copied_on_its_way() {
    let frames: Vec<_> = (0..20).map(frame).collect();
    let sent: Vec<_> = frames.iter().map(|frame| frame.gray.as_slice().as_ptr() as usize).collect();
    let kept = frames.clone();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let source = Made::of(frames.into_iter().map(Some).collect(), false);
    Flight::new(Box::new(source), config(Schedule::Threads))
        .with_estimator(DeadReckoning::factory(&[], Duration::ZERO))
        .observed_by(move |progress| {
            log.lock().unwrap().push(progress.latest.frame.gray.as_slice().as_ptr() as usize);
        })
        .run()
        .unwrap();
    assert_eq!(*seen.lock().unwrap(), sent);
    drop(kept);
}
