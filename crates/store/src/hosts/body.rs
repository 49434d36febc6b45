//! A row of the registry: the host's key has a column of its own, all else is readable JSON.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use ve_core::{
    id::{HostKey, LicenseId},
    registry::{HostEntry, HostState, PlatformIdentity, Seen},
    time::Utc,
};

/// What an entry says beside its host's key.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body<'a> {
    home: Cow<'a, LicenseId>,
    revision: u64,
    state: HostState,
    registered: Utc,
    identity: Cow<'a, Option<PlatformIdentity>>,
    seen: Cow<'a, Seen>,
}

impl<'a> Body<'a> {
    pub(super) fn of(entry: &'a HostEntry) -> Self {
        let HostEntry { host: _, home, revision, state, registered, identity, seen } = entry;
        Self {
            home: Cow::Borrowed(home),
            revision: *revision,
            state: *state,
            registered: *registered,
            identity: Cow::Borrowed(identity),
            seen: Cow::Borrowed(seen),
        }
    }

    pub(super) fn into_entry(self, host: HostKey) -> HostEntry {
        HostEntry {
            host,
            home: self.home.into_owned(),
            revision: self.revision,
            state: self.state,
            registered: self.registered,
            identity: self.identity.into_owned(),
            seen: self.seen.into_owned(),
        }
    }
}

/// A key as its column holds it, written without the detours of formatting: a resync writes 100,000.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hex([u8; 2 * HostKey::LENGTH]);

impl Hex {
    pub(super) fn of(host: HostKey) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 2 * HostKey::LENGTH];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(host.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 0xf)];
        }
        Self(digits)
    }

    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("digits are text")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_as_it_does_elsewhere() {
        let host =
            HostKey(std::array::from_fn(|index| u8::try_from(index * 37 % 256).unwrap_or(0)));
        assert_eq!(Hex::of(host).as_str(), host.to_string());
    }
}
