//! Networks that come with the program, or from files of the user's.

use std::borrow::Cow;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use nn::kernels::Kernel;
use vo::{DepthNetwork, PoseNetwork};

/// A network inside the program, so that one file on board has all it needs.
pub(crate) struct BuiltIn {
    /// What results call it.
    pub(crate) name: &'static str,
    bytes: &'static [u8],
}

/// Finds vehicles; see `models/vehicles-320-int8.md`.
pub(crate) const VEHICLES: BuiltIn =
    BuiltIn { name: "vehicles-320-int8", bytes: include_bytes!("../models/vehicles-320-int8.onnx") };
/// Sees depth; see `models/depth-416x128-int8.md`.
pub(crate) const DEPTH: BuiltIn =
    BuiltIn { name: "depth-416x128-int8", bytes: include_bytes!("../models/depth-416x128-int8.onnx") };
/// Sees how the camera moves; see `models/pose-416x128-int8.md`.
pub(crate) const POSE: BuiltIn =
    BuiltIn { name: "pose-416x128-int8", bytes: include_bytes!("../models/pose-416x128-int8.onnx") };

/// The bytes of an ONNX file.
#[derive(Clone, Debug)]
pub(crate) struct ModelFile {
    name: String,
    bytes: Cow<'static, [u8]>,
}

impl ModelFile {
    /// The file at `path`, or where there is none, what comes with the program.
    ///
    /// # Errors
    /// Where the file can't be read; what it holds is seen by those who ask for a network.
    pub(crate) fn open(path: Option<&Path>, built_in: &BuiltIn) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Self { name: built_in.name.to_owned(), bytes: Cow::Borrowed(built_in.bytes) });
        };
        // As seen from anywhere, so that a replay finds it.
        let path = std::path::absolute(path)?;
        let name = path.display().to_string();
        let bytes = fs::read(&path).with_context(|| name.clone())?;
        Ok(Self { name, bytes: Cow::Owned(bytes) })
    }

    /// The file that a recorded flight calls `name`, whose bytes had that `fingerprint`; `without` says how to do without it.
    ///
    /// # Errors
    /// Where it is gone or another one is in its place.
    pub(crate) fn as_flown(
        name: &str,
        fingerprint: &str,
        built_in: &BuiltIn,
        without: &'static str,
    ) -> anyhow::Result<Self> {
        let path = Some(Path::new(name)).filter(|_| name != built_in.name);
        let file = Self::open(path, built_in).context(without)?;
        let found = file.fingerprint();
        ensure!(
            found == fingerprint,
            "expected the network that flew, {name} with fingerprint {fingerprint}, found {found}; {without}"
        );
        Ok(file)
    }

    /// Its path, or the name of what comes with the program.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What is in it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The depth network in it, on the best kernel of this processor.
    ///
    /// # Errors
    /// Where the file holds none.
    pub(crate) fn depth_network(&self) -> anyhow::Result<DepthNetwork> {
        DepthNetwork::read(&self.bytes, Kernel::best()).with_context(|| self.name.clone())
    }

    /// The pose network in it, on the best kernel of this processor.
    ///
    /// # Errors
    /// Where the file holds none.
    pub(crate) fn pose_network(&self) -> anyhow::Result<PoseNetwork> {
        PoseNetwork::read(&self.bytes, Kernel::best()).with_context(|| self.name.clone())
    }

    /// Tells the bytes from those of another file: FNV-1a of 64 bits in hexadecimal digits.
    pub(crate) fn fingerprint(&self) -> String {
        let hash = self.bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        format!("{hash:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_and_pose_come_with_the_program_small_and_in_whole_numbers() {
        let [depth, pose] = [&DEPTH, &POSE].map(|built_in| ModelFile::open(None, built_in).unwrap());
        let size = depth.bytes.len() + pose.bytes.len();
        assert!(size <= 4 << 20, "{size} bytes");
        assert_eq!(depth.depth_network().unwrap().network().plan().float_ops().count(), 0);
        assert_eq!(pose.pose_network().unwrap().network().plan().float_ops().count(), 0);
    }

    #[test]
    fn a_file_that_is_no_network_is_named() {
        let error = ModelFile::open(Some("nowhere.onnx".as_ref()), &DEPTH).unwrap_err();
        assert!(format!("{error:#}").contains("nowhere.onnx"), "{error:#}");
        let file = ModelFile { name: "text.onnx".to_owned(), bytes: Cow::Borrowed(b"text") };
        let error = format!("{:#}", file.depth_network().unwrap_err());
        assert!(error.contains("text.onnx") && error.contains("ONNX"), "{error}");
        // FNV-1a of `a`, from the table of its authors.
        let file = ModelFile { bytes: Cow::Borrowed(b"a"), ..file };
        assert_eq!(file.fingerprint(), "af63dc4c8601ec8c");
    }
}
