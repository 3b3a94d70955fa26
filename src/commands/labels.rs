//! Labelled sets as the options of a command name them.

use std::path::Path;

use datasets::labels::{BoxRole, LabelFormat, LabelSource, LabelledBox, LabelledImage, VedaiBand};
use eval::detection::{DetectionImage, Rectangle, TruthBox, TruthRole};

use crate::cli::{LabelArgs, LabelFormatArg};

/// What the options mean.
pub(super) fn source(folder: &Path, args: &LabelArgs) -> LabelSource {
    let format = match args.format {
        LabelFormatArg::Yolo => LabelFormat::Yolo,
        LabelFormatArg::Vedai => LabelFormat::Vedai(VedaiBand::Color),
        LabelFormatArg::VedaiInfrared => LabelFormat::Vedai(VedaiBand::Infrared),
        LabelFormatArg::Voc => LabelFormat::Voc,
        LabelFormatArg::Coco => LabelFormat::Coco,
        LabelFormatArg::Dota => LabelFormat::Dota,
        LabelFormatArg::AuAir => LabelFormat::AuAir,
    };
    let new = LabelSource::new(folder, format);
    LabelSource { classes: args.classes.clone(), unlabelled_are_empty: args.unlabelled_are_empty, ..new }
}

/// An image with its labels as the truth, and nothing found yet. `class_of` gives a class its index among those that
/// are measured; boxes of others are left out.
pub(super) fn truth(image: &LabelledImage, class_of: impl Fn(u32) -> Option<usize>) -> DetectionImage {
    let truth = image.boxes.iter().filter_map(|labelled| {
        let class = class_of(labelled.class_id)?;
        let area_px = labelled.outline_area_px.unwrap_or_else(|| labelled.area());
        Some(TruthBox { class, rectangle: rectangle(labelled), area_px, role: role(labelled.role) })
    });
    DetectionImage {
        name: name(image),
        scene: image.scene().to_owned(),
        truth: truth.collect(),
        found: Vec::new(),
    }
}

fn rectangle(of: &LabelledBox) -> Rectangle {
    Rectangle::new(of.x, of.y, of.width, of.height)
}

fn role(of: BoxRole) -> TruthRole {
    match of {
        BoxRole::Object => TruthRole::Object,
        BoxRole::Optional => TruthRole::Optional,
        BoxRole::Crowd => TruthRole::Crowd,
    }
}

fn name(image: &LabelledImage) -> String {
    image.path.file_name().map_or_else(|| image.id.clone(), |name| name.to_string_lossy().into_owned())
}
