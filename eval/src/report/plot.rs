//! A plot of whatever a page is about.

use super::chart::{Chart, Ink, Marks, Series};

/// Lines over a common axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// Name of the axis sideways, with its unit.
    pub x_label: String,
    /// Name of the axis upwards, with its unit.
    pub y_label: String,
    /// Each with its name and its points `(x, y)`; points that are not finite are left out.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
    /// Whether each point has a dot: for few of them.
    pub dots: bool,
}

impl Plot {
    pub(super) fn chart(&self) -> Chart {
        let series = self.lines.iter().enumerate().map(|(index, (name, points))| {
            let points = points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite());
            Series { name: name.clone(), points: points.collect(), ink: Ink::Run(index) }
        });
        Chart {
            title: self.title.clone(),
            x_label: self.x_label.clone(),
            y_label: self.y_label.clone(),
            series: series.collect(),
            marks: if self.dots { Marks::Dots } else { Marks::Line },
            equal_axes: false,
            from_zero: true,
        }
    }
}
