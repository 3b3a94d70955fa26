//! Metres along the way: the sum of its segments, each by the scale of its time.
//!
//! The map keeps its own unit. A keyframe's metric place is that of the keyframe before plus the segment between them times
//! the scale known when the segment was flown, so that knowing the scale better later moves nothing that lies behind.

use std::collections::VecDeque;

use geometry::Timestamp;
use nalgebra::{Matrix3, Vector3};

use crate::KeyframeView;

/// A scale and its standard deviation relative to it.
pub(crate) type Scale = (f64, f64);

/// The way from keyframe to keyframe, in map units and in metres.
#[derive(Clone, Debug, Default)]
pub(crate) struct MetricChain {
    /// Those that the map may still move, and the one before.
    links: VecDeque<Link>,
    /// Where the place is from which the way goes on without a keyframe.
    start: Place,
    scale: Option<Scale>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    stamp: Timestamp,
    /// Scale of the way from the link before to this one.
    scale: Option<Scale>,
    place: Place,
}

/// A place in the map and in metres.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    in_map: Vector3<f64>,
    /// In map units, from where the scale became unknown, as long as it is.
    pub(crate) metric: Vector3<f64>,
    /// Variance of the relative error of the scale on the way here.
    scale_variance: f64,
    /// Covariance of that error with the error that it has made of the way, in metres.
    cross_covariance: Vector3<f64>,
    /// What the scale's error makes of the way, in square metres.
    pub(crate) scale_covariance: Matrix3<f64>,
}

impl Default for Place {
    fn default() -> Self {
        let origin = Vector3::zeros();
        Self {
            in_map: origin,
            metric: origin,
            scale_variance: 0.0,
            cross_covariance: origin,
            scale_covariance: Matrix3::zeros(),
        }
    }
}

impl Place {
    /// What lies behind keeps the error of the scale of its time. As in a Kalman filter of a constant, an estimate that grew
    /// surer shares with the way behind what is left of the error; one that grew less sure has an error of its own
    /// besides.
    fn moved_to(&self, in_map: &Vector3<f64>, scale: Option<Scale>) -> Self {
        let (factor, sigma) = scale.unwrap_or((1.0, 0.0));
        let variance = sigma * sigma;
        let step = (in_map - self.in_map) * factor;
        let kept = if variance < self.scale_variance { variance / self.scale_variance } else { 1.0 };
        let shared = self.cross_covariance * kept;
        let with_before = step * shared.transpose();
        Self {
            in_map: *in_map,
            metric: self.metric + step,
            scale_variance: variance,
            cross_covariance: shared + step * variance,
            scale_covariance: self.scale_covariance
                + with_before
                + with_before.transpose()
                + step * step.transpose() * variance,
        }
    }
}

impl MetricChain {
    /// Where a position of the map lies.
    pub(crate) fn place(&self, in_map: &Vector3<f64>) -> Place {
        self.links.back().map_or(&self.start, |link| &link.place).moved_to(in_map, self.scale)
    }

    /// Where the keyframe with this stamp lies.
    pub(crate) fn keyframe(&self, stamp: Timestamp) -> Option<&Place> {
        let index = self.links.binary_search_by_key(&stamp, |link| link.stamp).ok()?;
        self.links.get(index).map(|link| &link.place)
    }

    pub(crate) fn scale(&self) -> Option<Scale> {
        self.scale
    }

    /// From now on with this scale. The first that is known holds for the way since there was none, too.
    pub(crate) fn set_scale(&mut self, scale: Option<Scale>) {
        if self.scale.is_none() && scale.is_some() {
            for link in &mut self.links {
                *link = Link { scale, place: self.start.moved_to(&link.place.in_map, scale), ..*link };
            }
        }
        self.scale = scale;
    }

    /// Another map begins at `in_map`, which lies where the last one has it. Its unit is another where `scale` is not the
    /// present one.
    pub(crate) fn begin_map(&mut self, in_map: &Vector3<f64>, scale: Option<Scale>) {
        self.start = self.place(in_map);
        if scale != self.scale {
            self.start.cross_covariance = Vector3::zeros();
        }
        self.links.clear();
        self.scale = scale;
    }

    /// The map has moved its newest keyframes, and has perhaps new ones.
    pub(crate) fn revise(&mut self, keyframes: &[KeyframeView]) {
        let Some(first) = keyframes.first() else { return };
        let known = std::mem::take(&mut self.links);
        self.links.extend(known.iter().rfind(|link| link.stamp < first.stamp));
        for keyframe in keyframes {
            let (stamp, in_map) = (keyframe.stamp, keyframe.world_from_camera.translation);
            let old = known.binary_search_by_key(&stamp, |link| link.stamp).ok();
            let scale = old.and_then(|index| known.get(index)).map_or(self.scale, |link| link.scale);
            let previous = self.links.back().map_or(&self.start, |link| &link.place);
            let place = previous.moved_to(&in_map, scale);
            self.links.push_back(Link { stamp, scale, place });
        }
    }
}

#[cfg(test)]
mod tests {
    use geometry::Se3;

    use super::*;

    /// A keyframe at `x` on the first axis.
    fn keyframe(index: i64, x: f64) -> KeyframeView {
        let world_from_camera = Se3 { translation: Vector3::new(x, 0.0, 0.0), ..Se3::identity() };
        KeyframeView { stamp: Timestamp::from_nanos(index), world_from_camera }
    }

    fn metric(chain: &MetricChain, x: f64) -> f64 {
        chain.place(&Vector3::new(x, 0.0, 0.0)).metric.x
    }

    #[test]
    fn a_later_scale_moves_nothing_behind() {
        let mut chain = MetricChain::default();
        chain.set_scale(Some((2.0, 0.1)));
        chain.revise(&[keyframe(0, 0.0), keyframe(1, 1.0)]);
        chain.set_scale(Some((3.0, 0.05)));
        assert!((metric(&chain, 1.0) - 2.0).abs() < 1e-12);
        assert!((metric(&chain, 2.0) - 5.0).abs() < 1e-12);
        chain.revise(&[keyframe(1, 1.0), keyframe(2, 2.0)]);
        chain.set_scale(Some((10.0, 0.05)));
        assert!((metric(&chain, 2.0) - 5.0).abs() < 1e-12);
        assert!((chain.keyframe(Timestamp::from_nanos(1)).unwrap().metric.x - 2.0).abs() < 1e-12);
    }

    #[test]
    fn an_error_that_shrinks_leaves_less_behind_than_one_that_stays() {
        let mut chain = MetricChain::default();
        let sigma = |i: u32| 0.1 / f64::from(i).sqrt();
        for i in 1..=100_u32 {
            chain.set_scale(Some((2.0, sigma(i))));
            chain.revise(&[i - 1, i].map(|k| keyframe(i64::from(k), f64::from(k))));
        }
        let place = chain.keyframe(Timestamp::from_nanos(100)).unwrap();
        let got = place.scale_covariance[(0, 0)].sqrt();
        let (constant, fully_correlated) =
            (200.0 * sigma(100), (1..=100).map(|i| 2.0 * sigma(i)).sum::<f64>());
        assert!(constant < got && got < 0.8 * fully_correlated, "{constant} {got} {fully_correlated}");
    }

    #[test]
    fn an_error_that_grows_and_shrinks_on_a_winding_way_is_no_less_than_none() {
        let mut chain = MetricChain::default();
        let at = |i: i64| {
            let (t, mut view) = (i as f64 / 10.0, keyframe(i, 0.0));
            view.world_from_camera.translation = Vector3::new(t.sin(), (1.3 * t).cos(), t);
            view
        };
        for i in 1..=60 {
            chain.set_scale(Some((2.0, [0.01, 0.1, 0.03][i as usize / 5 % 3])));
            chain.revise(&[at(i - 1), at(i)]);
            let covariance = chain.keyframe(Timestamp::from_nanos(i)).unwrap().scale_covariance;
            let least = covariance.symmetric_eigenvalues().min();
            assert!(least > -1e-12, "{least} at {i}");
        }
    }

    #[test]
    fn what_the_map_moves_moves_by_the_scale_of_its_time() {
        let mut chain = MetricChain::default();
        chain.set_scale(Some((2.0, 0.0)));
        chain.revise(&[keyframe(0, 0.0), keyframe(1, 1.0)]);
        chain.set_scale(Some((3.0, 0.0)));
        chain.revise(&[keyframe(1, 1.5), keyframe(2, 2.0)]);
        assert!((metric(&chain, 2.0) - (1.5 * 2.0 + 0.5 * 3.0)).abs() < 1e-12);
    }

    #[test]
    fn the_first_scale_holds_for_the_way_before_it() {
        let mut chain = MetricChain::default();
        for i in 0..6_u32 {
            let keyframes = [0, 1].map(|k| keyframe(i64::from(i + k), f64::from(i + k)));
            chain.revise(&keyframes);
        }
        assert!((metric(&chain, 6.0) - 6.0).abs() < 1e-12, "in map units so far");
        chain.set_scale(Some((4.0, 0.1)));
        let place = chain.place(&Vector3::new(7.0, 0.0, 0.0));
        assert!((place.metric.x - 28.0).abs() < 1e-12);
        assert!((place.scale_covariance[(0, 0)].sqrt() - 2.8).abs() < 1e-12);
    }

    #[test]
    fn another_map_goes_on_where_the_last_one_ended() {
        let mut chain = MetricChain::default();
        chain.set_scale(Some((2.0, 0.0)));
        chain.revise(&[keyframe(0, 0.0), keyframe(1, 1.0)]);
        chain.begin_map(&Vector3::new(1.5, 0.0, 0.0), None);
        assert!((metric(&chain, 1.5) - 3.0).abs() < 1e-12);
        chain.revise(&[keyframe(5, 1.5), keyframe(6, 2.5)]);
        chain.set_scale(Some((7.0, 0.0)));
        assert!((metric(&chain, 2.5) - 10.0).abs() < 1e-12);
    }
}
