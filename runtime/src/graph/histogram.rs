//! Latencies in fixed memory.

use std::time::Duration;

use serde::Serialize;

const SUB_BITS: u32 = 5;
const SUB: usize = 1 << SUB_BITS;
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) * SUB;

/// A histogram of durations with buckets that grow with the value: at most 3.2 % wide, 15 KiB in all, however many
/// values are recorded. Values below 32 ns are exact.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u64]>,
    count: u64,
    max_nanos: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into_boxed_slice(), count: 0, max_nanos: 0 }
    }
}

impl Histogram {
    /// Adds a value.
    pub fn record(&mut self, value: Duration) {
        let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += 1;
        self.count += 1;
        self.max_nanos = self.max_nanos.max(nanos);
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest value, exactly.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max_nanos)
    }

    /// The smallest bucket edge that at least `fraction` (0 to 1) of the values do not exceed; zero where there are none.
    pub fn quantile(&self, fraction: f64) -> Duration {
        let rank = ((fraction * self.count as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let index = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        Duration::from_nanos(index.map_or(0, upper_edge).min(self.max_nanos))
    }

    /// The usual percentiles.
    pub fn summary(&self) -> LatencySummary {
        let millis = |d: Duration| d.as_secs_f64() * 1e3;
        LatencySummary {
            frames: self.count,
            p50_ms: millis(self.quantile(0.5)),
            p90_ms: millis(self.quantile(0.9)),
            p99_ms: millis(self.quantile(0.99)),
            max_ms: millis(self.max()),
        }
    }
}

/// One row of the latency table, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LatencySummary {
    /// Frames measured.
    pub frames: u64,
    /// Median.
    pub p50_ms: f64,
    /// 90th percentile.
    pub p90_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

fn bucket(nanos: u64) -> usize {
    let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(SUB_BITS + 1);
    shift as usize * SUB + (nanos >> shift) as usize
}

/// The largest value that falls into bucket `index`.
fn upper_edge(index: usize) -> u64 {
    let shift = (index / SUB).saturating_sub(1) as u32;
    let top = (index - shift as usize * SUB) as u128;
    u64::try_from(((top + 1) << shift) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for nanos in (0..200).chain([1_000, 33_333_333, u64::MAX / 3, u64::MAX]) {
            let index = bucket(nanos);
            assert!(upper_edge(index) >= nanos, "{nanos}");
            assert!(index == 0 || upper_edge(index - 1) < nanos, "{nanos}");
        }
    }

    #[test]
    fn quantiles_are_within_the_width_of_a_bucket() {
        let mut histogram = Histogram::default();
        (1..=1000).for_each(|i| histogram.record(Duration::from_micros(i)));
        for (fraction, exact) in [(0.5, 500.0), (0.9, 900.0), (0.99, 990.0)] {
            let found = histogram.quantile(fraction).as_secs_f64() * 1e6;
            assert!((0.0..0.033 * exact).contains(&(found - exact)), "{fraction}: {found}");
        }
        assert_eq!(histogram.quantile(1.0), Duration::from_micros(1000));
        assert_eq!(Histogram::default().summary(), LatencySummary::default());
    }
}
