//! `completions` and `man`: what clap makes of the definitions.

use clap::CommandFactory;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::args::Cli;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::target::usage;

pub(crate) fn completions(shell: Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    // Into memory first: it panics when it can't write.
    clap_complete::generate(shell, &mut Cli::command(), "argus-registry", &mut script);
    output::text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Fine)
}

pub(crate) fn man(name: Option<&str>) -> Result<Exit, Failure> {
    let mut program = Cli::command();
    program.build();
    let command = match name {
        None => program,
        Some(name) => {
            let found = program.get_subcommands().find(|command| command.get_name() == name);
            found.ok_or_else(|| usage(&format!("there is no command '{name}'")))?.clone()
        }
    };
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    output::text(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Fine)
}
