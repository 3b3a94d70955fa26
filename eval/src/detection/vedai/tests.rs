use super::*;

/// A car of 20 by 10 pixels along the image's rows around (50, 30), counted from 0, in the first fold.
fn car(image: u64) -> VedaiObject {
    // A side counts the pixels at both its ends: hypot(from - to + 1, 1).
    let (left, right, top, bottom) = (41.0, 61.0, 26.0, 36.0);
    VedaiObject {
        image,
        center: (51.0, 31.0),
        orientation_rad: 0.0,
        corners: [(left, top), (right, top), (right, bottom), (left, bottom)],
        class: 1,
        test_fold: Some(0),
    }
}

fn found(image: u64, x: f64, y: f64, score: f64) -> VedaiDetection {
    VedaiDetection { image, x, y, score }
}

fn measure(objects: &[VedaiObject], found: Vec<VedaiDetection>) -> Result<VedaiReport, String> {
    VedaiReport::measure(objects, &[(1, found)].into(), 1).map_err(|error| error.to_string())
}

#[test]
fn a_curve_by_hand() {
    // Four cars in four images: right, wrong, a second one on the same car, right.
    let objects: Vec<_> = (1..=4).map(car).collect();
    let report = measure(
        &objects,
        vec![
            found(2, 50.0, 30.0, 0.4),
            found(1, 52.0, 30.0, 0.5),
            found(3, 200.0, 30.0, 0.8),
            found(1, 50.0, 31.0, 0.9),
        ],
    )
    .unwrap();
    let fold = &report.folds[0];
    assert_eq!((fold.true_positives, fold.false_positives, fold.objects, fold.images), (2, 1, 4, 4));
    // Precision 1 at recalls up to 0.2 (of 1/4), 2/3 up to 0.5.
    assert!((report.mean_ap - (3.0 + 3.0 * 2.0 / 3.0) / 11.0).abs() < 1e-12, "{report}");
    // (0, 1/4), (1/4, 1/2), and level from there.
    let recalls = [0.25 + 0.01, 0.25 + 0.1, 0.5, 0.5];
    assert!(fold.recall_at_fppi.iter().zip(recalls).all(|(a, b)| (a - b).abs() < 1e-6), "{fold:?}");
    assert_eq!(report.ap_deviation, None);
}

#[test]
fn ellipses_are_turned_and_counted_from_one() {
    let ellipse = Ellipse::of(&car(1));
    // Sides of 20 and 10: those that run back gain a pixel, those that run on lose one.
    let long = (19.0_f64.hypot(1.0) + 21.0_f64.hypot(1.0)) / 2.0;
    let short = (9.0_f64.hypot(1.0) + 11.0_f64.hypot(1.0)) / 2.0;
    assert!(
        (ellipse.half_length * 2.0 - long).abs() < 1e-12 && (ellipse.half_width * 2.0 - short).abs() < 1e-12
    );
    let contains = |ellipse: &Ellipse, x, y| ellipse.contains(&found(1, x, y, 1.0));
    assert!(contains(&ellipse, 60.0, 30.0) && !contains(&ellipse, 50.0, 36.0));
    let turned = Ellipse { orientation_rad: std::f64::consts::FRAC_PI_2, ..ellipse };
    assert!(contains(&turned, 50.0, 39.0) && !contains(&turned, 60.0, 30.0));
    assert!(!turned.contains(&found(2, 50.0, 30.0, 1.0)), "another image");
}

#[test]
fn other_classes_and_folds_do_not_help() {
    let truck = VedaiObject { class: 2, ..car(2) };
    let elsewhere = VedaiObject { test_fold: Some(4), ..car(9) };
    let report = measure(&[car(1), truck, elsewhere], vec![found(2, 50.0, 30.0, 0.9)]).unwrap();
    assert_eq!((report.folds[0].objects, report.folds[0].false_positives, report.mean_ap), (1, 1, 0.0));
    assert_eq!(report.mean_recall_at_fppi, [0.0; 4]);
}

#[test]
fn a_fold_is_not_measured_on_what_it_may_have_learnt() {
    let elsewhere = VedaiObject { test_fold: Some(4), ..car(9) };
    for image in [9, 12] {
        let error = measure(&[car(1), elsewhere.clone()], vec![found(image, 50.0, 30.0, 0.9)]).unwrap_err();
        assert!(
            error.contains(&format!("image {image:08} in fold 1, which may have trained on it")),
            "{error}"
        );
    }
    let error = measure(&[VedaiObject { class: 2, ..car(1) }], Vec::new()).unwrap_err();
    assert!(error.contains("none of class 1 in fold 1"), "{error}");
    let error = VedaiReport::measure(&[car(1)], &BTreeMap::new(), 1).unwrap_err().to_string();
    assert_eq!(error, "expected detections of at least one fold, found none");
}

#[test]
fn files_are_read_or_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let csv = write(
        "a.csv",
        "image_id,x,y,orient,x1,x2,x3,x4,y1,y2,y3,y4,class,FLAG1,FLAG2,test_fold\n\
         7,51,31,0.0,41,61,61,41,26,26,36,36,1,1,0,0\n8,1,1,0,1,2,2,1,1,1,2,2,23,0,0,\n",
    );
    let objects = read_vedai_annotations(csv).unwrap();
    assert_eq!(objects[0], VedaiObject { image: 7, ..car(7) });
    assert_eq!((objects[1].class, objects[1].test_fold), (23, None));
    let incomplete = "7,51,31,0.0,,61,61,41,26,26,36,36,1,1,0,0\n";
    let error = read_vedai_annotations(write("b.csv", incomplete)).unwrap_err().to_string();
    assert!(error.contains("b.csv, line 1") && error.contains("found `` where a finite number"), "{error}");
    let detections = read_vedai_detections(write("d.txt", "00000007 50 30 -0.5\n")).unwrap();
    assert_eq!(detections, [found(7, 50.0, 30.0, -0.5)]);
    for (content, said) in [
        ("7 1 2\n", "d.txt, line 1: expected image x y score, found 3 numbers"),
        ("7 1 NaN 1\n", "found numbers that are not finite"),
        ("7.5 1 2 1\n", "found 7.5 where a whole number is to stand"),
        ("", "expected rows `image x y score`, found none"),
    ] {
        let error = read_vedai_detections(write("d.txt", content)).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
