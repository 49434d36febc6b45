//! A license server's address as users write it.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
    str::FromStr,
};

use thiserror::Error;

/// The port of a license server that is given without one.
pub const DEFAULT_PORT: u16 = 8083;
/// The longest host name, in bytes (RFC 1035).
const MAX_HOST_BYTES: usize = 253;

/// A host (name, IPv4 or IPv6 address) and a TCP port.
///
/// Written as `host`, `host:port`, `[v6]` or `[v6]:port`. The name isn't looked up here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    host: String,
    port: u16,
}

impl ServerAddress {
    /// The host without port and without brackets: the form that logs print.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether both lead to the same port of the same host, as far as their spelling tells: names
    /// are compared without regard to case, addresses by what they mean.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.port == other.port && is_same_host(&self.host, &other.host)
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Why a text is no server address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AddressError {
    /// No host, or characters that no host has.
    #[error("a server is written as host, host:port, [IPv6] or [IPv6]:port")]
    Form,
    /// More colons than `host:port` has.
    #[error("an IPv6 address is written in brackets, such as [::1]:8083")]
    NoBrackets,
    /// Not 1 to 65535.
    #[error("a port is a number from 1 to 65535")]
    Port,
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or(AddressError::Form)?;
                let (address, zone) =
                    host.split_once('%').map_or((host, None), |(a, z)| (a, Some(z)));
                let zone_fits =
                    zone.is_none_or(|zone| !zone.is_empty() && zone.chars().all(is_host_character));
                if address.parse::<Ipv6Addr>().is_err() || !zone_fits {
                    return Err(AddressError::Form);
                }
                (
                    host,
                    if after.is_empty() {
                        None
                    } else {
                        Some(after.strip_prefix(':').ok_or(AddressError::Form)?)
                    },
                )
            }
            None => match text.split_once(':') {
                Some((_, port)) if port.contains(':') => return Err(AddressError::NoBrackets),
                Some((host, port)) => (plain_host(host)?, Some(port)),
                None => (plain_host(text)?, None),
            },
        };
        Ok(Self { host: host.to_owned(), port: port.map_or(Ok(DEFAULT_PORT), parse_port)? })
    }
}

fn is_same_host(one: &str, other: &str) -> bool {
    match (one.parse::<IpAddr>(), other.parse::<IpAddr>()) {
        (Ok(one), Ok(other)) => one.to_canonical() == other.to_canonical(),
        (Err(_), Err(_)) => {
            // A dot at the end only says that the name is whole.
            let bare = |name| str::strip_suffix(name, ".").unwrap_or(name);
            bare(one).eq_ignore_ascii_case(bare(other))
        }
        _ => false,
    }
}

fn plain_host(host: &str) -> Result<&str, AddressError> {
    let fits = (1..=MAX_HOST_BYTES).contains(&host.len()) && host.chars().all(is_host_character);
    if fits { Ok(host) } else { Err(AddressError::Form) }
}

fn is_host_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

fn parse_port(digits: &str) -> Result<u16, AddressError> {
    // `parse` alone would take a plus sign.
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(AddressError::Port);
    }
    digits.parse().ok().filter(|&port| port != 0).ok_or(AddressError::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_may_be_left_out() {
        for (text, whole, host) in [
            ("127.0.0.1", "127.0.0.1:8083", "127.0.0.1"),
            ("127.0.0.1:9", "127.0.0.1:9", "127.0.0.1"),
            (
                "license-1.example_net.org:65535",
                "license-1.example_net.org:65535",
                "license-1.example_net.org",
            ),
            ("[::1]", "[::1]:8083", "::1"),
            ("[fe80::1%eth0]:90", "[fe80::1%eth0]:90", "fe80::1%eth0"),
        ] {
            let address: ServerAddress = text.parse().expect(text);
            assert_eq!((address.to_string().as_str(), address.host()), (whole, host), "{text}");
        }
    }

    #[test]
    fn one_server_has_many_spellings() {
        for (one, other, same) in [
            ("license.example", "license.example:8083", true),
            ("license.example", "LICENSE.Example.", true),
            ("license.example", "license.example:8084", false),
            ("license.example", "license2.example", false),
            ("[::1]", "[0:0::1]:8083", true),
            ("[::ffff:10.1.1.1]", "10.1.1.1", true),
            ("10.1.1.1", "10.1.1.2", false),
            ("10.1.1.1", "license.example", false),
            ("[fe80::1%eth0]", "[fe80::1%eth1]", false),
        ] {
            let parsed = |text: &str| text.parse::<ServerAddress>().expect("an address");
            let (one, other) = (parsed(one), parsed(other));
            assert_eq!(one.is_same_as(&other), same, "{one} {other}");
            assert_eq!(other.is_same_as(&one), same, "{other} {one}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for (text, error) in [
            ("", AddressError::Form),
            (":8083", AddressError::Form),
            ("a b", AddressError::Form),
            ("host/1", AddressError::Form),
            ("[::1", AddressError::Form),
            ("[::1]8083", AddressError::Form),
            ("[127.0.0.1]", AddressError::Form),
            ("[fe80::1%]", AddressError::Form),
            ("::1", AddressError::NoBrackets),
            ("host:", AddressError::Port),
            ("host:0", AddressError::Port),
            ("host:65536", AddressError::Port),
            ("host:+80", AddressError::Port),
            ("host:-1", AddressError::Port),
        ] {
            assert_eq!(text.parse::<ServerAddress>(), Err(error), "{text:?}");
        }
        assert_eq!("x".repeat(254).parse::<ServerAddress>(), Err(AddressError::Form));
    }
}
