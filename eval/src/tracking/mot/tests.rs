use super::*;

/// Tracks from rows `frame identity x`: boxes of 10 x 10 pixels.
fn tracks(rows: &[(u64, u64, f64)]) -> MotTracks {
    let mut tracks = MotTracks { path: "tracks.txt".into(), frames: Default::default() };
    for &(frame, identity, x) in rows {
        let rectangle = crate::tracking::Rectangle::new(x, 0.0, 10.0, 10.0);
        tracks.frames.entry(frame).or_default().push((identity, rectangle));
    }
    tracks
}

fn measure(truth: &[(u64, u64, f64)], estimate: &[(u64, u64, f64)]) -> MultiObjectReport {
    MultiObjectReport::measure(&tracks(truth), &tracks(estimate)).unwrap()
}

#[track_caller]
fn assert_close(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{what}: expected {expected}, found {found}");
}

const TWO_TARGETS: [(u64, u64, f64); 8] = [
    (1, 1, 0.0),
    (2, 1, 0.0),
    (3, 1, 0.0),
    (4, 1, 0.0),
    (1, 2, 50.0),
    (2, 2, 50.0),
    (3, 2, 50.0),
    (4, 2, 50.0),
];

#[test]
fn the_truth_itself_is_perfect() {
    let report = measure(&TWO_TARGETS, &TWO_TARGETS);
    for (what, value) in
        [("MOTA", report.mota), ("MOTP", report.motp), ("IDF1", report.idf1), ("HOTA", report.hota)]
    {
        assert_close(what, value, 1.0);
    }
    assert_eq!((report.mostly_tracked, report.mostly_lost, report.fragmentations), (2, 0, 0));
}

#[test]
fn exchanged_identities() {
    // From the third frame on the two answer to each other's names.
    let exchanged = TWO_TARGETS.map(|(frame, id, x)| (frame, if frame > 2 { 3 - id } else { id }, x));
    let report = measure(&TWO_TARGETS, &exchanged);
    assert_eq!((report.id_switches, report.misses, report.false_positives), (2, 0, 0));
    assert_close("MOTA", report.mota, 1.0 - 2.0 / 8.0);
    // Whatever name is paired with whatever target, it explains two boxes of four.
    assert_close("IDF1", report.idf1, 0.5);
    // Each pair of identities has 2 boxes in common of 4 + 4 - 2.
    assert_close("AssA", report.association_accuracy, 2.0 / 6.0);
    assert_close("DetA", report.detection_accuracy, 1.0);
    assert_close("HOTA", report.hota, (1.0_f64 / 3.0).sqrt());
}

#[test]
fn a_target_missed_found_again_under_another_name_and_one_too_many() {
    let truth = [(1, 1, 0.0), (2, 1, 0.0), (3, 1, 0.0), (4, 1, 0.0)];
    let estimate = [(1, 7, 0.0), (2, 9, 200.0), (3, 8, 0.0), (4, 8, 0.0)];
    let report = measure(&truth, &estimate);
    assert_eq!((report.misses, report.false_positives, report.id_switches), (1, 1, 1));
    // Frame 2 has boxes on both sides and no pair: the target was lost in between.
    assert_eq!(report.fragmentations, 1);
    assert_close("MOTA", report.mota, 1.0 - 3.0 / 4.0);
    // Name 8 explains two boxes of four.
    assert_close("IDF1", report.idf1, 2.0 * 2.0 / 8.0);
    assert_close("DetA", report.detection_accuracy, 3.0 / 5.0);
    // Name 7: 1 box of 4 + 1 - 1, name 8: 2 of 4 + 2 - 2, for three true positives.
    assert_close("AssA", report.association_accuracy, (0.25 + 2.0 * 0.5) / 3.0);
}

#[test]
fn half_an_overlap_is_the_same_and_less_is_not() {
    // Of 10 columns 5 are common of 15: a third. Width 20 against 10 would be a half.
    let third = measure(&[(1, 1, 0.0)], &[(1, 1, 5.0)]);
    assert_eq!((third.misses, third.idf1), (1, 0.0));
    // HOTA counts it at the thresholds .05 to .3, six of nineteen.
    assert_close("HOTA", third.hota, 6.0 / 19.0);
    let mut wide = tracks(&[(1, 1, 0.0)]);
    wide.frames.get_mut(&1).unwrap()[0].1.width = 20.0;
    let half = MultiObjectReport::measure(&tracks(&[(1, 1, 0.0)]), &wide).unwrap();
    assert_eq!((half.misses, half.motp, half.idf1), (0, 0.5, 1.0));
}

#[test]
fn what_went_together_before_goes_on_together() {
    // In frame 2 the other estimate is nearer, but the first one is still the same as the target.
    let truth = [(1, 1, 0.0), (2, 1, 0.0)];
    let report = measure(&truth, &[(1, 5, 0.0), (2, 5, 2.0), (2, 6, 0.0)]);
    assert_eq!((report.id_switches, report.false_positives), (0, 1));
    assert_close("MOTP", report.motp, (1.0 + 8.0 / 12.0) / 2.0);
}

#[test]
fn nothing_found_and_nothing_to_find() {
    let report = measure(&TWO_TARGETS, &[]);
    assert_eq!((report.mota, report.idf1, report.hota, report.mostly_lost), (0.0, 0.0, 0.0, 2));
    let error = MultiObjectReport::measure(&tracks(&[]), &tracks(&TWO_TARGETS)).unwrap_err().to_string();
    assert_eq!(error, "tracks.txt: expected at least one box to be found, found none");
}

/// Made-up tracks with misses, false alarms, exchanged and changed identities and rows that do not count; the numbers are
/// those of trackeval 1.3.0 (all) and motmetrics 1.4.0 (all but HOTA's and MOTP).
#[test]
fn the_reference_tools_numbers() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mot");
    let truth = MotTracks::read_truth(data.join("truth.txt")).unwrap();
    let estimate = MotTracks::read_estimate(data.join("estimate.txt")).unwrap();
    let report = MultiObjectReport::measure(&truth, &estimate).unwrap();
    for (what, found, expected) in [
        ("HOTA", report.hota, 0.456_680_153_726_294_7),
        ("DetA", report.detection_accuracy, 0.618_423_253_835_822),
        ("AssA", report.association_accuracy, 0.337_767_035_323_684_24),
        ("LocA", report.localisation_accuracy, 0.842_972_929_812_197_6),
        ("MOTA", report.mota, 0.712_418_300_653_594_8),
        ("MOTP", report.motp, 0.819_318_147_254_000_5),
        ("IDF1", report.idf1, 0.556_701_030_927_835_1),
        ("IDP", report.id_precision, 0.586_956_521_739_130_5),
        ("IDR", report.id_recall, 0.529_411_764_705_882_4),
    ] {
        assert_close(what, found, expected);
    }
    let counts = [report.misses, report.false_positives, report.id_switches, report.fragmentations];
    assert_eq!(counts, [28, 13, 3, 18]);
    assert_eq!((report.mostly_tracked, report.mostly_lost), (3, 0));
    assert_eq!((report.truth_identities, report.truth_boxes, report.estimated_boxes), (6, 153, 138));
}

#[test]
fn bad_rows_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tracks.txt");
    for (content, end) in [
        (
            "1,1,0,0,10\n",
            "line 1: expected frame, identity, x, y, width, height and perhaps more numbers, found 5 numbers",
        ),
        (
            "1,1,0,0,10,10\n1,-1,0,0,10,10\n",
            "line 2: expected frame, identity, x, y, width, height and perhaps more numbers, found identity -1",
        ),
        ("1,1,0,0,nan,10\n", "found a box of NaN x 10 at 0, 0"),
        (
            "1,1,0,0,10,10\n1,1,5,0,10,10\n",
            "line 2: expected each identity at most once in a frame, found identity 1 once more in frame 1",
        ),
    ] {
        std::fs::write(&path, content).unwrap();
        let error = MotTracks::read_estimate(&path).unwrap_err().to_string();
        assert!(error.ends_with(end), "{error}");
    }
    std::fs::write(&path, "1,1,0,0,10,10,0\n1,2,0,0,10,10,1\n").unwrap();
    let rows = |tracks: MotTracks| tracks.frames[&1].len();
    assert_eq!(rows(MotTracks::read_truth(&path).unwrap()), 1);
    assert_eq!(rows(MotTracks::read_estimate(&path).unwrap()), 2);
}
