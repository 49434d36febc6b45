//! What is in the reserve, byte by byte: two slots, of which the newest whole one counts.
//!
//! A slot: [`MAGIC`], the sequence number and the length of what follows (little-endian, 8 and 4
//! bytes), SHA-256 over all of that but the magic, and the content as JSON. Whatever ends a write in
//! the middle leaves a slot whose digest doesn't fit, and the other slot as it was.

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use serde::{Deserialize, Serialize};
use ve_core::id::ServerKey;

use crate::high_water::HighWater;

/// The length of a slot in bytes: room for some 400 licenses that count hours, and 2,000 others.
pub(crate) const SLOT_BYTES: usize = 64 * 1024;

/// The length of the file in bytes.
pub(super) const FILE_BYTES: usize = 2 * SLOT_BYTES;

const MAGIC: &[u8; 8] = b"VEMARKS1";
const NUMBERS: usize = 8 + 4;
const HEADER_BYTES: usize = MAGIC.len() + NUMBERS + SHA256_OUTPUT_LEN;

/// What a slot holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Content {
    /// The last position that the ledger itself had: a ledger that has less is an older one.
    pub(crate) ledger_position: u64,
    /// The marks.
    pub(crate) marks: HighWater,
    /// The server that they are of; `None`: no server had them yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server_key: Option<ServerKey>,
}

impl Content {
    /// This, and all that is higher in `floor`.
    pub(super) fn above(&self, floor: &Self) -> Self {
        if self.server_key.is_some_and(|key| floor.is_of_other(key)) {
            return self.clone();
        }
        let mut marks = self.marks.clone().joined(&floor.marks);
        marks.prune();
        Self {
            ledger_position: self.ledger_position.max(floor.ledger_position),
            marks,
            server_key: self.server_key.or(floor.server_key),
        }
    }

    /// Whether they are known to be another server's.
    pub(crate) fn is_of_other(&self, server_key: ServerKey) -> bool {
        self.server_key.is_some_and(|key| key != server_key)
    }
}

/// The slot that a sequence number is written to.
pub(super) fn offset_of(sequence: u64) -> u64 {
    (sequence % 2) * SLOT_BYTES as u64
}

/// A slot as it is written. Errs, in words, when there is more than a slot holds.
pub(crate) fn encode(sequence: u64, content: &Content) -> Result<Vec<u8>, String> {
    let body = serde_json::to_vec(content).map_err(|error| error.to_string())?;
    let room = SLOT_BYTES - HEADER_BYTES;
    if body.len() > room {
        return Err(format!(
            "the marks of all licenses take {} bytes, and the reserve has room for {room}",
            body.len()
        ));
    }
    let length = u32::try_from(body.len()).expect("a slot is small");
    let mut slot = Vec::with_capacity(HEADER_BYTES + body.len());
    slot.extend_from_slice(MAGIC);
    slot.extend_from_slice(&sequence.to_le_bytes());
    slot.extend_from_slice(&length.to_le_bytes());
    slot.extend_from_slice(&sum(&slot[MAGIC.len()..], &body));
    slot.extend_from_slice(&body);
    Ok(slot)
}

/// The newest whole slot of a file, which may hold anything.
pub(super) fn newest(file: &[u8]) -> Option<(u64, Content)> {
    let slots = file.chunks(SLOT_BYTES).take(2);
    slots.filter_map(decode).max_by_key(|(sequence, _)| *sequence)
}

fn decode(slot: &[u8]) -> Option<(u64, Content)> {
    let (magic, rest) = slot.split_first_chunk::<8>()?;
    let (numbers, rest) = rest.split_first_chunk::<NUMBERS>()?;
    let (expected, rest) = rest.split_first_chunk::<SHA256_OUTPUT_LEN>()?;
    let (sequence, length) = numbers.split_first_chunk::<8>()?;
    let length = u32::from_le_bytes(length.try_into().ok()?);
    let body = rest.get(..usize::try_from(length).ok()?)?;
    if magic != MAGIC || sum(numbers, body) != *expected {
        return None;
    }
    let content: Content = serde_json::from_slice(body).ok()?;
    content.marks.fits().then(|| (u64::from_le_bytes(*sequence), content))
}

fn sum(numbers: &[u8], body: &[u8]) -> [u8; SHA256_OUTPUT_LEN] {
    let sum = digest(&SHA256, &[numbers, body].concat());
    sum.as_ref().try_into().expect("SHA-256 has its length")
}

#[cfg(test)]
mod tests {
    use ve_core::{node::event::Metered, time::Utc};

    use super::*;

    fn content(number: u64) -> Content {
        let mut marks = HighWater {
            position: number,
            time: Some(Utc(number.cast_signed())),
            ..HighWater::default()
        };
        let id: ve_core::id::LicenseId = "01.00000001.002.044".parse().expect("a license ID");
        marks.versions.insert(id.clone(), 1);
        marks.meters.insert((id, 1), Metered { used_ms: number * 1_000, charged_to: None });
        Content { ledger_position: number, marks, server_key: None }
    }

    fn write(file: &mut [u8], sequence: u64, bytes: usize) {
        let slot = encode(sequence, &content(sequence)).expect("room");
        let at = usize::try_from(offset_of(sequence)).expect("small");
        let bytes = bytes.min(slot.len());
        file[at..at + bytes].copy_from_slice(&slot[..bytes]);
    }

    /// Power fails in the middle of a write, after any number of bytes: the old content or the new.
    #[test]
    fn a_write_torn_at_any_byte_leaves_the_old_marks_or_the_new() {
        for last in [3, 8] {
            let mut before = vec![0; FILE_BYTES];
            (1..=last).for_each(|sequence| write(&mut before, sequence, usize::MAX));
            let length = encode(last + 1, &content(last + 1)).expect("room").len();
            let mut whole = before.clone();
            write(&mut whole, last + 1, length);
            for torn_at in 0..=length {
                let mut file = before.clone();
                write(&mut file, last + 1, torn_at);
                // The last bytes may be the same as those that were there before.
                let found = if file == whole { last + 1 } else { last };
                assert_eq!(newest(&file), Some((found, content(found))), "torn at {torn_at}");
            }
        }
    }

    #[test]
    fn noise_in_any_byte_of_a_slot_is_found() {
        let mut file = vec![0; FILE_BYTES];
        write(&mut file, 1, usize::MAX);
        write(&mut file, 2, usize::MAX);
        let length = encode(2, &content(2)).expect("room").len();
        for byte in 0..length {
            file[byte] ^= 0x10;
            assert_eq!(newest(&file), Some((1, content(1))), "byte {byte}");
            file[byte] ^= 0x10;
        }
        for (byte, length) in [(0, 0), (0xa5, 100), (0xa5, FILE_BYTES), (0, FILE_BYTES)] {
            assert_eq!(newest(&vec![byte; length]), None);
        }
    }

    #[test]
    fn more_than_a_slot_holds_is_refused_and_old_versions_need_no_room() {
        let mut content = content(1);
        let versions = content.marks.versions.clone();
        let (id, _) = versions.first_key_value().expect("one");
        for version in 2..2_000 {
            let metered = Metered { used_ms: 1, charged_to: None };
            content.marks.meters.insert((id.clone(), version), metered);
        }
        let why = encode(1, &content).expect_err("no room");
        assert!(why.contains("the reserve has room for 65484"), "{why}");
        content.marks.versions.insert(id.clone(), 1_990);
        content.marks.prune();
        let slot = encode(1, &content).expect("room");
        let (_, found) = newest(&slot).expect("whole");
        assert_eq!(found.marks.meters.len(), 10);
    }
}
