//! Where tests find real data that is not part of the project.

use std::path::{Path, PathBuf};

/// The file or folder `relative` of the shared data: below `$KESTREL_DATA`, else `../shared/data` beside the checkout.
///
/// `None`, with a line on standard error that says what is missing, where it is not there: the test skips.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
pub fn shared_data(relative: &str) -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = std::env::var_os("KESTREL_DATA").map_or_else(beside, PathBuf::from).join(relative);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: needs the shared data `{relative}`; set KESTREL_DATA to the folder that holds it");
    None
}
