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
pub(super) fn hex(host: HostKey) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 0xf)]);
    host.0.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_as_it_does_elsewhere() {
        let host =
            HostKey(std::array::from_fn(|index| u8::try_from(index * 37 % 256).unwrap_or(0)));
        assert_eq!(hex(host), host.to_string());
    }
}
