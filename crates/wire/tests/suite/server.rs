//! A server's key, and what it signs.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use prost::Message;
use ve_core::id::{HostKey, Nonce, ServerKey, SessionId};
use ve_wire::{
    proto::{Signed, Statement, statement::Content},
    statement::{Bond, seal, signed_bytes},
};

pub(crate) const NONCE: Nonce = Nonce([5; 32]);
pub(crate) const SESSION: SessionId = SessionId([7; 16]);
pub(crate) const HOST: HostKey = HostKey([9; 32]);

/// A server with the key of this number.
pub(crate) struct Server(Ed25519KeyPair);

impl Server {
    pub(crate) fn number(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a seed"))
    }

    pub(crate) fn key(&self) -> ServerKey {
        ServerKey(self.0.public_key().as_ref().try_into().expect("32 bytes"))
    }

    /// What binds the server's words to [`NONCE`] and [`HOST`].
    pub(crate) fn bond(&self) -> Bond {
        Bond { nonce: NONCE, server_key: self.key(), host: HOST }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).as_ref().try_into().expect("64 bytes")
    }

    pub(crate) fn seal(&self, session: Option<SessionId>, content: Content) -> Signed {
        seal(self.bond(), session, content, |message| self.sign(message))
    }

    /// Signs whatever it is given.
    pub(crate) fn sign_statement(&self, statement: &Statement) -> Signed {
        self.sign_bytes(statement.encode_to_vec())
    }

    pub(crate) fn sign_bytes(&self, statement: Vec<u8>) -> Signed {
        let signature = self.sign(&signed_bytes(&statement)).to_vec();
        Signed { statement, signature }
    }

    /// Whether a signature is this server's.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.key().0).verify(message, signature).is_ok()
    }
}
