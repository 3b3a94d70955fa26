//! Video files, cameras, network streams and GStreamer pipelines, through OpenCV's `videoio`.

mod capture;
mod writer;

use std::fs::File;
use std::path::Path;

use opencv::videoio::{CAP_ANY, CAP_FFMPEG, CAP_GSTREAMER, CAP_V4L2, VideoCapture};

use crate::open::Format;
use crate::{Dataset, DatasetError, SourceSpec};
use capture::{Capture, Input};
pub use writer::VideoWriter;

pub(crate) const FILE: Format =
    Format { looks_like: "a video file", recognise: |spec| spec.path().is_file(), open: open_file };

pub(crate) const DEVICE: Format = Format {
    looks_like: "a camera (/dev/video0 or its index)",
    recognise: |spec| device_index(spec).is_some(),
    open: open_device,
};

pub(crate) const STREAM: Format = Format {
    looks_like: "a GStreamer pipeline (with ` ! `) or a stream's address (rtsp://...)",
    recognise: |spec| is_pipeline(spec) || spec.source.contains("://"),
    open: open_stream,
};

fn open_file(spec: &SourceSpec) -> Result<Box<dyn Dataset>, DatasetError> {
    // The system's reason is better than OpenCV's, which has none.
    let path = spec.path();
    File::open(path).map_err(|source| DatasetError::Io { path: path.to_owned(), source })?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let input = Input::open(format!("video {name}"), false, || VideoCapture::from_file(path, CAP_FFMPEG));
    Ok(Box::new(Capture::open(spec, input)?))
}

fn open_device(spec: &SourceSpec) -> Result<Box<dyn Dataset>, DatasetError> {
    let index = device_index(spec).unwrap_or(0);
    let device = format!("/dev/video{index}");
    if cfg!(target_os = "linux") {
        File::open(&device).map_err(|error| DatasetError::Capture {
            source_name: device.clone(),
            reason: format!("expected a camera that can be read, found: {error}"),
        })?;
    }
    let api = if cfg!(target_os = "linux") { CAP_V4L2 } else { CAP_ANY };
    let input = Input::open(format!("camera {device}"), true, || VideoCapture::new(index, api));
    Ok(Box::new(Capture::open(spec, input)?))
}

fn open_stream(spec: &SourceSpec) -> Result<Box<dyn Dataset>, DatasetError> {
    let (kind, api) = if is_pipeline(spec) { ("pipeline", CAP_GSTREAMER) } else { ("stream", CAP_FFMPEG) };
    // What comes from a file waits until it is asked for.
    let live = !spec.source.contains("filesrc") && !spec.source.starts_with("file://");
    let name = format!("{kind} {}", spec.source);
    let input = Input::open(name, live, || VideoCapture::from_file(&spec.source, api));
    Ok(Box::new(Capture::open(spec, input)?))
}

fn is_pipeline(spec: &SourceSpec) -> bool {
    spec.source.contains(" ! ")
}

/// `0` for `0` and `/dev/video0`; a file or folder of that name comes first.
fn device_index(spec: &SourceSpec) -> Option<i32> {
    let number = match spec.source.strip_prefix("/dev/video") {
        Some(number) => number,
        None if Path::new(&spec.source).exists() => return None,
        None => &spec.source,
    };
    number.parse().ok().filter(|index| *index >= 0)
}

#[cfg(test)]
mod tests;
