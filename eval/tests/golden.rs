//! The reference tools' numbers on real trajectories. Needs the shared data; `small.rs` does not.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside test functions")]

use std::path::Path;

use geometry::test_data::shared_data;
use kestrel_eval::{Alignment, OdometryProtocol, OdometryReport, evaluate_paths};

fn report(ground_truth: &Path, estimate: &Path, alignment: Alignment) -> OdometryReport {
    evaluate_paths(ground_truth, estimate, &OdometryProtocol::aligned_by(alignment)).unwrap()
}

#[track_caller]
fn assert_digits(what: &str, found: f64, expected: f64, decimals: i32) {
    let tolerance = 0.500_001 * 10f64.powi(-decimals);
    assert!((found - expected).abs() <= tolerance, "{what}: expected {expected}, found {found}");
}

/// `t_err`, `r_err` and ATE for sequences 09 and 10, as kitti-odom-eval prints them.
#[track_caller]
fn check_kitti(folder: &str, alignment: Alignment, expected: [[f64; 3]; 2]) {
    let Some(root) = shared_data("trajectories/kitti") else { return };
    for (sequence, [t_err, r_err, ate]) in ["09.txt", "10.txt"].into_iter().zip(expected) {
        let report = report(&root.join("gt").join(sequence), &root.join(folder).join(sequence), alignment);
        let what = |figure: &str| format!("{folder} {alignment} {sequence} {figure}");
        assert_digits(&what("t_err"), report.t_err_percent.unwrap(), t_err, 4);
        assert_digits(&what("r_err"), report.r_err_deg_per_100m.unwrap(), r_err, 4);
        assert_digits(&what("ATE"), report.ate_rmse_m, ate, 3);
    }
}

#[test]
fn example_1_without_alignment() {
    check_kitti("example_1", Alignment::None, [[2.6068, 0.2877, 17.919], [2.2932, 0.3693, 9.035]]);
}

#[test]
fn example_1_six_degrees_of_freedom() {
    check_kitti("example_1", Alignment::Se3, [[2.6068, 0.2877, 10.880], [2.2932, 0.3693, 3.721]]);
}

#[test]
fn example_1_seven_degrees_of_freedom() {
    check_kitti("example_1", Alignment::Sim3, [[2.5275, 0.2877, 10.729], [2.2212, 0.3693, 3.356]]);
}

#[test]
fn example_0_scale() {
    check_kitti("example_0", Alignment::Scale, [[2.8664, 0.2491, 10.639], [3.9021, 0.3046, 12.935]]);
}

#[test]
fn example_0_seven_degrees_of_freedom() {
    check_kitti("example_0", Alignment::Sim3, [[2.8841, 0.2491, 8.387], [3.2978, 0.3046, 6.630]]);
}

#[test]
fn the_devkit_and_evo_to_all_their_digits() {
    let Some(root) = shared_data("trajectories/kitti") else { return };
    let run = |folder: &str, sequence: &str, alignment| {
        report(&root.join("gt").join(sequence), &root.join(folder).join(sequence), alignment)
    };
    for (sequence, devkit_t_err, evo_1, evo_0) in
        [("09.txt", 2.606_842, 10.729_500, 8.386_617), ("10.txt", 2.293_174, 3.356_235, 6.630_157)]
    {
        let raw = run("example_1", sequence, Alignment::None).t_err_percent.unwrap();
        // The devkit sums its errors in single precision, and that is where its seventh digit comes from.
        assert!((raw - devkit_t_err).abs() < 2e-6, "C++ devkit t_err: expected {devkit_t_err}, found {raw}");
        assert_digits(
            "evo_ape kitti -as, example_1",
            run("example_1", sequence, Alignment::Sim3).ate_rmse_m,
            evo_1,
            6,
        );
        assert_digits(
            "evo_ape kitti -as, example_0",
            run("example_0", sequence, Alignment::Sim3).ate_rmse_m,
            evo_0,
            6,
        );
    }
}

#[test]
fn frames_that_the_estimate_lacks_are_counted_and_told() {
    let Some(root) = shared_data("trajectories/kitti") else { return };
    let report = report(&root.join("gt/10.txt"), &root.join("example_0/10.txt"), Alignment::Scale);
    assert_eq!((report.frames, report.ground_truth_frames), (1197, 1201));
    assert_eq!(report.notes, ["4 of 1201 ground-truth frames have no estimate and are left out"]);
}

#[test]
fn evo_on_stamped_trajectories_and_a_whole_sequence() {
    let Some(root) = shared_data("trajectories/evo") else { return };
    for (ground_truth, estimate, frames, ate) in [
        ("fr2_desk_groundtruth.txt", "fr2_desk_ORB.txt", 2225, 0.006_187),
        ("freiburg1_xyz-groundtruth.txt", "freiburg1_xyz-ORB_kf_mono.txt", 32, 0.009_755),
        ("KITTI_00_gt.txt", "KITTI_00_ORB.txt", 4541, 0.937_709),
    ] {
        let report = report(&root.join(ground_truth), &root.join(estimate), Alignment::Sim3);
        assert_eq!(report.frames, frames, "{estimate}");
        assert_digits(estimate, report.ate_rmse_m, ate, 6);
    }
}
