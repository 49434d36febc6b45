//! Key files: round trips, permissions, races, and everything that is no key.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Barrier,
};

use tempfile::TempDir;
use ve_documents::{
    key_files::{self, IdentityError, KeyPassphrase, LoadKeyError, PublicPemError, SaveKeyError},
    keys::{SigningKey, VerifyingKey},
};

fn passphrase(text: &str) -> KeyPassphrase {
    KeyPassphrase::new(text.to_string().into()).unwrap()
}

/// A folder and a file in it, readable by its owner only.
fn private_file(content: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.key");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    (folder, path)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_key_survives_its_file_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vendor.key");
    let key = SigningKey::generate();
    key_files::save(&path, &key, None).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert!(fs::read_to_string(&path).unwrap().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(key_files::load(&path, None).unwrap().public(), key.public());
    // A passphrase that is not needed does no harm.
    assert!(key_files::load(&path, Some(&passphrase("x"))).is_ok());
    let again = key_files::save(&path, &SigningKey::generate(), None);
    assert!(matches!(again, Err(SaveKeyError::Exists { .. })));
    assert_eq!(key_files::load(&path, None).unwrap().public(), key.public());
}

#[test]
fn an_encrypted_key_opens_with_its_passphrase_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vendor.key");
    let key = SigningKey::generate();
    key_files::save(&path, &key, Some(&passphrase("correct horse"))).unwrap();
    let pem = fs::read_to_string(&path).unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), "{pem}");
    let opened = key_files::load(&path, Some(&passphrase("correct horse"))).unwrap();
    assert_eq!(opened.public(), key.public());
    assert!(matches!(key_files::load(&path, None), Err(LoadKeyError::PassphraseNeeded { .. })));
    let wrong = key_files::load(&path, Some(&passphrase("correct hors")));
    assert!(matches!(wrong, Err(LoadKeyError::WrongPassphrase { .. })));
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.key");
    key_files::save(&path, &SigningKey::generate(), None).unwrap();
    for open_mode in [0o640, 0o604, 0o620, 0o602, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(open_mode)).unwrap();
        let error = key_files::load_or_create(&path).expect_err("open to others");
        let expected = format!("(mode {open_mode:04o})");
        assert!(matches!(error, IdentityError::Load(LoadKeyError::Permissions { .. })));
        assert!(
            error.to_string().contains(&expected) && error.to_string().contains("chmod 600"),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_private_key_says_so() {
    let public = key_files::public_pem(&[SigningKey::generate().verifying_key()]);
    let rsa = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for content in ["", "hello", &public, rsa, broken, encrypted, "\u{0}"] {
        let (_folder, path) = private_file(content.as_bytes());
        let error = key_files::load(&path, Some(&passphrase("x"))).expect_err(content);
        assert!(matches!(error, LoadKeyError::NotAKey { .. }), "{content}: {error}");
    }
    let (_folder, path) = private_file(&[0xff, 0xfe]);
    assert!(matches!(key_files::load(&path, None), Err(LoadKeyError::NotAKey { .. })));
    let (_folder, path) = private_file(&vec![b'x'; 70_000]);
    assert!(matches!(key_files::load(&path, None), Err(LoadKeyError::Read(_))));
    let (folder, _path) = private_file(b"");
    let missing = key_files::load(&folder.path().join("none"), None);
    assert!(matches!(missing, Err(LoadKeyError::Missing { .. })));
}

#[test]
fn of_several_that_start_at_once_all_get_one_key() {
    const STARTERS: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.key");
    let barrier = Barrier::new(STARTERS);
    let start = || {
        barrier.wait();
        key_files::load_or_create(&path).unwrap().public()
    };
    let keys: Vec<_> = std::thread::scope(|scope| {
        let starters: Vec<_> = (0..STARTERS).map(|_| scope.spawn(start)).collect();
        starters.into_iter().map(|starter| starter.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing left behind");
}

#[test]
fn an_identity_in_a_missing_folder_can_not_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let error =
        key_files::load_or_create(&folder.path().join("none/identity.key")).expect_err("no folder");
    assert!(error.to_string().contains("can't be written"), "{error}");
}

fn public_keys(count: usize) -> Vec<VerifyingKey> {
    (0..count).map(|_| SigningKey::generate().verifying_key()).collect()
}

#[test]
fn vendor_keys_stand_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vendor.pub");
    let keys = public_keys(16);
    key_files::save_public(&path, &keys).unwrap();
    assert_eq!(key_files::load_public(&path).unwrap(), keys);
    assert!(matches!(key_files::save_public(&path, &keys), Err(SaveKeyError::Exists { .. })));
    let commented =
        key_files::public_pem(&keys[..2]).replace("-----BEGIN", "\n# a key\r\n-----BEGIN");
    assert_eq!(key_files::parse_public(&commented).unwrap(), keys[..2]);
}

#[test]
fn what_is_no_list_of_public_keys_says_so() {
    let keys = public_keys(17);
    let one = key_files::public_pem(&keys[..1]);
    let with_rsa = one.replace("PUBLIC", "RSA PUBLIC");
    let x25519 = one.replace("MCowBQYDK2VwAyEA", "MCowBQYDK2VuAyEA");
    for (text, problem) in [
        (String::new(), PublicPemError::Empty),
        ("\n# none yet\n".to_string(), PublicPemError::Empty),
        (key_files::public_pem(&keys), PublicPemError::TooMany),
        (format!("{one}{one}"), PublicPemError::Twice { line: 4 }),
        (format!("{one}\nhello\n"), PublicPemError::Line { line: 5 }),
        (one.replace("-----END PUBLIC KEY-----\n", ""), PublicPemError::Line { line: 1 }),
        (with_rsa, PublicPemError::Line { line: 1 }),
        (x25519, PublicPemError::Line { line: 1 }),
        (one.replace("-----\nM", "-----\n!"), PublicPemError::Line { line: 1 }),
    ] {
        assert_eq!(key_files::parse_public(&text), Err(problem), "{text}");
    }
}

#[test]
fn a_passphrase_is_a_file_s_text_without_its_newline() {
    let (_folder, path) = private_file(b"");
    for (content, same_as) in
        [("secret", "secret"), ("secret\n", "secret"), ("a b\r\n", "a b"), ("x\n\n", "x\n")]
    {
        fs::write(&path, content).unwrap();
        let read = key_files::read_passphrase(&path).unwrap();
        let key_path = path.with_extension("pem");
        key_files::save(&key_path, &SigningKey::generate(), Some(&read)).unwrap();
        assert!(key_files::load(&key_path, Some(&passphrase(same_as))).is_ok(), "{content:?}");
        fs::remove_file(key_path).unwrap();
    }
    for content in [&b"\n"[..], b"", &[0xff], &[b'x'; 5_000]] {
        fs::write(&path, content).unwrap();
        assert!(key_files::read_passphrase(&path).is_err());
    }
    assert_eq!(format!("{:?}", passphrase("secret")), "KeyPassphrase(..)");
}
