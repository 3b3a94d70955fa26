//! `kestrel pose`, and the pose network in flight.

use serde_json::{Value, json};

use crate::common::{FRAMES, Lab, SEQUENCE};

/// The headings of a trajectory of KITTI's rows, in radians from one frame to the next.
fn turns(rows: &str) -> Vec<f64> {
    let heading = |row: &str| {
        let values: Vec<f64> = row.split_whitespace().map(|value| value.parse().unwrap()).collect();
        values[2].atan2(values[10])
    };
    let headings: Vec<_> = rows.lines().map(heading).collect();
    headings.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// Pearson's correlation.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (of_a, of_b) = (mean(a), mean(b));
    let sum =
        |f: &dyn Fn(f64, f64) -> f64| -> f64 { a.iter().zip(b).map(|(a, b)| f(a - of_a, b - of_b)).sum() };
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

#[test]
fn the_network_of_the_program_gives_every_frame_a_pose() {
    let lab = Lab::with_world();
    let json = lab.kestrel(&format!("pose {SEQUENCE} --out poses.txt --json")).expect_code(0).json();
    assert_eq!((json["frames"].as_u64(), json["unread_frames"].as_u64()), (Some(FRAMES as u64), Some(0)));
    assert_eq!(lab.read("poses.txt").lines().count(), FRAMES);
}

#[test]
fn it_sees_the_turns_of_a_drive_that_it_never_learnt_from() {
    let Some(kitti) = geometry::test_data::shared_data("kitti/odometry") else { return };
    let lab = Lab::new();
    let sequence = kitti.join("sequences/00");
    lab.kestrel(&format!("pose {} --out poses.txt --format kitti", sequence.display())).expect_code(0);
    let truth = std::fs::read_to_string(kitti.join("poses/00.txt")).unwrap();
    let (seen, turned) = (turns(&lab.read("poses.txt")), turns(&truth));
    assert_eq!(seen.len(), turned.len());
    let correlation = correlation(&seen, &turned);
    assert!(correlation > 0.85, "{correlation}");
}

#[test]
fn its_trajectory_flies_beside_that_of_the_odometry() {
    let lab = Lab::with_world();
    let outcome = lab.kestrel(&format!("run {SEQUENCE} --pose --out out")).expect_code(0);
    for said in ["5-frame ATE, pose network", "CPU, pose network", "trajectory.network.tum"] {
        assert!(outcome.stdout.contains(said), "{said}: {}", outcome.stdout);
    }
    assert!(!outcome.stderr.contains("Dropping data"), "the recording is whole: {}", outcome.stderr);
    let metrics: Value = serde_json::from_str(&lab.read("out/metrics.json")).unwrap();
    assert_eq!(
        (&metrics["pose"]["network"], &metrics["pose"]["frames"], &metrics["network_accuracy"]["frames"]),
        (&json!("pose-416x128-int8"), &json!(FRAMES), &json!(FRAMES))
    );
    assert!(lab.read("out/report.html").contains("pose network"));
    // What flies is what `kestrel pose` writes.
    let places = |file: &str| -> Vec<f64> {
        let rows = lab.read(file);
        let rows = rows.lines().filter(|row| !row.starts_with('#'));
        rows.flat_map(|row| {
            row.split(' ').skip(1).map(|value| value.parse::<f64>().unwrap()).collect::<Vec<_>>()
        })
        .collect()
    };
    lab.kestrel(&format!("pose {SEQUENCE} --out alone.tum")).expect_code(0);
    let (flown, alone) = (places("out/trajectory.network.tum"), places("alone.tum"));
    assert_eq!(flown.len(), 7 * FRAMES);
    assert!(flown.iter().zip(&alone).all(|(flown, alone)| (flown - alone).abs() < 1e-9));
    let replayed = lab.kestrel("replay out").expect_code(0);
    assert!(!replayed.stderr.contains("Dropping data"), "{}", replayed.stderr);
    assert_eq!(lab.read("out/replay/trajectory.network.tum"), lab.read("out/trajectory.network.tum"));
    lab.edit("out/run.toml", |text| {
        let (before, pose) = text.split_once("[pose]").unwrap();
        format!("{before}[pose]{}", pose.replacen("fingerprint = \"", "fingerprint = \"0", 1))
    });
    lab.kestrel("replay out --out again").expect_code(1).says(&["pose-416x128-int8", "--no-pose"]);
    lab.kestrel("replay out --out again --no-pose").expect_code(0);
    assert!(!lab.path("again/trajectory.network.tum").exists());
}

#[test]
fn without_truth_it_is_laid_over_the_odometry() {
    let lab = Lab::with_world();
    lab.kestrel(&format!("run {SEQUENCE}/image_2 --fov 70 --pose --out out")).expect_code(0);
    let metrics: Value = serde_json::from_str(&lab.read("out/metrics.json")).unwrap();
    assert!(metrics.get("network_accuracy").is_none(), "{metrics}");
    assert!(metrics["network_against_odometry"]["scale"].as_f64().unwrap() > 0.0, "{metrics}");
    assert!(lab.read("out/report.html").contains("pose network"));
    lab.write("silent.onnx", "no network");
    lab.kestrel(&format!("run {SEQUENCE} --pose-model silent.onnx --out none"))
        .expect_code(1)
        .says(&["silent.onnx", "ONNX"]);
    assert!(!lab.path("none").exists());
}
