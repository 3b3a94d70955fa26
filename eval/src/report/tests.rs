use std::path::Path;
use std::time::Duration;

use geometry::RgbImage;

use super::*;
use crate::tracking::{OnePassReport, Rectangle, SequenceReport};
use crate::{Alignment, OdometryProtocol, evaluate_paths, read_trajectory};

fn run(alignment: Alignment) -> OdometryReport {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let protocol = OdometryProtocol::aligned_by(alignment);
    evaluate_paths(data.join("kitti_gt.txt"), data.join("kitti_est.txt"), &protocol).unwrap()
}

fn full() -> Report {
    let samples: Vec<Duration> = (0..500).map(|i| Duration::from_micros(8_000 + (i * i) % 9_000)).collect();
    Report::new("A flight & <script>alert(1)</script>")
        .subtitle("over \"there\"")
        .odometry("kestrel", run(Alignment::Sim3))
        .latency(LatencyStats::from_samples("source -> vo", &samples).unwrap())
        .frame(SampleFrame::from_rgb("frame <0>", &RgbImage::filled(64, 48, [90, 120, 60])).unwrap())
        .note("intrinsics assumed: 60 degrees <horizontal>")
        .configuration("[vo]\nmax_tracks = 400 # <many>")
}

#[test]
fn the_page_stands_alone_and_is_escaped() {
    let html = full().to_html().unwrap();
    for forbidden in
        ["<script", "<link", "src=\"http", "href=", "url(", "@import", "<0>", "<many>", "<horizontal>"]
    {
        assert!(!html.contains(forbidden), "found {forbidden}");
    }
    for needed in [
        "&lt;script&gt;",
        "Trajectory from above",
        "Position error along the way",
        "Profile along the way",
        "sqrt(sum)/N",
    ] {
        assert!(html.contains(needed), "missing {needed}");
    }
}

#[test]
fn every_figure_is_shown_with_its_protocol() {
    let html = full().to_html().unwrap();
    for figure in run(Alignment::Sim3).figures() {
        assert!(html.contains(&escape(&figure.protocol)), "{figure}");
    }
}

#[test]
fn several_runs_become_a_comparison() {
    let report =
        Report::new("two").odometry("first", run(Alignment::Sim3)).odometry("second", run(Alignment::Scale));
    let html = report.to_html().unwrap();
    assert!(html.contains("<h2>Runs</h2>") && html.contains("<h3>second</h3>"));
    assert!(html.contains("#E25A1C"), "the second run has a colour of its own");
}

#[test]
fn without_ground_truth_the_trajectory_remains() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tum_est.txt");
    let html = Report::new("video")
        .trajectory("estimate", read_trajectory(data).unwrap().trajectory)
        .to_html()
        .unwrap();
    assert!(html.contains("Trajectory from above") && !html.contains("<h2>Figures</h2>"));
}

fn suite(tracker: &str, aside: f64) -> OnePassSuite {
    let (target, mut estimate) = (Rectangle::new(10.0, 10.0, 40.0, 20.0), vec![]);
    estimate.resize(9, Rectangle { x: 10.0 + aside, ..target });
    let sequence = |name: &str, attributes: &[&str]| SequenceReport {
        name: name.to_owned(),
        attributes: attributes.iter().map(|&name| name.to_owned()).collect(),
        report: OnePassReport::measure(&[target; 9], &estimate).unwrap(),
    };
    OnePassSuite::new(tracker, vec![sequence("car <1>", &["SV"]), sequence("bus", &[])]).unwrap()
}

#[test]
fn trackers_have_their_plots_sequences_and_attributes() {
    let page = Report::new("trackers").one_pass(suite("mine", 0.0)).one_pass(suite("other", 30.0));
    let html = page.to_html().unwrap();
    for part in [
        "Success: frames",
        "Precision: frames",
        "mine [0.9524]",
        "car &lt;1&gt;",
        "<td>SV</td>",
        "<h3>other</h3>",
    ] {
        assert!(html.contains(part), "`{part}` is not in the page");
    }
    let alone = Report::new("tracker").one_pass(suite("mine", 0.0)).to_html().unwrap();
    assert!(alone.contains("success AUC, 21 thresholds") && alone.contains("mean over sequences"));
}

#[test]
fn an_empty_page_is_still_a_page() {
    let html = Report::new("nothing").to_html().unwrap();
    assert!(html.contains("<h1>nothing</h1>") && !html.contains("<h2>"));
}

#[test]
fn the_same_report_has_the_same_bytes() {
    assert_eq!(full().to_html().unwrap(), full().to_html().unwrap());
}

#[test]
fn an_unwritable_place_is_named() {
    let error = Report::new("x").write("/nonexistent/report.html").unwrap_err().to_string();
    assert!(error.starts_with("cannot write report /nonexistent/report.html: "), "{error}");
}
