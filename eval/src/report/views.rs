//! Which charts show a run.

use geometry::Se3;
use nalgebra::Vector3;

use super::chart::{Chart, Ink, Marks, Series};
use crate::metrics::distances;
use crate::{AssociatedFrame, LatencyStats, OdometryReport};

/// A run that is shown: its name and its measures.
pub(super) type Run = (String, OdometryReport);

/// Which two axes of the first camera make a map, and which is height.
///
/// A camera that looks ahead moves over x and z, one that looks down over x and y: the map is spanned by the two axes
/// with the most motion.
#[derive(Clone, Copy)]
struct MapView {
    across: Axis,
    up: Axis,
    height: Axis,
    title: &'static str,
}

const FROM_ABOVE: &str = "Trajectory from above";

#[derive(Clone, Copy)]
struct Axis {
    index: usize,
    sign: f64,
    label: &'static str,
}

const RIGHT: Axis = Axis { index: 0, sign: 1.0, label: "x, right" };
const UP: Axis = Axis { index: 1, sign: -1.0, label: "−y, up" };
const FORWARD: Axis = Axis { index: 2, sign: 1.0, label: "z, forward" };
const AGAINST_VIEW: Axis = Axis { index: 2, sign: -1.0, label: "−z, up when looking down" };

impl Axis {
    fn label(self, unit: &str) -> String {
        format!("{} [{unit}]", self.label)
    }

    fn of(self, point: &Vector3<f64>) -> f64 {
        point[self.index] * self.sign
    }
}

impl MapView {
    fn of(points: &[Vector3<f64>]) -> Self {
        let spread = |axis: usize| {
            let values = || points.iter().map(|p| p[axis]);
            values().fold(f64::NEG_INFINITY, f64::max) - values().fold(f64::INFINITY, f64::min)
        };
        let (x, y, z) = (spread(0), spread(1), spread(2));
        if y <= x && y <= z {
            Self { across: RIGHT, up: FORWARD, height: UP, title: FROM_ABOVE }
        } else if z <= x {
            // A camera that looks down: away from the scene is up.
            Self { across: RIGHT, up: UP, height: AGAINST_VIEW, title: FROM_ABOVE }
        } else {
            Self { across: FORWARD, up: UP, height: RIGHT, title: "Trajectory from the side" }
        }
    }

    fn map(self, points: &[Vector3<f64>]) -> Vec<(f64, f64)> {
        points.iter().map(|p| (self.across.of(p), self.up.of(p))).collect()
    }

    fn profile(self, along: &[f64], points: &[Vector3<f64>]) -> Vec<(f64, f64)> {
        along.iter().zip(points).map(|(d, p)| (*d, self.height.of(p))).collect()
    }
}

/// The frames of a run, in the coordinates of the first one where they share a moment.
fn in_frame_of(reference: &[AssociatedFrame], frames: &[AssociatedFrame]) -> Vec<AssociatedFrame> {
    let shared = frames.iter().find_map(|frame| {
        let index = reference.binary_search_by_key(&frame.stamp, |f| f.stamp).ok()?;
        Some(reference[index].ground_truth * frame.ground_truth.inverse())
    });
    let reference_from_run = shared.unwrap_or_else(Se3::identity);
    let moved = frames.iter().map(|frame| AssociatedFrame {
        stamp: frame.stamp,
        ground_truth: reference_from_run * frame.ground_truth,
        estimate: frame.estimate.map(|pose| reference_from_run * pose),
    });
    moved.collect()
}

/// Map, height profile, error and drift of runs against the ground truth of the first.
pub(super) fn odometry_charts(runs: &[Run]) -> Vec<Chart> {
    let Some((_, first)) = runs.first() else { return Vec::new() };
    let placed: Vec<Vec<AssociatedFrame>> =
        runs.iter().map(|(_, report)| in_frame_of(&first.aligned, &report.aligned)).collect();
    let truth: Vec<Vector3<f64>> = first.aligned.iter().map(|f| f.ground_truth.translation).collect();
    let truth_along = distances(&first.aligned);
    let view = MapView::of(&truth);
    let mut map = vec![series("ground truth", Ink::GroundTruth, view.map(&truth))];
    let mut profile = vec![series("ground truth", Ink::GroundTruth, view.profile(&truth_along, &truth))];
    let (mut errors, mut drift, mut turn) = (Vec::new(), Vec::new(), Vec::new());
    for (index, ((name, report), frames)) in runs.iter().zip(&placed).enumerate() {
        let ink = Ink::Run(index);
        let (along, estimate): (Vec<f64>, Vec<Vector3<f64>>) =
            with_estimate(frames).map(|(d, _, e)| (d, e)).unzip();
        map.push(series(name, ink, view.map(&estimate)));
        profile.push(series(name, ink, view.profile(&along, &estimate)));
        errors.push(series(name, ink, with_estimate(frames).map(|(d, g, e)| (d, (g - e).norm())).collect()));
        drift.push(series(name, ink, over_length(report, |l| l.t_err_percent)));
        turn.push(series(name, ink, over_length(report, |l| l.r_err_deg_per_100m)));
    }
    vec![
        Chart {
            equal_axes: true,
            ..chart(view.title, &view.across.label("m"), &view.up.label("m"), map, Marks::Start)
        },
        Chart {
            from_zero: true,
            ..chart("Position error along the way", DISTANCE, "error [m]", errors, Marks::Line)
        },
        chart(PROFILE, DISTANCE, &view.height.label("m"), profile, Marks::Line),
        drift_chart("Drift by segment length, translation", "t_err [%]", drift),
        drift_chart("Drift by segment length, rotation", "r_err [deg/100 m]", turn),
    ]
}

const DISTANCE: &str = "distance travelled [m]";
const PROFILE: &str = "Profile along the way";

/// Map and height of trajectories that nothing is known about but themselves; `unit` is that of their lengths.
pub(super) fn trajectory_charts(trajectories: &[(String, geometry::Trajectory)], unit: &str) -> Vec<Chart> {
    let points: Vec<Vec<Vector3<f64>>> = trajectories.iter().map(|(_, t)| relative_positions(t)).collect();
    let Some(first) = points.first() else { return Vec::new() };
    let view = MapView::of(first);
    let (mut map, mut profile) = (Vec::new(), Vec::new());
    for (index, ((name, trajectory), points)) in trajectories.iter().zip(&points).enumerate() {
        map.push(series(name, Ink::Run(index), view.map(points)));
        profile.push(series(name, Ink::Run(index), view.profile(&trajectory.distances(), points)));
    }
    vec![
        Chart {
            equal_axes: true,
            ..chart(view.title, &view.across.label(unit), &view.up.label(unit), map, Marks::Start)
        },
        chart(
            PROFILE,
            &format!("distance travelled [{unit}]"),
            &view.height.label(unit),
            profile,
            Marks::Line,
        ),
    ]
}

/// How often a frame took how long.
pub(super) fn latency_chart(stats: &LatencyStats) -> Chart {
    let mut points: Vec<(f64, f64)> =
        stats.histogram.iter().map(|bin| (bin.from_ms, bin.count as f64)).collect();
    points.extend(stats.histogram.last().map(|bin| (bin.to_ms, 0.0)));
    let bars = vec![series(&stats.path, Ink::Run(0), points)];
    let title = format!("Latency, {}", stats.path);
    Chart { from_zero: true, ..chart(&title, "latency [ms]", "frames", bars, Marks::Bars) }
}

fn relative_positions(trajectory: &geometry::Trajectory) -> Vec<Vector3<f64>> {
    let camera_from_world = trajectory.poses().first().map_or_else(Se3::identity, Se3::inverse);
    trajectory.poses().iter().map(|pose| camera_from_world * pose.translation).collect()
}

/// Distance along the ground truth, true and estimated position of each frame that has one.
fn with_estimate(frames: &[AssociatedFrame]) -> impl Iterator<Item = (f64, Vector3<f64>, Vector3<f64>)> {
    distances(frames).into_iter().zip(frames).filter_map(|(distance, frame)| {
        Some((distance, frame.ground_truth.translation, frame.estimate?.translation))
    })
}

fn over_length(
    report: &OdometryReport,
    value: impl Fn(&crate::LengthError) -> Option<f64>,
) -> Vec<(f64, f64)> {
    report.per_length.iter().filter_map(|length| Some((length.length_m, value(length)?))).collect()
}

fn drift_chart(title: &str, y_label: &str, series: Vec<Series>) -> Chart {
    Chart { from_zero: true, ..chart(title, "segment length [m]", y_label, series, Marks::Dots) }
}

fn series(name: &str, ink: Ink, points: Vec<(f64, f64)>) -> Series {
    Series { name: name.to_owned(), points, ink }
}

fn chart(title: &str, x_label: &str, y_label: &str, series: Vec<Series>, marks: Marks) -> Chart {
    let (title, x_label, y_label) = (title.to_owned(), x_label.to_owned(), y_label.to_owned());
    Chart { title, x_label, y_label, series, marks, equal_axes: false, from_zero: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view_of(points: [[f64; 3]; 2]) -> MapView {
        MapView::of(&points.map(Vector3::from))
    }

    #[test]
    fn the_map_follows_the_motion() {
        let ahead = view_of([[0.0, 0.0, 0.0], [30.0, -2.0, 100.0]]);
        assert_eq!((ahead.up.label, ahead.height.label), ("z, forward", "−y, up"));
        let down = view_of([[0.0, 0.0, 0.0], [30.0, 50.0, -2.0]]);
        assert_eq!((down.up.label, down.height.label), ("−y, up", "−z, up when looking down"));
        assert_eq!(down.map(&[Vector3::new(1.0, 2.0, 3.0)]), [(1.0, -2.0)]);
    }
}
