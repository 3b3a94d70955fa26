//! `kestrel pose`.

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
