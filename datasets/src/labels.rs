//! Labelled images: what detectors learn from and are measured by.
//!
//! A [`LabelSet`] is a list of images, each with its boxes, and the names of the classes. [`LabelSource`] says where
//! one is and how it is written; each format is one file here and one line in the table of `source.rs`. Nothing is
//! decoded before [`LabelledImage::frame`] asks for it.
//!
//! ```no_run
//! use kestrel_datasets::labels::{ClassMap, LabelFormat, LabelSource};
//!
//! let set = LabelSource::new("detect/aerial_cars", LabelFormat::Yolo).read()?;
//! let set = set.mapped(&ClassMap::parse("car=vehicle,truck=vehicle,bus=vehicle,minibus=vehicle,cyclist=")?);
//! let (held_out, training) = set.partition(|image| image.scene() == "MOS");
//! for image in &training.images {
//!     let frame = image.frame()?;
//!     assert_eq!(frame.size(), image.size);
//! }
//! # Ok::<(), kestrel_datasets::DatasetError>(())
//! ```

mod au_air;
mod check;
mod class_map;
mod class_names;
mod coco;
mod dota;
mod files;
mod names;
mod set;
mod source;
mod vedai;
mod voc;
mod yolo;

pub use check::{Finding, FindingKind, Severity, check};
pub use class_map::ClassMap;
pub use names::ImageNames;
pub use set::{BoxRole, LabelSet, LabelledBox, LabelledImage, scene_name};
pub use source::{LabelFormat, LabelSource, Survey};
pub use vedai::VedaiBand;
