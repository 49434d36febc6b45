//! What a server signs: every answer, bound to its question's nonce, to the server's key and to the
//! host that asked.

use prost::Message;
use thiserror::Error;
use ve_core::id::{HostKey, Nonce, ServerKey, SessionId};

use crate::{
    limits::MAX_STATEMENT_BYTES,
    proto::{Signed, Statement, statement::Content},
};

/// Stands before a statement where it is signed, so that no other signature of the key fits here.
const DOMAIN: &[u8; 25] = b"ve-license statement v1\0\0";

/// What a statement is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bond {
    /// The nonce of the question; of the hello, for what is said unasked.
    pub nonce: Nonce,
    /// The key of the server's certificate, which signs.
    pub server_key: ServerKey,
    /// The key of the client's certificate.
    pub host: HostKey,
}

/// What a signature is made over.
pub fn signed_bytes(statement: &[u8]) -> Vec<u8> {
    [DOMAIN.as_slice(), statement].concat()
}

/// Makes a statement and lets `sign` sign it.
pub fn seal(
    bond: Bond,
    session: Option<SessionId>,
    content: Content,
    sign: impl FnOnce(&[u8]) -> [u8; 64],
) -> Signed {
    let statement = Statement {
        nonce: bond.nonce.0.to_vec(),
        server_key: bond.server_key.0.to_vec(),
        session: session.map_or_else(Vec::new, |session| session.0.to_vec()),
        host: bond.host.0.to_vec(),
        content: Some(content),
    };
    let statement = statement.encode_to_vec();
    let signature = sign(&signed_bytes(&statement)).to_vec();
    Signed { statement, signature }
}

/// Why a signed statement is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum StatementError {
    /// It is missing or no statement.
    #[error("the server sent no statement")]
    Malformed,
    /// The signature is not the server key's.
    #[error("the statement's signature does not hold")]
    Signature,
    /// It answers another question, or none of this link.
    #[error("the statement answers another question")]
    Nonce,
    /// It speaks for another server.
    #[error("the statement names another server key")]
    ServerKey,
    /// It speaks to another host.
    #[error("the statement is meant for another host")]
    Host,
}

/// A statement whose signature, server key and host were checked, and by [`open`] its nonce.
#[derive(Debug, Clone, PartialEq)]
pub struct Believed {
    /// The session that is meant.
    pub session: Option<SessionId>,
    /// What is stated.
    pub content: Content,
}

/// Checks a statement against what it must be bound to.
///
/// `verify` says whether a signature over some bytes is that of the bond's server key.
pub fn open(
    signed: Option<&Signed>,
    bond: Bond,
    verify: impl FnOnce(&[u8], &[u8]) -> bool,
) -> Result<Believed, StatementError> {
    let (nonce, believed) = recall(signed, bond.server_key, bond.host, verify)?;
    if nonce == bond.nonce { Ok(believed) } else { Err(StatementError::Nonce) }
}

/// Checks a statement that answered some question of the past; says which nonce it repeats.
pub fn recall(
    signed: Option<&Signed>,
    server_key: ServerKey,
    host: HostKey,
    verify: impl FnOnce(&[u8], &[u8]) -> bool,
) -> Result<(Nonce, Believed), StatementError> {
    let signed = signed.filter(|signed| signed.statement.len() <= MAX_STATEMENT_BYTES);
    let signed = signed.ok_or(StatementError::Malformed)?;
    if !verify(&signed_bytes(&signed.statement), &signed.signature) {
        return Err(StatementError::Signature);
    }
    let statement =
        Statement::decode(signed.statement.as_slice()).map_err(|_| StatementError::Malformed)?;
    if statement.server_key != server_key.0 {
        return Err(StatementError::ServerKey);
    }
    if statement.host != host.0 {
        return Err(StatementError::Host);
    }
    let nonce = statement.nonce.as_slice().try_into().map_err(|_| StatementError::Nonce)?;
    let session = match statement.session.as_slice() {
        [] => None,
        bytes => Some(SessionId(bytes.try_into().map_err(|_| StatementError::Malformed)?)),
    };
    let content = statement.content.ok_or(StatementError::Malformed)?;
    Ok((Nonce(nonce), Believed { session, content }))
}
