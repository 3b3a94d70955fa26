//! The normal equations, with the points eliminated from them.

use std::ops::Range;

use nalgebra::{Cholesky, DMatrix, DVector, Dyn, Matrix6, Vector6};

use super::view::Linearized;
use crate::patch::vectorized;

/// What the normal equations hold of one point.
#[derive(Clone, Debug)]
pub(super) struct PointRow {
    pub(super) hessian: f64,
    pub(super) gradient: f64,
    pub(super) lens_coupling: f64,
    pub(super) host: Option<usize>,
    /// Its off-diagonal blocks among those of all points; the host's is the first.
    pub(super) coupling: Range<usize>,
}

/// The normal equations of a linearised problem: six rows for each free pose, the last one for the lens.
///
/// Of the Hessian, only what is on and below the diagonal.
pub(super) struct Normal {
    pub(super) hessian: DMatrix<f64>,
    pub(super) gradient: DVector<f64>,
    pub(super) points: Vec<PointRow>,
    /// Off-diagonal blocks: free pose, derivative; poses ascending within a point.
    pub(super) coupling: Vec<(usize, Vector6<f64>)>,
}

/// Of the reduced normal equations.
pub(super) type Factor = Cholesky<f64, Dyn>;

pub(super) struct Step {
    pub(super) poses: Vec<Vector6<f64>>,
    pub(super) inverse_depths: Vec<f64>,
    pub(super) lens: f64,
}

impl Normal {
    pub(super) fn new(free_poses: usize, points: usize) -> Self {
        Self {
            hessian: DMatrix::zeros(6 * free_poses + 1, 6 * free_poses + 1),
            gradient: DVector::zeros(6 * free_poses + 1),
            points: Vec::with_capacity(points),
            coupling: Vec::with_capacity(points * (free_poses + 1)),
        }
    }

    pub(super) fn begin_point(&mut self, host: Option<usize>) -> PointRow {
        let start = self.coupling.len();
        if let Some(host) = host {
            self.coupling.push((host, Vector6::zeros()));
        }
        PointRow { hessian: 0.0, gradient: 0.0, lens_coupling: 0.0, host, coupling: start..start }
    }

    pub(super) fn end_point(&mut self, mut row: PointRow) {
        row.coupling.end = self.coupling.len();
        self.points.push(row);
    }

    pub(super) fn add(&mut self, term: &Linearized, target: Option<usize>, row: &mut PointRow) {
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

    pub(super) fn lens_row(&self) -> usize {
        self.gradient.len() - 1
    }

    /// The normal equations of poses and lens, with the points eliminated.
    pub(super) fn reduced(&self, damping: f64) -> (DMatrix<f64>, DVector<f64>) {
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
    pub(super) fn solve(&self, damping: f64) -> Option<(Step, Factor)> {
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
