//! `kestrel doctor` on small videos that are good, bad and no videos.

use std::fs;

use geometry::test_data::shared_data;
use serde_json::{Value, json};

use crate::common::{FRAMES, Lab, SEQUENCE};

fn number(report: &Value, key: &str) -> f64 {
    report[key].as_f64().unwrap_or_else(|| panic!("no number {key} in {report}"))
}

#[test]
fn a_short_flight_is_measured_and_found_short() {
    let lab = Lab::with_world();
    let outcome = lab.kestrel(&format!("doctor {SEQUENCE} --json")).expect_code(4);
    let report = outcome.json();
    assert_eq!((&report["verdict"], &report["frames"]), (&json!("unusable"), &json!(FRAMES)));
    assert!(
        number(&report, "moving_share") > 0.8 && number(&report, "frame_rate_hz").round() == 20.0,
        "{report}"
    );
    assert!(report["reasons"][0].as_str().unwrap().contains("of 24 frames can be learnt from"), "{report}");
    assert!(!report["usable_snippets"].as_array().unwrap().is_empty(), "{report}");
    let table = lab.kestrel(&format!("doctor {SEQUENCE}")).expect_code(4).stdout;
    for part in ["KITTI odometry 00: unusable", "camera", "step", "learn at 416x"] {
        assert!(table.contains(part), "`{part}` is not in {table}");
    }
}

#[test]
fn what_is_no_flight_is_told() {
    let lab = Lab::with_world();
    let image = lab.path(&format!("{SEQUENCE}/image_0/000000.png"));
    lab.write("still/0.png", []);
    for index in 0..40 {
        fs::copy(&image, lab.path(&format!("still/{index}.png"))).unwrap();
    }
    let still = lab.kestrel("doctor still --json").expect_code(4).json();
    assert_eq!((number(&still, "static_share"), &still["usable_snippets"]), (1.0, &json!([])));
    assert!(number(&still, "repeated_share") > 0.9, "{still}");
    assert!(still["assumptions"][0].as_str().unwrap().contains("10 frames per second"), "{still}");
    let two = lab.kestrel("doctor still --max-frames 2 --json").expect_code(4).json();
    assert!(two["reasons"][0].as_str().unwrap().starts_with("2 frames"), "{two}");
}

#[test]
fn broken_and_odd_frames_cost_themselves() {
    let lab = Lab::with_world();
    lab.write(&format!("{SEQUENCE}/image_0/000005.png"), "no picture");
    let small = lab.path(&format!("{SEQUENCE}/image_0/000011.png"));
    image::GrayImage::new(64, 48).save(&small).unwrap();
    let outcome = lab.kestrel(&format!("doctor {SEQUENCE} --json")).expect_code(4);
    outcome.says(&["frame 5: ", "000005.png", "frame 11: ", "expected an image of 240x180"]);
    let report = outcome.json();
    assert_eq!(report["unreadable_frames"], 2);
    for snippet in report["usable_snippets"].as_array().unwrap() {
        let [first, last] = ["first", "last"].map(|key| snippet[key].as_u64().unwrap());
        assert!(![5, 11].into_iter().any(|lost| (first..=last).contains(&lost)), "{report}");
    }
    lab.kestrel("doctor nowhere").expect_code(1).says(&["no such file, folder or device"]);
    lab.kestrel(&format!("doctor {SEQUENCE} --skip 24"))
        .expect_code(1)
        .says(&["expected at least one frame"]);
}

#[test]
fn real_driving_and_real_flights_will_do() {
    let Some(data) = shared_data("kitti/odometry/sequences/02") else { return };
    let kitti = format!("doctor {} --json", data.display());
    let kitti = Lab::new().kestrel(&kitti).expect_code(0).json();
    assert_eq!((number(&kitti, "frame_step"), number(&kitti, "static_share")), (1.0, 0.0));
    assert!(number(&kitti, "usable_share") > 0.9 && number(&kitti, "planar_share") < 0.3, "{kitti}");
}
