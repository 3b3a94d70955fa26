//! The two ways to run a graph.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::{Deserialize, Serialize};

use super::branch::{Node, Successor};
use super::entrance::Entrance;

/// How a graph runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// Each stage on a thread of its own, with a watchdog: for flying.
    #[default]
    Threads,
    /// All stages one after the other, after each frame, on the calling thread: for tests, replay and evaluation. Knows no
    /// time, so there are no deadlines and no pauses.
    Inline,
}

/// Asks a running graph to come to its end, as Ctrl-C does. Clones ask the same graph.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Asks for the end.
    pub fn cancel(&self) {
        self.0.store(true, SeqCst);
    }

    /// Whether the end was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(SeqCst)
    }
}

/// A stage that hangs again and again; the process is beyond the graph's help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stage {stage} hung {stalls} times in a row")]
pub struct HungStage {
    /// Its name.
    pub stage: &'static str,
    /// How often.
    pub stalls: u32,
}

/// What a graph needs to know of the world while it runs.
pub struct Watch<'a> {
    /// Asks for the end.
    pub cancel: CancelFlag,
    /// Called once for a stage that hangs for good. An application that flies exits the process here, and the service
    /// manager starts it again; where this returns, the graph gives the stage up and ends.
    pub escalate: &'a mut dyn FnMut(&HungStage),
    /// How long a source may be silent before the graph ends without it; `None` for sources that may take their time.
    pub source_timeout: Option<Duration>,
}

/// Time that a source has to notice a cancellation, and a disposable sink to finish once all else is done.
const GRACE: Duration = Duration::from_secs(1);
/// How often the watchdog looks: often enough for the shortest deadline, and not so often that looking costs anything.
const POLL: RangeInclusive<Duration> = Duration::from_millis(5)..=Duration::from_millis(50);
/// Looks per deadline.
const LOOKS: u32 = 20;
const SOURCE: usize = usize::MAX;

/// Runs `pump`, which feeds the entrance until the source ends, with every stage on the calling thread: it has to call the
/// function it is given after each frame.
pub(super) fn run_inline(nodes: &[Arc<dyn Node>], entrance: &Entrance, pump: impl FnOnce(&dyn Fn())) {
    pump(&|| nodes.iter().for_each(|node| node.work_inline()));
    entrance.close();
    nodes.iter().for_each(|node| node.finish_inline());
}

/// Runs `pump` and every stage on threads of their own and watches over them; returns when all is done. Returns the
/// stages that hung for good.
pub(super) fn run_threads(
    nodes: &[Arc<dyn Node>],
    entrance: &Arc<Entrance>,
    pump: impl FnOnce() + Send + 'static,
    watch: &mut Watch<'_>,
) -> std::io::Result<Vec<HungStage>> {
    let (done, finished) = bounded(nodes.len() + 1);
    let mut crew = Crew { nodes, open: vec![true; nodes.len()], done, hung: Vec::new() };
    for index in 0..nodes.len() {
        if let Err(error) = crew.hire(index, Successor::default()) {
            // The threads that already run see their producers go and end by themselves.
            entrance.close();
            return Err(error);
        }
    }
    let report = crew.done.clone();
    let source_entrance = Arc::clone(entrance);
    std::thread::Builder::new().name("source".into()).spawn(move || {
        pump();
        source_entrance.close();
        let _ = report.send(SOURCE);
    })?;
    crew.watch_over(&finished, entrance, watch);
    Ok(crew.hung)
}

struct Crew<'a> {
    nodes: &'a [Arc<dyn Node>],
    open: Vec<bool>,
    done: Sender<usize>,
    hung: Vec<HungStage>,
}

impl Crew<'_> {
    fn hire(&self, index: usize, successor: Successor) -> std::io::Result<()> {
        let node = Arc::clone(&self.nodes[index]);
        let done = self.done.clone();
        let name = node.meter().name().to_string();
        std::thread::Builder::new().name(name).spawn(move || {
            if node.work(successor) {
                let _ = done.send(index);
            }
        })?;
        Ok(())
    }

    fn watch_over(&mut self, finished: &Receiver<usize>, entrance: &Entrance, watch: &mut Watch<'_>) {
        let (mut patience, poll) = (Patience::new(), self.poll(watch));
        while self.open.contains(&true) {
            match finished.recv_timeout(poll) {
                Ok(index) => self.open.get_mut(index).into_iter().for_each(|open| *open = false),
                Err(_) => self.relieve_the_stalled(watch),
            }
            if patience.is_over_for_source(entrance, watch) {
                tracing::error!("the source is silent; ending without it");
                entrance.close();
            }
            if patience.is_over_for_disposables(self.only_disposables_are_open()) {
                self.abandon_the_rest();
            }
        }
    }

    fn poll(&self, watch: &Watch<'_>) -> Duration {
        let deadlines = self.nodes.iter().filter_map(|node| node.supervision().deadline);
        let shortest = deadlines.chain(watch.source_timeout).min();
        shortest.map_or(*POLL.end(), |shortest| (shortest / LOOKS).clamp(*POLL.start(), *POLL.end()))
    }

    fn relieve_the_stalled(&mut self, watch: &mut Watch<'_>) {
        for (index, node) in self.nodes.iter().enumerate() {
            let Some(stalled) = node.relieve() else { continue };
            let stage = node.meter().name();
            tracing::error!(
                stage,
                in_a_row = stalled.in_a_row,
                "the stage missed its deadline and is replaced"
            );
            if stalled.in_a_row == node.supervision().max_stalls_in_a_row {
                let hung = HungStage { stage, stalls: stalled.in_a_row };
                (watch.escalate)(&hung);
                self.hung.push(hung);
                node.give_up();
                watch.cancel.cancel();
            }
            if let Err(error) = self.hire(index, stalled.successor) {
                tracing::error!(stage, %error, "no thread for the stage's successor");
                node.abandon();
                self.open[index] = false;
            }
        }
    }

    fn only_disposables_are_open(&self) -> bool {
        self.open.iter().zip(self.nodes).all(|(open, node)| !open || node.is_disposable())
    }

    fn abandon_the_rest(&mut self) {
        for (open, node) in self.open.iter_mut().zip(self.nodes).filter(|(open, _)| **open) {
            tracing::warn!(stage = node.meter().name(), "left behind: it did not finish in time");
            node.abandon();
            *open = false;
        }
    }
}

/// How long some things have been waited for.
struct Patience {
    received: u64,
    source_moved: Instant,
    cancelled: Option<Instant>,
    rest_only: Option<Instant>,
}

impl Patience {
    fn new() -> Self {
        Self { received: 0, source_moved: Instant::now(), cancelled: None, rest_only: None }
    }

    fn is_over_for_source(&mut self, entrance: &Entrance, watch: &Watch<'_>) -> bool {
        if entrance.is_closed() {
            return false;
        }
        let received = entrance.meter().counters().received;
        if received != self.received {
            (self.received, self.source_moved) = (received, Instant::now());
        }
        if watch.cancel.is_cancelled() {
            return self.cancelled.get_or_insert_with(Instant::now).elapsed() > GRACE;
        }
        watch.source_timeout.is_some_and(|timeout| self.source_moved.elapsed() > timeout)
    }

    fn is_over_for_disposables(&mut self, rest_only: bool) -> bool {
        if !rest_only {
            self.rest_only = None;
            return false;
        }
        self.rest_only.get_or_insert_with(Instant::now).elapsed() > GRACE
    }
}
