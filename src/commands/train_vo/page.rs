//! The page that shows how a training goes.

use eval::depth::{color_depth, inverse_depth_range};
use eval::{Plot, Report, SampleFrame};
use geometry::{DepthImage, RgbImage};
use vo::train::{Batch, Trainer};

use crate::commands::training::{Table, mean, of_time, plot, time_figures};

/// What stands on the page.
pub(super) struct Page {
    /// What the training is called.
    pub(super) name: String,
    /// Steps of the whole training.
    pub(super) steps: usize,
    /// Its configuration as text.
    pub(super) configuration: String,
    /// Height and width of images.
    pub(super) size: [usize; 2],
    /// Snippets that are shown, by what they are.
    pub(super) samples: Vec<(String, Batch)>,
}

impl Page {
    /// The page, with the curves in `table` and what the networks of `trainer` see.
    pub(super) fn html(self, trainer: &Trainer, table: &Table) -> anyhow::Result<String> {
        let step = table.steps();
        let page = Report::new(format!("Training of {}", self.name));
        let page = page.subtitle(format!("after {step} of {} steps", self.steps));
        let page = page.figures(time_figures(table));
        let mut page = plots(table).into_iter().fold(page, Report::plot);
        let mut evaluator = trainer.averaged()?;
        for (name, batch) in &self.samples {
            let seen = evaluator.look(batch);
            let [target, other] =
                [&batch.images[1], &seen.synthesised].map(|image| picture(image, self.size));
            let depth = depth_of(&seen.inverse_depth, self.size);
            let depth = color_depth(&depth, inverse_depth_range(&depth).unwrap_or([0.0, 1.0]));
            let caption = format!("{name}: the image; its depth; the image from what the one before it saw");
            page = page.frame(SampleFrame::from_rgb(caption, &below(&[target, depth, other]))?);
        }
        let page = page.note(
            "Losses and times are means over stretches of steps. Depth is bright where near; it knows no metres. abs rel is \
             measured where true depth lies with what is measured on: median-scaled by image for single images, by sequence \
             else; the 5-frame ATE, SfMLearner's, where true poses do: of the first hundred frames, each five scaled by \
             themselves.",
        );
        Ok(page.configuration(self.configuration).to_html()?)
    }
}

/// The images of a batch: each snippet a row.
///
/// # Errors
/// None but for an empty batch.
pub(super) fn shown(batch: &Batch, size: [usize; 2]) -> anyhow::Result<RgbImage> {
    let length = 3 * size[0] * size[1];
    let row = |snippet: usize| {
        let images = batch.images.each_ref().map(|images| picture(&images[snippet * length..], size));
        beside(&images)
    };
    let rows: Vec<RgbImage> = (0..batch.clips.len()).map(row).collect();
    anyhow::ensure!(!rows.is_empty(), "expected a batch with snippets, found an empty one");
    Ok(below(&rows))
}

/// The first image of `[batch, 3, height, width]`.
fn picture(values: &[f32], [height, width]: [usize; 2]) -> RgbImage {
    let pixels = height * width;
    let byte = |value: f32| (value * 255.0).round().clamp(0.0, 255.0) as u8;
    RgbImage::from_fn(width, height, |x, y| {
        [0, 1, 2].map(|channel| byte(values[channel * pixels + y * width + x]))
    })
}

fn depth_of(inverse: &[f32], [height, width]: [usize; 2]) -> DepthImage {
    DepthImage::from_fn(width, height, |x, y| [1.0 / inverse[y * width + x]])
}

/// Pictures of one size, one below the other.
fn below(pictures: &[RgbImage]) -> RgbImage {
    let (width, height) = pictures[0].size();
    RgbImage::from_fn(width, height * pictures.len(), |x, y| pictures[y / height].pixel(x, y % height))
}

/// Pictures of one size side by side.
fn beside(pictures: &[RgbImage]) -> RgbImage {
    let (width, height) = pictures[0].size();
    RgbImage::from_fn(width * pictures.len(), height, |x, y| pictures[x / width].pixel(x % width, y))
}

/// Losses, what was measured, the learning rate and the time.
fn plots(table: &Table) -> Vec<Plot> {
    let measured = |figure: &str, title: &str| {
        let beginning = format!("{figure} ");
        let named = |name: &String| {
            Some((name.strip_prefix(&beginning)?.to_owned(), table.column(name)))
                .filter(|line| !line.1.is_empty())
        };
        let lines: Vec<_> = table.names().iter().filter_map(named).collect();
        (!lines.is_empty()).then(|| Plot { dots: true, ..plot(title, figure, lines) })
    };
    let photometric = vec![mean(table, "photometric_loss", "photometric")];
    let others = ["smoothness", "consistency", "explainability", "guidance"]
        .map(|name| mean(table, &format!("{name}_loss"), name))
        .into();
    let losses = [plot("Photometric loss", "loss", photometric), plot("Other losses", "loss", others)];
    let measured = [
        measured("loss", "Loss on what is held out"),
        measured("abs_rel", "Relative error of depth"),
        measured("ate_5_frames", "Error of motions over five frames [m]"),
    ];
    losses.into_iter().chain(measured.into_iter().flatten()).chain(of_time(table)).collect()
}
