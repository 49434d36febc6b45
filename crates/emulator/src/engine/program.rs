//! Finds programs the way a shell does, before the license is taken.

use std::{
    env,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use super::StartError;

/// Where programs are looked for when there is no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The executable file that `program` means: itself when it has a folder, else the first of that
/// name in the `PATH`. `advice` completes the message when there is none.
pub(super) fn find(program: &Path, advice: &str) -> Result<PathBuf, StartError> {
    let found = if program.components().count() > 1 {
        Some(program.to_owned()).filter(|path| is_executable(path))
    } else {
        let folders = env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
        env::split_paths(&folders)
            .map(|folder| folder.join(program))
            .find(|path| is_executable(path))
    };
    found.ok_or_else(|| StartError::ProgramMissing {
        program: program.to_owned(),
        advice: advice.to_owned(),
    })
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}
