//! Is a plane all that two views show?

use nalgebra::{Vector2, Vector3};

use super::homography::Homography;
use super::{Match, Model, SEED, consensus};

/// Rounds of sample consensus: two matches make a hypothesis.
const ROUNDS: usize = 60;
/// Matches up to this many thresholds away from a plane say something about how rows of the image move.
const NEAR_THRESHOLDS: f64 = 2.0;

/// One plane fitted to what two views have in common.
#[derive(Clone, Debug)]
pub(crate) struct PlaneFit {
    plane: Homography,
    threshold: f64,
}

impl PlaneFit {
    /// Of matches that are no part of the plane if they are further from it than `threshold`, on the plane `z = 1`; `None` where
    /// they are too few.
    pub(crate) fn of(matches: &[Match], threshold: f64) -> Option<Self> {
        Some(Self { plane: consensus(matches, threshold)?, threshold })
    }

    /// Share of the matches that stick out of the plane: they are off it, and by that much towards or away from one point, the
    /// epipole, as what stands still before a moving camera must be ("plane and parallax"; Chum, Werner and Matas, "Two-view
    /// geometry estimation unaffected by a dominant plane", 2005). What moves by itself and wrong matches are not.
    ///
    /// A criterion that weighs the plane against a scene of any shape (GRIC, Torr 1997) answers another question: to
    /// it, ground on which every fourth match is on a house is still a plane.
    pub(crate) fn relief_share(&self, matches: &[Match]) -> f64 {
        let is_off = |m: &&Match| self.plane.squared_error(m) > self.threshold * self.threshold;
        let transferred = |(a, b): &Match| Some([self.plane.transfer(a)?.push(1.0), b.push(1.0)]);
        let off: Vec<[Vector3<f64>; 2]> = matches.iter().filter(is_off).filter_map(transferred).collect();
        let mut random = fastrand::Rng::with_seed(SEED);
        let mut most = 0;
        for _ in 0..if off.len() < 3 { 0 } else { ROUNDS } {
            let [first, second] = [0; 2].map(|_| off[random.usize(..off.len())]);
            let epipole = first[0].cross(&first[1]).cross(&second[0].cross(&second[1]));
            most = most.max(off.iter().filter(|m| self.is_along(&epipole, m)).count());
        }
        // Two matches agree with any point that they name themselves.
        most.saturating_sub(2) as f64 / matches.len().max(1) as f64
    }

    /// Whether a match lies on the line from the epipole through where the plane would show it.
    fn is_along(&self, epipole: &Vector3<f64>, [on_plane, seen]: &[Vector3<f64>; 2]) -> bool {
        let line = epipole.cross(on_plane);
        line.dot(seen).abs() < self.threshold * line.xy().norm()
    }

    /// Where the second view sees a match, and by how much that is off the plane, for the matches that are near it.
    pub(crate) fn residuals(&self, matches: &[Match]) -> Vec<[Vector2<f64>; 2]> {
        let near = |m: &&Match| self.plane.squared_error(m) < (NEAR_THRESHOLDS * self.threshold).powi(2);
        let residual = |(a, b): &Match| Some([*b, b - self.plane.transfer(a)?]);
        matches.iter().filter(near).filter_map(residual).collect()
    }
}

#[cfg(test)]
mod tests {
    use geometry::Se3;
    use nalgebra::UnitQuaternion;

    use super::*;

    const PIXEL: f64 = 1.0 / 500.0;

    /// Matches with noise over a scene of that depth, by a camera that moves and turns.
    fn matches(depth: impl Fn(f64, f64) -> f64) -> Vec<Match> {
        let mut random = fastrand::Rng::with_seed(4);
        let pose = Se3::new(UnitQuaternion::from_euler_angles(0.02, -0.03, 0.1), Vector3::new(0.6, 0.2, 0.3));
        let mut noise = || (random.f64() + random.f64() + random.f64() - 1.5) * 0.5 * PIXEL;
        let grid =
            (0..160).map(|i| Vector2::new(f64::from(i % 16) * 0.07 - 0.5, f64::from(i / 16) * 0.07 - 0.33));
        let of = |a: Vector2<f64>| {
            let q = pose * (a.push(1.0) * depth(a.x, a.y));
            (a, q.xy() / q.z + Vector2::new(noise(), noise()))
        };
        grid.map(of).collect()
    }

    fn relief_share(matches: &[Match]) -> f64 {
        PlaneFit::of(matches, PIXEL).unwrap().relief_share(matches)
    }

    #[test]
    fn houses_stick_out_of_a_slope_and_vehicles_do_not() {
        let slope = |x: f64, y: f64| 8.0 / (1.0 + 0.3 * x + 0.5 * y);
        assert_eq!(relief_share(&matches(|_, _| 8.0)), 0.0);
        let mut flat = matches(slope);
        assert_eq!(relief_share(&flat), 0.0);
        for (index, m) in flat.iter_mut().enumerate().filter(|(index, _)| index % 4 == 0) {
            m.1 += Vector2::new((index as f64).sin(), (1.7 * index as f64).cos()) * 15.0 * PIXEL;
        }
        assert!(relief_share(&flat) < 0.08, "wrong matches: {}", relief_share(&flat));
        let houses = matches(|x, y| slope(x, y) * if (x * 9.0).sin() > 0.6 { 0.85 } else { 1.0 });
        assert!((0.15..0.4).contains(&relief_share(&houses)), "{}", relief_share(&houses));
    }

    #[test]
    fn what_a_plane_leaves_is_seen_by_place() {
        let mut matches = matches(|_, _| 8.0);
        matches[7].1 += Vector2::new(1.2 * PIXEL, 0.0);
        matches[8].1 += Vector2::new(0.3, 0.0);
        let residuals = PlaneFit::of(&matches, PIXEL).unwrap().residuals(&matches);
        assert_eq!(residuals.len(), 159);
        assert!(residuals[7][0] == matches[7].1 && residuals[7][1].x > 0.5 * PIXEL, "{:?}", residuals[7]);
        assert!(PlaneFit::of(&matches[..7], PIXEL).is_none());
    }
}
