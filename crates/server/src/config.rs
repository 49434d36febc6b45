//! `config.toml`: every key has a default, and a key that is not known is an error.

mod autove;

use std::{
    io,
    net::{Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, de::Error as _};
use thiserror::Error;
use ve_core::{fingerprint::Platform, text::printable};
use ve_documents::files::{self, ReadError};

use crate::words::plain;

pub use autove::{AutoVe, Peer, PeerAddress, PeerAddressError};

/// The largest configuration that is read, in bytes.
pub const MAX_CONFIG_BYTES: usize = 64 * 1024;

/// The port for emulators.
pub const DEFAULT_PORT: u16 = 8083;

/// The longest part of a parser's message that is repeated, in characters.
const MAX_QUOTED: usize = 300;

/// A server's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where emulators connect.
    pub listen: SocketAddr,
    /// `[log]`.
    pub log: Log,
    /// `[host]`.
    pub host: Host,
    /// `[limits]`.
    pub limits: Limits,
    /// `[peer]`.
    pub peer: Peer,
    /// `[autove]`.
    pub autove: AutoVe,
}

/// `[log]`: how `license.log` is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// How many rotated logs are kept (0 to 1000).
    #[serde(deserialize_with = "kept_logs")]
    pub keep: u32,
    /// How large a log grows before it is rotated, in MB (1 to 100000).
    #[serde(deserialize_with = "log_size")]
    pub max_size_mb: u64,
    /// Whether times are UTC instead of local time.
    pub utc: bool,
}

/// `[host]`: what the machine itself doesn't tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Host {
    /// The kind of machine, where it is not recognized.
    #[serde(deserialize_with = "platform")]
    pub platform: Option<Platform>,
}

/// `[limits]`: how much the server takes on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The most connections (1 to 1000000); each needs a file descriptor.
    #[serde(deserialize_with = "links")]
    pub max_links: usize,
    /// The most connections without a session from one address (1 to 1000000).
    #[serde(deserialize_with = "links")]
    pub max_links_per_address: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            // Every address of the machine, of both kinds.
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, DEFAULT_PORT)),
            log: Log::default(),
            host: Host::default(),
            limits: Limits::default(),
            peer: Peer::default(),
            autove: AutoVe::default(),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { keep: 10, max_size_mb: 64, utc: false }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_links: 18_000, max_links_per_address: 1_000 }
    }
}

/// Why a configuration can't be used: the administrator's to correct.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A key is unknown, given twice or has a value that it can't have.
    #[error("{}, line {line}: {message}; correct that line, or remove it to get the default", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong, with the key's name.
        message: String,
    },
}

impl Config {
    /// Reads a configuration; a file that is not there is an empty one.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        match files::read_text(path, MAX_CONFIG_BYTES) {
            Ok(text) => Self::parse(&text, path),
            Err(ReadError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Parses a configuration; `path` names it in errors.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = text.get(..start).unwrap_or_default().matches('\n').count() + 1;
            let message = printable(&plain(error.message()), MAX_QUOTED);
            ConfigError::Line { path: path.to_path_buf(), line, message }
        })
    }
}

fn within<'de, D: Deserializer<'de>, T>(
    value: D,
    key: &str,
    range: &RangeInclusive<u64>,
) -> Result<T, D::Error>
where
    T: TryFrom<u64>,
{
    let number = u64::deserialize(value)?;
    let wrong = || {
        let (low, high) = (range.start(), range.end());
        D::Error::custom(format!("{key} must be between {low} and {high}, not {number}"))
    };
    if !range.contains(&number) {
        return Err(wrong());
    }
    T::try_from(number).map_err(|_| wrong())
}

fn kept_logs<'de, D: Deserializer<'de>>(value: D) -> Result<u32, D::Error> {
    within(value, "keep", &(0..=1_000))
}

fn log_size<'de, D: Deserializer<'de>>(value: D) -> Result<u64, D::Error> {
    within(value, "max_size_mb", &(1..=100_000))
}

fn links<'de, D: Deserializer<'de>>(value: D) -> Result<usize, D::Error> {
    within(value, "a number of links", &(1..=1_000_000))
}

fn platform<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Platform>, D::Error> {
    let name = String::deserialize(value)?;
    name.parse().map(Some).map_err(|error| D::Error::custom(format!("platform: {error}")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(text, Path::new("config.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_is_all_defaults_and_every_key_can_be_set() {
        assert_eq!(parse(""), Ok(Config::default()));
        let text = "listen = \"127.0.0.1:0\"\n[log]\nkeep = 0\nmax_size_mb = 1\nutc = true\n\
                    [host]\nplatform = \"kvm\"\n\
                    [limits]\nmax_links = 5\nmax_links_per_address = 2\n\
                    [peer]\naddress = \"peer:9\"\n\
                    [autove]\nallow = [\"10.1.0.0/16\", \"::1\"]\nregistration_burst = 7\n\
                    registrations_per_minute = 8\nsnapshots = 0\nsnapshot_interval = \"2m\"\n";
        let expected = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            log: Log { keep: 0, max_size_mb: 1, utc: true },
            host: Host { platform: Some(Platform::Kvm) },
            limits: Limits { max_links: 5, max_links_per_address: 2 },
            peer: Peer { address: Some(PeerAddress { host: "peer".into(), port: 9 }) },
            autove: AutoVe {
                allow: ["10.1.0.0/16", "::1"].map(|range| range.parse().expect("a range")).into(),
                registration_burst: 7,
                registrations_per_minute: 8,
                snapshots: 0,
                snapshot_interval: Duration::from_mins(2),
            },
        };
        assert_eq!(parse(text), Ok(expected));
    }

    #[test]
    fn a_wrong_line_is_named_with_its_number() {
        for (text, line, part) in [
            ("lissten = \"x\"\n", 1, "unknown field `lissten`"),
            ("# x\n\n[log]\nkep = 1\n", 4, "unknown field `kep`"),
            ("[lock]\n", 1, "unknown field `lock`"),
            ("[log]\nkeep = 1\nkeep = 2\n", 3, "duplicate key"),
            ("[log]\nkeep = 1001\n", 2, "keep must be between 0 and 1000, not 1001"),
            ("[log]\nkeep = -1\n", 2, "-1"),
            ("[limits]\n\nmax_links = 0\n", 3, "must be between 1 and 1000000, not 0"),
            ("[host]\nplatform = \"vax\"\n", 2, "expected one of"),
            ("listen = \"8083\"\n", 1, "no address and port such as"),
            ("listen = 8083\n", 1, "integer `8083`, expected an address and a port"),
            ("\nlisten\n", 2, ""),
            ("[peer]\naddress = \"a:b\"\n", 2, "address is written as host, host:port"),
            ("[peer]\nadress = \"a\"\n", 2, "unknown field `adress`"),
            ("[autove]\nallow = [\"10.1.2.3/16\"]\n", 2, "allow: 10.1.2.3/16: the address has"),
            ("[autove]\nallow = \"10.1.0.0/16\"\n", 2, "expected a list"),
            ("[autove]\nregistration_burst = 0\n", 2, "must be between 1 and 1000000, not 0"),
            ("[autove]\nsnapshots = 1001\n", 2, "snapshots must be between 0 and 1000"),
            ("[autove]\nsnapshot_interval = \"1\"\n", 2, "a whole number and a unit"),
            ("[autove]\nsnapshot_interval = \"1s\"\n", 2, "between 1m and 30d"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(&format!("config.toml, line {line}: ")), "{text}: {error}");
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn the_example_of_the_package_holds_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../pkg/config.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(Config::parse(&text, &path).unwrap(), Config::default());
        // What is commented out there is what holds: a key that is not known would be an error here.
        let set: Vec<&str> = text
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line))
            .filter(|line| line.starts_with('[') || line.contains(" = "))
            .collect();
        let expected = Config {
            host: Host { platform: Some(Platform::Kvm) },
            peer: Peer { address: Some("peer.example.com:8083".parse().unwrap()) },
            ..Config::default()
        };
        assert_eq!(Config::parse(&set.join("\n"), &path).unwrap(), expected);
    }
}
