//! Frames to where the one target is.

use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use geometry::{BoundingBox, Frame, Timestamp, Track, TrackState};
use track::{TrackError, Tracker, object_at};

use super::detect::{Detected, Object};
use crate::graph::{Packet, Stage, StageError};

/// What is to be followed, and from when on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetChoice {
    /// The target, in the pixels of the frame in which the choice takes effect.
    pub target: Pointer,
    /// That frame.
    pub start: FollowStart,
}

/// How a target is pointed at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pointer {
    /// By the box around it.
    Box(BoundingBox),
    /// By a point on it, near its middle: see [`object_at`].
    Point([f32; 2]),
    /// By the identity that the detector's findings were given: see [`Object`]. It is followed from the first frame on in which
    /// there is one.
    Identity(u64),
}

impl Pointer {
    /// The target's box in `frame`, in which there are `objects`; `None` where the identity is not among them.
    ///
    /// # Errors
    /// [`TrackError::Box`] for a point outside the frame; whether a box can be followed is for the follower to say.
    pub fn in_frame(&self, frame: &Frame, objects: &[Object]) -> Result<Option<BoundingBox>, TrackError> {
        match *self {
            Self::Box(bounding_box) => Ok(Some(bounding_box)),
            Self::Point([x, y]) => object_at(frame, [x, y]).map(Some).ok_or_else(|| {
                let (width, height) = frame.size();
                TrackError::Box { found: BoundingBox::new(x, y, 0.0, 0.0), width, height }
            }),
            Self::Identity(id) => {
                let object = objects.iter().find(|object| object.track.id == id);
                Ok(object.map(|object| object.track.bounding_box))
            }
        }
    }

    /// Whether there can be a target in frames of this size: at least a pixel of it inside. An identity may always come.
    pub fn is_inside(&self, width: usize, height: usize) -> bool {
        match *self {
            Self::Box(bounding_box) => {
                let visible = bounding_box.is_valid().then(|| bounding_box.clipped(width, height)).flatten();
                visible.is_some_and(|visible| visible.width >= 1.0 && visible.height >= 1.0)
            }
            Self::Point([x, y]) => (0.0..width as f32).contains(&x) && (0.0..height as f32).contains(&y),
            Self::Identity(_) => true,
        }
    }
}

/// What a target is chosen and followed in.
pub trait Scene: Send + Sync + 'static {
    /// The frame.
    fn frame(&self) -> &Frame;
    /// What is known to be in it.
    fn objects(&self) -> &[Object];
}

impl Scene for Frame {
    fn frame(&self) -> &Frame {
        self
    }

    fn objects(&self) -> &[Object] {
        &[]
    }
}

impl Scene for Detected {
    fn frame(&self) -> &Frame {
        &self.frame
    }

    fn objects(&self) -> &[Object] {
        &self.objects
    }
}

/// The frame in which a target is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FollowStart {
    /// The first of this number or a higher one, as the entrance counts them from 0.
    Frame(u64),
    /// The first that is so many seconds after the first frame of the flight, by their stamps.
    Seconds(f64),
}

/// How much a box is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The target is seen.
    Confident,
    /// It is probably seen; less than half of what the tracker looks for was found.
    Unsure,
    /// It is not seen, and the box is a guess.
    Lost,
}

/// Confidence from which on a sighting is one.
const CONFIDENT: f32 = 0.5;

impl Sight {
    /// What a tracker's answer is worth.
    pub fn of(track: &Track) -> Self {
        match track.state {
            TrackState::Lost => Self::Lost,
            TrackState::Confirmed if track.confidence >= CONFIDENT => Self::Confident,
            TrackState::Confirmed | TrackState::Tentative => Self::Unsure,
        }
    }

    /// Its name in `target.csv`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confident => "confident",
            Self::Unsure => "unsure",
            Self::Lost => "lost",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Confident, Self::Unsure, Self::Lost].into_iter().find(|sight| sight.as_str() == name)
    }
}

/// Anything that follows one target: no threads, no clock, the same answers for the same frames.
pub trait Follower: Send + 'static {
    /// Takes what is in the box as the target.
    ///
    /// # Errors
    /// [`TrackError`] where that can't be followed.
    fn init(&mut self, frame: &Frame, target: BoundingBox) -> Result<(), TrackError>;

    /// Where it is in the next frame.
    ///
    /// # Errors
    /// [`TrackError`] for a frame that does not fit the others.
    fn update(&mut self, frame: &Frame) -> Result<Track, TrackError>;
}

impl Follower for Tracker {
    fn init(&mut self, frame: &Frame, target: BoundingBox) -> Result<(), TrackError> {
        Self::init(self, frame, target)
    }

    fn update(&mut self, frame: &Frame) -> Result<Track, TrackError> {
        Self::update(self, frame)
    }
}

/// Makes a follower that has no target yet.
pub type FollowerFactory = Arc<dyn Fn() -> Box<dyn Follower> + Send + Sync>;

/// A frame with what the tracker says about the target.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The frame; shares its pixels with all other stages.
    pub frame: Frame,
    /// The target in it; `None` while the choice has yet to take effect.
    pub target: Option<Track>,
}

/// Runs a [`Follower`]. After a restart the new one is shown the target where it was last seen for certain, in the frame it was
/// seen in, and goes on from there: what was learnt since the choice is lost, the target is not.
pub struct FollowStage<S> {
    factory: FollowerFactory,
    choice: TargetChoice,
    memory: TargetMemory,
    generation: u64,
    /// Who follows, once there is a target.
    follower: Option<Box<dyn Follower>>,
    scene: PhantomData<fn(S)>,
}

/// What outlives a restart. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct TargetMemory(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    /// Counts the restarts, so that a stage that was given up can no longer change anything.
    generation: u64,
    /// Stamp of the first frame.
    began: Option<Timestamp>,
    /// Where the target was last seen for certain.
    sighting: Option<(Frame, BoundingBox)>,
}

impl TargetMemory {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_generation(&self) -> u64 {
        let mut memory = self.lock();
        memory.generation += 1;
        memory.generation
    }

    fn began(&self, now: Timestamp) -> Timestamp {
        *self.lock().began.get_or_insert(now)
    }

    fn sighting(&self) -> Option<(Frame, BoundingBox)> {
        self.lock().sighting.clone()
    }

    fn note(&self, generation: u64, frame: &Frame, track: &Track) {
        let mut memory = self.lock();
        if memory.generation == generation && Sight::of(track) == Sight::Confident {
            memory.sighting = Some((frame.clone(), track.bounding_box));
        }
    }
}

impl<S: Scene> FollowStage<S> {
    /// A stage that follows `choice`, or what `memory` knows of it already.
    pub fn new(factory: FollowerFactory, choice: TargetChoice, memory: TargetMemory) -> Self {
        let generation = memory.next_generation();
        Self { factory, choice, memory, generation, follower: None, scene: PhantomData }
    }

    fn is_due(&self, input: &Packet<S>) -> bool {
        let began = self.memory.began(input.stamp);
        match self.choice.start {
            FollowStart::Frame(number) => input.seq >= number,
            FollowStart::Seconds(seconds) => input.stamp.secs_since(began) >= seconds,
        }
    }

    /// Begins to follow: the target as last seen, else as chosen.
    fn begin(&mut self, input: &Packet<S>) -> Result<Option<Track>, TrackError> {
        let frame = input.payload.frame();
        let mut follower = (self.factory)();
        let track = if let Some((seen_in, bounding_box)) = self.memory.sighting() {
            follower.init(&seen_in, bounding_box)?;
            follower.update(frame)?
        } else if self.is_due(input)
            && let Some(bounding_box) = self.choice.target.in_frame(frame, input.payload.objects())?
        {
            follower.init(frame, bounding_box)?;
            Track { id: 0, stamp: frame.stamp, bounding_box, confidence: 1.0, state: TrackState::Confirmed }
        } else {
            return Ok(None);
        };
        self.follower = Some(follower);
        Ok(Some(track))
    }
}

impl<S: Scene> Stage for FollowStage<S> {
    type Input = S;
    type Output = Followed;

    fn process(&mut self, input: &Packet<S>) -> Result<Option<Followed>, StageError> {
        let frame = input.payload.frame();
        let target = match &mut self.follower {
            Some(follower) => Some(follower.update(frame)?),
            None => self.begin(input)?,
        };
        if let Some(track) = &target {
            if !(track.bounding_box.is_valid() && track.confidence.is_finite()) {
                return Err(format!("expected a finite box and confidence, found {track:?}").into());
            }
            self.memory.note(self.generation, frame, track);
        }
        Ok(Some(Followed { frame: frame.clone(), target }))
    }

    fn reset(&mut self) {
        self.follower = None;
        self.generation = self.memory.next_generation();
    }
}

#[cfg(test)]
mod tests {
    use geometry::{GrayImage, PinholeCamera};

    use super::*;

    /// Moves its box by a pixel per frame; knows how often it was shown a target.
    struct Stepper {
        at: Option<BoundingBox>,
        inits: Arc<Mutex<Vec<(i64, f32)>>>,
        confidence: f32,
    }

    impl Follower for Stepper {
        fn init(&mut self, frame: &Frame, target: BoundingBox) -> Result<(), TrackError> {
            self.inits.lock().unwrap().push((frame.stamp.as_nanos(), target.x));
            self.at = Some(target);
            Ok(())
        }

        fn update(&mut self, frame: &Frame) -> Result<Track, TrackError> {
            let at = self.at.as_mut().ok_or(TrackError::NoTarget)?;
            at.x += 1.0;
            let (bounding_box, confidence) = (*at, self.confidence);
            Ok(Track { id: 0, stamp: frame.stamp, bounding_box, confidence, state: TrackState::Confirmed })
        }
    }

    fn packet(seq: u64) -> Packet<Frame> {
        let stamp = Timestamp::from_nanos(1_000_000_000 + seq as i64 * 100_000_000);
        let camera = PinholeCamera::from_horizontal_fov(32, 24, 1.0).unwrap();
        let gray = Arc::new(GrayImage::filled(32, 24, [seq as u8]));
        let frame = Frame { stamp, seq, gray, rgb: None, camera: Arc::new(camera) };
        Packet { stamp, seq, payload: Arc::new(frame), trace: None }
    }

    type Inits = Arc<Mutex<Vec<(i64, f32)>>>;

    fn factory(confidence: f32) -> (FollowerFactory, Inits) {
        let inits = Inits::default();
        let shared = Arc::clone(&inits);
        (Arc::new(move || Box::new(Stepper { at: None, inits: Arc::clone(&shared), confidence })), inits)
    }

    fn choice(start: FollowStart) -> TargetChoice {
        TargetChoice { target: Pointer::Box(BoundingBox::new(5.0, 6.0, 8.0, 4.0)), start }
    }

    fn x(stage: &mut FollowStage<Frame>, seq: u64) -> Option<f32> {
        let followed = stage.process(&packet(seq)).unwrap().unwrap();
        assert_eq!(followed.frame.seq, seq);
        followed.target.map(|track| track.bounding_box.x)
    }

    #[test]
    fn the_choice_takes_effect_when_it_shall() {
        for start in [FollowStart::Frame(3), FollowStart::Seconds(0.25)] {
            let mut stage = FollowStage::new(factory(1.0).0, choice(start), TargetMemory::default());
            let xs: Vec<_> = (0..6).map(|seq| x(&mut stage, seq)).collect();
            assert_eq!(xs, [None, None, None, Some(5.0), Some(6.0), Some(7.0)], "{start:?}");
        }
    }

    #[test]
    fn a_point_stands_for_the_object_around_it() {
        let choice = TargetChoice { target: Pointer::Point([10.0, 12.0]), start: FollowStart::Frame(0) };
        let mut stage = FollowStage::new(factory(1.0).0, choice, TargetMemory::default());
        // Nothing stands out in an even image: the smallest square around the point.
        assert_eq!([0, 1].map(|seq| x(&mut stage, seq)), [Some(6.0), Some(7.0)]);
    }

    #[test]
    fn pointers_are_checked_against_the_image() {
        let of_box = |x, y, width, height| Pointer::Box(BoundingBox::new(x, y, width, height));
        assert!(
            [of_box(-5.0, 0.0, 9.0, 9.0), of_box(-9.0, -9.0, 99.0, 99.0), Pointer::Point([0.0, 23.9])]
                .iter()
                .all(|pointer| pointer.is_inside(32, 24))
        );
        let outside = [
            of_box(32.0, 0.0, 9.0, 9.0),
            of_box(-8.5, 0.0, 9.0, 9.0),
            of_box(0.0, 0.0, 0.0, 9.0),
            of_box(f32::NAN, 0.0, 9.0, 9.0),
            Pointer::Point([32.0, 5.0]),
            Pointer::Point([f32::NAN, 5.0]),
        ];
        assert!(outside.iter().all(|pointer| !pointer.is_inside(32, 24)));
        let frame = packet(0).payload;
        assert!(Pointer::Point([-1.0, 0.0]).in_frame(&frame, &[]).is_err());
    }

    #[test]
    fn an_identity_is_followed_from_where_it_is_first_seen() {
        let object = |id, x| {
            let bounding_box = BoundingBox::new(x, 6.0, 8.0, 4.0);
            let stamp = Timestamp::from_nanos(0);
            let track = Track { id, stamp, bounding_box, confidence: 0.9, state: TrackState::Confirmed };
            Object { track, class_id: 0 }
        };
        let choice = TargetChoice { target: Pointer::Identity(7), start: FollowStart::Frame(2) };
        let mut stage = FollowStage::new(factory(1.0).0, choice, TargetMemory::default());
        let mut x = |seq: u64, objects: Vec<Object>| {
            let frame = packet(seq);
            let detected = Detected { frame: (*frame.payload).clone(), look: None, objects };
            let followed = stage.process(&frame.with_payload(Arc::new(detected))).unwrap().unwrap();
            followed.target.map(|track| track.bounding_box.x)
        };
        assert_eq!(x(0, vec![object(7, 1.0)]), None, "too early");
        assert_eq!(x(2, vec![object(3, 1.0)]), None, "another");
        assert_eq!(x(3, vec![object(3, 1.0), object(7, 11.0)]), Some(11.0));
        assert_eq!(x(4, vec![object(7, 20.0)]), Some(12.0), "by the follower, not the detector");
        assert_eq!(x(5, vec![]), Some(13.0));
    }

    #[test]
    fn a_dropped_first_frame_only_moves_the_choice() {
        let mut stage =
            FollowStage::new(factory(1.0).0, choice(FollowStart::Frame(3)), TargetMemory::default());
        assert_eq!([1, 4, 5].map(|seq| x(&mut stage, seq)), [None, Some(5.0), Some(6.0)]);
    }

    #[test]
    fn after_a_restart_the_target_is_shown_as_it_was_last_seen() {
        let (factory, inits) = factory(0.9);
        let memory = TargetMemory::default();
        let start = choice(FollowStart::Frame(0));
        let mut stage = FollowStage::new(Arc::clone(&factory), start, memory.clone());
        assert_eq!([0, 1, 2].map(|seq| x(&mut stage, seq)), [Some(5.0), Some(6.0), Some(7.0)]);
        // Frame 3 cost the stage its life.
        let mut next = FollowStage::new(factory, start, memory);
        assert_eq!([4, 5].map(|seq| x(&mut next, seq)), [Some(8.0), Some(9.0)]);
        // The one that was given up comes back late, and changes nothing any more.
        x(&mut stage, 3);
        next.reset();
        assert_eq!(x(&mut next, 6), Some(10.0));
        let shown = [(1_000_000_000, 5.0), (1_200_000_000, 7.0), (1_500_000_000, 9.0)];
        assert_eq!(*inits.lock().unwrap(), shown);
    }

    #[test]
    fn what_was_not_seen_for_certain_is_not_remembered() {
        let (factory, inits) = factory(0.4);
        let memory = TargetMemory::default();
        let start = choice(FollowStart::Frame(0));
        let mut stage = FollowStage::new(factory, start, memory);
        assert_eq!([0, 1, 2].map(|seq| x(&mut stage, seq)), [Some(5.0), Some(6.0), Some(7.0)]);
        stage.reset();
        assert_eq!(x(&mut stage, 3), Some(6.0), "on from the choice itself");
        assert_eq!(*inits.lock().unwrap(), [(1_000_000_000, 5.0); 2]);
    }

    #[test]
    fn an_answer_of_nonsense_costs_a_restart() {
        let (factory, _) = factory(f32::NAN);
        let start = choice(FollowStart::Frame(0));
        let mut stage = FollowStage::new(factory, start, TargetMemory::default());
        assert_eq!(x(&mut stage, 0), Some(5.0));
        let error = stage.process(&packet(1)).unwrap_err().to_string();
        assert!(error.contains("finite"), "{error}");
    }
}
