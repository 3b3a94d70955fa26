//! What a detector found in a flight: objects over time, and pictures of them.

use super::SampleFrame;
use super::chart::{Chart, Ink, Marks, Series};
use super::html::{Cell, table};
use crate::figure::significant;

/// Classes that the chart shows: more lines than colours can't be told apart.
const CURVES: usize = 6;
/// Looks that a line has dots for.
const MOST_DOTS: usize = 80;

/// Look by look, what a detector found in a flight.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectedObjects {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// In the order of the flight.
    pub looks: Vec<DetectorLook>,
    /// Frames with boxes drawn.
    pub pictures: Vec<SampleFrame>,
}

/// What was found in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorLook {
    /// Seconds since the first frame.
    pub time_s: f64,
    /// How many objects of each class.
    pub counts: Vec<usize>,
}

impl DetectedObjects {
    fn count(&self, look: &DetectorLook, class: usize) -> usize {
        look.counts.get(class).copied().unwrap_or(0)
    }

    /// Numbers of the classes of which anything was found, the most frequent first.
    fn found_classes(&self) -> Vec<usize> {
        let total = |class: &usize| self.looks.iter().map(|look| self.count(look, *class)).sum::<usize>();
        let mut found: Vec<usize> = (0..self.classes.len()).filter(|class| total(class) > 0).collect();
        found.sort_by_key(|class| std::cmp::Reverse(total(class)));
        found
    }

    /// Objects in view over time, a line for each class.
    pub(super) fn charts(&self) -> Vec<Chart> {
        let line = |(index, class): (usize, usize)| Series {
            name: self.classes[class].clone(),
            points: self.looks.iter().map(|look| (look.time_s, self.count(look, class) as f64)).collect(),
            ink: Ink::Run(index),
        };
        let series: Vec<Series> =
            self.found_classes().into_iter().take(CURVES).enumerate().map(line).collect();
        vec![Chart {
            title: "Objects in view".to_owned(),
            x_label: "time [s]".to_owned(),
            y_label: "objects at a look".to_owned(),
            series,
            marks: if self.looks.len() > MOST_DOTS { Marks::Line } else { Marks::Dots },
            equal_axes: false,
            from_zero: true,
        }]
    }

    /// A row for each class of which anything was found.
    pub(super) fn tables(&self) -> String {
        if self.looks.is_empty() {
            return String::new();
        }
        let found = self.found_classes();
        if found.is_empty() {
            let looks = self.looks.len();
            return format!("<p>Nothing was found in {looks} looks of the detector.</p>\n");
        }
        let header = ["class", "most at once", "mean per look", "looks with any", "looks"].map(str::to_owned);
        let row = |class: usize| {
            let counts = || self.looks.iter().map(|look| self.count(look, class));
            let mean = counts().sum::<usize>() as f64 / self.looks.len() as f64;
            let with_any = counts().filter(|count| *count > 0).count();
            [
                self.classes[class].clone(),
                counts().max().unwrap_or(0).to_string(),
                significant(mean),
                with_any.to_string(),
                self.looks.len().to_string(),
            ]
        };
        let rows: Vec<Vec<String>> =
            std::iter::once(header).chain(found.into_iter().map(row)).map(|row| row.to_vec()).collect();
        table(&rows, &[Cell::Text, Cell::Number, Cell::Number, Cell::Count, Cell::Count])
    }

    pub(super) fn pictures(&self) -> String {
        let pictures: String = self.pictures.iter().map(SampleFrame::to_html).collect();
        if pictures.is_empty() { pictures } else { format!("<div class=\"frames\">\n{pictures}</div>\n") }
    }
}

#[cfg(test)]
mod tests {
    use geometry::RgbImage;

    use super::*;
    use crate::Report;

    fn objects(counts: &[[usize; 2]]) -> DetectedObjects {
        let looks = counts.iter().enumerate();
        let looks = looks.map(|(at, counts)| DetectorLook { time_s: at as f64, counts: counts.to_vec() });
        DetectedObjects {
            classes: vec!["car".to_owned(), "<bus>".to_owned()],
            looks: looks.collect(),
            pictures: Vec::new(),
        }
    }

    #[test]
    fn a_page_shows_the_classes_that_were_found() {
        let picture = SampleFrame::from_rgb("frame 7", &RgbImage::filled(16, 16, [9, 9, 9])).unwrap();
        let objects = DetectedObjects { pictures: vec![picture], ..objects(&[[2, 0], [0, 0], [4, 0]]) };
        let page = Report::new("flight").objects(objects).to_html().unwrap();
        for part in ["<h2>Objects</h2>", "Objects in view", ">car</td>", ">4</td>", ">2.000</td>", "frame 7"]
        {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("bus"), "none was found");
    }

    #[test]
    fn classes_are_escaped_and_come_by_their_number() {
        let page = Report::new("flight").objects(objects(&[[1, 3], [1, 0]])).to_html().unwrap();
        let [bus, car] = [">&lt;bus&gt;</td>", ">car</td>"].map(|cell| page.find(cell).unwrap());
        assert!(bus < car && !page.contains("<bus>"));
    }

    #[test]
    fn looks_that_found_nothing_are_told_and_no_looks_are_not() {
        let page = Report::new("flight").objects(objects(&[[0, 0]; 3])).to_html().unwrap();
        assert!(page.contains("Nothing was found in 3 looks") && !page.contains("Objects in view"));
        let page = Report::new("flight").objects(objects(&[])).to_html().unwrap();
        assert!(!page.contains("<h2>Objects</h2>"));
    }
}
