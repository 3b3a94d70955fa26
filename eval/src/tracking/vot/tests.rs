use std::io::Write;
use std::path::Path;

use super::*;
use crate::tracking::Polygon;

/// Eleven pixels wide and high, `dx` pixels aside.
fn target(dx: f32) -> Polygon {
    Polygon::rectangle(20.0 + dx, 20.0, 10.0, 10.0).unwrap()
}

fn dataset(frames: usize) -> VotDataset {
    let sequence = VotSequence {
        name: "car".to_owned(),
        image_size: (100, 100),
        truth: vec![target(0.0); frames],
        attributes: [("occlusion".to_owned(), (0..frames).map(|frame| frame >= 20).collect())].into(),
    };
    VotDataset { path: "vot.json".into(), sequences: vec![sequence] }
}

/// The rows of a tracker that is `dx` pixels aside, fails in some frames and is shown the target five frames later.
fn rows(frames: usize, dx: f32, failures: &[usize]) -> String {
    let row = |frame: usize| match failures
        .iter()
        .rfind(|failure| **failure <= frame)
        .map(|failure| frame - failure)
    {
        _ if frame == 0 => "1".to_owned(),
        Some(0) => "2".to_owned(),
        Some(1..5) => "0".to_owned(),
        Some(5) => "1".to_owned(),
        _ => format!("{},20,10,10", 20.0 + dx),
    };
    (0..frames).map(|frame| row(frame) + "\n").collect()
}

fn results(runs: &[String]) -> VotResults {
    let folder = tempfile::tempdir().unwrap();
    for (index, run) in runs.iter().enumerate() {
        write(folder.path(), &format!("baseline/car/car_{:03}.txt", index + 1), run);
    }
    VotResults::read(folder.path()).unwrap()
}

fn write(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn measure(frames: usize, runs: &[String]) -> VotReport {
    VotReport::measure(&dataset(frames), &results(runs), &VotProtocol::default()).unwrap()
}

#[track_caller]
fn assert_close(found: Option<f64>, expected: f64) {
    assert!(
        found.is_some_and(|found| (found - expected).abs() < 1e-12),
        "expected {expected}, found {found:?}"
    );
}

/// One pixel aside: 10 columns of 12.
const ASIDE: f64 = 10.0 / 12.0;

#[test]
fn a_target_held_throughout() {
    let report = measure(150, &[rows(150, 1.0, &[])]);
    assert_eq!((report.failures, report.robustness, report.frames, report.repetitions), (0.0, 0.0, 150, 1));
    assert_close(report.accuracy, ASIDE);
    assert_close(report.eao, ASIDE);
    let lengths: Vec<usize> = report.expected_overlap.iter().map(|(frames, _)| *frames).collect();
    assert_eq!((lengths.first(), lengths.last(), lengths.len()), (Some(&2), Some(&150), 149));
}

#[test]
fn a_failure_costs_everything_behind_it() {
    let report = measure(150, &[rows(150, 1.0, &[40])]);
    assert_eq!((report.failures, report.robustness), (1.0, 100.0 / 150.0));
    assert_close(report.accuracy, ASIDE);
    // The first fragment holds the target in frames 1 to 39 and is 0 for ever after; the second begins with frame 45 and
    // ends with the sequence, 104 frames behind its first.
    let over = |behind: usize| {
        let (first, second) = (39.0 * ASIDE / behind as f64, ASIDE);
        if behind <= 104 { (first + second) / 2.0 } else { first }
    };
    assert_close(report.expected_overlap.iter().find(|(frames, _)| *frames == 41).map(|of| of.1), over(40));
    let expected = (99..150).map(over).sum::<f64>() / 51.0;
    assert_close(report.eao, expected);
}

#[test]
fn burn_in_is_left_out_of_accuracy_only() {
    // Perfect for ten frames from each start, it included, and one pixel aside from then on.
    let row = |frame: usize| match frame {
        0 | 50 => "1\n".to_owned(),
        45 => "2\n".to_owned(),
        46..50 => "0\n".to_owned(),
        1..10 | 51..60 => "20,20,10,10\n".to_owned(),
        _ => "21,20,10,10\n".to_owned(),
    };
    let report = measure(120, &[(0..120).map(row).collect()]);
    assert_close(report.accuracy, ASIDE);
    assert!(report.eao.unwrap() < ASIDE && report.failures == 1.0);
    let with_burn_in = VotProtocol { burn_in: 0, ..VotProtocol::default() };
    let results = results(&[(0..120).map(row).collect()]);
    let report = VotReport::measure(&dataset(120), &results, &with_burn_in).unwrap();
    // 18 perfect frames of 44 + 69.
    assert_close(report.accuracy, (18.0 + 95.0 * ASIDE) / 113.0);
}

#[test]
fn a_failure_near_the_end_is_not_followed_by_a_start() {
    // The next start would lie at frame 102 of 100: what is left ends with the sequence.
    let report = measure(100, &[rows(100, 0.0, &[97])]);
    assert_eq!(report.failures, 1.0);
    assert_close(report.eao, 96.0 / 99.0);
}

#[test]
fn repetitions_are_averaged() {
    let report = measure(120, &[rows(120, 0.0, &[]), rows(120, 1.0, &[40])]);
    assert_eq!((report.failures, report.repetitions), (0.5, 2));
    // Where both held the target, the mean of both; elsewhere the one that did. Burn-in: frames 0 to 9, and of the second
    // run 45 to 54; it was lost in 40 to 44.
    assert_close(report.accuracy, (95.0 * (1.0 + ASIDE) / 2.0 + 15.0) / 110.0);
}

#[test]
fn attributes_take_the_frames_that_have_them() {
    let report = measure(120, &[rows(120, 1.0, &[15, 60])]);
    let attribute = &report.attributes[0];
    assert_eq!((attribute.attribute.as_str(), attribute.frames, attribute.failures), ("occlusion", 100, 1.0));
    assert_close(attribute.accuracy, ASIDE);
}

#[test]
fn short_sequences_have_no_expected_average() {
    assert_eq!(measure(50, &[rows(50, 0.0, &[])]).eao, None);
    assert_eq!(measure(5, &[rows(5, 0.0, &[])]).accuracy, None);
}

#[test]
fn an_archive_is_read_like_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.zip");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    for (name, content) in [
        ("VOT/mine/baseline/car/car_001.txt", rows(60, 1.0, &[]).as_str()),
        ("VOT/mine/baseline/car/car_time.txt", "no run"),
        ("VOT/mine/realtime/car/car_001.txt", "not measured"),
    ] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(content.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
    assert_eq!(VotResults::read(&path).unwrap().of("car"), results(&[rows(60, 1.0, &[])]).of("car"));
}

#[test]
fn results_that_do_not_fit_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let read = || VotResults::read(folder.path()).map_err(|error| error.to_string());
    let check = |found: Result<VotResults, String>, end: &str| {
        let found = found.and_then(|results| {
            VotReport::measure(&dataset(60), &results, &VotProtocol::default())
                .map_err(|error| error.to_string())
        });
        let error = found.unwrap_err();
        assert!(error.ends_with(end), "{error}");
    };
    check(
        read(),
        "expected result files of VOT's supervised experiment, SEQUENCE/SEQUENCE_001.txt, found none",
    );
    write(folder.path(), "car/car_001.txt", "1\n3\n");
    check(read(), "car_001.txt, line 2: expected 0, 1, 2, x y width height or a polygon, found `3`");
    write(folder.path(), "car/car_001.txt", "1\n1,1,x,1\n");
    check(read(), "line 2: expected 0, 1, 2, x y width height or a polygon, found `x`");
    write(folder.path(), "car/car_001.txt", &rows(59, 0.0, &[]));
    check(read(), "expected 60 frames of sequence `car`, found 59");
    write(folder.path(), "other/car/car_001.txt", &rows(60, 0.0, &[]));
    let error = read().unwrap_err();
    assert!(
        error.contains("expected the results of one tracker, found car/car_001.txt and other/car/"),
        "{error}"
    );
    std::fs::remove_dir_all(folder.path().join("other")).unwrap();
    std::fs::rename(folder.path().join("car"), folder.path().join("bus")).unwrap();
    write(folder.path(), "bus/bus_001.txt", "1\n");
    check(read(), "expected 1 run(s) over sequence `car`, found 0");
    let archive = folder.path().join("broken.zip");
    std::fs::write(&archive, b"PK no").unwrap();
    assert!(VotResults::read(&archive).unwrap_err().to_string().starts_with("cannot read "));
}

#[test]
fn datasets_that_are_none_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vot.json");
    for (content, part) in [
        ("[]", "expected an object of sequences"),
        ("{}", "expected at least one sequence, found none"),
        (r#"{"a": {"width": 5, "height": 5, "gt_rect": []}}"#, "found no frames in `a`"),
        (
            r#"{"a": {"width": 5, "height": 5, "gt_rect": [[1, 2, 3]]}}"#,
            "found 3 numbers or one that is not finite in frame 0 of `a`",
        ),
    ] {
        std::fs::write(&path, content).unwrap();
        let error = VotDataset::read(&path).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let entry = r#"{"a": {"width": 5, "height": 4, "gt_rect": [[1, 2, 3, 4], [0, 0, 1, 0, 1, 1, 0, 1]], "occlusion": [0, 1], "x": "y"}}"#;
    std::fs::write(&path, entry).unwrap();
    let sequence = &VotDataset::read(&path).unwrap().sequences[0];
    assert_eq!((sequence.image_size, sequence.truth.len()), ((5, 4), 2));
    assert_eq!(sequence.attributes["occlusion"], [false, true]);
}
