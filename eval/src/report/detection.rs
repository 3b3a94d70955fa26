//! How objects were found: curves and tables.

use super::chart::{Chart, Ink, Marks, Series};
use super::html::{Cell, escape, table};
use crate::Figure;
use crate::detection::{Confusion, DetectionReport, SceneReport, VedaiReport};
use crate::figure::significant;

/// Classes that a plot shows: more lines than colours can't be told apart.
const CURVES: usize = 6;
/// Scenes that a page shows; the worst come first.
const SCENES: usize = 40;

/// What a page shows about detectors.
#[derive(Clone, Debug, Default)]
pub(super) struct Detections {
    pub report: Option<DetectionReport>,
    pub vedai: Option<VedaiReport>,
}

impl Detections {
    /// Precision over recall, for the classes with the most objects.
    pub fn charts(&self) -> Vec<Chart> {
        let Some(report) = &self.report else { return Vec::new() };
        let mut classes: Vec<_> = report.per_class.iter().filter(|class| class.objects > 0).collect();
        classes.sort_by_key(|class| std::cmp::Reverse(class.objects));
        let series = classes.iter().take(CURVES).enumerate().map(|(index, class)| {
            let points = class.precision.iter().enumerate();
            Series {
                name: format!("{} [{}]", class.class, class.ap50.map_or_else(String::new, significant)),
                points: points.map(|(recall, precision)| (recall as f64 / 100.0, *precision)).collect(),
                ink: Ink::Run(index),
            }
        });
        vec![Chart {
            title: "Precision at every recall, IoU 0.5".to_owned(),
            x_label: "recall".to_owned(),
            y_label: "precision".to_owned(),
            series: series.collect(),
            marks: Marks::Line,
            equal_axes: false,
            from_zero: true,
        }]
    }

    /// Classes, scenes, confusion; folds of VEDAI.
    pub fn tables(&self) -> String {
        let of_report = self.report.iter().map(report_tables);
        of_report.chain(self.vedai.iter().map(fold_table)).collect()
    }

    /// All figures, for the head of the page.
    pub fn figures(&self) -> Vec<Figure> {
        let of_report = self.report.iter().flat_map(DetectionReport::figures);
        of_report.chain(self.vedai.iter().flat_map(VedaiReport::figures)).collect()
    }
}

fn report_tables(report: &DetectionReport) -> String {
    let number = Cell::Number;
    let classes: Vec<Vec<String>> = report.class_rows().iter().map(|row| row.to_vec()).collect();
    let sides = [Cell::Text, number, number, number, Cell::Count, number, number, number];
    let score = report.operating_point.map_or_else(String::new, |point| {
        let [score, precision, recall] = [point.score, point.precision, point.recall].map(significant);
        format!(" at the score of the best F1, {score} (precision {precision}, recall {recall})")
    });
    [
        format!("<h3>Classes</h3>\n{}", table(&classes, &sides)),
        format!(
            "<h3>{}</h3>\n{}",
            escape(&format!("What is taken for what{score}")),
            confusion_table(&report.confusion)
        ),
        scene_table(&report.scenes),
    ]
    .concat()
}

/// Truth downwards, what was found sideways; classes that nothing is counted of are left out.
fn confusion_table(confusion: &Confusion) -> String {
    let size = confusion.classes.len();
    let is_used = |index: usize| {
        index == size
            || (0..=size).any(|other| confusion.counts[index][other] + confusion.counts[other][index] > 0)
    };
    let used: Vec<usize> = (0..=size).filter(|index| is_used(*index)).collect();
    let name =
        |index: usize, last: &str| confusion.classes.get(index).cloned().unwrap_or_else(|| last.to_owned());
    let header = std::iter::once("truth".to_owned()).chain(used.iter().map(|column| name(*column, "missed")));
    let row = |row: &usize| {
        let counts = used.iter().map(|column| confusion.counts[*row][*column]);
        let counts = counts.map(|count| if count > 0 { count.to_string() } else { "·".to_owned() });
        std::iter::once(name(*row, "nothing")).chain(counts).collect()
    };
    let rows: Vec<Vec<String>> = std::iter::once(header.collect()).chain(used.iter().map(row)).collect();
    let sides: Vec<Cell> = std::iter::once(Cell::Text).chain(used.iter().map(|_| Cell::Number)).collect();
    table(&rows, &sides)
}

fn scene_table(scenes: &[SceneReport]) -> String {
    if scenes.is_empty() {
        return String::new();
    }
    let header = ["scene", "AP50", "missed", "wrong", "objects", "images"].map(str::to_owned).to_vec();
    let row = |scene: &SceneReport| {
        let counts = [scene.missed, scene.wrong, scene.objects, scene.images].map(|count| count.to_string());
        let ap50 = scene.ap50.map_or_else(|| "–".to_owned(), significant);
        [scene.scene.clone(), ap50].into_iter().chain(counts).collect()
    };
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(scenes.iter().take(SCENES).map(row)).collect();
    let sides = [Cell::Text, Cell::Number, Cell::Count, Cell::Count, Cell::Count, Cell::Count];
    let heading = match scenes.len() > SCENES {
        true => format!("The {SCENES} worst of {} scenes", scenes.len()),
        false => "Scenes, the worst first".to_owned(),
    };
    format!("<h3>{heading}</h3>\n{}", table(&rows, &sides))
}

fn fold_table(report: &VedaiReport) -> String {
    let rows: Vec<Vec<String>> = report.rows().iter().map(|row| row.to_vec()).collect();
    let (count, number) = (Cell::Count, Cell::Number);
    table(&rows, &[Cell::Text, number, number, number, number, number, count, count, count])
}
