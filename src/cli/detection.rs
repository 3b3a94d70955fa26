//! Labelled images and what is done with them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use datasets::labels::ClassMap;

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// List what is wrong: labels and images that don't go together, boxes that can't be right, images that leak across
    /// a split
    Check(DataCheckArgs),
}

// Without a line of its own: it would become that of the commands that take it in.
#[derive(Debug, Args)]
pub(crate) struct LabelArgs {
    /// How the labels are written
    #[arg(long, value_enum, default_value_t = LabelFormatArg::Yolo)]
    pub(crate) format: LabelFormatArg,
    /// Names of the classes, one in a row, or data.yaml; default: the file that the folder holds
    #[arg(long, value_name = "FILE")]
    pub(crate) classes: Option<PathBuf>,
    /// Rename classes: car=vehicle,truck=vehicle joins two, tree= drops one
    #[arg(long, value_name = "OLD=NEW,...", value_parser = class_map)]
    pub(crate) map: Option<ClassMap>,
    /// Images without a file of labels show nothing, instead of being an error
    #[arg(long)]
    pub(crate) unlabelled_are_empty: bool,
}

fn class_map(text: &str) -> Result<ClassMap, String> {
    ClassMap::parse(text).map_err(|error| error.to_string())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LabelFormatArg {
    /// A text file for each image, rows `class x_center y_center width height` as shares of the image
    Yolo,
    /// VEDAI's annotations; images in colour
    Vedai,
    /// VEDAI's annotations; images in infrared
    VedaiInfrared,
    /// Pascal VOC: an XML file for each image
    Voc,
    /// COCO: one JSON file
    Coco,
    /// DOTA: a text file for each image with four corners, class and difficulty
    Dota,
    /// AU-AIR: one JSON file
    AuAir,
}

#[derive(Debug, Args)]
pub(crate) struct EvalDetectionArgs {
    /// Folder with images/ and labels/, or where one file labels all images, that file
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) labels: LabelArgs,
    /// The detector, an ONNX file; default: the one that comes with the program
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Look at each image once, scaled down to the detector's input, without tiles at full resolution
    #[arg(long, conflicts_with = "detections")]
    pub(crate) whole: bool,
    /// Instead of a detector, what one has found: a JSON array of image_id (number or name), category_id (as in the labels' files; where there is `category`, a class's name, it goes by that), bbox [x, y, width,
    /// height] in pixels, and score
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    pub(crate) detections: Option<PathBuf>,
    /// VEDAI: measure on the test images of this fold, folds/foldNNtest.txt
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10))]
    pub(crate) fold: Option<u32>,
    /// Names of the images that the detector was trained on, one in a row; measuring on any of them is refused
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) trained_on: Vec<PathBuf>,
    /// Write an HTML report too, with curves, confusion, scenes and the worst images
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EvalVedaiArgs {
    /// annotation1024.csv
    #[arg(long, value_name = "CSV")]
    pub(crate) annotations: PathBuf,
    /// Folder with the detections of each fold, NAME_01.txt to NAME_10.txt, rows `image x y score` in pixels of
    /// 1024-pixel images
    #[arg(long, value_name = "DIR")]
    pub(crate) detections: PathBuf,
    /// Number of the class: 1 car, 2 truck, 4 tractor, 5 camping car, 9 van, 10 other, 11 pickup, 23 boat, 31 plane
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) class: u32,
    /// Write an HTML report too
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DataCheckArgs {
    /// Folder with images/ and labels/, or where one file labels all images, that file
    pub(crate) dir: PathBuf,
    #[command(flatten)]
    pub(crate) labels: LabelArgs,
    /// The other part of a split: images of the one that are nearly those of the other leak. Without it, the folders below
    /// images/ are the parts, or where there are none, the scenes that the images' names tell
    #[arg(long, value_name = "DIR")]
    pub(crate) against: Option<PathBuf>,
    /// Boxes with a side below so many pixels are too small to be seen
    #[arg(long, value_name = "PIXELS", default_value_t = 3.0)]
    pub(crate) min_side: f64,
    /// Exit with 1 for warnings too, not for errors alone
    #[arg(long)]
    pub(crate) strict: bool,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}
