//! One open OpenCV capture as a source of frames.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use geometry::{Frame, Timestamp};
use opencv::core::{CV_8UC1, CV_8UC3, LogLevel, Mat, set_log_level};
use opencv::prelude::*;
use opencv::videoio::{
    CAP_PROP_BUFFERSIZE, CAP_PROP_FPS, CAP_PROP_FRAME_COUNT, CAP_PROP_POS_MSEC, VideoCapture,
};

use crate::calibration::choose_camera;
use crate::decode::{FramePools, Pixels};
use crate::{Dataset, DatasetError, SourceInfo, SourceSpec};

/// Frame rate assumed for a recording that does not tell its own.
const ASSUMED_RATE_HZ: f64 = 30.0;
/// Rates beyond are placeholders that containers write for want of better.
const PLAUSIBLE_RATE_HZ: std::ops::RangeInclusive<f64> = 0.1..=1000.0;
/// A camera that gives nothing this many times in a row is gone.
const MAX_FAILURES: usize = 5;

/// What a capture is opened from.
pub(super) struct Input {
    name: String,
    live: bool,
    capture: opencv::Result<VideoCapture>,
}

impl Input {
    /// Opens a capture; whether it worked is seen by [`Capture::open`].
    pub(super) fn open(
        name: String,
        live: bool,
        capture: impl FnOnce() -> opencv::Result<VideoCapture>,
    ) -> Self {
        // Warnings about what a backend does not support would land between the program's own lines.
        set_log_level(LogLevel::LOG_LEVEL_ERROR).ok();
        Self { name, live, capture: capture() }
    }
}

/// Frames from an OpenCV capture.
pub(super) struct Capture {
    info: SourceInfo,
    capture: VideoCapture,
    image: Mat,
    /// Stamp of the frame that opening has read already, to learn the size.
    first: Option<Timestamp>,
    clock: Clock,
    pools: FramePools,
    /// Frames passed so far.
    next: usize,
    failures: usize,
    ended: bool,
}

impl Capture {
    /// # Errors
    /// [`DatasetError::Capture`] where it does not open or holds no frame.
    pub(super) fn open(spec: &SourceSpec, input: Input) -> Result<Self, DatasetError> {
        let failed = |reason: String| DatasetError::Capture { source_name: input.name.clone(), reason };
        let mut capture = input.capture.map_err(|error| failed(error.to_string()))?;
        if !capture.is_opened().unwrap_or(false) {
            return Err(failed("expected a video or camera that OpenCV can open, found none".into()));
        }
        if input.live {
            // Fewer frames in the driver's queue are fresher frames; not every driver listens.
            capture.set(CAP_PROP_BUFFERSIZE, 1.0).ok();
        }
        let rate_hz = property(&capture, CAP_PROP_FPS).filter(|rate| PLAUSIBLE_RATE_HZ.contains(rate));
        let count = property(&capture, CAP_PROP_FRAME_COUNT).filter(|count| (1.0..1e9).contains(count));
        let mut clock = if input.live { Clock::live() } else { Clock::recorded(rate_hz) };
        let mut image = Mat::default();
        let Some(first) = read_first(&mut capture, &mut image, &mut clock, input.live) else {
            return Err(failed("expected at least one frame, found none that can be decoded".into()));
        };
        let size = (image.cols() as usize, image.rows() as usize);
        let mut assumptions = time_assumptions(input.live, rate_hz);
        let camera = choose_camera(spec, || Ok(None), size, &mut assumptions)?;
        let info = SourceInfo {
            camera: Arc::new(camera),
            frame_count: count.filter(|_| !input.live).map(|count| count as usize),
            frame_rate: rate_hz,
            live: input.live,
            assumptions,
            name: input.name,
        };
        let pools = FramePools::new(size.0, size.1);
        let first = Some(first);
        Ok(Self { info, capture, image, first, clock, pools, next: 0, failures: 0, ended: false })
    }

    fn failed(&self, reason: impl Into<String>) -> DatasetError {
        DatasetError::Capture { source_name: self.info.name.clone(), reason: reason.into() }
    }

    /// Goes to the next frame, without converting it, and gives its stamp.
    fn grab(&mut self) -> Result<Option<Timestamp>, DatasetError> {
        if self.ended {
            return Ok(None);
        }
        // An exception of a backend is no frame either.
        if !self.capture.grab().unwrap_or(false) {
            return if self.info.live { self.no_image() } else { self.end() };
        }
        self.failures = 0;
        self.next += 1;
        Ok(Some(self.clock.stamp(&self.capture)))
    }

    fn no_image(&mut self) -> Result<Option<Timestamp>, DatasetError> {
        self.failures += 1;
        self.ended = self.failures >= MAX_FAILURES;
        Err(self.failed(format!("expected frame {}, found that no image comes", self.next)))
    }

    /// Containers often promise a few frames too many; more than a twentieth missing is a file that was cut off.
    fn end(&mut self) -> Result<Option<Timestamp>, DatasetError> {
        self.ended = true;
        match self.info.frame_count {
            Some(promised) if promised.saturating_sub(self.next) > (promised / 20).max(2) => Err(self
                .failed(format!(
                    "expected {promised} frames, found the end at frame {}: the file is cut off",
                    self.next
                ))),
            _ => Ok(None),
        }
    }

    fn pixels(&self) -> Result<Pixels, DatasetError> {
        let index = self.next.saturating_sub(1);
        let (found, camera) = ((self.image.cols() as usize, self.image.rows() as usize), &self.info.camera);
        if found != (camera.width(), camera.height()) {
            return Err(DatasetError::Content {
                expected: format!("frames of {}x{}, the camera's size", camera.width(), camera.height()),
                found: format!("{}x{} at frame {index}", found.0, found.1),
                path: PathBuf::from(&self.info.name),
            });
        }
        let bytes = self.image.data_bytes().map_err(|error| self.failed(error.to_string()))?;
        match self.image.typ() {
            CV_8UC3 => Ok(self.pixels_from_bgr(bytes)),
            CV_8UC1 => {
                let mut gray = self.pools.gray.take();
                gray.as_mut_slice().copy_from_slice(bytes);
                Ok(Pixels { gray: Arc::new(gray), rgb: None })
            }
            other => {
                Err(self.failed(format!("expected 8-bit grey or BGR images, found OpenCV type {other}")))
            }
        }
    }

    fn pixels_from_bgr(&self, bytes: &[u8]) -> Pixels {
        let mut rgb = self.pools.rgb.take();
        for (rgb, bgr) in rgb.as_mut_slice().chunks_exact_mut(3).zip(bytes.chunks_exact(3)) {
            rgb.copy_from_slice(&[bgr[2], bgr[1], bgr[0]]);
        }
        self.pools.with_gray(rgb)
    }
}

impl Dataset for Capture {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, DatasetError> {
        let stamp = match self.first.take() {
            Some(stamp) => {
                self.next = 1;
                stamp
            }
            None => {
                let Some(stamp) = self.grab()? else { return Ok(None) };
                if !self.capture.retrieve(&mut self.image, 0).unwrap_or(false) {
                    return Err(self.failed(format!("frame {} does not decode", self.next - 1)));
                }
                stamp
            }
        };
        let pixels = self.pixels()?;
        let (seq, camera) = ((self.next - 1) as u64, Arc::clone(&self.info.camera));
        Ok(Some(Frame { stamp, seq, gray: pixels.gray, rgb: pixels.rgb, camera }))
    }

    fn skip_frame(&mut self) -> Result<bool, DatasetError> {
        if self.first.take().is_some() {
            self.next = 1;
            return Ok(true);
        }
        self.grab().map(|stamp| stamp.is_some())
    }
}

/// The first frame; a camera may need some attempts to wake up.
fn read_first(
    capture: &mut VideoCapture,
    image: &mut Mat,
    clock: &mut Clock,
    live: bool,
) -> Option<Timestamp> {
    for _ in 0..if live { MAX_FAILURES } else { 1 } {
        if capture.grab().unwrap_or(false) {
            let stamp = clock.stamp(capture);
            if capture.retrieve(image, 0).unwrap_or(false) && !image.empty() {
                return Some(stamp);
            }
        }
    }
    None
}

/// The value of a property; backends answer 0, -1 or NaN for what they don't know.
fn property(capture: &VideoCapture, property: i32) -> Option<f64> {
    capture.get(property).ok().filter(|value| value.is_finite())
}

fn time_assumptions(live: bool, rate_hz: Option<f64>) -> Vec<String> {
    let sentence = match (live, rate_hz) {
        (true, _) => {
            "Frames are stamped when they reach this computer; how long exposure and transfer took is unknown.".into()
        }
        (false, None) => {
            format!("The video does not tell its frame rate: assumed {ASSUMED_RATE_HZ} frames per second.")
        }
        (false, Some(_)) => return Vec::new(),
    };
    vec![sentence]
}

/// Gives frames their stamps, which always increase.
enum Clock {
    /// The container's presentation times as long as they increase, else one period after the frame before.
    Recorded { last: Option<Timestamp>, period: Duration },
    /// Unix time at opening and the steady clock since: setting the system's clock in flight does no harm.
    Live { opened: Instant, opened_at: Timestamp, last: Option<Timestamp> },
}

impl Clock {
    fn recorded(rate_hz: Option<f64>) -> Self {
        let period = Duration::from_secs_f64(1.0 / rate_hz.unwrap_or(ASSUMED_RATE_HZ));
        Self::Recorded { last: None, period }
    }

    fn live() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::Live { opened: Instant::now(), opened_at: Timestamp::ZERO + since_epoch, last: None }
    }

    /// The stamp of the frame that was grabbed just now.
    fn stamp(&mut self, capture: &VideoCapture) -> Timestamp {
        match self {
            Self::Recorded { last, period } => {
                let told =
                    property(capture, CAP_PROP_POS_MSEC).and_then(|ms| Timestamp::from_secs_f64(ms / 1e3));
                increase(last, told.unwrap_or_default(), *period)
            }
            Self::Live { opened, opened_at, last } => {
                increase(last, *opened_at + opened.elapsed(), Duration::from_nanos(1))
            }
        }
    }
}

/// `stamp` where it is after `last`, else `last` and a `step`.
fn increase(last: &mut Option<Timestamp>, stamp: Timestamp, step: Duration) -> Timestamp {
    let stamp = last.filter(|last| *last >= stamp).map_or(stamp, |last| last + step);
    *last = Some(stamp);
    stamp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_that_stand_still_go_on_by_the_period() {
        let (mut last, period) = (None, Duration::from_millis(40));
        let told_ms = [0, 0, 0, 120, 100, 200];
        let stamps =
            told_ms.map(|ms| increase(&mut last, Timestamp::from_nanos(ms * 1_000_000), period).as_nanos());
        assert_eq!(stamps.map(|ns| ns / 1_000_000), [0, 40, 80, 120, 160, 200]);
    }

    #[test]
    fn a_live_clock_tells_unix_time() {
        let Clock::Live { opened_at, .. } = Clock::live() else { panic!("not live") };
        assert!(opened_at.as_secs_f64() > 1.7e9);
    }
}
