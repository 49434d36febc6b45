//! Grants that a client shows again: a server believes what its own key has signed for this host.

use prost::Message;
use ve_core::{
    grant::{Grant, Witness},
    id::{HostKey, ServerKey, SessionId},
    license::Verified,
};

use crate::{
    convert,
    limits::MAX_WITNESS_BYTES,
    proto::{Signed, statement::Content},
    statement::recall,
};

/// What a grant proves that `server_key` once signed for `host`; `None` for anything else.
///
/// `verify` says whether a signature over some bytes is that of the server key.
pub fn read(
    signed: &Signed,
    server_key: ServerKey,
    host: HostKey,
    verify: impl FnOnce(&[u8], &[u8]) -> bool,
) -> Option<Verified<Witness>> {
    let (_, believed) = recall(Some(signed), server_key, host, verify).ok()?;
    let Content::Grant(grant) = believed.content else { return None };
    let session = believed.session.unwrap_or(SessionId([0; SessionId::LENGTH]));
    let grant = convert::grant(&grant, session).ok()?;
    let Grant { license_id, lease_ms, marks, .. } = grant;
    Some(Verified::vouch(Witness { session, license_id, lease_ms, marks }))
}

/// A grant as a client keeps it in a file: the bytes of a `Signed`.
pub fn encode(signed: &Signed) -> Vec<u8> {
    signed.encode_to_vec()
}

/// A grant from a client's file; `None` for anything else, and for what no login may show.
pub fn decode(bytes: &[u8]) -> Option<Signed> {
    let signed = Signed::decode(bytes).ok()?;
    (signed.statement.len() <= MAX_WITNESS_BYTES).then_some(signed)
}
