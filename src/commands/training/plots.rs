//! Curves of a training as plots.

use eval::{Figure, Plot};

use super::Table;

/// Points of a line that has a value for each step: single steps say little.
const POINTS: usize = 200;

/// A named line.
pub(in crate::commands) type Line = (String, Vec<(f64, f64)>);

/// A plot over the steps.
pub(in crate::commands) fn plot(title: &str, y_label: &str, lines: Vec<Line>) -> Plot {
    Plot {
        title: title.to_owned(),
        x_label: "step".to_owned(),
        y_label: y_label.to_owned(),
        lines,
        dots: false,
    }
}

/// A column that has a value for each step, as means over stretches, under a name.
pub(in crate::commands) fn mean(table: &Table, column: &str, name: &str) -> Line {
    (name.to_owned(), means(&table.column(column)))
}

/// The learning rate and the time.
pub(in crate::commands) fn of_time(table: &Table) -> [Plot; 2] {
    let times =
        vec![mean(table, "seconds", "whole step"), mean(table, "waited_seconds", "waiting for images")];
    [
        plot("Learning rate", "rate", vec![mean(table, "learning_rate", "rate")]),
        plot("Time", "s a step", times),
    ]
}

/// How long a step takes, and how much of that it waits.
pub(in crate::commands) fn time_figures(table: &Table) -> [Figure; 2] {
    let time = |name: &str| table.column(name).iter().map(|(_, seconds)| seconds).sum::<f64>();
    let (seconds, waited, steps) = (time("seconds"), time("waited_seconds"), table.steps());
    [
        Figure::new("time a step", seconds / steps.max(1) as f64, "s")
            .protocol("wall time without validation"),
        Figure::new("waiting for images", 100.0 * waited / seconds.max(f64::MIN_POSITIVE), "%")
            .protocol("share of the time of the steps"),
    ]
    .map(|figure| figure.count(steps, "steps"))
}

/// Means over stretches of at most [`POINTS`].
fn means(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let stretch = points.len().div_ceil(POINTS).max(1);
    let mean =
        |of: &[(f64, f64)], axis: fn(&(f64, f64)) -> f64| of.iter().map(axis).sum::<f64>() / of.len() as f64;
    points.chunks(stretch).map(|of| (mean(of, |p| p.0), mean(of, |p| p.1))).collect()
}
