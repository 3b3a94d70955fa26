//! Bundle adjustment: poses and points together, so that all observations fit.
//!
//! Points are inverse depths along the ray of the frame that saw them first (Civera et al. 2008), so a point at any distance is one
//! well-behaved number. Levenberg-Marquardt with a Huber cost; the points, whose blocks are scalars, are eliminated
//! by the Schur complement (Triggs et al. 2000).

use geometry::{Se3, skew};
use nalgebra::{DMatrix, DVector, Matrix2x3, Matrix2x6, Matrix3x6, Matrix6, Vector2, Vector3, Vector6};

use crate::lens::LensResidual;

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
    /// Residuals above this count linearly; a length on the plane `z = 1`.
    pub(crate) huber: f64,
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
    /// Mean Huber cost per observation, in squared lengths on the plane `z = 1`.
    pub(crate) mean_cost: f64,
}

/// Relative gain below which iterating stops.
const CONVERGED: f64 = 1e-4;
const INITIAL_DAMPING: f64 = 1e-4;
/// Points nearer than this to the plane through a camera's centre are not seen by it.
const MIN_DEPTH: f64 = 1e-3;

impl Problem {
    /// Improves poses, points and lens in place.
    pub(crate) fn solve(&mut self, options: &Options) -> Summary {
        let prior = self.lens;
        let cost_of =
            |problem: &Self| problem.cost(options.huber) + prior_cost(&problem.lens, &prior, options);
        let mut cost = cost_of(self);
        let mut damping = INITIAL_DAMPING;
        let mut lens_information = 0.0;
        for _ in 0..options.max_iterations {
            let mut normal = self.linearize(options.huber);
            lens_information = normal.lens_information(options.lens_information);
            normal.add_lens_prior(&self.lens, &prior, options.lens_information);
            let before = self.state();
            let Some(improved) = self.improve(&normal, cost, &mut damping, &cost_of, &before) else { break };
            let gain = (cost - improved) / cost.max(f64::MIN_POSITIVE);
            cost = improved;
            if gain < CONVERGED {
                break;
            }
        }
        let count = self.points.iter().map(|p| p.observations.len()).sum::<usize>().max(1);
        Summary { mean_cost: cost / count as f64, lens_information }
    }

    /// Takes the first damped step that lowers the cost; leaves everything as it was where none does.
    fn improve(
        &mut self,
        normal: &Normal,
        cost: f64,
        damping: &mut f64,
        cost_of: &impl Fn(&Self) -> f64,
        before: &State,
    ) -> Option<f64> {
        for _ in 0..5 {
            if let Some(step) = normal.solve(*damping) {
                self.step(&step);
                let new_cost = cost_of(self);
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
            pose.camera_from_world = Se3::exp(delta) * pose.camera_from_world;
        }
        for (point, delta) in self.points.iter_mut().zip(&step.inverse_depths) {
            point.inverse_depth = (point.inverse_depth + delta).max(1e-6);
        }
        self.lens.k += step.lens;
    }

    /// Multiplies all lengths by `factor`.
    pub(crate) fn scale(&mut self, factor: f64) {
        self.poses.iter_mut().for_each(|pose| pose.camera_from_world.translation *= factor);
        self.points.iter_mut().for_each(|point| point.inverse_depth /= factor);
    }

    fn cost(&self, huber: f64) -> f64 {
        let of_point = |point: &Point| -> f64 {
            point
                .observations
                .iter()
                .map(|(pose, seen)| huber_cost(self.residual(point, *pose, seen), huber))
                .sum()
        };
        self.points.iter().map(of_point).sum()
    }

    /// Predicted minus seen, on the plane `z = 1`; `None` where the point is not in front of the camera.
    pub(crate) fn residual(&self, point: &Point, pose: usize, seen: &Vector2<f64>) -> Option<Vector2<f64>> {
        let target_from_host = self.target_from_host(point.host, pose);
        let ray_in_host = self.lens.correct(&point.ray_in_host);
        let q = scaled_point(&target_from_host, &ray_in_host, point.inverse_depth);
        project_scaled(&q).map(|predicted| predicted - self.lens.correct(seen))
    }

    fn target_from_host(&self, host: usize, target: usize) -> Se3 {
        self.poses[target].camera_from_world * self.poses[host].camera_from_world.inverse()
    }

    fn linearize(&self, huber: f64) -> Normal {
        let mut columns = Vec::with_capacity(self.poses.len());
        let mut free = 0;
        for pose in &self.poses {
            columns.push((!pose.fixed).then_some(free));
            free += usize::from(!pose.fixed);
        }
        let mut normal = Normal::new(free, self.points.len());
        for point in &self.points {
            let mut row = PointRow::default();
            for (target, seen) in &point.observations {
                let target_from_host = self.target_from_host(point.host, *target);
                if let Some(term) = Linearized::new(&target_from_host, &self.lens, point, seen, huber) {
                    normal.add(&term, columns[point.host], columns[*target], &mut row);
                }
            }
            normal.points.push(row);
        }
        normal
    }
}

/// The point in the target's frame, times its inverse depth: finite even at infinity.
fn scaled_point(target_from_host: &Se3, ray_in_host: &Vector2<f64>, inverse_depth: f64) -> Vector3<f64> {
    target_from_host.rotation * ray_in_host.push(1.0) + target_from_host.translation * inverse_depth
}

fn prior_cost(lens: &LensResidual, prior: &LensResidual, options: &Options) -> f64 {
    options.lens_information * (lens.k - prior.k).powi(2)
}

fn project_scaled(q: &Vector3<f64>) -> Option<Vector2<f64>> {
    (q.z > MIN_DEPTH).then(|| q.xy() / q.z)
}

/// Derivative of the projection to the plane `z = 1` by the point.
fn projection_jacobian(predicted: &Vector2<f64>, z: f64) -> Matrix2x3<f64> {
    Matrix2x3::new(1.0, 0.0, -predicted.x, 0.0, 1.0, -predicted.y) / z
}

/// Behind the camera costs as much as far off: a step that puts a point there is no improvement.
fn huber_cost(residual: Option<Vector2<f64>>, huber: f64) -> f64 {
    let Some(residual) = residual else { return 100.0 * huber * huber };
    let r2 = residual.norm_squared();
    if r2 <= huber * huber { r2 } else { huber * (2.0 * r2.sqrt() - huber) }
}

/// One observation's residual with its derivatives and weight.
struct Linearized {
    residual: Vector2<f64>,
    weight: f64,
    by_target: Matrix2x6<f64>,
    by_host: Matrix2x6<f64>,
    by_inverse_depth: Vector2<f64>,
    by_lens: Vector2<f64>,
}

impl Linearized {
    fn new(
        target_from_host: &Se3,
        lens: &LensResidual,
        point: &Point,
        seen: &Vector2<f64>,
        huber: f64,
    ) -> Option<Self> {
        let ray_in_host = lens.correct(&point.ray_in_host);
        let q = scaled_point(target_from_host, &ray_in_host, point.inverse_depth);
        let predicted = project_scaled(&q)?;
        let residual = predicted - lens.correct(seen);
        let norm = residual.norm();
        let by_q = projection_jacobian(&predicted, q.z);
        let rotation = target_from_host.rotation_matrix();
        let by_target = by_q * left_perturbation(point.inverse_depth, &q);
        let by_host = -(by_q * rotation) * left_perturbation(point.inverse_depth, &ray_in_host.push(1.0));
        Some(Self {
            residual,
            weight: if norm <= huber { 1.0 } else { huber / norm },
            by_target,
            by_host,
            by_inverse_depth: by_q * target_from_host.translation,
            by_lens: by_q * (rotation * LensResidual::derivative(&point.ray_in_host).push(0.0))
                - LensResidual::derivative(seen),
        })
    }
}

/// Derivative of a point scaled by its inverse depth by the twist `(translation, rotation)` that moves its frame.
fn left_perturbation(inverse_depth: f64, q: &Vector3<f64>) -> Matrix3x6<f64> {
    let mut jacobian = Matrix3x6::zeros();
    jacobian.fixed_view_mut::<3, 3>(0, 0).fill_diagonal(inverse_depth);
    jacobian.fixed_view_mut::<3, 3>(0, 3).copy_from(&-skew(q));
    jacobian
}

/// What the normal equations hold of one point.
#[derive(Clone, Debug, Default)]
struct PointRow {
    hessian: f64,
    gradient: f64,
    /// Off-diagonal blocks: free pose, derivative.
    coupling: Vec<(usize, Vector6<f64>)>,
    lens_coupling: f64,
}

impl PointRow {
    fn couple(&mut self, pose: usize, block: Vector6<f64>) {
        match self.coupling.iter_mut().find(|(p, _)| *p == pose) {
            Some((_, sum)) => *sum += block,
            None => self.coupling.push((pose, block)),
        }
    }
}

/// The normal equations of a linearised problem: six rows for each free pose, the last one for the lens.
struct Normal {
    hessian: DMatrix<f64>,
    gradient: DVector<f64>,
    points: Vec<PointRow>,
}

struct Step {
    poses: Vec<Vector6<f64>>,
    inverse_depths: Vec<f64>,
    lens: f64,
}

/// All that a step changes.
struct State {
    poses: Vec<Se3>,
    inverse_depths: Vec<f64>,
    lens: LensResidual,
}

impl Normal {
    fn new(free_poses: usize, points: usize) -> Self {
        Self {
            hessian: DMatrix::zeros(6 * free_poses + 1, 6 * free_poses + 1),
            gradient: DVector::zeros(6 * free_poses + 1),
            points: Vec::with_capacity(points),
        }
    }

    fn add(&mut self, term: &Linearized, host: Option<usize>, target: Option<usize>, row: &mut PointRow) {
        let (w, r, d) = (term.weight, &term.residual, &term.by_inverse_depth);
        row.hessian += w * d.norm_squared();
        row.gradient += w * d.dot(r);
        row.lens_coupling += w * d.dot(&term.by_lens);
        let lens = self.lens_row();
        self.hessian[(lens, lens)] += w * term.by_lens.norm_squared();
        self.gradient[lens] += w * term.by_lens.dot(r);
        let ends = [(target, &term.by_target), (host, &term.by_host)];
        for (pose, jacobian) in ends.iter().filter_map(|(p, j)| Some(((*p)?, *j))) {
            let mut gradient = self.gradient.fixed_rows_mut::<6>(6 * pose);
            gradient += jacobian.tr_mul(r) * w;
            let with_lens = jacobian.tr_mul(&term.by_lens) * w;
            let mut column = self.hessian.fixed_view_mut::<6, 1>(6 * pose, lens);
            column += with_lens;
            let mut mirrored = self.hessian.fixed_view_mut::<1, 6>(lens, 6 * pose);
            mirrored += with_lens.transpose();
            row.couple(pose, jacobian.tr_mul(d) * w);
            self.add_block(pose, pose, &(jacobian.tr_mul(jacobian) * w));
        }
        if let (Some(target), Some(host)) = (target, host) {
            let block: Matrix6<f64> = term.by_target.tr_mul(&term.by_host) * w;
            self.add_block(target, host, &block);
            self.add_block(host, target, &block.transpose());
        }
    }

    fn add_block(&mut self, row: usize, column: usize, block: &Matrix6<f64>) {
        let mut view = self.hessian.fixed_view_mut::<6, 6>(6 * row, 6 * column);
        view += block;
    }

    fn lens_row(&self) -> usize {
        self.gradient.len() - 1
    }

    fn add_lens_prior(&mut self, lens: &LensResidual, prior: &LensResidual, information: f64) {
        let row = self.lens_row();
        self.hessian[(row, row)] += information;
        self.gradient[row] += information * (lens.k - prior.k);
    }

    /// What the lens's row alone keeps when all else is eliminated; nothing where the lens is held.
    fn lens_information(&self, prior: f64) -> f64 {
        if prior >= LENS_HELD {
            return 0.0;
        }
        let (mut reduced, _) = self.reduced(1e-6);
        let row = self.lens_row();
        // Without any prior the row may be singular.
        reduced[(row, row)] += prior;
        let unit = DVector::from_fn(row + 1, |i, _| if i == row { 1.0 } else { 0.0 });
        reduced.cholesky().map_or(0.0, |c| (1.0 / c.solve(&unit)[row] - prior).max(0.0))
    }

    /// The normal equations of poses and lens, with the points eliminated.
    fn reduced(&self, damping: f64) -> (DMatrix<f64>, DVector<f64>) {
        let (mut hessian, mut gradient) = (self.hessian.clone(), self.gradient.clone());
        for i in 0..hessian.nrows() {
            hessian[(i, i)] *= 1.0 + damping;
        }
        for row in &self.points {
            eliminate(row, damping, &mut hessian, &mut gradient);
        }
        (hessian, gradient)
    }

    /// The damped step; `None` where the reduced system is not positive definite.
    fn solve(&self, damping: f64) -> Option<Step> {
        let (hessian, gradient) = self.reduced(damping);
        let solution = -hessian.cholesky()?.solve(&gradient);
        let lens = solution[self.lens_row()];
        let pose_step = |pose: usize| solution.fixed_rows::<6>(6 * pose).into_owned();
        let inverse_depths = self.points.iter().map(|row| {
            let coupled: f64 = row.coupling.iter().map(|(pose, block)| block.dot(&pose_step(*pose))).sum();
            -(row.gradient + coupled + row.lens_coupling * lens) / damped(row.hessian, damping)
        });
        Some(Step {
            inverse_depths: inverse_depths.collect(),
            poses: (0..self.lens_row() / 6).map(pose_step).collect(),
            lens,
        })
    }
}

fn damped(hessian: f64, damping: f64) -> f64 {
    hessian * (1.0 + damping) + 1e-12
}

fn eliminate(row: &PointRow, damping: f64, hessian: &mut DMatrix<f64>, gradient: &mut DVector<f64>) {
    let inverse = 1.0 / damped(row.hessian, damping);
    let lens = gradient.len() - 1;
    gradient[lens] -= row.lens_coupling * inverse * row.gradient;
    hessian[(lens, lens)] -= row.lens_coupling * inverse * row.lens_coupling;
    for (a, block_a) in &row.coupling {
        let scaled = block_a * inverse;
        let mut part = gradient.fixed_rows_mut::<6>(6 * a);
        part -= scaled * row.gradient;
        let with_lens = scaled * row.lens_coupling;
        let mut part = hessian.fixed_view_mut::<6, 1>(6 * a, lens);
        part -= with_lens;
        let mut part = hessian.fixed_view_mut::<1, 6>(lens, 6 * a);
        part -= with_lens.transpose();
        for (b, block_b) in &row.coupling {
            let mut part = hessian.fixed_view_mut::<6, 6>(6 * a, 6 * b);
            part -= scaled * block_b.transpose();
        }
    }
}

/// The pose of one camera from points that are held: robust Gauss-Newton from `start`.
///
/// `seen` are points in the world with where the camera sees them on the plane `z = 1`. Returns the pose
/// `camera_from_world` and the information matrix of its left perturbation, for residuals of unit deviation.
pub(crate) fn refine_pose(
    start: &Se3,
    seen: &[(Vector3<f64>, Vector2<f64>)],
    huber: f64,
) -> (Se3, Matrix6<f64>) {
    let mut camera_from_world = *start;
    let mut information = Matrix6::zeros();
    for _ in 0..10 {
        information = Matrix6::zeros();
        let mut gradient = Vector6::zeros();
        for (point, pixel) in seen {
            let q = camera_from_world * *point;
            let Some(predicted) = project_scaled(&q) else { continue };
            let residual = predicted - pixel;
            let by_q = projection_jacobian(&predicted, q.z);
            let jacobian = by_q * left_perturbation(1.0, &q);
            // Geman-McClure: what is far off says nothing at all.
            let ratio = huber * huber / (huber * huber + residual.norm_squared());
            let weight = ratio * ratio;
            information += jacobian.tr_mul(&jacobian) * weight;
            gradient += jacobian.tr_mul(&residual) * weight;
        }
        let Some(step) = information.cholesky().map(|c| -c.solve(&gradient)) else { break };
        camera_from_world = Se3::exp(&step) * camera_from_world;
        if step.norm() < 1e-7 {
            break;
        }
    }
    (camera_from_world, information)
}

#[cfg(test)]
mod tests {
    use nalgebra::UnitQuaternion;

    use super::*;

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
                let q = scaled_point(
                    &problem.target_from_host(0, target),
                    &point.ray_in_host,
                    point.inverse_depth,
                );
                point.observations.push((target, project_scaled(&q).unwrap()));
            }
            problem.points.push(point);
        }
        problem
    }

    const OPTIONS: Options = Options { max_iterations: 30, huber: 0.01, lens_information: LENS_HELD };

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
        let summary = disturbed.solve(&OPTIONS);
        assert!(summary.mean_cost < 1e-16, "{summary:?}");
        for (got, want) in disturbed.poses.iter().zip(&exact.poses) {
            assert!((got.camera_from_world.inverse() * want.camera_from_world).log().norm() < 1e-6);
        }
    }

    #[test]
    fn derivatives_agree_with_differences() {
        let problem = exact_problem();
        let (point, seen) = (&problem.points[17], Vector2::new(0.1, -0.1));
        let target_from_host = problem.target_from_host(0, 3);
        let lens = LensResidual { k: -0.02 };
        let bent = |lens: &LensResidual, target_from_host: &Se3, inverse_depth: f64| {
            let ray_in_host = lens.correct(&point.ray_in_host);
            let q = scaled_point(target_from_host, &ray_in_host, inverse_depth);
            project_scaled(&q).unwrap() - lens.correct(&seen)
        };
        let residual =
            |target_from_host: &Se3, inverse_depth: f64| bent(&lens, target_from_host, inverse_depth);
        let term = Linearized::new(&target_from_host, &lens, point, &seen, 1.0).unwrap();
        const STEP: f64 = 1e-6;
        for i in 0..6 {
            let twist = Vector6::from_fn(|row, _| if row == i { STEP } else { 0.0 });
            let by_target = residual(&(Se3::exp(&twist) * target_from_host), point.inverse_depth)
                - residual(&(Se3::exp(&-twist) * target_from_host), point.inverse_depth);
            assert!((by_target / (2.0 * STEP) - term.by_target.column(i)).norm() < 1e-7);
            let by_host = residual(&(target_from_host * Se3::exp(&-twist)), point.inverse_depth)
                - residual(&(target_from_host * Se3::exp(&twist)), point.inverse_depth);
            assert!((by_host / (2.0 * STEP) - term.by_host.column(i)).norm() < 1e-7);
        }
        let by_depth = residual(&target_from_host, point.inverse_depth + STEP)
            - residual(&target_from_host, point.inverse_depth - STEP);
        assert!((by_depth / (2.0 * STEP) - term.by_inverse_depth).norm() < 1e-7);
        let with = |k| bent(&LensResidual { k }, &target_from_host, point.inverse_depth);
        assert!(((with(lens.k + STEP) - with(lens.k - STEP)) / (2.0 * STEP) - term.by_lens).norm() < 1e-7);
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
        let summary = problem.solve(&Options { max_iterations: 100, lens_information: 1e-9, ..OPTIONS });
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
        let (found, _) = refine_pose(&Se3::identity(), &seen, 0.01);
        assert!((found.inverse() * truth).log().norm() < 1e-3, "{}", (found.inverse() * truth).log());
    }
}
