//! The one-to-one pairing of greatest total weight.

/// Pairs rows with columns so that the sum of `weights[row][column]` is as large as it can be: `(row, column)` by rows, as
/// many as the shorter side has. Weights are finite.
///
/// Shortest augmenting paths with potentials (Jonker, Volgenant, "A Shortest Augmenting Path Algorithm for Dense and
/// Sparse Linear Assignment Problems", Computing 1987).
pub fn assign(weights: &[Vec<f64>]) -> Vec<(usize, usize)> {
    let (rows, columns) = (weights.len(), weights.first().map_or(0, Vec::len));
    if rows <= columns {
        return shortest_paths(rows, columns, |row, column| -weights[row][column]);
    }
    let swapped = shortest_paths(columns, rows, |column, row| -weights[row][column]);
    let mut pairs: Vec<_> = swapped.into_iter().map(|(column, row)| (row, column)).collect();
    pairs.sort_unstable();
    pairs
}

/// The pairing of least cost of at most as many rows as columns.
fn shortest_paths(rows: usize, columns: usize, cost: impl Fn(usize, usize) -> f64) -> Vec<(usize, usize)> {
    let mut state = State {
        row_of: vec![None; columns],
        row_potentials: vec![0.0; rows],
        column_potentials: vec![0.0; columns],
    };
    (0..rows).for_each(|row| state.add(row, &cost));
    let mut pairs: Vec<_> =
        state.row_of.iter().enumerate().filter_map(|(column, row)| Some(((*row)?, column))).collect();
    pairs.sort_unstable();
    pairs
}

struct State {
    /// The row that each column is paired with.
    row_of: Vec<Option<usize>>,
    row_potentials: Vec<f64>,
    column_potentials: Vec<f64>,
}

impl State {
    /// Pairs one more row, re-pairing others along the cheapest path to a free column.
    fn add(&mut self, start: usize, cost: &impl Fn(usize, usize) -> f64) {
        let columns = self.row_of.len();
        let mut distances = vec![f64::INFINITY; columns];
        let mut before: Vec<Option<usize>> = vec![None; columns];
        let mut visited = vec![false; columns];
        let (mut row, mut last, mut reached) = (start, None, 0.0);
        let end = loop {
            for column in (0..columns).filter(|&column| !visited[column]) {
                let reduced = cost(row, column) - self.row_potentials[row] - self.column_potentials[column];
                if reached + reduced < distances[column] {
                    distances[column] = reached + reduced;
                    before[column] = last;
                }
            }
            let open = (0..columns).filter(|&column| !visited[column]);
            // There are at least as many columns as rows, so one is open.
            let Some(nearest) = open.min_by(|a, b| distances[*a].total_cmp(&distances[*b])) else { return };
            visited[nearest] = true;
            reached = distances[nearest];
            last = Some(nearest);
            match self.row_of[nearest] {
                Some(next) => row = next,
                None => break nearest,
            }
        };
        self.update_potentials(start, reached, &distances, &visited);
        self.augment(start, end, &before);
    }

    fn update_potentials(&mut self, start: usize, reached: f64, distances: &[f64], visited: &[bool]) {
        self.row_potentials[start] += reached;
        for column in (0..visited.len()).filter(|&column| visited[column]) {
            let shift = reached - distances[column];
            self.column_potentials[column] -= shift;
            if let Some(row) = self.row_of[column] {
                self.row_potentials[row] += shift;
            }
        }
    }

    /// Moves each row along the path one column on.
    fn augment(&mut self, start: usize, end: usize, before: &[Option<usize>]) {
        let mut column = end;
        while let Some(previous) = before[column] {
            self.row_of[column] = self.row_of[previous];
            column = previous;
        }
        self.row_of[column] = Some(start);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn total(weights: &[Vec<f64>], pairs: &[(usize, usize)]) -> f64 {
        pairs.iter().map(|&(row, column)| weights[row][column]).sum()
    }

    /// The best total, by trying every pairing.
    fn best(weights: &[Vec<f64>], row: usize, taken: &mut Vec<bool>, may_skip: usize) -> f64 {
        if row == weights.len() {
            return 0.0;
        }
        let mut found =
            if may_skip > 0 { best(weights, row + 1, taken, may_skip - 1) } else { f64::NEG_INFINITY };
        for column in 0..taken.len() {
            if !taken[column] {
                taken[column] = true;
                found = found.max(weights[row][column] + best(weights, row + 1, taken, may_skip));
                taken[column] = false;
            }
        }
        found
    }

    #[test]
    fn the_greedy_choice_is_not_the_best() {
        let weights = vec![vec![10.0, 9.0], vec![9.0, 1.0]];
        assert_eq!(assign(&weights), [(0, 1), (1, 0)]);
        assert_eq!(assign(&[]), []);
        assert_eq!(assign(&[vec![], vec![]]), []);
        assert_eq!(assign(&[vec![1.0], vec![3.0], vec![2.0]]), [(1, 0)]);
    }

    proptest! {
        #[test]
        fn no_other_pairing_weighs_more(
            rows in 1_usize..6,
            columns in 1_usize..6,
            values in proptest::collection::vec(-2.0_f64..5.0, 25),
        ) {
            let weights: Vec<Vec<f64>> = (0..rows).map(|row| values[5 * row..5 * row + columns].to_vec()).collect();
            let pairs = assign(&weights);
            prop_assert_eq!(pairs.len(), rows.min(columns));
            let expected = best(&weights, 0, &mut vec![false; columns], rows.saturating_sub(columns));
            prop_assert!((total(&weights, &pairs) - expected).abs() < 1e-9);
        }
    }
}
