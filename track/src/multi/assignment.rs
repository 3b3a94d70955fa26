//! Who belongs to whom: the assignment of least cost.

/// A matrix of costs, `[rows, columns]`; a pair that must not be has an infinite cost.
#[derive(Clone, Debug)]
pub(crate) struct Costs {
    rows: usize,
    columns: usize,
    values: Vec<f64>,
}

impl Costs {
    /// With `cost(row, column)` for each pair.
    pub(crate) fn from_fn(rows: usize, columns: usize, cost: impl Fn(usize, usize) -> f64) -> Self {
        let pairs = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        Self { rows, columns, values: pairs.map(|(row, column)| cost(row, column)).collect() }
    }

    /// For each row its column, where it has one: as many pairs as can be, and of those the cheapest.
    pub(crate) fn assign(&self) -> Vec<Option<usize>> {
        let forbidden = self.forbidden();
        let weight = |row: usize, column: usize| -self.cost(row, column).min(forbidden);
        let weights: Vec<Vec<f64>> =
            (0..self.rows).map(|row| (0..self.columns).map(|column| weight(row, column)).collect()).collect();
        let mut assigned = vec![None; self.rows];
        for (row, column) in geometry::assign(&weights) {
            assigned[row] = (self.cost(row, column) < forbidden).then_some(column);
        }
        assigned
    }

    fn cost(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.columns + column]
    }

    /// More than any choice of pairs that may be can cost.
    fn forbidden(&self) -> f64 {
        1.0 + self.values.iter().filter(|value| value.is_finite()).map(|value| value.abs()).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(costs: &Costs, assigned: &[Option<usize>]) -> (usize, f64) {
        let pairs = assigned.iter().enumerate().filter_map(|(row, column)| Some((row, (*column)?)));
        pairs.fold((0, 0.0), |(n, sum), (row, column)| (n + 1, sum + costs.cost(row, column)))
    }

    /// The best by trying everything.
    fn exhaustive(costs: &Costs, row: usize, used: &mut Vec<bool>) -> (usize, f64) {
        if row == costs.rows {
            return (0, 0.0);
        }
        let mut best = exhaustive(costs, row + 1, used);
        for column in 0..costs.columns {
            let cost = costs.cost(row, column);
            if used[column] || cost.is_infinite() {
                continue;
            }
            used[column] = true;
            let (n, sum) = exhaustive(costs, row + 1, used);
            used[column] = false;
            let here = (n + 1, sum + cost);
            if here.0 > best.0 || here.0 == best.0 && here.1 < best.1 {
                best = here;
            }
        }
        best
    }

    #[test]
    fn no_other_choice_has_more_pairs_or_costs_less() {
        let mut rng = fastrand::Rng::with_seed(3);
        for _ in 0..300 {
            let (rows, columns) = (rng.usize(0..6), rng.usize(0..6));
            let values: Vec<_> = (0..rows * columns)
                .map(|_| if rng.f64() < 0.3 { f64::INFINITY } else { rng.f64() * 10.0 - 2.0 })
                .collect();
            let costs = Costs { rows, columns, values };
            let assigned = costs.assign();
            let best = exhaustive(&costs, 0, &mut vec![false; columns]);
            let got = total(&costs, &assigned);
            assert_eq!(got.0, best.0, "{costs:?}");
            assert!((got.1 - best.1).abs() < 1e-9, "{costs:?}: {got:?} instead of {best:?}");
        }
    }
}
