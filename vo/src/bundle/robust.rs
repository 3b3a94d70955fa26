//! How much an error counts.

use nalgebra::Vector2;

/// The cost of Geman and McClure (1985): `w^2 r^2 / (w^2 + r^2)` for an error `r`.
///
/// It grows as the square of errors that are small against the width `w`, and to no more than `w^2`: what is far off says nothing at
/// all. A cost that goes on growing, as Huber's does, lets the few tracks that slide off a crown of a tree pull each pose
/// by a part of a pixel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RobustCost {
    width_squared: f64,
}

impl RobustCost {
    /// With the given width, a length on the plane `z = 1`.
    pub(crate) fn new(width: f64) -> Self {
        Self { width_squared: width * width }
    }

    /// Of a residual on the plane `z = 1`. Behind the camera, `None`, costs as much as far off: a step that puts a point
    /// there is no improvement.
    pub(super) fn cost(self, residual: Option<&Vector2<f64>>) -> f64 {
        let Some(residual) = residual else { return self.width_squared };
        let squared = residual.norm_squared();
        self.width_squared * squared / (self.width_squared + squared)
    }

    /// Half the cost's derivative by the error, over the error.
    pub(super) fn weight(self, residual: &Vector2<f64>) -> f64 {
        let ratio = self.width_squared / (self.width_squared + residual.norm_squared());
        ratio * ratio
    }
}

/// Median of the length of a normally distributed residual, over its deviation along one axis.
const MEDIAN_OVER_SIGMA: f64 = 1.1774;

/// Variance along one axis of residuals whose median length is `error`, whatever the worst of them are.
pub(crate) fn variance_of_median(error: f64) -> f64 {
    (error / MEDIAN_OVER_SIGMA).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_is_the_slope_of_the_cost() {
        const STEP: f64 = 1e-6;
        let robust = RobustCost::new(0.3);
        for error in [0.01, 0.2, 0.5, 3.0] {
            let cost = |error: f64| robust.cost(Some(&Vector2::new(0.6 * error, 0.8 * error)));
            let slope = (cost(error + STEP) - cost(error - STEP)) / (2.0 * STEP);
            let weight = robust.weight(&Vector2::new(0.6 * error, 0.8 * error));
            assert!((slope / (2.0 * error) - weight).abs() < 1e-8, "{error}");
        }
    }

    #[test]
    fn nothing_costs_more_than_what_is_not_seen() {
        let robust = RobustCost::new(0.3);
        assert!(robust.cost(Some(&Vector2::new(1e6, 0.0))) <= robust.cost(None));
    }
}
