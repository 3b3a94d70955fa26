//! What is known about the target, and one step from frame to frame.

use std::sync::Arc;

use geometry::{BoundingBox, Frame, GrayImage, TrackState};

use crate::ImageMotion;
use crate::confidence::History;
use crate::config::TrackerConfig;
use crate::convolution::FilterLearner;
use crate::ego_motion::EgoMotion;
use crate::features::{CELL, Extractor, FeatureMap, Projection};
use crate::kernel::KernelLearner;
use crate::pooling::pool;
use crate::response::Response;
use crate::size::{Axis, SizeEstimator};
use crate::stream::{Stream, fuse};

/// Cells along each axis of the map that is searched.
const SIDE: usize = 48;
/// Cells that a target of equal sides has along each.
const TARGET_CELLS: f32 = 11.0;
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
/// Share of a new frame in what is known of the size.
const SIZE_RATE: f32 = 0.025;
/// A target whose sides shrink below so many pixels is no longer measured.
const LEAST_SIDE: f32 = 4.0;
/// Least and largest size against the first.
const SIZE_RANGE: std::ops::Range<f32> = 0.1..10.0;
/// Likeness above which a frame is learnt from, and above which its position is believed.
const LEARN: f32 = 0.5;
const BELIEVE: f32 = 0.3;
/// Likeness at which a lost target counts as found again.
const FOUND: f32 = 0.55;
/// Doubtful frames in a row after which a target is lost.
const LOST_AFTER: u32 = 3;
/// Frames for which a target that is not seen is thought to keep its speed.
const COASTING: u32 = 12;
/// Share of a new frame in the speed.
const SPEED_RATE: f32 = 0.2;
/// Rings of windows around the last place, the farthest that is sought.
const RINGS: u32 = 4;

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
    velocity: [f32; 2],
    projection: Projection,
    map: FeatureMap,
    reach: usize,
    prior: Vec<f32>,
    filters: FilterLearner,
    kernel: KernelLearner,
    convolution_stream: Stream,
    kernel_stream: Stream,
    fused: Response,
    sizes: Vec<SizeEstimator>,
    history: History,
    previous: Arc<GrayImage>,
    learnt_frames: u64,
    frames: u64,
    doubtful_frames: u32,
}

/// Where a target is and how large.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// In pixels; the first pixel has its centre at the origin.
    center: [f32; 2],
    /// Width and height in pixels.
    size: [f32; 2],
    /// Pixels from one sample to the next.
    step: f32,
}

impl Place {
    fn of(target: BoundingBox) -> Self {
        let (x, y) = target.center();
        // Boxes count from the edge of the first pixel.
        let center = [x - 0.5, y - 0.5];
        let size = [target.width, target.height];
        Self { center, size, step: (size[0] * size[1]).sqrt() / (TARGET_CELLS * CELL as f32) }
    }

    /// Pixels from one cell to the next.
    fn cell(&self) -> f32 {
        self.step * CELL as f32
    }

    /// Middle of a map in which the target lies at cell `SIDE / 2`.
    fn map_center(&self) -> [f32; 2] {
        self.center.map(|v| v - 0.5 * self.cell())
    }

    fn moved(&self, pixels: [f32; 2]) -> Self {
        Self { center: [self.center[0] + pixels[0], self.center[1] + pixels[1]], ..*self }
    }

    fn bounding_box(&self) -> BoundingBox {
        let corner = [0, 1].map(|axis| self.center[axis] + 0.5 - self.size[axis] / 2.0);
        BoundingBox::new(corner[0], corner[1], self.size[0], self.size[1])
    }
}

/// What was seen in one window.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    /// Where the window was.
    window: Place,
    /// Shift of the target from there in cells.
    shift: [f32; 2],
    /// Height of the peak.
    peak: f32,
    /// How much it is like what was seen before, in `[0, 1]`.
    likeness: f32,
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
        let mut new = Self {
            place,
            first_step: place.step,
            velocity: [0.0; 2],
            projection,
            map: FeatureMap { side: SIDE, channels, values: vec![0.0; SIDE * SIDE * channels] },
            reach,
            prior: prior(reach),
            filters: FilterLearner::new(SIDE, channels, support, cells, label_sigma),
            kernel: KernelLearner::new(support, channels, reach, label_sigma),
            convolution_stream: Stream::default(),
            kernel_stream: Stream::default(),
            fused: Response::zeros(reach),
            sizes: axes(&instruments.config).into_iter().map(SizeEstimator::new).collect(),
            history: History::default(),
            previous: Arc::clone(&frame.gray),
            learnt_frames: 0,
            frames: 0,
            doubtful_frames: 0,
        };
        for size in &mut new.sizes {
            size.look(frame, place.center, place.size);
            size.learn(0.0, 1.0);
        }
        new.learn(instruments, frame);
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
        let mut seen = self.look(instruments, frame, self.place);
        let is_lost = self.is_lost();
        if instruments.config.redetection && is_lost && seen.likeness < FOUND {
            seen = self.look_elsewhere(instruments, frame);
        }
        let enough = if is_lost { FOUND } else { BELIEVE };
        if instruments.config.occlusion_gate && seen.likeness < enough {
            self.doubtful_frames += 1;
            return self.report(seen.likeness);
        }
        self.accept(instruments, frame, &seen);
        self.doubtful_frames = 0;
        self.report(seen.likeness)
    }

    fn is_lost(&self) -> bool {
        self.doubtful_frames >= LOST_AFTER
    }

    fn report(&self, confidence: f32) -> Found {
        let state = if self.doubtful_frames == 0 { TrackState::Confirmed } else { TrackState::Lost };
        Found { bounding_box: self.place.bounding_box(), confidence, state }
    }

    /// Moves along with the camera, and with the target's own speed while it is not seen.
    fn predict(&mut self, instruments: &mut Instruments, frame: &Frame, motion: Option<&ImageMotion>) {
        let by_camera = match motion {
            Some(motion) => motion.shift_at(self.place.center),
            None if instruments.config.ego_motion => {
                let extent = self.place.cell() * SIDE as f32 * EGO_EXTENT;
                instruments.ego_motion.measure(&self.previous, frame, self.place.center, extent)
            }
            None => [0.0; 2],
        };
        self.previous = Arc::clone(&frame.gray);
        self.place = self.place.moved(by_camera);
        if (1..=COASTING).contains(&self.doubtful_frames) {
            self.place = self.place.moved(self.velocity);
        }
        let (width, height) = frame.size();
        // What left the image is sought where it left.
        let limits = [width as f32 - 1.0, height as f32 - 1.0];
        self.place.center = [0, 1].map(|axis| self.place.center[axis].clamp(0.0, limits[axis].max(0.0)));
    }

    /// Looks for the target in a window.
    fn look(&mut self, instruments: &mut Instruments, frame: &Frame, window: Place) -> Sighting {
        let extractor = &mut instruments.extractor;
        extractor.extract(frame, window.map_center(), window.step, &self.projection, &mut self.map);
        let config = &instruments.config;
        if config.convolution_stream {
            self.convolution_stream.look(&self.map, self.reach);
            self.answer_of_filters(config.deformable_parts, &mut instruments.scratch);
        }
        if config.kernel_stream {
            self.kernel_stream.look(&self.map, self.reach);
            self.answer_of_kernel(config.cross_patch_similarity);
        }
        let streams = [
            (&self.convolution_stream, 1.0 - KERNEL_SHARE, config.convolution_stream),
            (&self.kernel_stream, KERNEL_SHARE, config.kernel_stream),
        ];
        let streams = streams.iter().filter(|stream| stream.2).map(|stream| (stream.0, stream.1));
        fuse(streams, config.reliability_fusion, &mut self.fused);
        self.sighting(window)
    }

    /// The best shift, those near where the target is expected preferred.
    fn sighting(&self, window: Place) -> Sighting {
        let expected = |index: usize| self.fused.values[index] * self.prior[index];
        let better = |best: usize, index: usize| if expected(index) > expected(best) { index } else { best };
        let index = (0..self.prior.len()).fold(0, better);
        let peak = self.fused.values[index];
        let likeness = self.history.judge(&self.fused, peak);
        Sighting { window, shift: self.fused.shift(index), peak, likeness }
    }

    /// The sum of the parts' answers, and with it what parts say that may move.
    fn answer_of_filters(&mut self, deformable: bool, scratch: &mut Vec<f32>) {
        let stream = &mut self.convolution_stream;
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
        let stream = &mut self.kernel_stream;
        if cross_patch {
            self.kernel.answer(&stream.template, &stream.parts, &mut stream.response);
        } else {
            stream.response = Response::zeros(self.reach);
            add_all(&mut stream.response, &stream.parts, 1.0);
        }
    }

    /// Looks in one more window, farther away from frame to frame.
    fn look_elsewhere(&mut self, instruments: &mut Instruments, frame: &Frame) -> Sighting {
        let ring = (self.doubtful_frames - LOST_AFTER) / 8 % RINGS + 1;
        let angle = std::f32::consts::FRAC_PI_4 * (self.doubtful_frames % 8) as f32;
        let distance = (ring as usize * self.reach) as f32 * self.place.cell();
        let window = self.place.moved([distance * angle.cos(), distance * angle.sin()]);
        self.look(instruments, frame, window)
    }

    /// Goes to where the target was seen, measures it, and learns where that is safe.
    fn accept(&mut self, instruments: &mut Instruments, frame: &Frame, seen: &Sighting) {
        let pixels = seen.shift.map(|v| v * seen.window.cell());
        self.place = seen.window.moved(pixels);
        // After an absence, the way is not that of one frame.
        if self.doubtful_frames == 0 {
            let speeds = self.velocity.iter_mut().zip(pixels);
            speeds.for_each(|(speed, now)| *speed += (now - *speed) * SPEED_RATE);
        }
        let config = &instruments.config;
        let learns = !config.occlusion_gate || seen.likeness >= LEARN;
        self.measure_size(frame, learns);
        if !learns {
            return;
        }
        self.history.note(&self.fused, seen.peak);
        self.convolution_stream.confirm(seen.shift);
        self.kernel_stream.confirm(seen.shift);
        if config.kernel_stream
            && config.cross_patch_similarity
            && self.frames.is_multiple_of(KERNEL_INTERVAL)
        {
            let stream = &self.kernel_stream;
            self.kernel.learn_similarity(&stream.template, &stream.parts, seen.shift);
        }
        if self.frames.is_multiple_of(config.learning_interval.max(1) as u64) {
            self.learn(instruments, frame);
        }
    }

    fn measure_size(&mut self, frame: &Frame, learns: bool) {
        for size in &mut self.sizes {
            let exponent = size.estimate(frame, self.place.center, self.place.size);
            let factors = size.factors(exponent);
            let step = self.place.step * (factors[0] * factors[1]).sqrt();
            let sides = [0, 1].map(|axis| self.place.size[axis] * factors[axis]);
            if SIZE_RANGE.contains(&(step / self.first_step)) && sides.iter().all(|side| *side >= LEAST_SIDE)
            {
                (self.place.size, self.place.step) = (sides, step);
            }
            if learns {
                size.learn(exponent, SIZE_RATE);
            }
        }
    }

    /// Learns both streams from where the target is.
    fn learn(&mut self, instruments: &mut Instruments, frame: &Frame) {
        let (place, extractor) = (&self.place, &mut instruments.extractor);
        extractor.extract(frame, place.map_center(), place.step, &self.projection, &mut self.map);
        let config = &instruments.config;
        if config.convolution_stream {
            self.filters.learn(&self.map, &mut self.convolution_stream.template);
        }
        if config.kernel_stream && self.learnt_frames.is_multiple_of(KERNEL_INTERVAL) {
            self.kernel.learn(&self.map);
            self.kernel_stream.template = self.kernel.template(config.fast_memory);
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

fn axes(config: &TrackerConfig) -> Vec<Axis> {
    let both = config.scale.then_some(Axis::Both);
    let apart = config.aspect.then_some([Axis::Width, Axis::Height]);
    both.into_iter().chain(apart.into_iter().flatten()).collect()
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
    let raw = instruments.extractor.describe(frame, place.map_center(), place.step, SIDE);
    let squared =
        |v: usize, axis: usize| ((v as f32 - (SIDE / 2) as f32) / (PROJECTION_SPREAD * cells[axis])).powi(2);
    let weight = |i: usize| (-0.5 * (squared(i % SIDE, 0) + squared(i / SIDE, 1))).exp();
    let weights: Vec<f32> = (0..SIDE * SIDE).map(weight).collect();
    let colours = if instruments.config.colour { CHANNELS.1 } else { 0 };
    Projection::learn(raw, &weights, CHANNELS.0, colours, COLOUR_SHARE)
}
