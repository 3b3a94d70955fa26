//! `kestrel completions`.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::logging::answer;

pub(super) fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "kestrel", &mut script);
    answer(&String::from_utf8(script)?)?;
    Ok(ExitCode::SUCCESS)
}
