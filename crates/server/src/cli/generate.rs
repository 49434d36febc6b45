//! Man pages and shell completions, printed by the programs themselves: `--generate-man`, and
//! `--generate-completion SHELL`. Both are for whoever packages them, so no help text names them.

use std::{
    ffi::OsString,
    io::{self, Write},
};

use clap::{Arg, Command};
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

/// The program's man page; its subcommands are sections of it.
fn man_page(mut command: Command) -> Result<String, Failure> {
    // Tells every subcommand its full name and the options that all have.
    command.build();
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    subcommands(&command, &mut page)?;
    if let Some(exit_codes) = command.get_after_help() {
        let codes = exit_codes.to_string();
        let codes = codes.trim_start_matches("Exit codes: ");
        writeln!(page, ".SH \"EXIT STATUS\"\n{codes}")?;
    }
    String::from_utf8(page).map_err(|error| exit::failure(exit::INTERNAL, error))
}

fn subcommands(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|command| command.get_name() != "help") {
        let title = subcommand.get_bin_name().unwrap_or_else(|| subcommand.get_name());
        let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
        writeln!(page, ".SH \"{}\"\n{about}.", title.to_uppercase())?;
        let shared =
            |arg: &Arg| arg.is_global_set() || ["help", "version"].contains(&arg.get_id().as_str());
        let own = |arg: &Arg| !shared(arg) && !arg.is_hide_set();
        for arg in subcommand.get_arguments().filter(|arg| own(arg)) {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let short = arg.get_short().map(|short| format!("-{short}, ")).unwrap_or_default();
            let name = format!("{short}{arg}").replace('-', "\\-");
            writeln!(page, ".TP\n\\fB{name}\\fR\n{help}")?;
        }
        subcommands(subcommand, page)?;
    }
    Ok(())
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
