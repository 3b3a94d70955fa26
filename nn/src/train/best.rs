//! Which of the networks that a training goes through is the best.

use std::collections::BTreeMap;

/// The best of what validations have said so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Best {
    /// The highest figure, and the step that it was measured after; `None` before the first.
    pub figure: Option<(f64, usize)>,
    /// How many validations since then have brought no higher one.
    pub without_gain: usize,
}

const FIGURE: &str = "best_figure";
const STEP: &str = "best_step";
const WITHOUT_GAIN: &str = "validations_without_gain";

impl Best {
    /// Takes in what was measured after `step`; says whether that is the best so far. What is no number is none.
    pub fn judge(&mut self, step: usize, figure: f64) -> bool {
        let is_higher = !figure.is_nan() && self.figure.is_none_or(|(best, _)| figure > best);
        if is_higher {
            *self = Self { figure: Some((figure, step)), without_gain: 0 };
        } else {
            self.without_gain += 1;
        }
        is_higher
    }

    /// Whether the last `patience` validations brought nothing.
    pub fn is_stale(&self, patience: usize) -> bool {
        self.without_gain >= patience
    }

    /// As a checkpoint holds it.
    pub fn numbers(&self) -> BTreeMap<String, f64> {
        let figure =
            self.figure.into_iter().flat_map(|(figure, step)| [(FIGURE, figure), (STEP, step as f64)]);
        let numbers = figure.chain([(WITHOUT_GAIN, self.without_gain as f64)]);
        numbers.map(|(name, number)| (name.to_owned(), number)).collect()
    }

    /// What [`Best::numbers`] has written; nothing from a checkpoint that knows of none.
    pub fn of(numbers: &BTreeMap<String, f64>) -> Self {
        let number = |name: &str| numbers.get(name).copied();
        Self {
            figure: number(FIGURE).zip(number(STEP).map(|step| step as usize)),
            without_gain: number(WITHOUT_GAIN).unwrap_or(0.0) as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_is_the_best_and_patience_ends() {
        let mut best = Best::default();
        let gains: Vec<bool> = [(2, 0.0), (4, 0.5), (6, 0.5), (8, f64::NAN)]
            .into_iter()
            .map(|(step, figure)| best.judge(step, figure))
            .collect();
        assert_eq!(gains, [true, true, false, false]);
        assert_eq!(best, Best { figure: Some((0.5, 4)), without_gain: 2 });
        assert!(best.is_stale(2) && !best.is_stale(3));
        assert!(best.judge(10, 0.6) && !best.is_stale(1));
    }

    #[test]
    fn a_checkpoint_holds_it_to_the_last_bit() {
        for best in [
            Best::default(),
            Best { figure: None, without_gain: 3 },
            Best { figure: Some((0.1 + 0.2, 4500)), without_gain: 1 },
        ] {
            assert_eq!(Best::of(&best.numbers()), best);
        }
    }
}
