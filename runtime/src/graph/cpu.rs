//! CPU time by the clocks of POSIX; zero where the system has none.
//!
//! `/proc` would not do: it counts the process in hundredths of a second, and a running thread only up to the last tick of the
//! scheduler, which is up to four milliseconds old.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// CPU time of all threads of this process so far, user and system, the finished ones included.
pub fn process_cpu() -> Duration {
    clock(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// CPU time of the calling thread so far.
pub fn thread_cpu() -> Duration {
    clock(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn clock(id: ClockId) -> Duration {
    clock_gettime(id).map_or(Duration::ZERO, Duration::from)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn work_costs_cpu_time() {
        let (process, thread) = (process_cpu(), thread_cpu());
        let mut sum = 0_u64;
        while thread_cpu() - thread < Duration::from_millis(50) {
            sum = (0..100_000_u64).fold(sum, |sum, i| std::hint::black_box(sum ^ i));
        }
        assert!(process_cpu() - process >= Duration::from_millis(30), "{sum}");
    }

    #[test]
    fn what_takes_less_than_a_tick_is_measured_too() {
        let (before, began) = (thread_cpu(), Instant::now());
        while began.elapsed() < Duration::from_micros(500) {}
        let spent = thread_cpu() - before;
        assert!(spent > Duration::ZERO && spent < Duration::from_millis(50), "{spent:?}");
    }
}
