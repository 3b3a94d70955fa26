//! Folders as SfMLearner's preparation leaves them: `NUMBER.jpg` holds frames in a row side by side, the frame of that number
//! in the middle, and `NUMBER_cam.txt` the nine numbers of their camera matrix.
//! Format: `data/prepare_train_data.py` in <https://github.com/tinghuiz/SfMLearner>.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use geometry::{Frame, Image};

use crate::calibration::{Calibration, choose_camera};
use crate::decode::FileDecoder;
use crate::folder::{folder_name, list_images};
use crate::open::Format;
use crate::sequence::{ASSUMED_RATE_HZ, even_stamp, size_of};
use crate::{Dataset, DatasetError, SourceInfo, SourceSpec};

pub(crate) const FORMAT: Format = Format {
    looks_like: "a folder prepared for SfMLearner (frames side by side, NUMBER_cam.txt)",
    recognise: |spec| {
        list_images(spec.path())
            .is_ok_and(|images| images.first().is_some_and(|image| camera_file(image).is_file()))
    },
    open: |spec| Ok(Box::new(open(spec)?)),
};

/// Where a frame is.
#[derive(Clone, Debug)]
struct Place {
    path: PathBuf,
    /// Its column among the frames side by side.
    column: usize,
}

/// The frames of a folder, each once, though most lie in several files.
struct Prepared {
    info: SourceInfo,
    /// By number.
    frames: Vec<(usize, Place)>,
    decoder: FileDecoder,
    next: usize,
}

fn open(spec: &SourceSpec) -> Result<Prepared, DatasetError> {
    let folder = spec.path();
    let paths = list_images(folder)?;
    let (all_width, height) = size_of(paths.iter().map(PathBuf::as_path), folder)?;
    let own = Calibration::read(&camera_file(&paths[0]))?;
    let columns = columns(&own, all_width, folder)?;
    let width = all_width / columns;
    let mut assumptions = vec![format!(
        "No times given: assumed {ASSUMED_RATE_HZ} frames per second, by the numbers of the files."
    )];
    let camera = choose_camera(spec, || Ok(Some(own)), (width, height), &mut assumptions)?;
    let frames: Vec<_> = frames(&paths, columns)?.into_iter().collect();
    let info = SourceInfo {
        name: format!("images in {}", folder_name(folder)),
        frame_count: Some(frames.len()),
        frame_rate: Some(ASSUMED_RATE_HZ),
        live: false,
        assumptions,
        camera: Arc::new(camera),
    };
    Ok(Prepared { info, frames, decoder: FileDecoder::new(all_width, height), next: 0 })
}

/// The file of the camera of an image.
fn camera_file(image: &Path) -> PathBuf {
    let stem = image.file_stem().unwrap_or_default().to_string_lossy();
    image.with_file_name(format!("{stem}_cam.txt"))
}

/// Frames side by side in images of `width`: as many as bring the principal point next to the middle of one.
fn columns(camera: &Calibration, width: usize, folder: &Path) -> Result<usize, DatasetError> {
    let [_, _, cx, _] = camera.intrinsics();
    let columns = (width as f64 / (2.0 * cx)).round() as usize;
    if columns % 2 == 1 && width.is_multiple_of(columns) {
        return Ok(columns);
    }
    Err(DatasetError::Content {
        expected: "an odd number of frames side by side, with the principal point near the middle of each"
            .into(),
        found: format!("images {width} wide and a principal point {cx} from the left"),
        path: folder.to_owned(),
    })
}

/// All frames by their numbers: where there is a choice, as near as can be to the middle of their file.
fn frames(paths: &[PathBuf], columns: usize) -> Result<BTreeMap<usize, Place>, DatasetError> {
    let middle = columns / 2;
    let mut frames: BTreeMap<usize, Place> = BTreeMap::new();
    for path in paths {
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<usize>().ok());
        let number = number.ok_or_else(|| DatasetError::Content {
            expected: "an image named by the number of its frame".into(),
            found: "another name".into(),
            path: path.clone(),
        })?;
        for column in 0..columns {
            let Some(frame) = (number + column).checked_sub(middle) else { continue };
            let place = Place { path: path.clone(), column };
            let known = frames.entry(frame).or_insert_with(|| place.clone());
            if column.abs_diff(middle) < known.column.abs_diff(middle) {
                *known = place;
            }
        }
    }
    Ok(frames)
}

impl Dataset for Prepared {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, DatasetError> {
        let Some((number, place)) = self.frames.get(self.next) else { return Ok(None) };
        let seq = self.next as u64;
        self.next += 1;
        let stamp = even_stamp(number - self.frames[0].0, ASSUMED_RATE_HZ);
        let camera = Arc::clone(&self.info.camera);
        let (first, width) = (place.column * camera.width(), camera.width());
        let pixels = self.decoder.decode(&place.path)?;
        let gray = Arc::new(piece(&pixels.gray, first, width));
        let rgb = pixels.rgb.map(|rgb| Arc::new(piece(&rgb, first, width)));
        Ok(Some(Frame { stamp, seq, gray, rgb, camera }))
    }

    fn skip_frame(&mut self) -> Result<bool, DatasetError> {
        let skipped = self.next < self.frames.len();
        self.next += usize::from(skipped);
        Ok(skipped)
    }
}

/// `width` columns from `first` on.
fn piece<const CHANNELS: usize>(
    image: &Image<u8, CHANNELS>,
    first: usize,
    width: usize,
) -> Image<u8, CHANNELS> {
    Image::from_fn(width, image.height(), |x, y| image.pixel(first + x, y))
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma};
    use tempfile::tempdir;

    use super::*;
    use crate::open as open_source;

    const CAMERA: &str = "24.1,0.,16.2,0.,24.6,11.8,0.,0.,1.";

    /// `columns` frames of 32x24 side by side, each as grey as its number.
    fn write(folder: &Path, number: usize, columns: usize) {
        let of = |x: u32| (10 * (number + x as usize / 32 - columns / 2)) as u8;
        let image = GrayImage::from_fn(32 * columns as u32, 24, |x, _| Luma([of(x)]));
        image.save(folder.join(format!("{number:010}.png"))).unwrap();
        std::fs::write(folder.join(format!("{number:010}_cam.txt")), CAMERA).unwrap();
    }

    fn spec(folder: &Path) -> SourceSpec {
        SourceSpec::new(folder.to_string_lossy())
    }

    #[test]
    fn each_frame_comes_once_and_frames_that_stood_still_are_missing() {
        for columns in [3, 5] {
            let folder = tempdir().unwrap();
            for number in [4, 5, 12] {
                write(folder.path(), number, columns);
            }
            let mut source = open_source(&spec(folder.path())).unwrap();
            let info = source.info().clone();
            let camera = &info.camera;
            assert_eq!((camera.width(), camera.height(), camera.focal().y), (32, 24, 24.6));
            let frames: Vec<Frame> = std::iter::from_fn(|| source.next_frame().unwrap()).collect();
            assert_eq!(info.frame_count, Some(frames.len()));
            let found: Vec<_> =
                frames.iter().map(|frame| usize::from(frame.gray.pixel(7, 9)[0]) / 10).collect();
            let reach = columns / 2;
            let wanted: Vec<usize> = (4 - reach..=5 + reach).chain(12 - reach..=12 + reach).collect();
            assert_eq!(found, wanted);
            assert_eq!(frames.last().unwrap().stamp.as_nanos(), 100_000_000 * (8 + 2 * reach as i64));
        }
    }

    #[test]
    fn what_is_not_prepared_so_is_named() {
        let folder = tempdir().unwrap();
        write(folder.path(), 4, 3);
        GrayImage::new(96, 24).save(folder.path().join("last.png")).unwrap();
        let error = open_source(&spec(folder.path())).err().unwrap().to_string();
        assert!(error.contains("named by the number of its frame") && error.contains("last.png"), "{error}");
        let folder = tempdir().unwrap();
        write(folder.path(), 4, 2);
        let error = open_source(&spec(folder.path())).err().unwrap().to_string();
        assert!(error.contains("an odd number of frames") && error.contains("64 wide"), "{error}");
    }
}
