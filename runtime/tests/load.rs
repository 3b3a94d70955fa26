//! What must not grow and what must not wait.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may, as the tests themselves do")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{DeadReckoning, frame};
use geometry::Frame;
use kestrel_runtime::graph::*;
use kestrel_runtime::run::RunDirectory;
use kestrel_runtime::{Flight, FlightConfig};

/// Pages of this process in memory, in KiB.
fn resident_kib() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4
}

#[test]
fn memory_stays_flat_over_ten_thousand_frames() {
    let folder = tempfile::tempdir().unwrap();
    let warm = Arc::new(std::sync::Mutex::new((0, 0)));
    let seen = Arc::clone(&warm);
    // Made as they are asked for: the source itself must not hold ten thousand images.
    let source = common::Endless::new(12_000);
    let summary = Flight::new(Box::new(source), FlightConfig::default())
        .with_estimator(DeadReckoning::factory(&[], Duration::ZERO))
        .into_run(RunDirectory::create(&folder.path().join("run")).unwrap())
        .observed_by(move |progress| match progress.frames_done {
            2_000 => seen.lock().unwrap().0 = resident_kib(),
            12_000 => seen.lock().unwrap().1 = resident_kib(),
            _ => {}
        })
        .run()
        .unwrap();
    let (after_warm_up, at_the_end) = *warm.lock().unwrap();
    assert_eq!(summary.frames, 12_000);
    assert!(
        at_the_end < after_warm_up + 4096,
        "{after_warm_up} KiB after 2000 frames, {at_the_end} KiB after 12000"
    );
}

/// A stage that takes its time, or for ever.
struct Sleeper(Duration);

impl Stage for Sleeper {
    type Input = Frame;
    type Output = ();

    fn process(&mut self, _: &Packet<Frame>) -> Result<Option<()>, StageError> {
        std::thread::sleep(self.0);
        Ok(Some(()))
    }

    fn reset(&mut self) {}
}

/// Median latency of a millisecond's work beside a viewer that takes `viewer` per frame, and how long it all took.
fn latency_beside(viewer: Option<Duration>) -> (f64, Duration) {
    let began = Instant::now();
    let mut graph = Graph::new(Schedule::Threads).with_warm_up(10);
    let source = graph.entrance(Limiter::Wait(1));
    let work = || Ok(Sleeper(Duration::from_millis(1)));
    graph.sink("work", source.frames.block(2), Supervision::default(), work);
    if let Some(time) = viewer {
        graph.sink("viewer", source.frames.latest(), Supervision::default(), move || Ok(Sleeper(time)));
    }
    let meters = graph.meters();
    common::run(graph, (0..200).map(frame).collect());
    meters.iter().for_each(|meter| common::assert_counted(meter.name(), meter.counters()));
    (meters[1].latency().p50_ms, began.elapsed())
}

#[test]
fn a_viewer_that_never_returns_adds_nothing_to_the_latency() {
    let (alone, _) = latency_beside(None);
    let (beside, took) = latency_beside(Some(Duration::from_secs(3600)));
    assert!(beside < alone * 1.5 + 0.5, "{alone} ms alone, {beside} ms beside a dead viewer");
    assert!(took < Duration::from_secs(5), "the end waited for the viewer: {took:?}");
}

/// A loose guard for a machine under any load; `benches/hops.rs` has the figures.
#[test]
fn a_hop_costs_microseconds() {
    let meter = Arc::new(Meter::new("hop", 0));
    for policy in [Link::Block(4), Link::Latest] {
        let (sender, receiver) = link::<Instant>(policy, &meter);
        let consumer = std::thread::spawn(move || {
            let mut hops = Vec::new();
            loop {
                match receiver.receive(Duration::from_millis(100)) {
                    Received::Message(Message::Packet(packet)) => hops.push(packet.payload.elapsed()),
                    Received::Message(_) | Received::Nothing => {}
                    Received::End => return hops,
                }
            }
        });
        for seq in 0..500 {
            let stamp = geometry::Timestamp::from_nanos(seq as i64);
            sender.send(Message::Packet(Packet {
                stamp,
                seq,
                payload: Arc::new(Instant::now()),
                trace: None,
            }));
            std::thread::sleep(Duration::from_micros(200));
        }
        drop(sender);
        let mut hops = consumer.join().unwrap();
        hops.sort();
        let median = hops[hops.len() / 2];
        println!("one hop over {policy:?}: median {median:?}");
        assert!(median < Duration::from_millis(2), "{policy:?}: {median:?}");
    }
}
