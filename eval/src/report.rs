//! One self-contained HTML page per run or comparison.
//!
//! The page needs no script, no network and no other file; it reads on a phone, in print, in light and in dark. All
//! text from outside is escaped.

mod chart;
mod depth;
mod detection;
mod frame;
mod html;
mod objects;
mod plot;
mod target;
mod tracking;
mod views;

use std::path::Path;

use geometry::Trajectory;

pub use frame::SampleFrame;
pub use objects::{DetectedObjects, DetectorLook};
pub use plot::Plot;
pub use target::{FollowedTarget, TargetGrade, TargetSample};

use crate::depth::{DepthReport, DepthScaling};
use crate::detection::{DetectionReport, VedaiReport};
use crate::figure::{Side, significant};
use crate::tracking::{MultiObjectReport, OnePassSuite, VotReport};
use crate::{Comparison, EvalError, Figure, LatencyStats, OdometryReport};
use chart::Chart;
use detection::Detections;
use html::{Cell, escape, list, section, table};
use tracking::Tracking;
use views::Run;

/// What a page shows; parts that were not given don't appear.
///
/// ```
/// use kestrel_eval::{Figure, Report};
///
/// let page = Report::new("KITTI 00").figure(Figure::new("frame rate", 31.5, "frames/s").count(300, "frames"));
/// assert!(page.to_html()?.starts_with("<!doctype html>"));
/// # Ok::<(), kestrel_eval::EvalError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Report {
    title: String,
    subtitle: String,
    figures: Vec<Figure>,
    runs: Vec<Run>,
    comparison: Option<Comparison>,
    tracking: Tracking,
    detections: Detections,
    depth: Option<(DepthReport, DepthScaling)>,
    target: FollowedTarget,
    objects: DetectedObjects,
    plots: Vec<Plot>,
    trajectories: Vec<(String, Trajectory)>,
    length_unit: Option<String>,
    latencies: Vec<LatencyStats>,
    frames: Vec<SampleFrame>,
    notes: Vec<String>,
    configuration: String,
}

const STYLE: &str = include_str!("report/style.css");
/// So many figures are set large at the head of the page.
const HIGHLIGHTS: usize = 4;
/// Of these, so many of a single run against ground truth: its absolute error and its drift.
const ACCURACY_HIGHLIGHTS: usize = 2;

impl Report {
    /// An empty page.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// A line below the title: source, date, machine.
    #[must_use]
    pub fn subtitle(mut self, subtitle: impl Into<String>) -> Self {
        self.subtitle = subtitle.into();
        self
    }

    /// Adds a figure. The first with a value are set large at the head, after the error and drift of a single run.
    #[must_use]
    pub fn figure(mut self, figure: Figure) -> Self {
        self.figures.push(figure);
        self
    }

    /// Adds figures.
    #[must_use]
    pub fn figures(mut self, figures: impl IntoIterator<Item = Figure>) -> Self {
        self.figures.extend(figures);
        self
    }

    /// Adds a run measured against ground truth: its figures, charts, drift table and notes. With several runs the page
    /// is a comparison; the ground truth drawn is that of the first.
    #[must_use]
    pub fn odometry(mut self, name: impl Into<String>, report: OdometryReport) -> Self {
        self.runs.push((name.into(), report));
        self
    }

    /// Sets the table of runs, where the one made from [`odometry`](Self::odometry) lacks computing times.
    #[must_use]
    pub fn comparison(mut self, comparison: Comparison) -> Self {
        self.comparison = Some(comparison);
        self
    }

    /// Adds a tracker over sequences of the one-pass protocol: success and precision plots, its sequences and attributes.
    #[must_use]
    pub fn one_pass(mut self, suite: OnePassSuite) -> Self {
        self.tracking.suites.push(suite);
        self
    }

    /// Adds a tracker measured by VOT's supervised protocol: expected overlap, its attributes and sequences.
    #[must_use]
    pub fn vot(mut self, tracker: impl Into<String>, report: VotReport) -> Self {
        self.tracking.votes.push((tracker.into(), report));
        self
    }

    /// Adds a tracker of several targets.
    #[must_use]
    pub fn multi_object(mut self, tracker: impl Into<String>, report: MultiObjectReport) -> Self {
        self.tracking.multi_object.push((tracker.into(), report));
        self
    }

    /// Sets how a detector did by COCO's protocol: precision over recall, its classes, what it confuses, its scenes.
    #[must_use]
    pub fn detection(mut self, report: DetectionReport) -> Self {
        self.detections.report = Some(report);
        self
    }

    /// Sets how a detector did by VEDAI's original protocol.
    #[must_use]
    pub fn vedai(mut self, report: VedaiReport) -> Self {
        self.detections.vedai = Some(report);
        self
    }

    /// Sets how depth was seen; the figures by `scaling` come first.
    #[must_use]
    pub fn depth(self, report: DepthReport, scaling: DepthScaling) -> Self {
        Self { depth: Some((report, scaling)), ..self }
    }

    /// Shows how one target was followed.
    #[must_use]
    pub fn target(self, target: FollowedTarget) -> Self {
        Self { target, ..self }
    }

    /// Adds a plot of anything else: how a training went.
    #[must_use]
    pub fn plot(mut self, plot: Plot) -> Self {
        self.plots.push(plot);
        self
    }

    /// Shows what a detector found in a flight.
    #[must_use]
    pub fn objects(self, objects: DetectedObjects) -> Self {
        Self { objects, ..self }
    }

    /// Adds a trajectory without ground truth.
    #[must_use]
    pub fn trajectory(mut self, name: impl Into<String>, trajectory: Trajectory) -> Self {
        self.trajectories.push((name.into(), trajectory));
        self
    }

    /// Says what the lengths of trajectories without ground truth are in, where it is not metres.
    #[must_use]
    pub fn length_unit(mut self, unit: impl Into<String>) -> Self {
        self.length_unit = Some(unit.into());
        self
    }

    /// Adds the latency along one path.
    #[must_use]
    pub fn latency(mut self, stats: LatencyStats) -> Self {
        self.latencies.push(stats);
        self
    }

    /// Adds a picture.
    #[must_use]
    pub fn frame(mut self, frame: SampleFrame) -> Self {
        self.frames.push(frame);
        self
    }

    /// Adds an assumption or a warning.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Sets the configuration, shown as it is.
    #[must_use]
    pub fn configuration(mut self, text: impl Into<String>) -> Self {
        self.configuration = text.into();
        self
    }

    /// The page.
    ///
    /// # Errors
    /// [`EvalError::Chart`] where a chart can't be drawn.
    pub fn to_html(&self) -> Result<String, EvalError> {
        let body = [
            self.header(),
            self.highlights(),
            section("Runs", &self.comparison_table()),
            section("Curves", &drawn(self.plots.iter().map(Plot::chart))?),
            section("Trajectory", &self.charts()?),
            section("Target", &self.target_section()?),
            section("Objects", &self.object_section()?),
            section("Tracking", &self.tracking_section()?),
            section("Detection", &self.detection_section()?),
            section("Depth", &self.depth_section()?),
            section("Figures", &self.figure_tables()),
            section("Drift by segment length", &self.length_tables()),
            section("Latency", &self.latency_section()?),
            section("Frames", &self.frame_section()),
            section("Assumptions and notes", &self.note_list()),
            section("Configuration", &self.configuration_block()),
        ];
        Ok(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n\
             <body>\n<main>\n{}</main>\n</body>\n</html>\n",
            escape(&self.title),
            body.concat()
        ))
    }

    /// Writes the page to a file, replacing it.
    ///
    /// # Errors
    /// As [`to_html`](Self::to_html), and [`EvalError::Write`] where the file can't be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), EvalError> {
        let path = path.as_ref();
        std::fs::write(path, self.to_html()?)
            .map_err(|source| EvalError::Write { path: path.to_path_buf(), source })
    }

    fn header(&self) -> String {
        let subtitle = if self.subtitle.is_empty() {
            String::new()
        } else {
            format!("<p class=\"subtitle\">{}</p>\n", escape(&self.subtitle))
        };
        format!("<header><h1>{}</h1>\n{subtitle}</header>\n", escape(&self.title))
    }

    fn highlights(&self) -> String {
        let of_run = match self.runs.as_slice() {
            [(_, report)] => report.figures(),
            _ => self.of_parts(),
        };
        let accuracy = of_run.iter().filter(|figure| figure.value.is_some()).take(ACCURACY_HIGHLIGHTS);
        let others = self.figures.iter().filter(|figure| figure.value.is_some());
        let shown = accuracy.chain(others).take(HIGHLIGHTS);
        let card = |figure: &Figure| {
            let unit = if figure.unit == "1" { "" } else { &figure.unit };
            format!(
                "<div class=\"card\"><div class=\"name\">{}</div><div class=\"value\">{} <small>{}</small></div>\
                 <div class=\"aside\">{}</div></div>\n",
                escape(&figure.name),
                figure.value_text(),
                escape(unit),
                escape(&basis(figure))
            )
        };
        let cards: String = shown.map(card).collect();
        if cards.is_empty() { cards } else { format!("<div class=\"cards\">\n{cards}</div>\n") }
    }

    fn comparison_table(&self) -> String {
        let from_runs = || {
            let runs = self.runs.iter();
            runs.fold(Comparison::new(), |table, (name, report)| table.run(name.as_str(), report, None))
        };
        let comparison = match &self.comparison {
            Some(comparison) => comparison.clone(),
            None if self.runs.len() > 1 => from_runs(),
            None => return String::new(),
        };
        let (rows, sides) = comparison.cells();
        let cell = |side: &Side| if *side == Side::Left { Cell::Text } else { Cell::Number };
        table(&rows, &sides.iter().map(cell).collect::<Vec<_>>())
    }

    fn charts(&self) -> Result<String, EvalError> {
        let unit = self.length_unit.as_deref().unwrap_or("m");
        let charts = views::odometry_charts(&self.runs).into_iter();
        drawn(charts.chain(views::trajectory_charts(&self.trajectories, unit)))
    }

    fn target_section(&self) -> Result<String, EvalError> {
        Ok(self.target.pictures() + &drawn(self.target.charts().into_iter())?)
    }

    fn object_section(&self) -> Result<String, EvalError> {
        let charts = drawn(self.objects.charts().into_iter())?;
        Ok(self.objects.pictures() + &charts + &self.objects.tables())
    }

    fn tracking_section(&self) -> Result<String, EvalError> {
        Ok(drawn(self.tracking.charts().into_iter())? + &self.tracking.tables())
    }

    fn detection_section(&self) -> Result<String, EvalError> {
        Ok(drawn(self.detections.charts().into_iter())? + &self.detections.tables())
    }

    fn depth_section(&self) -> Result<String, EvalError> {
        let Some((report, _)) = &self.depth else { return Ok(String::new()) };
        Ok(drawn(depth::charts(report).into_iter())? + &depth::tables(report))
    }

    /// Figures of trackers, detectors and depth.
    fn of_parts(&self) -> Vec<Figure> {
        let depth = self.depth.iter().flat_map(|(report, scaling)| report.figures(*scaling));
        self.tracking.figures().into_iter().chain(self.detections.figures()).chain(depth).collect()
    }

    fn figure_tables(&self) -> String {
        if let [(_, report)] = self.runs.as_slice() {
            let all: Vec<Figure> = self.figures.iter().cloned().chain(report.figures()).collect();
            return figure_table(&all);
        }
        let own: Vec<Figure> = self.figures.iter().cloned().chain(self.of_parts()).collect();
        let own = (!own.is_empty()).then(|| figure_table(&own));
        let of_runs = self
            .runs
            .iter()
            .map(|(name, report)| format!("<h3>{}</h3>\n{}", escape(name), figure_table(&report.figures())));
        own.into_iter().chain(of_runs).collect()
    }

    fn length_tables(&self) -> String {
        let with_segments = self.runs.iter().filter(|(_, report)| report.segments > 0);
        let of_run = |(name, report): &Run| {
            let heading =
                if self.runs.len() > 1 { format!("<h3>{}</h3>\n", escape(name)) } else { String::new() };
            heading + &length_table(report)
        };
        with_segments.map(of_run).collect()
    }

    fn latency_section(&self) -> Result<String, EvalError> {
        if self.latencies.is_empty() {
            return Ok(String::new());
        }
        let header = ["path", "frames", "p50 ms", "p90 ms", "p99 ms", "max ms"].map(str::to_owned).to_vec();
        let row = |s: &LatencyStats| {
            let milliseconds = [s.p50_ms, s.p90_ms, s.p99_ms, s.max_ms].map(significant);
            [s.path.clone(), s.count.to_string()].into_iter().chain(milliseconds).collect()
        };
        let rows: Vec<Vec<String>> = std::iter::once(header).chain(self.latencies.iter().map(row)).collect();
        let number = Cell::Number;
        let percentiles = table(&rows, &[Cell::Text, Cell::Count, number, number, number, number]);
        Ok(percentiles + &drawn(self.latencies.iter().map(views::latency_chart))?)
    }

    fn frame_section(&self) -> String {
        let frames: String = self.frames.iter().map(SampleFrame::to_html).collect();
        if frames.is_empty() { frames } else { format!("<div class=\"frames\">\n{frames}</div>\n") }
    }

    fn note_list(&self) -> String {
        let of_runs = self.runs.iter().flat_map(|(name, report)| {
            let prefix = if self.runs.len() > 1 { format!("{name}: ") } else { String::new() };
            let protocol =
                format!("alignment {}; joined {}", report.protocol.alignment, report.protocol.association);
            let drift = report.t_err_missing_because.iter().map(|why| format!("no drift figure: {why}"));
            let notes = drift.chain(report.notes.iter().cloned());
            std::iter::once(protocol).chain(notes).map(|note| format!("{prefix}{note}")).collect::<Vec<_>>()
        });
        let of_depth = self.depth.iter().flat_map(|(report, _)| report.notes());
        let notes: Vec<String> =
            self.notes.iter().cloned().chain(of_runs).chain(self.tracking.notes()).chain(of_depth).collect();
        list(notes.iter())
    }

    fn configuration_block(&self) -> String {
        let text = self.configuration.trim_end();
        if text.is_empty() { String::new() } else { format!("<pre>{}</pre>\n", escape(text)) }
    }
}

/// What a figure rests on, in one line.
fn basis(figure: &Figure) -> String {
    let parts = [figure.count_text(), figure.protocol.clone()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

fn drawn(charts: impl Iterator<Item = Chart>) -> Result<String, EvalError> {
    let charts: String = charts.map(|chart| chart.to_html()).collect::<Result<_, _>>()?;
    Ok(if charts.is_empty() { charts } else { format!("<div class=\"charts\">\n{charts}</div>\n") })
}

fn figure_table(figures: &[Figure]) -> String {
    let header = ["figure", "value", "unit", "over", "protocol"].map(str::to_owned).to_vec();
    let row =
        |f: &Figure| vec![f.name.clone(), f.value_text(), f.unit.clone(), f.count_text(), f.protocol.clone()];
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(figures.iter().map(row)).collect();
    table(&rows, &[Cell::Short, Cell::Number, Cell::Short, Cell::Count, Cell::Aside])
}

fn length_table(report: &OdometryReport) -> String {
    let header = ["length m", "t_err %", "r_err deg/100 m", "segments"].map(str::to_owned).to_vec();
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), significant);
    let row = |length: &crate::LengthError| {
        let errors = [length.t_err_percent, length.r_err_deg_per_100m].map(number);
        std::iter::once(length.length_m.to_string())
            .chain(errors)
            .chain([length.segments.to_string()])
            .collect()
    };
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(report.per_length.iter().map(row)).collect();
    table(&rows, &[Cell::Count, Cell::Number, Cell::Number, Cell::Count])
}

#[cfg(test)]
mod tests;
