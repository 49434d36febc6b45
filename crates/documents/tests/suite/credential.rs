//! Credentials: what is accepted, and the error of everything that is not.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use ve_documents::{
    credential::{self, CredentialError, MAX_CREDENTIAL_BYTES},
    jws::JwsError,
    keys::{SigningKey, VerifyingKey},
    v2c,
};

use crate::{
    forge::{self, part, signed, with_payload, with_text},
    samples,
};

static VENDOR: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate);
static SERVER: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate);
static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    credential::sign(&credential::of_license(&samples::license(&SERVER)), &VENDOR)
});

fn trusted() -> Vec<VerifyingKey> {
    vec![SigningKey::generate().verifying_key(), VENDOR.verifying_key()]
}

fn refusal(document: &str) -> CredentialError {
    credential::verify(document, &trusted()).expect_err("must be refused")
}

proptest! {
    #[test]
    fn any_credential_survives_the_journey(license in samples::any_license(&SERVER)) {
        let document = credential::sign(&credential::of_license(&license), &VENDOR);
        let verified = credential::verify(&document, &trusted()).unwrap();
        prop_assert_eq!(verified.into_inner(), credential::of_license(&license));
    }

    #[test]
    fn one_changed_byte_is_refused(changed in forge::any_byte_changed(&DOCUMENT)) {
        prop_assert!(credential::verify(&changed, &trusted()).is_err());
    }
}

#[test]
fn every_changed_bit_is_refused() {
    let trusted = trusted();
    for changed in forge::every_bit_flipped(&DOCUMENT) {
        assert!(credential::verify(&changed, &trusted).is_err(), "{changed}");
    }
}

#[test]
fn what_is_no_credential_says_so() {
    for (text, expected) in forge::no_documents(&DOCUMENT) {
        let message = refusal(&text).to_string();
        assert!(message.contains(expected), "{text:?} got: {message}");
    }
    for (header, expected) in forge::wrong_headers(&part(&DOCUMENT, 0), "kid") {
        let message = refusal(&signed(&header, &part(&DOCUMENT, 1), &VENDOR)).to_string();
        assert!(message.contains(expected), "{header} got: {message}");
    }
    let long = "A".repeat(MAX_CREDENTIAL_BYTES + 1);
    assert_eq!(
        refusal(&long),
        CredentialError::Document(JwsError::TooLarge { limit: MAX_CREDENTIAL_BYTES })
    );
    let license = v2c::sign(&samples::license(&SERVER), &VENDOR).unwrap();
    assert!(matches!(refusal(&license), CredentialError::Document(JwsError::WrongType { .. })));
}

#[test]
fn only_a_trusted_vendor_vouches() {
    let stranger = SigningKey::generate();
    let document = credential::sign(&credential::of_license(&samples::license(&SERVER)), &stranger);
    let kid = stranger.verifying_key().kid().clone();
    assert_eq!(refusal(&document), CredentialError::UntrustedSigner { kid });
    assert!(credential::verify(&DOCUMENT, &[]).is_err());
    let forged = signed(&part(&DOCUMENT, 0), &part(&DOCUMENT, 1), &stranger);
    assert_eq!(refusal(&forged), CredentialError::Document(JwsError::BadSignature));
}

#[test]
fn every_malformed_field_has_its_own_error() {
    let set = |name: &'static str, value: Value| {
        with_payload(&DOCUMENT, &VENDOR, |payload| payload[name] = value)
    };
    for (document, expected) in [
        (set("passphrase", json!("secret")), "malformed: passphrase is an unknown field"),
        (set("customer", Value::Null), "malformed: customer: expected a text"),
        (set("license_id", json!("1")), "malformed: license_id: a license ID has the form"),
        (set("mode", json!("General")), "malformed: mode: expected one of"),
        (set("mode", json!(["autove"])), "malformed: mode: expected a text"),
        (with_text(&DOCUMENT, &VENDOR, "\"mode\"", "\"kind\""), "malformed: mode is missing"),
        (set("server_key", json!("AB")), "malformed: server_key: expected 64 lower-case"),
        (
            with_text(&DOCUMENT, &VENDOR, "{", "{\"customer\":\"x\","),
            "malformed: customer is given twice",
        ),
        (
            with_text(&DOCUMENT, &VENDOR, "\"customer\"", "\"patron\""),
            "malformed: customer is missing",
        ),
    ] {
        let message = refusal(&document).to_string();
        assert!(message.contains(expected), "expected {expected:?}, got: {message}");
    }
}
