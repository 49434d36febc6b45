//! V2C: what is accepted, and the error of everything that is not.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use ve_core::license::Credential;
use ve_documents::{
    c2v, credential,
    files::MAX_DOCUMENT_BYTES,
    jws::JwsError,
    keys::{SigningKey, VerifyingKey},
    v2c::{self, SignError, V2cError},
};

use crate::{
    forge::{self, part, signed, with_payload, with_text},
    samples,
};

static VENDOR: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate);
static SERVER: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate);
static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| v2c::sign(&samples::license(&SERVER), &VENDOR).unwrap());

fn trusted() -> Vec<VerifyingKey> {
    vec![SigningKey::generate().verifying_key(), VENDOR.verifying_key()]
}

fn refusal(document: &str) -> V2cError {
    v2c::verify(document, &trusted()).expect_err("must be refused")
}

proptest! {
    #[test]
    fn any_license_survives_the_journey(license in samples::any_license(&SERVER)) {
        let document = v2c::sign(&license, &VENDOR).unwrap();
        let v2c = v2c::verify(&document, &trusted()).unwrap();
        prop_assert_eq!(&*v2c.license, &license);
        prop_assert_eq!(&v2c.text, &document);
        prop_assert_eq!(v2c.kid, VENDOR.verifying_key().kid().clone());
        prop_assert_eq!(v2c::read_unverified(&document).unwrap().license, license);
    }

    #[test]
    fn one_changed_byte_is_refused(changed in forge::any_byte_changed(&DOCUMENT)) {
        prop_assert!(v2c::verify(&changed, &trusted()).is_err());
    }

    #[test]
    fn any_text_is_refused_without_a_panic(text in ".*", parts in "[A-Za-z0-9_-]{0,9}(\\.[A-Za-z0-9_-]{0,9}){2}") {
        prop_assert!(v2c::verify(&text, &trusted()).is_err());
        prop_assert!(v2c::verify(&parts, &trusted()).is_err());
    }
}

#[test]
fn every_changed_bit_is_refused() {
    let trusted = trusted();
    for changed in forge::every_bit_flipped(&DOCUMENT) {
        assert!(v2c::verify(&changed, &trusted).is_err(), "{changed}");
    }
}

#[test]
fn one_newline_at_the_end_is_tolerated() {
    for end in ["", "\n", "\r\n"] {
        let v2c = v2c::verify(&format!("{}{end}", *DOCUMENT), &trusted()).unwrap();
        assert_eq!(v2c.text, *DOCUMENT);
    }
}

#[test]
fn the_credential_inside_is_for_the_server_key() {
    let v2c = v2c::verify(&DOCUMENT, &trusted()).unwrap();
    let credential = credential::verify(&v2c.credential_jws, &trusted()).unwrap();
    assert_eq!(credential.server_key, SERVER.public());
    assert_eq!(
        (&credential.customer, &credential.license_id),
        (&v2c.license.customer, &v2c.license.id)
    );
    let payload = part(&v2c.credential_jws, 1);
    assert!(!payload.contains("passphrase") && !payload.contains("products"), "{payload}");
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
        V2cError::Document(JwsError::TooLarge { limit: MAX_DOCUMENT_BYTES })
    );
}

#[test]
fn only_the_one_header_is_accepted() {
    for (header, expected) in forge::wrong_headers(&part(&DOCUMENT, 0), "kid") {
        let message = refusal(&signed(&header, &part(&DOCUMENT, 1), &VENDOR)).to_string();
        assert!(message.contains(expected), "{header} got: {message}");
    }
}

#[test]
fn a_document_of_another_kind_is_named() {
    let c2v = c2v::sign(&samples::c2v(&SERVER), &SERVER);
    let message = refusal(&c2v).to_string();
    assert!(
        message.contains("it is a fingerprint file (C2V), but a license (V2C) is needed"),
        "{message}"
    );
}

#[test]
fn another_vendor_s_license_names_its_key() {
    let other = SigningKey::generate();
    let document = v2c::sign(&samples::license(&SERVER), &other).unwrap();
    let V2cError::UntrustedSigner { kid, id, version } = refusal(&document) else {
        panic!("wrong error")
    };
    assert_eq!(kid, *other.verifying_key().kid());
    assert_eq!((id.as_str(), version), ("01.00000001.002.044", 2));
    let message = refusal(&document).to_string();
    assert!(message.contains(&format!("vendor key {kid} is not trusted here")), "{message}");
    assert_eq!(v2c::read_unverified(&document).unwrap().kid, kid);
}

#[test]
fn a_kid_of_ours_does_not_vouch_for_another_s_signature() {
    let forged = signed(&part(&DOCUMENT, 0), &part(&DOCUMENT, 1), &SigningKey::generate());
    assert_eq!(refusal(&forged), V2cError::Document(JwsError::BadSignature));
}

/// The document with one field set to another value, properly signed.
fn set(name: &'static str, value: Value) -> String {
    with_payload(&DOCUMENT, &VENDOR, |payload| payload[name] = value)
}

/// The same for a field of the first product section.
fn set_product(name: &'static str, value: Value) -> String {
    with_payload(&DOCUMENT, &VENDOR, |payload| payload["products"][0][name] = value)
}

/// The document with other text in its payload, properly signed.
fn replace(from: &str, to: &str) -> String {
    with_text(&DOCUMENT, &VENDOR, from, to)
}

/// Every document is refused with its own words, which give no secret away.
fn expect_refusals(cases: &[(String, &str)]) {
    for (document, expected) in cases {
        let message = refusal(document).to_string();
        assert!(message.contains(expected), "expected {expected:?}, got: {message}");
        assert!(!message.contains("1111-2222"), "a secret in an error: {message}");
    }
}

#[test]
fn every_malformed_field_of_the_header_has_its_own_error() {
    expect_refusals(&[
        (set("extra", json!(1)), "malformed: extra is an unknown field"),
        (set("expires", json!("2027-01-01 00:00:00")), "malformed: expires is an unknown field"),
        (set_product("extra", json!(1)), "malformed: products[0].extra is an unknown field"),
        (
            replace("\"version\":2", "\"version\":2,\"version\":3"),
            "malformed: version is given twice",
        ),
        (
            replace("\"cpu-cores\":", "\"cpu-cores\":\"\",\"cpu-cores\":"),
            "malformed: cpu-cores is given twice",
        ),
        (replace("\"major\":5", "\"major\":5,\"major\":6"), "malformed: major is given twice"),
        (replace("\"version\":2", "\"versiom\":2"), "malformed: version is missing"),
        (set("version", json!("2")), "malformed: version: expected a whole number in range"),
        (
            set("version", json!(1_u64 << 32)),
            "malformed: version: expected a whole number in range",
        ),
        (set("version", json!(0)), "invalid: version must be at least 1"),
        (set("license_id", json!("1.2.3.4")), "malformed: license_id: a license ID has the form"),
        (set("customer", json!("a\nb")), "malformed: customer: contains a control character"),
        (
            set("customer", json!("x".repeat(10_000))),
            "malformed: customer: is longer than 128 bytes",
        ),
        (set("mode", json!("General")), "malformed: mode: expected one of"),
        (set("key_type", json!("FOREVER")), "malformed: key_type: expected NORMAL or COUNTDOWN"),
        (set("key_type", json!("NORMAL")), "malformed: hours is an unknown field"),
        (set("hours", Value::Null), "malformed: hours: expected a whole number"),
        (set("hours", json!(1.5)), "malformed: hours: expected a whole number"),
        (set("hours", json!(0)), "invalid: hours must be between"),
        (set("platform", json!("vax")), "malformed: platform: expected one of"),
        (
            set("released", json!("2026-11-22T10:00:00Z")),
            "malformed: released: a date is written as",
        ),
        (set("grace_ms", json!(-1)), "malformed: grace_ms: expected a whole number"),
        (set("grace_ms", json!(999)), "invalid: grace must be between"),
        (set("lease_ms", json!("long")), "malformed: lease_ms: expected milliseconds or \"grace\""),
        (set("lease_ms", Value::Null), "malformed: lease_ms: expected a whole number"),
    ]);
}

#[test]
fn every_malformed_list_and_section_has_its_own_error() {
    expect_refusals(&[
        (
            set("tolerance", json!(["cpu-cores", "cpu-cores"])),
            "malformed: tolerance[1]: is given twice",
        ),
        (set("tolerance", json!("cpu-cores")), "malformed: tolerance: expected a list"),
        (set("binding", json!({"engine": "00"})), "malformed: binding.engine: expected one of"),
        (
            set("binding", json!({"cpu-cores": "00"})),
            "malformed: binding.cpu-cores: expected 64 lower-case",
        ),
        (set("binding", json!([])), "malformed: binding: expected an object"),
        (set("binding", json!({})), "fingerprint is not that of its binding"),
        (set("server_key", json!("00".repeat(32))), "fingerprint is not that of its binding"),
        (set("products", json!([])), "invalid: product must be given 1 to 256 times"),
        (set("products", json!(vec![0; 257])), "malformed: products: has more than 256 entries"),
        (set_product("virtual_hardware", json!([])), "invalid: virtual_hardware must be"),
        (
            set_product("virtual_hardware", json!(["A", "a"])),
            "invalid: virtual hardware a is named twice",
        ),
        (
            set_product("passphrase", Value::Null),
            "malformed: products[0].passphrase: expected a text",
        ),
        (set_product("expires", Value::Null), "malformed: products[0].expires: expected a text"),
        (set_product("instances", json!(0)), "invalid: instances must be between"),
        (set("credential", json!("x")), "carries no valid credential"),
        (set("credential", json!(*DOCUMENT)), "carries no valid credential"),
        (set("credential", json!("A".repeat(5_000))), "carries no valid credential"),
        (signed(&part(&DOCUMENT, 0), "", &VENDOR), "malformed: EOF"),
        (signed(&part(&DOCUMENT, 0), "{} {}", &VENDOR), "malformed: trailing characters"),
        (signed(&part(&DOCUMENT, 0), "[]", &VENDOR), "malformed: expected an object"),
    ]);
}

#[test]
fn the_credential_of_another_license_is_refused() {
    let genuine = |edit: fn(&mut Credential)| {
        let mut credential = credential::of_license(&samples::license(&SERVER));
        edit(&mut credential);
        credential
    };
    let other_vendor = SigningKey::generate();
    let both = [VENDOR.verifying_key(), other_vendor.verifying_key()];
    for (credential, key) in [
        (genuine(|credential| credential.customer = samples::name("Other")), &*VENDOR),
        (
            genuine(|credential| credential.license_id = "01.00000001.002.045".parse().unwrap()),
            &*VENDOR,
        ),
        (genuine(|credential| credential.server_key.0[0] ^= 1), &*VENDOR),
        (genuine(|_| ()), &other_vendor),
    ] {
        let jws = credential::sign(&credential, key);
        let document =
            with_payload(&DOCUMENT, &VENDOR, |payload| payload["credential"] = jws.into());
        let error = v2c::verify(&document, &both).expect_err("must be refused");
        assert!(
            matches!(error, V2cError::ForeignCredential | V2cError::Credential(_)),
            "{error:?}"
        );
        assert!(v2c::read_unverified(&document).is_err());
    }
}

#[test]
fn what_no_server_would_accept_is_not_signed() {
    let mut license = samples::license(&SERVER);
    license.fingerprint.0[0] ^= 1;
    assert_eq!(v2c::sign(&license, &VENDOR), Err(SignError::Fingerprint));
    license = samples::license(&SERVER);
    license.sections.clear();
    assert!(matches!(v2c::sign(&license, &VENDOR), Err(SignError::License(_))));
    license = samples::license(&SERVER);
    let models = |section: u32| move |at: u32| samples::name(&format!("{section:060}/{at:060}"));
    license.sections = (0..200)
        .map(|section| {
            let mut product = samples::license(&SERVER).sections.remove(0);
            product.virtual_hardware = (0..200).map(models(section)).collect();
            product
        })
        .collect();
    assert_eq!(v2c::sign(&license, &VENDOR), Err(SignError::TooLarge));
}
