//! Depth: seeing it, and judging what was seen.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{CameraArgs, WindowArgs, at_least_one};

#[derive(Debug, Args)]
pub(crate) struct EvalDepthArgs {
    /// Images with their true depth
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// How these lie on disk
    #[arg(long, value_enum)]
    pub(crate) format: DepthFormatArg,
    /// The depth network, an ONNX file whose metadata says what its output means (kestrel.depth), instead of the one that
    /// comes with the program
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Instead of a network, what one has seen: 16-bit PNGs with the names of the images, as `kestrel depth` leaves them
    #[arg(long, value_name = "DIR", conflicts_with = "model")]
    pub(crate) predictions: Option<PathBuf>,
    /// Values for one metre, or for one unit, in the files of --predictions
    #[arg(long, value_name = "N", default_value_t = 256.0, conflicts_with = "model")]
    pub(crate) values_per_metre: f64,
    /// By which median the prediction is scaled for the figures that come first; all are printed. Default: image for
    /// kitti-object, whose images don't belong together, else sequence
    #[arg(long, value_enum)]
    pub(crate) scaling: Option<ScalingArg>,
    /// The part of the image that counts; default: garg for kitti-object, else none
    #[arg(long, value_enum)]
    pub(crate) crop: Option<CropArg>,
    /// Only truth above this counts
    #[arg(long, value_name = "METRES", default_value_t = 1e-3)]
    pub(crate) min_depth: f64,
    /// Only truth below this counts
    #[arg(long, value_name = "METRES", default_value_t = 80.0)]
    pub(crate) max_depth: f64,
    /// Write an HTML report too, with pictures of image, truth, prediction and error
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DepthFormatArg {
    /// KITTI's object benchmark: image_2, velodyne and calib
    KittiObject,
    /// What `kestrel world` writes: image_2 and depth below sequences/00
    World,
    /// TUM RGB-D: rgb.txt and depth.txt
    Tum,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ScalingArg {
    /// Ratio of the medians in each image
    Image,
    /// Median of these ratios over all images
    Sequence,
    /// None: the prediction is metric
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CropArg {
    /// The whole image
    None,
    /// That of Garg et al. 2016, which most papers use
    Garg,
    /// That of Eigen et al. 2014
    Eigen,
}

#[derive(Debug, Args)]
pub(crate) struct DepthArgs {
    /// An image, a folder of images, a video file, or anything else that `kestrel run` takes
    pub(crate) source: String,
    /// The depth network, an ONNX file whose metadata says what its output means (kestrel.depth), instead of the one that
    /// comes with the program
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// Folder for depth/NAME.png (16 bits) and preview/NAME.png (colours, near bright); must be empty or new
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    /// Values of the 16-bit files for one metre, or for one unit of a network that knows no metres; 0 is unknown
    #[arg(long, value_name = "N", default_value_t = 256.0)]
    pub(crate) values_per_metre: f64,
    /// Threads that share the network's work
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    pub(crate) threads: usize,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

// Without a line of its own: it would become that of the commands that take it in.
#[derive(Debug, Args)]
pub(crate) struct FlightDepthArgs {
    /// Depth network to look with instead of the one that comes with the program: an ONNX file of `kestrel train vo`, or any whose
    /// metadata says what its output means (kestrel.depth)
    #[arg(long, value_name = "FILE", conflicts_with = "no_depth")]
    pub(crate) depth_model: Option<PathBuf>,
    /// Don't look at depth
    #[arg(long)]
    pub(crate) no_depth: bool,
    /// Look at depth in every Nth frame
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "no_depth")]
    pub(crate) depth_every: u64,
}

// Without a line of its own: it would become that of the commands that take it in.
#[derive(Debug, Args)]
pub(crate) struct FlightPoseArgs {
    /// Let the pose network that comes with the program say too how the camera moves: its trajectory beside that of the odometry
    #[arg(long)]
    pub(crate) pose: bool,
    /// The same with another pose network, an ONNX file of `kestrel train vo`
    #[arg(long, value_name = "FILE")]
    pub(crate) pose_model: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// A video file, a folder of images, or anything else that `kestrel run` takes
    pub(crate) source: String,
    #[command(flatten)]
    pub(crate) camera: CameraArgs,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PoseArgs {
    /// A video, a KITTI sequence, or anything else that `kestrel run` takes
    pub(crate) source: String,
    /// Pose network to use instead of the one that comes with the program: an ONNX file whose metadata says what its outputs mean
    /// (kestrel.pose)
    #[arg(long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,
    /// File for the trajectory, in the unit of the depth network that learnt with it; an earlier one is replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// How it is written
    #[arg(long, value_enum, default_value_t = TrajectoryFormatArg::Tum)]
    pub(crate) format: TrajectoryFormatArg,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    /// Threads that share the network's work
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    pub(crate) threads: usize,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TrajectoryFormatArg {
    /// Stamp, position, quaternion
    Tum,
    /// Twelve numbers, the rows of a matrix
    Kitti,
}
