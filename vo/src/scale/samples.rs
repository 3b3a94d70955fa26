//! Samples in the order of their stamps, and what was passed meanwhile.

use std::collections::VecDeque;

use geometry::Timestamp;
use nalgebra::Vector3;

use super::ScaleSample;

/// Samples kept at most; the oldest go.
const MAX_SAMPLES: usize = 100_000;
/// Neighbours further apart say nothing about the time between them.
const MAX_GAP_S: f64 = 0.5;
/// How long the way flown is remembered for samples that come late.
const REMEMBERED_S: f64 = 3.0;
/// Passages for which there is room from the start: as many as a fast camera makes in that time.
const ROOM: usize = 512;

/// Samples not used yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(VecDeque<ScaleSample>);

impl Samples {
    pub(crate) fn new(samples: &[ScaleSample]) -> Self {
        let mut sorted: Vec<_> = samples.iter().copied().filter(is_sound).collect();
        sorted.sort_by_key(|sample| sample.stamp);
        Self(sorted.into())
    }

    /// Puts `sample` where it belongs; samples may come late.
    pub(crate) fn push(&mut self, sample: ScaleSample) {
        if !is_sound(&sample) {
            return;
        }
        let at = self.0.partition_point(|other| other.stamp <= sample.stamp);
        self.0.insert(at, sample);
        if self.0.len() > MAX_SAMPLES {
            self.0.pop_front();
        }
    }

    /// Takes out the samples up to `stamp`.
    pub(crate) fn take_until(&mut self, stamp: Timestamp) -> impl Iterator<Item = ScaleSample> {
        let count = self.0.partition_point(|sample| sample.stamp <= stamp);
        self.0.drain(..count)
    }

    /// Forgets the samples that no time from `stamp` on needs.
    pub(crate) fn forget_before(&mut self, stamp: Timestamp) {
        let after = self.0.partition_point(|sample| sample.stamp <= stamp);
        self.0.drain(..after.saturating_sub(1));
    }

    /// The integral over time of the values between two stamps, taken as straight lines between samples; `None` where
    /// they leave a gap.
    pub(crate) fn integral(&self, from: Timestamp, to: Timestamp) -> Option<f64> {
        let (mut sum, mut last) = (0.0, (from, self.at(from)?));
        let inner = self.0.iter().filter(|sample| from < sample.stamp && sample.stamp < to);
        let knots = inner.map(|sample| (sample.stamp, sample.value)).chain([(to, self.at(to)?)]);
        for knot in knots {
            let dt_s = knot.0.secs_since(last.0);
            if dt_s > MAX_GAP_S {
                return None;
            }
            sum += dt_s * (knot.1 + last.1) / 2.0;
            last = knot;
        }
        Some(sum)
    }

    fn at(&self, stamp: Timestamp) -> Option<f64> {
        let after = self.0.partition_point(|sample| sample.stamp < stamp);
        let next = self.0.get(after)?;
        if next.stamp == stamp {
            return Some(next.value);
        }
        let previous = self.0.get(after.checked_sub(1)?)?;
        let gap_s = next.stamp.secs_since(previous.stamp);
        let t = stamp.secs_since(previous.stamp) / gap_s;
        (gap_s <= MAX_GAP_S).then_some(previous.value + t * (next.value - previous.value))
    }
}

fn is_sound(sample: &ScaleSample) -> bool {
    sample.value.is_finite() && sample.value > 0.0
}

/// Where the camera was at a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passage {
    pub(crate) stamp: Timestamp,
    /// In map units.
    pub(crate) position: Vector3<f64>,
    /// Distance from the ground in map units, where one was found.
    pub(crate) height: Option<f64>,
}

/// The last seconds of the way, in map units.
#[derive(Clone, Debug)]
pub(crate) struct Way(VecDeque<Passage>);

impl Default for Way {
    fn default() -> Self {
        Self(VecDeque::with_capacity(ROOM))
    }
}

impl Way {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn newest(&self) -> Option<&Passage> {
        self.0.back()
    }

    /// Adds what comes after the newest; anything else is left out.
    pub(crate) fn push(&mut self, passage: Passage) {
        if self.0.back().is_some_and(|newest| newest.stamp >= passage.stamp) {
            return;
        }
        self.0.push_back(passage);
        while self.0.front().is_some_and(|p| passage.stamp.secs_since(p.stamp) > REMEMBERED_S) {
            self.0.pop_front();
        }
    }

    /// The newest passage at least `duration_s` before the newest of all.
    pub(crate) fn before(&self, duration_s: f64) -> Option<&Passage> {
        let newest = self.0.back()?;
        self.0.iter().rev().find(|p| newest.stamp.secs_since(p.stamp) >= duration_s)
    }

    /// Distance from the ground at a moment, between the frames around it.
    pub(crate) fn height_at(&self, stamp: Timestamp) -> Option<f64> {
        let after = self.0.partition_point(|p| p.stamp < stamp);
        let next = self.0.get(after)?;
        if next.stamp == stamp {
            return next.height;
        }
        let previous = self.0.get(after.checked_sub(1)?)?;
        let gap_s = next.stamp.secs_since(previous.stamp);
        let t = stamp.secs_since(previous.stamp) / gap_s;
        let (a, b) = (previous.height?, next.height?);
        (gap_s <= MAX_GAP_S).then_some(a + t * (b - a))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: f64) -> Timestamp {
        Timestamp::from_secs_f64(secs).unwrap()
    }

    fn sample(secs: f64, value: f64) -> ScaleSample {
        ScaleSample { stamp: at(secs), value }
    }

    #[test]
    fn late_samples_find_their_place_and_nonsense_none() {
        let mut samples = Samples::new(&[sample(2.0, 5.0), sample(1.0, 4.0)]);
        samples.push(sample(1.5, 4.5));
        samples.push(sample(1.6, f64::NAN));
        samples.push(sample(1.7, -3.0));
        let taken: Vec<_> = samples.take_until(at(1.9)).collect();
        assert_eq!(taken, [sample(1.0, 4.0), sample(1.5, 4.5)]);
        assert_eq!(samples.take_until(at(9.0)).count(), 1);
    }

    #[test]
    fn an_integral_needs_samples_without_gaps() {
        let samples = Samples::new(&[sample(0.0, 1.0), sample(0.4, 3.0), sample(0.8, 3.0), sample(2.0, 3.0)]);
        assert!((samples.integral(at(0.0), at(0.6)).unwrap() - (0.8 + 0.6)).abs() < 1e-9);
        assert_eq!(samples.integral(at(0.6), at(1.0)), None);
        assert_eq!(samples.integral(at(0.6), at(3.0)), None);
    }

    #[test]
    fn heights_are_taken_between_frames_that_both_saw_ground() {
        let mut way = Way::default();
        for (secs, height) in [(0.0, Some(1.0)), (0.1, Some(2.0)), (0.2, None)] {
            way.push(Passage { stamp: at(secs), position: Vector3::zeros(), height });
        }
        assert!((way.height_at(at(0.05)).unwrap() - 1.5).abs() < 1e-9);
        assert_eq!(way.height_at(at(0.15)), None);
        assert_eq!(way.height_at(at(0.3)), None);
    }
}
