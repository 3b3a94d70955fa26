//! What a depth network tells odometry of the metres.

use std::sync::{Mutex, MutexGuard, PoisonError};

use geometry::{DepthImage, Frame, Timestamp};
use nalgebra::Vector2;

use super::DepthNetwork;
use crate::DepthPrior;

/// Standard deviation of a depth as a share of it: what `models/depth-416x128-int8.md` has for scenes that the network never
/// learnt from, abs rel .16 to .18, of errors that are normally distributed.
const SIGMA_SHARE: f64 = 0.22;

/// What is left of it where errors of many scenes cancel: between drives of KITTI, and between worlds seen alike, the unit
/// of that network differs by .05 to .2.
const SHARED_SIGMA: f64 = 0.15;

/// A depth network as [`DepthPrior`]: it looks at the frame that it was shown last, and only once somebody asks how far
/// something in it is.
#[derive(Debug)]
pub struct NetworkPrior {
    /// Metres in what [`PredictedDepth::depth`](super::PredictedDepth::depth) counts in.
    metres: f64,
    looking: Mutex<Looking>,
}

#[derive(Debug)]
struct Looking {
    network: DepthNetwork,
    frame: Option<Frame>,
    seen: Option<Seen>,
}

/// What the network saw in a frame.
#[derive(Debug)]
struct Seen {
    stamp: Timestamp,
    /// Pixels of it for one of the frame, along both axes.
    scale: [f64; 2],
    /// As coarse as the network sees.
    depth: DepthImage,
}

impl NetworkPrior {
    /// What `network` sees, with `metres_per_unit` metres in a unit of its depth, whatever its file says.
    pub fn new(network: DepthNetwork, metres_per_unit: f64) -> Self {
        let metres = metres_per_unit / f64::from(network.description().metres_per_unit.unwrap_or(1.0));
        Self { metres, looking: Mutex::new(Looking { network, frame: None, seen: None }) }
    }

    /// Shows it the next frame.
    pub fn show(&self, frame: &Frame) {
        self.looking().frame = Some(frame.clone());
    }

    fn looking(&self) -> MutexGuard<'_, Looking> {
        self.looking.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DepthPrior for NetworkPrior {
    fn shared_sigma(&self) -> f64 {
        SHARED_SIGMA
    }

    fn depth_at(&self, stamp: Timestamp, pixel: Vector2<f64>) -> Option<(f64, f64)> {
        let mut looking = self.looking();
        if let Some(frame) = looking.frame.take_if(|frame| frame.stamp == stamp) {
            looking.look(&frame);
        }
        let seen = looking.seen.as_ref().filter(|seen| seen.stamp == stamp)?;
        let (width, height) = seen.depth.size();
        let place = |axis: usize, length: usize| {
            let place = ((pixel[axis] + 0.5) * seen.scale[axis]).floor();
            (0.0..length as f64).contains(&place).then_some(place as usize)
        };
        let [depth] = seen.depth.pixel(place(0, width)?, place(1, height)?);
        let depth_m = f64::from(depth) * self.metres;
        (depth_m > 0.0).then_some((depth_m, SIGMA_SHARE * depth_m))
    }
}

impl Looking {
    fn look(&mut self, frame: &Frame) {
        let (width, height) = frame.size();
        self.seen = self.network.predict(frame).ok().map(|predicted| {
            let (columns, rows) = predicted.size();
            let depth = predicted.depth(columns, rows);
            let scale = [columns as f64 / width as f64, rows as f64 / height as f64];
            Seen { stamp: frame.stamp, scale, depth }
        });
    }
}

#[cfg(test)]
mod tests {
    use geometry::RgbImage;
    use nn::kernels::Kernel;

    use super::super::network::tests::{description, file, frame};
    use super::super::{DepthDescription, DepthQuantity};
    use super::*;

    /// The left half of the frame is bright, and far.
    fn prior(metres_per_unit_of_file: Option<f32>) -> (NetworkPrior, Frame) {
        let description = DepthDescription {
            quantity: DepthQuantity::Depth,
            offset: 0.0,
            metres_per_unit: metres_per_unit_of_file,
            ..description()
        };
        let network = DepthNetwork::read(&file(&description, 3, 1), Kernel::best()).unwrap();
        let halves = RgbImage::from_fn(32, 16, |x, _| [if x < 16 { 255 } else { 51 }; 3]);
        (NetworkPrior::new(network, 30.0), frame(halves, false))
    }

    #[test]
    fn depths_are_in_the_metres_that_are_given_and_where_they_are_asked_for() {
        for of_file in [None, Some(7.0)] {
            let (prior, frame) = prior(of_file);
            prior.show(&frame);
            let at = |x: f64, y: f64| prior.depth_at(frame.stamp, Vector2::new(x, y));
            let ((left, sigma), (right, _)) = (at(3.0, 8.2).unwrap(), at(28.4, 8.2).unwrap());
            assert!((left - 60.0).abs() < 1e-3 && (right - 12.0).abs() < 1e-3, "{left} {right}");
            assert!((sigma - SIGMA_SHARE * left).abs() < 1e-9);
            assert_eq!([at(-3.0, 8.0), at(3.0, 16.0), at(f64::NAN, 8.0)], [None; 3]);
        }
    }

    #[test]
    fn only_the_frame_that_was_shown_is_known() {
        let (prior, frame) = prior(None);
        let pixel = Vector2::new(3.0, 8.0);
        assert_eq!(prior.depth_at(frame.stamp, pixel), None);
        let later = Frame { stamp: Timestamp::from_nanos(50_000_000), ..frame.clone() };
        prior.show(&frame);
        assert_eq!(prior.depth_at(later.stamp, pixel), None);
        assert!(prior.depth_at(frame.stamp, pixel).is_some());
        prior.show(&later);
        assert!(prior.depth_at(later.stamp, pixel).is_some());
        assert_eq!(prior.depth_at(frame.stamp, pixel), None);
    }
}
