//! What told the metres of a run, to be told again.

use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use vo::{ScaleSample, ScaleSource};

use super::{RunDirectory, SCALE_SAMPLES};
use crate::RuntimeError;

/// [`ScaleSource`] as a table; samples lie beside it in `scale_samples.txt`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum ScaleTable {
    /// Nothing; also in runs of before there was anything.
    #[default]
    None,
    /// The user.
    Fixed {
        /// Metres per map unit.
        metres_per_unit: f64,
    },
    /// The ground under a camera at a known height.
    CameraHeight {
        /// Metres.
        height_m: f64,
    },
    /// Heights above the ground.
    Agl,
    /// Speeds.
    Velocity,
    /// The depth network of the flight.
    Depth {
        /// Metres in a unit of its depth.
        metres_per_unit: f64,
    },
}

impl From<&ScaleSource> for ScaleTable {
    fn from(source: &ScaleSource) -> Self {
        match source {
            ScaleSource::None => Self::None,
            ScaleSource::Fixed(metres_per_unit) => Self::Fixed { metres_per_unit: *metres_per_unit },
            ScaleSource::CameraHeight(height_m) => Self::CameraHeight { height_m: *height_m },
            ScaleSource::HeightAboveGround(_) => Self::Agl,
            ScaleSource::Velocity(_) => Self::Velocity,
            ScaleSource::Depth(metres_per_unit) => Self::Depth { metres_per_unit: *metres_per_unit },
        }
    }
}

impl ScaleTable {
    pub(crate) fn to_source(self, run_dir: &Path) -> Result<ScaleSource, RuntimeError> {
        let read = |what: &str| read_scale_samples(&run_dir.join(SCALE_SAMPLES), what);
        Ok(match self {
            Self::None => ScaleSource::None,
            Self::Fixed { metres_per_unit } => ScaleSource::Fixed(metres_per_unit),
            Self::CameraHeight { height_m } => ScaleSource::CameraHeight(height_m),
            Self::Agl => ScaleSource::HeightAboveGround(read("stamp_s height_m")?.into()),
            Self::Velocity => ScaleSource::Velocity(read("stamp_s speed_mps")?.into()),
            Self::Depth { metres_per_unit } => ScaleSource::Depth(metres_per_unit),
        })
    }
}

fn read_scale_samples(path: &Path, what: &str) -> Result<Vec<ScaleSample>, RuntimeError> {
    let rows = datasets::read_samples(path, what)?;
    Ok(rows.into_iter().map(|(stamp, value)| ScaleSample { stamp, value }).collect())
}

/// Writes the samples of `source` into `run`, where there are any.
pub(crate) fn write_scale_samples(run: &RunDirectory, source: &ScaleSource) -> Result<(), RuntimeError> {
    let Some(samples) = source.samples() else { return Ok(()) };
    let mut text = String::from("# stamp_s value\n");
    for sample in samples {
        // Shortest digits that read back as the same bits.
        let _ = writeln!(text, "{} {}", sample.stamp, sample.value);
    }
    run.write(SCALE_SAMPLES, &text)
}

#[cfg(test)]
mod tests {
    use geometry::Timestamp;

    use super::*;

    #[test]
    fn every_source_survives_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let samples = [(1_305_031_110_043_299_123, 0.1 + 0.2), (1_305_031_110_143_299_123, 1.0 / 3.0)];
        let sample = |(nanos, value)| ScaleSample { stamp: Timestamp::from_nanos(nanos), value };
        let samples: Vec<_> = samples.map(sample).into();
        for (i, source) in [
            ScaleSource::None,
            ScaleSource::Fixed(30.1),
            ScaleSource::CameraHeight(1.65),
            ScaleSource::HeightAboveGround(samples.clone().into()),
            ScaleSource::Velocity(samples.into()),
            ScaleSource::Depth(23.5),
        ]
        .into_iter()
        .enumerate()
        {
            let run = RunDirectory::create(&folder.path().join(i.to_string())).unwrap();
            write_scale_samples(&run, &source).unwrap();
            let text = toml::to_string(&ScaleTable::from(&source)).unwrap();
            let table: ScaleTable = toml::from_str(&text).unwrap();
            assert_eq!(table.to_source(run.path()).unwrap(), source);
        }
    }
}
