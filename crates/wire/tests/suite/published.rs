//! What the published pages say is what the code does.

use std::{fs, path::PathBuf};

use ve_core::{
    node::peer::{MAX_CHANGES, MAX_PRESENCES, WINDOW},
    reason::ReasonCode,
    registry::changes::MAX_SPANS,
    text::MAX_NAME_BYTES,
};
use ve_wire::limits;

fn read(path: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A page with its lines joined and numbers without separators, so that sentences can be found.
fn flat(path: &str) -> String {
    let words: Vec<String> = read(path)
        .split_whitespace()
        .filter(|word| *word != "//")
        .map(|word| {
            if word.starts_with(|c: char| c.is_ascii_digit()) {
                word.replace(',', "")
            } else {
                word.into()
            }
        })
        .collect();
    words.join(" ")
}

#[test]
fn the_proto_states_the_limits_that_are_kept() {
    let proto = flat("proto/ve_license.proto");
    for sentence in [
        format!("A client's message has 1 to {} bytes", limits::MAX_CLIENT_MESSAGE_BYTES),
        format!("a server's 1 to {}.", limits::MAX_SERVER_MESSAGE_BYTES),
        format!("1 to {MAX_NAME_BYTES} bytes"),
        format!("1 to {} protocol versions that the client speaks", limits::MAX_VERSIONS),
        format!("0 to {} compact JWS", limits::MAX_CREDENTIALS),
        format!("at most {} bytes each", limits::MAX_CREDENTIAL_BYTES),
        format!("at most {} bytes bytes signature", limits::MAX_STATEMENT_BYTES),
        format!("at most {} bytes, for a person", limits::MAX_SENTENCE_BYTES),
        format!("0 to {} earlier grants", limits::MAX_WITNESSES),
        format!("a statement of at most {} bytes", limits::MAX_WITNESS_BYTES),
        format!("1 to {} compact JWS", limits::MAX_CREDENTIALS),
        format!("0 to {} receipts", limits::MAX_RECEIPTS),
        format!("of at most {} bytes each", limits::MAX_RECEIPT_BYTES),
        format!("bytes document = 2; 1 to {}", limits::MAX_IDENTITY_DOCUMENT_BYTES),
        format!("bytes signature = 3; 1 to {}", limits::MAX_IDENTITY_SIGNATURE_BYTES),
        format!("Messages of both sides have at most {}", limits::MAX_PEER_MESSAGE_BYTES),
        format!("0 to {} (the end of the year 9999)", limits::MAX_UTC_SECONDS),
        format!("numbers of changes at most 2^{}.", limits::MAX_CHANGE_NUMBER.ilog2()),
        format!("1 to 2^{} uint32 state", limits::MAX_REVISION.ilog2()),
        format!("1 to {MAX_SPANS}: the sender's own"),
        format!("At most {WINDOW} of these are on their way"),
        format!("0 to {MAX_CHANGES} in the order of their numbers"),
        format!("0 to {MAX_PRESENCES} present and gone together"),
    ] {
        assert!(proto.contains(&sentence), "the .proto doesn't say: {sentence}");
    }
}

#[test]
fn the_page_states_the_limits_that_are_kept() {
    let page = flat("../../docs/protocol.md");
    let hello_seconds = limits::HELLO_TIMEOUT_MS / 1_000;
    for sentence in [
        format!("A client's message has 1 to {} bytes", limits::MAX_CLIENT_MESSAGE_BYTES),
        format!("a server's 1 to {}.", limits::MAX_SERVER_MESSAGE_BYTES),
        format!("TLS and the hellos must be over within {hello_seconds} seconds."),
        format!("ALPN: `{}`", String::from_utf8_lossy(limits::ALPN)),
        format!("at most {} bytes of certificates", limits::MAX_CERTIFICATES_BYTES),
        format!("Version {} spoken inside TLS 1.3", limits::VERSIONS[0]),
        format!("at most {} of them", limits::MAX_WITNESSES),
        format!("a statement of at most {} bytes", limits::MAX_WITNESS_BYTES),
    ] {
        assert!(page.contains(&sentence), "the page doesn't say: {sentence}");
    }
}

#[test]
fn the_page_lists_every_reason_code_and_no_other() {
    let page = read("../../docs/protocol.md");
    let section = page.split("## 9. Reason codes").nth(1).expect("section 9");
    let list = section.split("\n\n").nth(1).expect("the list");
    let listed: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    let known: Vec<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(listed, known);
}

/// What is allowed inside a message fits into one.
const _: () = {
    let credentials = limits::MAX_CREDENTIALS * (limits::MAX_CREDENTIAL_BYTES + 4);
    assert!(credentials + 1_024 <= limits::MAX_SERVER_MESSAGE_BYTES);
    assert!(limits::MAX_STATEMENT_BYTES + 1_024 <= limits::MAX_SERVER_MESSAGE_BYTES);
    let witnesses = limits::MAX_WITNESSES * (limits::MAX_WITNESS_BYTES + 128);
    let texts = 5 * (MAX_NAME_BYTES + 4);
    let receipts = limits::MAX_RECEIPTS * (limits::MAX_RECEIPT_BYTES + 4);
    let identity = limits::MAX_IDENTITY_DOCUMENT_BYTES + limits::MAX_IDENTITY_SIGNATURE_BYTES;
    let facts = receipts + identity + MAX_NAME_BYTES + 128;
    assert!(witnesses + texts + facts + 1_024 <= limits::MAX_CLIENT_MESSAGE_BYTES);
};
