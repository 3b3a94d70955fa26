//! How fast to learn, and when.

use std::f64::consts::PI;

/// A learning rate that rises from zero over the first steps and falls as half a cosine over the others (Loshchilov and
/// Hutter, SGDR, 2017, without restarts).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LearningRate {
    /// The highest.
    pub peak: f64,
    /// The last, as a share of the highest.
    pub final_share: f64,
    /// Steps until the highest.
    pub warm_up: usize,
    /// Steps of the whole training.
    pub steps: usize,
}

impl LearningRate {
    /// The learning rate of a step, which counts from 0.
    pub fn at(&self, step: usize) -> f64 {
        if step < self.warm_up {
            return self.peak * (step + 1) as f64 / self.warm_up as f64;
        }
        let left = self.steps.saturating_sub(self.warm_up).max(1);
        let way = ((step - self.warm_up) as f64 / left as f64).min(1.0);
        let share = (1.0 + (PI * way).cos()) / 2.0;
        self.peak * (self.final_share + (1.0 - self.final_share) * share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_and_falls() {
        let rate = LearningRate { peak: 0.4, final_share: 0.1, warm_up: 4, steps: 104 };
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} and {b}");
        close(rate.at(0), 0.1);
        close(rate.at(3), 0.4);
        close(rate.at(4), 0.4);
        close(rate.at(54), 0.22);
        close(rate.at(104), 0.04);
        close(rate.at(1_000), 0.04);
        assert!((4..104).all(|step| rate.at(step) > rate.at(step + 1)));
    }
}
