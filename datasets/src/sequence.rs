//! A list of image files with their moments: what every recorded dataset of images comes down to.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use geometry::{Frame, PinholeCamera, Timestamp};

use crate::decode::{FileDecoder, first_size};
use crate::text::{Increasing, Line, TextFile};
use crate::{Dataset, DatasetError, GroundTruth, SourceInfo};

/// Frame rate assumed where nothing tells it: KITTI's.
pub(crate) const ASSUMED_RATE_HZ: f64 = 10.0;

/// One image file.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) stamp: Timestamp,
    pub(crate) path: PathBuf,
}

/// Everything a reader found out about a sequence.
pub(crate) struct Found {
    pub(crate) name: String,
    /// By increasing stamp.
    pub(crate) images: Vec<Image>,
    pub(crate) camera: PinholeCamera,
    pub(crate) assumptions: Vec<String>,
    pub(crate) ground_truth: Option<GroundTruth>,
}

/// Image files as a [`Dataset`].
pub(crate) struct ImageSequence {
    info: SourceInfo,
    images: Vec<Image>,
    ground_truth: Option<GroundTruth>,
    decoder: FileDecoder,
    next: usize,
}

impl ImageSequence {
    pub(crate) fn new(found: Found) -> Self {
        let Found { name, images, camera, assumptions, ground_truth } = found;
        let info = SourceInfo {
            name,
            frame_count: Some(images.len()),
            frame_rate: frame_rate(&images),
            live: false,
            assumptions,
            camera: Arc::new(camera),
        };
        let decoder = FileDecoder::new(info.camera.width(), info.camera.height());
        Self { info, images, ground_truth, decoder, next: 0 }
    }
}

impl Dataset for ImageSequence {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, DatasetError> {
        let Some(image) = self.images.get(self.next) else { return Ok(None) };
        let seq = self.next as u64;
        self.next += 1;
        let pixels = self.decoder.decode(&image.path)?;
        let camera = Arc::clone(&self.info.camera);
        Ok(Some(Frame { stamp: image.stamp, seq, gray: pixels.gray, rgb: pixels.rgb, camera }))
    }

    fn skip_frame(&mut self) -> Result<bool, DatasetError> {
        let skipped = self.next < self.images.len();
        self.next += usize::from(skipped);
        Ok(skipped)
    }

    fn ground_truth(&self) -> Option<&GroundTruth> {
        self.ground_truth.as_ref()
    }
}

fn frame_rate(images: &[Image]) -> Option<f64> {
    let (first, last) = (images.first()?, images.last()?);
    let duration_s = last.stamp.secs_since(first.stamp);
    (duration_s > 0.0).then(|| (images.len() - 1) as f64 / duration_s)
}

/// The stamp of frame `index` of a source at `rate_hz` that starts at 0.
pub(crate) fn even_stamp(index: usize, rate_hz: f64) -> Timestamp {
    Timestamp::from_nanos((index as f64 * 1e9 / rate_hz).round() as i64)
}

/// Size of the images of a sequence, from the first one whose header can be read.
pub(crate) fn size_of<'a>(
    paths: impl IntoIterator<Item = &'a Path>,
    folder: &Path,
) -> Result<(usize, usize), DatasetError> {
    first_size(paths)?.ok_or_else(|| DatasetError::Content {
        expected: "at least one PNG or JPEG image".into(),
        found: "none".into(),
        path: folder.to_owned(),
    })
}

/// The stamps of `count` images: those in the file `times`, which must be as many, or evenly spaced ones, which are an
/// assumption.
pub(crate) fn stamps(
    count: usize,
    times: Option<&Path>,
    assumptions: &mut Vec<String>,
) -> Result<Vec<Timestamp>, DatasetError> {
    let Some(path) = times else {
        assumptions
            .push(format!("No times given: assumed {ASSUMED_RATE_HZ} frames per second, evenly spaced."));
        return Ok((0..count).map(|index| even_stamp(index, ASSUMED_RATE_HZ)).collect());
    };
    let file = TextFile::read(path)?;
    let mut increasing = Increasing::default();
    let stamps = file.lines().map(|line| increasing.check(time(line)?, line));
    let stamps = stamps.collect::<Result<Vec<_>, _>>()?;
    if stamps.len() == count {
        return Ok(stamps);
    }
    Err(file.unexpected(format!("{count} times, one per image"), format!("{} times", stamps.len())))
}

impl Line<'_> {
    /// The image taken at `stamp` that the line's second field names, relative to `folder`; it must exist.
    pub(crate) fn image(self, stamp: Timestamp, folder: &Path) -> Result<Image, DatasetError> {
        let Some(name) = self.fields().nth(1) else {
            return Err(self.unexpected("a time and the name of an image", format!("`{}`", self.text)));
        };
        let path = folder.join(name);
        if path.is_file() {
            return Ok(Image { stamp, path });
        }
        Err(self.unexpected(format!("the image {}", path.display()), "no such file"))
    }
}

/// Seconds, or nanoseconds where a whole number is too long for seconds.
fn time(line: Line<'_>) -> Result<Timestamp, DatasetError> {
    let whole = line.text.bytes().all(|byte| byte.is_ascii_digit());
    if whole && line.text.len() >= 16 { line.nanoseconds() } else { line.seconds() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::tempdir;

    use super::*;

    #[test]
    fn times_in_seconds_and_nanoseconds() {
        let folder = tempdir().unwrap();
        let path = folder.path().join("times.txt");
        let nanos = |content: &str| {
            fs::write(&path, content).unwrap();
            stamps(2, Some(&path), &mut Vec::new()).map(|stamps| stamps[1].as_nanos())
        };
        assert_eq!(nanos("0.0\n1.037359e-01\n").unwrap(), 103_735_900);
        assert_eq!(nanos("1403636579763555584\n1403636579813555456\n").unwrap(), 1_403_636_579_813_555_456);
        assert!(nanos("0.0\nNaN\n").unwrap_err().to_string().contains("`NaN` at line 2"));
        assert!(nanos("0.1\n0.1\n").unwrap_err().to_string().contains("a time after 0.100000000 s"));
    }

    #[test]
    fn without_times_the_rate_is_an_assumption() {
        let mut assumptions = Vec::new();
        let stamps = stamps(3, None, &mut assumptions).unwrap();
        assert_eq!(stamps[2], Timestamp::from_nanos(200_000_000));
        assert!(assumptions[0].contains("10 frames per second"), "{assumptions:?}");
    }
}
