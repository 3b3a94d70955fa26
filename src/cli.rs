//! What can be typed.

mod depth;
mod detect;
mod detection;
mod follow;
mod model;
#[cfg(feature = "train")]
mod train;
#[cfg(feature = "train")]
mod train_vo;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use geometry::BoundingBox;

pub(crate) use depth::{
    CropArg, DepthArgs, DepthFormatArg, DoctorArgs, EvalDepthArgs, FlightDepthArgs, FlightPoseArgs, PoseArgs,
    ScalingArg, TrajectoryFormatArg,
};
pub(crate) use detect::{DetectArgs, FlightDetectorArgs};
pub(crate) use detection::{
    DataCheckArgs, DataCommand, EvalDetectionArgs, EvalVedaiArgs, LabelArgs, LabelFormatArg,
};
use follow::{FollowArgs, bounding_box};
pub(crate) use model::{
    ImageArgs, ModelCommand, ModelCompareArgs, ModelInspectArgs, ModelQuantizeArgs, ModelRunArgs,
};
#[cfg(feature = "train")]
pub(crate) use train::{TrainCommand, TrainDetectorArgs};
#[cfg(feature = "train")]
pub(crate) use train_vo::{NetworksArg, RecipeArg, TrainVoArgs};

/// Eyes for a drone with one camera: where am I, and how well do I know it?
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// Say more on standard error; twice for even more
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
First steps:
  kestrel demo                                  fly a synthetic world and open the report it leaves
  kestrel run flight.mp4 --out runs/flight      odometry on your own video
  kestrel run flight.mp4 --out runs/chase --follow 340,211   and follow what is there
  kestrel track flight.mp4 --box 320,200,40,22 --out boxes.txt  boxes only, of one target
  kestrel doctor flight.mp4                     will it do to learn depth from?
  kestrel detect photos --out drawn             what is in these images, drawn
  kestrel eval odometry --gt a.txt --est b.txt  how good is a trajectory?

Exit codes: 0 all is well; 1 an error; 2 the command was not understood; 3 the run ended but some of its frames or
files are incomplete; 4 the doctor finds nothing to learn from; 70 a stage hung for good.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fly a synthetic world end to end and show what comes out
    Demo(DemoArgs),
    /// Run odometry on a dataset, a folder of images, a video or a camera, look for objects and follow a target in it
    Run(RunArgs),
    /// Fly a recorded run again, frame by frame the same
    Replay(ReplayArgs),
    /// Follow one target, chosen by a box in the first frame
    Track(TrackArgs),
    /// See how far everything is, by a depth network: 16-bit depth images and coloured previews
    Depth(DepthArgs),
    /// See how the camera moves, by a pose network: a trajectory in the network's unit
    Pose(PoseArgs),
    /// Will a video do to learn depth and motion from? A verdict with reasons, and the frames to take
    Doctor(DoctorArgs),
    /// Find vehicles in images or in a video and draw them
    Detect(DetectArgs),
    /// Measure results against ground truth
    #[command(subcommand)]
    Eval(EvalCommand),
    /// Labelled images: find what is wrong in a set before a detector learns it
    #[command(subcommand)]
    Data(DataCommand),
    /// Networks: run, inspect, quantise and compare ONNX files
    #[command(subcommand)]
    Model(ModelCommand),
    /// Learn from data: networks of your own
    #[cfg(feature = "train")]
    #[command(subcommand)]
    Train(TrainCommand),
    /// Make a dataset of a drone's flight over a synthetic world, with exact truth
    World(WorldArgs),
    /// Print a completion script: kestrel completions bash > /etc/bash_completion.d/kestrel
    Completions {
        /// For which shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder for the report, the trajectory and the recording
    #[arg(long, default_value = "runs/demo")]
    pub(crate) out: PathBuf,
    /// Where the camera looks
    #[arg(long, value_enum, default_value_t = MotionArg::Oblique)]
    pub(crate) motion: MotionArg,
    /// Length of the flight in frames, 20 a second
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) frames: u32,
    /// Chooses land, traffic and flight
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) detector: FlightDetectorArgs,
    #[command(flatten)]
    pub(crate) depth: FlightDepthArgs,
    #[command(flatten)]
    pub(crate) pose: FlightPoseArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// A KITTI sequence, EuRoC or TUM folder, a tracking sequence (OTB, UAV123, DTB70, VOT), a folder of images, a video
    /// file, a camera (0 or /dev/video0), a stream's address, a GStreamer pipeline, or a synthetic world (world:nadir,
    /// world:oblique?seed=3&frames=500)
    pub(crate) source: String,
    /// Folder for the trajectory, the metrics, the report and the recording; an earlier run there is kept as DIR.1
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) camera: CameraArgs,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    /// What tells the metres: none; fixed:V (V metres from the camera to the scene where the map begins, median);
    /// camera-height:M (an upright camera M metres above the road); agl:FILE (heights above ground, rows `stamp_s
    /// height_m`); velocity:FILE (rows `stamp_s speed_mps`), stamps in the source's clock; depth:V (the depth network, with V
    /// metres in the unit of its depth; depth alone where its file says how many)
    #[arg(long, value_name = "SOURCE", default_value = "none", value_parser = ScaleArg::parse)]
    pub(crate) scale: ScaleArg,
    /// Ground truth to measure against (KITTI, TUM or EuRoC); default: the dataset's own, where it has one
    #[arg(long, value_name = "FILE")]
    pub(crate) gt: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) follow: FollowArgs,
    #[command(flatten)]
    pub(crate) detector: FlightDetectorArgs,
    #[command(flatten)]
    pub(crate) depth: FlightDepthArgs,
    #[command(flatten)]
    pub(crate) pose: FlightPoseArgs,
    /// Features to follow at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(50..=5000))]
    pub(crate) max_tracks: Option<u32>,
    /// Run all stages on one thread, in turn, instead of on threads of their own
    #[arg(long)]
    pub(crate) inline: bool,
    /// Store every frame with the run, so that it can be replayed without its source; cameras always do
    #[arg(long)]
    pub(crate) store_frames: bool,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CameraArgs {
    /// Intrinsics: KITTI calib.txt, OpenCV YAML or Kalibr camchain
    #[arg(long, value_name = "FILE", conflicts_with = "fov")]
    pub(crate) calibration: Option<PathBuf>,
    /// Horizontal field of view in degrees, where there is no calibration
    #[arg(long, value_name = "DEGREES")]
    pub(crate) fov: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct WindowArgs {
    /// Leave out so many frames at the start
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) skip: usize,
    /// Use every Nth frame
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one)]
    pub(crate) stride: usize,
    /// Stop after so many frames
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(crate) max_frames: Option<usize>,
}

/// A [`vo::ScaleSource`] as typed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ScaleArg {
    None,
    Fixed(f64),
    CameraHeight(f64),
    HeightAboveGround(PathBuf),
    Velocity(PathBuf),
    Depth(Option<f64>),
}

impl ScaleArg {
    fn parse(text: &str) -> Result<Self, String> {
        let (kind, value) = text.split_once(':').unwrap_or((text, ""));
        let metres = || {
            let number = value.parse().ok().filter(|v: &f64| v.is_finite() && *v > 0.0);
            number.ok_or_else(|| format!("expected a number of metres above 0, as in {kind}:1.65"))
        };
        match kind {
            "none" if value.is_empty() => Ok(Self::None),
            "fixed" => metres().map(Self::Fixed),
            "camera-height" => metres().map(Self::CameraHeight),
            "depth" if text == "depth" => Ok(Self::Depth(None)),
            "depth" => metres().map(|metres| Self::Depth(Some(metres))),
            "agl" if !value.is_empty() => Ok(Self::HeightAboveGround(value.into())),
            "velocity" if !value.is_empty() => Ok(Self::Velocity(value.into())),
            _ => {
                Err("expected none, fixed:V, camera-height:M, agl:FILE, velocity:FILE or depth:V".to_owned())
            }
        }
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("expected at least 1".to_owned()),
        Ok(n) => Ok(n),
        Err(error) => Err(format!("expected a whole number: {error}")),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let in_range = |seconds: &f64| (0.0..1e9).contains(seconds);
    text.parse().ok().filter(in_range).ok_or_else(|| "expected seconds, 0 or more".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let in_range = |hz: &f64| (0.0..=1000.0).contains(hz);
    text.parse().ok().filter(in_range).ok_or_else(|| "expected 0 to 1000 a second".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct ReplayArgs {
    /// Folder of the run to fly again
    pub(crate) run: PathBuf,
    /// Folder for what comes out; default: RUN/replay
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Don't look for objects, even if the flight did
    #[arg(long)]
    pub(crate) no_detector: bool,
    /// Don't look at depth, even if the flight did
    #[arg(long)]
    pub(crate) no_depth: bool,
    /// Leave the pose network out, even if it flew
    #[arg(long)]
    pub(crate) no_pose: bool,
    /// Write no recording for the rerun viewer
    #[arg(long)]
    pub(crate) no_recording: bool,
    /// Images per second of flight in the recording, at most; 0 for none
    #[arg(long, value_name = "HZ", default_value_t = 5.0, value_parser = rate)]
    pub(crate) image_rate: f64,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TrackArgs {
    /// A folder of images, a video file, or anything else that `kestrel run` takes
    pub(crate) source: String,
    /// The target in the first frame: left, top, width and height in pixels
    #[arg(long = "box", value_name = "X,Y,W,H", value_parser = bounding_box, allow_hyphen_values = true)]
    pub(crate) target: BoundingBox,
    /// File for the boxes, a line `x,y,w,h,confidence` for each frame; the first is the box given. Earlier boxes are replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Show nothing live, even where the rerun viewer is installed
    #[arg(long, conflicts_with = "viewer")]
    pub(crate) headless: bool,
    /// Show everything live in the rerun viewer that listens at this address (rerun+http://HOST:9876/proxy)
    #[arg(long, value_name = "ADDRESS", value_parser = viewer_address)]
    pub(crate) viewer: Option<String>,
    /// Write no recording for the rerun viewer
    #[arg(long)]
    pub(crate) no_recording: bool,
    /// Images per second of flight in the recording and the viewer, at most; 0 for none. In flight each costs time: a replay
    /// can show more of them
    #[arg(long, value_name = "HZ", default_value_t = 5.0, value_parser = rate)]
    pub(crate) image_rate: f64,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

fn viewer_address(text: &str) -> Result<String, String> {
    let is_address = text.starts_with("rerun+http://") || text.starts_with("rerun+https://");
    is_address.then(|| text.to_owned()).ok_or_else(|| "expected rerun+http://HOST:PORT/proxy".to_owned())
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// Trajectories: drift, absolute and relative error; every figure with its protocol
    Odometry(EvalOdometryArgs),
    /// Kestrel beside other programs on the same frames: accuracy and CPU time in one table (bench/peers/run.sh runs them)
    Peers(EvalPeersArgs),
    /// Targets followed: success and precision (OTB), supervised runs (VOT), several targets with identities (MOTChallenge)
    Tracking(EvalTrackingArgs),
    /// Detections on labelled images: COCO's average precision, class by class and scene by scene
    Detection(EvalDetectionArgs),
    /// Depth: errors by the protocols of KITTI's papers, against a laser, the synthetic world or a depth camera
    Depth(EvalDepthArgs),
    /// Detections on VEDAI by its original protocol: ten folds, points in ellipses, recall at false positives per image
    Vedai(EvalVedaiArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EvalOdometryArgs {
    /// Ground truth (KITTI 12 columns, KITTI with index, TUM or EuRoC; told from the content)
    #[arg(long, value_name = "FILE")]
    pub(crate) gt: PathBuf,
    /// Estimate, in any of the same formats; several to compare them
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) est: Vec<PathBuf>,
    /// What may be fitted before measuring
    #[arg(long, value_enum, default_value_t = AlignArg::Sim3)]
    pub(crate) align: AlignArg,
    /// Lengths of the drift segments in metres
    #[arg(
        long,
        value_name = "METRES",
        value_delimiter = ',',
        default_value = "100,200,300,400,500,600,700,800"
    )]
    pub(crate) lengths: Vec<f64>,
    /// A segment starts at every Nth frame
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least_one)]
    pub(crate) step: usize,
    /// Stamps this far apart still belong together
    #[arg(long, value_name = "SECONDS", default_value_t = 0.02, value_parser = seconds)]
    pub(crate) max_time_difference: f64,
    /// Write an HTML report too
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Print one JSON object on standard output (an array for several estimates)
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EvalPeersArgs {
    /// Ground truth, one pose per frame (KITTI 12 columns, or with index)
    #[arg(long, value_name = "FILE")]
    pub(crate) gt: PathBuf,
    /// Folders that `kestrel run` or a peer left (peer.json and trajectory.txt)
    #[arg(value_name = "DIR", required = true)]
    pub(crate) runs: Vec<PathBuf>,
    /// Lengths of the drift segments in metres; default: 50,100,150,200, or 10,20,30,40,50 where the path is below 100 m
    #[arg(long, value_name = "METRES", value_delimiter = ',')]
    pub(crate) lengths: Option<Vec<f64>>,
    /// A segment starts at every Nth frame
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least_one)]
    pub(crate) step: usize,
    /// Write an HTML report too
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EvalTrackingArgs {
    /// Whose rules to measure by
    #[arg(long, value_enum)]
    pub(crate) protocol: TrackingProtocol,
    /// otb: boxes, one row `x,y,width,height` per frame, or the folder of a sequence (OTB, UAV123, DTB70, VOT) or of many;
    /// mot: rows `frame,id,x,y,width,height,counts`
    #[arg(long, value_name = "PATH", required_if_eq_any([("protocol", "otb"), ("protocol", "mot")]))]
    pub(crate) gt: Option<PathBuf>,
    /// Results in the same form, one file or, for many sequences, one folder with NAME.txt for each; several to compare
    #[arg(long, value_name = "PATH", num_args = 1.., required_if_eq_any([("protocol", "otb"), ("protocol", "mot")]))]
    pub(crate) est: Vec<PathBuf>,
    /// vot: the sequences with their regions (VOT2018.json)
    #[arg(long, value_name = "FILE", required_if_eq("protocol", "vot"), conflicts_with_all = ["gt", "est"])]
    pub(crate) dataset: Option<PathBuf>,
    /// vot: a folder or ZIP of SEQUENCE/SEQUENCE_001.txt; several to compare
    #[arg(long, value_name = "PATH", num_args = 1.., required_if_eq("protocol", "vot"), conflicts_with_all = ["gt", "est"])]
    pub(crate) results: Vec<PathBuf>,
    /// otb: measure the first frames only
    #[arg(long, value_name = "N", value_parser = at_least_one, conflicts_with = "dataset")]
    pub(crate) max_frames: Option<usize>,
    /// otb: where the frames of the one sequence are, for the report's film strips; default: where its benchmark puts them
    #[arg(long, value_name = "SOURCE", conflicts_with = "dataset")]
    pub(crate) frames: Option<String>,
    /// Write an HTML report too
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Print one JSON object on standard output (an array for several trackers)
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TrackingProtocol {
    /// OTB's one-pass evaluation: success AUC, precision at 20 px
    Otb,
    /// VOT's supervised evaluation: accuracy, robustness, expected average overlap
    Vot,
    /// Several targets: HOTA, IDF1, MOTA
    Mot,
}

#[derive(Debug, Args)]
#[command(allow_negative_numbers = true)]
pub(crate) struct WorldArgs {
    /// Where the camera looks
    #[arg(long, value_enum, default_value_t = MotionArg::Nadir)]
    pub(crate) motion: MotionArg,
    /// Number of frames
    #[arg(long, default_value_t = 200, value_parser = at_least_one)]
    pub(crate) frames: usize,
    /// Chooses land, houses, traffic, sun and flight
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Folder to write into; must be empty or new
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Instead of a flight, pictures to learn from: each from another place, under another angle between --motion and
    /// straight down, and from 0.4 to 2.4 times --height
    #[arg(long)]
    pub(crate) scattered: bool,
    /// Layout of the dataset
    #[arg(long, value_enum, default_value_t = WorldFormat::Kitti)]
    pub(crate) format: WorldFormat,
    /// Image size in pixels
    #[arg(long, value_name = "WxH", default_value = "640x480", value_parser = image_size)]
    pub(crate) size: (usize, usize),
    /// Frames per second
    #[arg(long, value_name = "HZ", default_value_t = 20.0)]
    pub(crate) frame_rate: f64,
    /// Horizontal field of view in degrees
    #[arg(long, value_name = "DEGREES", default_value_t = 70.0)]
    pub(crate) fov: f64,
    /// Speed over ground in metres per second
    #[arg(long, value_name = "M/S", default_value_t = 6.0)]
    pub(crate) speed: f64,
    /// Height above ground in metres; default: 30 nadir, 40 oblique, 12 forward
    #[arg(long, value_name = "METRES")]
    pub(crate) height: Option<f64>,
    /// A perfect camera: no vibration, noise, exposure drift or rolling shutter
    #[arg(long)]
    pub(crate) clean: bool,
    /// All rows exposed at once: no rolling shutter
    #[arg(long)]
    pub(crate) global_shutter: bool,
    /// Blur by motion during the exposure; takes several times as long
    #[arg(long)]
    pub(crate) motion_blur: bool,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

fn image_size(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (16..=8192).contains(side));
    let size = text.split_once('x').and_then(|(w, h)| Some((side(w)?, side(h)?)));
    size.ok_or_else(|| "expected WIDTHxHEIGHT with sides from 16 to 8192, like 640x480".to_owned())
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum MotionArg {
    /// Straight down
    Nadir,
    /// Forward and 45 degrees down
    Oblique,
    /// Low along a road, with the horizon in view
    Forward,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum WorldFormat {
    /// sequences/00 and poses/00.txt, with depth, boxes and height above ground
    Kitti,
    /// rgb/, depth/ and groundtruth.txt
    Tum,
    /// images/ and labels/ with vehicle boxes
    Yolo,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum AlignArg {
    /// Nothing: first poses coincide
    None,
    /// Scale only
    Scale,
    /// Rotation and translation
    Se3,
    /// Rotation, translation and scale
    Sim3,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sources_of_scale_are_checked() {
        assert_eq!(ScaleArg::parse("none"), Ok(ScaleArg::None));
        assert_eq!(ScaleArg::parse("camera-height:1.65"), Ok(ScaleArg::CameraHeight(1.65)));
        assert_eq!(ScaleArg::parse("agl:C:/h.txt"), Ok(ScaleArg::HeightAboveGround("C:/h.txt".into())));
        assert_eq!(ScaleArg::parse("depth"), Ok(ScaleArg::Depth(None)));
        assert_eq!(ScaleArg::parse("depth:23.5"), Ok(ScaleArg::Depth(Some(23.5))));
        for wrong in [
            "",
            "depth:",
            "depth:0",
            "none:1",
            "fixed",
            "fixed:-1",
            "camera-height:NaN",
            "agl",
            "velocity:",
            "sonar:3",
        ] {
            assert!(ScaleArg::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_and_rates_are_checked() {
        assert_eq!(image_size("640x480"), Ok((640, 480)));
        assert!(
            rate("0") == Ok(0.0) && rate("12.5") == Ok(12.5) && rate("-1").is_err() && rate("nan").is_err()
        );
        assert!(image_size("640").is_err() && image_size("0x480").is_err() && image_size("axb").is_err());
    }
}
