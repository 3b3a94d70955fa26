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
        Self { config, extractor: Extractor::default(), tracks: Vec::new(), next_id: 0 }
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
        let mut is_taken = vec![false; seen.len()];
        // Confirmed tracks choose first, so that a passing false alarm can't take what is theirs.
        for confirmed in [true, false] {
            self.join(&seen, &mut is_taken, confirmed);
        }
        for ((detection, appearance), _) in seen.into_iter().zip(is_taken).filter(|(_, is_taken)| !is_taken) {
            self.begin(&detection, appearance);
        }
        let image = frame.size();
        let longest = self.config.longest_absence;
        self.tracks.retain(|track| track.goes_on(longest, image));
        self.tracks.iter().map(|track| track.report(frame)).collect()
    }

    /// The detections that can be used, each with its look.
    fn look(&mut self, frame: &Frame, detections: &[Detection]) -> Vec<(Detection, Option<Appearance>)> {
        let (width, height) = frame.size();
        let usable = |found: &&Detection| {
            let is_box = found.bounding_box.is_valid() && found.bounding_box.clipped(width, height).is_some();
            is_box && found.score >= self.config.least_score
        };
        let (uses, extractor) = (self.config.appearance, &mut self.extractor);
        let usable = detections.iter().filter(usable);
        let mut look = |of: &BoundingBox| uses.then(|| Appearance::new(extractor, frame, of));
        usable.map(|found| (found.clone(), look(&found.bounding_box))).collect()
    }

    /// Gives what was seen to the tracks that are, or are not yet, confirmed.
    fn join(&mut self, seen: &[(Detection, Option<Appearance>)], is_taken: &mut [bool], confirmed: bool) {
        let free: Vec<_> = (0..seen.len()).filter(|i| !is_taken[*i]).collect();
        let mut tracks: Vec<_> = self
            .tracks
            .iter_mut()
            .filter(|track| track.is_confirmed == confirmed && !track.is_joined)
            .collect();
        let costs = Costs::from_fn(tracks.len(), free.len(), |track, i| {
            let (detection, appearance) = &seen[free[i]];
            tracks[track].cost(detection, appearance.as_ref()).unwrap_or(f64::INFINITY)
        });
        for (track, assigned) in tracks.iter_mut().zip(costs.assign()) {
            track.is_joined = true;
            match assigned {
                Some(i) => {
                    is_taken[free[i]] = true;
                    let (detection, appearance) = &seen[free[i]];
                    track.see(detection, appearance.as_ref(), self.config.confirming_hits);
                }
                None => track.absence += 1,
            }
        }
    }

    fn begin(&mut self, detection: &Detection, appearance: Option<Appearance>) {
        self.tracks.push(Followed {
            id: self.next_id,
            class_id: detection.class_id,
            motion: MovingBox::new(&detection.bounding_box),
            appearance,
            score: detection.score,
            hits: 1,
            absence: 0,
            is_confirmed: self.config.confirming_hits <= 1,
            is_joined: true,
        });
        self.next_id += 1;
    }
}

impl Followed {
    /// What it costs to take `detection` for this object; `None` where it can't be.
    fn cost(&self, detection: &Detection, appearance: Option<&Appearance>) -> Option<f64> {
        let distance = self.motion.squared_distance(&detection.bounding_box);
        let overlap = self.motion.bounding_box().iou(&detection.bounding_box);
        if detection.class_id != self.class_id || !(distance <= GATE || overlap >= OVERLAP_GATE) {
            return None;
        }
        let likeness =
            self.appearance.as_ref().zip(appearance).map_or(1.0, |(own, other)| own.likeness(other));
        let cost = (distance / GATE).min(1.0) + (1.0 - overlap) + APPEARANCE_WEIGHT * (1.0 - likeness);
        Some(f64::from(cost))
    }

    fn see(&mut self, detection: &Detection, appearance: Option<&Appearance>, confirming_hits: u32) {
        self.motion.update(&detection.bounding_box);
        if let (Some(own), Some(seen)) = (&mut self.appearance, appearance) {
            own.update(seen);
        }
        self.hits += 1;
        self.absence = 0;
        self.score = detection.score;
        self.is_confirmed |= self.hits >= confirming_hits;
    }

    fn goes_on(&self, longest_absence: u32, (width, height): (usize, usize)) -> bool {
        let longest = if self.is_confirmed { longest_absence } else { TENTATIVE_ABSENCE };
        let predicted = self.motion.bounding_box();
        let visible = predicted.clipped(width, height).map_or(0.0, |inside| inside.area() / predicted.area());
        self.absence == 0 || (self.absence <= longest && visible >= LEAST_VISIBLE)
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
