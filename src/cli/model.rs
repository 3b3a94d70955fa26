//! What can be typed after `kestrel model`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use nn::kernels::Kernel;
use nn::preprocess::{Colors, triple};
use nn::quantize::RangeChoice;

#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// Run a network on raw values
    Run(ModelRunArgs),
    /// Show what a network computes, on which kernel, how long each layer takes, and what runs in float
    Inspect(ModelInspectArgs),
    /// Turn a float network into one on bytes, with images to calibrate it
    Quantize(ModelQuantizeArgs),
    /// Show where two networks come to differ, tensor by tensor
    Compare(ModelCompareArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EngineArgs {
    /// Instructions to run on: scalar, avx2, ...; default: the fastest that this processor has
    #[arg(long, value_name = "NAME", value_parser = kernel)]
    pub(crate) kernel: Option<Kernel>,
    /// Threads that share the work of a layer
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = super::at_least_one)]
    pub(crate) threads: usize,
}

impl EngineArgs {
    /// The kernel asked for, or the fastest.
    pub(crate) fn kernel(&self) -> Kernel {
        self.kernel.unwrap_or_else(Kernel::best)
    }
}

#[derive(Debug, Args)]
pub(crate) struct ModelRunArgs {
    /// The ONNX file
    pub(crate) file: PathBuf,
    /// Values of all inputs in graph order: raw little-endian f32
    #[arg(long, value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// Where the values of all outputs go, in graph order: raw little-endian f32
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Measure so many runs, after one that is not measured
    #[arg(long, value_name = "RUNS", default_value_t = 1, value_parser = super::at_least_one)]
    pub(crate) bench: usize,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ModelInspectArgs {
    /// The ONNX file
    pub(crate) file: PathBuf,
    /// Runs that the times are medians of
    #[arg(long, value_name = "N", default_value_t = 11, value_parser = super::at_least_one)]
    pub(crate) runs: usize,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ModelQuantizeArgs {
    /// The ONNX file with the float network: fixed shapes, operator set 11 or newer
    pub(crate) input: PathBuf,
    /// The ONNX file to write; it is replaced
    pub(crate) output: PathBuf,
    /// Folder with PNG or JPEG images like those that the network will see
    #[arg(long, value_name = "DIR")]
    pub(crate) calibration: PathBuf,
    #[command(flatten)]
    pub(crate) images: ImageArgs,
    /// How the range of an activation is chosen: min-max, mean-square or percentile:99.99
    #[arg(long, value_name = "CHOICE", default_value = "mean-square", value_parser = str::parse::<RangeChoice>)]
    pub(crate) range: RangeChoice,
    /// Make channels between layers equal in reach first (cross-layer equalisation)
    #[arg(long)]
    pub(crate) equalize: bool,
    /// Leave the biases as they are: without it, they take back what rounded weights add to the mean of a channel
    #[arg(long)]
    pub(crate) no_bias_correction: bool,
    /// A node that stays in float; may be given again
    #[arg(long, value_name = "NODE")]
    pub(crate) keep_float: Vec<String>,
    /// What would keep less signal to noise than this stays in float
    #[arg(long, value_name = "DB", default_value_t = 10.0, allow_negative_numbers = true)]
    pub(crate) min_sqnr: f64,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ModelCompareArgs {
    /// The ONNX file of the network to measure against
    pub(crate) first: PathBuf,
    /// The ONNX file of the other network
    pub(crate) second: PathBuf,
    /// Folder with PNG or JPEG images to run both on
    #[arg(long, value_name = "DIR")]
    pub(crate) images: PathBuf,
    #[command(flatten)]
    pub(crate) preprocessing: ImageArgs,
    #[command(flatten)]
    pub(crate) engine: EngineArgs,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

/// How images become inputs: resized to the network, then `(value / 255 - mean) / deviation`.
#[derive(Debug, Args)]
pub(crate) struct ImageArgs {
    /// Subtracted from values from 0 to 1: one number, or three as R,G,B; default: what the file says, else 0
    #[arg(long, value_name = "MEAN", value_parser = triple, allow_negative_numbers = true)]
    pub(crate) mean: Option<[f32; 3]>,
    /// Divides them then: one number, or three as R,G,B; default: what the file says, else 1
    #[arg(long, value_name = "DEVIATION", value_parser = deviation)]
    pub(crate) deviation: Option<[f32; 3]>,
    /// Channels in order: rgb, bgr or gray; default: what the file says, else gray for inputs of one channel and rgb
    #[arg(long, value_name = "ORDER", value_parser = str::parse::<Colors>)]
    pub(crate) colors: Option<Colors>,
    /// Use so many images at most, spread evenly over the folder
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = super::at_least_one)]
    pub(crate) max_images: usize,
}

fn kernel(name: &str) -> Result<Kernel, String> {
    name.parse().map_err(|error: nn::NnError| error.to_string())
}

fn deviation(text: &str) -> Result<[f32; 3], String> {
    let values = triple(text).map_err(|error| error.to_string())?;
    let positive = values.iter().all(|value| *value > 0.0);
    positive.then_some(values).ok_or_else(|| "expected numbers above 0".to_owned())
}
