//! KITTI's object benchmark: the laser's points seen by the left colour camera.
//! Format: <https://www.cvlibs.net/datasets/kitti/eval_object.php>.

use std::fs;
use std::path::Path;

use geometry::DepthImage;
use nalgebra::{Matrix3, Matrix3x4, Matrix4, Vector4};

use super::{DepthSample, Truth, existing_file, existing_folder, stem};
use crate::DatasetError;
use crate::calibration::kitti_projection;
use crate::folder::list_images;
use crate::text::TextFile;

/// The left colour camera.
const CAMERA: usize = 2;
/// Bytes of a point: x forward, y left, z up in metres and the reflectance, as little-endian floats.
const POINT: usize = 16;

pub(super) fn samples(folder: &Path) -> Result<Vec<DepthSample>, DatasetError> {
    let part = |name: &str| {
        existing_folder(folder.join(name), "a folder of KITTI's object benchmark (image_2, velodyne, calib)")
    };
    let (images, scans, calibrations) = (part("image_2")?, part("velodyne")?, part("calib")?);
    let sample = |image| {
        let name = stem(Path::new(&image));
        let scan = existing_file(scans.join(format!("{name}.bin")), "the image's laser scan")?;
        let calibration = existing_file(calibrations.join(format!("{name}.txt")), "the image's calibration")?;
        Ok(DepthSample { name, image, truth: Truth::Lidar { scan, calibration } })
    };
    list_images(&images)?.into_iter().map(sample).collect()
}

/// Depths of the points that an image of `(width, height)` shows.
///
/// Points behind the laser are left out, a pixel that several points fall on keeps the nearest, and pixels count from 1: so
/// do the evaluations of Eigen et al. and all papers after them, and only so are figures comparable. The depth is that in
/// front of the camera, not of the laser.
pub(super) fn read(
    scan: &Path,
    calibration: &Path,
    (width, height): (usize, usize),
) -> Result<DepthImage, DatasetError> {
    let image_from_laser = image_from_laser(calibration)?;
    let mut depth = DepthImage::filled(width, height, [0.0]);
    for [x, y, z, _] in points(scan)? {
        if x < 0.0 {
            continue;
        }
        let seen = image_from_laser * Vector4::new(f64::from(x), f64::from(y), f64::from(z), 1.0);
        let pixel = |of: f64| (of / seen.z).round_ties_even() - 1.0;
        let (column, row) = (pixel(seen.x), pixel(seen.y));
        let is_inside = |at: f64, side: usize| at >= 0.0 && at < side as f64;
        if seen.z <= 0.0 || !is_inside(column, width) || !is_inside(row, height) {
            continue;
        }
        let (column, row, found) = (column as usize, row as usize, seen.z as f32);
        let [known] = depth.pixel(column, row);
        if known == 0.0 || found < known {
            depth.set_pixel(column, row, [found]);
        }
    }
    Ok(depth)
}

/// Homogeneous pixels of the left colour camera from points of the laser: `P2 R0_rect Tr_velo_to_cam`.
fn image_from_laser(calibration: &Path) -> Result<Matrix3x4<f64>, DatasetError> {
    let file = TextFile::read(calibration)?;
    let projection = Matrix3x4::from_row_slice(&kitti_projection(&file, CAMERA)?);
    let rectification = Matrix3::from_row_slice(&row::<9>(&file, "R0_rect:")?);
    let camera_from_laser = Matrix3x4::from_row_slice(&row::<12>(&file, "Tr_velo_to_cam:")?);
    let mut rectified_from_laser = Matrix4::identity();
    rectified_from_laser.fixed_view_mut::<3, 4>(0, 0).copy_from(&(rectification * camera_from_laser));
    Ok(projection * rectified_from_laser)
}

/// The numbers behind `label`.
fn row<const N: usize>(file: &TextFile, label: &str) -> Result<[f64; N], DatasetError> {
    match file.lines().find_map(|line| line.after(label)) {
        Some(line) => line.numbers(&format!("numbers behind {label}")),
        None => Err(file.unexpected(format!("a row `{label}` with {N} numbers"), "none")),
    }
}

fn points(scan: &Path) -> Result<Vec<[f32; 4]>, DatasetError> {
    let bytes = fs::read(scan).map_err(|source| DatasetError::Io { path: scan.to_owned(), source })?;
    if bytes.is_empty() || bytes.len() % POINT != 0 {
        return Err(DatasetError::Content {
            expected: format!("points of {POINT} bytes each"),
            found: format!("{} bytes", bytes.len()),
            path: scan.to_owned(),
        });
    }
    let floats: Vec<f32> = bytes.as_chunks().0.iter().map(|&value| f32::from_le_bytes(value)).collect();
    Ok(floats.as_chunks().0.to_vec())
}

#[cfg(test)]
mod tests {
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::depth::{DepthFormat, depth_samples};

    /// A camera in the laser's place that looks along its x axis.
    const CALIBRATION: &str = "P2: 10 0 8 0 0 10 6 0 0 0 1 0\nR0_rect: 1 0 0 0 1 0 0 0 1\n\
                               Tr_velo_to_cam: 0 -1 0 0 0 0 -1 0 1 0 0 0\n";

    fn set(points: &[[f32; 4]]) -> TempDir {
        let folder = tempdir().unwrap();
        for part in ["image_2", "velodyne", "calib"] {
            fs::create_dir(folder.path().join(part)).unwrap();
        }
        image::RgbImage::new(16, 12).save(folder.path().join("image_2/000007.png")).unwrap();
        fs::write(folder.path().join("calib/000007.txt"), CALIBRATION).unwrap();
        let bytes: Vec<u8> = points.as_flattened().iter().flat_map(|value| value.to_le_bytes()).collect();
        fs::write(folder.path().join("velodyne/000007.bin"), bytes).unwrap();
        folder
    }

    fn samples(folder: &TempDir) -> Result<Vec<DepthSample>, DatasetError> {
        depth_samples(folder.path(), DepthFormat::KittiObject)
    }

    #[test]
    fn points_fall_where_the_camera_sees_them() {
        // Ahead; behind it on the same pixel; two metres to the left; above the image; behind the camera.
        let folder = set(&[
            [10.0, 0.0, 0.0, 0.5],
            [20.0, 0.0, 0.0, 0.5],
            [5.0, 2.0, 0.0, 0.5],
            [1.0, 0.0, 9.0, 0.5],
            [-5.0, 0.0, 0.0, 0.5],
        ]);
        let sample = samples(&folder).unwrap().remove(0);
        let truth = sample.truth((16, 12)).unwrap();
        assert_eq!((truth.pixel(7, 5), truth.pixel(3, 5)), ([10.0], [5.0]));
        assert_eq!(truth.as_slice().iter().filter(|depth| **depth > 0.0).count(), 2);
        assert_eq!((sample.name.as_str(), sample.frame().unwrap().size()), ("000007", (16, 12)));
    }

    #[test]
    fn broken_sets_are_told() {
        let folder = set(&[[10.0, 0.0, 0.0, 0.5]]);
        let complain = |samples: Vec<DepthSample>| samples[0].truth((16, 12)).unwrap_err().to_string();
        fs::write(folder.path().join("velodyne/000007.bin"), [0; 17]).unwrap();
        assert!(complain(samples(&folder).unwrap()).contains("points of 16 bytes each, found 17 bytes"));
        fs::write(folder.path().join("calib/000007.txt"), "P2: 10 0 8 0 0 10 6 0 0 0 1 0\n").unwrap();
        assert!(complain(samples(&folder).unwrap()).contains("a row `R0_rect:` with 9 numbers, found none"));
        fs::remove_file(folder.path().join("velodyne/000007.bin")).unwrap();
        assert!(
            samples(&folder).unwrap_err().to_string().contains("the image's laser scan, found no such file")
        );
        fs::remove_dir(folder.path().join("velodyne")).unwrap();
        assert!(samples(&folder).unwrap_err().to_string().contains("velodyne"));
    }

    /// Points, sum of their depths, the nearest and the farthest, as a numpy program of a few lines has them.
    #[test]
    fn real_scans_give_the_depths_that_numpy_gives() {
        let Some(folder) = geometry::test_data::shared_data("kitti/object_samples") else { return };
        let samples = depth_samples(&folder, DepthFormat::KittiObject).unwrap();
        let expected = [
            (20_280, 235_460.022, 4.219_317_4, 72.729_95),
            (18_646, 307_902.728, 4.770_560_7, 76.729_5),
            (20_216, 256_810.302, 4.503_231, 79.206_024),
        ];
        assert_eq!(samples.len(), expected.len());
        for (sample, (count, sum, nearest, farthest)) in samples.iter().zip(expected) {
            let truth = sample.truth(sample.frame().unwrap().size()).unwrap();
            let known: Vec<f32> = truth.as_slice().iter().copied().filter(|depth| *depth > 0.0).collect();
            let found = known.iter().map(|depth| f64::from(*depth)).sum::<f64>();
            assert_eq!(known.len(), count, "{}", sample.name);
            assert!((found - sum).abs() < 1e-3, "{}: {found} instead of {sum}", sample.name);
            let ends =
                known.iter().fold((f32::INFINITY, 0.0_f32), |(low, high), d| (low.min(*d), high.max(*d)));
            assert!((ends.0 - nearest).abs() < 1e-4 && (ends.1 - farthest).abs() < 1e-4, "{ends:?}");
        }
    }
}
