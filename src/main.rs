//! `kestrel`: eyes for a drone with one camera. The command line is thin: typed arguments become a validated
//! configuration, the libraries do the work, and each subcommand is one file.

mod cli;
mod commands;
mod finish;
mod logging;
mod progress;
mod snapshots;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.verbose);
    match commands::dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            logging::say(&format!("kestrel: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
