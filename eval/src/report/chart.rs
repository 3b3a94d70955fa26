//! One chart as inline SVG.
//!
//! Colours are written as plain values, so that a chart looks right by itself; `style.css` maps each of them to another in dark
//! mode by attribute selectors. A colour used here and not there stays light in the dark.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::html::escape;
use crate::EvalError;

/// A line with its name in the legend.
pub(super) struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
    pub ink: Ink,
}

/// What a line stands for decides how it looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Wide and pale, below the others.
    GroundTruth,
    /// The n-th run.
    Run(usize),
}

/// How points are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    Line,
    /// A line with a dot on each point.
    Dots,
    /// Small dots and no line.
    Points,
    /// A dot on the first point.
    Start,
    /// Bars from one point to the next, down to zero.
    Bars,
}

pub(super) struct Chart {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub series: Vec<Series>,
    pub marks: Marks,
    /// One metre is as long upwards as sideways.
    pub equal_axes: bool,
    /// The y axis begins at 0.
    pub from_zero: bool,
}

/// The backend knows whole pixels only: charts are drawn this much larger and scaled down by the view box.
const FINE: i32 = 4;
const WIDTH: i32 = 500;
const HEIGHT: i32 = 300;
const LEFT: i32 = 74;
const BOTTOM: i32 = 56;
const MARGIN: i32 = 14;
/// No screen shows more points on one line.
const MAX_POINTS: usize = 1200;

const INK: RGBColor = RGBColor(0x1B, 0x27, 0x33);
const MUTED: RGBColor = RGBColor(0x5B, 0x68, 0x76);
const GRID: RGBColor = RGBColor(0xE3, 0xE8, 0xEE);
const GROUND_TRUTH: RGBColor = RGBColor(0xB4, 0xBF, 0xCC);
const RUNS: [RGBColor; 6] = [
    RGBColor(0x1C, 0x6D, 0xD0),
    RGBColor(0xE2, 0x5A, 0x1C),
    RGBColor(0x0A, 0x8F, 0x6C),
    RGBColor(0x8E, 0x3F, 0xB8),
    RGBColor(0xC8, 0x2A, 0x5E),
    RGBColor(0x8A, 0x77, 0x00),
];

impl Ink {
    fn color(self) -> RGBColor {
        match self {
            Self::GroundTruth => GROUND_TRUTH,
            Self::Run(index) => RUNS[index % RUNS.len()],
        }
    }

    fn width(self) -> u32 {
        let width = if self == Self::GroundTruth { 6 } else { 2 };
        width * FINE as u32
    }

    /// As CSS writes it.
    pub fn css(self) -> String {
        let RGBColor(r, g, b) = self.color();
        format!("#{r:02X}{g:02X}{b:02X}")
    }
}

/// Lower and upper end of an axis.
type Range = (f64, f64);

impl Chart {
    /// The chart with its title and legend, as a `figure` element; nothing where there is nothing to draw.
    pub fn to_html(&self) -> Result<String, EvalError> {
        if self.series.iter().all(|series| series.points.is_empty()) {
            return Ok(String::new());
        }
        let svg = self.to_svg().map_err(|reason| EvalError::Chart { chart: self.title.clone(), reason })?;
        Ok(format!(
            "<figure class=\"chart\"><figcaption>{}</figcaption>{}{svg}</figure>\n",
            escape(&self.title),
            self.legend()
        ))
    }

    fn legend(&self) -> String {
        if self.series.len() < 2 {
            return String::new();
        }
        let entry = |series: &Series| {
            format!(
                "<li><svg class=\"swatch\" viewBox=\"0 0 14 6\" aria-hidden=\"true\"><rect width=\"14\" height=\"6\" rx=\"3\" \
                 fill=\"{}\"/></svg>{}</li>",
                series.ink.css(),
                escape(&series.name)
            )
        };
        format!("<ul class=\"legend\">{}</ul>", self.series.iter().map(entry).collect::<String>())
    }

    fn to_svg(&self) -> Result<String, String> {
        let (x, y, height) = self.frame();
        let mut svg = String::new();
        {
            let size = ((WIDTH * FINE) as u32, (height * FINE) as u32);
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            self.draw(&area, x, y).map_err(|error| error.to_string())?;
            area.present().map_err(|error| error.to_string())?;
        }
        let label = format!("<svg role=\"img\" aria-label=\"{}\" ", escape(&self.title));
        Ok(svg.replacen("<svg ", &label, 1))
    }

    /// The ranges of both axes and the height of the drawing.
    fn frame(&self) -> (Range, Range, i32) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = range(points().map(|p| p.0));
        let mut y = range(points().map(|p| p.1));
        if self.from_zero {
            y = (0.0, y.1 * 1.08);
        }
        if !self.equal_axes {
            let x = if self.marks == Marks::Line { x } else { padded(x) };
            return (x, if self.from_zero { y } else { padded(y) }, HEIGHT);
        }
        let (x, y) = (padded(x), padded(y));
        let plot_width = f64::from(WIDTH - LEFT - MARGIN);
        let plot_height = (plot_width * (y.1 - y.0) / (x.1 - x.0)).clamp(180.0, 520.0);
        let metres_per_pixel = ((x.1 - x.0) / plot_width).max((y.1 - y.0) / plot_height);
        let height = plot_height.round() as i32 + BOTTOM + MARGIN;
        (widened(x, metres_per_pixel * plot_width), widened(y, metres_per_pixel * plot_height), height)
    }

    fn draw(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        x: Range,
        y: Range,
    ) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let mut context = ChartBuilder::on(area)
            .margin(MARGIN * FINE)
            .margin_left(0)
            .margin_bottom(0)
            .x_label_area_size(BOTTOM * FINE)
            .y_label_area_size(LEFT * FINE)
            .build_cartesian_2d(x.0..x.1, y.0..y.1)?;
        let text = |color: &RGBColor, size: i32| ("sans-serif", size * FINE).into_font().color(color);
        context
            .configure_mesh()
            .x_labels(6)
            .y_labels(6)
            .max_light_lines(0)
            .bold_line_style(GRID.stroke_width(FINE as u32))
            .axis_style(GRID.stroke_width(FINE as u32))
            .set_all_tick_mark_size(4 * FINE)
            .x_label_formatter(&|v| tick(*v))
            .y_label_formatter(&|v| tick(*v))
            .x_desc(&self.x_label)
            .y_desc(&self.y_label)
            .label_style(text(&MUTED, 15))
            .axis_desc_style(text(&INK, 16))
            .draw()?;
        for series in &self.series {
            let points = thinned(&series.points);
            let (color, style) = (series.ink.color(), series.ink.color().stroke_width(series.ink.width()));
            if self.marks == Marks::Bars {
                let bars = points
                    .windows(2)
                    .map(|w| Rectangle::new([(w[0].0, 0.0), (w[1].0, w[0].1)], color.filled()));
                context.draw_series(bars)?;
                continue;
            }
            if self.marks == Marks::Points {
                let dots = points.iter().map(|p| Circle::new(*p, 2 * FINE, color.filled()));
                context.draw_series(dots)?;
                continue;
            }
            context.draw_series(LineSeries::new(points.iter().copied(), style))?;
            let dots = match self.marks {
                Marks::Dots => points.len(),
                Marks::Start if series.ink != Ink::GroundTruth => 1,
                _ => 0,
            };
            context
                .draw_series(points.iter().take(dots).map(|p| Circle::new(*p, 4 * FINE, color.filled())))?;
        }
        Ok(())
    }
}

fn range(values: impl Iterator<Item = f64>) -> Range {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let middle = if low.is_finite() && high.is_finite() { (low + high) / 2.0 } else { 0.0 };
    let half = ((high - low) / 2.0).max(1e-6 * (1.0 + middle.abs()));
    if half.is_finite() { (middle - half, middle + half) } else { (middle - 1.0, middle + 1.0) }
}

fn padded((low, high): Range) -> Range {
    let pad = (high - low) * 0.04;
    (low - pad, high + pad)
}

fn widened((low, high): Range, width: f64) -> Range {
    let middle = (low + high) / 2.0;
    (middle - width / 2.0, middle + width / 2.0)
}

/// About [`MAX_POINTS`]: the first, the last, and of each stretch the lowest and the highest, so that no peak is lost.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MAX_POINTS {
        return points.to_vec();
    }
    let stretches = points.chunks(points.len().div_ceil(MAX_POINTS / 2));
    let ends = |of: &[(f64, f64)]| {
        let by_y = |a: &usize, b: &usize| of[*a].1.total_cmp(&of[*b].1);
        let (low, high) = ((0..of.len()).min_by(by_y).unwrap_or(0), (0..of.len()).max_by(by_y).unwrap_or(0));
        [of[low.min(high)], of[low.max(high)]]
    };
    points
        .first()
        .into_iter()
        .copied()
        .chain(stretches.flat_map(ends))
        .chain(points.last().copied())
        .collect()
}

/// A tick's label without needless zeros.
fn tick(value: f64) -> String {
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.replacen('-', "−", 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        let run = Series { name: "a <run>".to_owned(), points: points.clone(), ink: Ink::Run(0) };
        let truth = Series { name: "ground truth".to_owned(), points, ink: Ink::GroundTruth };
        Chart {
            title: "top & side".to_owned(),
            x_label: "x [m]".to_owned(),
            y_label: "z [m]".to_owned(),
            series: vec![truth, run],
            marks: Marks::Start,
            equal_axes: true,
            from_zero: false,
        }
    }

    #[test]
    fn equal_axes_have_equal_metres_per_pixel() {
        for points in [vec![(0.0, 0.0), (500.0, 30.0)], vec![(0.0, 0.0), (3.0, 900.0)]] {
            let (x, y, height) = chart(points).frame();
            let per_pixel_x = (x.1 - x.0) / f64::from(WIDTH - LEFT - MARGIN);
            let per_pixel_y = (y.1 - y.0) / f64::from(height - BOTTOM - MARGIN);
            assert!((per_pixel_x / per_pixel_y - 1.0).abs() < 0.01, "{per_pixel_x} {per_pixel_y}");
        }
    }

    #[test]
    fn hostile_names_are_escaped_and_one_point_is_drawn() {
        let html = chart(vec![(2.0, 2.0)]).to_html().unwrap();
        assert!(
            html.contains("a &lt;run&gt;") && html.contains("top &amp; side") && html.contains("<circle"),
            "{html}"
        );
    }

    #[test]
    fn nothing_to_draw_is_nothing() {
        assert_eq!(chart(Vec::new()).to_html().unwrap(), "");
    }

    #[test]
    fn every_colour_has_its_dark_twin() {
        let css = include_str!("style.css");
        let hex = |RGBColor(r, g, b): RGBColor| format!("#{r:02X}{g:02X}{b:02X}");
        for color in [INK, MUTED, GRID, GROUND_TRUTH].into_iter().chain(RUNS) {
            assert!(css.contains(&hex(color)), "{} is missing in style.css", hex(color));
        }
    }

    #[test]
    fn thinning_keeps_both_ends_and_every_peak() {
        let mut points: Vec<_> = (0..10_000).map(|i| (f64::from(i), 0.0)).collect();
        points[7_777].1 = 5.0;
        let thin = thinned(&points);
        assert!(thin.len() <= MAX_POINTS + 2);
        assert_eq!((thin.first(), thin.last()), (points.first(), points.last()));
        assert!(thin.contains(&(7_777.0, 5.0)));
        assert!(thin.windows(2).all(|w| w[0].0 <= w[1].0));
    }
}
