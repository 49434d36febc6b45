//! A VM's file: what is emulated, under which license, and how it is run.
//!
//! Strict: an unknown key, a value of the wrong type or one that can't work is an error that names
//! the key and its line. Values are never repeated in messages, for some of them are secrets.
//! `docs/vm-file.md` explains every key to users.

mod address;
mod architecture;
mod engine;
mod license;
mod log;
mod machine;
mod name;
mod section;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use thiserror::Error;
use toml::de::DeTable;
use ve_core::{license::ProductVersion, text::Name, text::printable};

pub use address::{AddressError, DEFAULT_PORT, ServerAddress};
pub use architecture::{Architecture, UnknownArchitecture};
pub use engine::{Accelerator, CommandLine, EngineKind, EngineSettings, QemuSettings};
pub use license::{Hooks, LicenseSettings, Server};
pub use log::{LogSettings, LogStyle, UnknownLogStyle};
pub use machine::{Machine, MachineError};
pub use name::{VmName, VmNameError};

use section::{Problem, Section};

/// The largest VM's file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;
/// What the messages of the original call the emulator.
const DEFAULT_DISPLAY_NAME: &str = "Charon";
/// As many virtual CPUs as a license can name.
const MAX_CPUS: u64 = 65_536;
/// As much virtual memory as a license can name, in MB.
const MAX_MEMORY_MB: u64 = 1 << 40;

/// Everything a VM's file says, with the defaults filled in and the secrets read.
#[derive(Debug, Clone)]
pub struct VmFile {
    /// The folder of the file, absolute: relative paths in it start here, and the guest's process runs here.
    pub folder: PathBuf,
    /// The emulator's name; one per running emulator of a host.
    pub name: VmName,
    /// What messages call the emulator; `Charon` unless the file says otherwise.
    pub display_name: Name,
    /// What kind of machine is emulated.
    pub architecture: Architecture,
    /// The emulated model that must be licensed.
    pub virtual_hardware: Name,
    /// The version of the emulator product.
    pub version: ProductVersion,
    /// The virtual CPUs and memory that are asked for.
    pub hardware: Hardware,
    /// Where the license comes from.
    pub license: LicenseSettings,
    /// How the log is written.
    pub log: LogSettings,
    /// What runs the guest.
    pub engine: EngineSettings,
    /// Environment variables that hold secrets: no other process may inherit them.
    pub secret_variables: Vec<String>,
}

/// Virtual CPUs and memory: asked for in a VM's file, or allowed by a license.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hardware {
    /// The number of virtual CPUs, at least 1.
    pub cpus: u32,
    /// The size of the virtual memory in MB (1024 × 1024 bytes), at least 1.
    pub memory_mb: u64,
}

/// Why a VM's file can't be used: the operator's to mend; exit code 78.
#[derive(Debug, Error)]
pub enum VmFileError {
    /// It could not be read.
    #[error("can't read the VM file {}: {source}; check the path and its permissions", shown(path))]
    Unreadable {
        /// The path as it was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// More than [`MAX_FILE_BYTES`].
    #[error("the VM file {} is larger than 1 MiB: this is no VM file", shown(path))]
    TooLarge {
        /// The path as it was given.
        path: PathBuf,
    },
    /// It says something that can't be.
    #[error("VM file {}, line {line}: {problem}", shown(path))]
    Invalid {
        /// The path as it was given.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with which key.
        problem: String,
    },
}

/// A path that can't drive a terminal.
fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy(), 4_096)
}

impl VmFile {
    /// Reads the file at `path`, and the secrets that it points to.
    pub fn read(path: &Path) -> Result<Self, VmFileError> {
        let bytes = read_bounded(path)?;
        let text = String::from_utf8(bytes).map_err(|error| VmFileError::Invalid {
            path: path.to_owned(),
            line: line_of(error.as_bytes(), error.utf8_error().valid_up_to()),
            problem: "the text is not UTF-8; save the file as UTF-8".to_owned(),
        })?;
        Self::parse(&text, path, &|variable| std::env::var(variable).ok())
    }

    /// Parses `text`, the contents of the file at `path`; `environment` looks up a variable.
    ///
    /// Reads nothing but the passphrase files that the text names.
    pub fn parse(
        text: &str,
        path: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, VmFileError> {
        // The guest's process runs there, so a path relative to here would lead elsewhere then.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let folder = absolute.parent().unwrap_or(Path::new("/"));
        let top = DeTable::parse(text).map_err(|error| syntax_problem(text, &error));
        top.and_then(|top| read_file(Section::new("", 0, top.into_inner()), folder, environment))
            .map_err(|problem| VmFileError::Invalid {
                path: path.to_owned(),
                line: line_of(text.as_bytes(), problem.offset),
                problem: problem.message,
            })
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, VmFileError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|source| VmFileError::Unreadable { path: path.to_owned(), source })?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(VmFileError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

/// The line, counted from 1, in which the byte at `offset` stands.
fn line_of(text: &[u8], offset: usize) -> usize {
    text[..offset.min(text.len())].split(|&byte| byte == b'\n').count()
}

/// The parser's own words. They repeat no value; for a key given twice we add which one it is.
fn syntax_problem(text: &str, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let (offset, message) = (span.start, error.message());
    match text.get(span).filter(|_| message == "duplicate key") {
        Some(key) => Problem {
            offset,
            message: format!("`{}`: this key is there twice", printable(key, 80)),
        },
        None => Problem { offset, message: message.to_owned() },
    }
}

fn read_file(
    mut top: Section<'_>,
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<VmFile, Problem> {
    let name = top.required("name", str::parse::<VmName>)?.value;
    let display_name = top.parsed("display_name", str::parse::<Name>)?;
    let architecture = top.required("architecture", str::parse::<Architecture>)?;
    let virtual_hardware = top.required("virtual_hardware", str::parse::<Name>)?.value;
    let version = top.required("version", parse_version)?.value;
    let cpus = top.number("cpus", 1, MAX_CPUS)?.ok_or_else(|| top.missing("cpus"))?;
    let memory_mb =
        top.number("memory_mb", 1, MAX_MEMORY_MB)?.ok_or_else(|| top.missing("memory_mb"))?;
    let hardware = Hardware {
        cpus: u32::try_from(cpus.value).expect("MAX_CPUS fits"),
        memory_mb: memory_mb.value,
    };

    let license = top.table("license", "license")?.ok_or_else(|| top.missing("license"))?;
    let (license, secret_variables) = license::read(license, folder, environment)?;
    let log = log::read(top.table("log", "log")?, folder)?;
    let engine = top.table("engine", "engine")?.ok_or_else(|| top.missing("engine"))?;
    let engine = engine::read(engine, folder, &architecture, hardware)?;
    top.finish()?;
    Ok(VmFile {
        folder: folder.to_owned(),
        name,
        display_name: display_name.map_or_else(default_display_name, |at| at.value),
        architecture: architecture.value,
        virtual_hardware,
        version,
        hardware,
        license,
        log,
        engine,
        secret_variables,
    })
}

fn default_display_name() -> Name {
    DEFAULT_DISPLAY_NAME.parse().expect("the default is a name")
}

fn parse_version(text: &str) -> Result<ProductVersion, String> {
    let name: Name = text.parse().map_err(|error| format!("{error}"))?;
    ProductVersion::try_from(name).map_err(|error| error.to_string())
}
