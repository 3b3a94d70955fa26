//! What a stage is.

use std::error::Error;
use std::time::Duration;

use super::packet::{Loss, Packet};

/// Why a stage could not process a frame. Any error fits, so `?` just works; its text reaches log and summary.
pub type StageError = Box<dyn Error + Send + Sync>;

/// One step of the graph, as a value: no threads, no channels and no clock inside.
///
/// That is what lets the same stage fly on a thread and be replayed inline. A sink is a stage whose output is `()`.
/// A stage that panics, fails or stalls is thrown away and made anew by its factory; [`reset`](Self::reset) must
/// leave it as the factory would.
pub trait Stage: Send + 'static {
    /// What it takes.
    type Input: Send + Sync + 'static;
    /// What it makes.
    type Output: Send + Sync + 'static;

    /// Takes the next packet; `None` where there is nothing to say about it.
    ///
    /// # Errors
    /// [`StageError`] where the frame could not be processed; it costs the stage a restart.
    fn process(&mut self, input: &Packet<Self::Input>) -> Result<Option<Self::Output>, StageError>;

    /// Forgets everything: a producer was restarted and its next packet is unrelated to the last one.
    fn reset(&mut self);

    /// A producer has no result for a frame. Called before [`reset`](Self::reset) where both happen.
    fn lost(&mut self, _loss: &Loss) {}

    /// There will be no more packets: the last chance to write something.
    ///
    /// # Errors
    /// [`StageError`] where that fails; it is logged.
    fn finish(&mut self) -> Result<(), StageError> {
        Ok(())
    }
}

/// How a stage is watched over.
#[derive(Clone, Copy, Debug)]
pub struct Supervision {
    /// Longest time for one packet; a stage that takes longer is replaced and its late output discarded. `None`
    /// for stages that may take their time (a recorder on a slow disk). The inline schedule has no deadlines.
    pub deadline: Option<Duration>,
    /// Stalls without a success in between after which the flight is over: something hangs for good.
    pub max_stalls_in_a_row: u32,
    /// First pause before a failed stage is made anew; doubles with each fault in a row.
    pub first_pause: Duration,
    /// Longest such pause; below a second, so that a stage is back within one.
    pub longest_pause: Duration,
}

impl Default for Supervision {
    fn default() -> Self {
        Self {
            deadline: None,
            max_stalls_in_a_row: 5,
            first_pause: Duration::from_millis(10),
            longest_pause: Duration::from_millis(500),
        }
    }
}

impl Supervision {
    /// The defaults with a deadline per packet.
    pub fn with_deadline(deadline: Duration) -> Self {
        Self { deadline: Some(deadline), ..Self::default() }
    }

    /// Pause before the restart after `faults` faults in a row (from 1).
    pub(super) fn pause(&self, faults: u32) -> Duration {
        let doublings = faults.saturating_sub(1).min(16);
        (self.first_pause * (1 << doublings)).min(self.longest_pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let supervision = Supervision::default();
        let pauses: Vec<_> = [1, 2, 3, 7, u32::MAX].map(|n| supervision.pause(n).as_millis()).into();
        assert_eq!(pauses, [10, 20, 40, 500, 500]);
    }
}
