//! All images together.

use std::fmt;

use serde::Serialize;

use super::errors::median;
use super::{DepthErrors, DepthPairs, DepthProtocol};
use crate::EvalError;
use crate::figure::{Figure, Side, figures_table, significant, text_table};

/// By what a prediction is multiplied before it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DepthScaling {
    /// In each image by the ratio of the medians of its truth and its prediction.
    Image,
    /// In all images by the median of these ratios: a sequence seen by one network has one unit.
    Sequence,
    /// By nothing: the prediction is metric.
    None,
}

impl DepthScaling {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Image, Self::Sequence, Self::None];

    /// What reports say.
    pub fn text(self) -> &'static str {
        match self {
            Self::Image => "median-scaled per image",
            Self::Sequence => "median-scaled per sequence",
            Self::None => "not scaled",
        }
    }
}

/// The same error by each [`DepthScaling`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ScaledErrors {
    /// [`DepthScaling::Image`].
    pub image: DepthErrors,
    /// [`DepthScaling::Sequence`].
    pub sequence: DepthErrors,
    /// [`DepthScaling::None`].
    pub none: DepthErrors,
}

impl ScaledErrors {
    /// Those by one scaling.
    pub fn by(&self, scaling: DepthScaling) -> &DepthErrors {
        match scaling {
            DepthScaling::Image => &self.image,
            DepthScaling::Sequence => &self.sequence,
            DepthScaling::None => &self.none,
        }
    }
}

/// One image.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageDepth {
    /// As the caller calls it.
    pub name: String,
    /// Pixels compared.
    pub pixels: usize,
    /// Median of the truth over that of the prediction.
    pub ratio: f64,
    /// How wrong it is.
    #[serde(flatten)]
    pub errors: ScaledErrors,
}

/// How well depth was seen in some images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DepthReport {
    /// Means over the images.
    pub errors: ScaledErrors,
    /// The same for a depth that is the same everywhere, scaled per image: what a network must be better than.
    pub constant: DepthErrors,
    /// Median of the images' ratios of truth to prediction.
    pub ratio: f64,
    /// Standard deviation of the images' ratios over their median: 0 where all images are in one unit.
    pub ratio_spread: f64,
    /// Pixels compared.
    pub pixels: usize,
    /// Pixels whose truth counts but that have no prediction; they are left out.
    pub missing_pixels: usize,
    /// What was measured, image by image; those without a pixel that counts are left out.
    pub per_image: Vec<ImageDepth>,
    /// Names of the images that are left out.
    pub left_out: Vec<String>,
    /// What counts, in words.
    pub protocol: String,
}

impl DepthReport {
    /// Measures the images `names`; `pairs` is asked for each image twice, because the scale of a sequence is known only
    /// after its last image.
    ///
    /// # Errors
    /// Those of `pairs`; [`EvalError::Protocol`] where no image has a pixel to compare.
    pub fn measure<E: From<EvalError>>(
        names: &[String],
        protocol: &DepthProtocol,
        mut pairs: impl FnMut(usize) -> Result<DepthPairs, E>,
    ) -> Result<Self, E> {
        let (mut per_image, mut places, mut left_out, mut constant) = (vec![], vec![], vec![], vec![]);
        let (mut pixels, mut missing_pixels) = (0, 0);
        for (index, name) in names.iter().enumerate() {
            let of_image = pairs(index)?;
            missing_pixels += of_image.missing();
            let Some(image) = measure_image(name, &of_image, protocol) else {
                left_out.push(name.clone());
                continue;
            };
            pixels += image.pixels;
            constant.extend(constant_errors(&of_image, protocol));
            places.push(index);
            per_image.push(image);
        }
        let ratios: Vec<f64> = per_image.iter().map(|image| image.ratio).collect();
        let Some(ratio) = median(&ratios) else { return Err(nothing_to_compare(names.len()).into()) };
        for (image, index) in per_image.iter_mut().zip(places) {
            image.errors.sequence = pairs(index)?.errors(ratio, protocol).unwrap_or_default();
        }
        let mean = |scaling| DepthErrors::mean(per_image.iter().map(|image| image.errors.by(scaling)));
        let [image, sequence, none] = DepthScaling::ALL.map(mean);
        Ok(Self {
            errors: ScaledErrors { image, sequence, none },
            constant: DepthErrors::mean(constant.iter()),
            ratio,
            ratio_spread: deviation(&ratios) / ratio,
            pixels,
            missing_pixels,
            per_image,
            left_out,
            protocol: protocol.to_string(),
        })
    }

    /// All figures, those by `scaling` first.
    pub fn figures(&self, scaling: DepthScaling) -> Vec<Figure> {
        let others = DepthScaling::ALL.into_iter().filter(|other| *other != scaling);
        let mut figures: Vec<Figure> =
            std::iter::once(scaling).chain(others).flat_map(|scaling| self.figures_by(scaling)).collect();
        let of_all = |figure: Figure| figure.count(self.per_image.len(), "images");
        figures.push(of_all(
            Figure::new("abs rel of a constant", self.constant.abs_rel, "1")
                .protocol(format!("the same depth everywhere, median-scaled per image; {}", self.protocol)),
        ));
        let ratio = "median of the truth over median of the prediction, median over the images";
        figures.push(of_all(Figure::new("scale", self.ratio, "1").protocol(ratio)));
        let spread = "standard deviation of the images' scales over their median";
        figures.push(of_all(Figure::new("spread of the scale", self.ratio_spread, "1").protocol(spread)));
        figures
    }

    fn figures_by(&self, scaling: DepthScaling) -> Vec<Figure> {
        let names = [
            ("abs rel", "1"),
            ("sq rel", "m"),
            ("RMSE", "m"),
            ("RMSE log", "1"),
            ("delta < 1.25", "1"),
            ("delta < 1.25^2", "1"),
            ("delta < 1.25^3", "1"),
        ];
        let protocol = format!("{}; {}; mean over images", scaling.text(), self.protocol);
        let values = self.errors.by(scaling).values();
        let figures = names.into_iter().zip(values).map(|((name, unit), value)| {
            Figure::new(name, value, unit).protocol(&protocol).count(self.per_image.len(), "images")
        });
        figures.collect()
    }

    /// What a reader must know beside the figures.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.missing_pixels > 0 {
            let share = self.missing_pixels as f64 / (self.pixels + self.missing_pixels) as f64;
            notes.push(format!(
                "{:.1} % of the pixels with truth have no prediction and are left out: such figures flatter",
                100.0 * share
            ));
        }
        if !self.left_out.is_empty() {
            notes.push(format!(
                "{} images have no pixel that counts and are left out, {} the first",
                self.left_out.len(),
                self.left_out[0]
            ));
        }
        notes
    }

    /// Indices into [`per_image`](Self::per_image), by falling absolute relative error.
    pub fn worst_images(&self, scaling: DepthScaling) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.per_image.len()).collect();
        let error = |index: usize| self.per_image[index].errors.by(scaling).abs_rel;
        order.sort_by(|&a, &b| error(b).total_cmp(&error(a)));
        order
    }

    /// Rows of a table of images, the first one a header.
    pub(crate) fn image_rows(&self) -> Vec<Vec<String>> {
        let header =
            ["image", "abs rel, per image", "abs rel, per sequence", "delta < 1.25", "scale", "pixels"];
        let row = |image: &ImageDepth| {
            let values = [
                image.errors.image.abs_rel,
                image.errors.sequence.abs_rel,
                image.errors.image.delta1,
                image.ratio,
            ];
            let name = std::iter::once(image.name.clone());
            name.chain(values.map(significant)).chain([image.pixels.to_string()]).collect()
        };
        std::iter::once(header.map(str::to_owned).to_vec()).chain(self.per_image.iter().map(row)).collect()
    }

    /// Errors by each scaling side by side, then what else was measured.
    pub fn text(&self, scaling: DepthScaling) -> String {
        let header =
            ["scaling", "abs rel", "sq rel", "RMSE", "RMSE log", "d < 1.25", "d < 1.25^2", "d < 1.25^3"];
        let row = |scaling: DepthScaling| {
            let name = std::iter::once(scaling.text().to_owned());
            name.chain(self.errors.by(scaling).values().map(significant)).collect::<Vec<_>>()
        };
        let mut rows = vec![header.map(str::to_owned).to_vec()];
        rows.extend(DepthScaling::ALL.map(row));
        let mut sides = [Side::Right; 8];
        sides[0] = Side::Left;
        let count = 3 * 7;
        format!(
            "{}[{} images, {} pixels; {}; mean over images]\n\n{}",
            text_table(&rows, &sides),
            self.per_image.len(),
            self.pixels,
            self.protocol,
            figures_table(&self.figures(scaling)[count..])
        )
    }
}

/// [`DepthReport::text`] by the scaling of papers.
impl fmt::Display for DepthReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(DepthScaling::Image))
    }
}

fn measure_image(name: &str, pairs: &DepthPairs, protocol: &DepthProtocol) -> Option<ImageDepth> {
    let ratio = pairs.median_ratio()?;
    let (image, none) = (pairs.errors(ratio, protocol)?, pairs.errors(1.0, protocol)?);
    let errors = ScaledErrors { image, none, sequence: DepthErrors::default() };
    Some(ImageDepth { name: name.to_owned(), pixels: pairs.len(), ratio, errors })
}

fn constant_errors(pairs: &DepthPairs, protocol: &DepthProtocol) -> Option<DepthErrors> {
    let constant = pairs.constant();
    constant.errors(constant.median_ratio()?, protocol)
}

fn deviation(values: &[f64]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt()
}

fn nothing_to_compare(images: usize) -> EvalError {
    EvalError::Protocol {
        expected: "a pixel with truth and prediction in the range and the crop",
        found: format!("none in {images} images"),
    }
}

#[cfg(test)]
mod tests {
    use geometry::DepthImage;

    use super::*;

    fn report(images: &[(&[f32], &[f32])]) -> Result<DepthReport, EvalError> {
        let protocol = DepthProtocol::default();
        let names: Vec<String> = (0..images.len()).map(|index| index.to_string()).collect();
        DepthReport::measure(&names, &protocol, |index| {
            let image = |values: &[f32]| DepthImage::from_vec(values.len(), 1, values.to_vec()).unwrap();
            DepthPairs::new(&image(images[index].0), &image(images[index].1), &protocol)
        })
    }

    #[test]
    fn scales_of_images_and_of_the_sequence() {
        // Right in three units: 2, 2 and 4.
        let report = report(&[(&[2.0, 4.0], &[1.0, 2.0]), (&[6.0], &[3.0]), (&[8.0], &[2.0])]).unwrap();
        assert_eq!((report.ratio, report.errors.image.abs_rel), (2.0, 0.0));
        assert!((report.errors.sequence.abs_rel - 0.5 / 3.0).abs() < 1e-12);
        assert!((report.errors.none.abs_rel - (0.5 + 0.5 + 0.75) / 3.0).abs() < 1e-12);
        assert!((report.ratio_spread - (8.0_f64 / 9.0).sqrt() / 2.0).abs() < 1e-12);
        assert_eq!(report.worst_images(DepthScaling::Sequence)[0], 2);
        assert!((report.constant.abs_rel - (0.5 * (0.5 + 0.25)) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn images_without_truth_are_left_out_and_told() {
        let report = report(&[(&[0.0], &[1.0]), (&[4.0, 6.0], &[4.0, 0.0])]).unwrap();
        assert_eq!((report.per_image.len(), &report.left_out[..]), (1, &["0".to_owned()][..]));
        let notes = report.notes();
        assert!(
            notes[0].starts_with("50.0 % of the pixels") && notes[1].contains("0 the first"),
            "{notes:?}"
        );
        let error = self::report(&[(&[0.0], &[1.0])]).unwrap_err().to_string();
        assert!(error.contains("found none in 1 images"), "{error}");
    }

    #[test]
    fn every_scaling_is_printed_with_its_protocol() {
        let report = report(&[(&[2.0, 4.0], &[1.0, 2.1])]).unwrap();
        let text = report.to_string();
        for part in ["per image", "per sequence", "not scaled", "0.001 to 80 m, no crop", "of a constant"] {
            assert!(text.contains(part), "`{part}` is not in {text}");
        }
        let figures = report.figures(DepthScaling::Sequence);
        assert_eq!(figures.len(), 3 * 7 + 3);
        assert!(figures[0].protocol.starts_with("median-scaled per sequence; "), "{}", figures[0]);
    }
}
