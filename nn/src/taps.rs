//! Resampling along one axis: which old values make each new one.

/// For each new value the old ones that make it, and how much of each. Keeps its memory when it is prepared anew.
#[derive(Clone, Debug, Default)]
pub struct Taps {
    firsts: Vec<usize>,
    weights: Vec<f32>,
    /// Weights for one new value.
    count: usize,
    /// The last old value.
    last: usize,
}

impl Taps {
    /// How all of `from` values become `to`.
    pub fn new(from: usize, to: usize) -> Self {
        let mut taps = Self::default();
        taps.prepare(from, to, from as f32 / to as f32);
        taps
    }

    /// How `from` values become `to`, a new one every `step` old ones: linear interpolation, by a triangle around the place
    /// of each as wide as the step, so that no value is left out.
    pub fn prepare(&mut self, from: usize, to: usize, step: f32) {
        let reach = step.max(1.0);
        self.count = (2.0 * reach).ceil() as usize + 1;
        self.last = from.saturating_sub(1);
        self.firsts.clear();
        self.weights.clear();
        for index in 0..to {
            let centre = (index as f32 + 0.5) * step - 0.5;
            let first = ((centre - reach).ceil().max(0.0) as usize).min(self.last);
            let weight = |at: usize| {
                let distance = ((first + at) as f32 - centre).abs();
                if first + at <= self.last { (1.0 - distance / reach).max(0.0) } else { 0.0 }
            };
            let sum: f32 = (0..self.count).map(weight).sum();
            self.firsts.push(first);
            // A new value beyond the last old one is the last old one.
            self.weights.extend((0..self.count).map(|at| match sum > 0.0 {
                true => weight(at) / sum,
                false => f32::from(u8::from(at == 0)),
            }));
        }
    }

    /// The old values that make the new one at `to`, each with its weight; those that weigh nothing may repeat the last.
    pub fn of(&self, to: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let weights = &self.weights[to * self.count..(to + 1) * self.count];
        let (first, last) = (self.firsts[to], self.last);
        weights.iter().enumerate().map(move |(index, &weight)| ((first + index).min(last), weight))
    }

    /// The new value at `to` of old ones.
    pub fn blend(&self, to: usize, value: impl Fn(usize) -> f32) -> f32 {
        self.of(to).map(|(at, weight)| weight * value(at)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_old_values_that_are_there_sum_to_one() {
        for (from, to) in [(7, 7), (10, 3), (3, 10), (1, 5), (640, 416)] {
            let taps = Taps::new(from, to);
            for index in 0..to {
                assert!(taps.of(index).all(|(at, _)| at < from));
                assert!((taps.blend(index, |_| 1.0) - 1.0).abs() < 1e-5, "{from} to {to}");
            }
        }
    }

    #[test]
    fn what_lies_beyond_the_end_is_the_last_value() {
        let mut taps = Taps::default();
        taps.prepare(4, 5, 2.0);
        assert_eq!(taps.blend(4, |at| at as f32), 3.0);
    }
}
