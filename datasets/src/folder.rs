//! A folder of images, in natural order: `frame9.png` before `frame10.png`.
//!
//! May hold `times.txt` or `timestamps.txt` (one time per image, in seconds or whole nanoseconds) and a calibration
//! (`calib.txt`, `camera.yaml`, `camchain.yaml`, or the `cam.txt` of folders prepared for SfMLearner).

use std::cmp::Ordering;
use std::fs;
use std::path::{Path, PathBuf};

use crate::calibration::{Calibration, choose_camera};
use crate::open::Format;
use crate::sequence::{ASSUMED_RATE_HZ, Found, Image, ImageSequence, even_stamp, size_of, stamps};
use crate::{DatasetError, SourceSpec};

pub(crate) const FORMAT: Format = Format {
    looks_like: "a folder of PNG or JPEG images",
    recognise: |spec| list_images(spec.path()).is_ok_and(|images| !images.is_empty()),
    open: |spec| Ok(Box::new(open(spec)?)),
};

const TIMES: &[&str] = &["times.txt", "timestamps.txt"];
const CALIBRATIONS: &[&str] =
    &["calib.txt", "cam.txt", "camera.yaml", "camera.yml", "camchain.yaml", "camchain.yml"];

fn open(spec: &SourceSpec) -> Result<ImageSequence, DatasetError> {
    let folder = spec.path();
    let paths = list_images(folder)?;
    let mut assumptions = Vec::new();
    let times = first_existing(folder, TIMES);
    let mut stamps = stamps(paths.len(), times.as_deref(), &mut assumptions)?;
    if let Some(numbers) = numbers(&paths).filter(|_| times.is_none()) {
        // A number that is left out is a moment without an image.
        stamps = numbers.iter().map(|number| even_stamp(number - numbers[0], ASSUMED_RATE_HZ)).collect();
    }
    let size = size_of(paths.iter().map(PathBuf::as_path), folder)?;
    let own = || first_existing(folder, CALIBRATIONS).map(|path| Calibration::read(&path)).transpose();
    let camera = choose_camera(spec, own, size, &mut assumptions)?;
    let images = stamps.into_iter().zip(paths).map(|(stamp, path)| Image { stamp, path }).collect();
    let name = format!("images in {}", folder_name(folder));
    Ok(ImageSequence::new(Found { name, images, camera, assumptions, ground_truth: None }))
}

/// The numbers that the images are named by, where they have no other name; each is above the one before.
fn numbers(paths: &[PathBuf]) -> Option<Vec<usize>> {
    let number = |path: &PathBuf| path.file_stem()?.to_str()?.parse().ok();
    let numbers: Vec<usize> = paths.iter().map(number).collect::<Option<_>>()?;
    numbers.windows(2).all(|pair| pair[0] < pair[1]).then_some(numbers)
}

/// Last part of the folder's full path, also where it is given as `.`.
pub(crate) fn folder_name(folder: &Path) -> String {
    let full = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    full.file_name().map_or_else(|| full.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// The first of the files `names` that `folder` holds.
pub(crate) fn first_existing(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// The image files in `folder`, in natural order.
pub(crate) fn list_images(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let io = |source| DatasetError::Io { path: folder.to_owned(), source };
    let mut images = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if is_image(&path) {
            images.push(path);
        }
    }
    images.sort_by(|a, b| natural_order(&name(a), &name(b)));
    Ok(images)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// By its name; hidden files (`._frame.jpg` of some file systems) are none.
fn is_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    matches!(extension.as_str(), "png" | "jpg" | "jpeg") && !name(path).starts_with('.')
}

/// Runs of digits compare as numbers, everything else byte by byte.
fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (left_run, right_run) = (first_run(left), first_run(right));
        let order = compare_runs(left_run, right_run);
        // Names that differ in leading zeros only still need an order.
        if order != Ordering::Equal || left_run.is_empty() {
            return order.then_with(|| a.cmp(b));
        }
        (left, right) = (&left[left_run.len()..], &right[right_run.len()..]);
    }
}

/// The leading digits of `text`, or what comes before its first digit.
fn first_run(text: &str) -> &str {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits);
    &text[..end.unwrap_or(text.len())]
}

fn compare_runs(a: &str, b: &str) -> Ordering {
    let number = |run: &str| run.starts_with(|c: char| c.is_ascii_digit());
    if !(number(a) && number(b)) {
        return a.cmp(b);
    }
    // As text, because the digits may be more than any integer holds.
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use geometry::Timestamp;
    use image::{GrayImage, Luma};
    use proptest::prelude::*;
    use tempfile::tempdir;

    use super::*;
    use crate::open as open_source;

    fn write_images(folder: &Path, names: &[&str]) {
        for (i, name) in names.iter().enumerate() {
            GrayImage::from_pixel(32, 24, Luma([i as u8 * 10])).save(folder.join(name)).unwrap();
        }
    }

    fn spec(folder: &Path) -> SourceSpec {
        SourceSpec::new(folder.to_string_lossy())
    }

    #[test]
    fn images_come_in_natural_order_with_all_assumptions_told() {
        let folder = tempdir().unwrap();
        write_images(folder.path(), &["f2.png", "f10.png", "f1.png"]);
        fs::write(folder.path().join("._f1.png"), b"junk").unwrap();
        let mut source = open_source(&spec(folder.path())).unwrap();
        let info = source.info().clone();
        assert_eq!((info.frame_count, info.live), (Some(3), false));
        assert_eq!(info.assumptions.len(), 2, "{:?}", info.assumptions);
        assert!((info.camera.horizontal_fov_rad().to_degrees() - 70.0).abs() < 1e-9);
        let order: Vec<_> =
            (0..3).map(|_| source.next_frame().unwrap().unwrap().gray.pixel(0, 0)[0]).collect();
        assert_eq!(order, [20, 0, 10]);
        assert!(source.next_frame().unwrap().is_none());
    }

    #[test]
    fn numbers_that_are_left_out_are_moments_without_an_image() {
        let folder = tempdir().unwrap();
        write_images(folder.path(), &["0000000007.png", "0000000008.png", "0000000011.png"]);
        let mut source = open_source(&spec(folder.path())).unwrap();
        let stamps: Vec<i64> =
            (0..3).map(|_| source.next_frame().unwrap().unwrap().stamp.as_nanos()).collect();
        assert_eq!(stamps, [0, 100_000_000, 400_000_000]);
    }

    #[test]
    fn times_and_a_camera_matrix_beside_the_images_are_used() {
        let folder = tempdir().unwrap();
        write_images(folder.path(), &["0.png", "1.png"]);
        fs::write(folder.path().join("times.txt"), "5.0\n5.25\n").unwrap();
        fs::write(folder.path().join("cam.txt"), "30 0 16\n0 30 12\n0 0 1\n").unwrap();
        let mut source = open_source(&spec(folder.path())).unwrap();
        assert_eq!(source.info().assumptions, Vec::<String>::new());
        assert_eq!((source.info().frame_rate, source.info().camera.focal().x), (Some(4.0), 30.0));
        assert!(source.skip_frame().unwrap());
        let frame = source.next_frame().unwrap().unwrap();
        assert_eq!((frame.stamp, frame.seq), (Timestamp::from_nanos(5_250_000_000), 1));
        assert!(!source.skip_frame().unwrap());
    }

    #[test]
    fn what_the_user_says_wins() {
        let folder = tempdir().unwrap();
        write_images(folder.path(), &["0.png"]);
        fs::write(folder.path().join("cam.txt"), "NaN").unwrap();
        assert!(open_source(&spec(folder.path())).is_err());
        let wide = SourceSpec { fov_deg: Some(90.0), ..spec(folder.path()) };
        assert!((open_source(&wide).unwrap().info().camera.focal().x - 16.0).abs() < 1e-9);
        let error = open_source(&SourceSpec { fov_deg: Some(190.0), ..wide }).err().unwrap().to_string();
        assert!(error.contains("190"), "{error}");
    }

    #[test]
    fn one_bad_image_costs_one_frame() {
        let folder = tempdir().unwrap();
        write_images(folder.path(), &["0.png", "1.png", "2.png"]);
        let bad = folder.path().join("1.png");
        let bytes = fs::read(&bad).unwrap();
        fs::write(&bad, &bytes[..bytes.len() - 20]).unwrap();
        let mut source = open_source(&spec(folder.path())).unwrap();
        assert_eq!(source.next_frame().unwrap().unwrap().seq, 0);
        let error = source.next_frame().unwrap_err();
        assert!(matches!(&error, DatasetError::Image { path, .. } if *path == bad), "{error}");
        assert_eq!(source.next_frame().unwrap().unwrap().seq, 2);
    }

    #[test]
    fn buffers_go_round() {
        let folder = tempdir().unwrap();
        let names: Vec<_> = (0..20).map(|i| format!("{i}.png")).collect();
        write_images(folder.path(), &names.iter().map(String::as_str).collect::<Vec<_>>());
        let mut source = open_source(&spec(folder.path())).unwrap();
        let frames = std::iter::from_fn(|| source.next_frame().unwrap());
        let addresses: HashSet<_> = frames.map(|frame| frame.gray.as_slice().as_ptr() as usize).collect();
        assert_eq!(addresses.len(), 1, "frames that are dropped at once need one buffer");
    }

    #[test]
    fn times_of_another_count_are_told_with_both() {
        let folder = tempdir().unwrap();
        write_images(folder.path(), &["0.png", "1.png"]);
        fs::write(folder.path().join("timestamps.txt"), "0\n1\n2\n").unwrap();
        let error = open_source(&spec(folder.path())).err().unwrap().to_string();
        assert!(error.contains("expected 2 times, one per image, found 3 times"), "{error}");
    }

    #[test]
    fn a_prepared_kitti_drive_brings_its_camera() {
        let Some(drive) = geometry::test_data::shared_data("kitti/raw_416x128/2011_09_26_drive_0001_sync_02")
        else {
            return;
        };
        let mut source = open_source(&spec(&drive)).unwrap();
        assert!((source.info().camera.focal().y - 246.284_868).abs() < 1e-5);
        let frame = source.next_frame().unwrap().unwrap();
        assert_eq!(frame.size(), (416, 128));
        assert!(frame.rgb.is_some());
    }

    proptest! {
        #[test]
        fn numbers_sort_as_numbers(a in 0u64..100_000, b in 0u64..100_000, zeros in 0usize..4) {
            let name = |n: u64, zeros: usize| format!("img_{}{n}.png", "0".repeat(zeros));
            let order = natural_order(&name(a, zeros), &name(b, 0));
            prop_assert!(a == b || order == a.cmp(&b));
            prop_assert_eq!(natural_order(&name(b, 0), &name(a, zeros)), order.reverse());
        }
    }
}
