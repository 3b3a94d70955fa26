//! The graph under injected faults: nothing is lost without being counted, and nothing but the faulty stage pays.
#![allow(clippy::unwrap_used, clippy::panic, reason = "the helpers of tests may, as the tests themselves do")]

mod common;

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{assert_counted, frame, frame_at};
use geometry::Frame;
use kestrel_runtime::graph::*;

/// Fails in the way its table says for a frame's number.
struct Faulty {
    faults: fn(u64) -> Option<Injected>,
}

#[derive(Clone, Copy)]
enum Injected {
    Panic,
    Error,
    Stall,
    Hang,
}

impl Stage for Faulty {
    type Input = Frame;
    type Output = u64;

    fn process(&mut self, input: &Packet<Frame>) -> Result<Option<u64>, StageError> {
        match (self.faults)(input.seq) {
            // Without the panic hook, whose backtrace may take longer than the deadline.
            Some(Injected::Panic) => std::panic::resume_unwind(Box::new("injected")),
            Some(Injected::Error) => Err("injected".into()),
            Some(Injected::Stall) => {
                std::thread::sleep(Duration::from_millis(300));
                Ok(Some(input.seq))
            }
            Some(Injected::Hang) => loop {
                std::thread::park();
            },
            None => Ok(Some(input.seq)),
        }
    }

    fn reset(&mut self) {}
}

#[derive(Clone, Default)]
struct Seen {
    log: Arc<Mutex<Vec<(String, Instant)>>>,
}

impl Seen {
    fn note(&self, what: impl Into<String>) {
        self.log.lock().unwrap().push((what.into(), Instant::now()));
    }

    fn words(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().map(|(what, _)| what.clone()).collect()
    }
}

impl Stage for Seen {
    type Input = u64;
    type Output = ();

    fn process(&mut self, input: &Packet<u64>) -> Result<Option<()>, StageError> {
        self.note(input.payload.to_string());
        Ok(Some(()))
    }

    fn reset(&mut self) {
        self.note("reset");
    }
}

struct Run {
    seen: Seen,
    meters: Vec<Arc<Meter>>,
    starts: u64,
    hung: Vec<HungStage>,
    escalated: Vec<HungStage>,
}

fn fly(
    schedule: Schedule,
    limiter: Limiter,
    faults: fn(u64) -> Option<Injected>,
    frames: Vec<Option<Frame>>,
) -> Run {
    let (seen, starts) = (Seen::default(), Arc::new(AtomicU64::new(0)));
    let mut graph = Graph::new(schedule);
    let source = graph.entrance(limiter);
    let supervision =
        Supervision { max_stalls_in_a_row: 3, ..Supervision::with_deadline(Duration::from_millis(100)) };
    let count = Arc::clone(&starts);
    let stage = graph.stage("faulty", source.frames.block(4), supervision, move || {
        count.fetch_add(1, SeqCst);
        Ok(Faulty { faults })
    });
    let (all, newest) = (seen.clone(), Seen::default());
    graph.sink("all", stage.block(4), Supervision::default(), move || Ok(all.clone()));
    graph.sink("newest", stage.latest(), Supervision::default(), move || Ok(newest.clone()));
    let meters = graph.meters();
    let mut escalated = Vec::new();
    let mut escalate = |hung: &HungStage| escalated.push(hung.clone());
    let cancel = CancelFlag::default();
    let mut watch = Watch { cancel: cancel.clone(), escalate: &mut escalate, source_timeout: None };
    let hung = graph
        .run(&mut watch, move |entrance, step| {
            for frame in frames {
                if cancel.is_cancelled() {
                    break;
                }
                match frame {
                    Some(frame) => entrance.offer(frame),
                    None => entrance.fail(),
                }
                step();
            }
        })
        .unwrap();
    Run { seen, meters, starts: starts.load(SeqCst), hung, escalated }
}

fn assert_balanced(run: &Run) {
    run.meters.iter().for_each(|meter| assert_counted(meter.name(), meter.counters()));
}

fn counters(run: &Run, name: &str) -> BranchCounters {
    run.meters.iter().find(|meter| meter.name() == name).unwrap().counters()
}

fn mixed(seq: u64) -> Option<Injected> {
    match seq {
        3 => Some(Injected::Panic),
        6 => Some(Injected::Error),
        9 => Some(Injected::Stall),
        _ => None,
    }
}

/// Frames 0..30 at 30 Hz, with an unreadable one, a duplicate, a straggler and a leap.
fn troubled() -> Vec<Option<Frame>> {
    let mut frames: Vec<_> = (0..30).map(|seq| Some(frame(seq))).collect();
    frames[12] = None;
    frames[15] = Some(frame_at(15, 14 * 33_333_333));
    frames[18] = Some(frame_at(18, 3 * 33_333_333));
    frames[21] = Some(frame_at(21, 900_000_000_000));
    frames
}

#[test]
fn every_branch_balances_under_every_fault_and_the_stage_is_back_within_a_second() {
    let run = fly(Schedule::Threads, Limiter::Wait(1), mixed, troubled());
    assert_balanced(&run);
    let faulty = counters(&run, "faulty");
    assert_eq!((faulty.received, faulty.failed, faulty.out), (29, 6, 23));
    assert_eq!((faulty.restarts, faulty.stalls, run.starts), (3, 1, 4));
    assert_eq!((counters(&run, "source").failed, counters(&run, "all").out), (1, 23));
    assert!(run.hung.is_empty() && run.escalated.is_empty());

    let log = run.seen.log.lock().unwrap();
    assert_eq!(log.iter().filter(|(what, _)| what == "reset").count(), 3);
    for (after, _) in log.iter().enumerate().filter(|(_, (what, _))| what == "reset") {
        // The frame before the fault, the reset, the frame after it: the whole hole is shorter than a second.
        assert!(log[after + 1].1 - log[after - 1].1 < Duration::from_secs(1));
    }
}

#[test]
fn the_late_output_of_an_abandoned_worker_is_discarded() {
    let run = fly(Schedule::Threads, Limiter::Wait(1), mixed, (0..20).map(|seq| Some(frame(seq))).collect());
    std::thread::sleep(Duration::from_millis(400));
    let words = run.seen.words();
    assert!(!words.contains(&"9".to_string()) && words.contains(&"19".to_string()), "{words:?}");
}

#[test]
fn both_schedules_tell_the_same_story() {
    let without_stall = |seq| mixed(seq).filter(|injected| !matches!(injected, Injected::Stall));
    let threads = fly(Schedule::Threads, Limiter::Wait(1), without_stall, troubled());
    let inline = fly(Schedule::Inline, Limiter::Wait(1), without_stall, troubled());
    assert_eq!(threads.seen.words(), inline.seen.words());
    assert_eq!(counters(&threads, "faulty"), counters(&inline, "faulty"));
    assert_balanced(&inline);
}

#[test]
fn a_live_source_is_never_held_back() {
    let slow = |seq| (seq == 1).then_some(Injected::Stall);
    let run = fly(Schedule::Threads, Limiter::Drop(2), slow, (0..200).map(|seq| Some(frame(seq))).collect());
    assert_balanced(&run);
    let source = counters(&run, "source");
    assert!(source.dropped > 0 && source.received == 200, "{source:?}");
}

#[test]
fn a_stage_that_hangs_for_good_escalates_and_the_graph_still_ends() {
    let began = Instant::now();
    let frames = (0..1000).map(|seq| Some(frame(seq))).collect();
    let run = fly(Schedule::Threads, Limiter::Wait(1), |seq| (seq >= 5).then_some(Injected::Hang), frames);
    assert_eq!(run.escalated, [HungStage { stage: "faulty", stalls: 3 }]);
    assert_eq!(run.hung, run.escalated);
    assert_balanced(&run);
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_stage_that_cannot_be_made_fails_its_frames_and_is_tried_again() {
    struct Never;
    impl Stage for Never {
        type Input = Frame;
        type Output = ();
        fn process(&mut self, _: &Packet<Frame>) -> Result<Option<()>, StageError> {
            Ok(Some(()))
        }
        fn reset(&mut self) {}
    }
    let mut graph = Graph::new(Schedule::Inline);
    let source = graph.entrance(Limiter::Wait(1));
    let tries = AtomicU64::new(0);
    graph.sink("never", source.frames.block(1), Supervision::default(), move || {
        if tries.fetch_add(1, SeqCst) < 3 { Err("no such model".into()) } else { Ok(Never) }
    });
    let meters = graph.meters();
    common::run(graph, (0..10).map(frame).collect());
    let counters = meters[1].counters();
    assert_eq!((counters.failed, counters.out, counters.restarts), (3, 7, 3));
}
