//! Relative pose error (RPE): how wrong the motion between two frames is, whatever came before.

use serde::{Deserialize, Serialize};

use super::angle_rad;
use super::drift::distances;
use crate::{AssociatedFrame, EvalError};

/// How far apart the two poses of a pair are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delta {
    /// So many frames.
    Frames(usize),
    /// So many metres along the ground truth.
    Metres(f64),
}

/// Which pairs are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PairChoice {
    /// A pair from every frame on; pairs overlap.
    All,
    /// Each pair begins where the one before ends.
    Consecutive,
}

/// How relative errors are taken.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RelativeProtocol {
    /// Length of a pair.
    pub delta: Delta,
    /// Which pairs.
    pub pairs: PairChoice,
}

impl Default for RelativeProtocol {
    /// From each frame to the next.
    fn default() -> Self {
        Self { delta: Delta::Frames(1), pairs: PairChoice::All }
    }
}

impl std::fmt::Display for RelativeProtocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pairs = match self.pairs {
            PairChoice::All => "all pairs",
            PairChoice::Consecutive => "consecutive pairs",
        };
        match self.delta {
            Delta::Frames(1) => write!(f, "frame to next frame"),
            Delta::Frames(frames) => write!(f, "over {frames} frames, {pairs}"),
            Delta::Metres(metres) => write!(f, "over {metres} m of ground truth (±10 %), {pairs}"),
        }
    }
}

/// One error for each pair.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RelativeErrors {
    /// Length of the translation of `truth^-1 estimate`, metres.
    pub translation_m: Vec<f64>,
    /// Its rotation's angle, radians.
    pub rotation_rad: Vec<f64>,
}

/// A pair in metres may be off by this part of its length, as in evo.
const METRES_TOLERANCE: f64 = 0.1;

/// The relative errors of aligned `frames`; pairs with a missing estimate are left out.
///
/// # Errors
/// [`EvalError::Protocol`] for a delta that is not above 0.
pub fn relative_errors(
    frames: &[AssociatedFrame],
    protocol: RelativeProtocol,
) -> Result<RelativeErrors, EvalError> {
    let pairs = match protocol.delta {
        Delta::Frames(delta) if delta > 0 => pairs_by_frames(frames.len(), delta, protocol.pairs),
        Delta::Metres(delta) if delta.is_finite() && delta > 0.0 => {
            pairs_by_metres(&distances(frames), delta, protocol.pairs)
        }
        bad => return Err(EvalError::Protocol { expected: "a delta above 0", found: format!("{bad:?}") }),
    };
    let errors = pairs.into_iter().filter_map(|(from, to)| relative_error(&frames[from], &frames[to]));
    let (translation_m, rotation_rad) = errors.unzip();
    Ok(RelativeErrors { translation_m, rotation_rad })
}

fn relative_error(from: &AssociatedFrame, to: &AssociatedFrame) -> Option<(f64, f64)> {
    let truth = from.ground_truth.inverse() * to.ground_truth;
    let estimate = from.estimate?.inverse() * to.estimate?;
    let error = truth.inverse() * estimate;
    Some((error.translation.norm(), angle_rad(&error)))
}

fn pairs_by_frames(count: usize, delta: usize, choice: PairChoice) -> Vec<(usize, usize)> {
    let step = if choice == PairChoice::All { 1 } else { delta };
    (0..count.saturating_sub(delta)).step_by(step).map(|from| (from, from + delta)).collect()
}

fn pairs_by_metres(distances: &[f64], delta: f64, choice: PairChoice) -> Vec<(usize, usize)> {
    let (mut pairs, mut from) = (Vec::new(), 0);
    while from < distances.len() {
        let to = nearest_at(distances, from, distances[from] + delta);
        let fits = |to: &usize| (distances[*to] - distances[from] - delta).abs() <= METRES_TOLERANCE * delta;
        let found = to.filter(fits);
        pairs.extend(found.map(|to| (from, to)));
        from = match (choice, found) {
            (PairChoice::Consecutive, Some(to)) => to,
            _ => from + 1,
        };
    }
    pairs
}

/// The frame after `from` whose distance is nearest to `target`, the earlier of two.
fn nearest_at(distances: &[f64], from: usize, target: f64) -> Option<usize> {
    let after = distances.partition_point(|d| *d < target);
    let candidates =
        [after.saturating_sub(1), after].into_iter().filter(|&i| i > from && i < distances.len());
    candidates.min_by(|&a, &b| (distances[a] - target).abs().total_cmp(&(distances[b] - target).abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_pairs() {
        assert_eq!(pairs_by_frames(5, 2, PairChoice::All), [(0, 2), (1, 3), (2, 4)]);
        assert_eq!(pairs_by_frames(5, 2, PairChoice::Consecutive), [(0, 2), (2, 4)]);
        assert!(pairs_by_frames(2, 2, PairChoice::All).is_empty());
    }

    #[test]
    fn metre_pairs_keep_their_tolerance() {
        let distances = [0.0, 4.0, 9.5, 10.4, 19.0, 50.0];
        assert_eq!(pairs_by_metres(&distances, 10.0, PairChoice::All), [(0, 3), (2, 4)]);
        assert_eq!(pairs_by_metres(&distances, 10.0, PairChoice::Consecutive), [(0, 3)]);
    }

    #[test]
    fn a_delta_of_nothing_is_refused() {
        for delta in [Delta::Frames(0), Delta::Metres(0.0), Delta::Metres(f64::NAN)] {
            assert!(relative_errors(&[], RelativeProtocol { delta, pairs: PairChoice::All }).is_err());
        }
    }
}
