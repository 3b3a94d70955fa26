//! Making the folder without losing what is there.

use std::fs;
use std::path::{Path, PathBuf};

use super::{
    ADMITTED, DETECTIONS, FRAMES, MANIFEST, METRICS, ODOMETRY, RECORDING, REPORT, SCALE_SAMPLES, TARGET,
    TRAJECTORY_KITTI, TRAJECTORY_TUM,
};
use crate::RuntimeError;

const OURS: [&str; 12] = [
    MANIFEST,
    TRAJECTORY_TUM,
    TRAJECTORY_KITTI,
    ODOMETRY,
    SCALE_SAMPLES,
    ADMITTED,
    TARGET,
    DETECTIONS,
    FRAMES,
    METRICS,
    RECORDING,
    REPORT,
];

/// A folder that is ready to take a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// Makes `path` ready: an earlier run there is kept by renaming it to `path.1`, `path.2`, ... (the first that is
    /// free); other files are left where they are.
    ///
    /// # Errors
    /// [`RuntimeError::Occupied`] where the folder is no run but a file of ours is in it; [`RuntimeError::Io`].
    pub fn create(path: &Path) -> Result<Self, RuntimeError> {
        if path.join(MANIFEST).exists() {
            keep_earlier(path)?;
        }
        if let Some(name) = OURS.into_iter().find(|name| path.join(name).symlink_metadata().is_ok()) {
            return Err(RuntimeError::Occupied { path: path.to_path_buf(), name });
        }
        fs::create_dir_all(path).map_err(io_error("create", path))?;
        Ok(Self { path: path.to_path_buf() })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file whole or not at all; one of that name is replaced.
    ///
    /// # Errors
    /// [`RuntimeError::Io`].
    pub fn write(&self, name: &str, content: &str) -> Result<(), RuntimeError> {
        let (path, draft) = (self.path.join(name), self.path.join(format!(".{name}.part")));
        fs::write(&draft, content).and_then(|()| fs::rename(&draft, &path)).map_err(|source| {
            // Nothing is worth saving of a file that did not fit.
            let _ = fs::remove_file(&draft);
            RuntimeError::Io { action: "write", path, source }
        })
    }
}

/// Renames the folder `path` to `path.1`, `path.2`, ... (the first that is free).
///
/// # Errors
/// [`RuntimeError::Io`] where it can't be renamed.
pub fn keep_earlier(path: &Path) -> Result<(), RuntimeError> {
    // `.` and `..` have no name to put a number behind.
    let whole = path.canonicalize().map_err(io_error("read", path))?;
    let name = whole.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let numbered = |n: u32| whole.with_file_name(format!("{name}.{n}"));
    let backup = (1..).map(numbered).find(|candidate| candidate.symlink_metadata().is_err());
    let backup = backup.unwrap_or_else(|| numbered(0));
    tracing::info!(from = %whole.display(), to = %backup.display(), "the earlier run is kept");
    fs::rename(&whole, &backup).map_err(io_error("rename", path))
}

pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> RuntimeError {
    let path = path.to_path_buf();
    move |source| RuntimeError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_runs_are_kept_by_number() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        for i in 0..3 {
            let run = RunDirectory::create(&path).unwrap();
            run.write(MANIFEST, &i.to_string()).unwrap();
        }
        let content = |name: &str| fs::read_to_string(folder.path().join(name).join(MANIFEST)).unwrap();
        assert_eq!(["run.1", "run.2", "run"].map(content), ["0", "1", "2"]);
    }

    #[test]
    fn files_of_others_stay_and_ours_are_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        RunDirectory::create(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("notes.txt")).unwrap(), "mine");
        fs::write(folder.path().join(METRICS), "precious").unwrap();
        let error = RunDirectory::create(folder.path()).unwrap_err();
        assert!(error.to_string().contains("metrics.json"), "{error}");
        assert_eq!(fs::read_to_string(folder.path().join(METRICS)).unwrap(), "precious");
    }
}
