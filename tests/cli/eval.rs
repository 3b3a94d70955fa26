//! `kestrel eval odometry` against values known by thought or by the reference tools.

use geometry::test_data::shared_data;
use serde_json::Value;

use crate::common::Lab;

/// Poses of a straight flight along z, one metre each: frames 0 to 200.
const LAST: u32 = 200;

/// A pose at `z` metres, `x` metres aside and turned by `yaw_rad` about the vertical.
#[derive(Clone, Copy, Default)]
struct Pose {
    x: f64,
    z: f64,
    yaw_rad: f64,
}

impl Pose {
    fn straight(frame: u32) -> Self {
        Self { z: f64::from(frame), ..Self::default() }
    }

    fn kitti(self) -> String {
        let (sin, cos) = self.yaw_rad.sin_cos();
        format!("{cos} 0 {sin} {} 0 1 0 0 {} 0 {cos} {}", self.x, -sin, self.z)
    }

    /// Translation, then the quaternion's parts in the order that the format wants.
    fn numbers(self, order: [usize; 4], separator: &str) -> String {
        let (sin, cos) = (0.5 * self.yaw_rad).sin_cos();
        let xyzw = [0.0, sin, 0.0, cos];
        let numbers = [self.x, 0.0, self.z].into_iter().chain(order.map(|i| xyzw[i]));
        numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(separator)
    }
}

fn file(row: impl Fn(u32) -> String) -> String {
    (0..=LAST).map(|frame| row(frame) + "\n").collect()
}

/// What `eval odometry` says of `estimate` against the straight flight.
fn measured(estimate: impl Fn(u32) -> Pose, options: &str) -> Value {
    let lab = Lab::new();
    lab.write("truth.txt", file(|frame| Pose::straight(frame).kitti()));
    lab.write("estimate.txt", file(|frame| estimate(frame).kitti()));
    let command = format!("eval odometry --gt truth.txt --est estimate.txt --json {options}");
    lab.kestrel(&command).expect_code(0).json()
}

#[track_caller]
fn assert_close(report: &Value, key: &str, expected: f64, tolerance: f64) {
    let found = report[key].as_f64().unwrap_or_else(|| panic!("no number `{key}` in {report}"));
    assert!((found - expected).abs() <= tolerance, "{key}: expected {expected}, found {found}");
}

#[test]
fn a_wrong_scale() {
    let stretched = |frame| Pose { z: 1.1 * f64::from(frame), ..Pose::default() };
    let report = measured(stretched, "--align none --lengths 100");
    // A segment ends at the first frame beyond its length: 101 m, 10.1 m too long, over 100 m.
    assert_close(&report, "t_err_percent", 10.1, 1e-9);
    assert_close(&report, "r_err_deg_per_100m", 0.0, 1e-9);
    // The root mean square of 0.1 i for i up to n is 0.1 sqrt(n (2n + 1) / 6).
    let n = f64::from(LAST);
    assert_close(&report, "ate_rmse_m", 0.1 * (n * (2.0 * n + 1.0) / 6.0).sqrt(), 1e-9);
    assert_close(&report, "frames", n + 1.0, 0.0);
    for alignment in ["scale", "sim3"] {
        let report = measured(stretched, &format!("--align {alignment} --lengths 100"));
        assert_close(&report, "scale", 1.0 / 1.1, 1e-12);
        assert_close(&report, "t_err_percent", 0.0, 1e-9);
        assert_close(&report, "ate_rmse_m", 0.0, 1e-9);
    }
}

#[test]
fn a_jump_aside_after_the_first_frame() {
    let aside = |frame| Pose { x: if frame == 0 { 0.0 } else { 5.0 }, ..Pose::straight(frame) };
    let report = measured(aside, "--align none --lengths 100 --step 1");
    // Of the 100 segments only the first sees the jump.
    assert_close(&report, "segments", 100.0, 0.0);
    assert_close(&report, "t_err_percent", 5.0 / 100.0, 1e-9);
    let n = f64::from(LAST);
    assert_close(&report, "ate_rmse_m", 5.0 * (n / (n + 1.0)).sqrt(), 1e-9);
    let all_aside = |frame| Pose { x: 5.0, ..Pose::straight(frame) };
    assert_close(&measured(all_aside, "--align none"), "ate_rmse_m", 0.0, 1e-9);
}

#[test]
fn a_drifting_heading() {
    let turning =
        |frame: u32| Pose { yaw_rad: f64::from(frame) * 0.01_f64.to_radians(), ..Pose::straight(frame) };
    let report = measured(turning, "--align none --lengths 100");
    // A hundredth of a degree each metre over 101 m.
    assert_close(&report, "r_err_deg_per_100m", 1.01, 1e-9);
    assert_close(&report, "ate_rmse_m", 0.0, 1e-9);
}

#[test]
fn formats_are_told_from_the_content() {
    const XYZW: [usize; 4] = [0, 1, 2, 3];
    const WXYZ: [usize; 4] = [3, 0, 1, 2];
    let pose = |frame: u32| Pose { yaw_rad: 0.001 * f64::from(frame), ..Pose::straight(frame) };
    let lab = Lab::new();
    lab.write("kitti", file(|i| pose(i).kitti()));
    lab.write("indexed", file(|i| format!("{i} {}", pose(i).kitti())));
    lab.write(
        "tum",
        "# stamp tx ty tz qx qy qz qw\n".to_owned()
            + &file(|i| format!("{i}.0 {}", pose(i).numbers(XYZW, " "))),
    );
    lab.write(
        "euroc",
        "#timestamp\n".to_owned() + &file(|i| format!("{i}000000000,{}", pose(i).numbers(WXYZ, ","))),
    );
    for estimate in ["kitti", "indexed", "tum", "euroc"] {
        let command = format!("eval odometry --gt kitti --est {estimate} --align none --lengths 100 --json");
        let report = lab.kestrel(&command).expect_code(0).json();
        assert_close(&report, "frames", f64::from(LAST) + 1.0, 0.0);
        assert_close(&report, "ate_rmse_m", 0.0, 1e-9);
        assert_close(&report, "r_err_deg_per_100m", 0.0, 1e-4);
    }
}

#[test]
fn several_estimates_are_compared() {
    let lab = Lab::new();
    lab.write("truth.txt", file(|frame| Pose::straight(frame).kitti()));
    lab.write("a.txt", file(|frame| Pose::straight(frame).kitti()));
    lab.write("b.txt", file(|frame| Pose { z: 2.0 * f64::from(frame), ..Pose::default() }.kitti()));
    let command = "eval odometry --gt truth.txt --est a.txt b.txt --align none";
    let reports = lab.kestrel(&format!("{command} --json")).expect_code(0).json();
    let drifts: Vec<_> =
        reports.as_array().unwrap().iter().map(|report| report["t_err_percent"].as_f64()).collect();
    assert_eq!(drifts[0], Some(0.0));
    // 202 m for 101 m, over 100 m.
    assert!((drifts[1].unwrap() - 101.0).abs() < 1e-9, "{drifts:?}");

    let text = lab.kestrel(&format!("{command} --report page.html")).expect_code(0).stdout;
    for part in ["a.txt", "b.txt", "101.0", "alignment    none"] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(lab.read("page.html").contains("b.txt"));
}

#[test]
fn the_reference_tools_agree() {
    let Some(data) = shared_data("trajectories/kitti") else { return };
    // kitti-odom-eval on example_1: t_err %, r_err deg/100 m, ATE m; sequences 09 and 10.
    for (align, sequence, [t_err, r_err, ate]) in [
        ("none", "09", [2.6068, 0.2877, 17.919]),
        ("none", "10", [2.2932, 0.3693, 9.035]),
        ("se3", "09", [2.6068, 0.2877, 10.880]),
        ("se3", "10", [2.2932, 0.3693, 3.721]),
        ("sim3", "09", [2.5275, 0.2877, 10.729]),
        ("sim3", "10", [2.2212, 0.3693, 3.356]),
    ] {
        let path = |folder: &str| data.join(folder).join(format!("{sequence}.txt")).display().to_string();
        let files = format!("--gt {} --est {}", path("gt"), path("example_1"));
        let report = Lab::new()
            .kestrel(&format!("eval odometry {files} --align {align} --json"))
            .expect_code(0)
            .json();
        assert_close(&report, "t_err_percent", t_err, 1e-4);
        assert_close(&report, "r_err_deg_per_100m", r_err, 1e-4);
        assert_close(&report, "ate_rmse_m", ate, 1e-3);
    }
}

/// A peer that drives straight for all frames of the straight flight, at half its scale.
fn write_peer(lab: &Lab, name: &str, posed: u32) {
    let frames = LAST + 1;
    let record = format!(
        r#"{{"name": "{name}", "version": "{name} 1.0", "frames": {frames}, "frames_posed": {posed},
            "has_rotation": true, "cpu_ms_per_frame": 31.5, "reading_cpu_ms_per_frame": 2.5}}"#
    );
    lab.write(&format!("{name}/peer.json"), record);
    let row = |i: u32| format!("{i} {}", Pose { z: 0.5 * f64::from(i), ..Pose::default() }.kitti());
    lab.write(&format!("{name}/trajectory.txt"), file(row));
}

#[test]
fn peers_in_one_table() {
    let lab = Lab::new();
    lab.write("truth.txt", file(|frame| Pose::straight(frame).kitti()));
    write_peer(&lab, "other", LAST + 1);
    lab.write("broken/peer.json", r#"{"name": "Broken", "failure": "ended with exit code 139"}"#);
    let command = "eval peers --gt truth.txt other broken";
    let json = lab.kestrel(&format!("{command} --json")).expect_code(0).json();
    assert_eq!(json["frames"], LAST + 1);
    assert_close(&json["rows"][0], "t_err_percent", 0.0, 1e-9);
    assert_close(&json["rows"][0], "cpu_ms", 31.5, 1e-9);
    assert_close(&json["rows"][0], "whole_cpu_ms", 34.0, 1e-9);
    assert_eq!(json["rows"][1]["remark"], "failed: ended with exit code 139");
    let text = lab.kestrel(&format!("{command} --report page.html")).expect_code(0).stdout;
    for part in [
        "201 frames, 200.0 m",
        "201/201",
        "31.50",
        "other 1.0",
        "exit code 139",
        "segments of 50, 100 .. 200 m",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(lab.read("page.html").contains("ended with exit code 139"));
}

#[test]
fn peers_that_do_not_fit_are_refused() {
    let lab = Lab::new();
    lab.write("truth.txt", file(|frame| Pose::straight(frame).kitti()));
    write_peer(&lab, "short", 7);
    lab.write("empty/notes.txt", "nothing");
    for (folder, parts) in [
        ("short", ["short/trajectory.txt: expected 7 rows, as peer.json says", "found 201"]),
        ("empty", ["empty: expected peer.json of a peer or run.toml of a Kestrel run", "found neither"]),
    ] {
        lab.kestrel(&format!("eval peers --gt truth.txt {folder}")).expect_code(1).says(&parts);
    }
}

#[test]
fn a_run_of_kestrel_is_measured_as_peers_are() {
    let lab = Lab::with_world();
    lab.kestrel("run world/sequences/00 --out out --headless --no-recording").expect_code(0);
    let own: Value = serde_json::from_str(&lab.read("out/metrics.json")).unwrap();
    let json = lab.kestrel("eval peers --gt world/poses/00.txt out --lengths 5 --json").expect_code(0).json();
    let row = &json["rows"][0];
    assert_close(row, "ate_rmse_m", own["ate_rmse_m"].as_f64().unwrap(), 1e-9);
    assert_eq!(row["whole_cpu_ms"], own["cpu_ms_per_frame"]);
    assert_eq!(row["frames_given"], own["frames"]);
}
