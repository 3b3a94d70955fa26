//! What sees depth in a flight, and the pictures of it for the report.

use std::sync::{Arc, Mutex};

use anyhow::Context;
use eval::depth::{color_depth, inverse_depth_range};
use eval::{Figure, SampleFrame};
use geometry::RgbImage;
use nn::kernels::Kernel;
use runtime::DepthSummary;
use runtime::run::DepthTable;
use runtime::stages::{DepthChoice, DepthEstimate, DepthEstimator, DepthFactory};
use vo::{DepthNetwork, NetworkPrior};

use crate::cli::FlightDepthArgs;
use crate::films::developed;
use crate::model_file::{DEPTH, ModelFile};
use crate::snapshots::reduced;
use crate::spread::Spread;

const WITHOUT: &str = "--no-depth replays without it";
/// Pictures in a report.
const PICTURES: usize = 4;
/// Pictures wider than this are reduced by a whole factor.
const MAX_WIDTH: usize = 640;

/// What sees depth in a flight; `None` where nobody is to look.
///
/// # Errors
/// Where the file can't be read or holds no depth network.
pub(crate) fn for_flight(args: &FlightDepthArgs) -> anyhow::Result<Option<(DepthChoice, DepthFactory)>> {
    if args.no_depth {
        return Ok(None);
    }
    let file = ModelFile::open(args.depth_model.as_deref(), &DEPTH)?;
    file.depth_network()?;
    let (network, fingerprint) = (file.name().to_owned(), file.fingerprint());
    Ok(Some((DepthChoice { network, fingerprint, every: args.depth_every }, factory(file))))
}

/// The metres in a unit of the network's depth that `--scale depth` stands for: as many as typed, or else as its file says.
///
/// # Errors
/// Where nobody knows.
pub(crate) fn metres_per_unit(args: &FlightDepthArgs, typed: Option<f64>) -> anyhow::Result<f64> {
    if let Some(metres) = typed {
        return Ok(metres);
    }
    let file = ModelFile::open(args.depth_model.as_deref(), &DEPTH)?;
    file.depth_network()?.description().metres_per_unit.map(f64::from).with_context(|| {
        format!(
            "expected --scale depth:V with V metres in a unit of depth, which {} does not know",
            file.name()
        )
    })
}

/// What tells the metres by depth: the `network` of the flight, its name and its fingerprint.
///
/// # Errors
/// Where there is none, it is gone or another one is in its place.
pub(crate) fn prior(
    metres_per_unit: f64,
    network: Option<(&str, &str)>,
) -> anyhow::Result<Arc<NetworkPrior>> {
    let (name, fingerprint) =
        network.context("expected a depth network for --scale depth: leave --no-depth out")?;
    let file = ModelFile::as_flown(name, fingerprint, &DEPTH, "--scale depth needs it")?;
    Ok(Arc::new(NetworkPrior::new(file.depth_network()?, metres_per_unit)))
}

/// What saw depth in a recorded flight.
///
/// # Errors
/// Where the network that flew is gone or another one is in its place.
pub(crate) fn as_flown(flown: &DepthTable) -> anyhow::Result<DepthFactory> {
    let file = ModelFile::as_flown(&flown.network, &flown.fingerprint, &DEPTH, WITHOUT)?;
    file.depth_network().context(WITHOUT)?;
    Ok(factory(file))
}

fn factory(file: ModelFile) -> DepthFactory {
    Arc::new(move || {
        let network = DepthNetwork::read(file.bytes(), Kernel::best())?;
        Ok(Box::new(network) as Box<dyn DepthEstimator>)
    })
}

/// Looks spread over a flight.
#[derive(Debug)]
pub(crate) struct DepthFilm(Spread<Arc<DepthEstimate>>);

impl Default for DepthFilm {
    fn default() -> Self {
        Self(Spread::new(PICTURES))
    }
}

impl DepthFilm {
    /// What looks at every depth of a flight.
    pub(crate) fn observer(film: &Arc<Mutex<Self>>) -> impl FnMut(&Arc<DepthEstimate>) + Send + use<> {
        let film = Arc::clone(film);
        move |estimate| developed(&film).0.offer(|| Arc::clone(estimate))
    }

    /// Frames with their depths below them, in the order of the flight.
    pub(crate) fn pictures(&self) -> anyhow::Result<Vec<SampleFrame>> {
        self.0.chosen().map(|estimate| picture(estimate)).collect()
    }
}

fn picture(estimate: &DepthEstimate) -> anyhow::Result<SampleFrame> {
    let (frame, depth) = (&estimate.frame, &estimate.depth);
    let image = reduced(frame, frame.size().0.div_ceil(MAX_WIDTH));
    let (width, height) = image.size();
    let range = inverse_depth_range(depth).unwrap_or([0.0, 1.0]);
    let colored = color_depth(&depth.resized(width, height), range);
    let both = RgbImage::from_fn(width, 2 * height, |x, y| match y.checked_sub(height) {
        Some(y) => colored.pixel(x, y),
        None => image.pixel(x, y),
    });
    let caption =
        format!("frame {}, {:.2} s: its depth, bright where near", frame.seq, frame.stamp.as_secs_f64());
    Ok(SampleFrame::from_rgb(caption, &both)?)
}

/// Every figure with its protocol.
pub(crate) fn figures(summary: &DepthSummary) -> Vec<Figure> {
    let protocol = format!("its own thread; {}, one look in {} frames", summary.network, summary.every);
    vec![
        Figure::new("CPU, a look at depth", summary.cpu_ms_per_look, "ms")
            .protocol(protocol)
            .count(summary.looks as usize, "looks"),
    ]
}
