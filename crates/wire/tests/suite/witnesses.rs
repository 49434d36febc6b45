//! Earlier grants, shown to a server: it believes what its own key signed for this very host.

use proptest::{collection::vec, prelude::*};
use prost::Message;
use ve_core::{
    grant::{Grant, Marks, Witness},
    id::{HostKey, SessionId},
    license::Verified,
    reason::ReasonCode,
    text::MAX_NAME_BYTES,
    time::{MAX_DURATION_MS, Utc},
};
use ve_wire::{
    convert,
    limits::{MAX_CLIENT_MESSAGE_BYTES, MAX_WITNESS_BYTES, MAX_WITNESSES},
    proto::{self, ClientMessage, LoggedOut, Signed, client_message::Kind, statement::Content},
    witness,
};

use crate::server::{HOST, SESSION, Server};

const MARKS: Marks = Marks {
    license_version: 7,
    time: Utc(1_700_000_000),
    ledger_position: 77,
    hours_used_ms: 3_600_000,
};

/// A grant with every text and number as long as it may be.
fn longest() -> Grant {
    let name = || "x".repeat(MAX_NAME_BYTES).parse().expect("a name");
    Grant {
        home: Some("01.00000001.002.044".parse().expect("an ID")),
        receipt: None,
        session: SESSION,
        license_id: "01.00000001.002.044".parse().expect("an ID"),
        customer: name(),
        product_code: name(),
        virtual_hardware: name(),
        instances: u32::MAX,
        max_cpu: u32::MAX,
        max_memory_mb: u64::MAX,
        major: u32::MAX,
        minor: u32::MAX,
        expires: Some(Utc(i64::MIN)),
        remaining_ms: Some(u64::MAX),
        grace_ms: MAX_DURATION_MS,
        check_interval_ms: MAX_DURATION_MS,
        lease_ms: 2 * MAX_DURATION_MS,
        marks: MARKS,
    }
}

fn granted() -> Content {
    Content::Grant(convert::grant_message(&longest()))
}

/// What `server` makes of a statement that `host` shows.
fn read(server: &Server, host: HostKey, signed: &Signed) -> Option<Verified<Witness>> {
    witness::read(signed, server.key(), host, |message, signature| {
        server.verifies(message, signature)
    })
}

#[test]
fn an_own_grant_for_this_host_is_believed() {
    let server = Server::number(1);
    for session in [Some(SESSION), None] {
        let found = read(&server, HOST, &server.seal(session, granted())).expect("a witness");
        let expected = Witness {
            session: session.unwrap_or(SessionId([0; SessionId::LENGTH])),
            license_id: longest().license_id,
            lease_ms: longest().lease_ms,
            marks: MARKS,
        };
        assert_eq!(*found, expected);
    }
}

#[test]
fn anything_else_proves_nothing() {
    let (server, other) = (Server::number(1), Server::number(2));
    let refusal = || proto::Refusal { code: "instance-limit".into(), sentence: String::new() };
    let without_marks = proto::Grant { marks: None, ..convert::grant_message(&longest()) };
    let mut forged = server.seal(Some(SESSION), granted());
    forged.statement[40] ^= 1;
    let mut unsigned = server.seal(Some(SESSION), granted());
    unsigned.signature.clear();
    // Another server's words, signed by this one: it never does that, so nobody may rely on it.
    let mut of_another = other.bond();
    of_another.server_key = other.key();
    let borrowed = ve_wire::statement::seal(of_another, Some(SESSION), granted(), |message| {
        server.sign(message)
    });
    for (what, signed) in [
        ("a changed bit", forged),
        ("no signature", unsigned),
        ("another server's", other.seal(Some(SESSION), granted())),
        ("another server's key in it", borrowed),
        ("a refusal", server.seal(None, Content::Refusal(refusal()))),
        ("a revocation", server.seal(Some(SESSION), Content::Revoked(refusal()))),
        ("a logout", server.seal(Some(SESSION), Content::LoggedOut(LoggedOut {}))),
        ("a grant without marks", server.seal(Some(SESSION), Content::Grant(without_marks))),
        ("a grant of nothing", server.seal(Some(SESSION), Content::Grant(proto::Grant::default()))),
        ("signed garbage", server.sign_bytes(vec![0xff; 9])),
        ("nothing", Signed::default()),
    ] {
        assert_eq!(read(&server, HOST, &signed), None, "{what}");
    }
    let copied = server.seal(Some(SESSION), granted());
    assert_eq!(read(&server, HostKey([8; 32]), &copied), None, "another host's");
}

#[test]
fn a_login_shows_few_and_short_ones() {
    let server = Server::number(1);
    let login = |witnesses: Vec<Signed>| proto::Login {
        product: "x".repeat(MAX_NAME_BYTES),
        version: "5.2".into(),
        virtual_hardware: "x".repeat(MAX_NAME_BYTES),
        passphrase: "x".repeat(MAX_NAME_BYTES),
        emulator: "x".repeat(MAX_NAME_BYTES),
        cpus: 1,
        memory_mb: 1,
        run: vec![1; 16],
        session: vec![1; 16],
        nonce: vec![1; 32],
        witnesses,
        facts: Some(convert::facts_message(&crate::facts::longest())),
        ..proto::Login::default()
    };
    let grant = server.seal(Some(SESSION), granted());
    assert!(grant.statement.len() <= MAX_WITNESS_BYTES, "{}", grant.statement.len());
    let of_length = |bytes: usize| Signed { statement: vec![0; bytes], signature: vec![0; 64] };
    for (witnesses, fits) in [
        (vec![grant.clone(); MAX_WITNESSES], true),
        (vec![grant.clone(); MAX_WITNESSES + 1], false),
        (vec![of_length(MAX_WITNESS_BYTES); MAX_WITNESSES], true),
        (vec![grant, of_length(MAX_WITNESS_BYTES + 1)], false),
    ] {
        let message = login(witnesses);
        match convert::login(&message) {
            Ok(login) => {
                assert!(fits);
                assert!(login.witnesses.is_empty(), "nobody has checked a signature yet");
                let length = ClientMessage { kind: Some(Kind::Login(message)) }.encoded_len();
                assert!(length <= MAX_CLIENT_MESSAGE_BYTES, "{length}");
            }
            Err(refusal) => {
                assert!(!fits, "{refusal}");
                assert_eq!(refusal.code, ReasonCode::BadRequest);
                assert!(refusal.sentence.contains("witnesses"), "{refusal}");
            }
        }
    }
}

#[test]
fn what_is_kept_comes_back_byte_for_byte() {
    let kept = Server::number(1).seal(Some(SESSION), granted());
    let bytes = witness::encode(&kept);
    assert_eq!(witness::decode(&bytes), Some(kept));
    assert_eq!(witness::decode(&bytes[..bytes.len() - 1]), None, "half a file");
    let of_length = |bytes| Signed { statement: vec![0; bytes], signature: vec![] };
    for (length, is_one) in [(MAX_WITNESS_BYTES, true), (MAX_WITNESS_BYTES + 1, false)] {
        let found = witness::decode(&witness::encode(&of_length(length)));
        assert_eq!(found.is_some(), is_one, "{length}");
    }
}

proptest! {
    #[test]
    fn whatever_was_signed_never_panics(statement in vec(any::<u8>(), 0..300)) {
        let server = Server::number(1);
        prop_assert_eq!(read(&server, HOST, &server.sign_bytes(statement)), None);
    }

    #[test]
    fn whatever_is_shown_never_panics(
        statement in vec(any::<u8>(), 0..300),
        signature in vec(any::<u8>(), 0..80),
    ) {
        prop_assert_eq!(read(&Server::number(1), HOST, &Signed { statement, signature }), None);
    }
}
