//! A stage under supervision, with the link into it.
//!
//! A worker takes messages from the link and hands each to the stage. Before it does, it notes the job on the branch's
//! *desk*; afterwards it takes the note away again. The watchdog looks at the desk: a note that lies there for
//! longer than the deadline is taken away by the watchdog, which thereby decides that the job has failed, and a new worker
//! with a fresh stage takes over. A worker that comes back to find its note gone knows that it was given up, and leaves
//! without a word.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use geometry::Timestamp;

use super::cpu::thread_cpu;
use super::gate::StampGate;
use super::link::{Link, Received, Receiver};
use super::meter::Meter;
use super::packet::{Fault, Hop, Loss, Message, Packet};
use super::port::Outlets;
use super::stage::{Stage, StageError, Supervision};

/// How often an idle worker looks whether it is still wanted.
const IDLE: Duration = Duration::from_millis(100);

/// What a branch did not process in a recorded flight, for its replay: an inline schedule has neither faults of its own nor
/// newer packets that come too early.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BranchRecord {
    /// Numbers of the frames that cost its stage a restart.
    pub restarted: BTreeSet<u64>,
    /// Numbers of the frames that never reached its stage.
    pub dropped: BTreeSet<u64>,
}

type Factory<S> = Box<dyn Fn() -> Result<S, StageError> + Send + Sync>;

pub(super) struct Branch<S: Stage> {
    pub(super) inbox: Receiver<S::Input>,
    pub(super) outlets: Arc<Outlets<S::Output>>,
    pub(super) factory: Factory<S>,
    pub(super) supervision: Supervision,
    pub(super) meter: Arc<Meter>,
    pub(super) gate: Option<Mutex<StampGate>>,
    pub(super) link: Link,
    pub(super) measures_cpu: bool,
    /// Empty but in a replay.
    pub(super) record: BranchRecord,
    pub(super) desk: Mutex<Desk>,
    /// The stage of the inline schedule; on threads each worker owns its own.
    pub(super) inline: Mutex<Worker<S>>,
    /// Set where the branch was given up: everything that still comes fails at once.
    pub(super) given_up: AtomicBool,
}

/// What is being worked on.
#[derive(Debug, Default)]
pub(super) struct Desk {
    generation: u64,
    job: Option<Job>,
    stalls_in_a_row: u32,
}

#[derive(Clone, Debug)]
struct Job {
    since: Instant,
    seq: u64,
    stamp: Timestamp,
    /// Whether it is about a packet, rather than news of a loss or the end.
    is_packet: bool,
}

/// Who works: the stage, if it is in good health, and the faults since it last was.
pub(super) struct Worker<S> {
    generation: u64,
    stage: Option<S>,
    faults_in_a_row: u32,
    /// Whether to pause before a restart; the inline schedule knows no time.
    pauses: bool,
}

impl<S> Worker<S> {
    pub(super) fn inline() -> Self {
        Self { generation: 0, stage: None, faults_in_a_row: 0, pauses: false }
    }

    /// Throws the stage away; the next packet has another made.
    fn discard(&mut self) {
        // The destructor of a stage that is in disorder may well panic too.
        let broken = self.stage.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(broken)));
    }
}

/// The worker was given up while it worked.
struct GivenUp;

/// What the watchdog found.
#[derive(Debug)]
pub(super) struct Stalled {
    /// The worker that shall take over, and what it has to tell first.
    pub(super) successor: Successor,
    /// Stalls without a success in between, this one included.
    pub(super) in_a_row: u32,
}

/// The start of a worker.
#[derive(Debug, Default)]
pub(super) struct Successor {
    generation: u64,
    loss: Option<Loss>,
}

/// A branch as the schedules see it, whatever it carries.
pub(super) trait Node: Send + Sync {
    fn meter(&self) -> &Arc<Meter>;
    fn supervision(&self) -> &Supervision;
    /// Whether the graph may end without waiting for it.
    fn is_disposable(&self) -> bool;
    /// Works until the producers are gone; `false` where it was given up before.
    fn work(&self, successor: Successor) -> bool;
    /// Takes what there is now.
    fn work_inline(&self);
    /// Ends the inline work.
    fn finish_inline(&self);
    /// Takes the job away from a worker that is over its deadline.
    fn relieve(&self) -> Option<Stalled>;
    /// From now on everything fails at once, so that the rest of the graph can end.
    fn give_up(&self);
    /// Leaves a disposable branch to itself.
    fn abandon(&self);
}

impl<S: Stage> Branch<S> {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self, worker: &mut Worker<S>, message: Message<S::Input>) -> Result<(), GivenUp> {
        match message {
            Message::Packet(packet) => self.handle_packet(worker, &packet),
            Message::Lost(loss) => self.handle_loss(worker, &loss, false),
            Message::Reset(loss) => self.handle_loss(worker, &loss, true),
        }
    }

    fn handle_packet(&self, worker: &mut Worker<S>, packet: &Packet<S::Input>) -> Result<(), GivenUp> {
        if self.repeat(worker, packet) {
            return Ok(());
        }
        if let Err(last) = self.check_stamp(packet.stamp) {
            self.meter.count_failed();
            self.tell(self.loss(packet, Fault::BadStamp { last, found: packet.stamp }));
            return Ok(());
        }
        let (enter, cpu) = (Instant::now(), self.measures_cpu.then(thread_cpu));
        let result = self.attempt(worker, packet.seq, packet.stamp, true, |stage| stage.process(packet))?;
        let leave = Instant::now();
        match result {
            Ok(output) => {
                if let Some(before) = cpu {
                    self.meter.add_cpu(thread_cpu().saturating_sub(before));
                }
                self.deliver(packet, output, enter, leave);
            }
            Err(fault) => {
                self.meter.count_failed();
                self.tell(self.loss(packet, fault));
                self.pause(worker);
            }
        }
        Ok(())
    }

    /// Does as the recorded flight did, where that was not to process the packet.
    fn repeat(&self, worker: &mut Worker<S>, packet: &Packet<S::Input>) -> bool {
        if self.record.dropped.contains(&packet.seq) {
            self.meter.count_dropped();
            return true;
        }
        let is_restart = self.record.restarted.contains(&packet.seq);
        if is_restart {
            worker.discard();
            self.meter.count_restart();
            self.meter.count_failed();
            self.tell(self.loss(packet, Fault::Recorded));
        }
        is_restart
    }

    fn deliver(&self, packet: &Packet<S::Input>, output: Option<S::Output>, enter: Instant, leave: Instant) {
        if let Some(trace) = &packet.trace {
            self.meter.time(trace, enter, leave);
        }
        match output {
            Some(output) => {
                let mut packet = packet.with_payload(Arc::new(output));
                if let Some(trace) = &mut packet.trace {
                    trace.hops.push(Hop { stage: self.meter.name(), enter, leave });
                }
                self.outlets.send(&Message::Packet(packet));
            }
            None => self.tell(self.loss(packet, Fault::NoOutput)),
        }
        // Only now: while its output waits for room, a packet is still under way.
        self.meter.count_out();
    }

    fn handle_loss(&self, worker: &mut Worker<S>, loss: &Loss, reset: bool) -> Result<(), GivenUp> {
        let result = self.attempt(worker, loss.seq, loss.stamp, false, |stage| {
            stage.lost(loss);
            if reset {
                stage.reset();
            }
            Ok(())
        })?;
        self.outlets.send(&if reset { Message::Reset(loss.clone()) } else { Message::Lost(loss.clone()) });
        if let Err(fault) = result {
            self.tell(Loss { stage: self.meter.name(), fault, ..loss.clone() });
            self.pause(worker);
        }
        Ok(())
    }

    fn check_stamp(&self, stamp: Timestamp) -> Result<(), Timestamp> {
        let gate = self.gate.as_ref().map(|gate| gate.lock().unwrap_or_else(PoisonError::into_inner));
        gate.map_or(Ok(()), |mut gate| gate.check(stamp))
    }

    /// Runs `action` on the stage, which is made first where there is none, behind fences: a panic or an error costs the
    /// stage, and a worker that was relieved in the meantime learns so.
    fn attempt<R>(
        &self,
        worker: &mut Worker<S>,
        seq: u64,
        stamp: Timestamp,
        is_packet: bool,
        action: impl FnOnce(&mut S) -> Result<R, StageError>,
    ) -> Result<Result<R, Fault>, GivenUp> {
        if self.given_up.load(SeqCst) {
            return Ok(Err(Fault::Error("the stage was given up".into())));
        }
        let job = Job { since: Instant::now(), seq, stamp, is_packet };
        if !self.take_up(worker.generation, job) {
            return Err(GivenUp);
        }
        let result = catch_unwind(AssertUnwindSafe(|| {
            let stage = match &mut worker.stage {
                Some(stage) => stage,
                none => none.insert((self.factory)()?),
            };
            action(stage)
        }));
        let result = result.map_err(|panic| Fault::Panic(panic_text(&*panic)));
        let result = result.and_then(|result| result.map_err(|error| Fault::Error(error.to_string())));
        if result.is_err() {
            worker.discard();
        }
        if !self.put_down(worker.generation, result.is_ok()) {
            return Err(GivenUp);
        }
        self.judge(worker, result.as_ref().err());
        Ok(result)
    }

    fn judge(&self, worker: &mut Worker<S>, fault: Option<&Fault>) {
        match fault {
            None => worker.faults_in_a_row = 0,
            Some(fault) => {
                worker.faults_in_a_row = worker.faults_in_a_row.saturating_add(1);
                self.meter.count_restart();
                tracing::error!(stage = self.meter.name(), %fault, "the stage is restarted");
            }
        }
    }

    fn take_up(&self, generation: u64, job: Job) -> bool {
        let mut desk = self.desk();
        let is_current = desk.generation == generation;
        if is_current {
            desk.job = Some(job);
        }
        is_current
    }

    fn put_down(&self, generation: u64, succeeded: bool) -> bool {
        let mut desk = self.desk();
        let is_current = desk.generation == generation;
        if is_current {
            desk.job = None;
            if succeeded {
                desk.stalls_in_a_row = 0;
            }
        }
        is_current
    }

    fn pause(&self, worker: &Worker<S>) {
        if worker.pauses && !self.given_up.load(SeqCst) {
            std::thread::sleep(self.supervision.pause(worker.faults_in_a_row));
        }
    }

    fn loss(&self, packet: &Packet<S::Input>, fault: Fault) -> Loss {
        Loss { seq: packet.seq, stamp: packet.stamp, stage: self.meter.name(), fault }
    }

    fn tell(&self, loss: Loss) {
        self.outlets.send(&loss.into_message());
    }

    /// `Err` where the worker was given up meanwhile.
    fn finish(&self, worker: &mut Worker<S>) -> Result<(), GivenUp> {
        // A stage that never saw a packet still has its last word: an empty recording is a recording.
        let result = self.attempt(worker, 0, Timestamp::ZERO, false, Stage::finish)?;
        if let Err(fault) = result {
            tracing::error!(stage = self.meter.name(), %fault, "the stage did not finish");
        }
        self.outlets.close();
        Ok(())
    }
}

impl<S: Stage> Node for Branch<S> {
    fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    fn supervision(&self) -> &Supervision {
        &self.supervision
    }

    fn is_disposable(&self) -> bool {
        self.link == Link::Latest
    }

    fn work(&self, successor: Successor) -> bool {
        let Successor { generation, loss } = successor;
        let mut worker = Worker { generation, stage: None, faults_in_a_row: 0, pauses: true };
        if let Some(loss) = loss {
            self.tell(loss);
        }
        loop {
            match self.inbox.receive(IDLE) {
                Received::Message(message) => {
                    if self.handle(&mut worker, message).is_err() {
                        return false;
                    }
                }
                Received::Nothing => {}
                Received::End => return self.finish(&mut worker).is_ok(),
            }
        }
    }

    fn work_inline(&self) {
        let mut worker = self.inline.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(message) = self.inbox.try_receive() {
            let _ = self.handle(&mut worker, message);
        }
    }

    fn finish_inline(&self) {
        self.work_inline();
        let mut worker = self.inline.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.finish(&mut worker);
    }

    fn relieve(&self) -> Option<Stalled> {
        let deadline = self.supervision.deadline?;
        let mut desk = self.desk();
        let taken = desk.job.as_ref().map(|job| job.since.elapsed()).filter(|taken| *taken > deadline)?;
        let job = desk.job.take()?;
        desk.generation += 1;
        desk.stalls_in_a_row += 1;
        self.meter.count_stall();
        self.meter.count_restart();
        if job.is_packet {
            self.meter.count_failed();
        }
        let loss =
            Loss { seq: job.seq, stamp: job.stamp, stage: self.meter.name(), fault: Fault::Stall(taken) };
        let successor = Successor { generation: desk.generation, loss: Some(loss) };
        Some(Stalled { successor, in_a_row: desk.stalls_in_a_row })
    }

    fn give_up(&self) {
        self.given_up.store(true, SeqCst);
    }

    fn abandon(&self) {
        self.give_up();
        let mut desk = self.desk();
        desk.generation += 1;
        let stuck = desk.job.take();
        drop(desk);
        self.inbox.close();
        if let Some(job) = stuck {
            self.outlets.close();
            if job.is_packet {
                self.meter.count_failed();
            }
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".into())
}
