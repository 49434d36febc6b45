//! Man pages and shell completions, printed by the programs themselves: `--generate-man`, and
//! `--generate-completion SHELL`. Both are for whoever packages them, so no help text names them.

use std::ffi::OsString;

use clap::Command;
use clap_complete::{Shell, aot::generate};
use clap_mangen::Man;

use super::{exit, program::print};
use crate::control::protocol::Failure;

/// Prints what `arguments` ask for; `None` when they ask for neither.
pub fn answer(command: Command, arguments: &[OsString]) -> Option<Result<(), Failure>> {
    let text = match arguments.first()?.to_str()? {
        "--generate-man" => man_page(command),
        "--generate-completion" => completions(command, arguments.get(1)),
        _ => return None,
    };
    Some(text.and_then(|text| print(&text)))
}

/// The program's man page, its subcommands' options included.
fn man_page(command: Command) -> Result<String, Failure> {
    let mut page = Vec::new();
    let subcommands: Vec<Command> = command.get_subcommands().cloned().collect();
    let name = command.get_name().to_string();
    Man::new(command).render(&mut page)?;
    for subcommand in subcommands {
        let title = format!("{name} {}", subcommand.get_name()).to_uppercase();
        page.extend(format!(".SH \"{title}\"\n").into_bytes());
        let man = Man::new(subcommand);
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
    }
    String::from_utf8(page).map_err(|error| exit::failure(exit::INTERNAL, error))
}

fn completions(mut command: Command, shell: Option<&OsString>) -> Result<String, Failure> {
    let shell = shell.and_then(|shell| shell.to_str()?.parse::<Shell>().ok()).ok_or_else(|| {
        exit::failure(exit::USAGE, "--generate-completion needs a shell: bash, zsh or fish")
    })?;
    let name = command.get_name().to_string();
    let mut script = Vec::new();
    generate(shell, &mut command, name, &mut script);
    String::from_utf8(script).map_err(|error| exit::failure(exit::INTERNAL, error))
}
