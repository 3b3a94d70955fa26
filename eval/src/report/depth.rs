//! How depth was seen: the images one by one.

use super::chart::{Chart, Ink, Marks, Series};
use super::html::{Cell, table};
use crate::depth::{DepthReport, DepthScaling, ImageDepth};

/// Images that a page lists; the worst come first.
const IMAGES: usize = 40;
/// Fewer images make no curve.
const LEAST_OF_A_CURVE: usize = 5;

/// Error and scale of each image, in their order.
pub(super) fn charts(report: &DepthReport) -> Vec<Chart> {
    if report.per_image.len() < LEAST_OF_A_CURVE {
        return Vec::new();
    }
    let series = |name: &str, run: usize, value: &dyn Fn(&ImageDepth) -> f64| {
        let points = report.per_image.iter().enumerate();
        let points = points.map(|(index, image)| (index as f64, value(image))).collect();
        Series { name: name.to_owned(), points, ink: Ink::Run(run) }
    };
    let by = |scaling: DepthScaling| move |image: &ImageDepth| image.errors.by(scaling).abs_rel;
    let chart = |title: &str, y_label: &str, series: Vec<Series>| Chart {
        title: title.to_owned(),
        x_label: "image".to_owned(),
        y_label: y_label.to_owned(),
        series,
        marks: Marks::Line,
        equal_axes: false,
        from_zero: true,
    };
    vec![
        chart(
            "Error of each image",
            "abs rel",
            vec![
                series("scaled per image", 0, &by(DepthScaling::Image)),
                series("scaled per sequence", 1, &by(DepthScaling::Sequence)),
            ],
        ),
        chart(
            "Scale of each image",
            "median truth / median prediction",
            vec![series("scale", 0, &|image| image.ratio)],
        ),
    ]
}

/// The images, the worst first.
pub(super) fn tables(report: &DepthReport) -> String {
    let all = report.image_rows();
    let worst = report.worst_images(DepthScaling::Image);
    let rows: Vec<Vec<String>> =
        all.iter().take(1).chain(worst.iter().take(IMAGES).map(|index| &all[index + 1])).cloned().collect();
    let heading = match worst.len() > IMAGES {
        true => format!("The {IMAGES} worst of {} images", worst.len()),
        false => "Images, the worst first".to_owned(),
    };
    let number = Cell::Number;
    let table = table(&rows, &[Cell::Text, number, number, number, number, Cell::Count]);
    format!("<h3>{heading}</h3>\n{table}")
}
