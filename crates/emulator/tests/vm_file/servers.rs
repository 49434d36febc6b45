//! The servers and their passphrases, in every way in which they may be written.

use std::fs;

use ve_core::time::{MINUTE_MS, SECOND_MS};
use ve_emulator::vm_file::{Server, VmFile};

use crate::{SMALLEST, complaint, parse};

/// Primary and backup of a `[license]` with these lines, secrets revealed.
fn servers(lines: &str) -> Result<String, String> {
    let text = SMALLEST.replace("primary_server = \"localhost\"", lines);
    let vm = parse(&text).map_err(|_| complaint(&text))?;
    let shown = |server: &Server| {
        let secret = server.passphrase.as_ref().map_or("-", |secret| secret.reveal());
        format!("{} {secret}", server.address)
    };
    let backup = vm.license.backup.as_ref().map_or("-".to_owned(), shown);
    Ok(format!("{} | {backup} {:?}", shown(&vm.license.primary), vm.secret_variables))
}

#[test]
fn servers_and_passphrases_are_written_in_several_ways() {
    for (lines, expected) in [
        (
            r#"servers = "VE://10.1.1.1:8083/1111-2222-3333-4444,VE://10.1.1.2""#,
            "10.1.1.1:8083 1111-2222-3333-4444 | 10.1.1.2:8083 - []",
        ),
        (r#"servers = "ve://[::1]:90/a/b/, VE://other/""#, "[::1]:90 a/b | other:8083 - []"),
        (r#"servers = "VE://one""#, "one:8083 - | - []"),
        (
            "primary_server = \"a\"\npassphrase = \"x\"\nbackup_server = \"b\"",
            "a:8083 x | b:8083 x []",
        ),
        (
            "primary_server = \"a\"\npassphrase = \"x\"\nbackup_server = \"b\"\nbackup_passphrase = \"y\"",
            "a:8083 x | b:8083 y []",
        ),
        (
            "primary_server = \"a\"\npassphrase_env = \"SECRET\"",
            "a:8083 5555-6666-7777-8888 | - [\"SECRET\"]",
        ),
        (
            "primary_server = \"a\"\nbackup_server = \"a:1\"\nbackup_passphrase_env = \"SECRET\"",
            "a:8083 - | a:1 5555-6666-7777-8888 [\"SECRET\"]",
        ),
    ] {
        assert_eq!(servers(lines).as_deref(), Ok(expected), "{lines}");
    }
}

#[test]
fn servers_that_contradict_each_other_are_refused() {
    for (lines, expected) in [
        (
            "servers = \"VE://a\"\nprimary_server = \"a\"",
            "line 9: `license.servers`: says all of it in one line; remove `license.primary_server` or write both servers in keys of their own",
        ),
        (
            "servers = \"VE://a\"\npassphrase = \"a\"",
            "line 9: `license.servers`: says all of it in one line; remove `license.passphrase` or write both servers in keys of their own",
        ),
        (
            "servers = \"VE://a,VE://b,VE://c\"",
            "line 9: `license.servers`: names more than two servers",
        ),
        (
            "servers = \"http://a\"",
            "line 9: `license.servers`: servers are written as VE://host[:port]/passphrase, at most two, with a comma between them",
        ),
        (
            "servers = \"\"",
            "line 9: `license.servers`: servers are written as VE://host[:port]/passphrase, at most two, with a comma between them",
        ),
        (
            "servers = \"VE://::1/x\"",
            "line 9: `license.servers`: an IPv6 address is written in brackets, such as [::1]:8083",
        ),
        ("", "line 8: `license.primary_server`: this key is missing"),
        (
            "primary_server = \"a\"\nbackup_passphrase = \"x\"",
            "line 10: `license.backup_passphrase`: is given, but `license.backup_server` is not",
        ),
        (
            "primary_server = \"a\"\npassphrase = \"x\"\npassphrase_env = \"SECRET\"",
            "line 11: `license.passphrase_env`: there is `license.passphrase` as well; keep one of them",
        ),
        (
            "primary_server = \"a\"\npassphrase_env = \"NOT_SET\"",
            "line 10: `license.passphrase_env`: this environment variable is not set, or not UTF-8",
        ),
        (
            "primary_server = \"a\"\npassphrase_env = \"EMPTY\"",
            "line 10: `license.passphrase_env`: the passphrase in this environment variable is empty",
        ),
        (
            "primary_server = \"a\"\npassphrase_file = \"none\"",
            "line 10: `license.passphrase_file`: can't read the passphrase from this file: No such file or directory (os error 2)",
        ),
        (
            "primary_server = \"a:0\"",
            "line 9: `license.primary_server`: a port is a number from 1 to 65535",
        ),
    ] {
        assert_eq!(servers(lines), Err(expected.to_owned()), "{lines}");
    }
}

#[test]
fn one_server_twice_is_refused_in_every_spelling() {
    for (lines, expected) in [
        (
            "servers = \"VE://a,VE://a:8083/x\"",
            "line 9: `license.servers`: the second server is the same server as the primary one; a backup must be another server",
        ),
        (
            "primary_server = \"a\"\nbackup_server = \"a:8083\"",
            "line 10: `license.backup_server`: is the same server as the primary one; a backup must be another server",
        ),
        (
            "primary_server = \"License.example\"\nbackup_server = \"license.EXAMPLE.:8083\"",
            "line 10: `license.backup_server`: is the same server as the primary one; a backup must be another server",
        ),
        (
            "servers = \"VE://[::1]/x,VE://[0::1]:8083/y\"",
            "line 9: `license.servers`: the second server is the same server as the primary one; a backup must be another server",
        ),
    ] {
        assert_eq!(servers(lines), Err(expected.to_owned()), "{lines}");
    }
}

#[test]
fn the_primary_is_probed_now_and_then_but_not_all_the_time() {
    for (lines, expected) in [
        (
            "primary_server = \"a\"\nprimary_probe = \"999ms\"",
            "line 10: `license.primary_probe`: must be at least 1s",
        ),
        (
            "primary_server = \"a\"\nprimary_probe = \"often\"",
            "line 10: `license.primary_probe`: a duration is a whole number and a unit, such as 90s, 2m, 1h or 1d",
        ),
    ] {
        assert_eq!(servers(lines), Err(expected.to_owned()), "{lines}");
    }
    for (line, interval_ms) in [("", MINUTE_MS), ("primary_probe = \"1s\"", SECOND_MS)] {
        let text = SMALLEST.replace("\"localhost\"", &format!("\"localhost\"\n{line}"));
        assert_eq!(parse(&text).expect("a file").license.primary_probe_ms, interval_ms);
    }
}

#[test]
fn passphrase_files_hold_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = SMALLEST.replace("\"localhost\"", "\"a\"\npassphrase_file = \"secret\"");
    for (contents, expected) in [
        ("1111-2222\n", Ok("1111-2222".to_owned())),
        ("1111-2222\r\n", Ok("1111-2222".to_owned())),
        ("1111-2222", Ok("1111-2222".to_owned())),
        ("", Err("the passphrase in this file is empty")),
        ("one\ntwo\n", Err("the passphrase in this file contains a control character")),
        (&"x".repeat(5_000), Err("the passphrase in this file is longer than 128 bytes")),
    ] {
        fs::write(folder.path().join("secret"), contents).expect("written");
        match (VmFile::parse(&file, &folder.path().join("VM.toml"), &|_| None), expected) {
            (Ok(vm), Ok(secret)) => {
                let passphrase = vm.license.primary.passphrase.expect("a passphrase");
                assert_eq!(passphrase.reveal(), secret);
            }
            (Err(error), Err(expected)) => {
                assert!(error.to_string().ends_with(expected), "{error}");
            }
            (found, expected) => panic!("{found:?} is not {expected:?}"),
        }
    }
}
