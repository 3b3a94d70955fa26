//! The first map: wait for parallax, weigh what the motion may have been, keep what all frames agree with.

use geometry::{Se3, Timestamp};
use nalgebra::{UnitQuaternion, Vector3};

use crate::bundle::{LENS_HELD, Options, Point, Pose, Problem, RobustCost, View};
use crate::lens::LensResidual;
use crate::map::Rays;
use crate::median::median;
use crate::two_view::{self, Match, best_rotation, parallax, rotation_of};

/// Frames remembered while waiting; every second one is dropped when there are more.
const MAX_FRAMES: usize = 24;
/// Frames that take part in the adjustment, first and last included.
const ADJUSTED_FRAMES: usize = 6;
/// Fewer features in common with the first frame, and waiting starts anew.
const MIN_COMMON: usize = 40;
/// Median motion, beyond what a rotation explains, at which a scene's depth shows; in pixels.
const MIN_PARALLAX_PX: f64 = 2.5;
/// Parallax at which the best hypothesis is taken although another one explains the frames nearly as well; in pixels.
const AMPLE_PARALLAX_PX: f64 = 9.0;
/// Parallax below which a choice between different hypotheses is guesswork: flat ground seen over a short way fits two
/// motions about equally well (Longuet-Higgins 1986); in pixels.
const TELLING_PARALLAX_PX: f64 = 5.0;
/// Parallax at which a hypothesis without a rival is taken; in pixels.
const UNDISPUTED_PARALLAX_PX: f64 = 3.0;
/// The second best hypothesis must cost this much more than the best.
const CLEARLY_WORSE: f64 = 1.5;
/// Points with a larger error do not fit a hypothesis, in pixels: first what spoils it, then what it does not explain.
const MISFIT_PX: [f64; 2] = [3.0, 1.5];
/// Errors beyond this count as this one when hypotheses are compared, in pixels.
const TRUNCATED_PX: f64 = 1.0;
/// Median error with which a map may begin, in pixels.
const MAX_ERROR_PX: f64 = 0.8;
/// Width of the robust cost, in pixels.
const COST_WIDTH_PX: f64 = 1.0;

/// Two frames that rotation explains to this many pixels show a camera that turns on the spot, or nearly.
const MAX_TURN_ERROR_PX: f64 = 2.0;

/// Frames seen since waiting began.
///
/// The position can't be told meanwhile, but rotation can, as far as it explains what is seen.
#[derive(Debug)]
pub(crate) struct Initializer {
    frames: Vec<Waiting>,
    /// Pose of the camera at the first of them.
    start: Se3,
    /// Size of a pixel on the plane `z = 1`.
    pixel: f64,
    lens: LensResidual,
}

/// A frame that waits for the first map.
#[derive(Clone, Debug)]
struct Waiting {
    stamp: Timestamp,
    rays: Rays,
    /// The rotation that explains best what the first frame and this one see.
    turned: UnitQuaternion<f64>,
}

/// A first map. Poses are relative to the first frame; the median depth there is 1.
pub(crate) struct FirstMap {
    /// Pose of the camera at the first frame.
    pub(crate) start: Se3,
    pub(crate) problem: Problem,
    /// The frames of the problem's poses.
    pub(crate) frames: Vec<(Timestamp, Rays)>,
    /// Feature identities of the problem's points.
    pub(crate) ids: Vec<u64>,
}

impl Initializer {
    /// Waits with a camera that is at `start`.
    pub(crate) fn new(start: Se3, pixel: f64, lens: LensResidual) -> Self {
        Self { frames: Vec::new(), start, pixel, lens }
    }

    /// Begins with two frames where the second shows what the first one does, only turned; `None` where it does not.
    pub(crate) fn with_turn(mut self, first: (Timestamp, Rays), second: (Timestamp, Rays)) -> Option<Self> {
        self.remember(first);
        self.remember(second);
        let (_, matches) = self.common();
        let turned = self.frames.last()?.turned;
        let is_turn = self.frames.len() == 2 && parallax(&matches, &turned) < MAX_TURN_ERROR_PX * self.pixel;
        is_turn.then_some(self)
    }

    /// The present pose: that of the first frame, turned as the images say.
    pub(crate) fn camera_from_world(&self) -> Se3 {
        self.frames.last().map_or(self.start, |frame| self.turned_start(frame))
    }

    fn turned_start(&self, frame: &Waiting) -> Se3 {
        Se3::new(frame.turned, Vector3::zeros()) * self.start
    }

    /// Takes another frame; gives the map where there is parallax enough and no doubt about it.
    pub(crate) fn add(&mut self, stamp: Timestamp, rays: Rays) -> Option<FirstMap> {
        self.remember((stamp, rays));
        let (ids, matches) = self.common();
        let parallax_px = parallax(&matches, &rotation_of(matches.iter())) / self.pixel;
        if ids.len() < MIN_COMMON || parallax_px < MIN_PARALLAX_PX {
            return None;
        }
        self.decide(&ids, &matches, parallax_px)
    }

    fn remember(&mut self, (stamp, rays): (Timestamp, Rays)) {
        self.frames.push(Waiting { stamp, rays, turned: UnitQuaternion::identity() });
        if self.frames.len() > MAX_FRAMES {
            let mut index = 0;
            self.frames.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
        if self.common().0.len() < MIN_COMMON {
            self.begin_anew();
        }
        let turned = best_rotation(&self.common().1);
        self.frames.iter_mut().next_back().into_iter().for_each(|last| last.turned = turned);
    }

    /// Waiting begins anew with the frame before the last one, or with the last where even these have little in common.
    fn begin_anew(&mut self) {
        let Some(before) = self.frames.len().checked_sub(2) else { return };
        self.start = self.turned_start(&self.frames[before]);
        self.frames.drain(..before);
        self.frames[0].turned = UnitQuaternion::identity();
        if self.common().0.len() < MIN_COMMON {
            self.frames.remove(0);
        }
    }

    /// Features that the first and the last frame share, with their true rays.
    fn common(&self) -> (Vec<u64>, Vec<Match>) {
        let (Some(first), Some(last)) = (self.frames.first(), self.frames.last()) else {
            return Default::default();
        };
        let lens = &self.lens;
        let shared = first
            .rays
            .iter()
            .filter_map(|(id, a)| Some((*id, (lens.correct(a), lens.correct(last.rays.get(id)?)))));
        shared.unzip()
    }

    fn decide(&self, ids: &[u64], matches: &[Match], parallax_px: f64) -> Option<FirstMap> {
        let hypotheses = two_view::hypotheses(matches, 1.5 * self.pixel);
        let mut maps: Vec<(f64, FirstMap)> =
            hypotheses.iter().filter_map(|pose| self.adjusted(pose, ids, matches)).collect();
        maps.sort_by(|a, b| a.0.total_cmp(&b.0));
        let best_cost = maps.first()?.0;
        let best_pose = maps.first()?.1.last_pose()?;
        let different = |map: &FirstMap| map.last_pose().is_some_and(|pose| !alike(&pose, &best_pose));
        let rival =
            maps.iter().skip(1).find(|(_, map)| different(map)).map_or(f64::INFINITY, |(cost, _)| *cost);
        let undisputed = parallax_px > UNDISPUTED_PARALLAX_PX && rival.is_infinite();
        let clear = parallax_px > TELLING_PARALLAX_PX && rival > CLEARLY_WORSE * best_cost;
        if !(undisputed || clear || parallax_px > AMPLE_PARALLAX_PX) {
            return None;
        }
        maps.into_iter().next().map(|(_, map)| map)
    }

    /// The map that a hypothesis leads to, with its mean cost per match.
    fn adjusted(&self, last_from_first: &Se3, ids: &[u64], matches: &[Match]) -> Option<(f64, FirstMap)> {
        let chosen = self.chosen_frames();
        let twist = last_from_first.log();
        let last = (self.frames.len() - 1) as f64;
        let poses = chosen
            .iter()
            .map(|i| Pose { camera_from_world: Se3::exp(&(twist * (*i as f64 / last))), fixed: *i == 0 });
        let mut problem = Problem { poses: poses.collect(), points: Vec::new(), lens: self.lens };
        let mut kept = Vec::new();
        for (id, m) in ids.iter().zip(matches) {
            let Some(inverse_depth) = two_view::triangulate(last_from_first, m) else { continue };
            let seen = chosen.iter().enumerate().skip(1);
            let observations =
                seen.filter_map(|(pose, i)| Some((pose, *self.frames[*i].rays.get(id)?))).collect();
            problem.points.push(Point {
                host: 0,
                ray_in_host: self.frames[0].rays[id],
                inverse_depth: inverse_depth.max(1e-3),
                observations,
            });
            kept.push(*id);
        }
        let robust = RobustCost::new(COST_WIDTH_PX * self.pixel);
        let options = Options { max_iterations: 15, robust, lens_information: LENS_HELD };
        let mut ids = kept;
        for limit_px in MISFIT_PX {
            problem.solve(&options);
            Self::drop_misfits(&mut problem, &mut ids, limit_px * self.pixel);
        }
        problem.solve(&options);
        let sharp = View::new(&problem).median_error() < MAX_ERROR_PX * self.pixel;
        let enough = ids.len() >= MIN_COMMON.max(matches.len() / 2);
        if !(enough && sharp && normalize(&mut problem)) {
            return None;
        }
        let frames = chosen.iter().map(|i| (self.frames[*i].stamp, self.frames[*i].rays.clone())).collect();
        let cost = self.truncated_cost(&problem, matches.len());
        Some((cost, FirstMap { start: self.start, problem, frames, ids }))
    }

    /// Mean over all matches of how badly they fit, in squared lengths on the plane `z = 1`. However badly, one counts no more
    /// than [`TRUNCATED_PX`]: a vehicle must not outweigh the ground.
    fn truncated_cost(&self, problem: &Problem, matches: usize) -> f64 {
        let worst = (TRUNCATED_PX * self.pixel).powi(2);
        let view = View::new(problem);
        let of_point = |point: &Point| {
            let residuals = view.residuals(point);
            let errors =
                residuals.map(|(_, residual)| residual.map_or(worst, |residual| residual.norm_squared()));
            (errors.sum::<f64>() / point.observations.len().max(1) as f64).min(worst)
        };
        let kept: f64 = problem.points.iter().map(of_point).sum();
        (kept + worst * (matches - problem.points.len()) as f64) / matches as f64
    }

    /// First, last, and some evenly between.
    fn chosen_frames(&self) -> Vec<usize> {
        let (count, last) = (ADJUSTED_FRAMES.min(self.frames.len()), self.frames.len() - 1);
        (0..count).map(|i| i * last / (count - 1).max(1)).collect()
    }

    fn drop_misfits(problem: &mut Problem, ids: &mut Vec<u64>, limit: f64) {
        let view = View::new(problem);
        let fits = |point: &Point| {
            view.residuals(point)
                .all(|(_, residual)| residual.is_some_and(|residual| residual.norm() < limit))
        };
        let good: Vec<bool> = problem.points.iter().map(fits).collect();
        let mut index = good.iter();
        problem.points.retain(|_| *index.next().unwrap_or(&false));
        let mut index = good.iter();
        ids.retain(|_| *index.next().unwrap_or(&false));
    }
}

impl FirstMap {
    fn last_pose(&self) -> Option<Se3> {
        self.problem.poses.last().map(|pose| pose.camera_from_world)
    }
}

/// Whether two motions agree in rotation and direction to about two degrees.
fn alike(a: &Se3, b: &Se3) -> bool {
    const TOLERANCE_RAD: f64 = 0.04;
    a.rotation.angle_to(&b.rotation) < TOLERANCE_RAD && a.translation.angle(&b.translation) < TOLERANCE_RAD
}

/// Scales the problem to median depth 1; `false` where that makes no sense.
fn normalize(problem: &mut Problem) -> bool {
    let inverse_depth = median(problem.points.iter().map(|p| p.inverse_depth)).unwrap_or(0.0);
    problem.scale(inverse_depth);
    inverse_depth > 1e-6
}
