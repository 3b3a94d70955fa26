//! `kestrel data check`.

use std::fs;

use geometry::test_data::shared_data;
use image::{Rgb, RgbImage};

use crate::common::Lab;

/// An image of 96x64 whose pattern depends on `seed`, with its labels.
fn add(lab: &Lab, folder: &str, name: &str, seed: u32, labels: &str) {
    let pattern = |x: u32, y: u32| Rgb([(x * x * seed + y * y * (seed + 5) + x * y * 3 * seed) as u8; 3]);
    let path = format!("{folder}/images/{name}.png");
    lab.write(&path, "");
    RgbImage::from_fn(96, 64, pattern).save(lab.path(&path)).unwrap();
    lab.write(&format!("{folder}/labels/{name}.txt"), labels);
    lab.write(&format!("{folder}/classes.txt"), "car\n");
}

#[test]
fn a_clean_set_is_clean() {
    let lab = Lab::new();
    add(&lab, "set", "a1", 3, "0 .5 .5 .2 .2\n");
    add(&lab, "set", "b1", 7, "");
    let outcome = lab.kestrel("data check set --strict --json").expect_code(0);
    let report = outcome.json();
    assert_eq!((&report["clean"], &report["boxes"]["car"]), (&true.into(), &1.into()));
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(0));
    assert!(lab.kestrel("data check set").expect_code(0).stdout.ends_with("0 errors, 0 warnings\n"));
}

#[test]
fn everything_that_is_wrong_is_listed() {
    let lab = Lab::new();
    add(
        &lab,
        "set",
        "a1",
        3,
        "0 .5 .5 .2 .2\n0 .5 .5 .2 .2\n3 .5 .5 .2 .2\n0 1.5 .5 .1 .1\n0 .3 .3 .01 .1\n",
    );
    add(&lab, "set", "b1", 7, "0 nan .5 .2 .2\n");
    add(&lab, "set", "c1", 11, "");
    lab.write("set/images/c1.png", "no image");
    add(&lab, "set", "d1", 13, "");
    fs::remove_file(lab.path("set/images/d1.png")).unwrap();
    add(&lab, "set", "e1", 17, "");
    fs::remove_file(lab.path("set/labels/e1.txt")).unwrap();
    let report = lab.kestrel("data check set --json").expect_code(1).json();
    for (kind, count) in [("unreadable", 5), ("box outside", 1), ("duplicate box", 1), ("tiny box", 1)] {
        assert_eq!(report["counts"][kind], count, "{kind}: {report:#}");
    }
    let text = lab.kestrel("data check set").expect_code(1).stdout;
    assert!(text.contains("error unreadable: ") && text.contains("found 3 at line 3"), "{text}");
    assert!(text.contains("6 errors, 2 warnings"), "{text}");
}

#[test]
fn warnings_alone_pass_unless_strict() {
    let lab = Lab::new();
    add(&lab, "set", "a1", 3, "0 .0 .5 .2 .2\n");
    assert!(lab.kestrel("data check set").expect_code(0).stdout.contains("warning cut box: "));
    lab.kestrel("data check set --strict").expect_code(1);
}

#[test]
fn parts_of_a_split_are_compared() {
    let lab = Lab::new();
    add(&lab, "train", "a1", 3, "");
    add(&lab, "val", "x9", 3, "");
    let outcome = lab.kestrel("data check train --against val").expect_code(1).stdout;
    assert!(outcome.contains("error leak: ") && outcome.contains("x9.png"), "{outcome}");
    lab.kestrel("data check nowhere").expect_code(1).says(&["nowhere"]);
}

#[test]
fn the_real_ones() {
    let Some(root) = shared_data("detect") else { return };
    for (name, images) in [("cats", 170), ("aerial_cars", 122), ("simd", 190)] {
        let command = format!("data check {} --json", root.join(name).display());
        let report = Lab::new().kestrel(&command);
        let report = report.json();
        assert_eq!(
            (&report["images"], &report["counts"]["unreadable"]),
            (&images.into(), &().into()),
            "{name}"
        );
    }
}
