//! Where frames come in, and the only place where they are dropped on purpose.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use geometry::{Frame, Timestamp};

use super::meter::Meter;
use super::packet::{Fault, Loss, Message, Packet, Trace};
use super::port::Outlets;

/// What to do with a frame while enough others are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limiter {
    /// Hold the source back until fewer than this many frames are under way: for recorded sources, which can wait.
    Wait(u64),
    /// Drop the frame and count it: for live sources, which can't.
    Drop(u64),
}

/// What became of an input frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was let in.
    Admitted,
    /// It was dropped because too many were under way.
    Dropped,
    /// It could not be read, or its stamp was bad: no stage has seen it.
    Failed,
    /// It was let in, and cost the odometry a restart.
    Restarted,
}

impl Outcome {
    /// Its name in `admitted.csv`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
            Self::Restarted => "restarted",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Admitted, Self::Dropped, Self::Failed, Self::Restarted]
            .into_iter()
            .find(|o| o.as_str() == name)
    }
}

/// Every input frame gives one of these, whatever becomes of it; the recorder's source of truth.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Whether it was let in.
    pub outcome: Outcome,
    /// The frame, where there is one.
    pub frame: Option<Frame>,
}

/// The entrance of the graph. Counts like a branch: in = out + dropped + failed.
pub struct Entrance {
    frames: Arc<Outlets<Frame>>,
    admissions: Arc<Outlets<Admission>>,
    limiter: Limiter,
    meter: Arc<Meter>,
    next: Mutex<Next>,
    closed: AtomicBool,
}

/// Number that the next frame has at least, and the stamp of the one before.
#[derive(Debug, Default)]
struct Next {
    seq: u64,
    stamp: Timestamp,
}

/// How long the entrance waits before it looks whether it was closed.
const PATIENCE: Duration = Duration::from_millis(20);

impl Entrance {
    pub(super) fn new(
        frames: Arc<Outlets<Frame>>,
        admissions: Arc<Outlets<Admission>>,
        limiter: Limiter,
        meter: Arc<Meter>,
    ) -> Self {
        Self { frames, admissions, limiter, meter, next: Mutex::default(), closed: AtomicBool::new(false) }
    }

    /// The entrance's counters.
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Offers a frame; waits or drops it where too many are under way.
    pub fn offer(&self, frame: Frame) {
        let (seq, stamp) = self.number(Some(&frame));
        self.meter.count_received();
        let admitted = self.has_room();
        let outcome = if admitted { Outcome::Admitted } else { Outcome::Dropped };
        self.announce(seq, stamp, outcome, Some(frame.clone()));
        if admitted {
            let packet = Packet { stamp, seq, payload: Arc::new(frame), trace: Some(Trace::begin()) };
            self.frames.send(&Message::Packet(packet));
            self.meter.count_out();
        } else {
            self.meter.count_dropped();
            tracing::trace!(seq, "frame dropped: too many under way");
        }
    }

    /// Tells that the source could not give its next frame.
    pub fn fail(&self) {
        let (seq, stamp) = self.number(None);
        self.meter.count_received();
        self.announce(seq, stamp, Outcome::Failed, None);
        self.meter.count_failed();
    }

    /// Repeats what became of a frame in a recorded flight, without asking whether there is room. That a frame cost a stage a
    /// restart is that stage's to repeat (see [`Graph::repeating`](super::Graph::repeating)): the others did take it.
    pub fn repeat(&self, seq: u64, stamp: Timestamp, outcome: Outcome, frame: Option<Frame>) {
        self.meter.count_received();
        let outcome = match (outcome, &frame) {
            (Outcome::Restarted, Some(_)) => Outcome::Admitted,
            _ => outcome,
        };
        self.announce(seq, stamp, outcome, frame.clone());
        match (outcome, frame) {
            (Outcome::Admitted, Some(frame)) => {
                let packet = Packet { stamp, seq, payload: Arc::new(frame), trace: Some(Trace::begin()) };
                self.frames.send(&Message::Packet(packet));
                self.meter.count_out();
            }
            (Outcome::Restarted, _) => {
                let loss = Loss { seq, stamp, stage: self.meter.name(), fault: Fault::Recorded };
                self.frames.send(&Message::Reset(loss));
                self.meter.count_failed();
            }
            (Outcome::Dropped, _) => self.meter.count_dropped(),
            (Outcome::Failed | Outcome::Admitted, _) => self.meter.count_failed(),
        }
    }

    /// Lets nothing more in, and lets the stages come to their end.
    pub fn close(&self) {
        self.closed.store(true, SeqCst);
        self.frames.close();
        self.admissions.close();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.load(SeqCst)
    }

    /// A frame keeps the number its source gave it, unless that would repeat one.
    fn number(&self, frame: Option<&Frame>) -> (u64, Timestamp) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let (seq, stamp) = frame.map_or((next.seq, next.stamp), |f| (f.seq.max(next.seq), f.stamp));
        *next = Next { seq: seq.saturating_add(1), stamp };
        (seq, stamp)
    }

    fn has_room(&self) -> bool {
        match self.limiter {
            Limiter::Drop(most) => self.under_way() < most.max(1) && !self.is_closed(),
            Limiter::Wait(most) => {
                while self.under_way() >= most.max(1) && !self.is_closed() {
                    self.wait();
                }
                !self.is_closed()
            }
        }
    }

    fn under_way(&self) -> u64 {
        let mut most = 0;
        self.frames.for_each_limit(|meter| most = meter.counters().pending().max(most));
        most
    }

    fn wait(&self) {
        let mut busiest: Option<(u64, crossbeam_channel::Receiver<()>)> = None;
        self.frames.for_each_limit(|meter| {
            let pending = meter.counters().pending();
            if busiest.as_ref().is_none_or(|(most, _)| pending > *most) {
                busiest = Some((pending, meter.resolved()));
            }
        });
        if let Some((_, resolved)) = busiest {
            let _ = resolved.recv_timeout(PATIENCE);
        }
    }

    fn announce(&self, seq: u64, stamp: Timestamp, outcome: Outcome, frame: Option<Frame>) {
        let payload = Arc::new(Admission { outcome, frame });
        self.admissions.send(&Message::Packet(Packet { stamp, seq, payload, trace: None }));
    }
}
