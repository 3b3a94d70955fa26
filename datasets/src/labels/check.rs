//! What is wrong in a labelled set.

mod fingerprint;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use rayon::prelude::*;

use self::fingerprint::Fingerprint;
use super::{BoxRole, LabelledBox, LabelledImage, Survey};
use crate::DatasetError;

/// Two boxes with so much in common are of one object.
const SAME_OVERLAP: f64 = 0.9;
/// Hand-drawn boxes end a little outside; more than this share of the area outside is worth a look, where it is also
/// more than [`SLACK_PX`] on a side.
const SHARE_OUTSIDE: f64 = 0.02;
const SLACK_PX: f64 = 1.5;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Can't be right: training on it teaches nonsense, or readers refuse it.
    Error,
    /// May be meant so.
    Warning,
}

/// What kind of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A file that can't be read, labels that are not what their format says, images and labels that don't go together.
    Unreadable,
    /// A box without area.
    EmptyBox,
    /// A box that lies outside of its image altogether.
    OutsideBox,
    /// A part of the one set is nearly an image of the other.
    Leak,
    /// A box that reaches out of its image.
    CutBox,
    /// A box too small to be seen.
    TinyBox,
    /// An object that is labelled twice.
    DuplicateBox,
    /// An object that is labelled as two classes.
    ConflictingClasses,
    /// The same image twice.
    DuplicateImage,
    /// Images of two scenes that are nearly the same: one scene, if a split is to be made of them.
    SimilarScenes,
}

impl FindingKind {
    /// Name for tables and scripts: `duplicate box`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::EmptyBox => "empty box",
            Self::OutsideBox => "box outside",
            Self::Leak => "leak",
            Self::CutBox => "cut box",
            Self::TinyBox => "tiny box",
            Self::DuplicateBox => "duplicate box",
            Self::ConflictingClasses => "conflicting classes",
            Self::DuplicateImage => "duplicate image",
            Self::SimilarScenes => "similar scenes",
        }
    }

    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::Unreadable | Self::EmptyBox | Self::OutsideBox | Self::Leak => Severity::Error,
            _ => Severity::Warning,
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub kind: FindingKind,
    /// The image, or `None` where the message says where it is.
    pub image: Option<PathBuf>,
    /// What exactly.
    pub message: String,
}

/// `kind: image: message`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.kind.name())?;
        if let Some(image) = &self.image {
            write!(f, "{}: ", image.display())?;
        }
        f.write_str(&self.message)
    }
}

/// What is wrong in the parts of a split, or in one set. Every image is decoded.
///
/// Boxes with a side below `min_side_px` are tiny. Images that are nearly the same in two parts are leaks; where there
/// is one part only, the folders below its images are parts; where there are none, its scenes are compared with each
/// other.
pub fn check(parts: &[Survey], min_side_px: f64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        findings.extend(part.problems.iter().map(unreadable));
        let has_folders = part.set.images.iter().any(|image| image.id.contains('/'));
        let decoded: Vec<_> =
            part.set.images.par_iter().map(|image| (image, Fingerprint::of(image))).collect();
        for (image, fingerprint) in decoded {
            findings.extend(box_findings(image, &part.set.classes, min_side_px));
            let side = match (parts.len() > 1, has_folders) {
                (true, _) => Side { part: index.to_string(), is_certain: true },
                (false, true) => Side { part: first_folder(image), is_certain: true },
                (false, false) => Side { part: image.scene().to_owned(), is_certain: false },
            };
            match fingerprint {
                Ok(fingerprint) => seen.push(Seen { image, fingerprint, side }),
                Err(error) => findings.push(unreadable(&error)),
            }
        }
    }
    findings.extend(image_findings(&seen));
    findings.sort_by_key(|finding| finding.kind);
    findings
}

fn unreadable(problem: &DatasetError) -> Finding {
    Finding { kind: FindingKind::Unreadable, image: None, message: problem.to_string() }
}

fn first_folder(image: &LabelledImage) -> String {
    image.id.split_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned())
}

/// Which part of a split an image is in, and whether somebody said so.
struct Side {
    part: String,
    is_certain: bool,
}

struct Seen<'a> {
    image: &'a LabelledImage,
    fingerprint: Fingerprint,
    side: Side,
}

fn box_findings(image: &LabelledImage, classes: &[String], min_side_px: f64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |kind, message| findings.push(Finding { kind, image: Some(image.path.clone()), message });
    for (index, labelled) in image.boxes.iter().enumerate() {
        let text = described(labelled, classes);
        let outside = labelled.share_outside(image.size);
        if labelled.width <= 0.0 || labelled.height <= 0.0 {
            add(FindingKind::EmptyBox, text);
            continue;
        }
        if outside >= 1.0 {
            add(FindingKind::OutsideBox, format!("{text}, image {}x{}", image.size.0, image.size.1));
        } else if outside > SHARE_OUTSIDE && reach_outside(labelled, image.size) > SLACK_PX {
            add(FindingKind::CutBox, format!("{text}, {:.0} % outside", outside * 100.0));
        }
        if labelled.width.min(labelled.height) < min_side_px {
            add(FindingKind::TinyBox, text.clone());
        }
        let objects = image.boxes[..index].iter().filter(|other| other.role != BoxRole::Crowd);
        for other in
            objects.filter(|other| labelled.role != BoxRole::Crowd && iou(labelled, other) >= SAME_OVERLAP)
        {
            let kind = match labelled.class_id == other.class_id {
                true => FindingKind::DuplicateBox,
                false => FindingKind::ConflictingClasses,
            };
            add(kind, format!("{text} and {}", described(other, classes)));
        }
    }
    findings
}

fn described(of: &LabelledBox, classes: &[String]) -> String {
    let class = classes.get(of.class_id as usize).map_or("?", String::as_str);
    format!("{class} at ({:.1}, {:.1}), {:.1} x {:.1} px", of.x, of.y, of.width, of.height)
}

/// How many pixels a box reaches out of its image, on the side where it is most.
fn reach_outside(of: &LabelledBox, (width, height): (usize, usize)) -> f64 {
    let beyond = (of.x + of.width - width as f64).max(of.y + of.height - height as f64);
    beyond.max(-of.x).max(-of.y)
}

fn iou(a: &LabelledBox, b: &LabelledBox) -> f64 {
    let common =
        |a: f64, a_side: f64, b: f64, b_side: f64| ((a + a_side).min(b + b_side) - a.max(b)).max(0.0);
    let both = common(a.x, a.width, b.x, b.width) * common(a.y, a.height, b.y, b.height);
    let either = a.area() + b.area() - both;
    if either > 0.0 { both / either } else { 0.0 }
}

/// Two images, and in how many bits they differ.
type Alike<'a> = (u32, &'a Seen<'a>, &'a Seen<'a>);

/// Images that are the same, and for each two parts the pair that is most alike, with the number of such pairs.
fn image_findings(seen: &[Seen<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut alike: BTreeMap<(&str, &str), Vec<Alike<'_>>> = BTreeMap::new();
    for (index, a) in seen.iter().enumerate() {
        for b in &seen[index + 1..] {
            let (is_same, differs) =
                (a.fingerprint.is_same(&b.fingerprint), a.fingerprint.distance(&b.fingerprint));
            if a.side.part != b.side.part && differs <= Fingerprint::ALIKE {
                let parts = (a.side.part.as_str(), b.side.part.as_str());
                let parts = if parts.0 < parts.1 { parts } else { (parts.1, parts.0) };
                alike.entry(parts).or_default().push((differs, a, b));
            } else if is_same {
                let message = format!("the same as {}", a.image.path.display());
                let (kind, image) = (FindingKind::DuplicateImage, Some(b.image.path.clone()));
                findings.push(Finding { kind, image, message });
            }
        }
    }
    for pairs in alike.values() {
        let Some((differs, a, b)) = pairs.iter().min_by_key(|pair| pair.0) else { continue };
        let is_leak = a.side.is_certain && b.side.is_certain;
        let kind = if is_leak { FindingKind::Leak } else { FindingKind::SimilarScenes };
        let others = match pairs.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more pairs of these parts"),
        };
        let share = f64::from(*differs) * 100.0 / f64::from(Fingerprint::BITS);
        let other = b.image.path.display();
        let message = format!("nearly {other} ({share:.0} % of the fingerprint differs){others}");
        findings.push(Finding { kind, image: Some(a.image.path.clone()), message });
    }
    findings
}

#[cfg(test)]
mod tests;
