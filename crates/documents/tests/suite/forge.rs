//! Documents that no tool of ours would write, signed properly.

use data_encoding::BASE64URL_NOPAD;
use proptest::prelude::*;
use serde_json::Value;
use ve_documents::keys::SigningKey;

/// Header and payload as given, under a good signature.
pub(crate) fn signed(header: &str, payload: &str, key: &SigningKey) -> String {
    let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
    let message = format!("{}.{}", encode(header), encode(payload));
    let signature = key.sign(message.as_bytes());
    format!("{message}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// The header (0) or payload (1) of a document, as text.
pub(crate) fn part(document: &str, at: usize) -> String {
    let part = document.split('.').nth(at).unwrap();
    String::from_utf8(BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
}

/// A document with the same header, another payload and a good signature.
pub(crate) fn with_payload(
    document: &str,
    key: &SigningKey,
    edit: impl FnOnce(&mut Value),
) -> String {
    let mut payload = serde_json::from_str(&part(document, 1)).unwrap();
    edit(&mut payload);
    signed(&part(document, 0), &payload.to_string(), key)
}

/// A document in which one piece of the payload's text is replaced, with a good signature.
pub(crate) fn with_text(document: &str, key: &SigningKey, from: &str, to: &str) -> String {
    let payload = part(document, 1);
    assert!(payload.contains(from), "{from} is not in {payload}");
    signed(&part(document, 0), &payload.replacen(from, to, 1), key)
}

/// Every document of the same length that differs in one bit (those that are text at all).
pub(crate) fn every_bit_flipped(document: &str) -> impl Iterator<Item = String> {
    (0..document.len() * 8).filter_map(|bit| {
        let mut changed = document.as_bytes().to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        String::from_utf8(changed).ok()
    })
}

/// Any document that differs in one byte, that lacks one, or that has one more.
pub(crate) fn any_byte_changed(document: &str) -> impl Strategy<Value = String> + use<> {
    let text = document.to_string();
    (0..text.len(), 0..3, prop::char::range('!', '~')).prop_filter_map(
        "the same text",
        move |(at, how, c)| {
            let mut changed: Vec<char> = text.chars().collect();
            match how {
                0 => changed[at] = c,
                1 => drop(changed.remove(at)),
                _ => changed.insert(at, c),
            }
            let changed: String = changed.into_iter().collect();
            (changed != text).then_some(changed)
        },
    )
}

/// Headers that break the format, from one that keeps it, and the error that each must get (its
/// beginning). `field` is the header's third field.
pub(crate) fn wrong_headers(header: &str, field: &str) -> Vec<(String, &'static str)> {
    let value = serde_json::from_str::<Value>(header).unwrap();
    let with = |edit: &dyn Fn(&mut Value)| {
        let mut value = value.clone();
        edit(&mut value);
        value.to_string()
    };
    let algorithm = |name: &str| with(&|header| header["alg"] = name.into());
    let doubled = format!("{},\"alg\":\"EdDSA\"}}", header.trim_end_matches('}'));
    vec![
        (algorithm("none"), "its header names the algorithm none"),
        (algorithm("HS256"), "its header names the algorithm HS256"),
        (algorithm("ES256"), "its header names the algorithm ES256"),
        (algorithm("Ed25519"), "its header names the algorithm Ed25519"),
        (algorithm("eddsa"), "its header names the algorithm eddsa"),
        (
            with(&|header| header["alg"] = Value::Null),
            "its header is malformed: alg: expected a text",
        ),
        (with(&|header| header["typ"] = "JWT".into()), "it is a document of type JWT, but"),
        (with(&|header| header["typ"] = "x\ny".into()), "it is a document of type x\\u{a}y, but"),
        (
            with(&|header| header["crit"] = Value::from(vec!["exp"])),
            "its header demands extensions",
        ),
        (
            with(&|header| header["b64"] = false.into()),
            "its header is malformed: b64 is an unknown field",
        ),
        (
            with(&|header| drop(header.as_object_mut().unwrap().remove("alg"))),
            "its header is malformed: alg is missing",
        ),
        (
            with(&|header| drop(header.as_object_mut().unwrap().remove("typ"))),
            "its header is malformed: typ is missing",
        ),
        (
            with(&|header| drop(header.as_object_mut().unwrap().remove(field))),
            "its header is malformed: ",
        ),
        (with(&|header| header[field] = 1.into()), "its header is malformed: "),
        (doubled, "its header is malformed: alg is given twice"),
        ("[]".to_string(), "its header is malformed: expected an object"),
        (String::new(), "its header is malformed: EOF"),
    ]
}

/// Texts that are no document at all, and the error that each must get (its beginning).
pub(crate) fn no_documents(document: &str) -> Vec<(String, &'static str)> {
    let parts: Vec<&str> = document.split('.').collect();
    let none = "it is not a signed document";
    vec![
        (String::new(), "it is empty"),
        ("\n".to_string(), "it is empty"),
        ("  \n".to_string(), "it is empty"),
        ("hello".to_string(), none),
        ("-----BEGIN PUBLIC KEY-----\n".to_string(), none),
        (format!("{}.{}", parts[0], parts[1]), none),
        (format!("{document}.{}", parts[2]), none),
        (format!("{document}="), none),
        (format!(" {document}"), none),
        (format!("{document}\n\n"), none),
        (format!("{}.{}==.{}", parts[0], parts[1], parts[2]), none),
        (document.replacen('.', "..", 1), none),
        // The last character's spare bits: another text with the same signature bytes.
        (format!("{}{}", &document[..document.len() - 1], neighbour(document)), none),
        (format!("{}.{}.", parts[0], parts[1]), "its signature does not hold"),
        (format!("{}.{}.AAAA", parts[0], parts[1]), "its signature does not hold"),
    ]
}

/// The character beside the document's last one in base64url's alphabet.
fn neighbour(document: &str) -> char {
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(document.chars().last().unwrap()).unwrap();
    char::from(alphabet.as_bytes()[at ^ 1])
}
