//! What a server signs: every answer, bound to its question's nonce and to the server's key.

use prost::Message;
use thiserror::Error;
use ve_core::id::{Nonce, ServerKey, SessionId};

use crate::{
    limits::MAX_STATEMENT_BYTES,
    proto::{Signed, Statement, statement::Content},
};

/// Stands before a statement where it is signed, so that no other signature of the key fits here.
const DOMAIN: &[u8; 25] = b"ve-license statement v1\0\0";

/// What a signature is made over.
pub fn signed_bytes(statement: &[u8]) -> Vec<u8> {
    [DOMAIN.as_slice(), statement].concat()
}

/// Makes a statement and lets `sign` sign it.
pub fn seal(
    nonce: Nonce,
    server_key: ServerKey,
    session: Option<SessionId>,
    content: Content,
    sign: impl FnOnce(&[u8]) -> [u8; 64],
) -> Signed {
    let statement = Statement {
        nonce: nonce.0.to_vec(),
        server_key: server_key.0.to_vec(),
        session: session.map_or_else(Vec::new, |session| session.0.to_vec()),
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
}

/// A statement whose signature, nonce and server key were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Believed {
    /// The session that is meant.
    pub session: Option<SessionId>,
    /// What is stated.
    pub content: Content,
}

/// Checks a statement against the key of the server's TLS certificate and the nonce that it must
/// repeat.
///
/// `verify` says whether a signature over some bytes is that key's.
pub fn open(
    signed: Option<&Signed>,
    nonce: Nonce,
    server_key: ServerKey,
    verify: impl FnOnce(&[u8], &[u8]) -> bool,
) -> Result<Believed, StatementError> {
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
    if statement.nonce != nonce.0 {
        return Err(StatementError::Nonce);
    }
    let session = match statement.session.as_slice() {
        [] => None,
        bytes => Some(SessionId(bytes.try_into().map_err(|_| StatementError::Malformed)?)),
    };
    Ok(Believed { session, content: statement.content.ok_or(StatementError::Malformed)? })
}
