//! What is known about the target, and one step from frame to frame.

use std::sync::Arc;

use geometry::{BoundingBox, Frame, GrayImage, TrackState};

use crate::ImageMotion;
use crate::aim::{Aim, Sighting};
use crate::confidence::{confidence, odds};
use crate::config::TrackerConfig;
use crate::convolution::FilterLearner;
use crate::ego_motion::EgoMotion;
use crate::features::{Extractor, FeatureMap, Projection};
use crate::form::{Axis, FormEstimator};
use crate::kernel::KernelLearner;
use crate::memory::{Memory, View};
use crate::place::{Place, SIDE};
use crate::pooling::pool;
use crate::response::Response;
use crate::search::Search;
use crate::stream::fuse;
use crate::trial::Trial;

/// A template beside its target.
const CONTEXT: f32 = 1.3;
/// Largest and smallest side of a template, in cells.
const SUPPORT: (usize, usize) = (5, 31);
/// Farthest shift looked at, in cells.
const MAX_REACH: usize = 14;
/// Spread of the answer wanted, as a share of a target's side.
const LABEL_SPREAD: f32 = 0.07;
/// Channels kept of gradients and of colours.
const CHANNELS: (usize, usize) = (12, 4);
/// Variance of the colours beside that of the gradients.
const COLOUR_SHARE: f32 = 0.5;
/// Spread of what counts for the choice of channels, as a share of a target's side.
const PROJECTION_SPREAD: f32 = 1.2;
/// Spread of the prior on the shift, in cells.
const PRIOR_CELLS: f32 = 12.0;
/// The window of the ego-motion beside that of the search.
const EGO_EXTENT: f32 = 2.5;
/// Share of pooled answers.
const POOLED: f32 = 0.5;
/// Cost of a part's shift by one cell, as a share of a peak.
const SHIFT_COST: f32 = 0.1;
/// Share of the kernel stream where both are equally reliable; the rest is that of the filters.
const KERNEL_SHARE: f32 = 0.3;
/// Learns the kernel's part from every so many frames that the filters learn from.
const KERNEL_INTERVAL: u64 = 3;
/// Share of a new frame in what is known of the form.
const FORM_RATE: f32 = 0.025;
/// A target whose sides shrink below so many pixels is no longer measured.
const LEAST_SIDE: f32 = 4.0;
/// Least and largest size against the first.
const SIZE_RANGE: std::ops::Range<f32> = 0.1..10.0;
/// How usual an answer must be for a frame to be learnt from, and for its position to be followed.
const LEARN: f32 = 0.5;
const FOLLOW: f32 = 0.3;
/// Confidence from which on there is no doubt.
const SURE: f32 = 0.5;
/// How usual the answer must be once a target is lost.
const REGAIN: f32 = 0.55;
/// Confidence from which on a look may be remembered.
const CERTAIN: f32 = 0.9;
/// A target of which this share is inside the image is measured.
const WHOLE: f32 = 0.95;
/// Confidence at which a doubted target counts as found elsewhere, and how much better than where it was thought to be the odds
/// must be.
const FOUND: f32 = 0.6;
const CLEARLY: f32 = 50.0;
/// Confidence at which it is worth to look more closely.
const GLIMPSED: f32 = 0.2;
/// Frames in a row without a usual answer after which the target is no longer followed.
const LOST_AFTER: u32 = 3;
/// Frames of doubt in a row, all with a usual answer, after which the target is taken for changed.
const RELIEVED_AFTER: u32 = 15;
/// Frames of doubt in a row after which the target is also sought elsewhere.
const SOUGHT_AFTER: u32 = 3;
/// Seeks farther away in every so many frames while something usual is followed.
const FAR_INTERVAL: u32 = 4;
/// By how much a target that is sought may have turned meanwhile, in radians, by turns.
const SOUGHT_TURNS: [f32; 4] = [0.4, -0.4, 0.8, -0.8];
/// Frames for which a target that is not seen, or is doubted, is thought to keep its speed.
const COASTING: (u32, u32) = (12, 30);
/// Frames after the target was found again in which nothing is learnt.
const PROBATION: u32 = 5;
/// Share of a new frame in the speed.
const SPEED_RATE: f32 = 0.2;
/// What lies this share of the target's sides away is something else.
const BESIDE: f32 = 0.7;
/// From one window of the search to the next, as a share of what is seen in each.
const PITCH: f32 = 0.8;
/// How far outside the image a target is thought to be, in windows.
const OUTSIDE: f32 = 2.0;

/// Buffers and settings that outlive a target.
#[derive(Debug)]
pub(crate) struct Instruments {
    config: TrackerConfig,
    extractor: Extractor,
    ego_motion: EgoMotion,
    scratch: Vec<f32>,
}

impl Instruments {
    pub(crate) fn new(config: TrackerConfig) -> Self {
        Self { config, extractor: Extractor::default(), ego_motion: EgoMotion::new(), scratch: Vec::new() }
    }
}

/// Where the target was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) bounding_box: BoundingBox,
    pub(crate) confidence: f32,
    pub(crate) state: TrackState,
}

/// One target.
#[derive(Debug)]
pub(crate) struct Target {
    place: Place,
    first_step: f32,
    projection: Projection,
    map: FeatureMap,
    reach: usize,
    prior: Vec<f32>,
    filters: FilterLearner,
    kernel: KernelLearner,
    /// What is looked for.
    aim: Aim,
    /// What was looked for before there was doubt.
    kept: Aim,
    aim_on_trial: Trial<Aim>,
    fused: Response,
    forms: Vec<FormEstimator>,
    memory: Memory,
    /// Cells that the target covers along each axis.
    cells: [f32; 2],
    /// Where it was when there was last no doubt, moved along with the camera and for a while with its own speed.
    anchor: Place,
    search: Search,
    previous: Arc<GrayImage>,
    learnt_frames: u64,
    frames: u64,
    /// Frames in a row without a usual answer.
    unseen_frames: u32,
    /// Frames in a row with doubt.
    doubtful_frames: u32,
    /// Frames in a row with a usual answer.
    steady_frames: u32,
    /// What the last answer alone said.
    last_confidence: f32,
    /// Frames left in which nothing is learnt.
    probation: u32,
}

impl Target {
    /// Learns `target`, which lies inside `frame`.
    pub(crate) fn new(instruments: &mut Instruments, frame: &Frame, target: BoundingBox) -> Self {
        let place = Place::of(target);
        let support = place.size.map(|side| odd(side / place.cell() * CONTEXT));
        let cells = [0, 1].map(|axis| (place.size[axis] / place.cell()).min(support[axis] as f32));
        let label_sigma = LABEL_SPREAD * (cells[0] * cells[1]).sqrt();
        let projection = learn_projection(instruments, frame, &place, cells);
        let channels = projection.channels();
        let reach = reach(support);
        let mut map = FeatureMap { side: SIDE, channels, values: vec![0.0; SIDE * SIDE * channels] };
        instruments.extractor.extract(frame, place.grid(), &projection, &mut map);
        let view = View { map: &map, raw: instruments.extractor.raw() };
        let mut new = Self {
            memory: Memory::new(view, cells),
            cells,
            anchor: place,
            aim: Aim::default(),
            kept: Aim::default(),
            aim_on_trial: Trial::default(),
            search: Search::default(),
            place,
            first_step: place.step,
            projection,
            map,
            reach,
            prior: prior(reach),
            filters: FilterLearner::new(SIDE, channels, support, cells, label_sigma),
            kernel: KernelLearner::new(support, channels, reach, label_sigma),
            fused: Response::zeros(reach),
            forms: axes(&instruments.config).map(FormEstimator::new).collect(),
            previous: Arc::clone(&frame.gray),
            learnt_frames: 0,
            frames: 0,
            unseen_frames: 0,
            doubtful_frames: 0,
            steady_frames: 0,
            last_confidence: 1.0,
            probation: 0,
        };
        for form in &mut new.forms {
            form.look(frame, &place);
            form.learn(0.0, 1.0);
        }
        new.learn(instruments, frame);
        new.kept = new.aim.clone();
        new
    }

    /// `(width, height)` of the frames.
    pub(crate) fn frame_size(&self) -> (usize, usize) {
        self.previous.size()
    }

    /// Takes the next frame.
    pub(crate) fn follow(
        &mut self,
        instruments: &mut Instruments,
        frame: &Frame,
        motion: Option<&ImageMotion>,
    ) -> Found {
        self.frames += 1;
        self.predict(instruments, frame, motion);
        let mut is_sought = instruments.config.redetection && self.doubtful_frames >= SOUGHT_AFTER;
        let found = if is_sought { self.seek(instruments, frame) } else { None };
        if found.is_some_and(|found| self.is_here(&found)) {
            // What was known before there was doubt is where the target was followed to: there was no reason to doubt.
            (self.doubtful_frames, is_sought) = (0, false);
        } else if let Some(found) = found.filter(|found| self.is_clearly_better(found)) {
            self.recall(&instruments.config);
            self.accept(instruments, frame, &found);
            return self.report(found.confidence);
        }
        let mut seen = self.look(instruments, frame, self.place);
        // Once it is lost, more is asked for before it is followed again.
        let usual_enough = if self.unseen_frames < LOST_AFTER { FOLLOW } else { REGAIN };
        self.last_confidence = seen.confidence;
        // The streams may have learnt something else since there was doubt, so that their answers say little.
        if is_sought && instruments.config.long_memory {
            let odds = odds(seen.confidence) / CLEARLY;
            seen.confidence = odds / (1.0 + odds);
        }
        if instruments.config.occlusion_gate && seen.usual < usual_enough {
            (self.unseen_frames, self.steady_frames) = (self.unseen_frames + 1, 0);
            self.doubt();
        } else {
            self.accept(instruments, frame, &seen);
        }
        self.report(seen.confidence)
    }

    fn report(&self, confidence: f32) -> Found {
        let state = if self.doubtful_frames == 0 { TrackState::Confirmed } else { TrackState::Lost };
        let place = self.place.clamped(self.frame_size(), 0.0);
        Found { bounding_box: place.bounding_box(), confidence, state }
    }

    fn doubt(&mut self) {
        self.doubtful_frames += 1;
        self.memory.doubt();
        self.aim_on_trial.fail();
    }

    /// Moves along with the camera, and with the target's own speed while it is not seen.
    fn predict(&mut self, instruments: &mut Instruments, frame: &Frame, motion: Option<&ImageMotion>) {
        let window = self.place.cell() * SIDE as f32;
        let by_camera = match motion {
            Some(motion) => motion.shift_at(self.place.center),
            None if instruments.config.ego_motion => {
                let extent = window * EGO_EXTENT;
                instruments.ego_motion.measure(&self.previous, frame, self.place.center, extent)
            }
            None => [0.0; 2],
        };
        self.previous = Arc::clone(&frame.gray);
        let coasted = |place: &Place, is_coasting: bool, velocity: [f32; 2]| {
            place.moved(by_camera).moved(if is_coasting { velocity } else { [0.0; 2] })
        };
        let [is_unseen, is_doubted] = [(self.unseen_frames, COASTING.0), (self.doubtful_frames, COASTING.1)]
            .map(|(frames, most)| (1..=most).contains(&frames));
        // What left the image is sought where it left, but is thought to go on.
        self.place = coasted(&self.place, is_unseen, self.aim.velocity).clamped(frame.size(), 0.0);
        self.anchor =
            coasted(&self.anchor, is_doubted, self.kept.velocity).clamped(frame.size(), OUTSIDE * window);
    }

    /// Looks in one more window for what was known before there was doubt.
    fn seek(&mut self, instruments: &mut Instruments, frame: &Frame) -> Option<Sighting> {
        std::mem::swap(&mut self.aim, &mut self.kept);
        let windows = self.windows_to_seek(frame, instruments.config.rotation);
        let found = windows.into_iter().flatten().find_map(|window| {
            let glimpse = self.look(instruments, frame, window);
            (glimpse.confidence >= GLIMPSED).then(|| {
                let (place, _) = self.estimate_form(frame, glimpse.place());
                self.look(instruments, frame, place)
            })
        });
        std::mem::swap(&mut self.aim, &mut self.kept);
        found.filter(|found| found.confidence >= FOUND)
    }

    /// Whether `found` is what is being followed.
    fn is_here(&self, found: &Sighting) -> bool {
        let (here, there) = (self.place.center, found.place().center);
        self.unseen_frames == 0
            && (0..2).all(|axis| (here[axis] - there[axis]).abs() < 0.5 * self.place.size[axis])
    }

    /// Whether `found` is so much surer than what is being followed that the target must be there.
    fn is_clearly_better(&self, found: &Sighting) -> bool {
        odds(found.confidence) >= CLEARLY * odds(self.last_confidence)
    }

    /// Where to seek: where the target was last seen, turned in every second frame in which it is not, and from time to time
    /// farther away.
    fn windows_to_seek(&mut self, frame: &Frame, turns: bool) -> [Option<Place>; 2] {
        let is_turned = turns && self.unseen_frames > 0 && !self.doubtful_frames.is_multiple_of(2);
        let turn = SOUGHT_TURNS[self.doubtful_frames as usize / 2 % SOUGHT_TURNS.len()];
        let near = self.anchor.clamped(frame.size(), 0.0);
        let near = if is_turned { Place { turn: near.turn + turn, ..near } } else { near };
        let pitch = PITCH * (2 * self.reach) as f32 * near.cell();
        let seeks_far = self.unseen_frames > 0 || self.doubtful_frames.is_multiple_of(FAR_INTERVAL);
        [Some(near), seeks_far.then(|| self.search.next_window(&near, pitch, frame.size())).flatten()]
    }

    /// Forgets what was learnt since there was doubt.
    fn recall(&mut self, config: &TrackerConfig) {
        if config.convolution_stream {
            self.filters.recall(&self.kept.convolution_stream.template);
        }
        if config.kernel_stream {
            self.kernel.recall(&self.kept.kernel_stream.template);
        }
        self.aim = self.kept.clone();
        self.place = Place { center: self.place.center, ..self.anchor };
        (self.unseen_frames, self.doubtful_frames, self.probation) = (0, 0, PROBATION);
    }

    /// Looks for the target in a window.
    fn look(&mut self, instruments: &mut Instruments, frame: &Frame, window: Place) -> Sighting {
        let extractor = &mut instruments.extractor;
        extractor.extract(frame, window.grid(), &self.projection, &mut self.map);
        let config = &instruments.config;
        if config.convolution_stream {
            self.aim.convolution_stream.look(&self.map, self.reach);
            self.answer_of_filters(config.deformable_parts, &mut instruments.scratch);
        }
        if config.kernel_stream {
            self.aim.kernel_stream.look(&self.map, self.reach);
            self.answer_of_kernel(config.cross_patch_similarity);
        }
        let streams = [
            (&self.aim.convolution_stream, 1.0 - KERNEL_SHARE, config.convolution_stream),
            (&self.aim.kernel_stream, KERNEL_SHARE, config.kernel_stream),
        ];
        let streams = streams.iter().filter(|stream| stream.2).map(|stream| (stream.0, stream.1));
        fuse(streams, config.reliability_fusion, &mut self.fused);
        self.sighting(window, config.long_memory.then_some(extractor.raw()))
    }

    /// The best shift, those near where the target is expected preferred; with `raw`, the cells before the reduction, as the
    /// long memory sees it.
    fn sighting(&self, window: Place, raw: Option<&[f32]>) -> Sighting {
        let expected = |index: usize| self.fused.values[index] * self.prior[index];
        let better = |best: usize, index: usize| if expected(index) > expected(best) { index } else { best };
        let index = (0..self.prior.len()).fold(0, better);
        let peak = self.fused.values[index];
        let usual = self.aim.history.judge(&self.fused, peak);
        let shift = self.fused.shift(index);
        let remembered = raw.map(|raw| self.memory.likeness(View { map: &self.map, raw }, shift));
        let confidence = remembered.map_or(usual, |likeness| confidence(usual, likeness));
        Sighting { window, shift, peak, usual, confidence }
    }

    /// The best shift of what lies beside a target at `shift`.
    fn beside(&self, shift: [f32; 2]) -> [f32; 2] {
        let side = self.fused.side();
        let at = |index: usize| [index % side, index / side].map(|v| v as f32 - self.reach as f32);
        let is_beside = |index: &usize| {
            (0..2).any(|axis| (at(*index)[axis] - shift[axis]).abs() > BESIDE * self.cells[axis])
        };
        let value = |index: usize| self.fused.values[index];
        at((0..side * side).filter(is_beside).max_by(|a, b| value(*a).total_cmp(&value(*b))).unwrap_or(0))
    }

    /// The sum of the parts' answers, and with it what parts say that may move.
    fn answer_of_filters(&mut self, deformable: bool, scratch: &mut Vec<f32>) {
        let stream = &mut self.aim.convolution_stream;
        stream.response = Response::zeros(self.reach);
        let pooled = if deformable { POOLED } else { 0.0 };
        add_all(&mut stream.response, &stream.parts, 1.0 - pooled);
        if deformable {
            let cost = SHIFT_COST * stream.response.peak().1.max(0.0) / stream.parts.len() as f32;
            stream.parts.iter_mut().for_each(|part| pool(part, cost, scratch));
            add_all(&mut stream.response, &stream.parts, pooled);
        }
    }

    fn answer_of_kernel(&mut self, cross_patch: bool) {
        let stream = &mut self.aim.kernel_stream;
        if cross_patch {
            self.kernel.answer(&stream.template, &stream.parts, &mut stream.response);
        } else {
            stream.response = Response::zeros(self.reach);
            add_all(&mut stream.response, &stream.parts, 1.0);
        }
    }

    /// Goes to where the target was seen, measures it, and learns where that is safe.
    fn accept(&mut self, instruments: &mut Instruments, frame: &Frame, seen: &Sighting) {
        let pixels = seen.window.pixels(seen.shift);
        self.place = seen.place();
        // After an absence, the way is not that of one frame.
        if self.unseen_frames == 0 && self.doubtful_frames == 0 && self.probation < PROBATION {
            let speeds = self.aim.velocity.iter_mut().zip(pixels);
            speeds.for_each(|(speed, now)| *speed += (now - *speed) * SPEED_RATE);
        }
        self.unseen_frames = 0;
        let config = &instruments.config;
        self.steady_frames = if seen.usual >= LEARN { self.steady_frames + 1 } else { 0 };
        if self.doubtful_frames >= RELIEVED_AFTER && self.steady_frames > self.doubtful_frames {
            // Without a break from when there was no doubt: it is the target that has changed.
            self.memory.adopt(View { map: &self.map, raw: instruments.extractor.raw() }, seen.shift);
            self.kept = self.aim.clone();
            self.doubtful_frames = 0;
        }
        let is_sure = seen.confidence >= SURE;
        let learns = !config.occlusion_gate || (seen.usual >= LEARN && self.probation == 0);
        // What is hidden or cut off by the image's edge has another form.
        if seen.usual >= LEARN && self.place.share_inside(frame.size()) >= WHOLE {
            self.measure_form(frame, learns);
        }
        if is_sure {
            self.confirm(instruments, seen);
        } else {
            self.doubt();
        }
        self.probation = self.probation.saturating_sub(1);
        if learns {
            self.note(instruments, seen);
        }
        if learns && self.frames.is_multiple_of(config.learning_interval.max(1) as u64) {
            self.learn(instruments, frame);
        }
    }

    /// A frame without doubt.
    fn confirm(&mut self, instruments: &Instruments, seen: &Sighting) {
        (self.doubtful_frames, self.anchor) = (0, self.place);
        self.search.restart();
        let view = View { map: &self.map, raw: instruments.extractor.raw() };
        self.memory.confirm(view, self.beside(seen.shift));
        if let Some(aim) = self.aim_on_trial.pass_frame() {
            self.kept = aim;
        }
        if self.aim_on_trial.is_free() {
            self.aim_on_trial.begin(self.aim.clone());
        }
    }

    /// Remembers how the streams answered.
    fn note(&mut self, instruments: &Instruments, seen: &Sighting) {
        self.aim.history.note(&self.fused, seen.peak);
        self.aim.convolution_stream.confirm(seen.shift);
        self.aim.kernel_stream.confirm(seen.shift);
        let config = &instruments.config;
        if config.kernel_stream
            && config.cross_patch_similarity
            && self.frames.is_multiple_of(KERNEL_INTERVAL)
        {
            let stream = &self.aim.kernel_stream;
            self.kernel.learn_similarity(&stream.template, &stream.parts, seen.shift);
        }
    }

    fn measure_form(&mut self, frame: &Frame, learns: bool) {
        let (place, steps) = self.estimate_form(frame, self.place);
        self.place = place;
        if learns {
            self.forms.iter_mut().zip(steps).for_each(|(form, steps)| form.learn(steps, FORM_RATE));
        }
    }

    /// `place` with the target's size and turn there, and the steps that each estimate made.
    fn estimate_form(&mut self, frame: &Frame, mut place: Place) -> (Place, Vec<f32>) {
        let mut all = Vec::with_capacity(self.forms.len());
        for form in &mut self.forms {
            let steps = form.estimate(frame, &place);
            let changed = form.changed(&place, steps);
            if SIZE_RANGE.contains(&(changed.step / self.first_step))
                && changed.size.iter().all(|side| *side >= LEAST_SIDE)
            {
                place = changed;
            }
            all.push(steps);
        }
        (place, all)
    }

    /// Learns both streams from where the target is.
    fn learn(&mut self, instruments: &mut Instruments, frame: &Frame) {
        let (place, extractor) = (&self.place, &mut instruments.extractor);
        extractor.extract(frame, place.grid(), &self.projection, &mut self.map);
        if self.last_confidence >= CERTAIN {
            self.memory.learn(View { map: &self.map, raw: extractor.raw() });
        }
        let config = &instruments.config;
        if config.convolution_stream {
            self.filters.learn(&self.map, &mut self.aim.convolution_stream.template);
        }
        if config.kernel_stream && self.learnt_frames.is_multiple_of(KERNEL_INTERVAL) {
            self.kernel.learn(&self.map);
            self.aim.kernel_stream.template = self.kernel.template(config.fast_memory);
        }
        self.learnt_frames += 1;
    }
}

/// The next odd number, within bounds.
fn odd(cells: f32) -> usize {
    ((cells.ceil() as usize) | 1).clamp(SUPPORT.0, SUPPORT.1)
}

/// How far a template can be moved within a map.
fn reach(support: [usize; 2]) -> usize {
    (SIDE / 2 - 1).saturating_sub(support[0].max(support[1]) / 2).min(MAX_REACH)
}

/// How likely each shift is beforehand.
fn prior(reach: usize) -> Vec<f32> {
    let side = 2 * reach + 1;
    let squared = |v: usize| ((v as f32 - reach as f32) / PRIOR_CELLS).powi(2);
    (0..side * side).map(|i| (-0.5 * (squared(i % side) + squared(i / side))).exp()).collect()
}

fn axes(config: &TrackerConfig) -> impl Iterator<Item = Axis> {
    let all = [(config.rotation, Axis::Turn), (config.scale, Axis::Scale), (config.aspect, Axis::Aspect)];
    all.into_iter().filter_map(|(is_on, axis)| is_on.then_some(axis))
}

fn add_all(sum: &mut Response, parts: &[Response], weight: f32) {
    for part in parts {
        sum.values.iter_mut().zip(&part.values).for_each(|(sum, value)| *sum += weight * value);
    }
}

/// The directions in which the target and what is around it differ most.
fn learn_projection(
    instruments: &mut Instruments,
    frame: &Frame,
    place: &Place,
    cells: [f32; 2],
) -> Projection {
    let raw = instruments.extractor.describe(frame, place.grid());
    let squared =
        |v: usize, axis: usize| ((v as f32 - (SIDE / 2) as f32) / (PROJECTION_SPREAD * cells[axis])).powi(2);
    let weight = |i: usize| (-0.5 * (squared(i % SIDE, 0) + squared(i / SIDE, 1))).exp();
    let weights: Vec<f32> = (0..SIDE * SIDE).map(weight).collect();
    let colours = if instruments.config.colour { CHANNELS.1 } else { 0 };
    Projection::learn(raw, &weights, CHANNELS.0, colours, COLOUR_SHARE)
}
