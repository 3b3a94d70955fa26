//! Calibrations that are rows of numbers: KITTI `calib.txt` and bare camera matrices.

use geometry::Distortion;

use super::{Calibration, FORMATS};
use crate::DatasetError;
use crate::text::{Line, TextFile};

const PROJECTION: &str = "numbers per projection matrix";

/// Whether the file has KITTI rows or starts with a number.
pub(super) fn recognise(file: &TextFile) -> bool {
    let numeric = |line: Line<'_>| line.fields().next().is_some_and(|field| field.parse::<f64>().is_ok());
    file.lines().any(|line| projection_label(line).is_some()) || file.lines().next().is_some_and(numeric)
}

pub(super) fn parse(file: &TextFile) -> Result<Calibration, DatasetError> {
    let labelled = file.lines().any(|line| projection_label(line).is_some());
    let first = file.lines().next().map_or(0, |line| line.fields().count());
    if labelled || first == 12 {
        return from_projection(file, &kitti_projection(file, first_index(file))?);
    }
    from_matrix(file)
}

/// Label of the first projection in the file: a calibration that was cut down to `P2` is one of that camera.
fn first_index(file: &TextFile) -> usize {
    file.lines().find_map(projection_label).unwrap_or(0)
}

/// `2` for `P2: 718.8 0 ...`.
fn projection_label(line: Line<'_>) -> Option<usize> {
    let (index, _) = line.text.strip_prefix('P')?.split_once(':')?;
    index.trim().parse().ok()
}

/// The 3x4 projection matrix of camera `index`, row by row: the row labelled `P<index>:` or, in a file without
/// labels, row `index`.
pub(crate) fn kitti_projection(file: &TextFile, index: usize) -> Result<[f64; 12], DatasetError> {
    let label = format!("P{index}:");
    if let Some(row) = file.lines().find_map(|line| line.after(&label)) {
        return row.numbers(PROJECTION);
    }
    let labelled = file.lines().any(|line| line.text.contains(':'));
    match file.lines().nth(index) {
        Some(row) if !labelled => row.numbers(PROJECTION),
        _ => Err(file.unexpected(format!("a row `{label}` with 12 numbers"), "none")),
    }
}

/// KITTI images are rectified: a projection has no lens.
pub(super) fn from_projection(file: &TextFile, p: &[f64; 12]) -> Result<Calibration, DatasetError> {
    let matrix = [p[0], p[1], p[2], p[4], p[5], p[6], p[8], p[9], p[10]];
    Calibration::checked(file, intrinsics(file, &matrix)?, Distortion::None, None)
}

/// Nine numbers over any number of lines, as in the `cam.txt` of folders prepared for SfMLearner.
fn from_matrix(file: &TextFile) -> Result<Calibration, DatasetError> {
    let mut values = Vec::new();
    for line in file.lines() {
        values.extend(line.all_numbers("a camera matrix")?);
    }
    let found = format!("{} numbers", values.len());
    let matrix: [f64; 9] = values.try_into().map_err(|_| file.unexpected(FORMATS, found))?;
    Calibration::checked(file, intrinsics(file, &matrix)?, Distortion::None, None)
}

/// `fx, fy, cx, cy` of the camera matrix `k`, row by row, which must be one.
pub(super) fn intrinsics(file: &TextFile, k: &[f64; 9]) -> Result<[f64; 4], DatasetError> {
    let [fx, skew, cx, zero, fy, cy, last @ ..] = *k;
    // Written with few digits, or as the product of rectification, the zeros may be rounded.
    let is = |value: f64, expected: f64| (value - expected).abs() <= 1e-6 * fx.abs().max(1.0);
    let is_camera =
        is(skew, 0.0) && is(zero, 0.0) && last.iter().zip([0.0, 0.0, 1.0]).all(|(v, e)| is(*v, e));
    if is_camera {
        return Ok([fx, fy, cx, cy]);
    }
    Err(file.unexpected("a camera matrix [fx 0 cx; 0 fy cy; 0 0 1]", format!("{k:?}")))
}
