//! Detectors and what they shall look at, as typed.

use std::path::PathBuf;

use clap::Args;

use super::WindowArgs;

#[derive(Debug, Args)]
pub(crate) struct DetectArgs {
    /// An image, a folder of images, a video file, or anything else that `kestrel run` takes
    pub(crate) source: String,
    /// Folder for the drawn pictures (of a video, a drawn video) and detections.json; an earlier result there is kept as DIR.1
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Detector to use instead of the one that comes with the program: an ONNX file of `kestrel train detector` or `kestrel model
    /// quantize`
    #[arg(long, value_name = "FILE")]
    pub(crate) detector: Option<PathBuf>,
    /// Report nothing below this score, above 0 and below 1; default: what the detector's file says
    #[arg(long, value_name = "S", value_parser = score)]
    pub(crate) score: Option<f32>,
    /// Look at each image once, scaled down to the detector's input, without tiles at full resolution: faster, and blind to
    /// what is small
    #[arg(long)]
    pub(crate) whole: bool,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    /// Print one JSON object on standard output
    #[arg(long)]
    pub(crate) json: bool,
}

// Without a line of its own: it would become that of the commands that take it in.
#[derive(Debug, Args)]
pub(crate) struct FlightDetectorArgs {
    /// Detector to look with instead of the one that comes with the program: an ONNX file of `kestrel train detector` or `kestrel
    /// model quantize`
    #[arg(long, value_name = "FILE", conflicts_with = "no_detector")]
    pub(crate) detector: Option<PathBuf>,
    /// Don't look for objects
    #[arg(long)]
    pub(crate) no_detector: bool,
    /// Look for objects in every Nth frame. A look costs as much CPU time as the odometry needs for some ten frames, so that by
    /// default both together cost about twice the odometry
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "no_detector")]
    pub(crate) detect_every: u64,
    /// Report no object below this score, above 0 and below 1; default: what the detector's file says
    #[arg(long, value_name = "S", value_parser = score, conflicts_with = "no_detector")]
    pub(crate) detect_score: Option<f32>,
}

pub(super) fn score(text: &str) -> Result<f32, String> {
    let score = text.parse().ok().filter(|score: &f32| *score > 0.0 && *score < 1.0);
    score.ok_or_else(|| "expected a number above 0 and below 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_lie_between_none_and_certain() {
        assert_eq!(score("0.25"), Ok(0.25));
        for wrong in ["", "0", "1", "-0.5", "NaN", "high"] {
            assert!(score(wrong).is_err(), "{wrong}");
        }
    }
}
