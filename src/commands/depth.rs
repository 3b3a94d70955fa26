//! `kestrel depth`: how far everything is, frame by frame.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use datasets::depth::write_depth_png;
use datasets::{Dataset, SourceSpec, WindowSpec, open_ahead, read_image};
use eval::depth::{color_depth, inverse_depth_range};
use geometry::{DepthImage, Frame, RgbImage};
use runtime::graph::process_cpu;
use serde_json::json;
use vo::DepthNetwork;

use crate::cli::DepthArgs;
use crate::commands::{INCOMPLETE, ensure_apart};
use crate::images::images;
use crate::logging::{answer, say};
use crate::model_file::{DEPTH, ModelFile};
use crate::progress::FrameProgress;

/// Share by which the colours of a video follow the depths of a new frame, so that previews don't flicker.
const FOLLOW: f32 = 0.1;

pub(super) fn depth(args: &DepthArgs) -> anyhow::Result<ExitCode> {
    let values = args.values_per_metre;
    ensure!(values > 0.0 && values.is_finite(), "expected a positive --values-per-metre, found {values}");
    let network = ModelFile::open(args.model.as_deref(), &DEPTH)?.depth_network()?;
    let mut seer = Seer::new(network.with_threads(args.threads)?, args)?;
    match files(Path::new(&args.source))? {
        Some(files) => seer.look_at_files(&files, args)?,
        None => seer.look_at_source(args)?,
    }
    answer(&if args.json { seer.summary(args).to_string() } else { seer.text(args) })?;
    Ok(if seer.unread > 0 { ExitCode::from(INCOMPLETE) } else { ExitCode::SUCCESS })
}

/// The images that `source` is or holds; `None` for other sources.
fn files(source: &Path) -> anyhow::Result<Option<Vec<PathBuf>>> {
    if source.is_dir() {
        let files = images(source)?;
        return Ok((!files.is_empty()).then_some(files));
    }
    let extension = source.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_image = source.is_file() && matches!(&*extension, "png" | "jpg" | "jpeg");
    Ok(is_image.then(|| vec![source.to_owned()]))
}

/// A network, where its depths go, and how it went so far.
struct Seer {
    network: DepthNetwork,
    out: PathBuf,
    values_per_metre: f64,
    frames: usize,
    unread: usize,
    cpu: Duration,
    /// Inverse depths at the ends of the colours of the last frame of a video.
    range: Option<[f32; 2]>,
}

impl Seer {
    fn new(network: DepthNetwork, args: &DepthArgs) -> anyhow::Result<Self> {
        let out = args.out.clone();
        ensure_apart(Path::new(&args.source), &out)?;
        let is_free = fs::read_dir(&out).map_or(!out.exists(), |mut entries| entries.next().is_none());
        ensure!(is_free, "expected an empty or new folder for --out, found {}", out.display());
        let (values_per_metre, cpu) = (args.values_per_metre, Duration::ZERO);
        Ok(Self { network, out, values_per_metre, frames: 0, unread: 0, cpu, range: None })
    }

    /// Images one by one, which may be of any sizes and have nothing to do with each other.
    fn look_at_files(&mut self, files: &[PathBuf], args: &DepthArgs) -> anyhow::Result<()> {
        let window = args.window.max_frames.unwrap_or(usize::MAX);
        let chosen: Vec<_> =
            files.iter().skip(args.window.skip).step_by(args.window.stride).take(window).collect();
        ensure!(!chosen.is_empty(), "expected at least one image, found none in {}", args.source);
        let mut bar = FrameProgress::new(Some(chosen.len() as u64));
        for (index, file) in chosen.into_iter().enumerate() {
            match read_image(file) {
                Ok(frame) => {
                    self.range = None;
                    self.look(&frame, &file.file_stem().unwrap_or_default().to_string_lossy())?;
                }
                Err(error) => self.miss(&error.to_string()),
            }
            bar.update(index as u64 + 1, String::new);
        }
        bar.finish();
        Ok(())
    }

    /// Frames of a video or dataset, named by their numbers.
    fn look_at_source(&mut self, args: &DepthArgs) -> anyhow::Result<()> {
        let (skip, stride, max_frames) = (args.window.skip, args.window.stride, args.window.max_frames);
        let mut source = open_ahead(&SourceSpec::new(&args.source), WindowSpec { skip, stride, max_frames })?;
        let mut bar = FrameProgress::new(source.info().frame_count.map(|count| count as u64));
        loop {
            match source.next_frame() {
                Ok(None) => break,
                Ok(Some(frame)) => self.look(&frame, &format!("{:06}", frame.seq))?,
                Err(error) => self.miss(&error.to_string()),
            }
            bar.update((self.frames + self.unread) as u64, String::new);
        }
        bar.finish();
        ensure!(self.frames + self.unread > 0, "expected at least one frame, found none in {}", args.source);
        Ok(())
    }

    fn miss(&mut self, problem: &str) {
        say(problem);
        self.unread += 1;
    }

    fn look(&mut self, frame: &Frame, name: &str) -> anyhow::Result<()> {
        if self.frames == 0 {
            self.make_folders()?;
        }
        let (width, height) = frame.size();
        let before = process_cpu();
        let depth = self.network.predict(frame)?.depth(width, height);
        self.cpu += process_cpu() - before;
        let path = |part: &str| self.out.join(part).join(format!("{name}.png"));
        let (depth_path, preview_path) = (path("depth"), path("preview"));
        write_depth_png(&depth_path, &depth, self.values_per_metre)?;
        write_png(&preview_path, &self.preview(&depth))?;
        self.frames += 1;
        Ok(())
    }

    /// Only once there is something to write: a command that fails leaves nothing.
    fn make_folders(&self) -> anyhow::Result<()> {
        for part in ["depth", "preview"] {
            let folder = self.out.join(part);
            fs::create_dir_all(&folder).with_context(|| format!("{}: can't be made", folder.display()))?;
        }
        Ok(())
    }

    fn preview(&mut self, depth: &DepthImage) -> RgbImage {
        let now = inverse_depth_range(depth).unwrap_or([0.0, 1.0]);
        let last = self.range.unwrap_or(now);
        let range = std::array::from_fn(|end| last[end] + FOLLOW * (now[end] - last[end]));
        self.range = Some(range);
        color_depth(depth, range)
    }

    fn is_metric(&self) -> bool {
        self.network.description().metres_per_unit.is_some()
    }

    fn cpu_ms_per_frame(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e3 / self.frames.max(1) as f64
    }

    fn summary(&self, args: &DepthArgs) -> serde_json::Value {
        json!({
            "out": args.out.display().to_string(),
            "frames": self.frames,
            "unread_frames": self.unread,
            "metric": self.is_metric(),
            "values_per_metre": self.values_per_metre,
            "cpu_ms_per_frame": self.cpu_ms_per_frame(),
        })
    }

    fn text(&self, args: &DepthArgs) -> String {
        let unit = if self.is_metric() { "metre" } else { "unit of the network, which knows no metres" };
        format!(
            "{} frames in {}, {} unread; {} values for one {unit}; {:.2} ms CPU a frame (the network, resizing included)",
            self.frames,
            args.out.display(),
            self.unread,
            self.values_per_metre,
            self.cpu_ms_per_frame()
        )
    }
}

fn write_png(path: &Path, picture: &RgbImage) -> anyhow::Result<()> {
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    image::save_buffer(path, picture.as_slice(), width, height, image::ExtendedColorType::Rgb8)
        .with_context(|| format!("{}: can't be written", path.display()))
}
