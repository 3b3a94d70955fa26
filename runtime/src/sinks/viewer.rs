//! Everything a person wants to see, for the rerun viewer: as a recording in a file, or live.
//!
//! What belongs to the image (pixels, tracks, depth) is sent a few times a second, at most 640 pixels wide and as JPEG, so
//! that a recording stays small and costs the flight little; pose, trajectory and plots are sent for every frame. The estimate of one camera has no metric
//! scale, so the true trajectory, where there is one, is shown in its own scale, from the same first pose.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use geometry::{DepthImage, Frame, Image, PinholeCamera, Se3, Timestamp, Trajectory};
use jpeg_encoder::{ColorType, Encoder};
use rerun::blueprint::{
    Blueprint, BlueprintPanel, Horizontal, SelectionPanel, Spatial2DView, Spatial3DView, TimePanel,
    TimeSeriesView, Vertical,
};
use rerun::log::ChunkBatcherConfig;
use rerun::{RecordingStream, RecordingStreamBuilder};
use vo::{KeyframeView, Odometry, PointView, TrackView, TrackingState};

use super::path_fit::{Fitted, PathFit};
use super::shared_stream::SharedStream;
use crate::RuntimeError;
use crate::graph::{Packet, Stage, StageError};
use crate::stages::Registered;

/// Where a viewer finds what the sink sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RerunTarget {
    /// In this file, whole: link it with `Block`.
    File(PathBuf),
    /// Live at this address, as far as it keeps up: link it with `Latest`.
    Address(String),
}

/// Address of a viewer that was started without further ado.
pub const DEFAULT_VIEWER: &str = rerun::DEFAULT_CONNECT_URL;

const WORLD: &str = "world";
const CAMERA: &str = "world/camera";
pub(super) const IMAGE: &str = "world/camera/image";
pub(super) const DEPTH: &str = "world/camera/depth";
const GROUND_TRUTH: &str = "world/ground_truth";
const TIME: &str = "time";
const FRAME: &str = "frame";

const LONGEST_ROW: usize = 640;
const JPEG_QUALITY: u8 = 75;
/// How long a file waits for more before it is given what there is: packing fewer, larger pieces is cheaper.
const FILE_TICK: Duration = Duration::from_secs(1);
/// Poses per piece of the trajectory. Each frame sends the piece it belongs to again, so pieces are short.
const PIECE: usize = 64;

/// Frames that a track's tail reaches back.
const TAIL: usize = 8;

const TRACKED: [u8; 3] = [80, 220, 120];
const OUTLIER: [u8; 3] = [230, 90, 70];
const ESTIMATE: [u8; 3] = [90, 170, 255];
const TRUTH: [u8; 3] = [170, 170, 170];
const KEYFRAME: [u8; 3] = [255, 200, 60];

/// Sends frames and odometry to a viewer.
pub struct RerunSink {
    stream: RecordingStream,
    shared: SharedStream,
    pace: Pace,
    camera: Option<PinholeCamera>,
    path: PathStrip,
    /// Where each track has been lately, newest last.
    tails: BTreeMap<u64, VecDeque<[f32; 2]>>,
    truth: Option<(Trajectory, PathFit)>,
    ends_stream: bool,
}

/// Starts the `rerun` on the path.
///
/// # Errors
/// [`RuntimeError::Viewer`] where there is none, or one of another version that does not start.
pub fn spawn_viewer() -> Result<(), RuntimeError> {
    let options = rerun::SpawnOptions { hide_welcome_screen: true, ..Default::default() };
    let spawned = rerun::spawn(&options);
    spawned.map(drop).map_err(|error| viewer_error("rerun".into(), &error))
}

/// Opens a stream to `target`, with the layout and the true trajectory in it already.
///
/// # Errors
/// [`RuntimeError::Viewer`] where the file can't be made or the address makes no sense. Whether a viewer listens there shows
/// only later, and costs nobody anything.
pub fn open_stream(
    target: &RerunTarget,
    truth: Option<&Trajectory>,
) -> Result<RecordingStream, RuntimeError> {
    let builder = RecordingStreamBuilder::new("kestrel").with_default_blueprint(layout());
    let (name, opened) = match target {
        RerunTarget::File(path) => {
            let batches = ChunkBatcherConfig { flush_tick: FILE_TICK, ..ChunkBatcherConfig::DEFAULT };
            (path.display().to_string(), builder.batcher_config(batches).save(path))
        }
        RerunTarget::Address(url) => (url.clone(), builder.connect_grpc_opts(url.as_str())),
    };
    let failed = |error: &dyn std::fmt::Display| viewer_error(name.clone(), error);
    let stream = opened.map_err(|error| failed(&error))?;
    stream.set_log_time_enabled(false);
    send_static(&stream, truth).map_err(|error| failed(&error))?;
    Ok(stream)
}

fn viewer_error(target: String, reason: &dyn std::fmt::Display) -> RuntimeError {
    RuntimeError::Viewer { target, reason: reason.to_string() }
}

fn layout() -> Blueprint {
    let world = Spatial3DView::new("Flight").with_origin(WORLD);
    let image = Spatial2DView::new("Camera").with_origin(IMAGE);
    let plot = |name: &str, path: &str| TimeSeriesView::new(name).with_origin(path);
    let plots = Horizontal::new([
        plot("Latency (ms)", "plots/latency_ms").into(),
        plot("Inliers", "plots/inliers").into(),
        plot("State: 0 initialising, 1 lost, 2 tracking", "plots/state").into(),
        plot("Confidence of the target", "plots/confidence").into(),
        plot("Objects at a look", "plots/objects").into(),
    ]);
    let depth = Spatial2DView::new("Depth").with_origin(DEPTH);
    let left = Vertical::new([image.into(), depth.into(), plots.into()]).with_row_shares(vec![3.0, 2.0, 2.0]);
    Blueprint::new(Horizontal::new([left.into(), world.into()]).with_column_shares(vec![1.0, 1.0]))
        .with_auto_views(false)
        .with_blueprint_panel(BlueprintPanel::from_state(rerun::blueprint::components::PanelState::Collapsed))
        .with_selection_panel(SelectionPanel::from_state(rerun::blueprint::components::PanelState::Collapsed))
        .with_time_panel(TimePanel::new().with_timeline(TIME))
}

fn send_static(stream: &RecordingStream, truth: Option<&Trajectory>) -> rerun::RecordingStreamResult<()> {
    stream.log_static(WORLD, &rerun::ViewCoordinates::RDF())?;
    let lines = rerun::SeriesLines::new();
    stream.log_static("plots/latency_ms", &lines.clone().with_names(["source to odometry"]))?;
    stream.log_static("plots/inliers", &lines.clone().with_names(["inliers", "tracks"]))?;
    stream.log_static("plots/state", &lines.clone().with_names(["state"]))?;
    stream.log_static("plots/confidence", &lines.with_names(["confidence"]))?;
    let Some(truth) = truth else { return Ok(()) };
    let path = truth.poses().iter().map(position);
    let strip = rerun::LineStrips3D::new([path.collect::<Vec<_>>()]).with_colors([TRUTH]);
    stream.log_static(GROUND_TRUTH, &strip)
}

impl RerunSink {
    /// A sink on an open stream, which is sent `image_rate_hz` images a second at most. Clones of the stream go on where
    /// this one ends. `truth` is laid over the estimate, whose unit of length nobody knows.
    /// Other sinks find the stream in `shared`.
    pub fn new(
        stream: RecordingStream,
        shared: SharedStream,
        truth: Option<Trajectory>,
        image_rate_hz: f64,
    ) -> Self {
        shared.open(stream.clone());
        Self {
            stream,
            shared,
            pace: Pace::new(image_rate_hz),
            camera: None,
            path: PathStrip::new("world/trajectory", ESTIMATE),
            tails: BTreeMap::new(),
            truth: truth.map(|truth| (truth, PathFit::default())),
            ends_stream: false,
        }
    }

    /// Has the sink end its stream when the flight is over, so that nobody waits for a viewer that doesn't read. A file is
    /// ended when all who write into it are done.
    pub fn ending_stream(self) -> Self {
        Self { ends_stream: true, ..self }
    }

    fn send_pose(&mut self, odometry: &Odometry) -> rerun::RecordingStreamResult<()> {
        let pose = odometry.world_from_camera;
        let rotation = rerun::Quaternion::from_xyzw(pose.xyzw().map(|v| v as f32));
        let transform = rerun::Transform3D::from_translation_rotation(position(&pose), rotation);
        self.stream.log(CAMERA, &transform)?;
        if odometry.state == TrackingState::Initializing {
            return Ok(());
        }
        self.path.send(&self.stream, &pose)
    }

    fn place_truth(&mut self, odometry: &Odometry) -> rerun::RecordingStreamResult<()> {
        let is_tracked = odometry.state == TrackingState::Tracking;
        let Some((truth, fit)) = self.truth.as_mut().filter(|_| is_tracked) else { return Ok(()) };
        let fitted = truth.at(odometry.stamp).and_then(|truth| fit.add(odometry.world_from_camera, truth));
        fitted.map_or(Ok(()), |fitted| place(&self.stream, GROUND_TRUTH, fitted))
    }

    fn send_map(&self, points: &[PointView], keyframes: &[KeyframeView]) -> rerun::RecordingStreamResult<()> {
        if !points.is_empty() {
            let positions = points.iter().map(|p| p.point_in_world.map(|v| v as f32).into());
            let cloud = rerun::Points3D::new(positions.collect::<Vec<[f32; 3]>>());
            self.stream.log("world/points", &cloud.with_radii([rerun::Radius::new_ui_points(1.5)]))?;
        }
        if !keyframes.is_empty() {
            let positions = keyframes.iter().map(|keyframe| position(&keyframe.world_from_camera));
            let cloud = rerun::Points3D::new(positions.collect::<Vec<_>>()).with_colors([KEYFRAME]);
            self.stream.log("world/keyframes", &cloud.with_radii([rerun::Radius::new_ui_points(4.0)]))?;
        }
        Ok(())
    }

    fn send_plots(&self, packet: &Packet<Registered>) -> rerun::RecordingStreamResult<()> {
        let odometry = &packet.payload.odometry;
        if let Some(trace) = &packet.trace {
            let latency_ms = trace.latency().as_secs_f64() * 1e3;
            self.stream.log("plots/latency_ms", &rerun::Scalars::new([latency_ms]))?;
        }
        let counts = [odometry.inlier_count as f64, odometry.tracks.len() as f64];
        self.stream.log("plots/inliers", &rerun::Scalars::new(counts))?;
        let state = match odometry.state {
            TrackingState::Initializing => 0.0,
            TrackingState::Lost => 1.0,
            TrackingState::Tracking => 2.0,
        };
        self.stream.log("plots/state", &rerun::Scalars::new([state]))
    }

    fn follow(&mut self, tracks: &[TrackView]) {
        let mut known = std::mem::take(&mut self.tails);
        for track in tracks {
            let mut tail = known.remove(&track.id).unwrap_or_default();
            tail.push_back(track.pixel);
            if tail.len() > TAIL {
                tail.pop_front();
            }
            self.tails.insert(track.id, tail);
        }
    }

    fn send_image(&mut self, registered: &Registered) -> Result<(), StageError> {
        let frame = &registered.frame;
        let factor = reduction(frame);
        let (jpeg, width, height) = encode(frame, factor)?;
        if self.camera.as_ref() != Some(&frame.camera) {
            self.stream.log(IMAGE, &pinhole(&frame.camera.resized(width, height)?))?;
            self.camera = Some((*frame.camera).clone());
        }
        self.stream.log(IMAGE, &rerun::EncodedImage::new(jpeg).with_media_type("image/jpeg"))?;
        self.send_tracks(&registered.odometry.tracks, factor)?;
        if let Some(depth) = &registered.depth {
            self.stream.log(format!("{IMAGE}/depth"), &depth_image(depth))?;
        }
        Ok(())
    }

    fn send_tracks(&self, tracks: &[TrackView], factor: usize) -> rerun::RecordingStreamResult<()> {
        // Centres of pixels lie at integers here and at halves in rerun.
        let scaled = |pixel: [f32; 2]| pixel.map(|v| (v + 0.5) / factor as f32);
        let colors: Vec<_> = tracks.iter().map(|t| if t.inlier { TRACKED } else { OUTLIER }).collect();
        let heads = tracks.iter().map(|track| scaled(track.pixel));
        let heads = rerun::Points2D::new(heads).with_colors(colors.iter().copied());
        self.stream.log(format!("{IMAGE}/tracks"), &heads.with_radii([rerun::Radius::new_ui_points(2.5)]))?;
        let tail =
            |track: &TrackView| self.tails.get(&track.id).into_iter().flatten().map(|p| scaled(*p)).collect();
        let tails = tracks.iter().map(tail).collect::<Vec<Vec<_>>>();
        let tails = rerun::LineStrips2D::new(tails).with_colors(colors);
        self.stream.log(format!("{IMAGE}/tails"), &tails)
    }
}

impl Stage for RerunSink {
    type Input = Registered;
    type Output = ();

    fn process(&mut self, input: &Packet<Registered>) -> Result<Option<()>, StageError> {
        let registered = &input.payload;
        set_time(&self.stream, self.shared.epoch(input.stamp), input.seq, input.stamp);
        self.send_pose(&registered.odometry)?;
        self.place_truth(&registered.odometry)?;
        self.shared.note(&registered.odometry);
        self.send_map(&registered.odometry.points, &registered.odometry.keyframes)?;
        self.send_plots(input)?;
        self.follow(&registered.odometry.tracks);
        if self.pace.is_due(input.stamp) {
            self.send_image(registered)?;
        }
        Ok(Some(()))
    }

    fn reset(&mut self) {
        self.tails.clear();
        self.path.break_off();
        if let Some((_, fit)) = &mut self.truth {
            fit.reset();
        }
    }

    fn finish(&mut self) -> Result<(), StageError> {
        if self.ends_stream {
            self.stream.finalize_deferred_sinks();
        }
        Ok(())
    }
}

/// A path that grows by a pose a frame, in pieces.
pub(super) struct PathStrip {
    entity: &'static str,
    color: [u8; 3],
    piece: Vec<[f32; 3]>,
    index: usize,
}

impl PathStrip {
    pub(super) fn new(entity: &'static str, color: [u8; 3]) -> Self {
        Self { entity, color, piece: Vec::with_capacity(PIECE + 1), index: 0 }
    }

    /// Goes on to `pose`.
    pub(super) fn send(&mut self, stream: &RecordingStream, pose: &Se3) -> rerun::RecordingStreamResult<()> {
        self.piece.push(position(pose));
        let strip = rerun::LineStrips3D::new([self.piece.as_slice()]).with_colors([self.color]);
        stream.log(format!("{}/{:05}", self.entity, self.index), &strip)?;
        if self.piece.len() > PIECE {
            self.break_off();
            self.piece.push(position(pose));
        }
        Ok(())
    }

    /// What comes next is not joined to what was.
    pub(super) fn break_off(&mut self) {
        self.piece.clear();
        self.index += 1;
    }
}

/// Lays the path in `entity` where it was `fitted`: static, so that the whole recording shows the last and best fit.
pub(super) fn place(
    stream: &RecordingStream,
    entity: &str,
    fitted: Fitted,
) -> rerun::RecordingStreamResult<()> {
    let rotation = rerun::Quaternion::from_xyzw(fitted.pose.xyzw().map(|v| v as f32));
    let transform = rerun::Transform3D::from_translation_rotation(position(&fitted.pose), rotation);
    stream.log_static(entity, &transform.with_scale(fitted.scale as f32))
}

/// What follows on `stream` belongs to this moment, `epoch` being time 0.
pub(super) fn set_time(stream: &RecordingStream, epoch: Timestamp, seq: u64, stamp: Timestamp) {
    let since = Duration::from_nanos((stamp.as_nanos() - epoch.as_nanos()).max(0).unsigned_abs());
    stream.set_time(TIME, since);
    stream.set_time_sequence(FRAME, i64::try_from(seq).unwrap_or(i64::MAX));
}

/// By how much a frame is reduced to be sent.
pub(super) fn reduction(frame: &Frame) -> usize {
    frame.size().0.div_ceil(LONGEST_ROW).max(1)
}

/// Says when the next image is due: by the stamps, so that a replay shows the same.
#[derive(Debug)]
pub(super) struct Pace {
    /// `None` where no image is wanted.
    period_nanos: Option<i64>,
    /// The last image, and when the next is due.
    last_and_next: Option<(i64, i64)>,
}

impl Pace {
    /// `rate_hz` images a second at most; 0 for none.
    pub(super) fn new(rate_hz: f64) -> Self {
        let period_nanos = (rate_hz > 0.0).then(|| (1e9 / rate_hz) as i64);
        Self { period_nanos, last_and_next: None }
    }

    pub(super) fn is_due(&mut self, stamp: Timestamp) -> bool {
        let (Some(period), now) = (self.period_nanos, stamp.as_nanos()) else { return false };
        let (last, next) = self.last_and_next.unwrap_or((now, now));
        // Stamps that go back begin anew.
        let is_due = now >= next || now < last;
        if is_due {
            // A beat that frames only come close to is kept on average; one that was missed altogether is not made up for.
            let is_on_beat = now >= last && now - next < period;
            let next = if is_on_beat { next } else { now };
            self.last_and_next = Some((now, next.saturating_add(period)));
        }
        is_due
    }
}

fn position(pose: &Se3) -> [f32; 3] {
    pose.translation.map(|v| v as f32).into()
}

pub(super) fn pinhole(camera: &PinholeCamera) -> rerun::Pinhole {
    let (focal, center) = (camera.focal().map(|v| v as f32), camera.center().map(|v| v as f32 + 0.5));
    let resolution = [camera.width() as f32, camera.height() as f32];
    rerun::Pinhole::from_focal_length_and_resolution([focal.x, focal.y], resolution)
        .with_principal_point([center.x, center.y])
        .with_camera_xyz(rerun::components::ViewCoordinates::RDF)
}

/// The frame as JPEG, each pixel the mean of `factor` x `factor`; with its size.
fn encode(frame: &Frame, factor: usize) -> Result<(Vec<u8>, usize, usize), StageError> {
    match &frame.rgb {
        Some(rgb) => encode_image(rgb, factor, ColorType::Rgb),
        None => encode_image(&frame.gray, factor, ColorType::Luma),
    }
}

fn encode_image<const CHANNELS: usize>(
    image: &Image<u8, CHANNELS>,
    factor: usize,
    color: ColorType,
) -> Result<(Vec<u8>, usize, usize), StageError> {
    let reduced = (factor > 1).then(|| image.reduced(factor));
    let image = reduced.as_ref().unwrap_or(image);
    let (width, height) = image.size();
    let mut jpeg = Vec::with_capacity(width * height / 4);
    Encoder::new(&mut jpeg, JPEG_QUALITY).encode(
        image.as_slice(),
        u16::try_from(width)?,
        u16::try_from(height)?,
        color,
    )?;
    Ok((jpeg, width, height))
}

/// 16-bit depth in 1/256 m or of another unit, as KITTI stores it: up to 255 m, 0 where unknown.
pub(super) fn depth_image(depth: &DepthImage) -> rerun::DepthImage {
    const PER_METRE: f32 = 256.0;
    let bytes: Vec<u8> =
        depth.as_slice().iter().flat_map(|d| ((d * PER_METRE) as u16).to_ne_bytes()).collect();
    let resolution = [depth.width() as u32, depth.height() as u32];
    rerun::DepthImage::from_gray16(bytes, resolution).with_meter(PER_METRE)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use geometry::{GrayImage, RgbImage};

    use super::*;

    fn due(rate_hz: f64, stamps_ms: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let mut pace = Pace::new(rate_hz);
        let is_due = |ms: &i64| pace.is_due(Timestamp::from_nanos(ms * 1_000_000));
        stamps_ms.into_iter().filter(is_due).collect()
    }

    #[test]
    fn images_keep_their_pace_on_average() {
        assert_eq!(due(5.0, (0..10).map(|i| i * 100)), [0, 200, 400, 600, 800]);
        assert_eq!(due(5.0, (0..100).map(|i| i * 99)).len(), 50, "a camera that is a little fast");
        assert_eq!(due(5.0, (0..90).map(|i| i * 33)).len(), 15);
        assert_eq!(due(30.0, (0..10).map(|i| i * 100)).len(), 10, "no more than there are");
        assert_eq!(due(0.0, 0..10), [0; 0]);
    }

    #[test]
    fn a_gap_is_not_made_up_for_and_a_clock_set_back_begins_anew() {
        assert_eq!(due(5.0, [0, 5000, 5100, 5200, 5300]), [0, 5000, 5200]);
        assert_eq!(due(5.0, [9000, 0, 100, 200]), [9000, 0, 200]);
    }

    #[test]
    fn grey_and_colour_become_jpegs_of_the_reduced_size() {
        let camera = PinholeCamera::from_horizontal_fov(40, 30, 1.0).unwrap();
        let gray = GrayImage::from_fn(40, 30, |x, _| [(x * 6) as u8]);
        let rgb = RgbImage::filled(40, 30, [250, 10, 10]);
        let mut frame = Frame {
            seq: 0,
            stamp: Timestamp::ZERO,
            camera: Arc::new(camera),
            gray: Arc::new(gray),
            rgb: None,
        };
        let (jpeg, width, height) = encode(&frame, 2).unwrap();
        let decoded = image::load_from_memory(&jpeg).unwrap().to_luma8();
        assert_eq!((decoded.dimensions(), (width, height)), ((20, 15), (20, 15)));
        assert!(decoded.get_pixel(10, 7)[0].abs_diff(123) < 6);
        frame.rgb = Some(Arc::new(rgb));
        let (jpeg, ..) = encode(&frame, 1).unwrap();
        let pixel = image::load_from_memory(&jpeg).unwrap().to_rgb8().get_pixel(20, 15).0;
        assert!(pixel[0] > 235 && pixel[1] < 25 && pixel[2] < 25, "{pixel:?}");
    }

    #[test]
    fn an_address_that_is_none_is_refused_at_once() {
        let error = open_stream(&RerunTarget::Address("somewhere".into()), None).unwrap_err();
        assert!(error.to_string().contains("somewhere"), "{error}");
    }
}
