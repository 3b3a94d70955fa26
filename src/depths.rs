//! What sees depth in a flight, and the pictures of it for the report.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::ensure;
use eval::depth::{color_depth, inverse_depth_range};
use eval::{Figure, SampleFrame};
use geometry::RgbImage;
use nn::kernels::Kernel;
use runtime::DepthSummary;
use runtime::run::DepthTable;
use runtime::stages::{DepthChoice, DepthEstimate, DepthEstimator, DepthFactory};
use vo::DepthNetwork;

use crate::cli::FlightDepthArgs;
use crate::films::developed;
use crate::model_file::{DEPTH, ModelFile};
use crate::spread::Spread;

const WITHOUT: &str = "--no-depth replays without it";
/// Pictures in a report.
const PICTURES: usize = 4;
/// Width of the pictures.
const WIDTH: usize = 640;

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

/// What saw depth in a recorded flight.
///
/// # Errors
/// Where the network that flew is gone or another one is in its place.
pub(crate) fn as_flown(flown: &DepthTable) -> anyhow::Result<DepthFactory> {
    let path = Some(Path::new(&flown.network)).filter(|_| flown.network != DEPTH.name);
    let file = ModelFile::open(path, &DEPTH).map_err(|error| error.context(WITHOUT))?;
    let found = file.fingerprint();
    ensure!(
        found == flown.fingerprint,
        "expected the depth network that flew, {} with fingerprint {}, found {found}; {WITHOUT}",
        flown.network,
        flown.fingerprint
    );
    file.depth_network().map_err(|error| error.context(WITHOUT))?;
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
        let kept = self.0.kept();
        let parts = PICTURES.min(kept.len());
        (0..parts).map(|part| picture(&kept[part * kept.len() / parts])).collect()
    }
}

fn picture(estimate: &DepthEstimate) -> anyhow::Result<SampleFrame> {
    let (frame, depth) = (&estimate.frame, &estimate.depth);
    let (width, height) = frame.size();
    let height = (height * WIDTH / width).max(1);
    let colored =
        color_depth(&depth.resized(WIDTH, height), inverse_depth_range(depth).unwrap_or([0.0, 1.0]));
    let place = |value: usize, from: usize, to: usize| value * from / to;
    let both = RgbImage::from_fn(WIDTH, 2 * height, |x, y| {
        if y >= height {
            return colored.pixel(x, y - height);
        }
        let (x, y) = (place(x, width, WIDTH), place(y, frame.size().1, height));
        frame.rgb.as_ref().map_or_else(|| [frame.gray.pixel(x, y)[0]; 3], |rgb| rgb.pixel(x, y))
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
