//! What two frames tell of the camera's motion.

use geometry::Timestamp;
use nalgebra::Vector2;

use super::snippets::Limits;
use crate::two_view::{Match, best_rotation, turn_error};

/// Steps between two frames that are looked at, in frames.
pub(super) const STEPS: [usize; 10] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32];
/// Fewer points in common say nothing.
pub(super) const LEAST_MATCHES: usize = 25;
/// Two frames have to have this share of the features of the first in common.
const LEAST_SHARED: f64 = 0.3;
/// Shares of the points that move less than what is given as the parallax, and as the most.
const PARALLAX: f64 = 0.75;
const MOST: f64 = 0.9;

/// A parallax below this share of the flow may be a turn, seen through a lens whose focal length is a guess ...
const DOUBTFUL: f64 = 0.2;
/// ... and wrong by one of these factors, ...
const FOCAL_FACTORS: [f64; 8] = [0.6, 0.68, 0.78, 0.88, 1.13, 1.28, 1.43, 1.6];
/// ... where a turn then leaves less than this share.
const EXACT: f64 = 0.015;

/// What is kept of a frame. Pixels are those of the image that is looked at, not of the video.
#[derive(Clone, Debug, Default)]
pub(super) struct Sight {
    pub(super) stamp: Option<Timestamp>,
    /// Identities of features and their rays' points on the plane `z = 1`, by identity; none for a frame that can't be read.
    pub(super) rays: Vec<(u64, Vector2<f32>)>,
    /// Median width of its edges in pixels; `None` where it has too few.
    pub(super) edge_width_px: Option<f64>,
    /// Stops by which it is brighter than the frame before, where they have something in common.
    pub(super) brightening: Option<f64>,
    /// Mean absolute difference from the frame before, in grey values.
    pub(super) difference: Option<f64>,
    /// Share of the features of the frame before that it shows.
    pub(super) shown_share: f64,
}

impl Sight {
    /// Whether it could be read.
    pub(super) fn is_readable(&self) -> bool {
        self.stamp.is_some()
    }

    /// Points that both frames see; `None` where they have too little in common.
    pub(super) fn matches(&self, later: &Self) -> Option<Vec<Match>> {
        let mut others = later.rays.iter().peekable();
        let mut matches = Vec::with_capacity(self.rays.len());
        for (id, ray) in &self.rays {
            while others.next_if(|(other, _)| other < id).is_some() {}
            if let Some((_, other)) = others.next_if(|(other, _)| other == id) {
                matches.push((ray.map(f64::from), other.map(f64::from)));
            }
        }
        let least = LEAST_MATCHES.max((LEAST_SHARED * self.rays.len() as f64) as usize);
        (matches.len() >= least).then_some(matches)
    }
}

/// How far points move between two frames, in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Motion {
    /// Median distance.
    pub(super) flow_px: f64,
    /// Distance that nearly all points stay below.
    pub(super) most_px: f64,
    /// Distance from where a turn of the camera would take them that a quarter of the points exceed: seen from above, most of
    /// a flight looks like a turn to those in the middle.
    pub(super) parallax_px: f64,
}

impl Motion {
    /// Of matches on the plane `z = 1`, where a pixel is `pixel` wide.
    pub(super) fn of(matches: &[Match], pixel: f64) -> Option<Self> {
        let mut room = Vec::with_capacity(matches.len());
        let most = quantile(&mut room, matches.iter().map(|(a, b)| (a - b).norm()), MOST)?;
        let flow = *room.get(room.len() / 2)?;
        let mut parallax = parallax(matches, &mut room)?;
        if parallax < DOUBTFUL * flow {
            let by_other_lens = least_parallax(matches, &mut room);
            parallax = by_other_lens.filter(|least| *least < EXACT * flow).unwrap_or(parallax);
        }
        Some(Self { flow_px: flow / pixel, most_px: most / pixel, parallax_px: parallax / pixel })
    }
}

/// What the rotation that explains matches best leaves of them.
fn parallax(matches: &[Match], room: &mut Vec<f64>) -> Option<f64> {
    let rotation = best_rotation(matches);
    quantile(room, matches.iter().map(|m| turn_error(&rotation, m)), PARALLAX)
}

/// The same through that lens of another focal length by which it is least.
fn least_parallax(matches: &[Match], room: &mut Vec<f64>) -> Option<f64> {
    let through = |factor: f64| {
        let scaled: Vec<Match> = matches.iter().map(|(a, b)| (a * factor, b * factor)).collect();
        Some(parallax(&scaled, room)? / factor)
    };
    FOCAL_FACTORS.into_iter().filter_map(through).reduce(f64::min)
}

/// The value that this share of `values` stays below, which are left in `room` sorted; `None` where there are none.
fn quantile(room: &mut Vec<f64>, values: impl Iterator<Item = f64>, share: f64) -> Option<f64> {
    room.clear();
    room.extend(values);
    room.sort_unstable_by(f64::total_cmp);
    room.get((share * room.len().saturating_sub(1) as f64) as usize).copied()
}

/// Motion from each frame on over each of [`STEPS`].
#[derive(Clone, Debug)]
pub(super) struct Motions {
    rows: Vec<[Option<Motion>; STEPS.len()]>,
}

impl Motions {
    /// Steps above `max_step` are left out.
    pub(super) fn of(sights: &[Sight], pixel: f64, max_step: usize) -> Self {
        let between = |first: usize, step: usize| {
            if step > max_step {
                return None;
            }
            let matches = sights[first].matches(sights.get(first + step)?)?;
            Motion::of(&matches, pixel)
        };
        let row = |first| STEPS.map(|step| between(first, step));
        Self { rows: (0..sights.len()).map(row).collect() }
    }

    /// From frame `first` on over one of [`STEPS`].
    pub(super) fn get(&self, first: usize, step: usize) -> Option<Motion> {
        let column = STEPS.iter().position(|known| *known == step)?;
        *self.rows.get(first)?.get(column)?
    }

    /// All that are known from a frame on, the shortest first.
    pub(super) fn from(&self, frame: usize) -> impl Iterator<Item = Motion> {
        STEPS.iter().filter_map(move |step| self.get(frame, *step))
    }

    /// All that are known up to a frame, the shortest first.
    pub(super) fn until(&self, frame: usize) -> impl Iterator<Item = Motion> {
        STEPS.iter().filter_map(move |step| self.get(frame.checked_sub(*step)?, *step))
    }

    /// The longest step from frame `first` on that suits.
    pub(super) fn farthest(&self, first: usize, limits: &Limits) -> Option<usize> {
        let suits = |step: &&usize| self.get(first, **step).is_some_and(|motion| limits.suits(&motion));
        STEPS.iter().rev().find(suits).copied()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use geometry::Se3;
    use nalgebra::{UnitQuaternion, Vector3};

    use super::*;

    pub(crate) const PIXEL: f64 = 1.0 / 450.0;

    /// Frames of a camera at these poses over ground with hills.
    pub(crate) fn sights(poses: impl Iterator<Item = Se3>) -> Vec<Sight> {
        let point = |i: u64| {
            let (x, y) = ((i % 12) as f64 * 0.9 - 5.0, (i / 12) as f64 * 0.8 - 3.6);
            Vector3::new(x, y, 10.0 + 2.0 * (1.3 * x).sin() * (0.9 * y).cos())
        };
        let sight = |(index, camera_from_world): (usize, Se3)| {
            let rays = (0..120).map(|i| {
                let q = camera_from_world * point(i);
                (i, Vector2::new((q.x / q.z) as f32, (q.y / q.z) as f32))
            });
            Sight {
                stamp: Some(Timestamp::from_nanos(index as i64 * 50_000_000)),
                rays: rays.collect(),
                edge_width_px: Some(2.5),
                brightening: Some(0.0),
                difference: Some(5.0),
                shown_share: 1.0,
            }
        };
        poses.enumerate().map(sight).collect()
    }

    pub(crate) fn flying(frames: usize, metres_per_frame: f64) -> Vec<Sight> {
        let pose = move |i: usize| Vector3::new(-metres_per_frame * i as f64, 0.0, 0.0);
        sights((0..frames).map(move |i| Se3::new(UnitQuaternion::identity(), pose(i))))
    }

    pub(crate) fn turning(frames: usize, rad_per_frame: f64) -> Vec<Sight> {
        let turn = move |i: usize| UnitQuaternion::from_euler_angles(0.0, rad_per_frame * i as f64, 0.0);
        sights((0..frames).map(move |i| Se3::new(turn(i), Vector3::zeros())))
    }

    #[test]
    fn a_turn_has_no_parallax_and_a_flight_has() {
        let turn = Motions::of(&turning(3, 0.02), PIXEL, 64).get(0, 2).unwrap();
        assert!(turn.flow_px > 15.0 && turn.parallax_px < 0.01, "{turn:?}");
        let flight = Motions::of(&flying(3, 0.2), PIXEL, 64).get(0, 2).unwrap();
        assert!(
            flight.flow_px > 15.0 && flight.parallax_px > 1.0 && flight.most_px > flight.flow_px,
            "{flight:?}"
        );
    }

    #[test]
    fn a_turn_is_a_turn_though_the_focal_length_is_a_guess() {
        for factor in [0.65, 0.9, 1.2, 1.5] {
            let mut sights = turning(13, 0.01);
            sights.iter_mut().flat_map(|sight| &mut sight.rays).for_each(|(_, ray)| *ray *= factor);
            let turn = Motions::of(&sights, PIXEL, 64).get(0, 12).unwrap();
            assert!(turn.flow_px > 25.0 && turn.parallax_px < 0.015 * turn.flow_px, "{factor}: {turn:?}");
        }
    }

    #[test]
    fn only_what_frames_share_is_compared() {
        let mut sights = flying(3, 0.2);
        sights[1].rays.retain(|(id, _)| id % 2 == 0);
        assert_eq!(sights[0].matches(&sights[1]).unwrap().len(), 60);
        sights[2].rays.retain(|(id, _)| *id < 20);
        assert!(sights[0].matches(&sights[2]).is_none());
        let motions = Motions::of(&sights, PIXEL, 64);
        assert_eq!((motions.from(0).count(), motions.until(1).count(), motions.until(2).count()), (1, 1, 0));
        assert!(motions.get(2, 1).is_none() && motions.get(0, 5).is_none());
    }
}
