//! EuRoC MAV: `mav0/cam0` with `data.csv`, `sensor.yaml` and `data/`, truth in `mav0/state_groundtruth_estimate0`.
//! Format: <https://projects.asl.ethz.ch/datasets/doku.php?id=kmavvisualinertialdatasets>.

use std::path::{Path, PathBuf};

use geometry::{Se3, Trajectory};
use nalgebra::{Matrix4, Vector3};

use crate::calibration::{Calibration, Document, choose_camera};
use crate::folder::folder_name;
use crate::open::Format;
use crate::sequence::{Found, Image, ImageSequence, size_of};
use crate::text::{Increasing, Line, TextFile, read_trajectory};
use crate::{DatasetError, GroundTruth, SourceSpec};

pub(crate) const FORMAT: Format = Format {
    looks_like: "an EuRoC folder (mav0/cam0/data.csv)",
    recognise: |spec| mav_folder(spec.path()).is_some(),
    open: |spec| Ok(Box::new(open(spec)?)),
};

fn open(spec: &SourceSpec) -> Result<ImageSequence, DatasetError> {
    let folder = spec.path();
    let mav = mav_folder(folder).unwrap_or_else(|| folder.to_owned());
    let (camera_folder, mut assumptions) = (mav.join("cam0"), Vec::new());
    let images = read_images(&camera_folder)?;
    let size = size_of(images.iter().map(|image| image.path.as_path()), &camera_folder)?;
    let sensor = camera_folder.join("sensor.yaml");
    let own = || Calibration::read(&sensor).map(Some);
    let camera = choose_camera(spec, own, size, &mut assumptions)?;
    let truth = mav.join("state_groundtruth_estimate0");
    let ground_truth = if truth.join("data.csv").is_file() {
        let trajectory = read_truth(&truth, &sensor, &mut assumptions)?;
        Some(GroundTruth { trajectory: Some(trajectory), ..GroundTruth::default() })
    } else {
        None
    };
    let name = format!("EuRoC {}", folder_name(mav.parent().unwrap_or(folder)));
    Ok(ImageSequence::new(Found { name, images, camera, assumptions, ground_truth }))
}

/// `mav0`, whether the sequence's folder or it was named.
fn mav_folder(folder: &Path) -> Option<PathBuf> {
    let candidates = [folder.join("mav0"), folder.to_owned()];
    candidates.into_iter().find(|mav| mav.join("cam0/data.csv").is_file())
}

fn read_images(camera: &Path) -> Result<Vec<Image>, DatasetError> {
    let file = TextFile::read(&camera.join("data.csv"))?;
    let mut increasing = Increasing::default();
    let image = |line: Line<'_>| {
        let stamp = increasing.check(line.nanoseconds()?, line)?;
        line.image(stamp, &camera.join("data"))
    };
    file.lines().map(image).collect()
}

/// Poses `world_from_camera`: those of the body, seen from where the camera sits on it.
fn read_truth(
    truth: &Path,
    camera_sensor: &Path,
    assumptions: &mut Vec<String>,
) -> Result<Trajectory, DatasetError> {
    let body_from_camera = body_from_sensor(camera_sensor)?;
    // The pose given is that of the truth's own sensor; in EuRoC this is the body itself.
    let sensor = truth.join("sensor.yaml");
    let body_from_truth = if sensor.is_file() { body_from_sensor(&sensor)? } else { Se3::identity() };
    let truth_from_camera = body_from_truth.inverse() * body_from_camera;
    let file = TextFile::read(&truth.join("data.csv"))?;
    read_trajectory(&file, assumptions, |line| {
        let [_, x, y, z, qw, qx, qy, qz] = line.first_numbers("values per state")?;
        let pose = Se3::from_xyzw(Vector3::new(x, y, z), [qx, qy, qz, qw]);
        let world_from_truth = pose.ok_or_else(|| line.unexpected("a quaternion", "one of length 0"))?;
        Ok((line.nanoseconds()?, world_from_truth * truth_from_camera))
    })
}

/// `T_BS`.
fn body_from_sensor(sensor: &Path) -> Result<Se3, DatasetError> {
    let file = TextFile::read(sensor)?;
    let document = Document::parse(&file)?;
    let node = document.root().require(&["T_BS"])?;
    let matrix = Matrix4::from_row_slice(&node.exactly::<16>()?);
    let rotation = matrix.fixed_view::<3, 3>(0, 0).into_owned();
    if (rotation.determinant() - 1.0).abs() > 1e-3 {
        let found = format!("a matrix of determinant {:.3}", rotation.determinant());
        return Err(node.unexpected("a rotation in `T_BS`", found));
    }
    Ok(Se3::from_rotation_matrix(&rotation, matrix.fixed_view::<3, 1>(0, 3).into_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use geometry::{Distortion, Timestamp};
    use image::GrayImage;
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::{Dataset, open as open_source};

    // The camera looks along the body's x axis, 10 cm ahead of its origin.
    const SENSOR: &str = "sensor_type: camera
T_BS:
  cols: 4
  rows: 4
  data: [0.0, 0.0, 1.0, 0.1,
         -1.0, 0.0, 0.0, 0.0,
         0.0, -1.0, 0.0, 0.0,
         0.0, 0.0, 0.0, 1.0]
rate_hz: 20
resolution: [32, 24]
camera_model: pinhole
intrinsics: [30.0, 31.0, 16.0, 12.0]
distortion_model: radial-tangential
distortion_coefficients: [-0.28, 0.07, 0.0002, 1.76e-05]
";

    fn write(folder: &Path, relative: &str, content: &str) {
        let path = folder.join("mav0").join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn sequence() -> TempDir {
        let folder = tempdir().unwrap();
        let stamps = [1_403_636_579_763_555_584_i64, 1_403_636_579_813_555_456];
        let rows: Vec<_> = stamps.iter().map(|t| format!("{t},{t}.png\r\n")).collect();
        write(folder.path(), "cam0/data.csv", &format!("#timestamp [ns],filename\r\n{}", rows.concat()));
        write(folder.path(), "cam0/sensor.yaml", SENSOR);
        fs::create_dir(folder.path().join("mav0/cam0/data")).unwrap();
        for t in stamps {
            GrayImage::new(32, 24).save(folder.path().join(format!("mav0/cam0/data/{t}.png"))).unwrap();
        }
        let half = 0.5_f64.sqrt();
        let states = format!(
            "#timestamp, p, q, v, b_w, b_a\n1403636579763555584,1,2,3,{half},0,0,{half},0,0,0,0,0,0,0,0,0\n"
        );
        write(folder.path(), "state_groundtruth_estimate0/data.csv", &states);
        folder
    }

    fn open_folder(folder: &Path) -> Result<Box<dyn Dataset>, DatasetError> {
        open_source(&SourceSpec::new(folder.to_string_lossy()))
    }

    #[test]
    fn stamps_camera_and_lens_are_read_exactly() {
        let folder = sequence();
        let mut source = open_folder(folder.path()).unwrap();
        assert_eq!(source.info().assumptions, Vec::<String>::new());
        assert!(matches!(source.info().camera.distortion(), Distortion::RadialTangential { k1: -0.28, .. }));
        source.next_frame().unwrap().unwrap();
        let second = source.next_frame().unwrap().unwrap();
        assert_eq!(second.stamp, Timestamp::from_nanos(1_403_636_579_813_555_456));
        assert!(open_folder(&folder.path().join("mav0")).is_ok());
    }

    #[test]
    fn truth_is_the_cameras_not_the_bodys() {
        let folder = sequence();
        let source = open_folder(folder.path()).unwrap();
        let truth = source.ground_truth().unwrap().trajectory.clone().unwrap();
        // The body is turned a quarter about z: its x axis, along which the camera looks, points along the world's y.
        let world_from_camera = truth.poses()[0];
        assert!((world_from_camera.translation - Vector3::new(1.0, 2.1, 3.0)).norm() < 1e-12);
        let ahead = world_from_camera * Vector3::z() - world_from_camera.translation;
        assert!((ahead - Vector3::y()).norm() < 1e-12, "{ahead}");
    }

    #[test]
    fn a_listed_image_that_is_missing_is_told_with_its_line() {
        let folder = sequence();
        fs::remove_file(folder.path().join("mav0/cam0/data/1403636579813555456.png")).unwrap();
        let error = open_folder(folder.path()).err().unwrap().to_string();
        assert!(error.contains("1403636579813555456.png") && error.contains("line 3"), "{error}");
    }

    #[test]
    fn bad_sensors_are_told() {
        let folder = sequence();
        write(folder.path(), "cam0/sensor.yaml", &SENSOR.replace("31.0", ".nan"));
        let error = open_folder(folder.path()).err().unwrap().to_string();
        assert!(error.contains("`.nan`") && error.contains("sensor.yaml"), "{error}");
        write(folder.path(), "cam0/sensor.yaml", &SENSOR.replace("0.0, 0.0, 1.0, 0.1", "0.0, 0.0, 9.0, 0.1"));
        assert!(open_folder(folder.path()).err().unwrap().to_string().contains("a rotation in `T_BS`"));
    }
}
