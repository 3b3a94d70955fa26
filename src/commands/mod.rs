//! One file per subcommand.

mod completions;
mod demo;
mod eval_odometry;
mod replay;
mod run;
mod world;

use std::process::ExitCode;

use crate::cli::{Cli, Command, EvalCommand};

/// The run ended, but some of its frames or files are incomplete.
pub(crate) const INCOMPLETE: u8 = 3;
/// A stage hung for good; `EX_SOFTWARE` of sysexits.
pub(crate) const HUNG: i32 = 70;

/// Does what was typed.
pub(crate) fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Demo(args) => demo::demo(&args),
        Command::Run(args) => run::run(&args),
        Command::Replay(args) => replay::replay(&args),
        Command::Eval(EvalCommand::Odometry(args)) => eval_odometry::eval_odometry(&args),
        Command::World(args) => world::world(&args),
        Command::Completions { shell } => completions::completions(shell),
    }
}
