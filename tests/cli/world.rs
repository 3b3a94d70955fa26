//! `kestrel world`.

use crate::common::Lab;

const TINY: &str = "world --size 64x48 --clean --frames 2";

#[test]
fn every_layout_has_its_files() {
    let lab = Lab::new();
    for (format, files) in [
        (
            "kitti",
            vec![
                "sequences/00/calib.txt",
                "sequences/00/times.txt",
                "sequences/00/boxes.csv",
                "poses/00.txt",
            ],
        ),
        ("tum", vec!["rgb.txt", "depth.txt", "groundtruth.txt"]),
        ("yolo", vec!["labels/000001.txt", "classes.txt"]),
    ] {
        lab.kestrel(&format!("{TINY} --out {format} --format {format}")).expect_code(0);
        for file in files {
            assert!(lab.path(format).join(file).is_file(), "{format}: {file}");
        }
    }
    for picture in ["kitti/sequences/00/image_0/000001.png", "yolo/images/000001.png"] {
        assert_eq!(image::image_dimensions(lab.path(picture)).unwrap(), (64, 48));
    }
    assert_eq!(lab.read("kitti/poses/00.txt").lines().count(), 2);
}

#[test]
fn the_seed_alone_decides() {
    let made = |seed: u64| {
        let lab = Lab::new();
        let outcome = lab.kestrel(&format!("{TINY} --seed {seed} --out w --json")).expect_code(0);
        assert_eq!(outcome.json(), serde_json::json!({ "out": "w", "frames": 2, "seed": seed }));
        lab.files().into_values().collect::<Vec<_>>()
    };
    let first = made(1);
    assert_eq!(made(1), first);
    assert_ne!(made(2), first);
}
