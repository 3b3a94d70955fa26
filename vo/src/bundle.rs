//! Bundle adjustment: poses and points together, so that all observations fit.
//!
//! Points are inverse depths along the ray of the frame that saw them first (Civera et al. 2008), so a point at any distance is one
//! well-behaved number. Levenberg-Marquardt with a Huber cost; the points, whose blocks are scalars, are eliminated
//! by the Schur complement (Triggs et al. 2000).

use std::ops::Range;

use geometry::{Se3, skew};
use nalgebra::{
    Cholesky, DMatrix, DVector, Dyn, Matrix2x3, Matrix2x6, Matrix3, Matrix3x6, Matrix6, Vector2, Vector3,
    Vector6,
};

use crate::lens::LensResidual;
use crate::patch::vectorized;

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
    /// Covariance of the newest pose against the ones that are held, for residuals of unit deviation: of the twist
    /// `(translation, rotation)` that moves its camera, about its centre, along the world's axes.
    pub(crate) newest_covariance: Matrix6<f64>,
}

/// Relative gain below which iterating stops.
const CONVERGED: f64 = 1e-4;
const INITIAL_DAMPING: f64 = 1e-4;
/// Points nearer than this to the plane through a camera's centre are not seen by it.
const MIN_DEPTH: f64 = 1e-3;

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
        let count = self.points.iter().map(|p| p.observations.len()).sum::<usize>().max(1);
        Summary {
            mean_cost: cost / count as f64,
            lens_information: last.map_or(0.0, |normal| terms.lens_information(&normal)),
            newest_covariance: factor.map_or_else(Matrix6::zeros, |factor| self.newest_covariance(&factor)),
        }
    }

    /// Where a single pose is held, the scale is anyone's choice: here, that the way from it keeps its length.
    fn newest_covariance(&self, factor: &Factor) -> Matrix6<f64> {
        let rows = factor.l_dirty().nrows();
        let newest = rows.saturating_sub(7);
        let mut columns = DMatrix::zeros(rows, 6);
        columns.view_mut((newest, 0), (6, 6)).fill_with_identity();
        factor.solve_mut(&mut columns);
        let mut covariance: Matrix6<f64> = columns.fixed_view::<6, 6>(newest, 0).into_owned();
        if let Some(scale) = self.free_scale(rows) {
            let spread = factor.solve(&scale);
            let newest = spread.fixed_rows::<6>(newest);
            covariance -= newest * newest.transpose() / scale.dot(&spread);
        }
        covariance
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

    /// Predicted minus seen, on the plane `z = 1`; `None` where the point is not in front of the camera.
    pub(crate) fn residual(&self, point: &Point, pose: usize, seen: &Vector2<f64>) -> Option<Vector2<f64>> {
        let (host, target) = (Camera::new(&self.poses[point.host]), Camera::new(&self.poses[pose]));
        let sight = Sight::new(&host, point, &self.lens);
        target.project(&sight).map(|predicted| predicted - self.lens.correct(seen))
    }
}

fn center(camera_from_world: &Se3) -> Vector3<f64> {
    -(camera_from_world.rotation.inverse() * camera_from_world.translation)
}

/// A pose as its observations need it.
struct Camera {
    rotation: Matrix3<f64>,
    translation: Vector3<f64>,
    center: Vector3<f64>,
}

impl Camera {
    fn new(pose: &Pose) -> Self {
        Self {
            rotation: pose.camera_from_world.rotation_matrix(),
            translation: pose.camera_from_world.translation,
            center: center(&pose.camera_from_world),
        }
    }

    /// The point in this camera's frame, times its inverse depth: finite even at infinity.
    fn see(&self, sight: &Sight) -> Vector3<f64> {
        self.rotation * sight.in_world + self.translation * sight.inverse_depth
    }

    fn project(&self, sight: &Sight) -> Option<Vector2<f64>> {
        project_scaled(&self.see(sight))
    }
}

/// Poses and lens as one evaluation of all observations needs them.
struct View<'a> {
    points: &'a [Point],
    cameras: Vec<Camera>,
    lens: LensResidual,
}

impl<'a> View<'a> {
    fn new(problem: &'a Problem) -> Self {
        Self {
            points: &problem.points,
            cameras: problem.poses.iter().map(Camera::new).collect(),
            lens: problem.lens,
        }
    }

    fn sight(&self, point: &Point) -> Sight {
        Sight::new(&self.cameras[point.host], point, &self.lens)
    }
}

/// A point as all its observations need it.
struct Sight {
    inverse_depth: f64,
    /// Position in the world, times the inverse depth.
    in_world: Vector3<f64>,
    /// Derivative of that by the inverse depth: the centre of the host.
    by_inverse_depth: Vector3<f64>,
    /// Derivative of that by the lens.
    by_lens: Vector3<f64>,
}

impl Sight {
    fn new(host: &Camera, point: &Point, lens: &LensResidual) -> Self {
        let inverse_depth = point.inverse_depth;
        let ray = lens.correct(&point.ray_in_host).push(1.0);
        Self {
            inverse_depth,
            in_world: host.rotation.tr_mul(&ray) + host.center * inverse_depth,
            by_inverse_depth: host.center,
            by_lens: host.rotation.tr_mul(&LensResidual::derivative(&point.ray_in_host).push(0.0)),
        }
    }
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
    /// By the twist that moves the world under the target; under the host it acts the other way.
    by_target: Matrix2x6<f64>,
    by_inverse_depth: Vector2<f64>,
    by_lens: Vector2<f64>,
}

impl Linearized {
    fn new(
        target: &Camera,
        lens: &LensResidual,
        sight: &Sight,
        seen: &Vector2<f64>,
        huber: f64,
    ) -> Option<Self> {
        let q = target.see(sight);
        let predicted = project_scaled(&q)?;
        let residual = predicted - lens.correct(seen);
        let norm = residual.norm();
        let by_world = projection_jacobian(&predicted, q.z) * target.rotation;
        let by_center = projection_jacobian(&predicted, q.z) * target.translation;
        Some(Self {
            residual,
            weight: if norm <= huber { 1.0 } else { huber / norm },
            by_target: by_world * twist_jacobian(sight.inverse_depth, &sight.in_world),
            by_inverse_depth: by_world * sight.by_inverse_depth + by_center,
            by_lens: by_world * sight.by_lens - LensResidual::derivative(seen),
        })
    }
}

/// Derivative of a point scaled by its inverse depth by the twist `(translation, rotation)` that moves it.
fn twist_jacobian(inverse_depth: f64, q: &Vector3<f64>) -> Matrix3x6<f64> {
    let mut jacobian = Matrix3x6::zeros();
    jacobian.fixed_view_mut::<3, 3>(0, 0).fill_diagonal(inverse_depth);
    jacobian.fixed_view_mut::<3, 3>(0, 3).copy_from(&-skew(q));
    jacobian
}

/// The cost of a problem as a function of what is free in it.
struct Terms {
    huber: f64,
    /// Index among the free poses, of each pose.
    columns: Vec<Option<usize>>,
    free: usize,
    depth_priors: Vec<DepthPrior>,
    lens_prior: LensResidual,
    lens_information: f64,
}

/// Share of an inverse depth over which residuals are linear in it.
const PARABOLIC: f64 = 0.005;

/// What poses that are held say of a point that one of them hosts: a function of its inverse depth alone, taken as a
/// parabola once.
#[derive(Clone, Copy, Default)]
struct DepthPrior {
    /// The first observations are in here.
    observations: usize,
    inverse_depth: f64,
    cost: f64,
    gradient: f64,
    hessian: f64,
}

impl DepthPrior {
    /// Whether the parabola is as good as the observations themselves.
    fn holds_at(&self, inverse_depth: f64) -> bool {
        (inverse_depth - self.inverse_depth).abs() <= PARABOLIC * self.inverse_depth
    }

    fn cost(&self, inverse_depth: f64) -> f64 {
        let step = inverse_depth - self.inverse_depth;
        self.cost + (2.0 * self.gradient + self.hessian * step) * step
    }
}

impl Terms {
    fn new(problem: &Problem, options: &Options) -> Self {
        let mut columns = Vec::with_capacity(problem.poses.len());
        let mut free = 0;
        for pose in &problem.poses {
            columns.push((!pose.fixed).then_some(free));
            free += usize::from(!pose.fixed);
        }
        let mut terms = Self {
            huber: options.huber,
            columns,
            free,
            depth_priors: vec![DepthPrior::default(); problem.points.len()],
            lens_prior: problem.lens,
            lens_information: options.lens_information,
        };
        terms.renew_depth_priors(&View::new(problem));
        terms
    }

    /// Takes the parabolas of the points that have left them anew; whether there were any.
    fn renew_depth_priors(&mut self, view: &View<'_>) -> bool {
        if self.lens_information < LENS_HELD {
            return false;
        }
        let mut any = false;
        for (i, point) in view.points.iter().enumerate() {
            if self.columns[point.host].is_none() && !self.depth_priors[i].holds_at(point.inverse_depth) {
                self.depth_priors[i] = self.depth_prior(view, point);
                any = true;
            }
        }
        any
    }

    fn depth_prior(&self, view: &View<'_>, point: &Point) -> DepthPrior {
        let mut prior = DepthPrior { inverse_depth: point.inverse_depth, ..DepthPrior::default() };
        let sight = view.sight(point);
        let held = point.observations.iter().take_while(|(target, _)| self.columns[*target].is_none());
        for (target, seen) in held {
            prior.observations += 1;
            let camera = &view.cameras[*target];
            let term = Linearized::new(camera, &view.lens, &sight, seen, self.huber);
            prior.cost += huber_cost(term.as_ref().map(|term| term.residual), self.huber);
            if let Some(term) = term {
                prior.gradient += term.weight * term.by_inverse_depth.dot(&term.residual);
                prior.hessian += term.weight * term.by_inverse_depth.norm_squared();
            }
        }
        prior
    }

    fn cost(&self, view: &View<'_>) -> f64 {
        let of_point = |(point, prior): (&Point, &DepthPrior)| -> f64 {
            let sight = view.sight(point);
            let of_observation = |(pose, seen): &(usize, Vector2<f64>)| {
                let predicted = view.cameras[*pose].project(&sight);
                huber_cost(predicted.map(|predicted| predicted - view.lens.correct(seen)), self.huber)
            };
            let observed: f64 = point.observations[prior.observations..].iter().map(of_observation).sum();
            observed + prior.cost(point.inverse_depth)
        };
        let observed: f64 = view.points.iter().zip(&self.depth_priors).map(of_point).sum();
        observed + self.lens_information * (view.lens.k - self.lens_prior.k).powi(2)
    }

    fn linearize(&self, view: &View<'_>) -> Normal {
        let mut normal = Normal::new(self.free, view.points.len());
        for (point, prior) in view.points.iter().zip(&self.depth_priors) {
            let sight = view.sight(point);
            let mut row = normal.begin_point(self.columns[point.host]);
            row.hessian = prior.hessian;
            row.gradient = prior.gradient + prior.hessian * (point.inverse_depth - prior.inverse_depth);
            for (target, seen) in &point.observations[prior.observations..] {
                let camera = &view.cameras[*target];
                if let Some(term) = Linearized::new(camera, &view.lens, &sight, seen, self.huber) {
                    normal.add(&term, self.columns[*target], &mut row);
                }
            }
            normal.end_point(row);
        }
        let lens = normal.lens_row();
        normal.hessian[(lens, lens)] += self.lens_information;
        normal.gradient[lens] += self.lens_information * (view.lens.k - self.lens_prior.k);
        normal
    }

    /// What the lens's row alone keeps, beside its prior, when all else is eliminated; nothing where the lens is held.
    fn lens_information(&self, normal: &Normal) -> f64 {
        if self.lens_information >= LENS_HELD {
            return 0.0;
        }
        let (reduced, _) = normal.reduced(1e-6);
        let row = normal.lens_row();
        reduced.cholesky().map_or(0.0, |c| (c.l_dirty()[(row, row)].powi(2) - self.lens_information).max(0.0))
    }
}

/// What the normal equations hold of one point.
#[derive(Clone, Debug)]
struct PointRow {
    hessian: f64,
    gradient: f64,
    lens_coupling: f64,
    host: Option<usize>,
    /// Its off-diagonal blocks among those of all points; the host's is the first.
    coupling: Range<usize>,
}

/// The normal equations of a linearised problem: six rows for each free pose, the last one for the lens.
///
/// Of the Hessian, only what is on and below the diagonal.
struct Normal {
    hessian: DMatrix<f64>,
    gradient: DVector<f64>,
    points: Vec<PointRow>,
    /// Off-diagonal blocks: free pose, derivative; poses ascending within a point.
    coupling: Vec<(usize, Vector6<f64>)>,
}

/// Of the reduced normal equations.
type Factor = Cholesky<f64, Dyn>;

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
            coupling: Vec::with_capacity(points * (free_poses + 1)),
        }
    }

    fn begin_point(&mut self, host: Option<usize>) -> PointRow {
        let start = self.coupling.len();
        if let Some(host) = host {
            self.coupling.push((host, Vector6::zeros()));
        }
        PointRow { hessian: 0.0, gradient: 0.0, lens_coupling: 0.0, host, coupling: start..start }
    }

    fn end_point(&mut self, mut row: PointRow) {
        row.coupling.end = self.coupling.len();
        self.points.push(row);
    }

    fn add(&mut self, term: &Linearized, target: Option<usize>, row: &mut PointRow) {
        let (w, r, d) = (term.weight, &term.residual, &term.by_inverse_depth);
        row.hessian += w * d.norm_squared();
        row.gradient += w * d.dot(r);
        row.lens_coupling += w * d.dot(&term.by_lens);
        let lens = self.lens_row();
        self.hessian[(lens, lens)] += w * term.by_lens.norm_squared();
        self.gradient[lens] += w * term.by_lens.dot(r);
        if target.is_none() && row.host.is_none() {
            return;
        }
        let weighted = term.by_target * w;
        let block = weighted.tr_mul(&term.by_target);
        let gradient = weighted.tr_mul(r);
        let with_lens = weighted.tr_mul(&term.by_lens);
        let coupling = weighted.tr_mul(d);
        if let Some(target) = target {
            self.add_pose(target, &block, &gradient, &with_lens);
            self.coupling.push((target, coupling));
        }
        if let Some(host) = row.host {
            self.add_pose(host, &block, &-gradient, &-with_lens);
            self.coupling[row.coupling.start].1 -= coupling;
        }
        if let (Some(target), Some(host)) = (target, row.host) {
            let mut below = self.hessian.fixed_view_mut::<6, 6>(6 * target.max(host), 6 * target.min(host));
            below -= block;
        }
    }

    fn add_pose(&mut self, pose: usize, block: &Matrix6<f64>, gradient: &Vector6<f64>, lens: &Vector6<f64>) {
        let mut diagonal = self.hessian.fixed_view_mut::<6, 6>(6 * pose, 6 * pose);
        diagonal += block;
        let mut part = self.gradient.fixed_rows_mut::<6>(6 * pose);
        part += gradient;
        let lens_row = self.lens_row();
        let mut with_lens = self.hessian.fixed_view_mut::<1, 6>(lens_row, 6 * pose);
        with_lens += lens.transpose();
    }

    fn lens_row(&self) -> usize {
        self.gradient.len() - 1
    }

    /// The normal equations of poses and lens, with the points eliminated.
    fn reduced(&self, damping: f64) -> (DMatrix<f64>, DVector<f64>) {
        let (mut hessian, mut gradient) = (self.hessian.clone(), self.gradient.clone());
        for i in 0..hessian.nrows() {
            hessian[(i, i)] *= 1.0 + damping;
        }
        vectorized(
            #[inline(always)]
            || self.points.iter().for_each(|row| self.eliminate(row, damping, &mut hessian, &mut gradient)),
        );
        (hessian, gradient)
    }

    #[inline(always)]
    fn eliminate(
        &self,
        row: &PointRow,
        damping: f64,
        hessian: &mut DMatrix<f64>,
        gradient: &mut DVector<f64>,
    ) {
        let inverse = 1.0 / damped(row.hessian, damping);
        let lens = self.lens_row();
        gradient[lens] -= row.lens_coupling * inverse * row.gradient;
        hessian[(lens, lens)] -= row.lens_coupling * inverse * row.lens_coupling;
        let coupling = &self.coupling[row.coupling.clone()];
        for (i, (a, block_a)) in coupling.iter().enumerate() {
            let scaled = block_a * inverse;
            let mut part = gradient.fixed_rows_mut::<6>(6 * a);
            part -= scaled * row.gradient;
            let mut part = hessian.fixed_view_mut::<1, 6>(lens, 6 * a);
            part -= (scaled * row.lens_coupling).transpose();
            for (b, block_b) in &coupling[..=i] {
                for (column, factor) in block_b.iter().enumerate() {
                    let start = (6 * b + column) * (lens + 1) + 6 * a;
                    let part = &mut hessian.as_mut_slice()[start..start + 6];
                    part.iter_mut().zip(&scaled).for_each(|(value, row)| *value -= row * factor);
                }
            }
        }
    }

    /// The damped step; `None` where the reduced system is not positive definite.
    fn solve(&self, damping: f64) -> Option<(Step, Factor)> {
        let (hessian, gradient) = self.reduced(damping);
        let factor = hessian.cholesky()?;
        let solution = -factor.solve(&gradient);
        let lens = solution[self.lens_row()];
        let pose_step = |pose: usize| solution.fixed_rows::<6>(6 * pose);
        let inverse_depths = self.points.iter().map(|row| {
            let coupling = &self.coupling[row.coupling.clone()];
            let coupled: f64 = coupling.iter().map(|(pose, block)| block.dot(&pose_step(*pose))).sum();
            -(row.gradient + coupled + row.lens_coupling * lens) / damped(row.hessian, damping)
        });
        let step = Step {
            inverse_depths: inverse_depths.collect(),
            poses: (0..self.lens_row() / 6).map(|pose| pose_step(pose).into_owned()).collect(),
            lens,
        };
        Some((step, factor))
    }
}

fn damped(hessian: f64, damping: f64) -> f64 {
    hessian * (1.0 + damping) + 1e-12
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
            let jacobian = by_q * twist_jacobian(1.0, &q);
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
                let predicted = problem.residual(&point, target, &Vector2::zeros()).unwrap();
                point.observations.push((target, predicted));
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
        const STEP: f64 = 1e-6;
        let mut problem = exact_problem();
        problem.lens.k = -0.02;
        let (point, host, target) = (problem.points[17].clone(), 0, 3);
        let seen = Vector2::new(0.1, -0.1);
        let residual = |change: &dyn Fn(&mut Problem, &mut Point)| {
            let (mut problem, mut point) = (problem.clone(), point.clone());
            change(&mut problem, &mut point);
            problem.residual(&point, target, &seen).unwrap()
        };
        let difference = |change: &dyn Fn(&mut Problem, &mut Point, f64)| {
            (residual(&|problem, point| change(problem, point, STEP))
                - residual(&|problem, point| change(problem, point, -STEP)))
                / (2.0 * STEP)
        };
        let sight = Sight::new(&Camera::new(&problem.poses[host]), &point, &problem.lens);
        let camera = Camera::new(&problem.poses[target]);
        let term = Linearized::new(&camera, &problem.lens, &sight, &seen, 1.0).unwrap();
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
        near.solve(&OPTIONS);
        distant.solve(&OPTIONS);
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
