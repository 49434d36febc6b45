//! Backups: a home in one file, and back.
//!
//! - [`make`]: gathers what a home is made of, ledger and registry by SQLite's own means, while a
//!   server runs or not; [`goal`]: writes it to a file that is there whole or not at all.
//! - [`manifest`], [`archive`]: the file, a plain tar that begins with a list of what follows.
//! - [`stage`], [`plan`], [`hosts`]: a backup is checked whole, compared with the home, and laid out
//!   for [`apply`], which puts everything in its place, or goes on where it was cut off.

pub mod apply;
pub mod archive;
pub mod goal;
pub mod host;
pub mod hosts;
pub mod make;
pub mod manifest;
pub mod plan;
pub mod stage;

/// Where the part that is called `name` is in a home, and in every folder that is laid out like one.
pub(crate) fn place(folder: &std::path::Path, name: &str) -> std::path::PathBuf {
    folder.join(name)
}
