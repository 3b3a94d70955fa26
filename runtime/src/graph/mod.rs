//! The graph: how stages are put together and kept alive.
//!
//! # In five minutes
//!
//! A [`Stage`] is a value with `process(&mut self, input) -> Result<Option<Output>, StageError>`. It has no threads, no
//! channels and no clock; it can be tested by calling it. What travels between stages is a [`Packet`]: the stamp and the
//! number of a frame, a payload behind `Arc` (an image is never copied) and a [`Trace`] of where it has been.
//!
//! A [`Graph`] is written down from the entrance to the sinks. Each stage gives a [`Port`], and each consumer says how
//! it wants to be linked to one:
//!
//! ```
//! # use kestrel_runtime::graph::*;
//! # use geometry::Frame;
//! # struct Size; struct Print;
//! # impl Stage for Size {
//! #     type Input = Frame; type Output = (usize, usize);
//! #     fn process(&mut self, p: &Packet<Frame>) -> Result<Option<(usize, usize)>, StageError> { Ok(Some(p.payload.size())) }
//! #     fn reset(&mut self) {}
//! # }
//! # impl Stage for Print {
//! #     type Input = (usize, usize); type Output = ();
//! #     fn process(&mut self, _: &Packet<(usize, usize)>) -> Result<Option<()>, StageError> { Ok(None) }
//! #     fn reset(&mut self) {}
//! # }
//! # use std::time::Duration;
//! let mut graph = Graph::new(Schedule::Threads);
//! let frames = graph.entrance(Limiter::Drop(2)).frames;
//! let sizes = graph.stage("size", frames.block(2), Supervision::with_deadline(Duration::from_secs(1)), || Ok(Size));
//! graph.sink("print", sizes.latest(), Supervision::default(), || Ok(Print));
//! ```
//!
//! - [`Port::block`] loses nothing and may hold the producer back; [`Port::latest`] keeps only the newest packet and holds
//!   nobody back. [`Input::merged`] brings several ports into one stage, and [`Join`] joins two by their stamps.
//! - The [`Entrance`] is the only place where frames are dropped on purpose, each one counted; every input frame also
//!   gives an [`Admission`], which is what a replay goes by.
//! - [`Schedule::Threads`] gives each stage a thread; [`Schedule::Inline`] runs the same stages one after the other.
//! - Each stage is made by a factory. A panic, an error or a missed deadline costs that stage a restart and its consumers
//!   a [`Message::Reset`]; see [`Supervision`]. A bad stamp costs one frame; see [`StampGate`].
//! - A replay is told by a [`BranchRecord`] which frames a stage dropped or was restarted by.
//! - Each branch (a stage with the link into it) has a [`Meter`]: `in = out + dropped + failed`, always, and the latency
//!   from the entrance.
//!
//! Invariant: nothing here knows what a frame is good for; `stages` and `sinks` do.

mod branch;
mod cpu;
mod entrance;
mod gate;
mod histogram;
mod join;
mod link;
mod meter;
mod packet;
mod port;
mod schedule;
mod stage;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

pub use branch::BranchRecord;
use branch::{Branch, Desk, Node, Worker};
pub use cpu::{process_cpu, thread_cpu};
pub use entrance::{Admission, Entrance, Limiter, Outcome};
pub use gate::StampGate;
use geometry::Frame;
pub use histogram::{Histogram, LatencySummary};
pub use join::{Either, Join, Joined, LatestAt};
pub use link::{Link, Received, Receiver, Sender, link};
pub use meter::{BranchCounters, Meter};
pub use packet::{Fault, Hop, Loss, Message, Packet, Trace};
pub use port::{Input, Port, Tap};
pub use schedule::{CancelFlag, HungStage, Schedule, Watch};
pub use stage::{Stage, StageError, Supervision};

/// Room of every `Block` link of the inline schedule, which drains each after every frame and must never wait.
const INLINE_ROOM: usize = 256;

/// Stages and links, put together and ready to run.
pub struct Graph {
    schedule: Schedule,
    warm_up: u64,
    checks_stamps: bool,
    entrance: Option<Arc<Entrance>>,
    nodes: Vec<Arc<dyn Node>>,
    records: BTreeMap<&'static str, BranchRecord>,
}

/// What comes out of the entrance.
pub struct Source {
    /// The frames that were let in.
    pub frames: Port<Frame>,
    /// One for each input frame, let in or not, before the frame itself.
    pub admissions: Port<Admission>,
}

impl Graph {
    /// A graph without stages.
    pub fn new(schedule: Schedule) -> Self {
        Self {
            schedule,
            warm_up: 0,
            checks_stamps: true,
            entrance: None,
            nodes: Vec::new(),
            records: BTreeMap::new(),
        }
    }

    /// Leaves the first `packets` of each branch out of its latencies: caches are cold and buffers still being made.
    pub fn with_warm_up(self, packets: u64) -> Self {
        Self { warm_up: packets, ..self }
    }

    /// Believes every stamp: for replays, whose stamps were checked in flight.
    pub fn without_stamp_checks(self) -> Self {
        Self { checks_stamps: false, ..self }
    }

    /// Lets the stage of that name drop and restart where it did in a recorded flight.
    pub fn repeating(mut self, stage: &'static str, record: BranchRecord) -> Self {
        self.records.insert(stage, record);
        self
    }

    /// The way in. A graph has one; a second call replaces the first.
    pub fn entrance(&mut self, limiter: Limiter) -> Source {
        let (frames, admissions) = (Port::new(), Port::new());
        let meter = Arc::new(Meter::new("source", 0));
        let entrance = Entrance::new(frames.outlets(), admissions.outlets(), limiter, meter);
        self.entrance = Some(Arc::new(entrance));
        Source { frames, admissions }
    }

    /// Adds a stage behind those that feed it. The factory makes it, at the start and after each fault.
    pub fn stage<S: Stage>(
        &mut self,
        name: &'static str,
        input: Input<S::Input>,
        supervision: Supervision,
        factory: impl Fn() -> Result<S, StageError> + Send + Sync + 'static,
    ) -> Port<S::Output> {
        self.add(name, input, supervision, Box::new(factory), true)
    }

    /// Adds a stage that nothing follows.
    pub fn sink<S: Stage<Output = ()>>(
        &mut self,
        name: &'static str,
        input: Input<S::Input>,
        supervision: Supervision,
        factory: impl Fn() -> Result<S, StageError> + Send + Sync + 'static,
    ) {
        self.add(name, input, supervision, Box::new(factory), false);
    }

    fn add<S: Stage>(
        &mut self,
        name: &'static str,
        input: Input<S::Input>,
        supervision: Supervision,
        factory: Box<dyn Fn() -> Result<S, StageError> + Send + Sync>,
        measures_cpu: bool,
    ) -> Port<S::Output> {
        let meter = Arc::new(Meter::new(name, self.warm_up));
        let policy = match (self.schedule, input.link) {
            (Schedule::Inline, Link::Block(_)) => Link::Block(INLINE_ROOM),
            (_, policy) => policy,
        };
        let (sender, inbox) = link(policy, &meter);
        let gate = (self.checks_stamps && input.checks_stamps).then(Mutex::default);
        input.attach(&sender);
        let port = Port::new();
        self.nodes.push(Arc::new(Branch {
            inbox,
            outlets: port.outlets(),
            factory,
            supervision,
            meter,
            gate,
            link: policy,
            measures_cpu,
            record: self.records.remove(name).unwrap_or_default(),
            desk: Mutex::new(Desk::default()),
            inline: Mutex::new(Worker::inline()),
            given_up: AtomicBool::new(false),
        }));
        port
    }

    /// The instruments of the entrance and of every branch, in the order in which they were added.
    pub fn meters(&self) -> Vec<Arc<Meter>> {
        let entrance = self.entrance.iter().map(|entrance| Arc::clone(entrance.meter()));
        entrance.chain(self.nodes.iter().map(|node| Arc::clone(node.meter()))).collect()
    }

    /// Runs until `pump` returns and every frame is through. `pump` feeds the entrance; it calls the function it is
    /// given after each frame, which lets the inline schedule do its work. Returns the stages that hung for good.
    ///
    /// # Errors
    /// Where the system gives no threads.
    pub fn run(
        mut self,
        watch: &mut Watch<'_>,
        pump: impl FnOnce(&Entrance, &dyn Fn()) + Send + 'static,
    ) -> std::io::Result<Vec<HungStage>> {
        let Some(entrance) = self.entrance.take() else { return Ok(Vec::new()) };
        match self.schedule {
            Schedule::Inline => {
                schedule::run_inline(&self.nodes, &entrance, |step| pump(&entrance, step));
                Ok(Vec::new())
            }
            Schedule::Threads => {
                let source = Arc::clone(&entrance);
                schedule::run_threads(&self.nodes, &entrance, move || pump(&source, &|| ()), watch)
            }
        }
    }
}
