//! Frames of one camera, as small as they are learnt from.

use std::sync::Arc;

use datasets::{Dataset, DatasetError};
use geometry::{CameraError, Frame, PinholeCamera, RgbImage, Timestamp};
use nn::preprocess::{Picture, Preprocessing};
use nn::{NnError, Port};
use thiserror::Error;

use super::sight::{self, Observer, Sight};
use crate::depth::colors;
use crate::doctor::{Diagnosis, Doctor, Snippet};

/// Mean difference between frames, of 255, below which the camera and all else stands still.
const STILL: f32 = 1.0;
/// How far from its moment a frame may be, as a share of the usual time between frames.
const LATE: f64 = 0.3;

/// Frames of one camera in the order of time.
#[derive(Clone, Debug)]
pub struct Clip {
    /// What it is called in reports.
    pub name: String,
    /// The camera of the frames in their new size, without a lens.
    pub camera: PinholeCamera,
    /// Frames that teach, each in three planes of bytes: red, green, blue.
    pub frames: Vec<ClipFrame>,
    /// Frames in a row, by their places in `frames`: equally far from each other in time.
    pub snippets: Vec<[usize; 3]>,
    /// Frames that were left out because nothing moves from the one before to them.
    pub still: usize,
    /// Frames that could not be read.
    pub unread: usize,
}

/// Which frames of a source are learnt from together, and what is asked about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClipOptions {
    /// Frames from one of a snippet to the next.
    pub step: usize,
    /// Whether odometry looks at the frames too ([`Sight`]).
    pub is_guided: bool,
    /// Whether the [`Doctor`] does, and has the say: snippets are those that it finds usable, at the step that it finds good.
    pub is_examined: bool,
}

/// A frame of a clip.
#[derive(Clone, Debug)]
pub struct ClipFrame {
    /// Its number in the source, those that could not be read counted.
    pub number: usize,
    /// When it was taken.
    pub stamp: Timestamp,
    /// `[3, height, width]`.
    pub planes: Vec<u8>,
    /// What odometry knows of it, if it was asked.
    pub sight: Option<Sight>,
}

/// Why a source is no clip.
#[derive(Debug, Error)]
pub enum ClipError {
    /// It can't be read.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// Its camera has no such size.
    #[error(transparent)]
    Camera(#[from] CameraError),
    /// Its frames are no pictures.
    #[error(transparent)]
    Picture(#[from] NnError),
    /// It is too short, or nothing moves.
    #[error(
        "{name}: expected three frames in a row, {step} apart, that differ, found none among {frames} frames, of which \
         {still} show what the frame before them shows"
    )]
    NoSnippets {
        /// What it is called.
        name: String,
        /// Frames from one of a snippet to the next.
        step: usize,
        /// How many frames there are.
        frames: usize,
        /// How many of them are still.
        still: usize,
    },
    /// The doctor advises against it.
    #[error("{name}: nothing to learn from: {}", .reasons.join("; "))]
    Unusable {
        /// What it is called.
        name: String,
        /// Why.
        reasons: Vec<String>,
    },
}

impl Clip {
    /// All frames of `source`, which must have no lens distortion ([`datasets::Undistorted`]), stretched to `width` and
    /// `height`. Snippets are of frames that are a step times the usual time between frames apart, so that no snippet goes
    /// over frames that were lost. Frames that can't be read are left out; `progress` is told how many are.
    ///
    /// # Errors
    /// [`ClipError::NoSnippets`] or [`ClipError::Unusable`] where there is nothing to learn from; else [`ClipError`] where the
    /// camera or a frame is none.
    pub fn read(
        source: &mut dyn Dataset,
        [height, width]: [usize; 2],
        options: ClipOptions,
        mut progress: impl FnMut(usize),
    ) -> Result<Self, ClipError> {
        let info = source.info().clone();
        let camera = info.camera.resized(width, height)?;
        let mut clip =
            Self { name: info.name, camera, frames: Vec::new(), snippets: Vec::new(), still: 0, unread: 0 };
        let (mut read, mut stamps) = (0, Vec::new());
        let mut observer = options.is_guided.then(|| Observer::new([height, width]));
        let mut doctor = options.is_examined.then(Doctor::default);
        loop {
            match source.next_frame() {
                Ok(Some(frame)) => {
                    stamps.push(frame.stamp);
                    let sight = observer.as_mut().and_then(|observer| observer.look(&frame));
                    if let Some(doctor) = &mut doctor {
                        doctor.examine(&frame);
                    }
                    clip.push(&frame, read, [height, width], sight)?;
                }
                Ok(None) => break,
                Err(_) => {
                    clip.unread += 1;
                    if let Some(doctor) = &mut doctor {
                        doctor.miss_frame();
                    }
                }
            }
            read += 1;
            progress(read);
        }
        sight::normalise(clip.frames.iter_mut().map(|frame| &mut frame.sight));
        if let Some(doctor) = doctor.filter(|_| read > clip.unread) {
            return clip.keeping(doctor.diagnose());
        }
        let step = options.step;
        clip.snippets = clip.snippets_of(step, usual_time_s(&stamps));
        if clip.snippets.is_empty() {
            let (name, still) = (clip.name, clip.still);
            return Err(ClipError::NoSnippets { name, step, frames: read - clip.unread, still });
        }
        Ok(clip)
    }

    /// The clip with the snippets that a doctor finds usable.
    fn keeping(self, diagnosis: Diagnosis) -> Result<Self, ClipError> {
        let snippets: Vec<_> =
            diagnosis.usable_snippets.iter().flat_map(|snippet| self.within(snippet)).collect();
        match snippets.is_empty() {
            true => Err(ClipError::Unusable { name: self.name, reasons: diagnosis.reasons }),
            false => Ok(Self { snippets, ..self }),
        }
    }

    /// The places of three frames in a row, for each that can be the middle one.
    fn within<'a>(
        &'a self,
        &Snippet { first, last, step }: &Snippet,
    ) -> impl Iterator<Item = [usize; 3]> + 'a {
        let place = |number: usize| self.frames.binary_search_by_key(&number, |frame| frame.number).ok();
        (first + step..(last + 1).saturating_sub(step))
            .filter_map(move |middle| Some([place(middle - step)?, place(middle)?, place(middle + step)?]))
    }

    /// The frame at `place` of [`Clip::frames`] as it is learnt from.
    pub fn frame(&self, place: usize) -> Frame {
        let (width, height) = (self.camera.width(), self.camera.height());
        let ClipFrame { number, stamp, planes, .. } = &self.frames[place];
        let pixel = |x: usize, y: usize| [0, 1, 2].map(|plane| planes[(plane * height + y) * width + x]);
        let rgb = RgbImage::from_fn(width, height, pixel);
        Frame {
            stamp: *stamp,
            seq: *number as u64,
            gray: Arc::new(rgb.to_gray()),
            rgb: Some(Arc::new(rgb)),
            camera: Arc::new(self.camera.clone()),
        }
    }

    fn push(
        &mut self,
        frame: &Frame,
        number: usize,
        size: [usize; 2],
        sight: Option<Sight>,
    ) -> Result<(), ClipError> {
        let planes = planes(frame, size)?;
        let is_still = self.frames.last().is_some_and(|last| difference(&last.planes, &planes) < STILL);
        if is_still {
            self.still += 1;
        } else {
            self.frames.push(ClipFrame { number, stamp: frame.stamp, planes, sight });
        }
        Ok(())
    }

    /// Frames with one `step` times `usual_s` before and one after them.
    fn snippets_of(&self, step: usize, usual_s: f64) -> Vec<[usize; 3]> {
        let apart_s = step as f64 * usual_s;
        let off = |place: usize, from: Timestamp| {
            (self.frames[place].stamp.secs_since(from).abs() - apart_s).abs() < LATE * usual_s
        };
        let around = |place: usize| {
            let stamp = self.frames[place].stamp;
            // Still frames are left out, so that at most as many lie between as without them.
            let before = (place.saturating_sub(step)..place).find(|&place| off(place, stamp))?;
            let after = (place + 1..self.frames.len()).take(step).find(|&place| off(place, stamp))?;
            Some([before, place, after])
        };
        (0..self.frames.len()).filter_map(around).collect()
    }
}

/// The median time between frames, in seconds.
fn usual_time_s(stamps: &[Timestamp]) -> f64 {
    let mut times: Vec<f64> = stamps.windows(2).map(|pair| pair[1].secs_since(pair[0])).collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::INFINITY)
}

/// A frame in its new size; grey where it has no colour.
fn planes(frame: &Frame, [height, width]: [usize; 2]) -> Result<Vec<u8>, NnError> {
    let rgb = colors(frame);
    let (from_width, from_height) = frame.size();
    let picture = Picture::new(from_width, from_height, &rgb)?;
    let port = Port { name: String::new(), shape: vec![1, 3, height, width] };
    let values = Preprocessing::default().inputs(&[port], &[picture]).concat();
    Ok(values.into_iter().map(|value| (value * 255.0).round() as u8).collect())
}

/// Mean absolute difference.
fn difference(a: &[u8], b: &[u8]) -> f32 {
    let sum: u64 = a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f32 / a.len() as f32
}

#[cfg(test)]
mod tests {
    use datasets::SourceInfo;
    use datasets::world::{Effects, World, WorldConfig};
    use geometry::{GrayImage, Timestamp};

    use super::*;

    /// Frames of one grey each, with gaps where frames are lost or can't be read.
    struct Greys {
        info: SourceInfo,
        frames: std::vec::IntoIter<(u64, Option<u8>)>,
    }

    impl Greys {
        fn new(frames: Vec<(u64, Option<u8>)>) -> Self {
            let camera = PinholeCamera::new(64, 32, 40.0, 40.0, 31.5, 15.5).unwrap();
            let info = SourceInfo {
                name: "greys".into(),
                camera: Arc::new(camera),
                frame_count: None,
                frame_rate: None,
                live: false,
                assumptions: Vec::new(),
            };
            Self { info, frames: frames.into_iter() }
        }
    }

    impl Dataset for Greys {
        fn info(&self) -> &SourceInfo {
            &self.info
        }

        fn next_frame(&mut self) -> Result<Option<Frame>, DatasetError> {
            let Some((seq, grey)) = self.frames.next() else { return Ok(None) };
            let broken = || DatasetError::Content {
                expected: "an image".into(),
                found: "none".into(),
                path: "greys".into(),
            };
            let gray = Arc::new(GrayImage::filled(64, 32, [grey.ok_or_else(broken)?]));
            let stamp = Timestamp::from_nanos(seq as i64 * 100_000_000 + seq as i64 % 2 * 9_000_000);
            let camera = Arc::clone(&self.info.camera);
            Ok(Some(Frame { stamp, seq, gray, rgb: None, camera }))
        }
    }

    fn read(frames: &[(u64, Option<u8>)], step: usize) -> Result<Clip, ClipError> {
        let options = ClipOptions { step, is_guided: false, is_examined: false };
        Clip::read(&mut Greys::new(frames.to_vec()), [16, 32], options, |_| ())
    }

    #[test]
    fn gaps_and_still_frames_are_in_no_snippet() {
        let frames: Vec<(u64, Option<u8>)> =
            [(0, 10), (1, 20), (2, 30), (3, 30), (4, 40), (6, 50), (7, 60), (8, 70)]
                .map(|(seq, grey)| (seq, Some(grey)))
                .into();
        let clip = read(&frames, 1).unwrap();
        let number = |clip: &Clip, place: usize| clip.frames[place].stamp.as_nanos() / 100_000_000;
        let numbers = |clip: &Clip| -> Vec<[i64; 3]> {
            clip.snippets.iter().map(|snippet| snippet.map(|place| number(clip, place))).collect()
        };
        assert_eq!(numbers(&clip), [[0, 1, 2], [6, 7, 8]]);
        assert_eq!((clip.still, clip.frames.len()), (1, 7));
        assert_eq!(clip.frames[1].planes, vec![20; 3 * 16 * 32]);
        assert_eq!((clip.camera.focal().x, clip.camera.center().y), (20.0, 7.5));
        assert_eq!(numbers(&read(&frames, 2).unwrap()), [[0, 2, 4], [2, 4, 6], [4, 6, 8]]);
    }

    #[test]
    fn the_doctor_has_the_say_where_it_is_asked() {
        let effects = Effects::none();
        let config = WorldConfig { frames: 30, width: 320, height: 240, effects, ..WorldConfig::default() };
        let mut source = World::new(config).unwrap();
        let options = ClipOptions { step: 1, is_guided: false, is_examined: true };
        let clip = Clip::read(&mut source, [96, 128], options, |_| ()).unwrap();
        let number = |place: usize| clip.frames[place].number;
        let steps: Vec<_> =
            clip.snippets.iter().map(|&[a, b, c]| [number(b) - number(a), number(c) - number(b)]).collect();
        assert!(
            !steps.is_empty() && steps.iter().all(|step| *step == steps[0] && step[0] == step[1]),
            "{steps:?}"
        );
        let still: Vec<_> = (0..20).map(|seq| (seq, Some(10))).collect();
        let error = Clip::read(&mut Greys::new(still), [16, 32], options, |_| ()).map(drop).unwrap_err();
        assert!(matches!(error, ClipError::Unusable { .. }), "{error}");
    }

    #[test]
    fn what_can_not_be_read_is_left_out_and_what_teaches_nothing_is_refused() {
        let broken = [(0, Some(10)), (1, None), (2, Some(20)), (3, Some(30)), (4, Some(40))];
        let clip = read(&broken, 1).unwrap();
        assert_eq!((clip.unread, clip.snippets.len()), (1, 1));
        for (frames, said) in [
            (vec![(0, Some(10)), (1, Some(20))], "among 2 frames, of which 0"),
            ((0..5).map(|seq| (seq, Some(10))).collect(), "among 5 frames, of which 4"),
            (vec![], "among 0 frames"),
        ] {
            let error = read(&frames, 1).map(drop).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
