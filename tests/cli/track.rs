//! `kestrel track`.

use std::fs;

use geometry::BoundingBox;

use crate::common::{FRAMES, Lab, SEQUENCE};

fn rows(text: &str) -> Vec<[f32; 5]> {
    let row =
        |line: &str| line.split(',').map(|v| v.parse().unwrap()).collect::<Vec<f32>>().try_into().unwrap();
    text.lines().map(row).collect()
}

#[test]
fn each_frame_has_a_row_and_the_first_is_the_box_given() {
    let lab = Lab::with_world();
    let command = format!("track {SEQUENCE} --box 100,80,40,30.5 --out boxes.txt --json");
    let answer = lab.kestrel(&command).expect_code(0).json();
    assert_eq!(answer["frames"], FRAMES);
    let ms = answer["cpu_ms_per_frame"].as_f64().unwrap();
    assert!(ms > 0.0 && answer["process_cpu_ms_per_frame"].as_f64().unwrap() >= 0.5 * ms);
    let rows = rows(&lab.read("boxes.txt"));
    assert_eq!((rows.len(), rows[0]), (FRAMES, [100.0, 80.0, 40.0, 30.5, 1.0]));
    assert!(rows.iter().all(|row| row.iter().all(|v| v.is_finite()) && (0.0..=1.0).contains(&row[4])));
    // Again over its own boxes, and the same.
    let before = lab.read("boxes.txt");
    lab.kestrel(&command).expect_code(0);
    assert_eq!(lab.read("boxes.txt"), before);
}

#[test]
fn what_makes_no_target_is_told_and_nothing_is_written() {
    let lab = Lab::with_world();
    for target in ["-90,0,50,50", "500,10,20,20", "10,10,0,20", "NaN,1,5,5", "10,10,inf,5"] {
        let outcome = lab.kestrel(&format!("track {SEQUENCE} --box {target} --out boxes.txt")).expect_code(1);
        outcome.says(&["expected a box", "240x180"]);
        assert!(!lab.path("boxes.txt").exists());
    }
    lab.kestrel(&format!("track {SEQUENCE} --box 1,2,3 --out boxes.txt")).expect_code(2).says(&["x,y,w,h"]);
    lab.write("notes.txt", "not boxes");
    let outcome = lab.kestrel(&format!("track {SEQUENCE} --box 9,9,30,30 --out notes.txt")).expect_code(1);
    outcome.says(&["earlier boxes", "notes.txt"]);
    assert_eq!(lab.read("notes.txt"), "not boxes");
    lab.kestrel("track nowhere --box 9,9,30,30 --out boxes.txt").expect_code(1).says(&["nowhere"]);
}

#[test]
fn a_frame_that_cannot_be_read_keeps_its_row() {
    let lab = Lab::with_world();
    lab.write(&format!("{SEQUENCE}/image_0/000003.png"), "no picture");
    let outcome = lab.kestrel(&format!("track {SEQUENCE} --box 100,80,40,30 --out boxes.txt")).expect_code(3);
    outcome.says(&["000003.png"]);
    let rows = rows(&lab.read("boxes.txt"));
    assert_eq!((rows.len(), rows[3][4]), (FRAMES, 0.0));
}

#[test]
fn a_real_car_is_held() {
    let Some(folder) = geometry::test_data::shared_data("track/UAV123_10fps/car16_1") else { return };
    let truth = fs::read_to_string(folder.join("car16_1.txt")).unwrap();
    let truth: Vec<_> = truth
        .lines()
        .map(|line| line.split(',').map(|v| v.parse().unwrap()).collect::<Vec<f32>>())
        .map(|v| BoundingBox::new(v[0], v[1], v[2], v[3]))
        .collect();
    let lab = Lab::new();
    let images = folder.join("img");
    let command = format!("track {} --box 556,253,22,16 --out boxes.txt --max-frames 40", images.display());
    lab.kestrel(&command).expect_code(0);
    let rows = rows(&lab.read("boxes.txt"));
    let overlaps = rows.iter().zip(&truth).map(|(r, b)| BoundingBox::new(r[0], r[1], r[2], r[3]).iou(b));
    let mean = overlaps.sum::<f32>() / rows.len() as f32;
    assert!(rows.len() == 40 && mean > 0.6, "mean overlap {mean}");
}
