//! Statements: only what the right key signed for the right question is believed.

use proptest::{collection::vec, prelude::*, sample::Index};
use prost::Message;
use ve_core::id::{HostKey, Nonce};
use ve_wire::{
    proto::{LoggedOut, Signed, Statement, statement::Content},
    statement::{Believed, Bond, StatementError, open, recall},
};

use crate::server::{HOST, NONCE, SESSION, Server};

const CONTENT: Content = Content::LoggedOut(LoggedOut {});

/// What a client believes that talks to this server and has asked with [`NONCE`].
fn opened(server: &Server, signed: Option<&Signed>) -> Result<Believed, StatementError> {
    open(signed, server.bond(), |message, signature| server.verifies(message, signature))
}

#[test]
fn what_is_sealed_is_believed() {
    let server = Server::number(1);
    for session in [None, Some(SESSION)] {
        let believed = opened(&server, Some(&server.seal(session, CONTENT)));
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
        host: HOST.0.to_vec(),
        content: Some(CONTENT),
    };
    let refused = |signed: &Signed| opened(&server, Some(signed)).expect_err("not believed");
    let changed = |change: fn(&mut Statement)| {
        let mut statement = good.clone();
        change(&mut statement);
        refused(&server.sign_statement(&statement))
    };
    assert_eq!(opened(&server, None), Err(StatementError::Malformed));
    assert_eq!(refused(&Signed::default()), StatementError::Signature);
    assert_eq!(refused(&other.sign_statement(&good)), StatementError::Signature);
    assert_eq!(refused(&other.seal(None, CONTENT)), StatementError::Signature);
    assert_eq!(changed(|statement| statement.nonce = vec![6; 32]), StatementError::Nonce);
    assert_eq!(changed(|statement| statement.nonce.truncate(31)), StatementError::Nonce);
    assert_eq!(changed(|statement| statement.server_key = vec![1; 32]), StatementError::ServerKey);
    assert_eq!(changed(|statement| statement.host = vec![8; 32]), StatementError::Host);
    assert_eq!(changed(|statement| statement.host.clear()), StatementError::Host);
    assert_eq!(changed(|statement| statement.session = vec![1; 15]), StatementError::Malformed);
    assert_eq!(changed(|statement| statement.content = None), StatementError::Malformed);
    assert_eq!(refused(&server.sign_bytes(vec![0xff; 9])), StatementError::Malformed);
    let too_long = server.sign_bytes([good.encode_to_vec(), vec![0; 8_192]].concat());
    assert_eq!(refused(&too_long), StatementError::Malformed);
    // The same bytes signed for another purpose.
    let mut elsewhere = server.seal(None, CONTENT);
    elsewhere.signature = server.sign(&elsewhere.statement).to_vec();
    assert_eq!(refused(&elsewhere), StatementError::Signature);
}

#[test]
fn what_was_said_once_is_recalled_whatever_the_question_was() {
    let (server, other) = (Server::number(1), Server::number(2));
    let signed = server.seal(Some(SESSION), CONTENT);
    let recalled = |server_key, host| {
        recall(Some(&signed), server_key, host, |message, signature| {
            server.verifies(message, signature)
        })
    };
    let believed = Believed { session: Some(SESSION), content: CONTENT };
    assert_eq!(recalled(server.key(), HOST), Ok((NONCE, believed)));
    assert_eq!(recalled(other.key(), HOST), Err(StatementError::ServerKey));
    assert_eq!(recalled(server.key(), HostKey([8; 32])), Err(StatementError::Host));
    // As an answer it is worth nothing to another question.
    let bond = Bond { nonce: Nonce([6; 32]), ..server.bond() };
    let answer = open(Some(&signed), bond, |_, _| true);
    assert_eq!(answer, Err(StatementError::Nonce));
    let nobody = recall(Some(&signed), server.key(), HOST, |_, _| false);
    assert_eq!(nobody, Err(StatementError::Signature));
}

proptest! {
    #[test]
    fn one_changed_bit_is_enough(at in any::<Index>(), bit in 0..8_u8) {
        let server = Server::number(1);
        let mut signed = server.seal(Some(SESSION), CONTENT);
        let length = signed.statement.len();
        let at = at.index(length + signed.signature.len());
        let byte = match at.checked_sub(length) {
            None => &mut signed.statement[at],
            Some(at) => &mut signed.signature[at],
        };
        *byte ^= 1 << bit;
        prop_assert_eq!(opened(&server, Some(&signed)), Err(StatementError::Signature));
    }

    #[test]
    fn whatever_a_server_signs_never_panics(statement in vec(any::<u8>(), 0..300)) {
        let server = Server::number(1);
        let outcome = opened(&server, Some(&server.sign_bytes(statement)));
        prop_assert!(outcome.is_err(), "{:?}", outcome);
    }
}
