//! What sees motion in a flight beside the odometry, and what its trajectory is worth.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use eval::{Figure, OdometryReport, TrajectoryFile};
use geometry::Trajectory;
use nn::kernels::Kernel;
use runtime::PoseSummary;
use runtime::run::{PoseTable, TRAJECTORY_NETWORK};
use runtime::stages::{PoseChoice, PoseEstimator, PoseFactory};
use vo::{NetworkOdometry, PoseNetwork};

use crate::cli::FlightPoseArgs;
use crate::model_file::{ModelFile, POSE};

const WITHOUT: &str = "--no-pose replays without it";
/// What is told of its trajectory among the figures; all is in `metrics.json`.
const WORTH: [&str; 2] = ["ATE rmse", "5-frame ATE"];

/// What sees motion in a flight; `None` where nobody is to look.
///
/// # Errors
/// Where the file can't be read or holds no pose network.
pub(crate) fn for_flight(args: &FlightPoseArgs) -> anyhow::Result<Option<(PoseChoice, PoseFactory)>> {
    if !args.pose && args.pose_model.is_none() {
        return Ok(None);
    }
    let file = ModelFile::open(args.pose_model.as_deref(), &POSE)?;
    file.pose_network()?;
    let (network, fingerprint) = (file.name().to_owned(), file.fingerprint());
    Ok(Some((PoseChoice { network, fingerprint }, factory(file))))
}

/// What saw motion in a recorded flight.
///
/// # Errors
/// Where the network that flew is gone or another one is in its place.
pub(crate) fn as_flown(flown: &PoseTable) -> anyhow::Result<PoseFactory> {
    let file = ModelFile::as_flown(&flown.network, &flown.fingerprint, &POSE, WITHOUT)?;
    file.pose_network().context(WITHOUT)?;
    Ok(factory(file))
}

fn factory(file: ModelFile) -> PoseFactory {
    Arc::new(move || {
        let network = PoseNetwork::read(file.bytes(), Kernel::best())?;
        Ok(Box::new(NetworkOdometry::new(network)) as Box<dyn PoseEstimator>)
    })
}

/// The trajectory that the network of the flight in `run` left; `None` where it left no pose.
///
/// # Errors
/// Where the file can't be understood.
pub(crate) fn read(run: &Path, summary: &PoseSummary) -> anyhow::Result<Option<TrajectoryFile>> {
    let path = run.join(TRAJECTORY_NETWORK);
    let is_there = summary.frames > 0 && path.exists();
    Ok(is_there.then(|| eval::read_trajectory(&path)).transpose()?)
}

/// The estimate of `report` as it was aligned.
///
/// # Errors
/// None of trajectories that were read.
pub(crate) fn aligned(report: &OdometryReport) -> anyhow::Result<Trajectory> {
    let mut trajectory = Trajectory::new();
    for frame in &report.aligned {
        if let Some(pose) = frame.estimate {
            trajectory.push(frame.stamp, pose)?;
        }
    }
    Ok(trajectory)
}

/// Every figure with its protocol; `accuracy` is against the truth.
pub(crate) fn figures(summary: &PoseSummary, accuracy: Option<&OdometryReport>) -> Vec<Figure> {
    let cost = Figure::new("CPU, pose network", summary.cpu_ms_per_frame, "ms/frame")
        .protocol(format!("its own thread; {}", summary.network))
        .count(summary.frames as usize, "frames");
    let worth = accuracy.into_iter().flat_map(OdometryReport::figures);
    let worth = worth.filter(|figure| WORTH.contains(&&*figure.name));
    let named = worth.map(|figure| Figure { name: format!("{}, pose network", figure.name), ..figure });
    std::iter::once(cost).chain(named).collect()
}
