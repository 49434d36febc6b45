//! `keygen`.

use std::{fs, os::unix::fs::PermissionsExt};

use ve_documents::key_files;

use crate::desk::Desk;

#[test]
fn a_new_pair_fits_together_and_is_private() {
    let desk = Desk::new();
    let run = desk.run(&["keygen", "--out", "@new/folder"]);
    run.assert_fine();
    let key = key_files::load(&desk.path("new/folder/vendor.key"), None).unwrap();
    let public = key_files::load_public(&desk.path("new/folder/vendor.pub")).unwrap();
    assert_eq!(public, [key.verifying_key()]);
    assert!(
        run.stdout.contains(&format!("Vendor key ID: {}\n", key.verifying_key().kid())),
        "{run:?}"
    );
    let mode = |name: &str| fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("new/folder/vendor.key"), 0o600);
    assert_eq!(mode("new/folder"), 0o700);
}

#[test]
fn a_passphrase_encrypts_the_key() {
    let desk = Desk::new();
    desk.write("secret", "correct horse\n");
    desk.run(&["keygen", "--out", "@new", "--passphrase-file", "@secret"]).assert_fine();
    assert!(desk.read("new/vendor.key").starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
    let passphrase = key_files::read_passphrase(&desk.path("secret")).unwrap();
    assert!(key_files::load(&desk.path("new/vendor.key"), Some(&passphrase)).is_ok());
    desk.write("secret", "\n");
    let run = desk.run(&["keygen", "--out", "@other", "--passphrase-file", "@secret"]);
    run.assert_fails(65, "secret is empty");
    assert!(!desk.path("other").exists());
}

#[test]
fn no_key_is_ever_overwritten() {
    let desk = Desk::new();
    for (left, gone) in [("vendor.key", "vendor.pub"), ("vendor.pub", "vendor.key")] {
        desk.run(&["keygen", "--out", "@new"]).assert_fine();
        let before = desk.read(&format!("new/{left}"));
        fs::remove_file(desk.path("new").join(gone)).unwrap();
        let run = desk.run(&["keygen", "--out", "@new"]);
        run.assert_fails(73, &format!("new/{left} exists already and is left as it is"));
        assert_eq!(desk.read(&format!("new/{left}")), before);
        assert_eq!(fs::read_dir(desk.path("new")).unwrap().count(), 1, "nothing half-made is left");
        fs::remove_dir_all(desk.path("new")).unwrap();
    }
}

#[test]
fn a_folder_that_can_not_be_made_says_so() {
    let desk = Desk::new();
    desk.run(&["keygen", "--out", "@L.toml/keys"])
        .assert_fails(73, "can't be made: Not a directory");
    desk.run(&["keygen", "--out", "/proc/keys"]).assert_fails(73, "/proc/keys can't be made");
}
