//! `kestrel run` and `kestrel demo`.

use crate::common::{FRAMES, Lab, SEQUENCE};

#[test]
fn a_run_leaves_all_its_files() {
    let lab = Lab::with_world();
    let outcome = lab.kestrel(&format!("run {SEQUENCE} --out out --headless")).expect_code(0);
    for file in ["out/report.html", "out/trajectory.kitti.txt", "out/metrics.json"] {
        assert!(outcome.stdout.contains(file), "{file} is not in: {}", outcome.stdout);
    }

    let metrics: serde_json::Value = serde_json::from_str(&lab.read("out/metrics.json")).unwrap();
    assert_eq!(metrics["frames"], FRAMES);
    assert_eq!(metrics["resets"], 0);
    assert!(metrics["cpu_ms_per_frame"].as_f64().unwrap() > 0.0);
    assert!(metrics["ate_rmse_m"].as_f64().unwrap() < 1.0, "the sequence brings its truth: {metrics}");
    let tracked = metrics["tracked_frames"].as_u64().unwrap() as usize;
    assert!(tracked > 0, "the tiny world is made to be tracked");

    // Frames from before the first tracked one may get a pose after the fact.
    let estimated = columns(&lab.read("out/trajectory.tum"));
    assert!((tracked..=FRAMES).contains(&estimated.len()) && estimated.iter().all(|&count| count == 8));
    assert_eq!(columns(&lab.read("out/trajectory.kitti.txt")), [12; FRAMES], "one row per input frame");
    let page = lab.read("out/report.html");
    assert!(page.contains("KITTI odometry 00") && page.trim_end().ends_with("</html>"));
}

#[test]
fn json_is_what_metrics_json_holds_and_nothing_else() {
    let lab = Lab::with_world();
    let printed = lab.kestrel(&format!("run {SEQUENCE} --out out --json")).expect_code(0).json();
    assert!(printed.is_object());
    assert_eq!(printed, serde_json::from_str::<serde_json::Value>(&lab.read("out/metrics.json")).unwrap());
}

#[test]
fn earlier_runs_are_kept() {
    let lab = Lab::with_world();
    let run = |frames: usize| {
        lab.kestrel(&format!("run {SEQUENCE} --out out --max-frames {frames}")).expect_code(0);
    };
    (22..=24).for_each(run);
    let rows = ["out.1", "out.2", "out"].map(|folder| lab.read(&format!("{folder}/trajectory.kitti.txt")));
    assert_eq!(rows.map(|rows| rows.lines().count()), [22, 23, 24]);
}

#[test]
fn one_thread_or_many_give_the_same_trajectory() {
    let lab = Lab::with_world();
    lab.kestrel(&format!("run {SEQUENCE} --out threads")).expect_code(0);
    lab.kestrel(&format!("run {SEQUENCE} --out inline --inline")).expect_code(0);
    assert_eq!(lab.read("threads/trajectory.tum"), lab.read("inline/trajectory.tum"));
    assert_eq!(lab.read("threads/trajectory.kitti.txt"), lab.read("inline/trajectory.kitti.txt"));
}

#[test]
fn a_window_selects_frames() {
    let lab = Lab::with_world();
    let window = "--skip 4 --stride 2 --max-frames 3";
    lab.kestrel(&format!("run {SEQUENCE} --out out {window}")).expect_code(3);
    let admitted = lab.read("out/admitted.csv");
    // 20 frames a second: frames 4, 6 and 8.
    let stamps: Vec<_> = admitted.lines().skip(1).map(|row| row.split(',').nth(1).unwrap()).collect();
    assert_eq!(stamps, ["200000000", "300000000", "400000000"]);
    assert_eq!(lab.read("out/trajectory.kitti.txt").lines().count(), 3);
}

#[test]
fn what_is_assumed_about_a_folder_of_images_is_said() {
    let lab = Lab::with_world();
    let images = format!("{SEQUENCE}/image_0");
    let outcome = lab.kestrel(&format!("run {images} --out out --max-frames 2")).expect_code(3);
    outcome.says(&["assumed 10 frames per second", "assumed a horizontal field of view of 70 degrees"]);
    assert!(lab.read("out/report.html").contains("assumed a horizontal field of view of 70 degrees"));

    let outcome = lab.kestrel(&format!("run {images} --out told --max-frames 2 --fov 60")).expect_code(3);
    assert!(!outcome.stderr.contains("field of view"), "{}", outcome.stderr);
}

#[test]
fn truth_of_another_flight_costs_the_accuracy_only() {
    let lab = Lab::with_world();
    lab.write("other.txt", "1000.0 0 0 0 0 0 0 1\n1000.1 0 0 1 0 0 0 1\n");
    let outcome = lab.kestrel(&format!("run {SEQUENCE} --gt other.txt --out out")).expect_code(3);
    outcome.says(&["expected poses of the same moments, found no match"]);
    assert!(lab.read("out/report.html").contains("found no match"));
    assert!(!lab.read("out/metrics.json").contains("ate_rmse_m"));
}

#[test]
fn the_demo_needs_nothing() {
    let lab = Lab::new();
    lab.kestrel("demo --frames 2 --headless").expect_code(3).says(&["no frame was tracked"]);
    assert_eq!(lab.read("runs/demo/trajectory.kitti.txt").lines().count(), 2);
    assert!(lab.read("runs/demo/report.html").contains("synthetic world"));
}

/// How many numbers each row holds; comments are no rows.
fn columns(text: &str) -> Vec<usize> {
    let numbers = |row: &str| row.split(' ').filter(|number| number.parse::<f64>().is_ok()).count();
    text.lines().filter(|line| !line.starts_with('#')).map(numbers).collect()
}
