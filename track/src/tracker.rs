//! Following one target: the public face.

use geometry::{BoundingBox, Frame, Track};

use crate::config::TrackerConfig;
use crate::target::{Found, Instruments, Target};
use crate::{ImageMotion, TrackError};

/// Follows one target that was shown to it once. One thread, no clock, the same answers for the same frames.
///
/// ```no_run
/// # use geometry::{BoundingBox, Frame};
/// # fn frames() -> Vec<Frame> { Vec::new() }
/// use kestrel_track::{Tracker, TrackerConfig};
///
/// let frames = frames();
/// let mut tracker = Tracker::new(TrackerConfig::default());
/// tracker.init(&frames[0], BoundingBox::new(320.0, 200.0, 40.0, 22.0))?;
/// for frame in &frames[1..] {
///     let track = tracker.update(frame)?;
///     println!("{:?} {:.2}", track.bounding_box, track.confidence);
/// }
/// # Ok::<(), kestrel_track::TrackError>(())
/// ```
#[derive(Debug)]
pub struct Tracker {
    instruments: Instruments,
    target: Option<Target>,
    targets: u64,
}

impl Tracker {
    /// A tracker without a target.
    pub fn new(config: TrackerConfig) -> Self {
        Self { instruments: Instruments::new(config), target: None, targets: 0 }
    }

    /// Takes `target`, in the pixels of `frame`, as what is to be followed. An earlier target is forgotten, but only if
    /// this one can be followed. A box that is partly outside the image, or larger than it, is followed by the part that
    /// is inside.
    ///
    /// # Errors
    /// [`TrackError::Box`] for numbers that are not finite, a side of less than a pixel, or a box outside the image.
    pub fn init(&mut self, frame: &Frame, target: BoundingBox) -> Result<(), TrackError> {
        let (width, height) = frame.size();
        let visible = target.is_valid().then(|| target.clipped(width, height)).flatten();
        let visible = visible.filter(|visible| visible.width >= 1.0 && visible.height >= 1.0);
        let visible = visible.ok_or(TrackError::Box { found: target, width, height })?;
        self.target = Some(Target::new(&mut self.instruments, frame, visible));
        self.targets += 1;
        Ok(())
    }

    /// Where the target is in the next frame. A target that can't be seen is [`TrackState::Lost`](geometry::TrackState::Lost),
    /// its box a guess of where it would be; it is sought until it is seen again or another one is chosen.
    ///
    /// # Errors
    /// [`TrackError::NoTarget`] before [`init`](Self::init); [`TrackError::FrameSize`] for a frame of another size than
    /// the first, which changes nothing.
    pub fn update(&mut self, frame: &Frame) -> Result<Track, TrackError> {
        self.update_with_motion(frame, None)
    }

    /// As [`update`](Self::update), where it is known how the image moved since the last frame. Without, the tracker measures
    /// it itself.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn update_with_motion(
        &mut self,
        frame: &Frame,
        motion: Option<&ImageMotion>,
    ) -> Result<Track, TrackError> {
        let target = self.target.as_mut().ok_or(TrackError::NoTarget)?;
        if frame.size() != target.frame_size() {
            return Err(TrackError::FrameSize { expected: target.frame_size(), found: frame.size() });
        }
        let Found { bounding_box, confidence, state } = target.follow(&mut self.instruments, frame, motion);
        Ok(Track { id: self.targets - 1, stamp: frame.stamp, bounding_box, confidence, state })
    }
}
