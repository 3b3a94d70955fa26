//! Files of poses: KITTI, TUM RGB-D and EuRoC, told apart by their content.
//!
//! | format | a row | stamp |
//! |---|---|---|
//! | KITTI odometry | 12 numbers, `[R \| t]` row by row | none: the row number |
//! | KITTI with index | frame number, then the 12 | the frame number |
//! | TUM RGB-D | `stamp tx ty tz qx qy qz qw` | seconds |
//! | TUM, as ORB-SLAM3 writes for EuRoC | the same | nanoseconds |
//! | EuRoC | `stamp,px,py,pz,qw,qx,qy,qz,...` with commas | integer nanoseconds |
//!
//! Lines that start with `#` and empty lines are skipped. A frame number `n` becomes the stamp of `n` seconds,
//! which says nothing about time: such files are joined by frame number, see [`join`](crate::join).

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use geometry::{Se3, Timestamp, Trajectory};
use nalgebra::{Matrix3, Quaternion, UnitQuaternion, Vector3};

use crate::EvalError;

/// How a file writes its poses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrajectoryFormat {
    /// KITTI odometry: 12 numbers a row, the row number is the frame.
    Kitti,
    /// The same with a leading frame number.
    KittiIndexed,
    /// TUM RGB-D, stamps in seconds.
    Tum,
    /// TUM columns with stamps in nanoseconds.
    TumNanoseconds,
    /// EuRoC ground truth, comma separated.
    Euroc,
}

impl TrajectoryFormat {
    /// Whether a row carries the moment of its pose, not just a frame number.
    pub fn has_stamps(self) -> bool {
        !matches!(self, Self::Kitti | Self::KittiIndexed)
    }
}

impl fmt::Display for TrajectoryFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kitti => "KITTI",
            Self::KittiIndexed => "KITTI with index",
            Self::Tum => "TUM",
            Self::TumNanoseconds => "TUM (nanoseconds)",
            Self::Euroc => "EuRoC",
        })
    }
}

/// A trajectory with where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct TrajectoryFile {
    /// The file it was read from.
    pub path: PathBuf,
    /// The format that its content showed.
    pub format: TrajectoryFormat,
    /// The poses, `world_from_camera` (or from whatever body the file speaks of). For KITTI formats the stamp is the
    /// frame number in seconds.
    pub trajectory: Trajectory,
    /// Rows left out because the row before has the same stamp; TUM's own ground truth has some.
    pub repeated_stamps: usize,
}

/// Reads a trajectory in any [`TrajectoryFormat`].
///
/// # Errors
/// [`EvalError::Read`] where the file can't be read, [`EvalError::Empty`] where it has no rows, [`EvalError::Row`]
/// for a row with another number of columns, something that is not a finite number, a stamp that goes back,
/// a matrix that is no rotation or a quaternion that is not of length 1.
pub fn read_trajectory(path: impl AsRef<Path>) -> Result<TrajectoryFile, EvalError> {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path)
        .map_err(|source| EvalError::Read { path: path.to_path_buf(), source })?;
    parse_trajectory(path, &text)
}

/// Reads a trajectory from text; `path` is for messages.
///
/// # Errors
/// As [`read_trajectory`], but for [`EvalError::Read`].
pub fn parse_trajectory(path: &Path, text: &str) -> Result<TrajectoryFile, EvalError> {
    let mut reader: Option<(TrajectoryFormat, Layout)> = None;
    let mut trajectory = Trajectory::new();
    let mut repeated_stamps = 0;
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = index + 1;
        let located = |fault: Fault| EvalError::Row {
            path: path.to_path_buf(),
            line: number,
            expected: fault.expected,
            found: fault.found,
        };
        let row = Row::split(line);
        let (format, layout) = match reader {
            Some(known) => known,
            None => *reader.insert(Layout::detect(&row, number).map_err(located)?),
        };
        layout.check(format, &row).map_err(located)?;
        let (stamp, pose) = parse_row(format, &row, trajectory.len()).map_err(located)?;
        if format.has_stamps() && trajectory.stamps().last() == Some(&stamp) {
            repeated_stamps += 1;
            continue;
        }
        trajectory.push(stamp, pose).map_err(|_| located(not_increasing(format, &trajectory, &row)))?;
    }
    let (format, _) = reader.ok_or_else(|| EvalError::Empty { path: path.to_path_buf() })?;
    Ok(TrajectoryFile { path: path.to_path_buf(), format, trajectory, repeated_stamps })
}

/// Writes rows `stamp tx ty tz qx qy qz qw`. Numbers are the shortest that read back to the same 64 bits, so the same
/// trajectory always gives the same bytes.
///
/// # Errors
/// Whatever `out` answers.
pub fn write_tum(out: &mut impl Write, trajectory: &Trajectory) -> io::Result<()> {
    trajectory.iter().try_for_each(|(stamp, pose)| writeln!(out, "{}", tum_row(stamp, pose)))
}

/// Writes one KITTI row of 12 numbers for each pose; numbers as in [`write_tum`].
///
/// # Errors
/// Whatever `out` answers.
pub fn write_kitti(out: &mut impl Write, world_from_camera: &[Se3]) -> io::Result<()> {
    world_from_camera.iter().try_for_each(|pose| writeln!(out, "{}", kitti_row(pose)))
}

/// One TUM row, without the line's end; for recorders that write while flying.
pub fn tum_row(stamp: Timestamp, world_from_camera: &Se3) -> String {
    let numbers = world_from_camera.translation.iter().copied().chain(world_from_camera.xyzw());
    numbers.fold(stamp.to_string(), |row, value| format!("{row} {value:?}"))
}

/// One KITTI row, without the line's end.
pub fn kitti_row(world_from_camera: &Se3) -> String {
    let matrix = world_from_camera.to_matrix3x4();
    let numbers: Vec<String> =
        matrix.row_iter().flat_map(|row| row.iter().map(|v| format!("{v:?}")).collect::<Vec<_>>()).collect();
    numbers.join(" ")
}

/// What is wrong with a row, before its place is known.
struct Fault {
    expected: String,
    found: String,
}

impl Fault {
    fn new(expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { expected: expected.into(), found: found.into() }
    }
}

struct Row<'a> {
    commas: bool,
    fields: Vec<&'a str>,
}

impl<'a> Row<'a> {
    fn split(line: &'a str) -> Self {
        let commas = line.contains(',');
        let fields = if commas {
            line.trim_end_matches(',').split(',').map(str::trim).collect()
        } else {
            line.split_whitespace().collect()
        };
        Self { commas, fields }
    }

    fn count(&self) -> String {
        let separated = if self.commas { "comma-separated values" } else { "values" };
        format!("{} {separated}", self.fields.len())
    }

    /// `N` finite numbers from column `first` on.
    fn numbers<const N: usize>(&self, first: usize) -> Result<[f64; N], Fault> {
        let mut numbers = [0.0; N];
        for (column, number) in (first..).zip(&mut numbers) {
            let field = self.fields.get(column).copied().unwrap_or_default();
            *number = field.parse().ok().filter(|v: &f64| v.is_finite()).ok_or_else(|| {
                Fault::new(format!("a finite number in column {}", column + 1), format!("`{}`", shown(field)))
            })?;
        }
        Ok(numbers)
    }
}

/// A field as a message may show it.
fn shown(field: &str) -> String {
    field.chars().take(40).collect()
}

/// The columns that the first row set for the whole file.
#[derive(Clone, Copy)]
struct Layout {
    first_line: usize,
    columns: usize,
}

impl Layout {
    fn detect(row: &Row<'_>, line: usize) -> Result<(TrajectoryFormat, Self), Fault> {
        let format = match (row.commas, row.fields.len()) {
            (true, 8..) => TrajectoryFormat::Euroc,
            (true, _) => {
                return Err(Fault::new("at least 8 comma-separated values per pose (EuRoC)", row.count()));
            }
            (false, 8) if is_nanoseconds(row.fields[0]) => TrajectoryFormat::TumNanoseconds,
            (false, 8) => TrajectoryFormat::Tum,
            (false, 12) => TrajectoryFormat::Kitti,
            (false, 13) => TrajectoryFormat::KittiIndexed,
            _ => {
                let expected = "12 values per pose (KITTI), 13 (KITTI with index), 8 (TUM) or 8 and more with commas (EuRoC)";
                return Err(Fault::new(expected, row.count()));
            }
        };
        Ok((format, Self { first_line: line, columns: row.fields.len() }))
    }

    fn check(self, format: TrajectoryFormat, row: &Row<'_>) -> Result<(), Fault> {
        let commas = format == TrajectoryFormat::Euroc;
        if row.commas == commas && row.fields.len() == self.columns {
            return Ok(());
        }
        let separated = if commas { "comma-separated values" } else { "values" };
        let expected =
            format!("{} {separated} per pose ({format}, as in line {})", self.columns, self.first_line);
        Err(Fault::new(expected, row.count()))
    }
}

/// Seconds end at 9.2e9 (the year 2262): what is beyond counts nanoseconds.
fn is_nanoseconds(stamp: &str) -> bool {
    stamp.parse().is_ok_and(|value: f64| value.is_finite() && value.abs() >= 9.2e9)
}

fn parse_row(format: TrajectoryFormat, row: &Row<'_>, frame: usize) -> Result<(Timestamp, Se3), Fault> {
    match format {
        TrajectoryFormat::Kitti => Ok((frame_stamp(frame as i64), pose_from_matrix(row.numbers(0)?)?)),
        TrajectoryFormat::KittiIndexed => {
            Ok((frame_stamp(parse_frame_number(row)?), pose_from_matrix(row.numbers(1)?)?))
        }
        TrajectoryFormat::Tum | TrajectoryFormat::TumNanoseconds => {
            let [x, y, z, w] = row.numbers(4)?;
            let pose = pose_from_quaternion(row.numbers(1)?, Quaternion::new(w, x, y, z))?;
            Ok((parse_stamp(format, row.fields[0])?, pose))
        }
        TrajectoryFormat::Euroc => {
            let [w, x, y, z] = row.numbers(4)?;
            let pose = pose_from_quaternion(row.numbers(1)?, Quaternion::new(w, x, y, z))?;
            Ok((parse_stamp(format, row.fields[0])?, pose))
        }
    }
}

fn frame_stamp(frame: i64) -> Timestamp {
    Timestamp::from_nanos(frame * 1_000_000_000)
}

fn parse_frame_number(row: &Row<'_>) -> Result<i64, Fault> {
    let [number] = row.numbers(0)?;
    let whole = (0.0..9.2e9).contains(&number) && number.fract() == 0.0;
    whole.then_some(number as i64).ok_or_else(|| {
        Fault::new("a frame number (0, 1, 2, ...) in column 1", format!("`{}`", shown(row.fields[0])))
    })
}

fn parse_stamp(format: TrajectoryFormat, field: &str) -> Result<Timestamp, Fault> {
    let (unit, stamp) = match format {
        TrajectoryFormat::Tum => ("seconds", parse_decimal(field, 9)),
        TrajectoryFormat::TumNanoseconds => ("nanoseconds", parse_decimal(field, 0)),
        _ => ("integer nanoseconds", field.parse().ok()),
    };
    stamp
        .map(Timestamp::from_nanos)
        .ok_or_else(|| Fault::new(format!("a stamp in {unit} in column 1"), format!("`{}`", shown(field))))
}

/// `field` times `10^digits`, exactly, later digits dropped; a float would lose 100 ns of a Unix time. Exponents go through a float.
fn parse_decimal(field: &str, digits: usize) -> Option<i64> {
    let (negative, unsigned) = match field.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, field.strip_prefix('+').unwrap_or(field)),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let plain = !(whole.is_empty() && fraction.is_empty())
        && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if !plain {
        let value = field.parse::<f64>().ok()? * 10f64.powi(digits as i32);
        return (value.abs() < 9.2e18).then(|| value.round() as i64);
    }
    let fraction = &fraction[..fraction.len().min(digits)];
    let value: i64 = format!("0{whole}{fraction:0<digits$}").parse().ok()?;
    Some(if negative { -value } else { value })
}

fn pose_from_matrix(row: [f64; 12]) -> Result<Se3, Fault> {
    let [r00, r01, r02, x, r10, r11, r12, y, r20, r21, r22, z] = row;
    let matrix = Matrix3::new(r00, r01, r02, r10, r11, r12, r20, r21, r22);
    let deviation = (matrix.transpose() * matrix - Matrix3::identity()).abs().max();
    let determinant = matrix.determinant();
    if deviation > MAX_NORM_DEVIATION || determinant < 0.0 {
        let found = format!("a 3x3 part {deviation:.3} off orthonormal with determinant {determinant:.3}");
        return Err(Fault::new("a rotation matrix and a translation", found));
    }
    Ok(Se3::from_rotation_matrix(&matrix, Vector3::new(x, y, z)))
}

/// Files print four digits and more; what is further off is not a rotation.
const MAX_NORM_DEVIATION: f64 = 0.02;

fn pose_from_quaternion(translation: [f64; 3], quaternion: Quaternion<f64>) -> Result<Se3, Fault> {
    let deviation = (quaternion.norm_squared() - 1.0).abs();
    if deviation > MAX_NORM_DEVIATION {
        return Err(Fault::new("a quaternion of length 1", format!("length {:.3}", quaternion.norm())));
    }
    // What is exact already stays as it is, so that a written file reads back to the same bits.
    let exact = deviation < 8.0 * f64::EPSILON;
    let rotation = if exact {
        UnitQuaternion::new_unchecked(quaternion)
    } else {
        UnitQuaternion::new_normalize(quaternion)
    };
    Ok(Se3::new(rotation, Vector3::from(translation)))
}

fn not_increasing(format: TrajectoryFormat, trajectory: &Trajectory, row: &Row<'_>) -> Fault {
    let last = trajectory.stamps().last().map_or_else(String::new, |stamp| match format {
        TrajectoryFormat::Tum => format!(" {stamp} s"),
        TrajectoryFormat::KittiIndexed => format!(" {}", stamp.as_nanos() / 1_000_000_000),
        _ => format!(" {} ns", stamp.as_nanos()),
    });
    let what = if format.has_stamps() { "stamp" } else { "frame number" };
    Fault::new(format!("a {what} after{last}"), format!("`{}`", shown(row.fields[0])))
}

#[cfg(test)]
mod tests;
