//! Our keys and documents in the hands of tools that know nothing of us. A tool that this machine
//! lacks is named, and its test passes.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use data_encoding::BASE64URL_NOPAD;
use ve_documents::{
    c2v,
    key_files::{self, KeyPassphrase, LoadKeyError},
    keys::SigningKey,
    v2c,
};

use crate::samples;

/// Runs a tool in `folder`; `None`, and a line that says so, where it is not installed.
fn run(folder: &Path, tool: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(tool).current_dir(folder).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) => {
            ve_testbed::skip(format_args!("{tool} can't be run here: {error}"));
            None
        }
    }
}

fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn openssl_reads_our_keys() {
    let folder = tempfile::tempdir().unwrap();
    let key = SigningKey::generate();
    let secret = KeyPassphrase::new("correct horse".to_string().into()).unwrap();
    key_files::save(&folder.path().join("plain.key"), &key, None).unwrap();
    key_files::save(&folder.path().join("secret.key"), &key, Some(&secret)).unwrap();
    key_files::save_public(&folder.path().join("vendor.pub"), &[key.verifying_key()]).unwrap();
    let expected = key.verifying_key().spki_der();
    for arguments in [
        &["pkey", "-in", "plain.key", "-pubout", "-outform", "DER"][..],
        &[
            "pkey",
            "-in",
            "secret.key",
            "-passin",
            "pass:correct horse",
            "-pubout",
            "-outform",
            "DER",
        ],
        &["pkey", "-pubin", "-in", "vendor.pub", "-pubout", "-outform", "DER"],
    ] {
        let Some(output) = run(folder.path(), "openssl", arguments) else { return };
        assert_success(&output);
        assert_eq!(output.stdout, expected, "{arguments:?}");
    }
}

#[test]
fn we_read_openssl_s_keys() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let secret = KeyPassphrase::new("correct horse".to_string().into()).unwrap();
    for arguments in [
        &["genpkey", "-algorithm", "ED25519", "-out", "plain.key"][..],
        &["pkey", "-in", "plain.key", "-pubout", "-out", "vendor.pub"],
        &[
            "pkcs8",
            "-topk8",
            "-in",
            "plain.key",
            "-out",
            "pbkdf2.key",
            "-passout",
            "pass:correct horse",
        ],
        &[
            "pkcs8",
            "-topk8",
            "-scrypt",
            "-in",
            "plain.key",
            "-out",
            "scrypt.key",
            "-passout",
            "pass:correct horse",
        ],
        // More work than we are willing to do for a file that someone hands us.
        &[
            "pkcs8",
            "-topk8",
            "-scrypt",
            "-scrypt_N",
            "2",
            "-scrypt_r",
            "1",
            "-scrypt_p",
            "100",
            "-in",
            "plain.key",
            "-out",
            "greedy.key",
            "-passout",
            "pass:correct horse",
        ],
        &["genpkey", "-algorithm", "X25519", "-out", "x25519.key"],
    ] {
        let Some(output) = run(folder.path(), "openssl", arguments) else { return };
        assert_success(&output);
    }
    for name in ["plain.key", "pbkdf2.key", "scrypt.key", "greedy.key", "x25519.key"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(path(name), mode).unwrap();
    }
    let public = key_files::load_public(&path("vendor.pub")).unwrap();
    for name in ["plain.key", "pbkdf2.key", "scrypt.key"] {
        let key = key_files::load(&path(name), Some(&secret)).unwrap();
        assert_eq!(vec![key.verifying_key()], public, "{name}");
    }
    for name in ["greedy.key", "x25519.key"] {
        let refused = key_files::load(&path(name), Some(&secret));
        assert!(matches!(refused, Err(LoadKeyError::NotAKey { .. })), "{name}: {refused:?}");
    }
}

#[test]
fn openssl_checks_a_v2c() {
    let folder = tempfile::tempdir().unwrap();
    let (vendor, server) = (SigningKey::generate(), SigningKey::generate());
    let document = v2c::sign(&samples::license(&server), &vendor).unwrap();
    let (message, signature) = document.rsplit_once('.').unwrap();
    key_files::save_public(&folder.path().join("vendor.pub"), &[vendor.verifying_key()]).unwrap();
    fs::write(
        folder.path().join("signature"),
        BASE64URL_NOPAD.decode(signature.as_bytes()).unwrap(),
    )
    .unwrap();
    let verify = [
        "pkeyutl",
        "-verify",
        "-rawin",
        "-pubin",
        "-inkey",
        "vendor.pub",
        "-sigfile",
        "signature",
        "-in",
        "message",
    ];
    fs::write(folder.path().join("message"), message).unwrap();
    let Some(output) = run(folder.path(), "openssl", &verify) else { return };
    assert_success(&output);
    fs::write(folder.path().join("message"), format!("{message}x")).unwrap();
    assert!(!run(folder.path(), "openssl", &verify).unwrap().status.success());
}

/// What `docs/documents.md` says, in a language that we don't use: checks a V2C with vendor.pub and
/// a C2V with the key that it carries, and prints what they are about.
const NODE_SCRIPT: &str = r#"
const crypto = require("crypto"), fs = require("fs");
const json = (part) => JSON.parse(Buffer.from(part, "base64url"));
function check(text, typ, key) {
  const parts = text.split(".");
  const header = json(parts[0]);
  if (parts.length !== 3 || header.alg !== "EdDSA" || header.typ !== typ) throw new Error("format");
  const message = Buffer.from(parts[0] + "." + parts[1]);
  if (!crypto.verify(null, message, key(header), Buffer.from(parts[2], "base64url"))) throw new Error("signature");
  return json(parts[1]);
}
const vendor = crypto.createPublicKey(fs.readFileSync("vendor.pub"));
const jwk = vendor.export({ format: "jwk" });
const members = JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x });
const kid = crypto.createHash("sha256").update(members).digest("base64url");
const byKid = (header) => { if (header.kid !== kid) throw new Error("kid"); return vendor; };
const license = check(fs.readFileSync("F.v2c", "utf8"), "ve-license+jwt", byKid);
const credential = check(license.credential, "ve-credential+jwt", byKid);
const byJwk = (header) => crypto.createPublicKey({ key: header.jwk, format: "jwk" });
const c2v = check(fs.readFileSync("F.c2v", "utf8"), "ve-c2v+jwt", byJwk);
const lines = Object.keys(license.binding).sort().map((name) => `${name}=${license.binding[name]}\n`);
const fingerprint = crypto.createHash("sha256").update(lines.join("") + `server-key=${license.server_key}\n`).digest("hex");
console.log([license.license_id, license.version, credential.server_key, c2v.platform, fingerprint === license.fingerprint].join(" "));
"#;

#[test]
fn node_checks_a_v2c_and_a_c2v() {
    let folder = tempfile::tempdir().unwrap();
    let (vendor, server) = (SigningKey::generate(), SigningKey::generate());
    let v2c = v2c::sign(&samples::license(&server), &vendor).unwrap();
    fs::write(folder.path().join("F.v2c"), v2c).unwrap();
    fs::write(folder.path().join("F.c2v"), c2v::sign(&samples::c2v(&server), &server)).unwrap();
    key_files::save_public(&folder.path().join("vendor.pub"), &[vendor.verifying_key()]).unwrap();
    let Some(output) = run(folder.path(), "node", &["-e", NODE_SCRIPT]) else { return };
    assert_success(&output);
    let expected = format!("01.00000001.002.044 2 {} physical true\n", server.public());
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    let other = key_files::public_pem(&[SigningKey::generate().verifying_key()]);
    fs::write(folder.path().join("vendor.pub"), other).unwrap();
    assert!(!run(folder.path(), "node", &["-e", NODE_SCRIPT]).unwrap().status.success());
}

/// The code block of `language` on the page that describes the formats.
fn block_of_the_page(language: &str) -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/documents.md");
    let page = fs::read_to_string(page).unwrap();
    let after = page.split_once(&format!("```{language}\n")).expect("the page has such a block").1;
    after.split_once("```").unwrap().0.to_string()
}

#[test]
fn the_page_s_recipes_check_a_v2c() {
    let folder = tempfile::tempdir().unwrap();
    let (vendor, server) = (SigningKey::generate(), SigningKey::generate());
    let good = v2c::sign(&samples::license(&server), &vendor).unwrap() + "\n";
    let bad = v2c::sign(&samples::license(&server), &server).unwrap() + "\n";
    key_files::save_public(&folder.path().join("vendor.pub"), &[vendor.verifying_key()]).unwrap();
    for (needs, tool, flag, language) in
        [("openssl", "sh", "-c", "sh"), ("node", "node", "-e", "js")]
    {
        if run(folder.path(), needs, &["--version"]).is_none() {
            continue;
        }
        let recipe = block_of_the_page(language);
        for (document, holds) in [(&good, true), (&bad, false)] {
            fs::write(folder.path().join("F.v2c"), document).unwrap();
            let output = run(folder.path(), tool, &[flag, &recipe]).unwrap();
            assert_eq!(
                output.status.success(),
                holds,
                "{recipe}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}
