//! What a branch has done, readable while it runs.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::Serialize;

use super::histogram::{Histogram, LatencySummary};
use super::packet::Trace;

/// Counters of a branch: a stage with the link into it. `in = out + dropped + failed` once the branch is at rest;
/// while it runs the difference is what is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BranchCounters {
    /// Packets that came to the branch.
    #[serde(rename = "in")]
    pub received: u64,
    /// Packets that were processed.
    pub out: u64,
    /// Packets that were dropped on purpose: overwritten by a newer one, or not admitted.
    pub dropped: u64,
    /// Packets that were lost to a bad stamp, an error, a panic or a stall.
    pub failed: u64,
    /// Times the stage was made anew.
    pub restarts: u64,
    /// Times the stage missed its deadline (also counted in `restarts`).
    pub stalls: u64,
}

impl BranchCounters {
    /// Packets under way.
    pub fn pending(&self) -> u64 {
        self.received.saturating_sub(self.out + self.dropped + self.failed)
    }
}

/// The instruments of one branch, shared by the link's sender, the stage's thread and whoever wants to look.
#[derive(Debug)]
pub struct Meter {
    name: &'static str,
    warm_up: u64,
    received: AtomicU64,
    out: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    restarts: AtomicU64,
    stalls: AtomicU64,
    cpu_nanos: AtomicU64,
    latency: Mutex<Histogram>,
    service: Mutex<Histogram>,
    resolved: (Sender<()>, Receiver<()>),
}

impl Meter {
    /// Instruments at zero. The first `warm_up` packets are left out of the latencies.
    pub fn new(name: &'static str, warm_up: u64) -> Self {
        Self {
            name,
            warm_up,
            received: AtomicU64::new(0),
            out: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            restarts: AtomicU64::new(0),
            stalls: AtomicU64::new(0),
            cpu_nanos: AtomicU64::new(0),
            latency: Mutex::default(),
            service: Mutex::default(),
            resolved: bounded(1),
        }
    }

    /// Name of the branch.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The counters now.
    pub fn counters(&self) -> BranchCounters {
        // Outcomes before arrivals: a packet counted as resolved is then always counted as received too.
        let (out, dropped, failed) =
            (self.out.load(SeqCst), self.dropped.load(SeqCst), self.failed.load(SeqCst));
        let (restarts, stalls) = (self.restarts.load(SeqCst), self.stalls.load(SeqCst));
        BranchCounters { received: self.received.load(SeqCst), out, dropped, failed, restarts, stalls }
    }

    /// Latency from the entrance to the end of this stage.
    pub fn latency(&self) -> LatencySummary {
        self.latency.lock().unwrap_or_else(PoisonError::into_inner).summary()
    }

    /// Time that the stage itself took.
    pub fn service(&self) -> LatencySummary {
        self.service.lock().unwrap_or_else(PoisonError::into_inner).summary()
    }

    /// CPU time of the stage's own thread inside `process`.
    pub fn cpu(&self) -> Duration {
        Duration::from_nanos(self.cpu_nanos.load(SeqCst))
    }

    /// A token for each time that something was resolved; tokens that nobody takes don't pile up.
    pub(super) fn resolved(&self) -> Receiver<()> {
        self.resolved.1.clone()
    }

    pub(super) fn count_received(&self) {
        self.received.fetch_add(1, SeqCst);
    }

    pub(super) fn count_out(&self) {
        self.resolve(&self.out);
    }

    pub(super) fn count_dropped(&self) {
        self.resolve(&self.dropped);
    }

    pub(super) fn count_failed(&self) {
        self.resolve(&self.failed);
    }

    pub(super) fn count_restart(&self) {
        self.restarts.fetch_add(1, SeqCst);
    }

    pub(super) fn count_stall(&self) {
        self.stalls.fetch_add(1, SeqCst);
    }

    pub(super) fn add_cpu(&self, cpu: Duration) {
        self.cpu_nanos.fetch_add(u64::try_from(cpu.as_nanos()).unwrap_or(u64::MAX), SeqCst);
    }

    /// Enters a passage that was processed from `enter` to `leave`.
    pub(super) fn time(&self, trace: &Trace, enter: Instant, leave: Instant) {
        if self.out.load(SeqCst) < self.warm_up {
            return;
        }
        self.latency.lock().unwrap_or_else(PoisonError::into_inner).record(leave - trace.admitted);
        self.service.lock().unwrap_or_else(PoisonError::into_inner).record(leave - enter);
    }

    fn resolve(&self, counter: &AtomicU64) {
        counter.fetch_add(1, SeqCst);
        let _ = self.resolved.0.try_send(());
    }
}
