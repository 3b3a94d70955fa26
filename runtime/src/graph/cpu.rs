//! CPU time from `/proc`; zero where the system has none.

use std::fs;
use std::time::Duration;

/// CPU time of all threads of this process so far, the finished ones included, to a hundredth of a second.
pub fn process_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 14 and 15 (utime, stime) of proc(5); the second, in parentheses, may itself hold blanks.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    // The kernel reports in hundredths to user space on every architecture (USER_HZ).
    Duration::from_millis(ticks * 10)
}

/// CPU time of the calling thread so far.
pub(super) fn thread_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split_whitespace().next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

#[cfg(test)]
mod tests {
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
}
