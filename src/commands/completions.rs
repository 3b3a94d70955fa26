//! `kestrel completions`.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::cli::Cli;

pub(super) fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    generate(shell, &mut Cli::command(), "kestrel", &mut std::io::stdout());
    Ok(ExitCode::SUCCESS)
}
