//! Ranges of addresses, as an administrator writes them: `10.1.0.0/16`, `2001:db8::/32`.

use core::{fmt, net::IpAddr, str::FromStr};

use thiserror::Error;

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// The text is no range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NetworkError {
    /// Not an address, or an address, a slash and a number that fits.
    #[error("a range of addresses is written as 10.1.0.0/16 or 2001:db8::/32, or as one address")]
    Form,
    /// The address has bits beyond the prefix: likely a mistyped number.
    #[error("the address has bits set beyond the /{0}: write the first address of the range")]
    Bits(u8),
}

impl Network {
    /// Whether the range has this address. An IPv4 address that comes in as IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(range), IpAddr::V4(address)) => {
                (u32::from(range) ^ u32::from(address)) & mask_32(self.prefix) == 0
            }
            (IpAddr::V6(range), IpAddr::V6(address)) => {
                (u128::from(range) ^ u128::from(address)) & mask_128(self.prefix) == 0
            }
            _ => false,
        }
    }
}

fn mask_32(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

fn mask_128(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0)
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Form)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= longest).ok_or(NetworkError::Form)?
            }
            Some(_) => return Err(NetworkError::Form),
        };
        let beyond = match address {
            IpAddr::V4(address) => u32::from(address) & !mask_32(prefix) != 0,
            IpAddr::V6(address) => u128::from(address) & !mask_128(prefix) != 0,
        };
        if beyond { Err(NetworkError::Bits(prefix)) } else { Ok(Self { address, prefix }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_range_has_its_addresses_and_no_others() {
        for (range, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.3", "10.2.0.0"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("10.1.2.3", "::ffff:10.1.2.3", "10.1.2.4"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "2001:db9::", "10.1.2.3"),
        ] {
            let range: Network = range.parse().expect("a range");
            assert!(range.contains(inside.parse().expect("an address")), "{range} {inside}");
            assert!(!range.contains(outside.parse().expect("an address")), "{range} {outside}");
            assert_eq!(range.to_string().parse(), Ok(range));
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for (wrong, why) in [
            ("10.1.0.0/33", NetworkError::Form),
            ("10.1.0.0/", NetworkError::Form),
            ("10.1.0.0/+8", NetworkError::Form),
            ("10.1/16", NetworkError::Form),
            ("", NetworkError::Form),
            ("10.1.2.3/16", NetworkError::Bits(16)),
            ("2001:db8::1/32", NetworkError::Bits(32)),
        ] {
            assert_eq!(wrong.parse::<Network>(), Err(why), "{wrong:?}");
        }
    }
}
