//! `kestrel replay`.

use std::fs;

use crate::common::{Lab, SEQUENCE};

const RESULTS: [&str; 2] = ["trajectory.tum", "trajectory.kitti.txt"];
const SAME: &str = "the trajectory is that of the recorded flight, to the last byte";

#[test]
fn every_replay_is_the_flight_to_the_last_byte() {
    let lab = flown("");
    for _ in 0..2 {
        lab.kestrel("replay flight").expect_code(0).says(&[SAME]);
    }
    for file in RESULTS {
        let flight = lab.read(&format!("flight/{file}"));
        assert!(!flight.is_empty(), "an empty {file} would prove nothing");
        for replay in ["replay", "replay.1"] {
            assert_eq!(lab.read(&format!("flight/{replay}/{file}")), flight, "{replay}/{file}");
        }
    }
}

#[test]
fn a_flight_can_be_replayed_from_anywhere() {
    let (lab, elsewhere) = (flown(""), Lab::new());
    let flight = lab.path("flight");
    let metrics = elsewhere.kestrel(&format!("replay {} --out out --json", flight.display())).expect_code(0);
    assert!(metrics.json().is_object());
    assert_eq!(elsewhere.read("out/trajectory.tum"), lab.read("flight/trajectory.tum"));
}

#[test]
fn stored_frames_need_no_source() {
    let lab = flown("--store-frames");
    fs::remove_dir_all(lab.path("world")).unwrap();
    lab.kestrel("replay flight").expect_code(0).says(&[SAME]);
}

#[test]
fn a_source_that_is_gone_is_named() {
    let lab = flown("");
    fs::remove_dir_all(lab.path("world")).unwrap();
    let before = lab.files();
    lab.kestrel("replay flight").expect_code(1).says(&["no such file", SEQUENCE]);
    assert_eq!(lab.files(), before);
}

#[test]
fn a_flight_is_not_replayed_over_itself() {
    let lab = flown("--store-frames");
    let before = lab.files();
    lab.kestrel("replay flight --out flight").expect_code(1).says(&["another folder for --out", "flight"]);
    lab.kestrel("run flight/frames --out flight").expect_code(1).says(&["another folder for --out"]);
    assert_eq!(lab.files(), before);
}

#[test]
fn a_folder_that_is_no_run_is_refused() {
    let lab = Lab::with_world();
    lab.kestrel("replay world").expect_code(1).says(&["world/run.toml"]);
}

/// A lab with a flight in `flight/`.
fn flown(options: &str) -> Lab {
    let lab = Lab::with_world();
    lab.kestrel(&format!("run {SEQUENCE} --out flight {options}")).expect_code(0);
    lab
}
