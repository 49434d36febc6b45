//! Providers' identity documents, with keys and certificates that openssl makes.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use data_encoding::{BASE64, BASE64_MIME};
use proptest::{prelude::*, sample::Index};
use tempfile::TempDir;
use ve_core::fingerprint::Platform;
use ve_documents::identity::{
    self, CertificatesError, IdentityError, MAX_CERTIFICATE_FILE_BYTES, MAX_CERTIFICATES,
    load_certificates,
};

/// As the metadata service prints one: fields that nobody needs, and white space, are signed as well.
const DOCUMENT: &str = r#"{
  "accountId" : "123456789012",
  "architecture" : "x86_64",
  "billingProducts" : null,
  "imageId" : "ami-5fb8c835",
  "instanceId" : "i-1234567890abcdef0",
  "kernelId" : null,
  "pendingTime" : "2016-11-19T16:32:11Z",
  "privateIp" : "10.158.112.84",
  "region" : "us-west-2",
  "version" : "2017-09-30"
}"#;

/// A provider: an RSA key and a certificate for it, in a folder.
struct Provider {
    folder: TempDir,
}

impl Provider {
    /// `None`, and a line that says so, where openssl is missing.
    fn new(bits: u32) -> Option<Self> {
        let provider = Self { folder: tempfile::tempdir().unwrap() };
        let key = format!("rsa:{bits}");
        provider.openssl(&[
            "req",
            "-x509",
            "-newkey",
            &key,
            "-nodes",
            "-keyout",
            "key",
            "-out",
            "a.pem",
            "-subj",
            "/C=US/O=Provider",
            "-days",
            "1",
        ])?;
        Some(provider)
    }

    fn openssl(&self, arguments: &[&str]) -> Option<Vec<u8>> {
        match Command::new("openssl").current_dir(self.path()).args(arguments).output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "openssl {arguments:?}: {said}");
                Some(output.stdout)
            }
            Err(error) => {
                ve_testbed::skip(format_args!("openssl can't be run here: {error}"));
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The signature of a text as the metadata service says it: base64 in lines.
    fn sign(&self, text: &str) -> Option<String> {
        fs::write(self.path().join("text"), text).unwrap();
        let raw = self.openssl(&["dgst", "-sha256", "-sign", "key", "text"])?;
        Some(BASE64_MIME.encode(&raw))
    }

    /// What its own certificate says of a document.
    fn check(&self, document: &str, signature: &str) -> Result<String, IdentityError> {
        let certificates = load_certificates(self.path()).unwrap();
        check(document.as_bytes(), signature.as_bytes(), &certificates)
    }
}

fn check(
    document: &[u8],
    signature: &[u8],
    certificates: &[identity::Certificate],
) -> Result<String, IdentityError> {
    let verified = identity::verify(Platform::AmazonAws, document, signature, certificates)?;
    assert_eq!(verified.platform, Platform::AmazonAws);
    Ok(verified.id.to_string())
}

#[test]
fn a_provider_s_word_is_believed_and_no_other() {
    for bits in [1_024, 2_048] {
        let Some((ours, other)) = Provider::new(bits).zip(Provider::new(bits)) else { return };
        let Some(signature) = ours.sign(DOCUMENT) else { return };
        let id = "123456789012/us-west-2/i-1234567890abcdef0".to_string();
        assert_eq!(ours.check(DOCUMENT, &signature), Ok(id.clone()));
        let in_one_line = signature.replace("\r\n", "");
        assert_eq!(ours.check(DOCUMENT, &in_one_line), Ok(id.clone()));

        let unsigned = || Err(IdentityError::Signature { count: 1 });
        let edited = DOCUMENT.replace("abcdef0", "abcdef1");
        assert_eq!(ours.check(&edited, &signature), unsigned());
        assert_eq!(ours.check(&format!("{DOCUMENT}\n"), &signature), unsigned());
        assert_eq!(other.check(DOCUMENT, &signature), unsigned());
        assert_eq!(ours.check(DOCUMENT, ""), unsigned());
        assert_eq!(ours.check(DOCUMENT, "%%%%"), Err(IdentityError::Encoding));
        let none = Err(IdentityError::Signature { count: 0 });
        assert_eq!(check(DOCUMENT.as_bytes(), signature.as_bytes(), &[]), none);

        // One of several regions' certificates is enough.
        fs::copy(other.path().join("a.pem"), ours.path().join("0.pem")).unwrap();
        assert_eq!(ours.check(DOCUMENT, &signature), Ok(id));
    }
}

#[test]
fn a_certificate_of_version_1_is_as_good() {
    let Some(provider) = Provider::new(1_024) else { return };
    for arguments in [
        &["req", "-new", "-key", "key", "-subj", "/O=Old", "-out", "request"][..],
        &["x509", "-req", "-in", "request", "-signkey", "key", "-days", "1", "-out", "a.pem"],
    ] {
        let Some(_) = provider.openssl(arguments) else { return };
    }
    let Some(shown) = provider.openssl(&["x509", "-in", "a.pem", "-noout", "-text"]) else {
        return;
    };
    assert!(String::from_utf8_lossy(&shown).contains("Version: 1 (0x0)"));
    let Some(signature) = provider.sign(DOCUMENT) else { return };
    assert!(provider.check(DOCUMENT, &signature).is_ok());
}

#[test]
fn what_a_provider_signed_must_name_a_machine() {
    let Some(provider) = Provider::new(1_024) else { return };
    for (document, expected) in [
        (DOCUMENT.replace("instanceId", "instance"), "instanceId is missing"),
        (DOCUMENT.replace("accountId", "account"), "accountId is missing"),
        (DOCUMENT.replace("us-west-2", ""), "region: expected letters"),
        (DOCUMENT.replace("i-1234567890abcdef0", "a/b"), "instanceId: expected letters"),
        (DOCUMENT.replace("i-1234567890abcdef0", &"a".repeat(120)), "is longer than 128 bytes"),
        (DOCUMENT.replace("\"123456789012\"", "123456789012"), "accountId: expected a text"),
        (DOCUMENT.replace("\"kernelId\"", "\"region\""), "region is given twice"),
        ("[]".to_string(), "expected an object"),
        ("hello".to_string(), "malformed"),
    ] {
        let Some(signature) = provider.sign(&document) else { return };
        let message = provider.check(&document, &signature).expect_err(expected).to_string();
        assert!(message.contains(expected), "expected {expected:?}, got: {message}");
    }
}

#[test]
fn other_providers_and_endless_documents_prove_nothing() {
    for &platform in Platform::ALL.iter().filter(|platform| **platform != Platform::AmazonAws) {
        assert_eq!(
            identity::verify(platform, DOCUMENT.as_bytes(), b"AAAA", &[]),
            Err(IdentityError::Unsupported { platform })
        );
    }
    let long = vec![b' '; identity::MAX_DOCUMENT_BYTES + 1];
    assert_eq!(check(&long, b"AAAA", &[]), Err(IdentityError::TooLarge));
    let long = vec![b'A'; identity::MAX_SIGNATURE_BYTES + 1];
    assert_eq!(check(DOCUMENT.as_bytes(), &long, &[]), Err(IdentityError::TooLarge));
}

#[test]
fn whatever_is_shown_is_refused() {
    let Some(provider) = Provider::new(1_024) else { return };
    let Some(signature) = provider.sign(DOCUMENT) else { return };
    let certificates = load_certificates(provider.path()).unwrap();
    let signature = BASE64.decode(signature.replace("\r\n", "").as_bytes()).unwrap();
    let any = (any::<bool>(), any::<Index>(), 1..=u8::MAX);
    proptest!(|((in_document, at, flip) in any)| {
        let (mut document, mut signature) = (DOCUMENT.as_bytes().to_vec(), signature.clone());
        let changed = if in_document { &mut document } else { &mut signature };
        let at = at.index(changed.len());
        changed[at] ^= flip;
        let shown = BASE64.encode(&signature);
        prop_assert!(check(&document, shown.as_bytes(), &certificates).is_err());
    });
}

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn failure(folder: &Path) -> String {
    let error = load_certificates(folder).expect_err("must be refused");
    error.to_string().replace(&folder.display().to_string(), "D")
}

#[test]
fn certificates_are_read_from_pem_files_only() {
    assert_eq!(load_certificates(Path::new("/nonexistent/providers")).unwrap(), []);
    let Some(provider) = Provider::new(1_024) else { return };
    let pem = fs::read_to_string(provider.path().join("a.pem")).unwrap();
    let two = format!("# us-west-2\n{pem}\n# us-east-1\r\n{}", pem.replace('\n', "\r\n"));
    let mixed = folder(&[("two.pem", &two), ("one.pem", &pem), ("README.txt", "hello")]);
    fs::create_dir(mixed.path().join("folder.pem")).unwrap();
    assert_eq!(load_certificates(mixed.path()).unwrap().len(), 3);
}

#[test]
fn a_file_that_is_no_certificate_is_named() {
    let Some(provider) = Provider::new(1_024) else { return };
    let pem = fs::read_to_string(provider.path().join("a.pem")).unwrap();
    let key = fs::read_to_string(provider.path().join("key")).unwrap();
    let (first, rest) = pem.split_at(pem.len() / 2);
    let cut = format!("{first}\n");
    let swapped = format!("{first}AAAA{rest}");
    let long = "#".repeat(MAX_CERTIFICATE_FILE_BYTES + 1);
    for (text, expected) in [
        ("", "D/x.pem holds no certificate"),
        ("# nothing\n", "D/x.pem holds no certificate"),
        ("hello\n", "D/x.pem: what begins in line 1 is no part of an X.509 certificate"),
        (&key, "D/x.pem: what begins in line 1 is no part of an X.509 certificate"),
        (&cut, "D/x.pem: what begins in line 1 is no part of"),
        (&swapped, "D/x.pem: what begins in line 1 is no part of"),
        (&format!("{pem}\nhello\n"), "D/x.pem: what begins in line "),
        (&long, "D/x.pem is larger than 65536 bytes"),
    ] {
        let message = failure(folder(&[("x.pem", text)]).path());
        assert!(message.starts_with(expected), "expected {expected:?}, got: {message}");
    }
    let binary = folder(&[]);
    fs::write(binary.path().join("x.pem"), [0xff, 0xfe]).unwrap();
    assert!(failure(binary.path()).contains("is not UTF-8 text"));
    assert!(failure(&PathBuf::from("/proc/self/status")).contains("can't be read"));
}

#[test]
fn keys_that_no_provider_signs_with_are_refused() {
    for kind in ["rsa:512", "ec", "ed25519"] {
        let folder = tempfile::tempdir().unwrap();
        let mut arguments = vec!["req", "-x509", "-newkey", kind, "-nodes", "-subj", "/O=x"];
        arguments.extend(["-keyout", "key", "-out", "x.pem"]);
        if kind == "ec" {
            arguments.extend(["-pkeyopt", "ec_paramgen_curve:P-256"]);
        }
        let provider = Provider { folder };
        let Some(_) = provider.openssl(&arguments) else { return };
        let message = failure(provider.path());
        assert!(message.contains("without an RSA key of 1024 to 8192 bits"), "{kind}: {message}");
    }
}

#[test]
fn there_are_not_too_many() {
    let Some(provider) = Provider::new(1_024) else { return };
    let pem = fs::read_to_string(provider.path().join("a.pem")).unwrap();
    let full = folder(&[]);
    let name = |number: usize| full.path().join(format!("{number:03}.pem"));
    for number in 0..MAX_CERTIFICATES / 2 {
        fs::write(name(number), pem.repeat(2)).unwrap();
    }
    assert_eq!(load_certificates(full.path()).unwrap().len(), MAX_CERTIFICATES);
    fs::write(name(999), &pem).unwrap();
    assert!(matches!(load_certificates(full.path()), Err(CertificatesError::TooMany { .. })));
}
