//! Bundle adjustment: poses and points together, so that all observations fit.
//!
//! Points are inverse depths along the ray of the frame that saw them first (Civera et al. 2008), so a point at any distance is one
//! well-behaved number. Levenberg-Marquardt with a robust cost; the points, whose blocks are scalars, are eliminated
//! by the Schur complement (Triggs et al. 2000).

mod normal;
mod pose;
mod robust;
mod terms;
mod view;

use geometry::Se3;
use nalgebra::{DMatrix, DVector, Matrix6, Vector2, Vector3};

use crate::lens::LensResidual;
use normal::{Factor, Normal, Step};
pub(crate) use pose::refine_pose;
pub(crate) use robust::{RobustCost, variance_of_median};
use terms::Terms;
pub(crate) use view::View;

/// A camera pose of the problem.
#[derive(Clone, Debug)]
pub(crate) struct Pose {
    pub(crate) camera_from_world: Se3,
    /// Held where it is.
    pub(crate) fixed: bool,
}

/// A point of the problem.
#[derive(Clone, Debug)]
pub(crate) struct Point {
    /// Index of the pose whose frame saw it first.
    pub(crate) host: usize,
    /// Its ray in the host's frame, on the plane `z = 1`, before the lens's residual is taken out.
    pub(crate) ray_in_host: Vector2<f64>,
    /// One over its depth in the host's frame.
    pub(crate) inverse_depth: f64,
    /// Where other poses see it: index of the pose, point on the plane `z = 1`.
    pub(crate) observations: Vec<(usize, Vector2<f64>)>,
}

/// Poses, points and what is seen of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problem {
    pub(crate) poses: Vec<Pose>,
    pub(crate) points: Vec<Point>,
    pub(crate) lens: LensResidual,
}

/// How to solve a [`Problem`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) max_iterations: usize,
    pub(crate) robust: RobustCost,
    /// What is known of the lens beforehand: inverse variance times the squared noise of a residual on the plane `z = 1`.
    pub(crate) lens_information: f64,
}

/// Information with which the lens stays as it is.
pub(crate) const LENS_HELD: f64 = 1e18;

/// How a solution went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    /// What the observations say of the lens when all poses and points are free; same unit as
    /// [`Options::lens_information`].
    pub(crate) lens_information: f64,
    /// Covariance of the newest pose against the ones that are held, for residuals of unit deviation: of the twist
    /// `(translation, rotation)` that moves its camera, about its centre, along the world's axes.
    pub(crate) newest_covariance: Matrix6<f64>,
}

/// Relative gain below which iterating stops.
const CONVERGED: f64 = 1e-3;
const INITIAL_DAMPING: f64 = 1e-4;

impl Problem {
    /// Improves poses, points and lens in place.
    pub(crate) fn solve(&mut self, options: &Options) -> Summary {
        // Poses are turned about the window, not about wherever the flight began.
        let origin = self.poses.last().map_or_else(Vector3::zeros, |pose| center(&pose.camera_from_world));
        self.move_origin(&origin);
        let summary = self.minimize(Terms::new(self, options), options);
        self.move_origin(&-origin);
        summary
    }

    fn minimize(&mut self, mut terms: Terms, options: &Options) -> Summary {
        let mut cost = terms.cost(&View::new(self));
        let mut damping = INITIAL_DAMPING;
        let mut last = None;
        let mut factor = None;
        for _ in 0..options.max_iterations {
            let normal = terms.linearize(&View::new(self));
            let before = self.state();
            let improved = self.improve(&normal, &terms, cost, &mut damping, &before, &mut factor);
            last = Some(normal);
            let Some(improved) = improved else { break };
            let gain = (cost - improved) / cost.max(f64::MIN_POSITIVE);
            let view = View::new(self);
            cost = if terms.renew_depth_priors(&view) { terms.cost(&view) } else { improved };
            if gain < CONVERGED {
                break;
            }
        }
        Summary {
            lens_information: last.map_or(0.0, |normal| terms.lens_information(&normal)),
            newest_covariance: factor.map_or_else(Matrix6::zeros, |factor| self.newest_covariance(factor)),
        }
    }

    /// Where a single pose is held, the scale is anyone's choice: here, that the way from it keeps its length.
    fn newest_covariance(&self, mut factor: Factor) -> Matrix6<f64> {
        let rows = factor.l_dirty().nrows();
        if let Some(scale) = self.free_scale(rows) {
            // As stiff as all that is observed. To take the scale's share out of the inverse instead would leave the
            // difference of two large numbers.
            let stiffness = factor.l().norm_squared() / scale.norm_squared();
            factor.rank_one_update(&scale, stiffness);
        }
        let newest = rows.saturating_sub(7);
        let mut columns = DMatrix::zeros(rows, 6);
        columns.view_mut((newest, 0), (6, 6)).fill_with_identity();
        factor.solve_mut(&mut columns);
        let covariance: Matrix6<f64> = columns.fixed_view::<6, 6>(newest, 0).into_owned();
        (covariance + covariance.transpose()) / 2.0
    }

    /// The direction in which the free poses move when the scale changes, where no second pose holds it.
    fn free_scale(&self, rows: usize) -> Option<DVector<f64>> {
        let mut held = self.poses.iter().filter(|pose| pose.fixed);
        let (Some(anchor), None) = (held.next(), held.next()) else { return None };
        let anchor = center(&anchor.camera_from_world);
        let mut direction = DVector::zeros(rows);
        for (i, pose) in self.poses.iter().filter(|pose| !pose.fixed).enumerate() {
            direction.fixed_rows_mut::<3>(6 * i).copy_from(&(center(&pose.camera_from_world) - anchor));
        }
        (direction.norm() > 0.0).then_some(direction)
    }

    /// Takes the first damped step that lowers the cost; leaves everything as it was where none does.
    fn improve(
        &mut self,
        normal: &Normal,
        terms: &Terms,
        cost: f64,
        damping: &mut f64,
        before: &State,
        last_factor: &mut Option<Factor>,
    ) -> Option<f64> {
        for _ in 0..5 {
            if let Some((step, factor)) = normal.solve(*damping) {
                *last_factor = Some(factor);
                self.step(&step);
                let new_cost = terms.cost(&View::new(self));
                if new_cost < cost {
                    *damping = (*damping * 0.2).max(1e-9);
                    return Some(new_cost);
                }
                self.restore(before);
            }
            *damping *= 10.0;
        }
        None
    }

    fn state(&self) -> State {
        State {
            poses: self.poses.iter().map(|pose| pose.camera_from_world).collect(),
            inverse_depths: self.points.iter().map(|point| point.inverse_depth).collect(),
            lens: self.lens,
        }
    }

    fn restore(&mut self, state: &State) {
        for (pose, before) in self.poses.iter_mut().zip(&state.poses) {
            pose.camera_from_world = *before;
        }
        for (point, before) in self.points.iter_mut().zip(&state.inverse_depths) {
            point.inverse_depth = *before;
        }
        self.lens = state.lens;
    }

    fn step(&mut self, step: &Step) {
        let free = self.poses.iter_mut().filter(|p| !p.fixed);
        for (pose, delta) in free.zip(&step.poses) {
            pose.camera_from_world = pose.camera_from_world * Se3::exp(delta);
        }
        for (point, delta) in self.points.iter_mut().zip(&step.inverse_depths) {
            point.inverse_depth = (point.inverse_depth + delta).max(1e-6);
        }
        self.lens.k += step.lens;
    }

    /// Makes `origin` the world's origin.
    fn move_origin(&mut self, origin: &Vector3<f64>) {
        for pose in &mut self.poses {
            let moved = pose.camera_from_world.rotation * origin;
            pose.camera_from_world.translation += moved;
        }
    }

    /// Multiplies all lengths by `factor`.
    pub(crate) fn scale(&mut self, factor: f64) {
        self.poses.iter_mut().for_each(|pose| pose.camera_from_world.translation *= factor);
        self.points.iter_mut().for_each(|point| point.inverse_depth /= factor);
    }
}

/// All that a step changes.
struct State {
    poses: Vec<Se3>,
    inverse_depths: Vec<f64>,
    lens: LensResidual,
}

fn center(camera_from_world: &Se3) -> Vector3<f64> {
    -(camera_from_world.rotation.inverse() * camera_from_world.translation)
}

#[cfg(test)]
mod tests {
    use nalgebra::{UnitQuaternion, Vector6};

    use super::view::{Camera, Linearized, Sight, project_scaled};
    use super::*;

    fn residual(problem: &Problem, point: &Point, target: usize, seen: &Vector2<f64>) -> Vector2<f64> {
        let view = View::new(problem);
        view.residual(&view.sight(point), target, seen).unwrap()
    }

    /// Five cameras on a curve looking at a bumpy wall; every observation exact.
    fn exact_problem() -> Problem {
        let mut problem = Problem::default();
        for i in 0..5 {
            let t = f64::from(i);
            let rotation = UnitQuaternion::from_euler_angles(0.01 * t, -0.02 * t, 0.005 * t);
            let camera_from_world = Se3::new(rotation, Vector3::new(-0.3 * t, 0.05 * t, 0.1 * t));
            problem.poses.push(Pose { camera_from_world, fixed: i < 2 });
        }
        for i in 0..60 {
            let (x, y) = (f64::from(i % 10) * 0.08 - 0.36, f64::from(i / 10) * 0.1 - 0.25);
            let inverse_depth = 1.0 / (6.0 + f64::from(i * 7 % 13) * 0.3);
            let mut point =
                Point { host: 0, ray_in_host: Vector2::new(x, y), inverse_depth, observations: Vec::new() };
            for target in 1..5 {
                let predicted = residual(&problem, &point, target, &Vector2::zeros());
                point.observations.push((target, predicted));
            }
            problem.points.push(point);
        }
        problem
    }

    fn options() -> Options {
        Options { max_iterations: 30, robust: RobustCost::new(0.3), lens_information: LENS_HELD }
    }

    #[test]
    fn disturbed_poses_and_points_come_back() {
        let exact = exact_problem();
        let mut disturbed = exact.clone();
        for (i, pose) in disturbed.poses.iter_mut().enumerate().skip(2) {
            let twist = Vector6::new(0.05, -0.03, 0.02, 0.004, -0.003, 0.005) * i as f64 / 2.0;
            pose.camera_from_world = Se3::exp(&twist) * pose.camera_from_world;
        }
        for (i, point) in disturbed.points.iter_mut().enumerate() {
            point.inverse_depth *= if i % 2 == 0 { 1.15 } else { 0.87 };
        }
        disturbed.solve(&options());
        assert!(View::new(&disturbed).median_error() < 1e-8);
        for (got, want) in disturbed.poses.iter().zip(&exact.poses) {
            assert!((got.camera_from_world.inverse() * want.camera_from_world).log().norm() < 1e-6);
        }
    }

    #[test]
    fn derivatives_agree_with_differences() {
        const STEP: f64 = 1e-6;
        let mut problem = exact_problem();
        problem.lens.k = -0.02;
        let (point, host, target) = (problem.points[17].clone(), 0, 3);
        let seen = Vector2::new(0.1, -0.1);
        let residual = |change: &dyn Fn(&mut Problem, &mut Point)| {
            let (mut problem, mut point) = (problem.clone(), point.clone());
            change(&mut problem, &mut point);
            residual(&problem, &point, target, &seen)
        };
        let difference = |change: &dyn Fn(&mut Problem, &mut Point, f64)| {
            (residual(&|problem, point| change(problem, point, STEP))
                - residual(&|problem, point| change(problem, point, -STEP)))
                / (2.0 * STEP)
        };
        let sight = Sight::new(&Camera::new(&problem.poses[host]), &point, &problem.lens);
        let camera = Camera::new(&problem.poses[target]);
        let term = Linearized::new(&camera, &problem.lens, &sight, &seen, RobustCost::new(1.0)).unwrap();
        for i in 0..6 {
            let by_pose = |moved: usize| {
                difference(&|problem, _, step| {
                    let twist = Vector6::from_fn(|row, _| if row == i { step } else { 0.0 });
                    let pose = &mut problem.poses[moved].camera_from_world;
                    *pose = *pose * Se3::exp(&twist);
                })
            };
            assert!((by_pose(target) - term.by_target.column(i)).norm() < 1e-7);
            assert!((by_pose(host) + term.by_target.column(i)).norm() < 1e-7);
        }
        let by_depth = difference(&|_, point, step| point.inverse_depth += step);
        assert!((by_depth - term.by_inverse_depth).norm() < 1e-7);
        let by_lens = difference(&|problem, _, step| problem.lens.k += step);
        assert!((by_lens - term.by_lens).norm() < 1e-7);
    }

    #[test]
    fn a_window_far_from_the_origin_is_solved_as_well() {
        let far = Vector3::new(2e3, -5e3, 300.0);
        let mut near = exact_problem();
        for (i, point) in near.points.iter_mut().enumerate() {
            point.inverse_depth *= if i % 2 == 0 { 1.05 } else { 0.96 };
        }
        let mut distant = near.clone();
        distant.move_origin(&-far);
        near.solve(&options());
        distant.solve(&options());
        distant.move_origin(&far);
        for (a, b) in near.poses.iter().zip(&distant.poses) {
            assert!((a.camera_from_world.inverse() * b.camera_from_world).log().norm() < 1e-8);
        }
    }

    #[test]
    fn a_bent_lens_is_found_along_with_poses_and_points() {
        let mut problem = exact_problem();
        let lens = LensResidual { k: -0.02 };
        for point in &mut problem.points {
            point.ray_in_host = lens.observe(&point.ray_in_host);
            point.observations.iter_mut().for_each(|(_, seen)| *seen = lens.observe(seen));
        }
        problem.poses.iter_mut().skip(1).for_each(|pose| pose.fixed = false);
        let summary = problem.solve(&Options { max_iterations: 100, lens_information: 1e-9, ..options() });
        assert!((problem.lens.k - lens.k).abs() < 1e-3, "{} {summary:?}", problem.lens.k);
        assert!(summary.lens_information > 0.0);
    }

    #[test]
    fn a_pose_is_found_among_a_third_of_outliers() {
        let truth = Se3::exp(&Vector6::new(0.2, -0.1, 0.3, 0.05, -0.04, 0.02));
        let seen: Vec<_> = (0..90)
            .map(|i| {
                let point =
                    Vector3::new(f64::from(i % 9) - 4.0, f64::from(i / 9) - 4.5, 8.0 + f64::from(i % 4));
                let pixel = project_scaled(&(truth * point)).unwrap();
                let outlier =
                    if i % 3 == 0 { Vector2::new(0.1, -0.2) * f64::from(i % 7) } else { Vector2::zeros() };
                (point, pixel + outlier)
            })
            .collect();
        let (found, _) = refine_pose(&Se3::identity(), &seen, RobustCost::new(0.01));
        assert!((found.inverse() * truth).log().norm() < 1e-3, "{}", (found.inverse() * truth).log());
    }
}
