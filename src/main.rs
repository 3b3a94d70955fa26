//! `kestrel`: eyes for a drone with one camera. The command line is thin: typed arguments become a validated
//! configuration, the libraries do the work, and each subcommand is one file.

mod cli;
mod commands;
mod depths;
mod detections;
mod detector_file;
mod films;
mod finish;
mod images;
mod logging;
mod model_file;
mod poses;
mod progress;
mod snapshots;
mod spread;
mod target;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.verbose);
    match commands::dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            logging::say(&format!("kestrel: {}", in_full(&error)));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, except those that the message before already quotes.
fn in_full(error: &anyhow::Error) -> String {
    let causes = error.chain().map(ToString::to_string);
    causes
        .reduce(|said, cause| if said.contains(&cause) { said } else { format!("{said}: {cause}") })
        .unwrap_or_default()
}
