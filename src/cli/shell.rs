//! `completions` and `man`, which clap generates from the definitions of the commands.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::args::Cli;
use crate::cli::exit::{CommandError, Exit};
use crate::cli::lock_target::usage_error;
use crate::cli::output;

pub(crate) fn completions(shell: Shell) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    // Into memory first: `generate` panics when it can't write, as into a closed standard output.
    clap_complete::generate(shell, &mut Cli::command(), "argus-registry", &mut script);
    output::text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}

pub(crate) fn man(name: Option<&str>) -> Result<Exit, CommandError> {
    let mut program = Cli::command();
    program.build();
    let command = match name {
        None => program,
        Some(name) => {
            let found = program.get_subcommands().find(|command| command.get_name() == name);
            found.ok_or_else(|| usage_error(&format!("there is no command '{name}'")))?.clone()
        }
    };
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    output::text(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Success)
}
