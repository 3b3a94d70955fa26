//! What travels between stages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use geometry::Timestamp;

/// A payload with its moment. Cloning shares the payload; an image is never copied on its way.
#[derive(Debug)]
pub struct Packet<T> {
    /// When the frame that this is about was exposed: the key by which streams are joined.
    pub stamp: Timestamp,
    /// Number of that frame at the entrance: unique and increasing.
    pub seq: u64,
    /// The content, read-only from here on.
    pub payload: Arc<T>,
    /// Where the frame has been and when; `None` for bookkeeping, which has no latency worth telling.
    pub trace: Option<Trace>,
}

impl<T> Packet<T> {
    /// A packet of the same frame with another content.
    pub fn with_payload<U>(&self, payload: Arc<U>) -> Packet<U> {
        Packet { stamp: self.stamp, seq: self.seq, payload, trace: self.trace.clone() }
    }
}

impl<T> Clone for Packet<T> {
    fn clone(&self) -> Self {
        self.with_payload(Arc::clone(&self.payload))
    }
}

/// The way of one frame through the graph.
#[derive(Clone, Debug)]
pub struct Trace {
    /// When the entrance let the frame in.
    pub admitted: Instant,
    /// The stages passed so far, in order.
    pub hops: Vec<Hop>,
}

impl Trace {
    /// A way that begins now.
    pub fn begin() -> Self {
        Self { admitted: Instant::now(), hops: Vec::new() }
    }

    /// Time from the entrance to the end of the last stage passed; zero where there is none yet.
    pub fn latency(&self) -> Duration {
        self.hops.last().map_or(Duration::ZERO, |hop| hop.leave - self.admitted)
    }
}

/// One stage on the way.
#[derive(Clone, Copy, Debug)]
pub struct Hop {
    /// Name of the stage.
    pub stage: &'static str,
    /// When it began.
    pub enter: Instant,
    /// When it was done.
    pub leave: Instant,
}

/// What a link carries.
#[derive(Debug)]
pub enum Message<T> {
    /// A result.
    Packet(Packet<T>),
    /// There will be no result for this frame; the producer's state is intact.
    Lost(Loss),
    /// There will be no result for this frame and the producer was restarted: nothing may be carried across.
    Reset(Loss),
}

impl<T> Clone for Message<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Packet(packet) => Self::Packet(packet.clone()),
            Self::Lost(loss) => Self::Lost(loss.clone()),
            Self::Reset(loss) => Self::Reset(loss.clone()),
        }
    }
}

/// A frame that a stage has no result for.
#[derive(Clone, Debug)]
pub struct Loss {
    /// Number of the frame.
    pub seq: u64,
    /// Stamp of the frame.
    pub stamp: Timestamp,
    /// The stage that lost it.
    pub stage: &'static str,
    /// Why.
    pub fault: Fault,
}

impl Loss {
    /// The message that tells the consumers.
    pub(super) fn into_message<T>(self) -> Message<T> {
        if self.fault.restarts() { Message::Reset(self) } else { Message::Lost(self) }
    }
}

/// Why a stage has no result for a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The stage had nothing to say about this frame, which is no failure.
    #[error("no output")]
    NoOutput,
    /// The stamp is a duplicate, goes backwards or jumps; the frame was not processed.
    #[error("expected a stamp after {last} s, found {found} s")]
    BadStamp {
        /// Last good stamp.
        last: Timestamp,
        /// The bad one.
        found: Timestamp,
    },
    /// The stage returned an error.
    #[error("error: {0}")]
    Error(String),
    /// The stage panicked.
    #[error("panic: {0}")]
    Panic(String),
    /// The stage took longer than its deadline and was abandoned.
    #[error("stalled for {0:?}")]
    Stall(Duration),
    /// A replay repeats a restart that the recorded flight had here.
    #[error("restarted in the recorded flight")]
    Recorded,
}

impl Fault {
    /// Whether it costs the stage a restart.
    pub fn restarts(&self) -> bool {
        !matches!(self, Self::NoOutput | Self::BadStamp { .. })
    }

    /// Whether the frame counts as failed.
    pub fn is_failure(&self) -> bool {
        *self != Self::NoOutput
    }
}
