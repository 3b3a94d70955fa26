//! Frames to what is in them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use detect::{DetectError, Detector};
use geometry::{Detection, Frame, Track};
use track::{MultiTracker, MultiTrackerConfig};

use crate::graph::{Packet, Stage, StageError};

/// What looks for things in a flight, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectChoice {
    /// File of the detector, or the name of one that comes with the program.
    pub detector: String,
    /// Tells its bytes from those of others.
    pub fingerprint: String,
    /// Names of its classes.
    pub classes: Vec<String>,
    /// Nothing is reported below; `None` where the file has the say.
    pub score_threshold: Option<f32>,
    /// It looks at every so manieth frame; in between, boxes are carried on.
    pub every: u64,
}

/// Anything that finds things in a frame: no threads of its own, no clock, the same answers for the same frame.
pub trait ObjectDetector: Send + 'static {
    /// What is in `frame`, in its pixels, by falling score.
    ///
    /// # Errors
    /// [`DetectError`] where the frame could not be looked at.
    fn detect(&mut self, frame: &Frame) -> Result<Vec<Detection>, DetectError>;
}

impl ObjectDetector for Detector {
    fn detect(&mut self, frame: &Frame) -> Result<Vec<Detection>, DetectError> {
        Self::detect(self, frame)
    }
}

/// Makes a detector.
pub type DetectorFactory = Arc<dyn Fn() -> Result<Box<dyn ObjectDetector>, StageError> + Send + Sync>;

/// A frame with what is known of the things in it.
#[derive(Clone, Debug)]
pub struct Detected {
    /// The frame; shares its pixels with all other stages.
    pub frame: Frame,
    /// What the detector found in it; `None` where it did not look.
    pub look: Option<Vec<Found>>,
    /// Every object that was there at the last look, where it is now.
    pub objects: Vec<Object>,
}

/// A detection with its identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// As the detector has it.
    pub detection: Detection,
    /// The same as long as it is taken for the same object; unique within a flight. `None` for a box outside the image.
    pub id: Option<u64>,
}

/// Something that is followed from look to look.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its identity and its box.
    pub track: Track,
    /// Index among the names of the classes.
    pub class_id: u32,
}

/// Looks at every so manieth frame, and in between carries boxes on at the speed that they had.
pub struct DetectStage {
    detector: Box<dyn ObjectDetector>,
    every: u64,
    /// Number of the frame from which on the next look is due; `None` for at once.
    next_look: Option<u64>,
    tracker: MultiTracker,
    memory: IdentityMemory,
    generation: u64,
}

/// Identities that were given out, which outlives a restart: none is given twice. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct IdentityMemory(Arc<Mutex<GivenOut>>);

#[derive(Debug, Default)]
struct GivenOut {
    /// Counts the restarts, so that a stage that was given up can no longer change anything.
    generation: u64,
    next_id: u64,
}

impl IdentityMemory {
    fn lock(&self) -> MutexGuard<'_, GivenOut> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the stage that begins now, and the first identity it may give.
    fn begin(&self) -> (u64, u64) {
        let mut given_out = self.lock();
        given_out.generation += 1;
        (given_out.generation, given_out.next_id)
    }

    fn note(&self, generation: u64, next_id: u64) {
        let mut given_out = self.lock();
        if given_out.generation == generation {
            given_out.next_id = next_id;
        }
    }
}

/// Objects that were not seen at so many looks in a row are gone.
const LONGEST_ABSENCE: u32 = 3;

fn tracker(first_id: u64) -> MultiTracker {
    let config = MultiTrackerConfig {
        // What is worth a report is for the detector to say.
        least_score: 0.0,
        confirming_hits: 1,
        longest_absence: LONGEST_ABSENCE,
        ..MultiTrackerConfig::default()
    };
    MultiTracker::new(config).with_first_id(first_id)
}

impl DetectStage {
    /// A stage that looks with `detector` at every `every`th frame.
    pub fn new(detector: Box<dyn ObjectDetector>, every: u64, memory: IdentityMemory) -> Self {
        let (generation, first_id) = memory.begin();
        Self {
            detector,
            every: every.max(1),
            next_look: None,
            tracker: tracker(first_id),
            memory,
            generation,
        }
    }

    fn look(&mut self, frame: &Frame) -> Result<Vec<Found>, StageError> {
        let detections = self.detector.detect(frame)?;
        if let Some(bad) = detections.iter().find(|found| !is_sound(found)) {
            return Err(format!("expected finite boxes and scores, found {bad:?}").into());
        }
        self.tracker.update(frame, &detections, None);
        self.memory.note(self.generation, self.tracker.next_id());
        let ids = self.tracker.identities().iter().copied();
        Ok(detections.into_iter().zip(ids).map(|(detection, id)| Found { detection, id }).collect())
    }
}

fn is_sound(found: &Detection) -> bool {
    found.bounding_box.is_valid() && found.score.is_finite()
}

impl Stage for DetectStage {
    type Input = Frame;
    type Output = Detected;

    fn process(&mut self, input: &Packet<Frame>) -> Result<Option<Detected>, StageError> {
        let frame = &*input.payload;
        let look = match self.next_look.is_none_or(|next| input.seq >= next) {
            true => Some(self.look(frame)?),
            false => {
                self.tracker.coast(None);
                None
            }
        };
        if look.is_some() {
            self.next_look = Some(input.seq.saturating_add(self.every));
        }
        let objects = self.tracker.seen(frame).map(|(track, class_id)| Object { track, class_id }).collect();
        Ok(Some(Detected { frame: frame.clone(), look, objects }))
    }

    fn reset(&mut self) {
        let (generation, first_id) = self.memory.begin();
        (self.generation, self.tracker, self.next_look) = (generation, tracker(first_id), None);
    }
}

#[cfg(test)]
mod tests {
    use geometry::{BoundingBox, GrayImage, PinholeCamera, Timestamp};

    use super::*;

    /// Finds one thing that stays where it is, and another that jumps about.
    struct Still {
        score: f32,
    }

    impl ObjectDetector for Still {
        fn detect(&mut self, frame: &Frame) -> Result<Vec<Detection>, DetectError> {
            let at = |x, y| Detection {
                bounding_box: BoundingBox::new(x, y, 12.0, 8.0),
                class_id: 1,
                score: self.score,
            };
            Ok(vec![at(20.0, 30.0), at(if frame.seq.is_multiple_of(4) { 90.0 } else { 4.0 }, 100.0)])
        }
    }

    fn packet(seq: u64) -> Packet<Frame> {
        let stamp = Timestamp::from_nanos(seq as i64 * 100_000_000);
        let camera = PinholeCamera::from_horizontal_fov(160, 120, 1.0).unwrap();
        let gray = GrayImage::from_fn(160, 120, |x, y| [((x * x + 3 * y * x + 7 * y) % 251) as u8]);
        let frame = Frame { stamp, seq, gray: Arc::new(gray), rgb: None, camera: Arc::new(camera) };
        Packet { stamp, seq, payload: Arc::new(frame), trace: None }
    }

    fn stage(every: u64, memory: &IdentityMemory) -> DetectStage {
        DetectStage::new(Box::new(Still { score: 0.8 }), every, memory.clone())
    }

    fn process(stage: &mut DetectStage, seq: u64) -> Detected {
        stage.process(&packet(seq)).unwrap().unwrap()
    }

    #[test]
    fn it_looks_at_every_third_frame_and_shows_objects_in_all() {
        let mut stage = stage(3, &IdentityMemory::default());
        let detected: Vec<_> = (0..7).map(|seq| process(&mut stage, seq)).collect();
        let looks: Vec<_> = detected.iter().map(|detected| detected.look.is_some()).collect();
        assert_eq!(looks, [true, false, false, true, false, false, true]);
        assert!(detected.iter().all(|detected| detected.objects.len() == 2));
        let first = &detected[4].objects[0];
        assert_eq!((first.track.id, first.class_id), (0, 1));
        assert!(first.track.bounding_box.iou(&BoundingBox::new(20.0, 30.0, 12.0, 8.0)) > 0.9);
    }

    #[test]
    fn what_stays_is_the_same_and_what_jumps_is_another() {
        let mut stage = stage(2, &IdentityMemory::default());
        let ids: Vec<Vec<_>> = [0, 2]
            .map(|seq| process(&mut stage, seq).look.unwrap().iter().map(|found| found.id.unwrap()).collect())
            .into();
        assert_eq!(ids, [vec![0, 1], vec![0, 2]]);
    }

    #[test]
    fn a_frame_that_never_came_only_moves_the_look() {
        let mut stage = stage(3, &IdentityMemory::default());
        let looks = [0, 2, 5, 6, 8].map(|seq| process(&mut stage, seq).look.is_some());
        assert_eq!(looks, [true, false, true, false, true]);
    }

    #[test]
    fn after_a_restart_it_looks_at_once_and_gives_no_identity_twice() {
        let memory = IdentityMemory::default();
        let mut first = stage(5, &memory);
        assert_eq!(process(&mut first, 0).objects.len(), 2);
        let mut second = stage(5, &memory);
        let ids = |detected: Detected| {
            detected.look.unwrap().into_iter().map(|found| found.id.unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(ids(process(&mut second, 2)), [2, 3]);
        // The one that was given up comes back late, and changes nothing any more.
        process(&mut first, 5);
        second.reset();
        assert_eq!(ids(process(&mut second, 3)), [4, 5]);
    }

    #[test]
    fn an_answer_of_nonsense_costs_a_restart() {
        let mut stage = DetectStage::new(Box::new(Still { score: f32::NAN }), 1, IdentityMemory::default());
        let error = stage.process(&packet(0)).unwrap_err().to_string();
        assert!(error.contains("finite"), "{error}");
    }
}
