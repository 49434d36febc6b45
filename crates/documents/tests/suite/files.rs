//! Reading within limits and writing all or nothing.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use ve_documents::files::{self, MAX_DOCUMENT_BYTES, ReadError};

#[test]
fn a_gigabyte_is_refused_by_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.v2c");
    fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    let error = files::read_document(&path).expect_err("too large");
    assert!(matches!(error, ReadError::TooLarge { limit: MAX_DOCUMENT_BYTES, .. }), "{error}");
    // Far more than could be read or allocated: only the size is looked at.
    fs::File::create(&path).unwrap().set_len(1 << 43).unwrap();
    assert!(matches!(files::read_document(&path), Err(ReadError::TooLarge { .. })));
}

#[test]
fn an_endless_file_is_refused_after_the_limit() {
    let error = files::read_limited(Path::new("/dev/zero"), 1000).expect_err("endless");
    assert!(matches!(error, ReadError::TooLarge { limit: 1000, .. }), "{error}");
}

#[test]
fn the_limit_itself_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    for (length, fits) in [(0, true), (99, true), (100, true), (101, false)] {
        fs::write(&path, vec![b'x'; length]).unwrap();
        assert_eq!(files::read_limited(&path, 100).is_ok(), fits, "{length} bytes");
    }
}

#[test]
fn what_is_no_text_or_no_file_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, [b'a', 0xff, b'b']).unwrap();
    let message = files::read_document(&path).expect_err("no text").to_string();
    assert!(message.ends_with("file is not UTF-8 text; was it damaged on its way?"), "{message}");
    let message = files::read_document(folder.path()).expect_err("a folder").to_string();
    assert!(message.contains("can't be read"), "{message}");
    let message =
        files::read_document(&folder.path().join("none")).expect_err("missing").to_string();
    assert!(message.contains("No such file"), "{message}");
}

#[test]
fn a_new_file_never_replaces_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    files::write_new(&path, b"first", 0o600).unwrap();
    let error = files::write_new(&path, b"second", 0o600).expect_err("exists");
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn replacing_keeps_links_and_writes_into_devices() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("file"), folder.path().join("link"));
    files::write_replacing(&path, b"first", 0o644).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    files::write_replacing(&link, b"second", 0o644).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    let null = folder.path().join("null");
    std::os::unix::fs::symlink("/dev/null", &null).unwrap();
    files::write_replacing(&null, b"gone", 0o644).unwrap();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    assert!(files::write_replacing(folder.path(), b"x", 0o644).is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
}
