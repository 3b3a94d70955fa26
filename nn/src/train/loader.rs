//! Batches, made while the network learns from the one before.

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};

/// Batches in order, made on a thread of its own.
#[derive(Debug)]
pub struct Loader<B> {
    batches: Receiver<B>,
    /// How long the network has waited for batches.
    pub waited: Duration,
}

/// Batches that lie ready.
const AHEAD: usize = 2;

impl<B: Send + 'static> Loader<B> {
    /// Begins to make the batches from step `first` on: `make` is given the number of the step.
    pub fn start(first: usize, mut make: impl FnMut(usize) -> B + Send + 'static) -> Self {
        let (sender, batches) = bounded(AHEAD);
        // Ends with the first batch that nobody takes.
        thread::spawn(move || (first..).all(|step| sender.send(make(step)).is_ok()));
        Self { batches, waited: Duration::ZERO }
    }

    /// The next batch; `None` where the thread that makes them is gone.
    pub fn next_batch(&mut self) -> Option<B> {
        let start = Instant::now();
        let batch = self.batches.recv().ok();
        self.waited += start.elapsed();
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_come_in_order_and_end_with_what_makes_them() {
        let mut loader = Loader::start(3, |step| {
            assert!(step < 6, "the end");
            step
        });
        assert_eq!([(); 4].map(|()| loader.next_batch()), [Some(3), Some(4), Some(5), None]);
    }
}
