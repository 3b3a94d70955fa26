//! The rerun sink: what it writes, and that nobody waits for it.
#![cfg(feature = "viewer")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may, as the tests themselves do")]

mod common;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use common::{DeadReckoning, Made, Seer};
use kestrel_runtime::run::{RECORDING, RunDirectory};
use kestrel_runtime::stages::DetectChoice;
use kestrel_runtime::{Flight, FlightConfig, Viewer};

/// An address where connections are accepted and nothing is ever read.
fn deaf_listener() -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("rerun+http://{}/proxy", listener.local_addr().unwrap());
    let accepted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&accepted);
    std::thread::spawn(move || {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            flag.store(true, SeqCst);
            held.push(stream);
        }
    });
    (address, accepted)
}

#[test]
fn a_viewer_that_never_reads_adds_nothing_to_the_latency() {
    let fly = |viewer: Viewer| {
        let began = Instant::now();
        let config = FlightConfig { viewer, ..FlightConfig::default() };
        let summary = Flight::new(Box::new(Made::recorded(1_000)), config)
            .with_estimator(DeadReckoning::factory(&[], Duration::from_millis(2)))
            .run()
            .unwrap();
        assert_eq!(summary.branch("odometry").unwrap().out, 1_000);
        (summary.latency("source->odometry").unwrap().p50_ms, began.elapsed())
    };
    let (alone, _) = fly(Viewer::Headless);
    let (address, accepted) = deaf_listener();
    let (beside, took) = fly(Viewer::Connect(address));
    assert!(accepted.load(SeqCst), "nobody called the deaf viewer");
    println!("median {alone:.3} ms alone, {beside:.3} ms beside a viewer that never reads");
    assert!(beside < alone * 1.5 + 0.5, "{alone} ms alone, {beside} ms beside a deaf viewer");
    assert!(took < Duration::from_secs(20), "the end waited for the viewer: {took:?}");
}

#[test]
fn a_recording_is_whole_when_the_flight_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let config = FlightConfig { recording: true, ..FlightConfig::default() };
    let choice = DetectChoice {
        detector: "seer".to_owned(),
        fingerprint: String::new(),
        classes: vec!["car".to_owned(), "bus".to_owned()],
        score_threshold: None,
        every: 2,
    };
    let summary = Flight::new(Box::new(Made::recorded(300)), config)
        .with_estimator(DeadReckoning::factory(&[], Duration::ZERO))
        .with_detector(choice, Seer::factory(&[], Duration::ZERO))
        .into_run(RunDirectory::create(&out).unwrap())
        .run()
        .unwrap();
    let shown = summary.branch("detection recording").unwrap();
    assert_eq!((shown.out, shown.failed), (300, 0));
    let bytes = std::fs::read(out.join(RECORDING)).unwrap();
    let footer = b"RRF2FOOT";
    assert!(
        bytes.starts_with(b"RRF2") && bytes.windows(footer.len()).any(|w| w == footer),
        "{} bytes",
        bytes.len()
    );
    println!("{} bytes for 300 frames", bytes.len());
}
