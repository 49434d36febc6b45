//! The installed system's machine ID.

use ve_core::fingerprint::{Component, Reading};

use crate::{Sources, known};

/// Where it stands, systemd's place first. Systems without systemd have only the second.
const PLACES: [&str; 2] = ["etc/machine-id", "var/lib/dbus/machine-id"];

/// The length of a machine ID in hexadecimal digits (machine-id(5)).
const DIGITS: usize = 32;

/// The machine ID of the first place that holds one. `uninitialized`, and an empty file in an
/// image that was not started yet, are none.
pub(crate) fn read(sources: &Sources) -> Reading {
    for place in PLACES {
        match sources.text(place) {
            Ok(Some(text)) if is_machine_id(text.trim()) => {
                return known(Component::MachineId, &text);
            }
            Ok(_) => {}
            Err(why) => return Reading::Unreadable(format!("The machine ID is not known: {why}.")),
        }
    }
    Reading::Absent
}

fn is_machine_id(text: &str) -> bool {
    text.len() == DIGITS
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        && text.bytes().any(|byte| byte != b'0')
}
