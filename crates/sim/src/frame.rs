//! Frames: what one commit puts on a disk, with its length and a checksum in front. A crash may leave a
//! part of the last one; recovery reads whole frames and cuts off what follows.

use serde::{Serialize, de::DeserializeOwned};

use crate::random::Hash;

/// What is in front of every frame: its length and its checksum, eight bytes each.
const HEAD_BYTES: usize = 16;

/// The bytes of one frame.
pub(crate) fn encode<F: Serialize>(frame: &F) -> Vec<u8> {
    let content = serde_json::to_vec(frame).expect("frames can always be written as JSON");
    let mut bytes = Vec::with_capacity(HEAD_BYTES + content.len());
    bytes.extend_from_slice(&(content.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&Hash::of(&content).to_le_bytes());
    bytes.extend_from_slice(&content);
    bytes
}

/// The first frame and its length; `None` where no whole one is.
pub(crate) fn decode<F: DeserializeOwned>(bytes: &[u8]) -> Option<(F, usize)> {
    let number = |at: usize| -> Option<u64> {
        Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
    };
    let length = usize::try_from(number(0)?).ok()?;
    let content = bytes.get(HEAD_BYTES..HEAD_BYTES.checked_add(length)?)?;
    if Hash::of(content) != number(8)? {
        return None;
    }
    Some((serde_json::from_slice(content).ok()?, HEAD_BYTES + length))
}
