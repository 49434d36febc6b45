//! `[log]`: the style of the emulator's log, where it is and how many are kept.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use super::section::{Problem, Section};

/// The default of `keep`.
const DEFAULT_KEEP: u32 = 5;
/// The most old logs that are kept.
const MAX_KEEP: u64 = 1_000;

/// `[log]` of a VM's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// The form of its lines.
    pub style: LogStyle,
    /// The folder of the log; `None`: the style's default (see [`crate::log::LogPlace`]).
    pub dir: Option<PathBuf>,
    /// How many logs of earlier starts are kept, for the styles that rotate.
    pub keep: u32,
    /// Times in UTC instead of local time.
    pub utc: bool,
}

/// The form of a log's lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStyle {
    /// `2020-07-16 21:25:10 INFO VE message`.
    Ssp,
    /// `20211213:120216.970965:message`.
    Par,
    /// One JSON object a line.
    Json,
}

/// The text names no log style.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of ssp, par, json")]
pub struct UnknownLogStyle;

impl LogStyle {
    /// The name as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ssp => "ssp",
            Self::Par => "par",
            Self::Json => "json",
        }
    }
}

impl FromStr for LogStyle {
    type Err = UnknownLogStyle;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Ssp, Self::Par, Self::Json]
            .into_iter()
            .find(|style| style.as_str() == text)
            .ok_or(UnknownLogStyle)
    }
}

impl fmt::Display for LogStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads `[log]`; the whole table may be left out.
pub(super) fn read(section: Option<Section<'_>>, folder: &Path) -> Result<LogSettings, Problem> {
    let Some(mut section) = section else {
        return Ok(LogSettings { style: LogStyle::Ssp, dir: None, keep: DEFAULT_KEEP, utc: false });
    };
    let style = section.parsed("style", str::parse::<LogStyle>)?;
    let dir = section.path("dir")?.map(|dir| folder.join(dir));
    let keep = section.number("keep", 0, MAX_KEEP)?;
    let utc = section.flag("utc")?.unwrap_or(false);
    section.finish()?;
    Ok(LogSettings {
        style: style.map_or(LogStyle::Ssp, |at| at.value),
        dir,
        keep: keep.map_or(DEFAULT_KEEP, |at| u32::try_from(at.value).expect("MAX_KEEP fits")),
        utc,
    })
}
