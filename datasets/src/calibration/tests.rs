use std::fs;

use tempfile::tempdir;

use super::*;

const KITTI: &str = "P0: 718.856 0 607.1928 0 0 718.856 185.2157 0 0 0 1 0\n\
                     P2: 700.0 0 600.0 45.0 0 700.0 180.0 -0.3 0 0 1 0.005\n\
                     Tr: 1 0 0 0 0 1 0 0 0 0 1 0\n";

const OPENCV: &str = "%YAML:1.0
---
image_width: 640
image_height: 480
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 5.0e+02, 0., 319.5, 0., 501., 239.5, 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: [ -0.28, 0.07, 1.9e-04, 1.8e-05, 0. ]
";

const KALIBR: &str = "cam0:
  camera_model: pinhole
  distortion_coeffs: [0.0034, 0.0007, -0.002, 0.0002]
  distortion_model: equidistant
  intrinsics: [190.97, 190.96, 254.93, 256.89]
  resolution: [512, 512]
";

fn read(content: &str) -> Result<Calibration, DatasetError> {
    let folder = tempdir().unwrap();
    let path = folder.path().join("calibration.txt");
    fs::write(&path, content).unwrap();
    Calibration::read(&path)
}

fn complaint(content: &str) -> String {
    read(content).unwrap_err().to_string()
}

#[test]
fn kitti_rows_with_and_without_labels() {
    let (camera, note) = read(KITTI).unwrap().camera(1241, 376).unwrap();
    assert_eq!((camera.focal().x, camera.center().y, note), (718.856, 185.2157, None));
    let bare = read("700 0 600 0 0 700 180 0 0 0 1 0\n").unwrap();
    assert_eq!(bare.intrinsics, [700.0, 700.0, 600.0, 180.0]);
}

#[test]
fn kitti_row_of_another_camera() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("calib.txt");
    fs::write(&path, KITTI).unwrap();
    assert_eq!(Calibration::read_kitti(&path, 2).unwrap().intrinsics[0], 700.0);
    let error = Calibration::read_kitti(&path, 3).unwrap_err().to_string();
    assert!(error.contains("`P3:`") && error.contains("calib.txt"), "{error}");
}

#[test]
fn nan_and_missing_numbers_are_named_with_their_line() {
    let nan = complaint("# made by hand\nP0: 718 0 NaN 0 0 718 185 0 0 0 1 0\n");
    assert!(nan.contains("`NaN`") && nan.contains("line 2"), "{nan}");
    let short = complaint("P0: 718 0 607 0 0 718 185 0 0 0 1\n");
    assert!(short.contains("expected 12") && short.contains("found 11 at line 1"), "{short}");
}

#[test]
fn nine_numbers_are_a_camera_matrix() {
    let camera = read("241.67 0 204.17\n0 246.28 59.0\n0 0 1\n").unwrap();
    assert_eq!(camera.intrinsics, [241.67, 246.28, 204.17, 59.0]);
    assert!(complaint("241.67 0 204.17\n0 246.28 59.0\n").contains("6 numbers"));
    assert!(complaint("241.67 3 204.17\n0 246.28 59.0\n0 0 1\n").contains("camera matrix"));
}

#[test]
fn opencv_yaml() {
    let (camera, note) = read(OPENCV).unwrap().camera(640, 480).unwrap();
    assert_eq!((camera.focal().x, camera.focal().y, note), (500.0, 501.0, None));
    let lens = Distortion::RadialTangential { k1: -0.28, k2: 0.07, p1: 1.9e-4, p2: 1.8e-5, k3: 0.0 };
    assert_eq!(camera.distortion(), lens);
}

#[test]
fn opencv_yaml_with_faults() {
    for nan in [".Nan", "nan", ".nan", "-.Inf"] {
        let error = complaint(&OPENCV.replace("319.5", nan));
        assert!(error.contains(nan) && error.contains("line 5"), "{error}");
    }
    let short = complaint(&OPENCV.replace(", 1. ]", " ]"));
    assert!(short.contains("3x3 numbers in `camera_matrix`, found 8 at line 5"), "{short}");
    let focal = complaint(&OPENCV.replace("5.0e+02", "-500"));
    assert!(focal.contains("fx -500"), "{focal}");
    let size = complaint(&OPENCV.replace("image_width: 640", "image_width: 0"));
    assert!(size.contains("image_width") && size.contains("line 3"), "{size}");
    let missing = complaint(&OPENCV.replace("camera_matrix", "cameramatrix"));
    assert!(missing.contains("camera_matrix"), "{missing}");
    let rational = OPENCV.replace("cols: 5", "cols: 8").replace("1.8e-05, 0. ]", "1.8e-05, 0., 1., 2., 3. ]");
    assert!(complaint(&rational).contains("further ones 0"));
}

#[test]
fn kalibr_camchain() {
    let (camera, _) = read(KALIBR).unwrap().camera(512, 512).unwrap();
    assert_eq!(camera.distortion(), Distortion::KannalaBrandt { k: [0.0034, 0.0007, -0.002, 0.0002] });
    let radtan = read(&KALIBR.replace("equidistant", "radtan")).unwrap();
    assert!(matches!(radtan.distortion, Distortion::RadialTangential { k1: 0.0034, k3: 0.0, .. }));
    let none = read(&KALIBR.replace("equidistant", "none").replace("[0.0034, 0.0007, -0.002, 0.0002]", "[]"));
    assert_eq!(none.unwrap().distortion, Distortion::None);
}

#[test]
fn kalibr_faults() {
    let omni = complaint(&KALIBR.replace("pinhole", "omni"));
    assert!(omni.contains("`omni`") && omni.contains("line 2"), "{omni}");
    let three = complaint(&KALIBR.replace(", 256.89", ""));
    assert!(three.contains("4 numbers in `intrinsics`, found 3 at line 5"), "{three}");
    let missing = complaint(&KALIBR.replace("intrinsics", "intrinsic"));
    assert!(missing.contains("`intrinsics`"), "{missing}");
    let lensless = complaint(&KALIBR.replace("distortion_coeffs", "coeffs"));
    assert!(lensless.contains("distortion_coefficients"), "{lensless}");
}

#[test]
fn a_scaled_calibration_is_told_and_a_cropped_one_refused() {
    let calibration = read(OPENCV).unwrap();
    let (half, note) = calibration.camera(320, 240).unwrap();
    assert_eq!((half.focal().x, half.center().x), (250.0, 159.5));
    assert!(note.unwrap().contains("640x480"));
    let error = calibration.camera(640, 360).unwrap_err().to_string();
    assert!(error.contains("640x480") && error.contains("640x360"), "{error}");
    let kitti = read(KITTI).unwrap().camera(416, 128).unwrap_err().to_string();
    assert!(kitti.contains("principal point"), "{kitti}");
}

#[test]
fn what_is_no_calibration_is_refused() {
    for content in ["", "# only a comment\n", "hello\n", "key: value\n", "a: [1, 2\nb: }"] {
        assert!(complaint(content).contains("camera_matrix"), "{content}");
    }
}
