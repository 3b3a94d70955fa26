//! How one target was followed through a flight: confidence over time, and pictures of it.

use super::SampleFrame;
use super::chart::{Chart, Ink, Marks, Series};

/// One target through a flight.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FollowedTarget {
    /// Frame by frame.
    pub samples: Vec<TargetSample>,
    /// Rows of pictures, in the order of the flight.
    pub strips: Vec<SampleFrame>,
}

/// What the tracker said about one frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetSample {
    /// Seconds since the first frame.
    pub time_s: f64,
    /// In `[0, 1]`.
    pub confidence: f64,
    /// What that is worth.
    pub grade: TargetGrade,
    /// Intersection over union with the truth, where that is known.
    pub overlap: Option<f64>,
}

/// How much a box is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetGrade {
    /// The target is seen.
    Confident,
    /// It is probably seen.
    Unsure,
    /// It is not seen; the box is a guess.
    Lost,
}

impl TargetGrade {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::Confident, Self::Unsure, Self::Lost];

    /// Its word in legends.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confident => "confident",
            Self::Unsure => "unsure",
            Self::Lost => "lost",
        }
    }

    /// The colour of its boxes in pictures, 8-bit RGB.
    pub fn color(self) -> [u8; 3] {
        match self {
            Self::Confident => [64, 224, 96],
            Self::Unsure => [255, 200, 0],
            Self::Lost => [255, 64, 64],
        }
    }

    fn ink(self) -> Ink {
        match self {
            Self::Confident => Ink::Run(2),
            Self::Unsure => Ink::Run(1),
            Self::Lost => Ink::Run(4),
        }
    }
}

impl FollowedTarget {
    /// Confidence, and overlap where there is truth.
    pub(super) fn charts(&self) -> Vec<Chart> {
        let chart = |title: &str, y_label: &str, marks: Marks, series: Vec<Series>| Chart {
            title: title.to_owned(),
            x_label: "time [s]".to_owned(),
            y_label: y_label.to_owned(),
            series,
            marks,
            equal_axes: false,
            from_zero: true,
        };
        let of_grade = |grade: TargetGrade| {
            let samples = self.samples.iter().filter(|sample| sample.grade == grade);
            let points = samples.map(|sample| (sample.time_s, sample.confidence)).collect();
            Series { name: grade.name().to_owned(), points, ink: grade.ink() }
        };
        let seen: Vec<_> =
            TargetGrade::ALL.into_iter().map(of_grade).filter(|series| !series.points.is_empty()).collect();
        let overlaps =
            self.samples.iter().filter_map(|sample| Some((sample.time_s, sample.overlap?))).collect();
        let overlap = Series { name: "overlap".to_owned(), points: overlaps, ink: Ink::Run(0) };
        vec![
            chart("The tracker's confidence", "confidence", Marks::Points, seen),
            chart("Overlap with the true box", "overlap", Marks::Line, vec![overlap]),
        ]
    }

    pub(super) fn pictures(&self) -> String {
        let strips: String = self.strips.iter().map(SampleFrame::to_html).collect();
        if strips.is_empty() { strips } else { format!("<div class=\"strips\">\n{strips}</div>\n") }
    }
}

#[cfg(test)]
mod tests {
    use geometry::RgbImage;

    use super::*;
    use crate::Report;

    fn sample(time_s: f64, confidence: f64, grade: TargetGrade) -> TargetSample {
        TargetSample { time_s, confidence, grade, overlap: None }
    }

    #[test]
    fn a_page_shows_the_grades_that_there_were_and_the_pictures() {
        let samples = vec![sample(0.0, 1.0, TargetGrade::Confident), sample(0.1, 0.2, TargetGrade::Lost)];
        let picture = SampleFrame::from_rgb("frames 0 & 1", &RgbImage::filled(16, 16, [9, 9, 9])).unwrap();
        let target = FollowedTarget { samples: samples.clone(), strips: vec![picture] };
        let page = Report::new("chase").target(target).to_html().unwrap();
        for part in ["<h2>Target</h2>", "confidence", "confident</li>", "lost</li>", "frames 0 &amp; 1"] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("unsure</li>") && !page.contains("Overlap with"));
        let with_truth = TargetSample { overlap: Some(0.7), ..samples[0] };
        let target = FollowedTarget { samples: vec![with_truth], ..FollowedTarget::default() };
        assert!(Report::new("chase").target(target).to_html().unwrap().contains("Overlap with the true box"));
    }

    #[test]
    fn a_page_without_a_target_has_no_such_section() {
        assert!(!Report::new("flight").to_html().unwrap().contains("<h2>Target</h2>"));
    }
}
