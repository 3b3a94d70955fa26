//! KITTI odometry: `sequences/NN` with `image_0` (or another of the four cameras), `calib.txt`, `times.txt`, and
//! poses in `../../poses/NN.txt` or `poses.txt`. Format: <https://www.cvlibs.net/datasets/kitti/eval_odometry.php>.

use std::path::{Path, PathBuf};

use geometry::{Se3, Timestamp, Trajectory};
use nalgebra::Matrix3x4;

use crate::calibration::{Calibration, choose_camera, kitti_projection};
use crate::folder::{first_existing, folder_name, list_images};
use crate::open::Format;
use crate::sequence::{Found, Image, ImageSequence, size_of, stamps};
use crate::text::TextFile;
use crate::{DatasetError, GroundTruth, SourceSpec};

pub(crate) const FORMAT: Format = Format {
    looks_like: "a KITTI odometry sequence folder (image_0 or image_2, calib.txt)",
    recognise: |spec| camera_index(spec.path()).is_some(),
    open: |spec| Ok(Box::new(open(spec)?)),
};

fn open(spec: &SourceSpec) -> Result<ImageSequence, DatasetError> {
    let folder = spec.path();
    // Recognised by one of its image folders; left camera where it has gone since.
    let index = camera_index(folder).unwrap_or(0);
    let image_folder = image_folder(folder, index);
    let paths = list_images(&image_folder)?;
    let mut assumptions = Vec::new();
    // Before the count: a missing image is better named than counted.
    let first_number = check_numbers(&paths, &image_folder)?;
    let stamps = stamps(paths.len(), first_existing(folder, &["times.txt"]).as_deref(), &mut assumptions)?;
    let calibration_path = folder.join("calib.txt");
    let own = || Calibration::read_kitti(&calibration_path, index).map(Some);
    let size = size_of(paths.iter().map(PathBuf::as_path), &image_folder)?;
    let camera = choose_camera(spec, own, size, &mut assumptions)?;
    let trajectory = match find_poses(folder) {
        Some(path) => {
            let poses = read_poses(&path, &stamps, first_number)?;
            Some(poses_of_camera(poses, &calibration_path, index, &mut assumptions)?)
        }
        None => None,
    };
    let images = stamps.into_iter().zip(paths).map(|(stamp, path)| Image { stamp, path }).collect();
    let name = format!("KITTI odometry {}", folder_name(folder));
    let ground_truth =
        trajectory.map(|trajectory| GroundTruth { trajectory: Some(trajectory), ..GroundTruth::default() });
    Ok(ImageSequence::new(Found { name, images, camera, assumptions, ground_truth }))
}

fn image_folder(folder: &Path, index: usize) -> PathBuf {
    folder.join(format!("image_{index}"))
}

/// The camera to use: left grey, left colour, or what there is.
fn camera_index(folder: &Path) -> Option<usize> {
    [0, 2, 1, 3].into_iter().find(|index| image_folder(folder, *index).is_dir())
}

/// The number of the first image, where all names are numbers. These must follow one another.
fn check_numbers(paths: &[PathBuf], folder: &Path) -> Result<Option<usize>, DatasetError> {
    let number = |path: &PathBuf| path.file_stem()?.to_str()?.parse::<usize>().ok();
    let Some(numbers) = paths.iter().map(number).collect::<Option<Vec<_>>>() else { return Ok(None) };
    let gap = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
    match gap {
        Some(pair) => Err(DatasetError::Content {
            expected: format!("image {:06} after {:06}", pair[0] + 1, pair[0]),
            found: format!("{:06}", pair[1]),
            path: folder.to_owned(),
        }),
        None => Ok(numbers.first().copied()),
    }
}

fn find_poses(folder: &Path) -> Option<PathBuf> {
    let official = folder.join("../../poses").join(format!("{}.txt", folder_name(folder)));
    Some(official).filter(|path| path.is_file()).or_else(|| first_existing(folder, &["poses.txt"]))
}

/// Poses `world_from_camera` of camera 0 at `stamps`.
///
/// A file may have more rows than there are images, where a sequence was cut: the rows are then those with the
/// images' numbers.
fn read_poses(
    path: &Path,
    stamps: &[Timestamp],
    first_number: Option<usize>,
) -> Result<Trajectory, DatasetError> {
    let file = TextFile::read(path)?;
    let rows = file.lines().map(|line| Ok((line, line.numbers::<12>("values per pose")?)));
    let rows = rows.collect::<Result<Vec<_>, DatasetError>>()?;
    let first = if rows.len() == stamps.len() { 0 } else { first_number.unwrap_or(0) };
    let wanted = first + stamps.len();
    if rows.len() < wanted {
        return Err(
            file.unexpected(format!("{wanted} poses, one per image"), format!("{} poses", rows.len()))
        );
    }
    let mut trajectory = Trajectory::new();
    for ((line, row), stamp) in rows[first..wanted].iter().zip(stamps) {
        let pushed = trajectory.push(*stamp, pose(row));
        pushed.map_err(|error| line.unexpected("a pose", error.to_string()))?;
    }
    Ok(trajectory)
}

fn pose(row: &[f64; 12]) -> Se3 {
    let matrix = Matrix3x4::from_row_slice(row);
    Se3::from_rotation_matrix(&matrix.fixed_columns::<3>(0).into_owned(), matrix.column(3).into_owned())
}

/// The poses of camera `index`: the files give those of camera 0, from which the projection `K [I | t]` tells the
/// baseline `t`.
fn poses_of_camera(
    poses: Trajectory,
    calibration: &Path,
    index: usize,
    assumptions: &mut Vec<String>,
) -> Result<Trajectory, DatasetError> {
    if index == 0 {
        return Ok(poses);
    }
    if !calibration.is_file() {
        assumptions
            .push(format!("No calib.txt: the true poses are those of camera 0, not of camera {index}."));
        return Ok(poses);
    }
    let file = TextFile::read(calibration)?;
    let projection = Matrix3x4::from_row_slice(&kitti_projection(&file, index)?);
    let k = projection.fixed_columns::<3>(0).into_owned();
    let Some(k_inverse) = k.try_inverse() else {
        return Err(file.unexpected(format!("a camera matrix in row P{index}"), "a singular one"));
    };
    let camera_from_left = k_inverse * projection.column(3);
    let left_from_camera = Se3 { translation: -camera_from_left, ..Se3::identity() };
    Ok(poses.map(|world_from_left| *world_from_left * left_from_camera))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use image::{GrayImage, RgbImage};
    use nalgebra::Vector3;
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::{Dataset, open as open_source};

    const CALIB: &str = "P0: 50 0 16 0 0 50 12 0 0 0 1 0\nP2: 50 0 16 5 0 50 12 0 0 0 1 0\n";

    /// Three frames, one metre forward each.
    struct Sequence(TempDir);

    impl Sequence {
        fn new() -> Self {
            let sequence = Self(tempdir().unwrap());
            fs::create_dir_all(sequence.path("image_0")).unwrap();
            for i in 0..3 {
                GrayImage::new(32, 24).save(sequence.path(&format!("image_0/{i:06}.png"))).unwrap();
            }
            sequence.write("calib.txt", CALIB);
            sequence.write("times.txt", "0.0\n0.1\n0.2\n");
            let rows: Vec<_> = (0..3).map(|z| format!("1 0 0 0 0 1 0 0 0 0 1 {z}\n")).collect();
            sequence.write("poses.txt", &rows.concat());
            sequence
        }

        fn path(&self, relative: &str) -> PathBuf {
            self.0.path().join("sequences/07").join(relative)
        }

        fn write(&self, relative: &str, content: &str) {
            fs::write(self.path(relative), content).unwrap();
        }

        fn open(&self) -> Result<Box<dyn Dataset>, DatasetError> {
            open_source(&SourceSpec::new(self.path("").to_string_lossy()))
        }

        fn complaint(&self) -> String {
            self.open().err().unwrap().to_string()
        }
    }

    #[test]
    fn a_sequence_opens_with_truth() {
        let sequence = Sequence::new();
        let mut source = sequence.open().unwrap();
        assert_eq!(source.info().name, "KITTI odometry 07");
        assert_eq!(source.info().assumptions, Vec::<String>::new());
        let truth = source.ground_truth().unwrap().trajectory.clone().unwrap();
        assert_eq!((truth.len(), truth.path_length()), (3, 2.0));
        for stamp in truth.stamps() {
            assert_eq!(source.next_frame().unwrap().unwrap().stamp, *stamp);
        }
        assert!(source.next_frame().unwrap().is_none());
    }

    #[test]
    fn official_poses_come_first() {
        let sequence = Sequence::new();
        fs::create_dir(sequence.path("../../poses")).unwrap();
        sequence.write("../../poses/07.txt", &"1 0 0 5 0 1 0 0 0 0 1 0\n".repeat(9));
        let source = sequence.open().unwrap();
        let truth = source.ground_truth().unwrap().trajectory.clone().unwrap();
        assert_eq!((truth.len(), truth.poses()[0].translation.x), (3, 5.0));
    }

    #[test]
    fn the_colour_camera_stands_beside_the_grey_one() {
        let sequence = Sequence::new();
        fs::remove_dir_all(sequence.path("image_0")).unwrap();
        fs::create_dir(sequence.path("image_2")).unwrap();
        for i in 0..3 {
            RgbImage::new(32, 24).save(sequence.path(&format!("image_2/{i:06}.jpg"))).unwrap();
        }
        let mut source = sequence.open().unwrap();
        assert!(source.next_frame().unwrap().unwrap().rgb.is_some());
        let truth = source.ground_truth().unwrap().trajectory.as_ref().unwrap();
        // A point moves right by 5/50 m from camera 0 to camera 2, so the camera stands 0.1 m to the left.
        assert!((truth.poses()[1].translation - Vector3::new(-0.1, 0.0, 1.0)).norm() < 1e-12);
    }

    #[test]
    fn without_a_calibration_file_the_baseline_stays_unknown() {
        let sequence = Sequence::new();
        fs::rename(sequence.path("image_0"), sequence.path("image_2")).unwrap();
        fs::remove_file(sequence.path("calib.txt")).unwrap();
        let spec = SourceSpec { fov_deg: Some(90.0), ..SourceSpec::new(sequence.path("").to_string_lossy()) };
        let source = open_source(&spec).unwrap();
        assert!((source.info().camera.focal().x - 16.0).abs() < 1e-9);
        assert!(source.info().assumptions[0].contains("camera 0"), "{:?}", source.info().assumptions);
    }

    #[test]
    fn times_of_another_count_are_told_with_both() {
        let sequence = Sequence::new();
        sequence.write("times.txt", "0.0\n0.1\n");
        let error = sequence.complaint();
        assert!(error.contains("expected 3 times") && error.contains("found 2 times"), "{error}");
        assert!(error.contains("times.txt"), "{error}");
    }

    #[test]
    fn bad_pose_rows_are_told_with_their_line() {
        let sequence = Sequence::new();
        let row = "1 0 0 0 0 1 0 0 0 0 1 0\n";
        sequence.write("poses.txt", &format!("{row}1 0 0 0 0 1 0 0 0 0 1\n{row}"));
        let error = sequence.complaint();
        assert!(error.contains("expected 12 values per pose, found 11 at line 2"), "{error}");
        sequence.write("poses.txt", &format!("{row}{row}1 0 0 nan 0 1 0 0 0 0 1 0\n"));
        assert!(sequence.complaint().contains("`nan` at line 3"));
        sequence.write("poses.txt", &row.repeat(2));
        let error = sequence.complaint();
        assert!(error.contains("3 poses, one per image, found 2 poses"), "{error}");
    }

    #[test]
    fn bad_calibrations_are_told_with_their_line() {
        let sequence = Sequence::new();
        sequence.write("calib.txt", "P0: 50 0 NaN 0 0 50 12 0 0 0 1 0\n");
        let error = sequence.complaint();
        assert!(error.contains("`NaN` at line 1") && error.contains("calib.txt"), "{error}");
        fs::remove_file(sequence.path("calib.txt")).unwrap();
        assert!(sequence.complaint().contains("calib.txt"));
    }

    #[test]
    fn a_missing_image_is_named() {
        let sequence = Sequence::new();
        fs::remove_file(sequence.path("times.txt")).unwrap();
        fs::remove_file(sequence.path("image_0/000001.png")).unwrap();
        let error = sequence.complaint();
        assert!(error.contains("expected image 000001 after 000000, found 000002"), "{error}");
    }

    #[test]
    fn an_empty_sequence_is_no_sequence() {
        let sequence = Sequence::new();
        for i in 0..3 {
            fs::remove_file(sequence.path(&format!("image_0/{i:06}.png"))).unwrap();
        }
        fs::remove_file(sequence.path("times.txt")).unwrap();
        assert!(sequence.complaint().contains("at least one PNG or JPEG image"));
    }

    #[test]
    fn kitti_00_and_01_read_to_their_end() {
        for (name, count, length_m) in [("00", 300, 216.0), ("01", 12, f64::NAN)] {
            let relative = format!("kitti/odometry/sequences/{name}");
            let Some(folder) = geometry::test_data::shared_data(&relative) else { return };
            let mut source = open_source(&SourceSpec::new(folder.to_string_lossy())).unwrap();
            assert_eq!(source.info().frame_count, Some(count));
            assert_eq!(source.info().assumptions.len(), usize::from(name == "01"));
            assert_eq!(source.info().camera.focal().x, 718.856);
            let truth = source.ground_truth().unwrap().trajectory.clone().unwrap();
            assert!(
                length_m.is_nan() || (truth.path_length() - length_m).abs() < 1.0,
                "{}",
                truth.path_length()
            );
            let mut seen = 0;
            while let Some(frame) = source.next_frame().unwrap() {
                assert_eq!((frame.size(), frame.seq), ((1241, 376), seen));
                assert_eq!(frame.stamp, truth.stamps()[seen as usize]);
                seen += 1;
            }
            assert_eq!(seen as usize, count);
        }
    }
}
