//! Identifiers: parsed once, valid for ever.

use alloc::{
    format,
    string::{String, ToString},
};
use core::{cmp::Ordering, fmt, str::FromStr};

use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

/// A license ID such as `01.00000001.002.044`: four groups of digits (2, 8, 3, 3).
///
/// The digits and dots are all it can hold, so an ID is safe as a file name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct LicenseId([u8; LICENSE_ID_BYTES]);

/// The lengths of a license ID's groups, in digits.
const LICENSE_ID_GROUPS: [usize; 4] = [2, 8, 3, 3];

/// The length of a license ID. It stands in every host's entry, so it is kept in place.
const LICENSE_ID_BYTES: usize = 19;

/// The text is no license ID.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a license ID has the form 01.00000001.002.044 (2, 8, 3 and 3 digits)")]
pub struct LicenseIdError;

impl LicenseId {
    /// The ID as it is written.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("it has digits and dots only")
    }
}

impl FromStr for LicenseId {
    type Err = LicenseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut groups = text.split('.');
        let fits = LICENSE_ID_GROUPS.iter().all(|&length| {
            groups.next().is_some_and(|group| {
                group.len() == length && group.bytes().all(|b| b.is_ascii_digit())
            })
        });
        let bytes = text.as_bytes().try_into().map_err(|_| LicenseIdError)?;
        if fits && groups.next().is_none() { Ok(Self(bytes)) } else { Err(LicenseIdError) }
    }
}

impl TryFrom<String> for LicenseId {
    type Error = LicenseIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<LicenseId> for String {
    fn from(id: LicenseId) -> Self {
        id.as_str().to_string()
    }
}

impl Serialize for LicenseId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for LicenseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for LicenseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LicenseId").field(&self.as_str()).finish()
    }
}

/// Defines a newtype over fixed-size bytes that prints and parses as lower-case hexadecimal.
macro_rules! hex_bytes {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(pub [u8; $length]);

        /// That of the bytes. The first of them decide nearly always, and a search in a large
        /// registry compares a lot.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                let first = |bytes: &[u8; $length]| bytes.first_chunk().map(|b| u64::from_be_bytes(*b));
                first(&self.0).cmp(&first(&other.0)).then_with(|| self.0.cmp(&other.0))
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            /// The length in bytes.
            pub const LENGTH: usize = $length;
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl FromStr for $name {
            type Err = HexError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse_hex(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = HexError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(bytes: $name) -> Self {
                format!("{bytes}")
            }
        }
    };
}

hex_bytes! {
    /// A SHA-256 digest.
    Digest, 32
}
hex_bytes! {
    /// A server's Ed25519 public key: the key that a license is bound to.
    ServerKey, 32
}
hex_bytes! {
    /// Identifies a client host: the SHA-256 of the public key (DER `SubjectPublicKeyInfo`) in its
    /// TLS client certificate.
    HostKey, 32
}
hex_bytes! {
    /// A client's random question mark: the answer repeats it, so an old answer is no answer.
    Nonce, 32
}
hex_bytes! {
    /// A session's secret name, 128 random bits made by the server. Only its holder and the ledger
    /// know it; lists show the session's number instead.
    SessionId, 16
}
hex_bytes! {
    /// One boot of a machine: 128 bits that its kernel makes anew each time. [`crate::time::Elapsed`]
    /// times compare only within one boot.
    BootId, 16
}
hex_bytes! {
    /// The numbers that one start of a server gave to changes of its registry: 128 random bits.
    SpanId, 16
}
hex_bytes! {
    /// One run of a client program: 128 random bits that it makes at its start.
    RunId, 16
}

/// Prints newtypes over bytes that are no secret.
macro_rules! debug_as_hex {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    )*};
}
debug_as_hex!(Digest ServerKey HostKey Nonce RunId BootId SpanId);

impl fmt::Debug for SessionId {
    /// A secret: whatever is printed for a developer's eye does not show it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(****)")
    }
}

/// The text is not lower-case hexadecimal of the right length.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("expected {expected} lower-case hexadecimal digits")]
pub struct HexError {
    expected: usize,
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], HexError> {
    let error = HexError { expected: N * 2 };
    let digits = text.as_bytes();
    if digits.len() != N * 2 {
        return Err(error);
    }
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        match (nibble(pair[0]), nibble(pair[1])) {
            (Some(high), Some(low)) => *byte = (high << 4) | low,
            _ => return Err(error),
        }
    }
    Ok(bytes)
}

/// Names one connection of this run of the server; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A session's public number, counted up from 1 and never used twice by one ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionNumber(pub u64);

impl fmt::Display for SessionNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn license_ids_have_four_groups_of_digits() {
        assert_eq!(
            "01.00000001.002.044".parse::<LicenseId>().map(|id| id.to_string()),
            Ok("01.00000001.002.044".into())
        );
        for wrong in [
            "",
            "1.1.1.1",
            "01.00000001.002",
            "01.00000001.002.044.1",
            "01.0000000a.002.044",
            "../0000001.002.044",
            "01.00000001.002.04\n",
        ] {
            assert_eq!(wrong.parse::<LicenseId>(), Err(LicenseIdError), "{wrong:?}");
        }
    }

    #[test]
    fn hex_is_lower_case_and_of_one_length() {
        let id = SessionId([0xab; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("AB".repeat(16).parse::<SessionId>().is_err());
        assert!("ab".repeat(15).parse::<SessionId>().is_err());
        assert!("é".repeat(16).parse::<SessionId>().is_err());
    }

    #[test]
    fn a_session_id_is_not_printed_by_accident() {
        assert_eq!(format!("{:?}", SessionId([0xab; 16])), "SessionId(****)");
    }
}
