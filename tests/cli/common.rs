//! The binary, and folders with tiny data to run it in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const KESTREL: &str = env!("CARGO_BIN_EXE_kestrel");

/// The tiny sequence of [`Lab::with_world`] and its size: large enough to be tracked.
pub(crate) const SEQUENCE: &str = "world/sequences/00";
pub(crate) const FRAMES: usize = 24;
const SIZE: &str = "240x180";

/// How the binary ended and what it said.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    /// Fails the test where the exit code is another.
    #[track_caller]
    pub(crate) fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The whole of standard output as one JSON value.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in: {}", self.stdout))
    }

    /// Fails the test where standard error lacks one of `parts`.
    #[track_caller]
    pub(crate) fn says(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in: {}", self.stderr);
        }
    }
}

/// A folder of its own for one test; the binary runs in it, so that commands read as typed.
pub(crate) struct Lab(TempDir);

impl Lab {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With a short flight over a synthetic world in `world/`.
    pub(crate) fn with_world() -> Self {
        let lab = Self::new();
        copy(tiny_world(), &lab.path("world"));
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Changes a text file.
    pub(crate) fn edit(&self, name: &str, change: impl FnOnce(String) -> String) {
        self.write(name, change(self.read(name)));
    }

    /// Runs `kestrel` with arguments that hold no spaces.
    pub(crate) fn kestrel(&self, arguments: &str) -> Outcome {
        let output = Command::new(KESTREL)
            .args(arguments.split_whitespace())
            .current_dir(self.0.path())
            .env_remove("KESTREL_LOG")
            // No viewer is to be found and started.
            .env_remove("PATH")
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Outcome {
            code: output.status.code().unwrap(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Every file with its content.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        visit(self.0.path(), &mut |path| drop(files.insert(path.to_owned(), fs::read(path).unwrap())));
        files
    }
}

/// Rendered once for each build of the binary, since drawing is what takes time.
fn tiny_world() -> &'static Path {
    static WORLD: OnceLock<PathBuf> = OnceLock::new();
    WORLD.get_or_init(|| {
        let built = fs::metadata(KESTREL).unwrap().modified().unwrap();
        let name =
            format!("world-{SIZE}-{}", built.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos());
        let world = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if !world.exists() {
            let lab = Lab(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap());
            let command = format!("world --size {SIZE} --speed 25 --clean --out world --frames {FRAMES}");
            lab.kestrel(&command).expect_code(0);
            // Another process may have been faster; its world is the same.
            let _ = fs::rename(lab.path("world"), &world);
        }
        world
    })
}

fn copy(from: &Path, to: &Path) {
    visit(from, &mut |file| {
        let copied = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(copied.parent().unwrap()).unwrap();
        fs::copy(file, copied).unwrap();
    });
}

/// Shows every file below `folder` to `seen`.
fn visit(folder: &Path, seen: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { visit(&path, seen) } else { seen(&path) }
    }
}
