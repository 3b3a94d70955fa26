use image::GrayImage;
use tempfile::{TempDir, tempdir};

use super::*;
use crate::labels::LabelSet;

/// An image of 64x48 whose pattern depends on `seed`.
fn picture(folder: &TempDir, id: &str, seed: u32, boxes: Vec<LabelledBox>) -> LabelledImage {
    let path = folder.path().join(format!("{}.png", id.replace('/', "-")));
    let pattern =
        |x: u32, y: u32| image::Luma([(x * x * seed + y * (seed + 3) * 7 + x * y * seed * seed) as u8]);
    GrayImage::from_fn(64, 48, pattern).save(&path).unwrap();
    LabelledImage { id: id.to_owned(), path, size: (64, 48), boxes }
}

fn survey(images: Vec<LabelledImage>) -> Survey {
    let classes = ["car", "truck"].map(str::to_owned).to_vec();
    Survey { set: LabelSet { classes, images, ..LabelSet::default() }, problems: Vec::new() }
}

fn kinds(findings: &[Finding]) -> Vec<FindingKind> {
    findings.iter().map(|finding| finding.kind).collect()
}

#[test]
fn boxes_that_cannot_be_right_and_those_that_may() {
    let folder = tempdir().unwrap();
    let b = LabelledBox::new;
    let boxes = vec![
        b(0, 10.0, 10.0, 20.0, 10.0),
        b(0, 10.4, 10.0, 20.0, 10.0),
        b(1, 10.0, 10.2, 20.0, 10.0),
        b(0, 70.0, 10.0, 5.0, 5.0),
        b(0, 60.0, 10.0, 8.0, 8.0),
        b(0, -1.0, 30.0, 8.0, 8.0),
        b(0, 40.0, 30.0, 2.0, 8.0),
        b(0, 40.0, 30.0, 0.0, 8.0),
    ];
    let findings = check(&[survey(vec![picture(&folder, "a", 3, boxes)])], 3.0);
    use FindingKind::{ConflictingClasses, CutBox, DuplicateBox, EmptyBox, OutsideBox, TinyBox};
    let expected =
        [EmptyBox, OutsideBox, CutBox, TinyBox, DuplicateBox, ConflictingClasses, ConflictingClasses];
    assert_eq!(kinds(&findings), expected, "{findings:#?}");
    assert_eq!(findings[2].message, "car at (60.0, 10.0), 8.0 x 8.0 px, 50 % outside");
    assert!(
        findings[0].to_string().starts_with("empty box: ") && findings[0].kind.severity() == Severity::Error
    );
    assert_eq!(findings[3].kind.severity(), Severity::Warning);
}

#[test]
fn crowds_lie_over_objects() {
    let folder = tempdir().unwrap();
    let object = LabelledBox::new(0, 10.0, 10.0, 20.0, 10.0);
    let crowd = LabelledBox { role: BoxRole::Crowd, ..object };
    assert_eq!(check(&[survey(vec![picture(&folder, "a", 3, vec![object, crowd])])], 3.0), []);
}

#[test]
fn images_that_are_in_two_parts_leak() {
    let folder = tempdir().unwrap();
    let one = |id: &str, seed: u32| picture(&folder, id, seed, Vec::new());
    // Folders are parts that somebody made, scenes are a guess; within a part only equal images are told.
    let folders = check(&[survey(vec![one("train/a1", 3), one("train/a2", 5), one("val/a3", 3)])], 3.0);
    assert_eq!(kinds(&folders), [FindingKind::Leak], "{folders:#?}");
    assert!(folders[0].message.contains("val-a3.png (0 % of the fingerprint differs)"), "{}", folders[0]);
    let scenes = check(&[survey(vec![one("a1", 3), one("a2", 3), one("b1", 3), one("c1", 11)])], 3.0);
    assert_eq!(kinds(&scenes), [FindingKind::DuplicateImage, FindingKind::SimilarScenes]);
    assert!(scenes[1].message.contains("and 1 more pairs"), "{}", scenes[1]);
    let parts = check(&[survey(vec![one("a1", 3)]), survey(vec![one("a2", 3), one("a3", 11)])], 3.0);
    assert_eq!(kinds(&parts), [FindingKind::Leak]);
}

#[test]
fn what_does_not_decode_is_told() {
    let folder = tempdir().unwrap();
    let image = picture(&folder, "a", 3, Vec::new());
    std::fs::write(&image.path, "no image").unwrap();
    let problems =
        vec![DatasetError::Content { expected: "labels".into(), found: "none".into(), path: "b.txt".into() }];
    let findings = check(&[Survey { problems, ..survey(vec![image]) }], 3.0);
    assert_eq!(kinds(&findings), [FindingKind::Unreadable; 2]);
    assert!(findings[0].message.contains("b.txt") && findings[1].message.contains("a.png"));
}
