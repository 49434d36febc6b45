//! `[peer]` and `[autove]`: the other server, and who may register.

use std::{fmt, net::Ipv6Addr, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de::Error as _};
use ve_core::{network::Network, node::io::AutoVeRules, time::parse_duration_ms};

use super::{DEFAULT_PORT, within};

/// The longest name of a host that the name system knows, in bytes.
const MAX_HOST_BYTES: usize = 253;

/// The most ranges of `allow`.
const MAX_RANGES: usize = 256;

/// `[peer]`: the other server of an AutoVE pair.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Peer {
    /// Where it listens; none: this server has no peer, or is only dialed by it.
    #[serde(deserialize_with = "address")]
    pub address: Option<PeerAddress>,
}

/// Where a peer listens: a host and a port. The name isn't looked up here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The text is no address of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("address is written as host, host:port, [IPv6] or [IPv6]:port")]
pub struct PeerAddressError;

impl FromStr for PeerAddress {
    type Err = PeerAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or(PeerAddressError)?;
                host.parse::<Ipv6Addr>().map_err(|_| PeerAddressError)?;
                match port {
                    "" => (host, None),
                    port => (host, Some(port.strip_prefix(':').ok_or(PeerAddressError)?)),
                }
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let in_brackets = text.starts_with('[');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let named = !host.is_empty() && host.len() <= MAX_HOST_BYTES;
        if !named || !(in_brackets || host.bytes().all(plain)) {
            return Err(PeerAddressError);
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|port| *port != 0).ok_or(PeerAddressError)?
            }
            Some(_) => return Err(PeerAddressError),
        };
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// `[autove]`: who may register, and copies of the registry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AutoVe {
    /// From where hosts may register (at most 256 ranges); empty: from everywhere.
    #[serde(deserialize_with = "ranges")]
    pub allow: Vec<Network>,
    /// How many hosts of one address may register at once (1 to 1000000).
    #[serde(deserialize_with = "burst")]
    pub registration_burst: u32,
    /// How many hosts of one address may register in a minute after that (1 to 1000000).
    #[serde(deserialize_with = "rate")]
    pub registrations_per_minute: u32,
    /// How many snapshots of `instances.db` are kept (0 to 1000); 0: none are made.
    #[serde(deserialize_with = "kept_snapshots")]
    pub snapshots: u32,
    /// How often a snapshot is made when something has changed (1 minute to 30 days).
    #[serde(deserialize_with = "interval")]
    pub snapshot_interval: Duration,
}

impl Default for AutoVe {
    fn default() -> Self {
        let rules = AutoVeRules::default();
        Self {
            allow: Vec::new(),
            registration_burst: rules.registration_burst,
            registrations_per_minute: rules.registrations_per_minute,
            snapshots: 5,
            snapshot_interval: Duration::from_hours(1),
        }
    }
}

impl AutoVe {
    /// What the node needs to know of it.
    pub fn rules(&self, peer: &Peer) -> AutoVeRules {
        AutoVeRules {
            has_peer: peer.address.is_some(),
            allow: self.allow.clone(),
            registration_burst: self.registration_burst,
            registrations_per_minute: self.registrations_per_minute,
        }
    }
}

fn address<'de, D: Deserializer<'de>>(value: D) -> Result<Option<PeerAddress>, D::Error> {
    String::deserialize(value)?.parse().map(Some).map_err(D::Error::custom)
}

fn ranges<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<Network>, D::Error> {
    let texts = Vec::<String>::deserialize(value)?;
    if texts.len() > MAX_RANGES {
        return Err(D::Error::custom(format!(
            "allow names at most {MAX_RANGES} ranges, not {}",
            texts.len()
        )));
    }
    let range = |text: &String| {
        text.parse().map_err(|error| D::Error::custom(format!("allow: {text}: {error}")))
    };
    texts.iter().map(range).collect()
}

fn burst<'de, D: Deserializer<'de>>(value: D) -> Result<u32, D::Error> {
    within(value, "registration_burst", &(1..=1_000_000))
}

fn rate<'de, D: Deserializer<'de>>(value: D) -> Result<u32, D::Error> {
    within(value, "registrations_per_minute", &(1..=1_000_000))
}

fn kept_snapshots<'de, D: Deserializer<'de>>(value: D) -> Result<u32, D::Error> {
    within(value, "snapshots", &(0..=1_000))
}

fn interval<'de, D: Deserializer<'de>>(value: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(value)?;
    let wrong = |why: &str| D::Error::custom(format!("snapshot_interval: {why}"));
    let interval_ms = parse_duration_ms(&text).map_err(|error| wrong(&error.to_string()))?;
    let interval = Duration::from_millis(interval_ms);
    if (Duration::from_mins(1)..=Duration::from_hours(24 * 30)).contains(&interval) {
        Ok(interval)
    } else {
        Err(wrong("it must be between 1m and 30d"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_host_and_a_port() {
        for (text, host, port) in [
            ("peer.example.com", "peer.example.com", 8083),
            ("10.1.2.3:9000", "10.1.2.3", 9000),
            ("[2001:db8::1]", "2001:db8::1", 8083),
            ("[2001:db8::1]:9000", "2001:db8::1", 9000),
        ] {
            let peer: PeerAddress = text.parse().expect(text);
            assert_eq!((peer.host.as_str(), peer.port), (host, port));
            assert_eq!(peer.to_string().parse(), Ok(peer));
        }
        let long = "x".repeat(254);
        for wrong in [
            "",
            ":8083",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "2001:db8::1",
            "[a]",
            "[::1",
            "[::1]8083",
            "a b",
            "a/b",
            "a\n",
            &long,
        ] {
            assert_eq!(wrong.parse::<PeerAddress>(), Err(PeerAddressError), "{wrong:?}");
        }
    }
}
