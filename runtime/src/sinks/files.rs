//! Files that a flight writes as it goes.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where files are made. The one for flying is [`Disk`]; tests bring one that fills up.
pub trait Storage: Send + Sync {
    /// Makes a new file.
    ///
    /// # Errors
    /// Where it exists already or can't be made.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Record>>;
}

/// A file that grows by whole records.
pub trait Record: Write + Send {
    /// Cuts the file back to `len` bytes.
    ///
    /// # Errors
    /// Where the system refuses.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

impl Record for File {
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Storage for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Record>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(path)?))
    }
}

/// A text file that takes line after line until the disk is full. The first failure is kept and told once; the file then
/// ends with its last whole line, and nothing more is written to it.
pub struct LineFile {
    path: PathBuf,
    file: Option<Box<dyn Record>>,
    written: u64,
    line: String,
    fault: Option<String>,
}

impl LineFile {
    /// Makes the file. Where that fails, it is a file that takes nothing, with the fault to tell.
    pub fn create(storage: &Arc<dyn Storage>, path: PathBuf) -> Self {
        let mut file = Self { path, file: None, written: 0, line: String::new(), fault: None };
        match storage.create(&file.path) {
            Ok(record) => file.file = Some(record),
            Err(error) => file.fail(&error),
        }
        file
    }

    /// Adds a line, which `write` composes without its line end. It reaches the system before this returns.
    pub fn line(&mut self, write: impl FnOnce(&mut String)) {
        let Some(file) = &mut self.file else { return };
        self.line.clear();
        write(&mut self.line);
        self.line.push('\n');
        match file.write_all(self.line.as_bytes()).and_then(|()| file.flush()) {
            Ok(()) => self.written += self.line.len() as u64,
            Err(error) => self.fail(&error),
        }
    }

    /// Why the file is not complete, with its path.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    fn fail(&mut self, error: &io::Error) {
        let fault = format!("can't write {}: {error}; what was recorded before is kept", self.path.display());
        tracing::error!("{fault}");
        self.fault = Some(fault);
        if let Some(mut file) = self.file.take() {
            // Where even this is refused, readers meet half a line at the end; no more can be done.
            let _ = file.truncate(self.written);
        }
    }
}
