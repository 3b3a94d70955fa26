//! `kestrel run --scale`: metres, and where they come from.

use serde_json::Value;

use crate::common::{Lab, SEQUENCE};

#[test]
fn heights_above_ground_make_metres_and_replays_repeat_them() {
    let lab = Lab::with_world();
    let agl = format!("{SEQUENCE}/agl.txt");
    let metrics =
        lab.kestrel(&format!("run {SEQUENCE} --out out --scale agl:{agl} --json")).expect_code(0).json();
    assert_eq!(metrics["scale_source"], "agl");
    assert!(number(&metrics, "scale_sigma") < 0.05, "{metrics}");
    // Eight metres at 240 x 180 pixels: metres instead of map units, thirty times as small, are all that can be asked for.
    assert!(number(&metrics, "metric_error_percent") < 10.0, "{metrics}");
    let (flown_m, true_m) = (path_length(&lab, "out"), number(&metrics["accuracy"], "path_length_m"));
    assert!((flown_m / true_m - 1.0).abs() < 0.2, "{flown_m} m in the file, {true_m} m flown");
    assert!(lab.read("out/report.html").contains("m/map unit"));

    // The run has what it needs, whatever becomes of the file.
    lab.write(&agl, "gone");
    let again = lab.kestrel("replay out").expect_code(0);
    again.says(&["the trajectory is that of the recorded flight, to the last byte"]);
    assert_eq!(lab.read("out/replay/trajectory.tum"), lab.read("out/trajectory.tum"));
    assert_eq!(lab.read("out/replay/odometry.jsonl"), lab.read("out/odometry.jsonl"));
    lab.kestrel("replay out/replay").expect_code(0).says(&["to the last byte"]);
}

#[test]
fn a_fixed_scale_multiplies_every_length() {
    let lab = Lab::with_world();
    lab.kestrel(&format!("run {SEQUENCE} --out unit")).expect_code(0);
    let fixed =
        lab.kestrel(&format!("run {SEQUENCE} --out fixed --scale fixed:30 --json")).expect_code(0).json();
    assert!((number(&fixed, "scale") - 30.0).abs() < 1e-9);
    let ratio = path_length(&lab, "fixed") / path_length(&lab, "unit");
    assert!((ratio - 30.0).abs() < 1e-6, "{ratio}");
    lab.kestrel("replay fixed").expect_code(0).says(&["to the last byte"]);
    assert!(lab.read("fixed/run.toml").contains("metres_per_unit = 30"));
}

#[test]
fn depth_makes_metres_and_replays_repeat_them() {
    let lab = Lab::with_world();
    let run = format!("run {SEQUENCE} --out out --no-detector");
    lab.kestrel(&format!("{run} --scale depth")).expect_code(1).says(&["--scale depth:V", "does not know"]);
    lab.kestrel(&format!("{run} --scale depth:40 --no-depth")).expect_code(1).says(&["leave --no-depth out"]);
    let metrics = lab.kestrel(&format!("{run} --scale depth:40 --json")).expect_code(0).json();
    assert_eq!(metrics["scale_source"], "depth");
    // A network that never saw a camera as small as this: more than the order of magnitude would be luck.
    let (flown_m, true_m) = (path_length(&lab, "out"), number(&metrics["accuracy"], "path_length_m"));
    assert!((0.3..3.0).contains(&(flown_m / true_m)), "{flown_m} m in the file, {true_m} m flown");
    assert!(number(&metrics, "scale_sigma") >= 0.15, "what all depths err by together: {metrics}");
    lab.kestrel("replay out").expect_code(0).says(&["to the last byte"]);
    assert_eq!(lab.read("out/replay/odometry.jsonl"), lab.read("out/odometry.jsonl"));
    lab.kestrel("replay out --no-depth").expect_code(1).says(&["leave --no-depth out"]);
}

#[test]
fn without_a_source_nothing_claims_metres() {
    let lab = Lab::with_world();
    let metrics = lab.kestrel(&format!("run {SEQUENCE} --out out --json")).expect_code(0).json();
    assert_eq!(metrics["scale_source"], "none");
    assert!(
        metrics["scale"].is_null()
            && metrics["scale_sigma"].is_null()
            && metrics["metric_ate_rmse_m"].is_null()
    );
}

#[test]
fn samples_of_another_day_are_told_from_a_scale() {
    let lab = Lab::with_world();
    lab.write("agl.txt", "# stamp_s height_m\n1305031110.0 30\n1305031111.0 30\n");
    let outcome = lab.kestrel(&format!("run {SEQUENCE} --out out --scale agl:agl.txt")).expect_code(0);
    assert!(outcome.stdout.contains("in map units, not metres"), "{}", outcome.stdout);
    assert!(lab.read("out/metrics.json").contains("\"scale\": null"));
}

fn number(metrics: &Value, key: &str) -> f64 {
    metrics[key].as_f64().unwrap_or_else(|| panic!("no number {key} in {metrics}"))
}

/// Length of the path in `trajectory.tum`.
fn path_length(lab: &Lab, run: &str) -> f64 {
    let text = lab.read(&format!("{run}/trajectory.tum"));
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    let place =
        |row: &str| -> Vec<f64> { row.split(' ').skip(1).take(3).map(|v| v.parse().unwrap()).collect() };
    let places: Vec<_> = rows.map(place).collect();
    let step =
        |pair: &[Vec<f64>]| pair[0].iter().zip(&pair[1]).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    places.windows(2).map(step).sum()
}
