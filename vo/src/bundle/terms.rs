//! The cost of a problem and its linearisation.

use nalgebra::Vector2;

use super::normal::Normal;
use super::view::{Linearized, View};
use super::{LENS_HELD, Options, Point, Problem, RobustCost};
use crate::lens::LensResidual;

/// The cost of a problem as a function of what is free in it.
pub(super) struct Terms {
    robust: RobustCost,
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
    pub(super) fn new(problem: &Problem, options: &Options) -> Self {
        let mut columns = Vec::with_capacity(problem.poses.len());
        let mut free = 0;
        for pose in &problem.poses {
            columns.push((!pose.fixed).then_some(free));
            free += usize::from(!pose.fixed);
        }
        let mut terms = Self {
            robust: options.robust,
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
    pub(super) fn renew_depth_priors(&mut self, view: &View<'_>) -> bool {
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
            let term = Linearized::new(camera, &view.lens, &sight, seen, self.robust);
            prior.cost += self.robust.cost(term.as_ref().map(|term| &term.residual));
            if let Some(term) = term {
                prior.gradient += term.weight * term.by_inverse_depth.dot(&term.residual);
                prior.hessian += term.weight * term.by_inverse_depth.norm_squared();
            }
        }
        prior
    }

    pub(super) fn cost(&self, view: &View<'_>) -> f64 {
        let of_point = |(point, prior): (&Point, &DepthPrior)| -> f64 {
            let sight = view.sight(point);
            let of_observation = |(pose, seen): &(usize, Vector2<f64>)| {
                self.robust.cost(view.residual(&sight, *pose, seen).as_ref())
            };
            let observed: f64 = point.observations[prior.observations..].iter().map(of_observation).sum();
            observed + prior.cost(point.inverse_depth)
        };
        let observed: f64 = view.points.iter().zip(&self.depth_priors).map(of_point).sum();
        observed + self.lens_information * (view.lens.k - self.lens_prior.k).powi(2)
    }

    pub(super) fn linearize(&self, view: &View<'_>) -> Normal {
        let mut normal = Normal::new(self.free, view.points.len());
        for (point, prior) in view.points.iter().zip(&self.depth_priors) {
            let sight = view.sight(point);
            let mut row = normal.begin_point(self.columns[point.host]);
            row.hessian = prior.hessian;
            row.gradient = prior.gradient + prior.hessian * (point.inverse_depth - prior.inverse_depth);
            for (target, seen) in &point.observations[prior.observations..] {
                let camera = &view.cameras[*target];
                if let Some(term) = Linearized::new(camera, &view.lens, &sight, seen, self.robust) {
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
    pub(super) fn lens_information(&self, normal: &Normal) -> f64 {
        if self.lens_information >= LENS_HELD {
            return 0.0;
        }
        let (reduced, _) = normal.reduced(1e-6);
        let row = normal.lens_row();
        reduced.cholesky().map_or(0.0, |c| (c.l_dirty()[(row, row)].powi(2) - self.lens_information).max(0.0))
    }
}
