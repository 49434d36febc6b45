//! Statements: only what the right key signed for the right question is believed.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use proptest::{collection::vec, prelude::*, sample::Index};
use prost::Message;
use ve_core::id::{Nonce, ServerKey, SessionId};
use ve_wire::{
    proto::{LoggedOut, Signed, Statement, statement::Content},
    statement::{Believed, StatementError, open, seal, signed_bytes},
};

const NONCE: Nonce = Nonce([5; 32]);
const SESSION: SessionId = SessionId([7; 16]);
const CONTENT: Content = Content::LoggedOut(LoggedOut {});

/// A server with the key of this number.
struct Server(Ed25519KeyPair);

impl Server {
    fn number(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a seed"))
    }

    fn key(&self) -> ServerKey {
        ServerKey(self.0.public_key().as_ref().try_into().expect("32 bytes"))
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).as_ref().try_into().expect("64 bytes")
    }

    fn seal(&self, session: Option<SessionId>) -> Signed {
        seal(NONCE, self.key(), session, CONTENT, |message| self.sign(message))
    }

    /// Signs whatever it is given.
    fn sign_statement(&self, statement: &Statement) -> Signed {
        self.sign_bytes(statement.encode_to_vec())
    }

    fn sign_bytes(&self, statement: Vec<u8>) -> Signed {
        let signature = self.sign(&signed_bytes(&statement)).to_vec();
        Signed { statement, signature }
    }

    /// What a client that talks to this server believes.
    fn open(&self, signed: Option<&Signed>) -> Result<Believed, StatementError> {
        open(signed, NONCE, self.key(), |message, signature| {
            UnparsedPublicKey::new(&ED25519, self.key().0).verify(message, signature).is_ok()
        })
    }
}

#[test]
fn what_is_sealed_is_believed() {
    let server = Server::number(1);
    for session in [None, Some(SESSION)] {
        let believed = server.open(Some(&server.seal(session)));
        assert_eq!(believed, Ok(Believed { session, content: CONTENT }));
    }
}

#[test]
fn what_is_not_meant_is_not_believed() {
    let (server, other) = (Server::number(1), Server::number(2));
    let good = Statement {
        nonce: NONCE.0.to_vec(),
        server_key: server.key().0.to_vec(),
        session: SESSION.0.to_vec(),
        content: Some(CONTENT),
    };
    let refused = |signed: &Signed| server.open(Some(signed)).expect_err("not believed");
    let changed = |change: fn(&mut Statement)| {
        let mut statement = good.clone();
        change(&mut statement);
        refused(&server.sign_statement(&statement))
    };
    assert_eq!(server.open(None), Err(StatementError::Malformed));
    assert_eq!(refused(&Signed::default()), StatementError::Signature);
    assert_eq!(refused(&other.sign_statement(&good)), StatementError::Signature);
    assert_eq!(refused(&other.seal(None)), StatementError::Signature);
    assert_eq!(changed(|statement| statement.nonce = vec![6; 32]), StatementError::Nonce);
    assert_eq!(changed(|statement| statement.nonce.truncate(31)), StatementError::Nonce);
    assert_eq!(changed(|statement| statement.server_key = vec![1; 32]), StatementError::ServerKey);
    assert_eq!(changed(|statement| statement.session = vec![1; 15]), StatementError::Malformed);
    assert_eq!(changed(|statement| statement.content = None), StatementError::Malformed);
    assert_eq!(refused(&server.sign_bytes(vec![0xff; 9])), StatementError::Malformed);
    let too_long = server.sign_bytes([good.encode_to_vec(), vec![0; 8_192]].concat());
    assert_eq!(refused(&too_long), StatementError::Malformed);
    // The same bytes signed for another purpose.
    let mut elsewhere = server.seal(None);
    elsewhere.signature = server.sign(&elsewhere.statement).to_vec();
    assert_eq!(refused(&elsewhere), StatementError::Signature);
}

proptest! {
    #[test]
    fn one_changed_bit_is_enough(at in any::<Index>(), bit in 0..8_u8) {
        let server = Server::number(1);
        let mut signed = server.seal(Some(SESSION));
        let length = signed.statement.len();
        let at = at.index(length + signed.signature.len());
        let byte = match at.checked_sub(length) {
            None => &mut signed.statement[at],
            Some(at) => &mut signed.signature[at],
        };
        *byte ^= 1 << bit;
        prop_assert_eq!(server.open(Some(&signed)), Err(StatementError::Signature));
    }

    #[test]
    fn whatever_a_server_signs_never_panics(statement in vec(any::<u8>(), 0..300)) {
        let server = Server::number(1);
        let outcome = server.open(Some(&server.sign_bytes(statement)));
        prop_assert!(outcome.is_err(), "{:?}", outcome);
    }
}
