//! The server's credential, checked as docs/protocol.md (section 5) and docs/documents.md say.

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ED25519, UnparsedPublicKey},
};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};

/// Whether a vendor says with this credential that the server has the key `server_key`.
pub(crate) fn is_for(jws: &str, vendor_key: &[u8; 32], server_key: &[u8; 32]) -> bool {
    assert!(jws.len() <= 4_096, "a credential of {} bytes", jws.len());
    let parts: Vec<&str> = jws.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("not three parts: {jws}") };
    let expected = json!({ "alg": "EdDSA", "typ": "ve-credential+jwt", "kid": kid(vendor_key) });
    if read(header) != expected {
        return false;
    }
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).expect("base64url");
    let message = format!("{header}.{payload}");
    let key = UnparsedPublicKey::new(&ED25519, vendor_key);
    let signed = key.verify(message.as_bytes(), &signature).is_ok();
    let payload = read(payload);
    let members: Vec<&String> = payload.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["customer", "license_id", "mode", "server_key"]);
    signed && payload["server_key"] == HEXLOWER.encode(server_key)
}

/// The key's thumbprint after RFC 7638.
fn kid(key: &[u8; 32]) -> String {
    let x = BASE64URL_NOPAD.encode(key);
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    BASE64URL_NOPAD.encode(digest(&SHA256, members.as_bytes()).as_ref())
}

fn read(part: &str) -> Value {
    let bytes = BASE64URL_NOPAD.decode(part.as_bytes()).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}
