//! Numbers that evo and numpy give on a small pair of trajectories; see `data/README.md`.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside test functions")]

use std::path::{Path, PathBuf};

use kestrel_eval::metrics::{Delta, PairChoice, RelativeProtocol, Statistics, relative_errors};
use kestrel_eval::{Alignment, OdometryProtocol, OdometryReport, evaluate_paths};
use serde_json::Value;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn expected(key: &str) -> Value {
    let text = std::fs::read_to_string(data("expected.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[key].take()
}

fn report(ground_truth: &str, estimate: &str, protocol: &OdometryProtocol) -> OdometryReport {
    evaluate_paths(data(ground_truth), data(estimate), protocol).unwrap()
}

fn short_segments(alignment: Alignment) -> OdometryProtocol {
    OdometryProtocol { lengths_m: vec![50.0, 100.0, 200.0], ..OdometryProtocol::aligned_by(alignment) }
}

#[track_caller]
fn assert_close(what: &str, found: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap();
    assert!((found - expected).abs() <= 1e-7 * expected.abs(), "{what}: expected {expected}, found {found}");
}

#[track_caller]
fn assert_statistics(what: &str, found: &Statistics, expected: &Value) {
    for (name, value) in [
        ("rmse", found.rmse),
        ("mean", found.mean),
        ("median", found.median),
        ("max", found.max),
        ("std", found.std),
    ] {
        assert_close(&format!("{what} {name}"), value, &expected[name]);
    }
    assert_eq!(found.count as u64, expected["count"].as_u64().unwrap(), "{what} count");
}

#[track_caller]
fn check(alignment: Alignment) {
    let expected = expected(alignment.name());
    let report = report("kitti_gt.txt", "kitti_est.txt", &short_segments(alignment));
    assert_close("scale", report.scale, &expected["scale"]);
    assert_close("t_err", report.t_err_percent.unwrap(), &expected["t_err_percent"]);
    assert_close("r_err", report.r_err_deg_per_100m.unwrap(), &expected["r_err_deg_per_100m"]);
    assert_eq!(report.segments as u64, expected["segments"].as_u64().unwrap());
    for (found, expected) in report.per_length.iter().zip(expected["per_length"].as_array().unwrap()) {
        assert_close(&format!("t_err over {} m", found.length_m), found.t_err_percent.unwrap(), &expected[1]);
        assert_eq!(found.segments as u64, expected[2].as_u64().unwrap());
    }
    assert_statistics("APE", &report.ape_translation_m, &expected["ape_translation_m"]);
    assert_statistics("APE rotation", &report.ape_rotation_deg.unwrap(), &expected["ape_rotation_deg"]);
    assert_statistics("RPE", &report.rpe_translation_m.unwrap(), &expected["rpe_1_frame_m"]);
    assert_statistics("RPE rotation", &report.rpe_rotation_deg.unwrap(), &expected["rpe_1_frame_deg"]);
    let snippet = report.ate_5_frames.unwrap();
    assert_close("5-frame ATE", snippet.mean_m, &expected["ate_5_frames"]["mean_m"]);
    assert_close("5-frame std", snippet.std_m, &expected["ate_5_frames"]["std_m"]);
    assert_close("5-frame rmse", snippet.rmse_mean_m, &expected["ate_5_frames"]["rmse_mean_m"]);
    for (key, delta, pairs) in [
        ("rpe_7_frames_consecutive_m", Delta::Frames(7), PairChoice::Consecutive),
        ("rpe_20_m_all_pairs_m", Delta::Metres(20.0), PairChoice::All),
    ] {
        let errors = relative_errors(&report.aligned, RelativeProtocol { delta, pairs }).unwrap();
        assert_statistics(key, &Statistics::of(&errors.translation_m).unwrap(), &expected[key]);
    }
}

#[test]
fn without_alignment() {
    check(Alignment::None);
}

#[test]
fn scale_only() {
    check(Alignment::Scale);
}

#[test]
fn rotation_and_translation() {
    check(Alignment::Se3);
}

#[test]
fn similarity() {
    check(Alignment::Sim3);
}

#[test]
fn stamped_trajectories_with_jitter_and_a_gap() {
    let expected = expected("tum_sim3");
    let report = report("tum_gt.txt", "tum_est.txt", &OdometryProtocol::aligned_by(Alignment::Sim3));
    assert_eq!(report.frames as u64, expected["frames"].as_u64().unwrap());
    assert_close("scale", report.scale, &expected["scale"]);
    assert_close("ATE", report.ate_rmse_m, &expected["ate_rmse_m"]);
    assert_eq!(report.protocol.association, "by nearest stamp within 0.02 s");
}

#[test]
fn json_has_the_agreed_keys_and_null_says_why() {
    let protocol = OdometryProtocol { lengths_m: vec![5000.0], ..OdometryProtocol::default() };
    let json = serde_json::to_value(report("kitti_gt.txt", "kitti_est.txt", &protocol)).unwrap();
    assert!(json["t_err_percent"].is_null() && json["r_err_deg_per_100m"].is_null());
    assert!(
        json["t_err_missing_because"].as_str().unwrap().contains("shorter than the shortest segment, 5000 m")
    );
    assert!(json["ate_rmse_m"].is_f64());
    assert_eq!(json["frames"], 400);
    assert_eq!(json["alignment"], "none");
    assert!(json["protocol"]["alignment"].as_str().unwrap().starts_with("none: "));
}

#[test]
fn every_figure_names_unit_protocol_and_count() {
    let report = report("kitti_gt.txt", "kitti_est.txt", &short_segments(Alignment::Sim3));
    for figure in report.figures() {
        let complete = !figure.unit.is_empty()
            && !figure.protocol.is_empty()
            && figure.count > 0
            && figure.value.is_some();
        assert!(complete, "{figure:?}");
    }
    let text = report.to_string();
    assert!(text.contains("sim3: Umeyama rotation, translation and scale 2."), "{text}");
    assert!(text.contains("sqrt(sum)/N"), "the flaw of the five-frame error must be printed: {text}");
}
