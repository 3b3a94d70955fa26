//! TUM RGB-D: `rgb.txt`, which lists stamps and images, and `groundtruth.txt`; [`depth`](crate::depth) reads depth images.
//! Format: <https://cvg.cit.tum.de/data/datasets/rgbd-dataset/file_formats>.

use std::path::Path;

use geometry::{PinholeCamera, Se3, Trajectory};
use nalgebra::Vector3;

use crate::calibration::{Calibration, choose_camera};
use crate::folder::{first_existing, folder_name};
use crate::open::Format;
use crate::sequence::{Found, Image, ImageSequence, size_of};
use crate::text::{Increasing, Line, TextFile, read_trajectory};
use crate::{DatasetError, GroundTruth, SourceSpec};

pub(crate) const FORMAT: Format = Format {
    looks_like: "a TUM RGB-D folder (rgb.txt)",
    recognise: |spec| spec.path().join("rgb.txt").is_file(),
    open: |spec| Ok(Box::new(open(spec)?)),
};

const CALIBRATIONS: &[&str] = &["calib.txt", "camera.yaml", "camera.yml"];

/// The intrinsics that the dataset's page gives for all its sequences; they are of 640x480 images.
const PUBLISHED: &str = "fx 525, fy 525, cx 319.5, cy 239.5";

fn open(spec: &SourceSpec) -> Result<ImageSequence, DatasetError> {
    let folder = spec.path();
    let mut assumptions = Vec::new();
    let images = read_images(&TextFile::read(&folder.join("rgb.txt"))?, folder)?;
    let size = size_of(images.iter().map(|image| image.path.as_path()), folder)?;
    let camera = camera(spec, size, &mut assumptions)?;
    let ground_truth = match first_existing(folder, &["groundtruth.txt"]) {
        Some(path) => {
            let trajectory = read_truth(&TextFile::read(&path)?, &mut assumptions)?;
            Some(GroundTruth { trajectory: Some(trajectory), ..GroundTruth::default() })
        }
        None => None,
    };
    let name = format!("TUM RGB-D {}", folder_name(folder));
    Ok(ImageSequence::new(Found { name, images, camera, assumptions, ground_truth }))
}

/// The images that `rgb.txt` or `depth.txt` in `folder` lists.
pub(crate) fn read_images(file: &TextFile, folder: &Path) -> Result<Vec<Image>, DatasetError> {
    let mut increasing = Increasing::default();
    let image = |line: Line<'_>| {
        let stamp = increasing.check(line.seconds()?, line)?;
        line.image(stamp, folder)
    };
    file.lines().map(image).collect()
}

fn camera(
    spec: &SourceSpec,
    size: (usize, usize),
    assumptions: &mut Vec<String>,
) -> Result<PinholeCamera, DatasetError> {
    let own = first_existing(spec.path(), CALIBRATIONS);
    let told = own.is_some() || spec.calibration.is_some() || spec.fov_deg.is_some();
    if told || size != (640, 480) {
        let own = || own.map(|path| Calibration::read(&path)).transpose();
        return choose_camera(spec, own, size, assumptions);
    }
    assumptions.push(format!(
        "No calibration given: assumed TUM's published default ({PUBLISHED}, no distortion); give `--calibration FILE` \
         for the exact values of this sensor."
    ));
    PinholeCamera::new(640, 480, 525.0, 525.0, 319.5, 239.5).map_err(|error| DatasetError::Content {
        expected: "a pinhole camera".into(),
        found: error.to_string(),
        path: spec.path().to_owned(),
    })
}

/// Poses `world_from_camera`, as the motion capture gives them for the colour camera.
fn read_truth(file: &TextFile, assumptions: &mut Vec<String>) -> Result<Trajectory, DatasetError> {
    read_trajectory(file, assumptions, |line| {
        let [_, x, y, z, quaternion @ ..] = line.numbers::<8>("values per pose")?;
        let pose = Se3::from_xyzw(Vector3::new(x, y, z), quaternion);
        Ok((line.seconds()?, pose.ok_or_else(|| line.unexpected("a quaternion", "one of length 0"))?))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use geometry::Timestamp;
    use image::RgbImage;
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::{Dataset, open as open_source};

    fn sequence(width: u32, height: u32) -> TempDir {
        let folder = tempdir().unwrap();
        fs::create_dir(folder.path().join("rgb")).unwrap();
        let mut list = String::from("# color images\n# timestamp filename\n");
        for stamp in ["1305031102.175304", "1305031102.211214"] {
            RgbImage::new(width, height).save(folder.path().join(format!("rgb/{stamp}.png"))).unwrap();
            list += &format!("{stamp} rgb/{stamp}.png\n");
        }
        fs::write(folder.path().join("rgb.txt"), list).unwrap();
        let truth = "# timestamp tx ty tz qx qy qz qw\n1305031102.1758 1.5 0 0 0 0 0 1\n\
                     1305031102.1758 9.5 0 0 0 0 0 1\n1305031102.2 2.5 0 0 0 0 0 1\n";
        fs::write(folder.path().join("groundtruth.txt"), truth).unwrap();
        folder
    }

    fn open_folder(folder: &TempDir) -> Result<Box<dyn Dataset>, DatasetError> {
        open_source(&SourceSpec::new(folder.path().to_string_lossy()))
    }

    #[test]
    fn stamps_are_exact_and_the_default_camera_is_told() {
        let folder = sequence(640, 480);
        let mut source = open_folder(&folder).unwrap();
        assert_eq!(source.info().camera.focal().x, 525.0);
        assert!(source.info().assumptions[0].contains("fx 525"), "{:?}", source.info().assumptions);
        let frame = source.next_frame().unwrap().unwrap();
        assert_eq!(frame.stamp, Timestamp::from_nanos(1_305_031_102_175_304_000));
        assert!(frame.rgb.is_some());
    }

    #[test]
    fn a_repeated_stamp_in_the_truth_is_left_out_and_told() {
        let source = open_folder(&sequence(640, 480)).unwrap();
        let truth = source.ground_truth().unwrap().trajectory.clone().unwrap();
        assert_eq!((truth.len(), truth.poses()[0].translation.x), (2, 1.5));
        assert!(source.info().assumptions[1].contains("1 of the poses"), "{:?}", source.info().assumptions);
    }

    #[test]
    fn images_of_another_size_fall_back_to_a_field_of_view() {
        let source = open_folder(&sequence(32, 24)).unwrap();
        assert!(source.info().assumptions[0].contains("field of view"), "{:?}", source.info().assumptions);
    }

    #[test]
    fn a_calibration_beside_the_images_is_used() {
        let folder = sequence(32, 24);
        fs::write(folder.path().join("calib.txt"), "30 0 16\n0 30 12\n0 0 1\n").unwrap();
        assert_eq!(open_folder(&folder).unwrap().info().camera.focal().x, 30.0);
    }

    #[test]
    fn bad_rows_are_told_with_their_line() {
        let folder = sequence(32, 24);
        fs::write(folder.path().join("groundtruth.txt"), "# head\n1305031102.1 0 0 0 0 0 1\n").unwrap();
        let error = open_folder(&folder).err().unwrap().to_string();
        assert!(error.contains("expected 8 values per pose, found 7 at line 2"), "{error}");
        fs::write(folder.path().join("rgb.txt"), "1.0 rgb/none.png\n").unwrap();
        let error = open_folder(&folder).err().unwrap().to_string();
        assert!(error.contains("none.png") && error.contains("line 1"), "{error}");
        fs::write(folder.path().join("rgb.txt"), "1.0\n").unwrap();
        assert!(open_folder(&folder).err().unwrap().to_string().contains("a time and the name of an image"));
    }

    #[test]
    fn real_motion_capture_reads() {
        let Some(path) = geometry::test_data::shared_data("trajectories/evo/fr2_desk_groundtruth.txt") else {
            return;
        };
        let mut assumptions = Vec::new();
        let truth = read_truth(&TextFile::read(&path).unwrap(), &mut assumptions).unwrap();
        assert_eq!((truth.len(), assumptions.len()), (20_956, 1));
    }
}
