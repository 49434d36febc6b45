//! Where a log is written.

use std::path::{Path, PathBuf};

use crate::vm_file::{LogStyle, VmFile};

/// Where the original keeps its emulators' logs.
const ORIGINAL_FOLDER: &str = "/opt/charon-agent/ssp-agent/ssp";

/// The folder of a log, and how its files are named there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogPlace {
    /// One file, which is rotated to `.1`, `.2` … at every start; so many old ones are kept.
    Rotated {
        /// The current file.
        file: PathBuf,
        /// How many old ones stay.
        keep: u32,
    },
    /// A new file at every start, `charon-par.<YYMMDD>-<HHMMSS>-<nnn>.log`, and a symbolic link
    /// `charon-par.log` to it. None is ever removed.
    Dated {
        /// The folder.
        folder: PathBuf,
    },
}

impl LogPlace {
    /// The place for the log of `vm` in this style.
    ///
    /// `path` is what the command line said: a folder that exists, or the log's file itself (which
    /// is rotated in every style). Without it, `dir` of the VM's file counts; without that, the
    /// style's default: for `ssp` and `json` the original's folder for this VM if it exists, else
    /// `./log/<architecture>/<vm-name>`; for `par` the folder in which the emulator was started.
    pub fn choose(vm: &VmFile, style: LogStyle, path: Option<&Path>) -> Self {
        if let Some(path) = path.filter(|path| !path.is_dir()) {
            return Self::Rotated { file: path.to_owned(), keep: vm.log.keep };
        }
        let folder = path.or(vm.log.dir.as_deref());
        match (style, folder) {
            (LogStyle::Par, folder) => {
                Self::Dated { folder: folder.map_or_else(|| PathBuf::from("."), Path::to_owned) }
            }
            (LogStyle::Ssp | LogStyle::Json, folder) => {
                let folder = folder.map_or_else(|| default_folder(vm), Path::to_owned);
                Self::Rotated { file: folder.join(format!("{}.log", vm.name)), keep: vm.log.keep }
            }
        }
    }
}

fn default_folder(vm: &VmFile) -> PathBuf {
    let own = Path::new(vm.architecture.as_str()).join(vm.name.as_str());
    let original = Path::new(ORIGINAL_FOLDER).join(&own);
    if original.is_dir() { original } else { Path::new("log").join(own) }
}
