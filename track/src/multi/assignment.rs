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

    /// For each row its column, where it has one: as many pairs as can be, and of those the cheapest, by shortest
    /// augmenting paths (Kuhn 1955, in the form of Jonker and Volgenant 1987).
    pub(crate) fn assign(&self) -> Vec<Option<usize>> {
        let (rows, columns) = (self.rows, self.columns);
        if rows > columns {
            let turned = Self::from_fn(columns, rows, |row, column| self.values[column * columns + row]);
            let mut assigned = vec![None; rows];
            for (row, column) in turned.assign().into_iter().enumerate() {
                if let Some(column) = column {
                    assigned[column] = Some(row);
                }
            }
            return assigned;
        }
        let forbidden = self.forbidden();
        let cost = |row: usize, column: usize| self.values[row * columns + column].min(forbidden);
        let assigned = shortest_paths(rows, columns, cost);
        let allowed = |(row, column): (usize, usize)| {
            (self.values[row * columns + column] < forbidden).then_some(column)
        };
        assigned.into_iter().enumerate().map(allowed).collect()
    }

    /// More than any choice of pairs that may be can cost.
    fn forbidden(&self) -> f64 {
        1.0 + self.values.iter().filter(|value| value.is_finite()).map(|value| value.abs()).sum::<f64>()
    }
}

/// For each row its column; there are no more rows than columns.
fn shortest_paths(rows: usize, columns: usize, cost: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    // Rows and columns count from 1 here: 0 is the row to be placed, and the column that nobody has.
    let (mut row_price, mut column_price) = (vec![0.0; rows + 1], vec![0.0; columns + 1]);
    let mut row_of = vec![0; columns + 1];
    for row in 1..=rows {
        row_of[0] = row;
        let (mut least, mut before) = (vec![f64::INFINITY; columns + 1], vec![0; columns + 1]);
        let mut visited = vec![false; columns + 1];
        let mut column = 0;
        while row_of[column] != 0 {
            visited[column] = true;
            let from = row_of[column];
            let (mut step, mut next) = (f64::INFINITY, 0);
            for to in (1..=columns).filter(|to| !visited[*to]) {
                let reduced = cost(from - 1, to - 1) - row_price[from] - column_price[to];
                if reduced < least[to] {
                    (least[to], before[to]) = (reduced, column);
                }
                if least[to] < step {
                    (step, next) = (least[to], to);
                }
            }
            for to in 0..=columns {
                if visited[to] {
                    row_price[row_of[to]] += step;
                    column_price[to] -= step;
                } else {
                    least[to] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            row_of[column] = row_of[before[column]];
            column = before[column];
        }
    }
    let mut assigned = vec![0; rows];
    for column in (1..=columns).filter(|column| row_of[*column] != 0) {
        assigned[row_of[column] - 1] = column - 1;
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(costs: &Costs, assigned: &[Option<usize>]) -> (usize, f64) {
        let pairs = assigned.iter().enumerate().filter_map(|(row, column)| Some((row, (*column)?)));
        pairs.fold((0, 0.0), |(n, sum), (row, column)| {
            (n + 1, sum + costs.values[row * costs.columns + column])
        })
    }

    /// The best by trying everything.
    fn exhaustive(costs: &Costs, row: usize, used: &mut Vec<bool>) -> (usize, f64) {
        if row == costs.rows {
            return (0, 0.0);
        }
        let mut best = exhaustive(costs, row + 1, used);
        for column in 0..costs.columns {
            let cost = costs.values[row * costs.columns + column];
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
