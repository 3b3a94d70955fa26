//! How a box moves: constant velocity, with what is known of it and how well.

use geometry::BoundingBox;

use crate::ImageMotion;

/// A number that changes steadily: a Kalman filter of two states.
#[derive(Clone, Copy, Debug)]
struct Steady {
    value: f32,
    rate: f32,
    /// Covariance: of the value, of both, of the rate.
    covariance: [f32; 3],
}

impl Steady {
    fn new(value: f32, value_sigma: f32, rate_sigma: f32) -> Self {
        Self { value, rate: 0.0, covariance: [value_sigma.powi(2), 0.0, rate_sigma.powi(2)] }
    }

    /// One frame on, in which the rate may change by `rate_noise`.
    fn predict(&mut self, rate_noise: f32) {
        let [value, both, rate] = self.covariance;
        self.value += self.rate;
        self.covariance = [value + 2.0 * both + rate, both + rate, rate + rate_noise.powi(2)];
    }

    /// Takes a measurement with `noise`.
    fn update(&mut self, measured: f32, noise: f32) {
        let [value, both, rate] = self.covariance;
        let innovation = value + noise.powi(2);
        let gains = [value / innovation, both / innovation];
        let error = measured - self.value;
        self.value += gains[0] * error;
        self.rate += gains[1] * error;
        self.covariance = [(1.0 - gains[0]) * value, (1.0 - gains[0]) * both, rate - gains[1] * both];
    }

    /// Squared distance of a measurement in standard deviations.
    fn squared_distance(&self, measured: f32, noise: f32) -> f32 {
        (measured - self.value).powi(2) / (self.covariance[0] + noise.powi(2))
    }
}

/// A box that moves: its centre in pixels, and the logarithms of its sides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MovingBox {
    center: [Steady; 2],
    log_size: [Steady; 2],
}

/// Standard deviations, those of places as shares of the box's side.
const MEASURED_PLACE: f32 = 0.06;
const FIRST_SPEED: f32 = 0.4;
const SPEED_CHANGE: f32 = 0.04;
const MEASURED_SIZE: f32 = 0.08;
const FIRST_GROWTH: f32 = 0.03;
const GROWTH_CHANGE: f32 = 0.005;

impl MovingBox {
    /// At rest at `seen`.
    pub(crate) fn new(seen: &BoundingBox) -> Self {
        let (x, y) = seen.center();
        let side = side(seen);
        Self {
            center: [x, y].map(|v| Steady::new(v, MEASURED_PLACE * side, FIRST_SPEED * side)),
            log_size: [seen.width, seen.height].map(|v| Steady::new(v.ln(), MEASURED_SIZE, FIRST_GROWTH)),
        }
    }

    /// One frame on, in which the camera moved the image by `motion`.
    pub(crate) fn predict(&mut self, motion: Option<&ImageMotion>) {
        let side = side(&self.bounding_box());
        if let Some(motion) = motion {
            // Boxes count from the edge of the first pixel, homographies from its centre.
            let moved = motion.apply(self.center.map(|v| v.value - 0.5));
            (0..2).for_each(|axis| self.center[axis].value = moved[axis] + 0.5);
        }
        self.center.iter_mut().for_each(|v| v.predict(SPEED_CHANGE * side));
        self.log_size.iter_mut().for_each(|v| v.predict(GROWTH_CHANGE));
    }

    /// Takes what was seen.
    pub(crate) fn update(&mut self, seen: &BoundingBox) {
        let (x, y) = seen.center();
        let noise = MEASURED_PLACE * side(seen);
        self.center.iter_mut().zip([x, y]).for_each(|(v, seen)| v.update(seen, noise));
        let sizes = self.log_size.iter_mut().zip([seen.width, seen.height]);
        sizes.for_each(|(v, seen)| v.update(seen.ln(), MEASURED_SIZE));
    }

    /// Squared distance of `seen` in standard deviations, over all four numbers.
    pub(crate) fn squared_distance(&self, seen: &BoundingBox) -> f32 {
        let (x, y) = seen.center();
        let noise = MEASURED_PLACE * side(seen);
        let place = self.center.iter().zip([x, y]).map(|(v, seen)| v.squared_distance(seen, noise));
        let sizes = self.log_size.iter().zip([seen.width, seen.height]);
        place.chain(sizes.map(|(v, seen)| v.squared_distance(seen.ln(), MEASURED_SIZE))).sum()
    }

    /// Where it is thought to be.
    pub(crate) fn bounding_box(&self) -> BoundingBox {
        let [width, height] = self.log_size.map(|v| v.value.exp());
        let [x, y] = self.center.map(|v| v.value);
        BoundingBox::new(x - width / 2.0, y - height / 2.0, width, height)
    }
}

fn side(of: &BoundingBox) -> f32 {
    of.area().sqrt().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_box_is_foreseen_and_a_camera_s_motion_is_not_taken_for_its_own() {
        let at = |i: f32| BoundingBox::new(10.0 + 3.0 * i, 20.0, 30.0, 15.0);
        let mut own = MovingBox::new(&at(0.0));
        let mut carried = MovingBox::new(&at(0.0));
        for i in 1..20 {
            own.predict(None);
            carried.predict(Some(&ImageMotion::from_shift(3.0, 0.0)));
            own.update(&at(i as f32));
            carried.update(&at(i as f32));
        }
        for _ in 0..5 {
            own.predict(None);
            carried.predict(None);
        }
        assert!((own.bounding_box().x - at(24.0).x).abs() < 1.0, "{:?}", own.bounding_box());
        assert!((carried.bounding_box().x - at(19.0).x).abs() < 1.0, "{:?}", carried.bounding_box());
        assert!(own.squared_distance(&at(24.0)) < 1.0 && own.squared_distance(&at(60.0)) > 16.0);
    }
}
