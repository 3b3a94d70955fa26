//! What goes to standard error: messages for people, and the log.

use tracing_subscriber::EnvFilter;

/// Starts the log: warnings, or more with `-v` and `-vv`; `KESTREL_LOG` has the last word (`KESTREL_LOG=vo=trace`).
pub(crate) fn start(verbose: u8) {
    let level = ["warn", "info", "debug"][usize::from(verbose.min(2))];
    let filter = EnvFilter::try_from_env("KESTREL_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
}

/// A line for the person at the terminal.
#[expect(clippy::print_stderr, reason = "this is where the command line speaks")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

/// A result: what a script would read.
#[expect(clippy::print_stdout, reason = "this is where the command line answers")]
pub(crate) fn answer(text: &str) {
    println!("{}", text.trim_end());
}
