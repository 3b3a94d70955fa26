//! Calibrations in YAML: OpenCV `FileStorage`, ROS `camera_info`, Kalibr camchain and EuRoC `sensor.yaml`.

use geometry::Distortion;
use yaml_rust2::{Yaml, YamlLoader};

use super::{Calibration, FORMATS, rows};
use crate::DatasetError;
use crate::text::TextFile;

const MATRIX_KEYS: &[&str] = &["camera_matrix", "Camera_Matrix", "cameraMatrix", "K", "M1"];
const DISTORTION_KEYS: &[&str] = &[
    "distortion_coefficients",
    "distortion_coeffs",
    "Distortion_Coefficients",
    "distCoeffs",
    "dist_coeffs",
    "D",
    "D1",
];
const WIDTH_KEYS: &[&str] = &["image_width", "image_Width", "width"];
const HEIGHT_KEYS: &[&str] = &["image_height", "image_Height", "height"];

pub(super) fn parse(file: &TextFile) -> Result<Calibration, DatasetError> {
    let document = Document::parse(file)?;
    let root = document.root();
    if let Some(camera) = root.get(&["cam0"]) {
        return from_kalibr(&camera);
    }
    if root.get(&["intrinsics"]).is_some() {
        return from_kalibr(&root);
    }
    match root.get(MATRIX_KEYS) {
        Some(matrix) => from_opencv(&root, &matrix),
        None => Err(file.unexpected(FORMATS, "none of their keys")),
    }
}

/// Kalibr's camchain and, with slightly other words, EuRoC's `sensor.yaml`.
fn from_kalibr(camera: &Node<'_>) -> Result<Calibration, DatasetError> {
    if let Some(model) = camera.get(&["camera_model"]).filter(|model| model.text() != "pinhole") {
        return Err(model.unexpected("camera_model pinhole", format!("`{}`", model.text())));
    }
    let intrinsics = camera.require(&["intrinsics"])?.exactly()?;
    let size = match camera.get(&["resolution"]) {
        Some(resolution) => Some(resolution.size()?),
        None => None,
    };
    Calibration::checked(camera.file, intrinsics, distortion(camera)?, size)
}

fn from_opencv(root: &Node<'_>, matrix: &Node<'_>) -> Result<Calibration, DatasetError> {
    let size = match (root.get(WIDTH_KEYS), root.get(HEIGHT_KEYS)) {
        (Some(width), Some(height)) => Some((width.count()?, height.count()?)),
        (None, None) => None,
        _ => return Err(root.file.unexpected("both image_width and image_height", "one of them")),
    };
    let intrinsics = rows::intrinsics(root.file, &matrix.exactly()?)?;
    Calibration::checked(root.file, intrinsics, distortion(root)?, size)
}

fn distortion(camera: &Node<'_>) -> Result<Distortion, DatasetError> {
    let model = camera.get(&["distortion_model"]);
    let name = model.as_ref().map_or("radtan", Node::text).to_lowercase();
    let fisheye = match name.as_str() {
        "none" => return Ok(Distortion::None),
        "radtan" | "radial-tangential" | "plumb_bob" | "rational_polynomial" => false,
        "equidistant" | "fisheye" | "kannala_brandt" => true,
        _ => {
            let expected = "distortion_model radtan, plumb_bob, equidistant, fisheye or none";
            return Err(model.as_ref().unwrap_or(camera).unexpected(expected, format!("`{name}`")));
        }
    };
    // Files without lens keys are of rectified images; a lens that is named needs its coefficients.
    let coefficients = match (camera.get(DISTORTION_KEYS), &model) {
        (Some(coefficients), _) => coefficients,
        (None, None) => return Ok(Distortion::None),
        (None, Some(_)) => camera.require(&["distortion_coefficients"])?,
    };
    if fisheye {
        return coefficients.exactly().map(|k| Distortion::KannalaBrandt { k });
    }
    radial_tangential(&coefficients)
}

/// OpenCV's order `k1 k2 p1 p2 [k3 [k4 k5 k6 ...]]`; the rational model is read where it is not used.
fn radial_tangential(coefficients: &Node<'_>) -> Result<Distortion, DatasetError> {
    let values = coefficients.numbers()?;
    let (used, higher) = values.split_at(values.len().min(5));
    let [k1, k2, p1, p2, k3] = match *used {
        [] => return Ok(Distortion::None),
        [k1, k2, p1, p2] => [k1, k2, p1, p2, 0.0],
        [k1, k2, p1, p2, k3] => [k1, k2, p1, p2, k3],
        _ => return Err(coefficients.unexpected("4 or 5 distortion coefficients", values.len().to_string())),
    };
    if higher.iter().any(|value| *value != 0.0) {
        let expected = "5 distortion coefficients (k1 k2 p1 p2 k3) with any further ones 0";
        return Err(coefficients.unexpected(expected, format!("{higher:?} after them")));
    }
    let none = used.iter().all(|value| *value == 0.0);
    let lens = Distortion::RadialTangential { k1, k2, p1, p2, k3 };
    Ok(if none { Distortion::None } else { lens })
}

/// A parsed YAML file.
pub(crate) struct Document<'a> {
    file: &'a TextFile,
    root: Yaml,
}

impl<'a> Document<'a> {
    pub(crate) fn parse(file: &'a TextFile) -> Result<Self, DatasetError> {
        let documents = YamlLoader::load_from_str(&without_directive(&file.content)).map_err(|error| {
            file.unexpected_at(Some(error.marker().line()), FORMATS, format!("no YAML: {error}"))
        })?;
        let root = documents.into_iter().find(|document| matches!(document, Yaml::Hash(_)));
        root.map(|root| Self { file, root }).ok_or_else(|| file.unexpected(FORMATS, "no keys"))
    }

    pub(crate) fn root(&self) -> Node<'_> {
        Node { file: self.file, key: String::new(), yaml: &self.root }
    }
}

/// OpenCV writes `%YAML:1.0`, which YAML does not allow; the line stays, empty, so that lines count right.
fn without_directive(content: &str) -> String {
    let lines = content.lines().map(|line| if line.starts_with("%YAML") { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

/// A value in a YAML file and the key it stands at.
pub(crate) struct Node<'a> {
    file: &'a TextFile,
    key: String,
    yaml: &'a Yaml,
}

impl<'a> Node<'a> {
    /// The value at the first of `keys` that exists.
    pub(crate) fn get(&self, keys: &[&str]) -> Option<Self> {
        let found = keys.iter().find(|key| !self.yaml[**key].is_badvalue())?;
        Some(Self { file: self.file, key: (*found).to_owned(), yaml: &self.yaml[*found] })
    }

    pub(crate) fn require(&self, keys: &[&str]) -> Result<Self, DatasetError> {
        self.get(keys).ok_or_else(|| self.unexpected(format!("a key `{}`", keys[0]), "none"))
    }

    /// The value as exactly `N` finite numbers.
    pub(crate) fn exactly<const N: usize>(&self) -> Result<[f64; N], DatasetError> {
        let values = self.numbers()?;
        let found = values.len().to_string();
        values.try_into().map_err(|_| self.unexpected(format!("{N} numbers in `{}`", self.key), found))
    }

    /// The numbers of a list, a list of lists, or a matrix with `rows`, `cols` and `data`.
    fn numbers(&self) -> Result<Vec<f64>, DatasetError> {
        let mut values = Vec::new();
        let data = self.get(&["data"]);
        self.collect(data.as_ref().map_or(self.yaml, |data| data.yaml), &mut values)?;
        if let (Some(rows), Some(cols)) = (self.yaml["rows"].as_i64(), self.yaml["cols"].as_i64())
            && rows.checked_mul(cols) != i64::try_from(values.len()).ok()
        {
            let expected = format!("{rows}x{cols} numbers in `{}`", self.key);
            return Err(self.unexpected(expected, values.len().to_string()));
        }
        Ok(values)
    }

    fn collect(&self, yaml: &Yaml, values: &mut Vec<f64>) -> Result<(), DatasetError> {
        if let Yaml::Array(items) = yaml {
            return items.iter().try_for_each(|item| self.collect(item, values));
        }
        let value = number(yaml).filter(|value| value.is_finite());
        let value = value.ok_or_else(|| {
            self.unexpected(format!("finite numbers in `{}`", self.key), format!("`{}`", text(yaml)))
        })?;
        values.push(value);
        Ok(())
    }

    /// A positive whole number.
    fn count(&self) -> Result<usize, DatasetError> {
        let count = self.yaml.as_i64().and_then(|value| usize::try_from(value).ok()).filter(|v| *v > 0);
        let expected = || format!("a positive whole number in `{}`", self.key);
        count.ok_or_else(|| self.unexpected(expected(), format!("`{}`", self.text())))
    }

    /// `[width, height]`.
    fn size(&self) -> Result<(usize, usize), DatasetError> {
        let [width, height] = self.exactly::<2>()?;
        if width >= 1.0 && height >= 1.0 {
            return Ok((width as usize, height as usize));
        }
        Err(self.unexpected("a resolution of at least one pixel", format!("{width}x{height}")))
    }

    fn text(&self) -> &'a str {
        text(self.yaml)
    }

    pub(crate) fn unexpected(&self, expected: impl Into<String>, found: impl Into<String>) -> DatasetError {
        self.file.unexpected_at(self.line(), expected, found)
    }

    /// The parser keeps no positions: the first line that starts with the key is taken.
    fn line(&self) -> Option<usize> {
        let starts = |line: &str| {
            let rest = line.trim_start().strip_prefix(&self.key);
            rest.is_some_and(|rest| rest.trim_start().starts_with(':'))
        };
        let index = self.file.content.lines().position(starts);
        index.filter(|_| !self.key.is_empty()).map(|index| index + 1)
    }
}

fn number(yaml: &Yaml) -> Option<f64> {
    match yaml {
        Yaml::Integer(value) => Some(*value as f64),
        Yaml::Real(text) | Yaml::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn text(yaml: &Yaml) -> &str {
    match yaml {
        Yaml::Real(text) | Yaml::String(text) => text,
        Yaml::Integer(_) => "an integer",
        Yaml::Null => "nothing",
        _ => "a list, mapping or flag",
    }
}
