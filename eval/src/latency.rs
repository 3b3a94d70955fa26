//! How long frames took on their way.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Latency along one path, milliseconds. A percentile is the smallest sample that so many percent do not exceed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyStats {
    /// From where to where: `source -> vo`.
    pub path: String,
    /// Number of frames.
    pub count: usize,
    /// Half of the frames took no longer.
    pub p50_ms: f64,
    /// 90 % took no longer.
    pub p90_ms: f64,
    /// 99 % took no longer.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// Counts by duration, for the chart; empty where only the percentiles are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub histogram: Vec<HistogramBin>,
}

/// How many samples lie in one range of durations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistogramBin {
    /// Lower edge, milliseconds.
    pub from_ms: f64,
    /// Upper edge, milliseconds; belongs to the next bin, but for the last.
    pub to_ms: f64,
    /// Samples inside.
    pub count: usize,
}

const BINS: usize = 40;

impl LatencyStats {
    /// Of the samples, in any order; `None` where there are none.
    pub fn from_samples(path: impl Into<String>, samples: &[Duration]) -> Option<Self> {
        let mut sorted: Vec<f64> = samples.iter().map(|s| s.as_secs_f64() * 1e3).collect();
        sorted.sort_by(f64::total_cmp);
        let max_ms = *sorted.last()?;
        let percentile = |percent: usize| sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1];
        Some(Self {
            path: path.into(),
            count: sorted.len(),
            p50_ms: percentile(50),
            p90_ms: percentile(90),
            p99_ms: percentile(99),
            max_ms,
            histogram: histogram(&sorted),
        })
    }
}

/// Bins of equal width from the fastest to the slowest.
fn histogram(sorted_ms: &[f64]) -> Vec<HistogramBin> {
    let (Some(&first), Some(&last)) = (sorted_ms.first(), sorted_ms.last()) else { return Vec::new() };
    let width = ((last - first) / BINS as f64).max(1e-6);
    let below = |edge: f64| sorted_ms.partition_point(|v| *v < edge);
    let bin = |i: usize| {
        let (from_ms, to_ms) = (first + i as f64 * width, first + (i + 1) as f64 * width);
        let end = if i + 1 == BINS { sorted_ms.len() } else { below(to_ms) };
        let start = if i == 0 { 0 } else { below(from_ms) };
        HistogramBin { from_ms, to_ms, count: end - start }
    };
    (0..BINS).map(bin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let samples: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        let stats = LatencyStats::from_samples("source -> vo", &samples).unwrap();
        assert_eq!((stats.p50_ms, stats.p90_ms, stats.p99_ms, stats.max_ms), (100.0, 180.0, 198.0, 200.0));
        assert_eq!(stats.histogram.iter().map(|bin| bin.count).sum::<usize>(), 200);
    }

    #[test]
    fn one_sample_and_none() {
        let stats = LatencyStats::from_samples("a", &[Duration::from_millis(3)]).unwrap();
        assert_eq!((stats.p50_ms, stats.p99_ms), (3.0, 3.0));
        assert_eq!(stats.histogram.iter().map(|bin| bin.count).sum::<usize>(), 1);
        assert_eq!(LatencyStats::from_samples("a", &[]), None);
    }
}
