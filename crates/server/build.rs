//! Finds out when the program was built: `SOURCE_DATE_EPOCH`, else the time of the commit, else
//! (sources without their repository) the time of the newest source file. So the same sources give
//! the same program.

use std::{
    env,
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::{SystemTime, UNIX_EPOCH},
};

/// The variable that reproducible builds set: seconds since 1970 in UTC.
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";
/// The last moment that a four-digit year can tell.
const MAX_EPOCH_SECONDS: u64 = 253_402_300_799;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={SOURCE_DATE_EPOCH}");
    let epoch_seconds = match given()? {
        Some(epoch_seconds) => epoch_seconds,
        None => match committed() {
            Some(epoch_seconds) => epoch_seconds,
            None => newest_source()?,
        },
    };
    println!("cargo:rustc-env=VE_BUILD_EPOCH_SECONDS={}", epoch_seconds.min(MAX_EPOCH_SECONDS));
    Ok(())
}

/// What the environment says. One that can't be read must not pass as another time.
fn given() -> Result<Option<u64>, Box<dyn Error>> {
    let Some(text) = env::var_os(SOURCE_DATE_EPOCH) else { return Ok(None) };
    let number = text.to_str().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| {
        format!(
            "{SOURCE_DATE_EPOCH} is \"{}\", which is no number of seconds since 1970; correct it or unset it",
            text.display()
        )
            .into()
    })
}

/// The time of the commit, if these sources are what git tracks here.
fn committed() -> Option<u64> {
    git(&["ls-files", "--error-unmatch", "Cargo.toml"])?;
    let epoch_seconds = git(&["log", "-1", "--format=%ct"])?.parse().ok()?;
    // Grows with every commit, checkout and reset.
    let history = PathBuf::from(git(&["rev-parse", "--git-path", "logs/HEAD"])?);
    if history.exists() {
        println!("cargo:rerun-if-changed={}", history.display());
    }
    Some(epoch_seconds)
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn newest_source() -> io::Result<u64> {
    println!("cargo:rerun-if-changed=src");
    let newest = newest_below(Path::new("src"))?;
    Ok(newest.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

fn newest_below(folder: &Path) -> io::Result<SystemTime> {
    let mut newest = UNIX_EPOCH;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let time = if entry.file_type()?.is_dir() {
            newest_below(&entry.path())?
        } else {
            entry.metadata()?.modified()?
        };
        newest = newest.max(time);
    }
    Ok(newest)
}
