//! The reference tools' numbers on real results of trackers. Needs the shared data; the tests beside the code do not.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside test functions")]

use geometry::test_data::shared_data;
use kestrel_eval::tracking::{
    OnePassReport, VotDataset, VotProtocol, VotReport, VotResults, read_rectangles,
};

/// AUC and precision of a stored result, and those that the OTB toolkit's own curves give.
fn check_one_pass(tracker: &str, expected: [(&str, f64, f64); 4]) {
    let Some(track) = shared_data("track") else { return };
    for (sequence, auc, precision_20px) in expected {
        let truth =
            read_rectangles(track.join("OTB100").join(sequence).join("groundtruth_rect.txt")).unwrap();
        let file = format!("{}_{tracker}.txt", sequence.to_lowercase());
        let estimate = read_rectangles(track.join("results/otb100").join(file)).unwrap();
        let report = OnePassReport::measure(&truth, &estimate).unwrap();
        for (what, found, expected) in
            [("AUC", report.auc, auc), ("precision", report.precision_20px, precision_20px)]
        {
            let off = (found - expected).abs();
            assert!(off < 1e-9, "{tracker} {sequence} {what}: expected {expected}, found {found}");
        }
    }
}

#[test]
fn otb_struck() {
    check_one_pass(
        "Struck",
        [
            ("Crossing", 0.309_920_634_9, 0.391_666_666_7),
            ("Couple", 0.528_911_564_6, 0.821_428_571_4),
            ("Football1", 0.705_920_205_9, 1.0),
            ("Skiing", 0.045_267_489_7, 0.061_728_395_1),
        ],
    );
}

#[test]
fn otb_kcf() {
    check_one_pass(
        "KCF_GaussHog",
        [
            ("Crossing", 0.698_412_698_4, 1.0),
            ("Couple", 0.198_299_319_7, 0.257_142_857_1),
            ("Football1", 0.698_198_198_2, 0.959_459_459_5),
            ("Skiing", 0.051_146_384_5, 0.074_074_074_1),
        ],
    );
}

#[test]
fn otb_srdcf() {
    check_one_pass(
        "SRDCF",
        [
            ("Crossing", 0.763_492_063_5, 1.0),
            ("Couple", 0.695_238_095_2, 1.0),
            ("Football1", 0.424_710_424_7, 0.783_783_783_8),
            ("Skiing", 0.051_146_384_5, 0.074_074_074_1),
        ],
    );
}

#[test]
fn vot2018_da_siam_rpn() {
    let Some(results) = shared_data("track/results") else { return };
    let dataset = VotDataset::read(results.join("VOT2018.json")).unwrap();
    let answers = VotResults::read(results.join("VOT2018_DaSiamRPN.zip")).unwrap();
    let report = VotReport::measure(&dataset, &answers, &VotProtocol::default()).unwrap();
    assert_eq!((report.sequences.len(), report.frames, report.failures), (60, 21_356, 59.0));
    for (what, found, expected) in [
        ("EAO", report.eao.unwrap(), 0.382_650_922_4),
        ("accuracy", report.accuracy.unwrap(), 0.585_846_725_4),
        ("robustness", report.robustness, 0.276_268_964_2),
    ] {
        // VOT's tools keep overlaps in single precision.
        assert!((found - expected).abs() < 1e-8, "{what}: expected {expected}, found {found}");
    }
}
