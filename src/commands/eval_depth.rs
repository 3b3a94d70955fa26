//! `kestrel eval depth`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use datasets::depth::{DepthFormat, DepthSample, depth_samples, read_depth_png};
use eval::Report;
use eval::depth::{DepthCrop, DepthPairs, DepthProtocol, DepthReport, DepthScaling, depth_picture};
use geometry::{DepthImage, Frame};
use runtime::graph::process_cpu;
use serde_json::{Value, json};
use vo::{DepthNetwork, PredictedDepth};

use crate::cli::{CropArg, DepthFormatArg, EvalDepthArgs, ScalingArg};
use crate::commands::ensure_replaceable;
use crate::logging::{answer, say};
use crate::model_file::{DEPTH, ModelFile};
use crate::progress::FrameProgress;

/// Images that a report shows: the best, the worst and some between.
const PICTURES: usize = 6;

pub(super) fn eval_depth(args: &EvalDepthArgs) -> anyhow::Result<ExitCode> {
    if let Some(path) = &args.report {
        ensure_replaceable(path)?;
    }
    let protocol = protocol(args)?;
    let samples = depth_samples(&args.data, format(args.format))?;
    let mut source = source(args, samples.len())?;
    let measured = Measured::new(&samples, &protocol, &mut source)?;
    let scaling = scaling(args);
    if let Some(path) = &args.report {
        page(args, scaling, &protocol, &samples, &measured, &mut source)?.write(path)?;
        say(&format!("report: {}", path.display()));
    }
    answer(&if args.json {
        serde_json::to_string_pretty(&measured.json(scaling)?)?
    } else {
        measured.text(scaling)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn format(arg: DepthFormatArg) -> DepthFormat {
    match arg {
        DepthFormatArg::KittiObject => DepthFormat::KittiObject,
        DepthFormatArg::World => DepthFormat::World,
        DepthFormatArg::Tum => DepthFormat::Tum,
    }
}

fn protocol(args: &EvalDepthArgs) -> anyhow::Result<DepthProtocol> {
    let crop = match args.crop {
        Some(CropArg::Garg) => DepthCrop::Garg,
        Some(CropArg::Eigen) => DepthCrop::Eigen,
        None if args.format == DepthFormatArg::KittiObject => DepthCrop::Garg,
        Some(CropArg::None) | None => DepthCrop::None,
    };
    Ok(DepthProtocol { crop, min_m: args.min_depth, max_m: args.max_depth }.checked()?)
}

fn scaling(args: &EvalDepthArgs) -> DepthScaling {
    match args.scaling {
        Some(ScalingArg::Image) => DepthScaling::Image,
        Some(ScalingArg::Sequence) => DepthScaling::Sequence,
        Some(ScalingArg::None) => DepthScaling::None,
        None if args.format == DepthFormatArg::KittiObject => DepthScaling::Image,
        None => DepthScaling::Sequence,
    }
}

/// Where predictions come from.
enum DepthSource {
    /// A network, what it has seen so far, and the CPU time that this took.
    Network {
        network: Box<DepthNetwork>,
        seen: Vec<Option<PredictedDepth>>,
        cpu: Duration,
    },
    Files {
        folder: PathBuf,
        values_per_metre: f64,
    },
}

fn source(args: &EvalDepthArgs, images: usize) -> anyhow::Result<DepthSource> {
    if let Some(folder) = &args.predictions {
        let values = args.values_per_metre;
        ensure!(values > 0.0 && values.is_finite(), "expected a positive --values-per-metre, found {values}");
        ensure!(folder.is_dir(), "expected a folder of predictions, found none at {}", folder.display());
        return Ok(DepthSource::Files { folder: folder.clone(), values_per_metre: values });
    }
    let network = ModelFile::open(args.model.as_deref(), &DEPTH)?.depth_network()?;
    Ok(DepthSource::Network { network: Box::new(network), seen: vec![None; images], cpu: Duration::ZERO })
}

impl DepthSource {
    /// The prediction for image `index`, `frame`, in the size of the image. A network looks at each image once.
    fn predict(&mut self, index: usize, name: &str, frame: &Frame) -> anyhow::Result<DepthImage> {
        let (width, height) = frame.size();
        match self {
            Self::Files { folder, values_per_metre } => {
                let depth = read_depth_png(&folder.join(format!("{name}.png")), *values_per_metre)?;
                Ok(if depth.size() == frame.size() { depth } else { depth.resized(width, height) })
            }
            Self::Network { network, seen, cpu } => {
                let predicted = match seen[index].take() {
                    Some(predicted) => predicted,
                    None => {
                        let before = process_cpu();
                        let predicted = network.predict(frame)?;
                        *cpu += process_cpu() - before;
                        predicted
                    }
                };
                let depth = predicted.depth(width, height);
                seen[index] = Some(predicted);
                Ok(depth)
            }
        }
    }

    fn cpu(&self) -> Option<Duration> {
        match self {
            Self::Network { cpu, .. } => Some(*cpu),
            Self::Files { .. } => None,
        }
    }
}

/// Truth and prediction of an image, beside it.
fn look(
    sample: &DepthSample,
    index: usize,
    source: &mut DepthSource,
) -> anyhow::Result<(Frame, DepthImage, DepthImage)> {
    let frame = sample.frame()?;
    let truth = sample.truth(frame.size())?;
    let predicted = source.predict(index, &sample.name, &frame).with_context(|| sample.name.clone())?;
    Ok((frame, truth, predicted))
}

/// What came out.
struct Measured {
    report: DepthReport,
    cpu_ms_per_image: Option<f64>,
}

impl Measured {
    fn new(
        samples: &[DepthSample],
        protocol: &DepthProtocol,
        source: &mut DepthSource,
    ) -> anyhow::Result<Self> {
        let names: Vec<String> = samples.iter().map(|sample| sample.name.clone()).collect();
        let mut bar = FrameProgress::new(Some(2 * samples.len() as u64));
        let mut done = 0;
        let report = DepthReport::measure(&names, protocol, |index| -> anyhow::Result<DepthPairs> {
            let (_, truth, predicted) = look(&samples[index], index, source)?;
            done += 1;
            bar.update(done, String::new);
            Ok(DepthPairs::new(&truth, &predicted, protocol)?)
        })?;
        bar.finish();
        let cpu_ms_per_image = source.cpu().map(|cpu| cpu.as_secs_f64() * 1e3 / samples.len() as f64);
        Ok(Self { report, cpu_ms_per_image })
    }

    fn json(&self, scaling: DepthScaling) -> anyhow::Result<Value> {
        let report = &self.report;
        let mut value = serde_json::to_value(report.errors.by(scaling))?;
        let more = json!({
            "images": report.per_image.len(),
            "scaling": scaling,
            "by_scaling": report.errors,
            "constant": report.constant,
            "ratio": report.ratio,
            "ratio_spread": report.ratio_spread,
            "pixels": report.pixels,
            "missing_pixels": report.missing_pixels,
            "protocol": report.protocol,
            "per_image": report.per_image,
            "cpu_ms_per_image": self.cpu_ms_per_image,
            "notes": report.notes(),
        });
        if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
            value.extend(more);
        }
        Ok(value)
    }

    fn text(&self, scaling: DepthScaling) -> String {
        let time = self.cpu_ms_per_image.map(|ms| format!("{ms:.2} ms CPU an image, reading it left out\n"));
        let notes: String = self.report.notes().iter().map(|note| format!("- {note}\n")).collect();
        format!("{}\n{}{notes}", self.report.text(scaling), time.unwrap_or_default())
    }
}

fn page(
    args: &EvalDepthArgs,
    scaling: DepthScaling,
    protocol: &DepthProtocol,
    samples: &[DepthSample],
    measured: &Measured,
    source: &mut DepthSource,
) -> anyhow::Result<Report> {
    let judged = args.model.as_deref().or(args.predictions.as_deref()).unwrap_or(Path::new(DEPTH.name));
    let name = judged.file_name().unwrap_or_default().to_string_lossy();
    let report = &measured.report;
    let page = Report::new(format!("Depth by {name} on {}", args.data.display()));
    let mut page = page.subtitle(format!("{} images; {}", report.per_image.len(), report.protocol));
    for place in shown(&report.worst_images(scaling)) {
        let image = &report.per_image[place];
        let index = samples.iter().position(|sample| sample.name == image.name).unwrap_or(place);
        let (frame, truth, predicted) = look(&samples[index], index, source)?;
        let scale = match scaling {
            DepthScaling::Image => image.ratio,
            DepthScaling::Sequence => report.ratio,
            DepthScaling::None => 1.0,
        };
        let caption = format!("{}, abs rel {:.3}", image.name, image.errors.by(scaling).abs_rel);
        page = page.frame(depth_picture(caption, &frame, &truth, &predicted, scale, protocol)?);
    }
    Ok(page.depth(report.clone(), scaling))
}

/// Of images in the order of their errors evenly many from first to last, so that a page does not show the worst alone.
fn shown(order: &[usize]) -> Vec<usize> {
    let count = order.len().min(PICTURES);
    (0..count).map(|index| order[index * (order.len() - 1) / (count - 1).max(1)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_go_from_the_worst_to_the_best() {
        let order: Vec<usize> = (0..100).collect();
        assert_eq!(shown(&order), [0, 19, 39, 59, 79, 99]);
        assert_eq!((shown(&[7]), shown(&[4, 2])), (vec![7], vec![4, 2]));
        assert!(shown(&[]).is_empty());
    }
}
