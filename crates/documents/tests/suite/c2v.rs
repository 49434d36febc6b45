//! C2V: what is accepted, and the error of everything that is not.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use ve_documents::{
    c2v::{self, C2vError},
    files::MAX_DOCUMENT_BYTES,
    jws::JwsError,
    keys::SigningKey,
    v2c,
};

use crate::{
    forge::{self, part, signed, with_payload, with_text},
    samples,
};

static SERVER: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate);
static DOCUMENT: LazyLock<String> = LazyLock::new(|| c2v::sign(&samples::c2v(&SERVER), &SERVER));

fn refusal(document: &str) -> C2vError {
    c2v::verify(document).expect_err("must be refused")
}

proptest! {
    #[test]
    fn any_c2v_survives_the_journey(c2v in samples::any_c2v(&SERVER)) {
        let document = c2v::sign(&c2v, &SERVER);
        prop_assert_eq!(&c2v::verify(&document).unwrap(), &c2v);
        prop_assert_eq!(&c2v::verify(&format!("{document}\n")).unwrap(), &c2v);
        prop_assert_eq!(&c2v::read_unverified(&document).unwrap(), &c2v);
    }

    #[test]
    fn one_changed_byte_is_refused(changed in forge::any_byte_changed(&DOCUMENT)) {
        prop_assert!(c2v::verify(&changed).is_err());
    }

    #[test]
    fn any_text_is_refused_without_a_panic(text in ".*") {
        prop_assert!(c2v::verify(&text).is_err());
    }
}

#[test]
fn every_changed_bit_is_refused() {
    for changed in forge::every_bit_flipped(&DOCUMENT) {
        assert!(c2v::verify(&changed).is_err(), "{changed}");
    }
}

#[test]
fn what_is_no_document_says_so() {
    for (text, expected) in forge::no_documents(&DOCUMENT) {
        let message = refusal(&text).to_string();
        assert!(message.contains(expected), "{text:?} got: {message}");
    }
    let long = "A".repeat(MAX_DOCUMENT_BYTES + 1);
    assert_eq!(
        refusal(&long),
        C2vError::Document(JwsError::TooLarge { limit: MAX_DOCUMENT_BYTES })
    );
}

#[test]
fn only_the_one_header_is_accepted() {
    for (header, expected) in forge::wrong_headers(&part(&DOCUMENT, 0), "jwk") {
        let message = refusal(&signed(&header, &part(&DOCUMENT, 1), &SERVER)).to_string();
        assert!(message.contains(expected), "{header} got: {message}");
    }
}

#[test]
fn only_the_one_form_of_a_key_is_accepted() {
    let header = serde_json::from_str::<Value>(&part(&DOCUMENT, 0)).unwrap();
    let x = header["jwk"]["x"].as_str().unwrap();
    for (jwk, expected) in [
        (json!({"kty": "EC", "crv": "Ed25519", "x": x}), "jwk.kty: only OKP is accepted"),
        (json!({"kty": "OKP", "crv": "X25519", "x": x}), "jwk.crv: only Ed25519 is accepted"),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": format!("{x}=")}),
            "jwk.x: expected 32 bytes in base64url",
        ),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": &x[..40]}),
            "jwk.x: expected 32 bytes in base64url",
        ),
        (json!({"kty": "OKP", "crv": "Ed25519"}), "jwk.x is missing"),
        (json!({"kty": "OKP", "crv": "Ed25519", "x": x, "d": x}), "jwk.d is an unknown field"),
        (json!(x), "jwk: expected an object"),
    ] {
        let mut header = header.clone();
        header["jwk"] = jwk;
        let message =
            refusal(&signed(&header.to_string(), &part(&DOCUMENT, 1), &SERVER)).to_string();
        assert!(message.contains(expected), "expected {expected:?}, got: {message}");
    }
}

#[test]
fn a_key_speaks_for_itself_only() {
    // Another's C2V under one's own key and signature.
    let thief = SigningKey::generate();
    let header = part(&c2v::sign(&samples::c2v(&thief), &thief), 0);
    assert_eq!(refusal(&signed(&header, &part(&DOCUMENT, 1), &thief)), C2vError::ForeignKey);
    let forged = signed(&part(&DOCUMENT, 0), &part(&DOCUMENT, 1), &thief);
    assert_eq!(refusal(&forged), C2vError::Document(JwsError::BadSignature));
}

#[test]
fn a_document_of_another_kind_is_named() {
    let v2c = v2c::sign(&samples::license(&SERVER), &SERVER).unwrap();
    let message = refusal(&v2c).to_string();
    assert!(
        message.contains("it is a license (V2C), but a fingerprint file (C2V) is needed"),
        "{message}"
    );
}

#[test]
fn every_malformed_field_has_its_own_error() {
    let set = |name: &'static str, value: Value| {
        with_payload(&DOCUMENT, &SERVER, |payload| payload[name] = value)
    };
    let set_license = |name: &'static str, value: Value| {
        with_payload(&DOCUMENT, &SERVER, |payload| payload["licenses"][0][name] = value)
    };
    let replace = |from: &str, to: &str| with_text(&DOCUMENT, &SERVER, from, to);
    let twice = with_payload(&DOCUMENT, &SERVER, |payload| {
        let license = payload["licenses"][0].clone();
        payload["licenses"].as_array_mut().unwrap().push(license);
    });
    for (document, expected) in [
        (set("extra", json!(1)), "malformed: extra is an unknown field"),
        (set_license("extra", json!(1)), "malformed: licenses[0].extra is an unknown field"),
        (
            replace("\"cpu-cores\":", "\"cpu-cores\":\"\",\"cpu-cores\":"),
            "malformed: cpu-cores is given twice",
        ),
        (
            replace("\"created\":", "\"created\":1,\"created\":"),
            "malformed: created is given twice",
        ),
        (replace("\"platform\"", "\"platfoam\""), "malformed: platform is missing"),
        (set("platform", json!(1)), "malformed: platform: expected a text"),
        (
            set("unreadable", json!(["cpu-cores"])),
            "malformed: cpu-cores is both known and unreadable",
        ),
        (set("unreadable", json!(["nose"])), "malformed: unreadable[0]: expected one of"),
        (
            set("trusted_vendor_keys", json!(["x"])),
            "malformed: trusted_vendor_keys[0]: a key ID is",
        ),
        (
            set("trusted_vendor_keys", json!(vec!["x"; 17])),
            "malformed: trusted_vendor_keys: has more than 16",
        ),
        (set("licenses", json!({})), "malformed: licenses: expected a list"),
        (
            set_license("remaining_seconds", json!("1")),
            "malformed: licenses[0].remaining_seconds: expected a whole",
        ),
        (
            set_license("used_seconds", Value::Null),
            "malformed: licenses[0].used_seconds: expected a whole",
        ),
        (twice, "malformed: license 01.00000001.002.044 is given twice"),
        (set("software_version", json!("")), "malformed: software_version: is empty"),
        (set("created", json!(0)), "malformed: created: expected a text"),
    ] {
        let message = refusal(&document).to_string();
        assert!(message.contains(expected), "expected {expected:?}, got: {message}");
    }
}
