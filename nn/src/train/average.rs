//! Weights that follow the learning ones slowly.

use crate::architecture::Weights;

/// An exponential moving average of weights: less noise than the last ones have, for evaluation and for what flies.
#[derive(Clone, Debug, PartialEq)]
pub struct MovingAverage {
    /// The average so far.
    pub weights: Weights,
    /// Steps that went in.
    pub steps: usize,
    decay: f32,
}

impl MovingAverage {
    /// Begins with `weights`. `decay` is what stays of the average in a step.
    pub fn new(weights: Weights, decay: f32) -> Self {
        Self { weights, steps: 0, decay }
    }

    /// The average as it was after `steps`.
    pub fn resume(weights: Weights, decay: f32, steps: usize) -> Self {
        Self { weights, steps, decay }
    }

    /// Takes in the weights after a step. The first steps count more: an average over all of them until there are many.
    pub fn follow(&mut self, learning: &Weights) {
        self.steps += 1;
        let steps = self.steps as f32;
        let decay = self.decay.min((1.0 + steps) / (10.0 + steps));
        for (name, average) in &mut self.weights.values {
            let Some(learning) = learning.values.get(name) else { continue };
            for (average, &value) in average.iter_mut().zip(learning) {
                *average += (1.0 - decay) * (value - *average);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(value: f32) -> Weights {
        Weights { values: [("a".to_owned(), vec![value; 2])].into() }
    }

    #[test]
    fn it_comes_near_and_stays_behind() {
        let mut average = MovingAverage::new(weights(0.0), 0.99);
        let value = |average: &MovingAverage| average.weights.values["a"][1];
        average.follow(&weights(1.0));
        assert!((value(&average) - 9.0 / 11.0).abs() < 1e-6, "the first steps count more");
        (0..2_000).for_each(|_| average.follow(&weights(1.0)));
        let before = value(&average);
        average.follow(&weights(2.0));
        assert!((value(&average) - before - 0.01 * (2.0 - before)).abs() < 1e-6);
    }
}
