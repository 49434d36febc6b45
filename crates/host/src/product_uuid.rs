//! The identity that the hypervisor or the board gives: the DMI product UUID.

use ve_core::fingerprint::{Component, Reading};

use crate::{
    Sources,
    digest::normalised,
    file::{self, Unreadable},
    known,
};

/// The name of the copy that the service's unit leaves in its hand-in folder.
pub const HANDED_IN_PRODUCT_UUID: &str = "product_uuid";

/// Linux gives this file to root only (mode 0400).
const PRODUCT_UUID: &str = "sys/class/dmi/id/product_uuid";

/// UUIDs that makers leave in whole series of boards. A longer list turns a known value into none
/// and so invalidates the licenses that are bound to it: keep it.
const SHARED_BY_MANY: [&str; 4] = [
    "03000200-0400-0500-0006-000700080009",
    "00020003-0004-0005-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "11111111-2222-3333-4444-555555555555",
];

/// The product UUID: from the system itself where that may be read, else from the copy that was
/// handed in. The system comes first, and the copy counts only for a file that is there, because
/// the copy's folder may be of anybody's making.
///
/// Absent without DMI, or with a UUID that is none. A broken copy is unreadable: it says nothing
/// about the machine.
pub(crate) fn read(sources: &Sources) -> Reading {
    match sources.text(PRODUCT_UUID) {
        Ok(Some(text)) => reading(&text),
        Ok(None) => Reading::Absent,
        Err(why) => handed_in(sources).unwrap_or_else(|| Reading::Unreadable(sentence(&why))),
    }
}

/// The reading that a UUID gives.
fn reading(text: &str) -> Reading {
    unique(text).map_or(Reading::Absent, |uuid| known(Component::ProductUuid, &uuid))
}

/// The reading of the copy that was handed in; `None` when there is none.
fn handed_in(sources: &Sources) -> Option<Reading> {
    let path = sources.handed_in_file(HANDED_IN_PRODUCT_UUID)?;
    // Handed in on purpose for the service, so its mode is not looked at: a unit's credentials
    // belong to root and open to the service's user by an access list.
    let unusable = |why: String| {
        Reading::Unreadable(format!(
            "The product UUID that was handed in is no use: {why}. Restart the service, so that \
             its unit hands it in anew."
        ))
    };
    match file::text(&path, file::MAX_BYTES, None) {
        Ok(None) => None,
        Ok(Some(text)) if !is_uuid(&normalised(&text)) => {
            Some(unusable(format!("{} holds no UUID", path.display())))
        }
        Ok(Some(text)) => Some(reading(&text)),
        Err(why) => Some(unusable(why.to_string())),
    }
}

/// Why the file can't be read, and what to do about it.
fn sentence(why: &Unreadable) -> String {
    match why {
        Unreadable::Denied(path) => format!(
            "Only root may read the product UUID ({}). Start the server through its service \
             unit, which hands it in.",
            path.display()
        ),
        other => format!("The product UUID is not known: {other}."),
    }
}

/// The UUID in `text`, if it is one that tells this machine from others.
fn unique(text: &str) -> Option<String> {
    let uuid = normalised(text);
    let mut digits = uuid.bytes().filter(|&byte| byte != b'-');
    let first = digits.next();
    // All zeros and all ones mean "not set"; other makers repeat another digit.
    let all_the_same = digits.all(|digit| Some(digit) == first);
    let bogus = all_the_same || SHARED_BY_MANY.contains(&uuid.as_str());
    (is_uuid(&uuid) && !bogus).then_some(uuid)
}

/// Whether the text has a UUID's form: 8, 4, 4, 4 and 12 hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}
