//! The messages of `ve_license.proto`, by the numbers of their fields.

#![allow(dead_code, reason = "every test binary uses its own part")]

use super::protobuf::{Fields, Message};

pub(crate) type Nonce = [u8; 32];
pub(crate) type Session = Vec<u8>;

/// Fresh random bytes.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
    bytes
}

fn client_message(kind: u64, content: &Message) -> Vec<u8> {
    Message::default().message(kind, &content.0).0
}

pub(crate) fn hello(versions: &[u32], nonce: &[u8], software: &str) -> Vec<u8> {
    let hello = Message::default().packed(1, versions).bytes(2, nonce);
    client_message(1, &hello.bytes(3, software.as_bytes()))
}

/// A login, with a client's usual values.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) product: String,
    pub(crate) version: String,
    pub(crate) hardware: String,
    pub(crate) cpus: u64,
    pub(crate) memory_mb: u64,
    pub(crate) passphrase: String,
    pub(crate) emulator: String,
    pub(crate) session: Session,
    pub(crate) run: Vec<u8>,
    pub(crate) probe: bool,
    pub(crate) witnesses: Vec<Signed>,
}

impl Login {
    pub(crate) fn of(emulator: &str) -> Self {
        Self {
            product: "Charon-SSP".into(),
            version: "5.2.1".into(),
            hardware: "Charon-SSP/4M".into(),
            cpus: 2,
            memory_mb: 512,
            passphrase: String::new(),
            emulator: emulator.into(),
            session: Vec::new(),
            run: random::<16>().to_vec(),
            probe: false,
            witnesses: Vec::new(),
        }
    }

    /// The same with something changed.
    pub(crate) fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut login = self.clone();
        change(&mut login);
        login
    }

    /// The same that comes back to a session.
    pub(crate) fn resume(&self, session: &[u8]) -> Self {
        self.with(|login| login.session = session.to_vec())
    }

    pub(crate) fn message(&self, request: u64, nonce: &[u8]) -> Vec<u8> {
        let login = Message::default()
            .number(1, request)
            .bytes(2, nonce)
            .bytes(3, self.product.as_bytes())
            .bytes(4, self.version.as_bytes())
            .bytes(5, self.hardware.as_bytes())
            .number(6, self.cpus)
            .number(7, self.memory_mb)
            .bytes(8, self.passphrase.as_bytes())
            .bytes(9, self.emulator.as_bytes())
            .bytes(10, &self.session)
            .bytes(11, &self.run)
            .number(12, self.probe.into());
        let login = self.witnesses.iter().fold(login, |login, witness| {
            let signed = Message::default().bytes(1, &witness.statement);
            login.message(13, &signed.bytes(2, &witness.signature).0)
        });
        client_message(2, &login)
    }
}

pub(crate) fn check(request: u64, nonce: &[u8], session: &[u8]) -> Vec<u8> {
    client_message(3, &Message::default().number(1, request).bytes(2, nonce).bytes(3, session))
}

pub(crate) fn logout(request: u64, nonce: &[u8], session: &[u8]) -> Vec<u8> {
    client_message(4, &Message::default().number(1, request).bytes(2, nonce).bytes(3, session))
}

pub(crate) fn heartbeat() -> Vec<u8> {
    client_message(5, &Message::default())
}

pub(crate) fn pong(session: &[u8], runs: bool) -> Vec<u8> {
    client_message(6, &Message::default().bytes(1, session).number(2, runs.into()))
}

/// What a server says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    Hello(ServerHello),
    Answer { request: u64, signed: Signed },
    Revoked(Signed),
    Ping(Session),
    Heartbeat,
    Closing,
    Goodbye(Refusal),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServerHello {
    pub(crate) version: u32,
    pub(crate) versions: Vec<u32>,
    pub(crate) credentials: Vec<String>,
    pub(crate) software: String,
    pub(crate) heartbeat_interval_ms: u32,
    pub(crate) heartbeat_timeout_ms: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signed {
    pub(crate) statement: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    pub(crate) nonce: Vec<u8>,
    pub(crate) server_key: Vec<u8>,
    pub(crate) session: Session,
    pub(crate) host: Vec<u8>,
    pub(crate) content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Grant(Grant),
    Refusal(Refusal),
    LoggedOut,
    Revoked(Refusal),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grant {
    pub(crate) license_id: String,
    pub(crate) customer: String,
    pub(crate) product_code: String,
    pub(crate) hardware: String,
    pub(crate) instances: u32,
    pub(crate) max_cpu: u32,
    pub(crate) max_memory_mb: u64,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) expires: Option<u64>,
    pub(crate) remaining_ms: Option<u64>,
    pub(crate) grace_ms: u64,
    pub(crate) check_interval_ms: u64,
    pub(crate) lease_ms: u64,
    pub(crate) marks: Marks,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Marks {
    pub(crate) license_version: u32,
    pub(crate) time: u64,
    pub(crate) ledger_position: u64,
    pub(crate) hours_used_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) sentence: String,
}

/// Reads a message of the server's. What the `.proto` does not name fails the test.
pub(crate) fn said(bytes: &[u8]) -> Said {
    let (kind, content) = Fields::parse(bytes).one();
    let mut fields = Fields::parse(&content);
    let said = match kind {
        1 => Said::Hello(ServerHello {
            version: fields.small(1),
            versions: fields.packed(2),
            credentials: fields.texts(3),
            software: fields.text(4),
            heartbeat_interval_ms: fields.small(5),
            heartbeat_timeout_ms: fields.small(6),
        }),
        2 => Said::Answer { request: fields.number(1), signed: signed(&fields.bytes(2)) },
        3 => Said::Revoked(signed(&fields.bytes(1))),
        4 => Said::Ping(fields.bytes(1)),
        5 => Said::Heartbeat,
        6 => Said::Closing,
        7 => Said::Goodbye(refusal(&fields.bytes(1))),
        other => panic!("a message of kind {other}"),
    };
    fields.end();
    said
}

fn signed(bytes: &[u8]) -> Signed {
    let mut fields = Fields::parse(bytes);
    let signed = Signed { statement: fields.bytes(1), signature: fields.bytes(2) };
    fields.end();
    signed
}

pub(crate) fn statement(bytes: &[u8]) -> Statement {
    let mut fields = Fields::parse(bytes);
    let (nonce, server_key, session) = (fields.bytes(1), fields.bytes(2), fields.bytes(3));
    let kinds = [4, 5, 6, 7].map(|kind| fields.optional_bytes(kind));
    let host = fields.bytes(8);
    fields.end();
    let content = match kinds {
        [Some(bytes), None, None, None] => Content::Grant(grant(&bytes)),
        [None, Some(bytes), None, None] => Content::Refusal(refusal(&bytes)),
        [None, None, Some(bytes), None] => {
            assert_eq!(bytes, [0_u8; 0], "LoggedOut has no fields");
            Content::LoggedOut
        }
        [None, None, None, Some(bytes)] => Content::Revoked(refusal(&bytes)),
        other => panic!("not one content: {other:?}"),
    };
    Statement { nonce, server_key, session, host, content }
}

fn refusal(bytes: &[u8]) -> Refusal {
    let mut fields = Fields::parse(bytes);
    let refusal = Refusal { code: fields.text(1), sentence: fields.text(2) };
    fields.end();
    refusal
}

fn grant(bytes: &[u8]) -> Grant {
    let mut fields = Fields::parse(bytes);
    let grant = Grant {
        license_id: fields.text(1),
        customer: fields.text(2),
        product_code: fields.text(3),
        hardware: fields.text(4),
        instances: fields.small(5),
        max_cpu: fields.small(6),
        max_memory_mb: fields.number(7),
        major: fields.small(8),
        minor: fields.small(9),
        expires: fields.optional_number(10),
        remaining_ms: fields.optional_number(11),
        grace_ms: fields.number(12),
        check_interval_ms: fields.number(13),
        lease_ms: fields.number(14),
        marks: marks(&fields.bytes(15)),
    };
    fields.end();
    grant
}

fn marks(bytes: &[u8]) -> Marks {
    let mut fields = Fields::parse(bytes);
    let marks = Marks {
        license_version: fields.small(1),
        time: fields.number(2),
        ledger_position: fields.number(3),
        hours_used_ms: fields.number(4),
    };
    fields.end();
    marks
}
