//! Receipts: what is accepted, and the error of everything that is not.

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use ve_core::{
    id::HostKey,
    license::{Credential, Mode},
    registry::{Receipt, entry::MAX_REVISION},
    text::MAX_NAME_BYTES,
    time::Utc,
};
use ve_documents::{
    credential::{self, CredentialError},
    jws::JwsError,
    keys::{SigningKey, VerifyingKey},
    receipt::{self, MAX_RECEIPT_BYTES, ReceiptError},
};

use crate::{
    forge::{self, part, signed, with_payload, with_text},
    samples::{self, name},
};

static VENDOR: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate);
static SERVER: LazyLock<SigningKey> = LazyLock::new(SigningKey::generate);
static DOCUMENT: LazyLock<String> = LazyLock::new(|| issue(&sample(), &issuer()));

fn trusted() -> Vec<VerifyingKey> {
    vec![SigningKey::generate().verifying_key(), VENDOR.verifying_key()]
}

fn sample() -> Receipt {
    Receipt {
        host: HostKey([5; 32]),
        customer: name("Stromasys/Testing"),
        issuer: "01.00000001.002.044".parse().unwrap(),
        home: "01.00000001.002.045".parse().unwrap(),
        revision: 3,
        registered: Utc::parse("2026-11-22 10:00:00").unwrap(),
    }
}

/// The credential of the server that signs.
fn issuer() -> Credential {
    Credential {
        customer: sample().customer,
        license_id: sample().issuer,
        mode: Mode::AutoVe,
        server_key: SERVER.public(),
    }
}

/// A receipt of the server's, with a credential of the vendor's.
fn issue(receipt: &Receipt, issuer: &Credential) -> String {
    receipt::sign(receipt, &credential::sign(issuer, &VENDOR), &SERVER)
}

fn refusal(document: &str) -> ReceiptError {
    receipt::verify(document, &trusted()).expect_err("must be refused")
}

prop_compose! {
    fn any_receipt()(
        host in any::<[u8; 32]>(),
        customer in samples::any_name(),
        issuer in 0..1_000_u32,
        home in 0..1_000_u32,
        revision in 1..=MAX_REVISION,
        registered in samples::any_date(),
    ) -> Receipt {
        let id = |number: u32| format!("99.12345678.000.{number:03}").parse().unwrap();
        Receipt {
            host: HostKey(host), customer, issuer: id(issuer), home: id(home), revision, registered,
        }
    }
}

proptest! {
    #[test]
    fn any_receipt_survives_the_journey(receipt in any_receipt()) {
        let (customer, license_id) = (receipt.customer.clone(), receipt.issuer.clone());
        let issuer = Credential { customer, license_id, ..issuer() };
        let document = issue(&receipt, &issuer);
        let claimed = receipt::read_unverified(&document).unwrap();
        prop_assert_eq!((&claimed.receipt, claimed.issuer), (&receipt, issuer));
        prop_assert_eq!(receipt::verify(&document, &trusted()).unwrap().into_inner(), receipt);
    }

    #[test]
    fn one_changed_byte_is_refused(changed in forge::any_byte_changed(&DOCUMENT)) {
        prop_assert!(receipt::verify(&changed, &trusted()).is_err());
    }

    #[test]
    fn whatever_a_file_holds_is_read_or_refused(text in "\\PC{0,300}") {
        prop_assert!(receipt::read_unverified(&text).is_err());
    }
}

#[test]
fn every_changed_bit_is_refused() {
    let trusted = trusted();
    for changed in forge::every_bit_flipped(&DOCUMENT) {
        assert!(receipt::verify(&changed, &trusted).is_err(), "{changed}");
    }
}

#[test]
fn the_longest_receipt_fits() {
    // Every character of this name is written as two.
    let customer = name(&"\"".repeat(MAX_NAME_BYTES));
    let receipt = Receipt { customer: customer.clone(), revision: MAX_REVISION, ..sample() };
    let document = issue(&receipt, &Credential { customer, ..issuer() });
    assert!(document.len() <= MAX_RECEIPT_BYTES, "{} bytes", document.len());
    assert_eq!(receipt::verify(&document, &trusted()).unwrap().into_inner(), receipt);
    let long = "A".repeat(MAX_RECEIPT_BYTES + 1);
    assert_eq!(
        refusal(&long),
        ReceiptError::Document(JwsError::TooLarge { limit: MAX_RECEIPT_BYTES })
    );
}

#[test]
fn what_is_no_receipt_says_so() {
    for (text, expected) in forge::no_documents(&DOCUMENT) {
        let message = refusal(&text).to_string();
        assert!(message.contains(expected), "{text:?} got: {message}");
    }
    for (header, expected) in forge::wrong_headers(&part(&DOCUMENT, 0), "kid") {
        let message = refusal(&signed(&header, &part(&DOCUMENT, 1), &SERVER)).to_string();
        assert!(message.contains(expected), "{header} got: {message}");
    }
    let credential = credential::sign(&issuer(), &VENDOR);
    assert!(matches!(refusal(&credential), ReceiptError::Document(JwsError::WrongType { .. })));
}

#[test]
fn only_the_server_that_the_vendor_names_may_sign() {
    let stranger = SigningKey::generate();
    let forged = signed(&part(&DOCUMENT, 0), &part(&DOCUMENT, 1), &stranger);
    assert_eq!(refusal(&forged), ReceiptError::Document(JwsError::BadSignature));
    let honest_about_its_key =
        receipt::sign(&sample(), &credential::sign(&issuer(), &VENDOR), &stranger);
    assert_eq!(
        refusal(&honest_about_its_key),
        ReceiptError::ForeignCredential { field: "kid" },
        "another server's credential is no secret, and no proof"
    );
    let of_its_own = receipt::sign(&sample(), &credential::sign(&issuer(), &stranger), &SERVER);
    let kid = stranger.verifying_key().kid().clone();
    let untrusted = CredentialError::UntrustedSigner { kid };
    assert_eq!(refusal(&of_its_own), ReceiptError::Issuer(untrusted));
    assert!(receipt::verify(&DOCUMENT, &[]).is_err());
}

#[test]
fn the_credential_inside_is_the_issuer_s() {
    let another = "01.00000001.002.099".parse().unwrap();
    for (issuer, field) in [
        (Credential { customer: name("Another"), ..issuer() }, "customer"),
        (Credential { license_id: another, ..issuer() }, "issuer"),
        (Credential { mode: Mode::General, ..issuer() }, "mode"),
        (Credential { server_key: VENDOR.public(), ..issuer() }, "kid"),
    ] {
        let expected = ReceiptError::ForeignCredential { field };
        let document = issue(&sample(), &issuer);
        assert_eq!(refusal(&document), expected);
        assert_eq!(receipt::read_unverified(&document), Err(expected));
    }
}

#[test]
fn every_malformed_field_has_its_own_error() {
    let set = |name: &'static str, value: Value| {
        with_payload(&DOCUMENT, &SERVER, |payload| payload[name] = value)
    };
    for (document, expected) in [
        (set("expires", json!(1)), "malformed: expires is an unknown field"),
        (set("host", json!("AB")), "malformed: host: expected 64 lower-case"),
        (set("customer", json!("a\nb")), "malformed: customer: contains a control"),
        (set("issuer", json!(1)), "malformed: issuer: expected a text"),
        (set("home", json!("1")), "malformed: home: a license ID has the form"),
        (set("revision", json!(0)), "malformed: revision: expected a whole number in range"),
        (set("revision", json!(MAX_REVISION + 1)), "malformed: revision: expected a whole number"),
        (set("registered", json!("2026-11-22")), "malformed: registered: a date is written as"),
        (set("credential", Value::Null), "malformed: credential: expected a text"),
        (set("credential", json!("")), "issuer is not trusted"),
        (with_text(&DOCUMENT, &SERVER, "{", "{\"home\":\"x\","), "malformed: home is given twice"),
        (with_text(&DOCUMENT, &SERVER, "\"host\"", "\"guest\""), "malformed: host is missing"),
    ] {
        let message = refusal(&document).to_string();
        assert!(message.contains(expected), "expected {expected:?}, got: {message}");
    }
}
