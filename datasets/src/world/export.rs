//! Writing a flight out as a dataset that other tools read.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use geometry::{Se3, Timestamp};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};

use super::{VehicleClass, World, WorldFrame};
use crate::DatasetError;
use crate::depth::depth_bytes;

/// Depth values per metre in KITTI's 16-bit PNG: 1/256 m each, up to 255.99 m.
const KITTI_DEPTH_SCALE: f32 = 256.0;
/// Depth values per metre in TUM's 16-bit PNG: 1/5000 m each, up to 13.1 m.
const TUM_DEPTH_SCALE: f32 = 5000.0;
/// Vehicles of which less is seen are not labelled for a detector.
const YOLO_LEAST_VISIBLE: f32 = 0.3;

const KITTI_README: &str = "\
image_0/      grey, image_2/ colour, %06d.png
depth/        16-bit PNG: value / 256 = metres along the optical axis; 0: sky, or 256 m and beyond
times.txt     seconds, one row per frame: the middle of the exposure of the middle row
calib.txt     P0..P3, all the same camera
boxes.csv     frame,id,class,x,y,w,h,occlusion,truncation: box around the visible pixels, from outer edge to
              outer edge, in pixels; occlusion: share of the pixels inside the image that something hides;
              truncation: share of the whole extent outside the image
agl.txt       stamp_s height_m: height above the ground straight below
../../poses/00.txt  camera_0 from camera_i as in KITTI, rows of 12; the first is the identity
";

/// Writes the flight as KITTI odometry sequence 00: `sequences/00/{image_0,image_2,depth}/%06d.png`, `calib.txt`,
/// `times.txt`, `boxes.csv`, `agl.txt`, `README.txt` that explains them, and `poses/00.txt`. `progress` is called with
/// the number of frames done.
///
/// # Errors
/// [`DatasetError::Content`] where `dir` has entries already; [`DatasetError::Write`] where writing fails.
pub fn export_kitti(world: &World, dir: &Path, mut progress: impl FnMut(usize)) -> Result<(), DatasetError> {
    claim(dir)?;
    let sequence = dir.join("sequences/00");
    let [gray, color, depth] = ["image_0", "image_2", "depth"].map(|name| sequence.join(name));
    for path in [&gray, &color, &depth, &dir.join("poses")] {
        make_dir(path)?;
    }
    write_text(&sequence.join("README.txt"), KITTI_README)?;
    write_text(&sequence.join("calib.txt"), &kitti_calibration(world))?;
    // Before the images, so that a set whose writing was cut off is seen to lack images and not times.
    write_text(&sequence.join("times.txt"), &per_frame(world, |i| format!("{}\n", world.stamp(i))))?;
    let height = |i| format!("{} {:.6}\n", world.stamp(i), world.height_above_ground_m(i));
    write_text(&sequence.join("agl.txt"), &per_frame(world, height))?;
    write_text(&dir.join("poses/00.txt"), &kitti_poses(world))?;
    let mut boxes = String::from("frame,id,class,x,y,w,h,occlusion,truncation\n");
    for index in 0..world.config().frames {
        let frame = world.render(index);
        let name = format!("{index:06}.png");
        write_images(
            &frame,
            Some(&gray.join(&name)),
            &color.join(&name),
            Some((&depth.join(&name), KITTI_DEPTH_SCALE)),
        )?;
        add_boxes(&mut boxes, index, &frame);
        progress(index + 1);
    }
    write_text(&sequence.join("boxes.csv"), &boxes)
}

/// Writes the flight as a TUM RGB-D sequence: `rgb/`, `depth/` (16-bit, 1/5000 m, 0 beyond 13.1 m), `rgb.txt`,
/// `depth.txt`, `groundtruth.txt` (`stamp tx ty tz qx qy qz qw`, world from camera), `camera.yaml` (OpenCV).
///
/// # Errors
/// As [`export_kitti`].
pub fn export_tum(world: &World, dir: &Path, mut progress: impl FnMut(usize)) -> Result<(), DatasetError> {
    claim(dir)?;
    make_dir(&dir.join("rgb"))?;
    make_dir(&dir.join("depth"))?;
    let mut rgb = String::from("# color images\n# timestamp filename\n");
    let mut depth = String::from("# depth maps, 5000 per metre, 0 for none\n# timestamp filename\n");
    write_text(&dir.join("camera.yaml"), &opencv_calibration(world))?;
    let poses = per_frame(world, |i| tum_row(world.stamp(i), &world.pose(i)));
    let header = "# ground truth trajectory\n# timestamp tx ty tz qx qy qz qw\n";
    write_text(&dir.join("groundtruth.txt"), &(header.to_owned() + &poses))?;
    for index in 0..world.config().frames {
        let frame = world.render(index);
        let stamp = frame.frame.stamp;
        let (color_name, depth_name) = (format!("rgb/{stamp}.png"), format!("depth/{stamp}.png"));
        let depth_file = dir.join(&depth_name);
        write_images(&frame, None, &dir.join(&color_name), Some((&depth_file, TUM_DEPTH_SCALE)))?;
        let _ = writeln!(rgb, "{stamp} {color_name}");
        let _ = writeln!(depth, "{stamp} {depth_name}");
        progress(index + 1);
    }
    write_text(&dir.join("rgb.txt"), &rgb)?;
    write_text(&dir.join("depth.txt"), &depth)
}

/// Writes the frames as a YOLO detection set: `images/%06d.png`, `labels/%06d.txt` with rows
/// `class x_center y_center width height` as shares of the image, and `classes.txt`. Vehicles of which less than 30 %
/// are seen are left out.
///
/// # Errors
/// As [`export_kitti`].
pub fn export_yolo(world: &World, dir: &Path, mut progress: impl FnMut(usize)) -> Result<(), DatasetError> {
    claim(dir)?;
    make_dir(&dir.join("images"))?;
    make_dir(&dir.join("labels"))?;
    let names: String = VehicleClass::ALL.iter().map(|class| format!("{}\n", class.name())).collect();
    write_text(&dir.join("classes.txt"), &names)?;
    for index in 0..world.config().frames {
        let frame = world.render(index);
        write_images(&frame, None, &dir.join(format!("images/{index:06}.png")), None)?;
        write_text(&dir.join(format!("labels/{index:06}.txt")), &yolo_rows(&frame))?;
        progress(index + 1);
    }
    Ok(())
}

/// The rows of all frames.
fn per_frame(world: &World, row: impl Fn(usize) -> String) -> String {
    (0..world.config().frames).map(row).collect()
}

fn kitti_poses(world: &World) -> String {
    let first_from_world = world.pose(0).inverse();
    per_frame(world, |index| {
        let pose = (first_from_world * world.pose(index)).to_matrix3x4();
        let numbers: Vec<String> = pose.transpose().iter().map(|v| format!("{v:.9e}")).collect();
        numbers.join(" ") + "\n"
    })
}

fn add_boxes(rows: &mut String, index: usize, frame: &WorldFrame) {
    for b in &frame.boxes {
        let Some(seen) = b.bounding_box else { continue };
        let (class, occlusion, truncation) = (b.class.name(), b.occlusion, b.truncation);
        // Writing to a string can't fail.
        let _ = writeln!(
            rows,
            "{index},{},{class},{},{},{},{},{occlusion:.4},{truncation:.4}",
            b.id, seen.x, seen.y, seen.width, seen.height
        );
    }
}

fn tum_row(stamp: Timestamp, world_from_camera: &Se3) -> String {
    let (t, [x, y, z, w]) = (world_from_camera.translation, world_from_camera.xyzw());
    format!("{stamp} {:.9} {:.9} {:.9} {x:.9} {y:.9} {z:.9} {w:.9}\n", t.x, t.y, t.z)
}

fn yolo_rows(frame: &WorldFrame) -> String {
    let (width, height) = frame.frame.size();
    let (w, h) = (width as f32, height as f32);
    let mut rows = String::new();
    for b in &frame.boxes {
        let Some(seen) = b.bounding_box.filter(|_| 1.0 - b.occlusion >= YOLO_LEAST_VISIBLE) else { continue };
        let (x, y) = seen.center();
        let numbers = [x / w, y / h, seen.width / w, seen.height / h].map(|v| format!("{v:.6}"));
        let _ = writeln!(rows, "{} {}", b.class.id(), numbers.join(" "));
    }
    rows
}

fn kitti_calibration(world: &World) -> String {
    let (f, c) = (world.camera.focal(), world.camera.center());
    let row =
        |i: usize| format!("P{i}: {:.12e} 0 {:.12e} 0 0 {:.12e} {:.12e} 0 0 0 1 0\n", f.x, c.x, f.y, c.y);
    (0..4).map(row).collect()
}

fn opencv_calibration(world: &World) -> String {
    let (camera, f, c) = (&world.camera, world.camera.focal(), world.camera.center());
    let (width, height) = (camera.width(), camera.height());
    format!(
        "%YAML:1.0\n---\nimage_width: {width}\nimage_height: {height}\ncamera_matrix: !!opencv-matrix\n   rows: 3\n   \
         cols: 3\n   dt: d\n   data: [ {:?}, 0., {:?}, 0., {:?}, {:?}, 0., 0., 1. ]\ndistortion_coefficients: \
         !!opencv-matrix\n   rows: 1\n   cols: 5\n   dt: d\n   data: [ 0., 0., 0., 0., 0. ]\n",
        f.x, c.x, f.y, c.y
    )
}

/// Encodes the images of a frame side by side.
fn write_images(
    frame: &WorldFrame,
    gray: Option<&PathBuf>,
    color: &Path,
    depth: Option<(&PathBuf, f32)>,
) -> Result<(), DatasetError> {
    let size = frame.frame.size();
    let write_gray =
        || gray.map_or(Ok(()), |p| write_png(p, frame.frame.gray.as_slice(), size, ExtendedColorType::L8));
    let write_color = || {
        let rgb = frame.frame.rgb.as_ref();
        rgb.map_or(Ok(()), |rgb| write_png(color, rgb.as_slice(), size, ExtendedColorType::Rgb8))
    };
    let write_depth = || {
        depth.map_or(Ok(()), |(path, scale)| {
            let bytes = depth_bytes(frame.depth.as_slice(), scale);
            write_png(path, &bytes, size, ExtendedColorType::L16)
        })
    };
    let (a, (b, c)) = rayon::join(write_gray, || rayon::join(write_color, write_depth));
    a.and(b).and(c)
}

fn write_png(
    path: &Path,
    bytes: &[u8],
    size: (usize, usize),
    color: ExtendedColorType,
) -> Result<(), DatasetError> {
    let file = fs::File::create_new(path).map_err(|e| write_error(path, e))?;
    let encoder = PngEncoder::new_with_quality(BufWriter::new(file), CompressionType::Fast, FilterType::Up);
    let written = encoder.write_image(bytes, size.0 as u32, size.1 as u32, color);
    written.map_err(|e| write_error(path, io::Error::other(e)))
}

/// Makes `dir`, or takes it where it is empty.
fn claim(dir: &Path) -> Result<(), DatasetError> {
    make_dir(dir)?;
    let mut entries = fs::read_dir(dir).map_err(|e| write_error(dir, e))?;
    match entries.next() {
        None => Ok(()),
        Some(entry) => Err(DatasetError::Content {
            expected: "an empty folder to write into".into(),
            found: entry.map_or_else(|e| e.to_string(), |e| format!("{}", e.file_name().display())),
            path: dir.into(),
        }),
    }
}

fn make_dir(path: &Path) -> Result<(), DatasetError> {
    fs::create_dir_all(path).map_err(|e| write_error(path, e))
}

fn write_text(path: &Path, text: &str) -> Result<(), DatasetError> {
    fs::write(path, text).map_err(|e| write_error(path, e))
}

fn write_error(path: &Path, source: io::Error) -> DatasetError {
    DatasetError::Write { path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::super::{Motion, WorldConfig};
    use super::*;

    fn small() -> World {
        World::new(WorldConfig {
            frames: 2,
            width: 96,
            height: 72,
            ..WorldConfig::for_motion(Motion::Forward)
        })
        .unwrap()
    }

    #[test]
    fn kitti_files_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let world = small();
        let mut done = 0;
        export_kitti(&world, dir.path(), |n| done = n).unwrap();
        assert_eq!(done, 2);
        let poses = fs::read_to_string(dir.path().join("poses/00.txt")).unwrap();
        let rows: Vec<Vec<f64>> =
            poses.lines().map(|l| l.split(' ').map(|v| v.parse().unwrap()).collect()).collect();
        assert_eq!((rows.len(), rows[0].len()), (2, 12));
        assert!((rows[0][0] - 1.0).abs() < 1e-9 && rows[0][3].abs() < 1e-9 && rows[1][11] > 0.2);
        let sequence = dir.path().join("sequences/00");
        let depth = image::open(sequence.join("depth/000001.png")).unwrap().into_luma16();
        let truth = world.render(1);
        let (stored, exact) = (f32::from(depth.get_pixel(48, 60).0[0]) / 256.0, truth.depth.pixel(48, 60)[0]);
        assert!((stored - exact).abs() < 0.5 / 256.0 + 1e-4, "{stored} {exact}");
        let gray = image::open(sequence.join("image_0/000001.png")).unwrap().into_luma8();
        assert_eq!(gray.as_raw().as_slice(), truth.frame.gray.as_slice());
        let agl = fs::read_to_string(sequence.join("agl.txt")).unwrap();
        assert_eq!(agl.lines().count(), 2);
        let boxes = fs::read_to_string(sequence.join("boxes.csv")).unwrap();
        assert!(boxes.lines().all(|l| l.split(',').count() == 9));
        assert!(boxes.lines().count() > 1);
    }

    #[test]
    fn tum_and_yolo_files_read_back() {
        let (tum, yolo) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let world = small();
        export_tum(&world, tum.path(), |_| ()).unwrap();
        let list = fs::read_to_string(tum.path().join("rgb.txt")).unwrap();
        let name = list.lines().last().unwrap().split(' ').nth(1).unwrap();
        assert_eq!(image::open(tum.path().join(name)).unwrap().width(), 96);
        let source = crate::open(&crate::SourceSpec::new(tum.path().to_string_lossy())).unwrap();
        assert_eq!(source.info().camera, world.camera, "the intrinsics are written too");
        let truth = fs::read_to_string(tum.path().join("groundtruth.txt")).unwrap();
        assert_eq!(truth.lines().last().unwrap().split(' ').count(), 8);
        export_yolo(&world, yolo.path(), |_| ()).unwrap();
        let labels = fs::read_to_string(yolo.path().join("labels/000000.txt")).unwrap();
        for value in labels.lines().flat_map(|l| l.split(' ').skip(1)) {
            assert!((0.0..=1.0).contains(&value.parse::<f32>().unwrap()));
        }
    }

    #[test]
    fn a_folder_with_something_in_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("precious.txt"), "x").unwrap();
        let error = export_kitti(&small(), dir.path(), |_| ()).unwrap_err();
        assert!(error.to_string().contains("precious.txt"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
