//! `kestrel detect`, and the detector of `kestrel run`.

use std::path::Path;

use image::{Rgb, RgbImage};
use serde_json::Value;

use crate::common::{FRAMES, Lab, SEQUENCE};

/// Three images with nothing in them, and a file that is none.
fn lab() -> Lab {
    let lab = Lab::new();
    for (name, width, height) in [("a.png", 320, 200), ("b.jpg", 90, 60), ("c.jpeg", 700, 500)] {
        let name = format!("photos/{name}");
        lab.write(&name, "");
        let grey = |x: u32, y: u32| Rgb([100 + (x % 16) as u8, 110, 100 + (y % 16) as u8]);
        RgbImage::from_fn(width, height, grey).save(lab.path(&name)).unwrap();
    }
    lab.write("photos/notes.txt", "not looked at");
    lab
}

/// All pictures below this score are objects to it.
const EAGER: &str = "--score 0.001";

fn rows(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_folder_becomes_drawn_pictures_and_results() {
    let lab = lab();
    let said = lab.kestrel(&format!("detect photos --out drawn {EAGER}")).expect_code(0).stdout;
    assert!(said.starts_with("3 images: ") && said.contains("ms CPU an image"), "{said}");
    // Small images are enlarged, so that what is written on them can be read.
    for (name, size) in [("a.png", (960, 600)), ("b.jpg", (990, 660)), ("c.jpeg", (1400, 1000))] {
        let drawn = image::open(lab.path(&format!("drawn/{name}"))).unwrap();
        assert_eq!((drawn.width(), drawn.height()), size, "{name}");
    }
    assert!(!lab.path("drawn/notes.txt").exists());
    let rows = rows(&lab.read("drawn/detections.json"));
    assert!(!rows.is_empty(), "nothing is so unlike a car that it scores less");
    for row in &rows {
        assert!(["a", "b", "c"].contains(&row["image_id"].as_str().unwrap()), "{row}");
        assert!(row["category"].is_string() && row["bbox"].as_array().unwrap().len() == 4, "{row}");
        assert!(row["category_id"].is_u64() && row["score"].as_f64().unwrap() >= 0.001, "{row}");
    }
}

#[test]
fn json_counts_what_the_file_holds_and_earlier_results_are_kept() {
    let lab = lab();
    let run = || lab.kestrel(&format!("detect photos --out drawn --json {EAGER}")).expect_code(0).json();
    let (first, second) = (run(), run());
    assert_eq!(first["objects"], second["objects"]);
    assert_eq!(lab.read("drawn/detections.json"), lab.read("drawn.1/detections.json"));
    let count: u64 = first["objects"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(count as usize, rows(&lab.read("drawn/detections.json")).len());
    assert_eq!((&first["images"], &first["detector"]), (&3.into(), &"vehicles-320-int8".into()));
    assert!(first["cpu_ms_per_image"].as_f64().unwrap() > 0.0);
}

#[test]
fn one_bad_image_costs_itself() {
    let lab = lab();
    lab.write("photos/b.jpg", &lab.files()[&lab.path("photos/b.jpg")][..200]);
    let outcome = lab.kestrel("detect photos --out drawn --json").expect_code(3);
    outcome.says(&["left out", "photos/b.jpg"]);
    let json = outcome.json();
    assert_eq!((&json["images"], &json["unread_images"]), (&2.into(), &1.into()));
    assert!(lab.path("drawn/c.jpeg").exists() && !lab.path("drawn/b.jpg").exists());
}

#[test]
fn one_image_will_do_and_a_window_chooses() {
    let lab = lab();
    lab.kestrel("detect photos/a.png --out one").expect_code(0);
    assert!(lab.path("one/a.png").exists() && rows(&lab.read("one/detections.json")).is_empty());
    lab.kestrel("detect photos --out two --skip 1 --max-frames 1 --whole").expect_code(0);
    assert!(lab.path("two/b.jpg").exists() && !lab.path("two/a.png").exists());
}

#[test]
fn what_can_not_be_done_is_told_and_nothing_is_touched() {
    let lab = lab();
    let before = lab.files();
    let refused = |command: &str, said: &[&str]| lab.kestrel(command).expect_code(1).says(said);
    refused("detect nowhere --out drawn", &["no such file"]);
    refused("detect photos --out photos", &["another folder for --out"]);
    refused("detect photos/a.png --out photos", &["another folder for --out"]);
    refused("detect photos --out drawn --detector photos/a.png", &["photos/a.png", "ONNX"]);
    refused("detect photos --out drawn --detector nowhere.onnx", &["nowhere.onnx"]);
    lab.kestrel("detect photos --out drawn --score 1.5").expect_code(2).says(&["below 1"]);
    assert_eq!(lab.files(), before);
    lab.write("other/a.png", "precious");
    lab.kestrel("detect photos --out other").expect_code(1).says(&["empty folder", "other"]);
    assert_eq!(lab.read("other/a.png"), "precious");
}

#[test]
fn frames_become_a_video_where_one_can_be_written() {
    let lab = Lab::with_world();
    let json = lab.kestrel(&format!("detect {SEQUENCE} --out drawn --json {EAGER}")).expect_code(0).json();
    assert_eq!(json["images"], FRAMES);
    let drawn = Path::new(json["drawn"].as_str().unwrap()).to_owned();
    match cfg!(feature = "video") {
        true => {
            assert_eq!(drawn, Path::new("drawn/00.mp4"));
            // It is a video like any other.
            lab.kestrel("detect drawn/00.mp4 --out again --max-frames 3").expect_code(0);
        }
        false => assert!(lab.path("drawn/000023.jpg").exists()),
    }
    let frames = rows(&lab.read("drawn/detections.json"));
    assert!(frames.iter().all(|row| row["image_id"].as_u64().unwrap() < FRAMES as u64));
}

#[test]
fn what_is_found_can_be_measured() {
    let lab = lab();
    for name in ["a", "b", "c"] {
        lab.write(&format!("photos/labels/{name}.txt"), "1 .5 .5 .2 .2\n");
    }
    std::fs::create_dir(lab.path("photos/images")).unwrap();
    for name in ["a.png", "b.jpg", "c.jpeg"] {
        std::fs::rename(lab.path(&format!("photos/{name}")), lab.path(&format!("photos/images/{name}")))
            .unwrap();
    }
    // Another order of classes than the detector's: rows go by the name.
    lab.write("photos/classes.txt", "tree\ncar\n");
    lab.kestrel("detect photos --out drawn --score 0.02").expect_code(0);
    let measured = |options: &str| {
        let command = format!("eval detection --data photos {options} --json");
        lab.kestrel(&command).expect_code(0).json()
    };
    let (of_file, of_model) = (measured("--detections drawn/detections.json"), measured(""));
    for path in ["/ap", "/ap50", "/images", "/per_class/car"] {
        assert_eq!(of_file.pointer(path).unwrap(), of_model.pointer(path).unwrap(), "{path}");
    }
    assert!(of_model["cpu_ms_per_image"].is_number() && of_file["cpu_ms_per_image"].is_null());
}

/// Rows of `detections.csv` behind the header, split.
fn table(lab: &Lab, run: &str) -> Vec<Vec<String>> {
    let text = lab.read(&format!("{run}/detections.csv"));
    text.lines().skip(1).map(|row| row.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn a_run_looks_for_objects_beside_its_odometry() {
    let lab = Lab::with_world();
    let command = format!("run {SEQUENCE} --detect-every 5 --detect-score 0.001 --out out --json");
    let json = lab.kestrel(&command).expect_code(0).json();
    let rows = table(&lab, "out");
    let in_state = |state: &str| rows.iter().filter(|row| row[9] == state).count();
    let found = &json["detections"];
    assert_eq!((&found["looks"], &found["frames"], &found["every"]), (&5.into(), &FRAMES.into(), &5.into()));
    assert!(in_state("found") > 0 && in_state("passed") == FRAMES - 5, "{rows:?}");
    assert_eq!(found["objects"], in_state("found"));
    assert!(found["cpu_ms_per_look"].as_f64().unwrap() > 0.0);
    let page = lab.read("out/report.html");
    assert!(page.contains("<h2>Objects</h2>") && page.contains("Objects in view"));
    // The odometry does not notice.
    let outcome = lab.kestrel(&format!("run {SEQUENCE} --out alone --no-detector")).expect_code(0);
    assert_eq!(lab.read("out/trajectory.tum"), lab.read("alone/trajectory.tum"));
    assert!(!lab.path("alone/detections.csv").exists() && !outcome.stdout.contains("detections.csv"));
    assert!(!lab.read("alone/report.html").contains("<h2>Objects</h2>"));
}

#[test]
fn a_replay_finds_the_same_to_the_byte() {
    let lab = Lab::with_world();
    let options = "--detect-every 3 --detect-score 0.01";
    let outcome = lab.kestrel(&format!("run {SEQUENCE} {options} --out out")).expect_code(0);
    assert!(outcome.stdout.contains("objects per look") && outcome.stdout.contains("out/detections.csv"));
    lab.kestrel("replay out").expect_code(0);
    assert_eq!(lab.read("out/detections.csv"), lab.read("out/replay/detections.csv"));
    assert!(lab.read("out/replay/report.html").contains("<h2>Objects</h2>"));
}

#[test]
fn another_detector_than_flew_is_refused() {
    let lab = Lab::with_world();
    lab.kestrel(&format!("run {SEQUENCE} --out out")).expect_code(0);
    lab.edit("out/run.toml", |text| text.replacen("fingerprint = \"", "fingerprint = \"0", 1));
    let before = lab.files();
    lab.kestrel("replay out").expect_code(1).says(&["vehicles-320-int8", "--no-detector"]);
    assert_eq!(lab.files(), before);
    lab.kestrel("replay out --no-detector").expect_code(0);
    assert!(!lab.path("out/replay/detections.csv").exists());
}

#[test]
fn a_detector_that_is_none_stops_a_flight_before_it_begins() {
    let lab = Lab::with_world();
    lab.write("text.onnx", "no network");
    for (detector, said) in [("nowhere.onnx", "nowhere.onnx"), ("text.onnx", "ONNX")] {
        let outcome = lab.kestrel(&format!("run {SEQUENCE} --detector {detector} --out out")).expect_code(1);
        outcome.says(&[said]);
        assert!(!lab.path("out").exists());
    }
    let both = format!("run {SEQUENCE} --no-detector --detect-every 5 --out out");
    lab.kestrel(&both).expect_code(2).says(&["--no-detector"]);
    lab.kestrel(&format!("run {SEQUENCE} --detect-every 0 --out out")).expect_code(2);
}
