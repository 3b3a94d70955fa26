//! The reference tools' numbers on detections: pycocotools on made-up cases, VEDAI's development kit on its own. The
//! latter needs the shared data; the tests beside the code do not.

#![expect(clippy::unwrap_used, reason = "helpers of tests stand outside test functions")]

use std::collections::BTreeMap;
use std::path::Path;

use geometry::test_data::shared_data;
use kestrel_eval::detection::{
    DetectionImage, DetectionReport, FoundBox, Rectangle, TruthBox, TruthRole, VedaiReport,
    read_vedai_annotations, read_vedai_detections,
};
use serde_json::Value;

/// A case that `data/detection/make_cases.py` wrote, with the numbers of pycocotools.
struct Case {
    images: Vec<DetectionImage>,
    classes: Vec<String>,
    stored: Value,
}

impl Case {
    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/detection/{name}.json"));
        let stored: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let count = |key: &str| stored[key].as_u64().unwrap() as usize;
        let mut images = vec![DetectionImage::default(); count("images")];
        for row in rows(&stored["truth"]) {
            let role = if row[7] > 0.0 { TruthRole::Crowd } else { TruthRole::Object };
            let truth = TruthBox { area_px: row[6], role, ..TruthBox::new(row[1] as usize, rectangle(&row)) };
            images[row[0] as usize].truth.push(truth);
        }
        for row in rows(&stored["found"]) {
            let found = FoundBox { class: row[1] as usize, rectangle: rectangle(&row), score: row[6] };
            images[row[0] as usize].found.push(found);
        }
        let classes = (0..count("classes")).map(|class| format!("c{class}")).collect();
        Self { images, classes, stored }
    }
}

fn rows(rows: &Value) -> Vec<Vec<f64>> {
    let row = |row: &Value| row.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    rows.as_array().unwrap().iter().map(row).collect()
}

fn rectangle(row: &[f64]) -> Rectangle {
    Rectangle::new(row[2], row[3], row[4], row[5])
}

#[track_caller]
fn assert_same(what: &str, found: Option<f64>, expected: Option<f64>) {
    let is_same = match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() < 1e-12,
        (found, expected) => found == expected,
    };
    assert!(is_same, "{what}: expected {expected:?}, found {found:?}");
}

#[test]
fn all_twelve_numbers_of_pycocotools() {
    for name in ["decimals", "whole_pixels_and_ties", "crowds", "crowded", "small"] {
        let case = Case::read(name);
        let report = DetectionReport::measure(&case.classes, &case.images).unwrap();
        let found = [
            report.ap,
            report.ap50,
            report.ap75,
            report.ap_small,
            report.ap_medium,
            report.ap_large,
            report.ar_1,
            report.ar_10,
            report.ar_100,
            report.ar_small,
            report.ar_medium,
            report.ar_large,
        ];
        for (index, (found, expected)) in
            found.into_iter().zip(case.stored["stats"].as_array().unwrap()).enumerate()
        {
            // It writes -1 where there is nothing of the kind.
            let expected = expected.as_f64().filter(|value| *value >= 0.0);
            assert_same(&format!("{name}, number {index}"), found, expected);
        }
        for (class, expected) in report.per_class.iter().zip(case.stored["per_class"].as_array().unwrap()) {
            for (index, found) in [class.ap, class.ap50, class.ap75].into_iter().enumerate() {
                let what = format!("{name}, {}, number {index}", class.class);
                assert_same(&what, found, expected[index].as_f64());
            }
        }
    }
}

#[test]
fn the_development_kit_of_vedai() {
    let Some(vedai) = shared_data("vedai") else { return };
    let objects = read_vedai_annotations(vedai.join("annotation1024.csv")).unwrap();
    let detections = |fold: u32| {
        let path = vedai.join(format!("devkit_detections/car_{fold:02}.txt"));
        (fold, read_vedai_detections(path).unwrap())
    };
    let folds: BTreeMap<u32, _> = (1..=10).map(detections).collect();
    let report = VedaiReport::measure(&objects, &folds, 1).unwrap();
    let close = |found: f64, expected: f64, within: f64| {
        assert!((found - expected).abs() < within, "expected {expected}, found {found}");
    };
    close(report.mean_ap, 0.555_376_290_4, 1e-9);
    let recalls = [0.081_900_652_3, 0.245_022_756_6, 0.707_685_976_1, 0.914_128_348_8];
    report
        .mean_recall_at_fppi
        .iter()
        .zip(recalls)
        .for_each(|(found, expected)| close(*found, expected, 1e-9));
    for (fold, counts, ap, recalls) in [
        (1, [1733, 134, 127], 0.552_849_682_0, [0.038_880_60, 0.172_388_06, 0.749_660_79, 0.947_761_19]),
        (5, [1920, 135, 123], 0.540_190_733_0, [0.112_666_67, 0.230_000_00, 0.682_716_05, 0.887_111_11]),
        (10, [1807, 135, 124], 0.553_826_041_8, [0.120_074_07, 0.318_888_89, 0.645_679_01, 0.918_518_52]),
    ] {
        let found = report.folds.iter().find(|of| of.fold == fold).unwrap();
        assert_eq!([found.detections, found.objects, found.true_positives], counts, "fold {fold}");
        close(found.ap, ap, 1e-9);
        found.recall_at_fppi.iter().zip(recalls).for_each(|(found, expected)| close(*found, expected, 1e-8));
    }
}
