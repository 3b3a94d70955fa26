//! How often a tensor takes which values, over all calibration images.

/// Bins over `-bound..bound`; even, so that two of them can become one.
const BINS: usize = 4096;

/// Counts of values. The bins grow with what they see: their bound is a power of two, and doubles.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    /// No value is beyond it on either side; 0 before the first that is not 0.
    bound: f32,
    counts: Vec<u64>,
    /// Exact zeros, which every quantisation keeps. They are in no bin.
    zeros: u64,
    /// The smallest and the largest value, 0 included.
    extremes: [f32; 2],
}

/// Sums over values beyond a limit, from which errors of clipping follow for any limit.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Histogram {
    /// Values beyond this are no results of a network.
    pub(super) const FURTHEST: f32 = 1e30;

    pub(super) fn new() -> Self {
        Self { bound: 0.0, counts: vec![0; BINS], zeros: 0, extremes: [0.0; 2] }
    }

    /// Counts `values`, of which none may be further from 0 than [`Histogram::FURTHEST`].
    pub(super) fn add(&mut self, values: &[f32]) {
        let [low, high] =
            values.iter().fold(self.extremes, |[low, high], &value| [low.min(value), high.max(value)]);
        self.extremes = [low, high];
        self.reach(high.max(-low));
        let per_value = (BINS / 2) as f32 / self.bound;
        for &value in values {
            if value == 0.0 {
                self.zeros += 1;
            } else {
                let bin = (value * per_value + (BINS / 2) as f32) as usize;
                self.counts[bin.min(BINS - 1)] += 1;
            }
        }
    }

    /// Counts all that `other` counted.
    pub(super) fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        self.reach(other.bound);
        other.reach(self.bound);
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.zeros += other.zeros;
        self.extremes = [self.extremes[0].min(other.extremes[0]), self.extremes[1].max(other.extremes[1])];
    }

    /// The smallest and the largest value, 0 included.
    pub(super) fn extremes(&self) -> [f32; 2] {
        self.extremes
    }

    /// The range, 0 included, that holds `fraction` of the values and leaves out as many below as above.
    pub(super) fn percentile(&self, fraction: f64) -> [f32; 2] {
        let total = self.counts.iter().sum::<u64>() + self.zeros;
        let left_out = (total as f64 * (1.0 - fraction) / 2.0) as u64;
        let passes = |below: &mut u64, count: u64| {
            *below += count;
            *below > left_out
        };
        let zeros = |bin: usize| if bin == BINS / 2 { self.zeros } else { 0 };
        let (mut below, mut above) = (0, 0);
        let low = (0..BINS).find(|&bin| passes(&mut below, self.counts[bin] + zeros(bin)));
        let high = (0..BINS).rev().find(|&bin| passes(&mut above, self.counts[bin] + zeros(bin)));
        let (low, high) = (low.unwrap_or(BINS / 2), high.unwrap_or(BINS / 2));
        let [lowest, highest] = self.extremes;
        [self.edge(low).clamp(lowest, 0.0), self.edge(high + 1).clamp(0.0, highest)]
    }

    /// The range, 0 included, whose 256 steps are nearest to the values in the mean square.
    pub(super) fn least_squares(&self) -> [f32; 2] {
        /// Shares of the whole range that are tried for either end.
        const SHARES: usize = 128;
        let [low, high] = self.extremes;
        let tails = self.tails();
        let share = |index: usize| index as f32 / SHARES as f32;
        let lows: Vec<_> = (0..=SHARES).map(|index| low * share(index)).collect();
        let highs = (1..=SHARES).map(|index| high * share(index));
        let mut best = (f64::INFINITY, [low, high]);
        for high in highs {
            for &low in &lows {
                let noise = self.noise_between(&tails, [low, high]);
                if noise < best.0 && high > low {
                    best = (noise, [low, high]);
                }
            }
        }
        best.1
    }

    /// Signal to noise of 256 steps over `range`, in decibels; infinite where nothing is lost.
    pub(super) fn sqnr_db(&self, range: [f32; 2]) -> f64 {
        let tails = self.tails();
        let signal = tails[0].squares;
        super::decibels(signal, self.noise_between(&tails, range))
    }

    /// The squared error of all values in 256 steps over `range`: what is cut off at its ends, and a twelfth of a step
    /// squared for the rounding between them.
    fn noise_between(&self, tails: &[Moments], [low, high]: [f32; 2]) -> f64 {
        let above = tails[self.bin(high)];
        let (whole, from_low) = (tails[0], tails[self.bin(low)]);
        let below = whole.less(from_low);
        let step = f64::from(high - low) / 255.0;
        let within = (whole.count - above.count - below.count).max(0.0);
        above.clipped(high) + below.clipped(low) + within * step * step / 12.0
    }

    /// Moments of the values from each bin on upwards.
    fn tails(&self) -> Vec<Moments> {
        let mut tails = vec![Moments::default(); BINS + 1];
        for bin in (0..BINS).rev() {
            let count = self.counts[bin] as f64;
            let value = f64::from(self.edge(bin) + self.edge(bin + 1)) / 2.0;
            tails[bin] = Moments {
                count: tails[bin + 1].count + count,
                sum: tails[bin + 1].sum + count * value,
                squares: tails[bin + 1].squares + count * value * value,
            };
        }
        tails
    }

    /// The value at which a bin begins.
    fn edge(&self, bin: usize) -> f32 {
        (bin as f32 / (BINS / 2) as f32 - 1.0) * self.bound
    }

    /// The bin that begins nearest to `value`.
    fn bin(&self, value: f32) -> usize {
        if self.bound == 0.0 {
            return BINS / 2;
        }
        let bin = (value / self.bound + 1.0) * (BINS / 2) as f32;
        (bin.round() as usize).min(BINS)
    }

    /// Makes bins for values up to `reach` on either side.
    fn reach(&mut self, reach: f32) {
        if reach <= self.bound {
            return;
        }
        /// The least bound, far from where powers of two run out.
        const LEAST: f32 = 1e-30;
        let bound = reach.max(LEAST).log2().ceil().exp2().max(reach);
        while self.bound > 0.0 && self.bound < bound {
            let pairs = self.counts.as_chunks().0.iter().map(|[a, b]| a + b);
            let mut counts = vec![0; BINS / 4];
            counts.extend(pairs);
            counts.resize(BINS, 0);
            self.counts = counts;
            self.bound *= 2.0;
        }
        self.bound = self.bound.max(bound);
    }
}

impl Moments {
    fn less(self, other: Self) -> Self {
        Self {
            count: self.count - other.count,
            sum: self.sum - other.sum,
            squares: self.squares - other.squares,
        }
    }

    /// The sum of squared distances to `limit`.
    fn clipped(self, limit: f32) -> f64 {
        let limit = f64::from(limit);
        (self.squares - 2.0 * limit * self.sum + limit * limit * self.count).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    fn of(values: &[f32]) -> Histogram {
        let mut histogram = Histogram::new();
        histogram.add(values);
        histogram
    }

    fn gaussian(rng: &mut Rng) -> f32 {
        (0..12).map(|_| rng.f32()).sum::<f32>() - 6.0
    }

    #[test]
    fn bins_that_grew_are_those_that_saw_all_at_once() {
        let mut rng = Rng::with_seed(1);
        let values: Vec<_> = (0..5000).map(|_| gaussian(&mut rng).powi(3)).collect();
        let mut grown = Histogram::new();
        for piece in values.chunks(7) {
            grown.add(piece);
        }
        let (whole, mut merged) = (of(&values), of(&values[..100]));
        merged.merge(&of(&values[100..]));
        let misplaced = |other: &Histogram| {
            other.counts.iter().zip(&whole.counts).map(|(a, b)| a.abs_diff(*b)).sum::<u64>()
        };
        // Sums round, so that a value just beside an edge may fall on the other side.
        assert!(misplaced(&grown) < 25 && misplaced(&merged) < 25);
        assert_eq!((grown.bound, grown.extremes), (whole.bound, whole.extremes));
        assert_eq!(whole.counts.iter().sum::<u64>(), 5000);
    }

    #[test]
    fn percentiles_leave_out_both_tails() {
        let values: Vec<_> = (0..10_000).map(|index| index as f32 - 4_999.5).collect();
        let [low, high] = of(&values).percentile(0.9);
        assert!((low + 4500.0).abs() < 8.0 && (high - 4500.0).abs() < 8.0, "{low} {high}");
        let [low, high] = of(&[0.0, 0.0, 0.0, 5.0]).percentile(1.0);
        assert_eq!([low, high], [0.0, 5.0]);
        assert_eq!(of(&[0.0; 9]).percentile(0.999), [0.0; 2]);
    }

    #[test]
    fn least_squares_cut_off_outliers_and_little_else() {
        let mut rng = Rng::with_seed(2);
        let mut values: Vec<_> = (0..1_000_000).map(|_| gaussian(&mut rng)).collect();
        let [low, high] = of(&values).least_squares();
        assert!(low < -2.9 && low > -5.0 && high > 2.9 && high < 5.0, "{low} {high}");
        values.push(100.0);
        let histogram = of(&values);
        let [_, high] = histogram.least_squares();
        assert!(high < 50.0, "{high}");
        assert!(histogram.sqnr_db(histogram.least_squares()) > histogram.sqnr_db([-6.0, 100.0]) + 3.0);
    }

    #[test]
    fn noise_is_that_of_rounding_each_value() {
        let mut rng = Rng::with_seed(3);
        let values: Vec<_> = (0..50_000).map(|_| gaussian(&mut rng).max(0.0)).collect();
        for high in [1.5_f32, 3.0, 6.0] {
            let step = f64::from(high) / 255.0;
            let error = |&value: &f32| {
                let value = f64::from(value);
                value - ((value / step).round_ties_even() * step).min(f64::from(high))
            };
            let noise: f64 = values.iter().map(|value| error(value).powi(2)).sum();
            let signal: f64 = values.iter().map(|&value| f64::from(value).powi(2)).sum();
            let expected = 10.0 * (signal / noise).log10();
            let found = of(&values).sqnr_db([0.0, high]);
            assert!((found - expected).abs() < 0.2, "{high}: {found} {expected}");
        }
    }

    #[test]
    fn the_smallest_and_the_largest_numbers_have_bins() {
        let histogram = of(&[Histogram::FURTHEST, f32::MIN_POSITIVE, -f32::MIN_POSITIVE / 2.0]);
        assert_eq!(histogram.counts.iter().sum::<u64>(), 3);
        assert_eq!(of(&[]).least_squares(), [0.0; 2]);
    }
}
