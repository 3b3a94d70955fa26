//! `kestrel run --follow`.

use std::fs;

use geometry::BoundingBox;

use crate::common::{FRAMES, Lab, SEQUENCE};

/// The rows of `target.csv` behind the header, split.
fn rows(lab: &Lab, run: &str) -> Vec<Vec<String>> {
    let text = lab.read(&format!("{run}/target.csv"));
    text.lines().skip(1).map(|row| row.split(',').map(str::to_owned).collect()).collect()
}

fn bounding_box(row: &[String]) -> BoundingBox {
    let side = |index: usize| row[index].parse().unwrap();
    BoundingBox::new(side(2), side(3), side(4), side(5))
}

#[test]
fn a_run_follows_beside_its_odometry() {
    let lab = Lab::with_world();
    let json = lab
        .kestrel(&format!("run {SEQUENCE} --follow 100,80,40,30.5 --out out --json"))
        .expect_code(0)
        .json();
    let rows = rows(&lab, "out");
    assert_eq!(rows.len(), FRAMES);
    assert_eq!(rows[0], ["0", "0", "100.00", "80.00", "40.00", "30.50", "1.0000", "confident"]);
    assert_eq!(json["target"]["frames"], FRAMES);
    let held = rows.iter().filter(|row| row[7] != "lost").count() as f64 / FRAMES as f64;
    assert!((json["target"]["held_percent"].as_f64().unwrap() - 100.0 * held).abs() < 1e-9);
    assert!(json["target"]["cpu_ms_per_frame"].as_f64().unwrap() > 0.0 && json["tracked_frames"] != 0);
    let page = lab.read("out/report.html");
    assert!(page.contains("<h2>Target</h2>") && page.contains("tracker&#39;s confidence"));
    // The odometry does not notice.
    lab.kestrel(&format!("run {SEQUENCE} --out alone")).expect_code(0);
    assert_eq!(lab.read("out/trajectory.tum"), lab.read("alone/trajectory.tum"));
    assert!(
        !lab.path("alone/target.csv").exists() && !lab.read("alone/report.html").contains("<h2>Target</h2>")
    );
}

#[test]
fn a_point_and_a_later_start_are_replayed_to_the_byte() {
    let lab = Lab::with_world();
    for (start, waiting) in [("7", 7), ("0.3s", 6)] {
        let command = format!("run {SEQUENCE} --follow 120,90 --follow-at {start} --out out{waiting}");
        let outcome = lab.kestrel(&command).expect_code(0);
        assert!(outcome.stdout.contains("target held") && outcome.stdout.contains("CPU, tracker"));
        let rows = rows(&lab, &format!("out{waiting}"));
        // 20 frames a second.
        assert_eq!(rows.iter().filter(|row| row[7] == "waiting").count(), waiting);
        let first = bounding_box(&rows[waiting]);
        assert!(
            first.x < 120.0 && first.right() > 120.0 && first.y < 90.0 && first.bottom() > 90.0,
            "{first:?}"
        );
        lab.kestrel(&format!("replay out{waiting}")).expect_code(0);
        let [flown, again] = ["", "/replay"].map(|part| lab.read(&format!("out{waiting}{part}/target.csv")));
        assert_eq!(flown, again);
        assert!(lab.read(&format!("out{waiting}/replay/report.html")).contains("<h2>Target</h2>"));
    }
}

#[test]
fn what_makes_no_target_is_told_and_nothing_is_touched() {
    let lab = Lab::with_world();
    for target in ["-90,0,50,50", "500,10,20,20", "10,10,0,20", "NaN,1,5,5", "240,10", "-1,5", "10,inf"] {
        let outcome = lab.kestrel(&format!("run {SEQUENCE} --follow {target} --out out")).expect_code(1);
        outcome.says(&["inside the 240x180 image"]);
        assert!(!lab.path("out").exists());
    }
    lab.kestrel(&format!("run {SEQUENCE} --follow 1,2,3 --out out")).expect_code(2).says(&["x,y,w,h", "x,y"]);
    lab.kestrel(&format!("run {SEQUENCE} --follow 9,9 --follow-at 4.5 --out out"))
        .expect_code(2)
        .says(&["4.5s"]);
    lab.kestrel(&format!("run {SEQUENCE} --follow-at 4 --out out")).expect_code(2).says(&["--follow"]);
}

#[test]
fn a_start_behind_the_end_is_told() {
    let lab = Lab::with_world();
    let outcome =
        lab.kestrel(&format!("run {SEQUENCE} --follow 99,80 --follow-at 900 --out out")).expect_code(3);
    outcome.says(&["nothing was followed"]);
    assert!(rows(&lab, "out").iter().all(|row| row[7] == "waiting"));
}

#[test]
fn a_benchmarks_own_boxes_measure_the_target() {
    let Some(folder) = geometry::test_data::shared_data("track/OTB100/Crossing") else { return };
    let truth = fs::read_to_string(folder.join("groundtruth_rect.txt")).unwrap();
    let first = truth.lines().next().unwrap().split(['\t', ',', ' ']).collect::<Vec<_>>().join(",");
    let lab = Lab::new();
    let command = format!("run {} --follow {first} --out out --max-frames 40 --json", folder.display());
    // The camera stands still, so that there is nothing to tell of its way, which a target does not need.
    let json = lab.kestrel(&command).expect_code(0).json();
    assert!(json["target_accuracy"]["auc"].as_f64().unwrap() > 0.6, "{json}");
    assert!(lab.read("out/report.html").contains("Overlap with the true box"));
}
