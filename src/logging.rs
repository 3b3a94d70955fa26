//! What goes to standard error: messages for people, and the log.

use std::io::{self, ErrorKind, IsTerminal, Write};

use anyhow::Context;
use tracing_subscriber::EnvFilter;

/// Starts the log: warnings, or more with `-v` and `-vv`; `KESTREL_LOG` has the last word (`KESTREL_LOG=vo=trace`).
pub(crate) fn start(verbose: u8) {
    let level = ["warn", "info", "debug"][usize::from(verbose.min(2))];
    let filter = EnvFilter::try_from_env("KESTREL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).without_time();
    log.with_ansi(io::stderr().is_terminal()).init();
}

/// A line for the person at the terminal.
#[expect(clippy::print_stderr, reason = "this is where the command line speaks")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// A result: what a script would read.
///
/// # Errors
/// Where standard output can't take it; a reader that has closed the pipe has read enough.
pub(crate) fn answer(text: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{}", text.trim_end()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("can't write to standard output")
        }
        _ => Ok(()),
    }
}
