//! Explains: man pages and shell completions, printed by the commands themselves, so that they can't
//! disagree with what the commands take.
//!
//! Every command answers `--generate-man` and `--generate-completion SHELL`. Both are for whoever
//! packages it, so no help text names them.

use std::{
    ffi::OsString,
    io::{self, Write},
};

use clap::{Arg, Command};
use clap_complete::{Shell, aot::generate};
use clap_mangen::Man;

/// Why nothing was printed.
#[derive(Debug, thiserror::Error)]
pub enum ManualError {
    /// The caller's mistake: exit code 64.
    #[error("--generate-completion needs a shell: bash, zsh or fish")]
    Shell,
    /// Ours.
    #[error("the text can't be made: {0}")]
    Internal(#[from] io::Error),
}

/// What `arguments` (without the program's name) ask for; `None` when they ask for neither.
pub fn answer(command: Command, arguments: &[OsString]) -> Option<Result<String, ManualError>> {
    Some(match arguments.first()?.to_str()? {
        "--generate-man" => man_page(command),
        "--generate-completion" => completions(command, arguments.get(1)),
        _ => return None,
    })
}

/// The program's man page; its subcommands are sections of it.
fn man_page(mut command: Command) -> Result<String, ManualError> {
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
    text(page)
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

fn completions(mut command: Command, shell: Option<&OsString>) -> Result<String, ManualError> {
    let shell = shell.and_then(|shell| shell.to_str()?.parse::<Shell>().ok());
    let shell = shell.ok_or(ManualError::Shell)?;
    let name = command.get_name().to_string();
    let mut script = Vec::new();
    generate(shell, &mut command, name, &mut script);
    text(script)
}

fn text(bytes: Vec<u8>) -> Result<String, ManualError> {
    let text = String::from_utf8(bytes).map_err(io::Error::other);
    Ok(text?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(arguments: &[&str]) -> Option<Result<String, ManualError>> {
        let command = Command::new("tool").about("Does a thing").after_help("Exit codes: 0 fine.");
        let command = command.subcommand(Command::new("part").about("One part of it"));
        answer(command, &arguments.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_page_names_the_parts_and_the_exit_codes() {
        let page = answered(&["--generate-man"]).expect("asked for").expect("made");
        for part in ["Does a thing", "TOOL PART", "One part of it.", "EXIT STATUS"] {
            assert!(page.contains(part), "{part}: {page}");
        }
    }

    #[test]
    fn every_shell_has_its_completions_and_no_other() {
        for shell in ["bash", "zsh", "fish"] {
            let script =
                answered(&["--generate-completion", shell]).expect("asked for").expect("made");
            assert!(script.contains("tool"), "{shell}");
        }
        for wrong in [&["--generate-completion"][..], &["--generate-completion", "tcl"]] {
            assert!(matches!(answered(wrong), Some(Err(ManualError::Shell))), "{wrong:?}");
        }
    }

    #[test]
    fn whoever_asks_for_something_else_gets_nothing() {
        assert!(answered(&[]).is_none() && answered(&["part"]).is_none());
    }
}
