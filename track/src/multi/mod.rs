//! Identities for everything detected.

mod appearance;
mod assignment;
mod motion;
#[cfg(test)]
mod tests;

use geometry::{BoundingBox, Detection, Frame, Track, TrackState};

use crate::ImageMotion;
use crate::features::Extractor;
use appearance::Appearance;
use assignment::Costs;
use motion::MovingBox;

/// The numbers of a [`MultiTracker`].
#[derive(Clone, Debug, PartialEq)]
pub struct MultiTrackerConfig {
    /// Detections with a lower score, in `[0, 1]`, are passed over.
    pub least_score: f32,
    /// Times that an object must be seen before its track is confirmed.
    pub confirming_hits: u32,
    /// Frames in a row that a confirmed track may go unseen before it ends.
    pub longest_absence: u32,
    /// Whether looks count beside places.
    pub appearance: bool,
}

impl Default for MultiTrackerConfig {
    fn default() -> Self {
        Self { least_score: 0.3, confirming_hits: 2, longest_absence: 30, appearance: true }
    }
}

/// Joins detections to tracks with stable identities: motion of constant velocity, less the camera's, gates and weighs the
/// pairs, looks decide between those that are near; the assignment of least cost is taken.
///
/// One thread, no clock, the same answers for the same input.
#[derive(Debug)]
pub struct MultiTracker {
    config: MultiTrackerConfig,
    extractor: Extractor,
    tracks: Vec<Followed>,
    next_id: u64,
    /// The tracks that the detections of the last update went to.
    identities: Vec<Option<u64>>,
}

/// A track with what is needed to go on with it.
#[derive(Debug)]
struct Followed {
    id: u64,
    class_id: u32,
    motion: MovingBox,
    appearance: Option<Appearance>,
    score: f32,
    hits: u32,
    absence: u32,
    is_confirmed: bool,
    /// Whether this frame has been taken in.
    is_joined: bool,
}

/// Largest squared distance of a pair, in standard deviations: 99 % of a chi-squared distribution of four degrees.
const GATE: f32 = 13.28;
/// A pair that overlaps by so much may be one, however far apart the motion thinks them.
const OVERLAP_GATE: f32 = 0.3;
/// What a wholly different look costs beside a distance at the gate.
const APPEARANCE_WEIGHT: f32 = 1.0;
/// Frames in a row that a track that is not yet confirmed may go unseen.
const TENTATIVE_ABSENCE: u32 = 1;
/// Least share of a box inside the image for its track to go on.
const LEAST_VISIBLE: f32 = 0.5;

impl MultiTracker {
    /// Without any track.
    pub fn new(config: MultiTrackerConfig) -> Self {
        Self {
            config,
            extractor: Extractor::default(),
            tracks: Vec::new(),
            next_id: 0,
            identities: Vec::new(),
        }
    }

    /// Begins to count identities at `id`, to go on where another tracker ended.
    pub fn with_first_id(self, id: u64) -> Self {
        Self { next_id: id, ..self }
    }

    /// The identity that the next new object will have.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }

    /// The identities of the detections that the last [`update`](Self::update) was given, in their order; `None` for those that it
    /// passed over.
    pub fn identities(&self) -> &[Option<u64>] {
        &self.identities
    }

    /// The objects that were seen when a detector looked last, where they are in `frame`, the last that was taken; with their classes.
    pub fn seen(&self, frame: &Frame) -> impl Iterator<Item = (Track, u32)> {
        let image = frame.size();
        let is_seen = move |track: &&Followed| track.absence == 0 && track.is_in_view(image);
        self.tracks.iter().filter(is_seen).map(|track| (track.report(frame), track.class_id))
    }

    /// Takes the next frame without detections, because nobody looked: boxes move on, and none counts as unseen for it.
    pub fn coast(&mut self, motion: Option<&ImageMotion>) {
        for track in &mut self.tracks {
            track.motion.predict(motion);
        }
    }

    /// Takes the next frame with what was detected in it, in its pixels, and how the camera moved the image since the last
    /// one, where that is known. Returns all tracks by identity: confirmed ones seen now, tentative ones, and lost ones whose
    /// box is a prediction. Boxes that are not finite or of no size are passed over.
    pub fn update(
        &mut self,
        frame: &Frame,
        detections: &[Detection],
        motion: Option<&ImageMotion>,
    ) -> Vec<Track> {
        for track in &mut self.tracks {
            track.motion.predict(motion);
            track.is_joined = false;
        }
        let seen = self.look(frame, detections);
        let mut taken_by = vec![None; seen.len()];
        // Confirmed tracks choose first, so that a passing false alarm can't take what is theirs.
        for confirmed in [true, false] {
            self.join(&seen, &mut taken_by, confirmed);
        }
        self.identities.clear();
        self.identities.resize(detections.len(), None);
        for (sight, taken_by) in seen.into_iter().zip(taken_by) {
            let index = sight.index;
            self.identities[index] = taken_by.or_else(|| Some(self.begin(sight)));
        }
        let image = frame.size();
        let longest = self.config.longest_absence;
        self.tracks.retain(|track| track.goes_on(longest, image));
        self.tracks.iter().map(|track| track.report(frame)).collect()
    }

    /// The detections that can be used, each with its look.
    fn look(&mut self, frame: &Frame, detections: &[Detection]) -> Vec<Sight> {
        let (width, height) = frame.size();
        let usable = |(_, found): &(usize, &Detection)| {
            let is_box = found.bounding_box.is_valid() && found.bounding_box.clipped(width, height).is_some();
            is_box && found.score >= self.config.least_score
        };
        let (uses, extractor) = (self.config.appearance, &mut self.extractor);
        let usable = detections.iter().enumerate().filter(usable);
        let mut look = |of: &BoundingBox| uses.then(|| Appearance::new(extractor, frame, of));
        let sight = |(index, found): (usize, &Detection)| Sight {
            index,
            detection: found.clone(),
            appearance: look(&found.bounding_box),
        };
        usable.map(sight).collect()
    }

    /// Gives what was seen to the tracks that are, or are not yet, confirmed.
    fn join(&mut self, seen: &[Sight], taken_by: &mut [Option<u64>], confirmed: bool) {
        let free: Vec<_> = (0..seen.len()).filter(|i| taken_by[*i].is_none()).collect();
        let mut tracks: Vec<_> = self
            .tracks
            .iter_mut()
            .filter(|track| track.is_confirmed == confirmed && !track.is_joined)
            .collect();
        let costs = Costs::from_fn(tracks.len(), free.len(), |track, i| {
            tracks[track].cost(&seen[free[i]]).unwrap_or(f64::INFINITY)
        });
        for (track, assigned) in tracks.iter_mut().zip(costs.assign()) {
            track.is_joined = true;
            match assigned {
                Some(i) => {
                    taken_by[free[i]] = Some(track.id);
                    track.see(&seen[free[i]], self.config.confirming_hits);
                }
                None => track.absence += 1,
            }
        }
    }

    /// Begins a track; its identity.
    fn begin(&mut self, seen: Sight) -> u64 {
        let id = self.next_id;
        self.tracks.push(Followed {
            id,
            class_id: seen.detection.class_id,
            motion: MovingBox::new(&seen.detection.bounding_box),
            appearance: seen.appearance,
            score: seen.detection.score,
            hits: 1,
            absence: 0,
            is_confirmed: self.config.confirming_hits <= 1,
            is_joined: true,
        });
        self.next_id += 1;
        id
    }
}

/// A detection that can be used.
struct Sight {
    /// Among those that were given.
    index: usize,
    detection: Detection,
    appearance: Option<Appearance>,
}

impl Followed {
    /// What it costs to take what was seen for this object; `None` where it can't be.
    fn cost(&self, Sight { detection, appearance, .. }: &Sight) -> Option<f64> {
        let distance = self.motion.squared_distance(&detection.bounding_box);
        let overlap = self.motion.bounding_box().iou(&detection.bounding_box);
        if detection.class_id != self.class_id || !(distance <= GATE || overlap >= OVERLAP_GATE) {
            return None;
        }
        let likeness =
            self.appearance.as_ref().zip(appearance.as_ref()).map_or(1.0, |(own, other)| own.likeness(other));
        let cost = (distance / GATE).min(1.0) + (1.0 - overlap) + APPEARANCE_WEIGHT * (1.0 - likeness);
        Some(f64::from(cost))
    }

    fn see(&mut self, Sight { detection, appearance, .. }: &Sight, confirming_hits: u32) {
        self.motion.update(&detection.bounding_box);
        if let (Some(own), Some(seen)) = (&mut self.appearance, appearance) {
            own.update(seen);
        }
        self.hits += 1;
        self.absence = 0;
        self.score = detection.score;
        self.is_confirmed |= self.hits >= confirming_hits;
    }

    fn goes_on(&self, longest_absence: u32, image: (usize, usize)) -> bool {
        let longest = if self.is_confirmed { longest_absence } else { TENTATIVE_ABSENCE };
        self.absence == 0 || (self.absence <= longest && self.is_in_view(image))
    }

    fn is_in_view(&self, (width, height): (usize, usize)) -> bool {
        let predicted = self.motion.bounding_box();
        let visible = predicted.clipped(width, height).map_or(0.0, |inside| inside.area() / predicted.area());
        visible >= LEAST_VISIBLE
    }

    fn report(&self, frame: &Frame) -> Track {
        let state = match (self.is_confirmed, self.absence) {
            (false, _) => TrackState::Tentative,
            (true, 0) => TrackState::Confirmed,
            (true, _) => TrackState::Lost,
        };
        // Half a second or so unseen leaves little to believe.
        let confidence = self.score * 0.8_f32.powi(self.absence as i32);
        Track { id: self.id, stamp: frame.stamp, bounding_box: self.motion.bounding_box(), confidence, state }
    }
}
