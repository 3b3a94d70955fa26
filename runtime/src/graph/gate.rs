//! Which stamps are good.

use std::time::Duration;

use geometry::Timestamp;

/// Lets stamps pass in strictly increasing order, so that one bad stamp costs one frame and never the stream.
///
/// Duplicates and stragglers are refused. A jump (forwards or backwards by more than ten seconds, or ten times the usual
/// step where that is longer) is refused once: if the next stamp follows the jump, the clock really moved and is believed
/// from then on; if it follows the last good stamp, only the one in between was bad.
#[derive(Debug, Default)]
pub struct StampGate {
    last: Option<Timestamp>,
    suspect: Option<Timestamp>,
    step: Duration,
}

const LONGEST_STEP: Duration = Duration::from_secs(10);

impl StampGate {
    /// Whether `stamp` is good.
    ///
    /// # Errors
    /// The last good stamp, where it is not.
    pub fn check(&mut self, stamp: Timestamp) -> Result<(), Timestamp> {
        let Some(last) = self.last else {
            self.last = Some(stamp);
            return Ok(());
        };
        let is_jump = stamp.abs_diff(last) > LONGEST_STEP.max(self.step * 10);
        if !is_jump && stamp <= last {
            return Err(last);
        }
        if is_jump && self.suspect.is_none_or(|suspect| suspect >= stamp) {
            self.suspect = Some(stamp);
            return Err(last);
        }
        self.step = stamp.abs_diff(self.suspect.filter(|_| is_jump).unwrap_or(last));
        self.suspect = None;
        self.last = Some(stamp);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(secs: &[i64]) -> Vec<i64> {
        let mut gate = StampGate::default();
        let good = |s: &&i64| gate.check(Timestamp::from_nanos(**s * 1_000_000_000)).is_ok();
        secs.iter().filter(good).copied().collect()
    }

    #[test]
    fn duplicates_and_stragglers_cost_themselves() {
        assert_eq!(passed(&[1, 2, 2, 3, 1, 2, 4, 5]), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn one_wild_stamp_costs_itself() {
        assert_eq!(passed(&[1, 2, 9_000, 3, 4]), [1, 2, 3, 4]);
        assert_eq!(passed(&[1_000, 1_001, 0, 1_002, 1_003]), [1_000, 1_001, 1_002, 1_003]);
    }

    #[test]
    fn a_clock_that_moved_is_believed_at_the_second_stamp() {
        assert_eq!(passed(&[1, 2, 9_000, 9_001, 9_002]), [1, 2, 9_001, 9_002]);
        assert_eq!(passed(&[1_000, 1_001, 5, 6, 7]), [1_000, 1_001, 6, 7]);
    }

    #[test]
    fn a_slow_source_costs_one_frame_in_all() {
        assert_eq!(passed(&[0, 60, 120, 180, 240]), [0, 120, 180, 240]);
    }
}
