//! The page that shows how a training goes.

use detect::train::augment::Canvas;
use eval::detection::{Rectangle, labelled_picture};
use eval::{Figure, Plot, Report, SampleFrame};
use geometry::RgbImage;

use crate::commands::training::{Table, mean, of_time, plot, time_figures};

/// Inputs in a row of the picture of what the network sees, and how much they are enlarged.
const IN_A_ROW: usize = 4;
const ENLARGED: usize = 2;

/// What stands on the page.
pub(super) struct Page {
    /// What the training is called.
    pub(super) name: String,
    /// Steps of the whole training.
    pub(super) steps: usize,
    /// Its configuration as text.
    pub(super) configuration: String,
    /// The highest AP50 and the step after which it was measured.
    pub(super) best: Option<(f64, usize)>,
    /// What the network has just been shown.
    pub(super) inputs: Vec<Canvas>,
    /// Held-out images with what was found.
    pub(super) found: Vec<SampleFrame>,
}

impl Page {
    /// The page, with the curves in `table`.
    pub(super) fn html(self, table: &Table) -> anyhow::Result<String> {
        let step = table.steps();
        let page = Report::new(format!("Training of {}", self.name));
        let page = page.subtitle(format!("after {step} of {} steps", self.steps));
        let page = page.figures(figures(table, self.best));
        let page = plots(table).into_iter().fold(page, Report::plot);
        let page = self.found.into_iter().fold(page, Report::frame);
        let page = page.frame(sheet(&format!("what the network was shown in step {step}"), &self.inputs)?);
        let page = page.note(
            "Losses and times are means over stretches of steps. AP is that of the averaged network by COCO's protocol on \
             held-out images; where they are from several folders, each folder has its own, and the mean of them decides.",
        );
        Ok(page.configuration(self.configuration).to_html()?)
    }
}

fn figures(table: &Table, best: Option<(f64, usize)>) -> Vec<Figure> {
    let of_best = best.map(|(figure, step)| {
        Figure::new("AP50, best", figure, "1").protocol(format!("COCO, held-out images, after {step} steps"))
    });
    of_best.into_iter().chain(time_figures(table)).collect()
}

/// Losses, what was measured, the learning rate and the time.
fn plots(table: &Table) -> Vec<Plot> {
    let measured = |begins: &str, all: &str| {
        let columns =
            table.names().iter().filter(|name| *name == begins || name.starts_with(&format!("{begins} ")));
        let lines = columns.map(|column| {
            let name = column.strip_prefix(begins).map(str::trim).filter(|name| !name.is_empty());
            (name.unwrap_or(all).to_owned(), table.column(column))
        });
        // A class that is alone in its folder has the folder's line, and a folder that is alone that of all.
        let different = lines.fold(Vec::new(), |mut kept: Vec<(String, _)>, line| {
            if !line.1.is_empty() && kept.iter().all(|(_, points)| *points != line.1) {
                kept.push(line);
            }
            kept
        });
        let title = format!("{} on held-out images", begins.to_uppercase());
        Plot { dots: true, ..plot(&title, &begins.to_uppercase(), different) }
    };
    let losses = vec![mean(table, "class_loss", "scores"), mean(table, "box_loss", "boxes")];
    let measured = [measured("ap50", "mean of the sets"), measured("ap", "mean of the sets")];
    [plot("Losses", "loss", losses)].into_iter().chain(measured).chain(of_time(table)).collect()
}

/// Inputs of the network side by side, with their boxes.
fn sheet(caption: &str, inputs: &[Canvas]) -> anyhow::Result<SampleFrame> {
    let side = inputs.first().map_or(1, Canvas::size) * ENLARGED;
    let rows = inputs.len().div_ceil(IN_A_ROW).max(1);
    let image = RgbImage::from_fn(side * IN_A_ROW.min(inputs.len().max(1)), side * rows, |x, y| {
        let place = y / side * IN_A_ROW + x / side;
        inputs.get(place).map_or([0; 3], |input| input.pixel(x % side / ENLARGED, y % side / ENLARGED))
    });
    let boxes = |is_object: bool| -> Vec<Rectangle> {
        let of_input = |(place, input): (usize, &Canvas)| {
            let origin = [place % IN_A_ROW * side, place / IN_A_ROW * side].map(|value| value as f64);
            let targets = input.targets.iter().filter(|target| target.class_id.is_some() == is_object);
            let factor = ENLARGED as f64;
            let rectangles = targets.map(|target| {
                let of = target.bounding_box;
                let [x, y, width, height] =
                    [of.x, of.y, of.width, of.height].map(|value| f64::from(value) * factor);
                Rectangle::new(origin[0] + x, origin[1] + y, width, height)
            });
            rectangles.collect::<Vec<_>>()
        };
        inputs.iter().enumerate().flat_map(of_input).collect()
    };
    Ok(labelled_picture(caption, &image, &boxes(true), &boxes(false))?)
}
