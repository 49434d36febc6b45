//! Starts that can't be, and why.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tokio::process::Command;
use ve_testbed::programs;

use super::{
    client::{Emulator, Host},
    server::Server,
    site::{Said, Site, path},
};

#[tokio::test]
async fn a_second_server_in_the_same_home_is_told_who_has_it() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    let log = site.log_text();
    let message = site.start_in_vain().await.failed(75);
    assert!(message.contains(&format!("is in use by process {}", server.pid())), "{message}");
    assert!(
        !site.home().join("log/license.log.1").exists(),
        "the running server's log was rotated"
    );
    assert!(site.log_text().starts_with(&log));
    assert_eq!(server.count("in use"), 0);
    Host::new().run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
    server.terminate().await;
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let copy = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else if path.is_file() {
            fs::copy(&path, &copy).expect("a copy");
        }
    }
}

#[tokio::test]
async fn a_copy_of_a_home_can_not_run_beside_it() {
    let site = Site::licensed(|license| license).await;
    let copy = Site::at(&site.beside("copy"));
    let server = site.start().await;
    copy_folder(site.home(), copy.home());
    let message = copy.start_in_vain().await.failed(75);
    let expected = format!("is served on this host already, by process {}", server.pid());
    assert!(message.contains(&expected), "{message}");
    assert!(copy.log_text().contains(&expected), "the copy's own log says it as well");
    server.terminate().await;
    copy.start().await.terminate().await;
}

#[tokio::test]
async fn a_port_that_is_taken_names_its_holder() {
    let site = Site::licensed(|license| license).await;
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut command = Command::from(programs::command("licensed"));
    command.arg("--home").arg(site.home()).args(["--listen", &address]);
    let said: Said = command.output().await.expect("a program").into();
    let message = said.failed(75);
    let name = fs::read_to_string("/proc/self/comm").expect("this process's name");
    let expected = format!(
        "cannot bind to {address}: Address already in use (os error 98) (the port is held by process {}, {})",
        std::process::id(),
        name.trim()
    );
    assert!(message.contains(&expected), "{message}");
    assert!(site.log_text().contains(&expected));
    site.start().await.terminate().await;
}

#[tokio::test]
async fn a_home_that_can_not_be_written_is_named() {
    let Some(command) = programs::command_as_nobody("licensed") else {
        ve_testbed::skip("only root can become another user, and the build must be open to all");
        return;
    };
    let site = Site::new();
    let folder = site.beside("");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("an open folder");
    for home in [site.home().to_path_buf(), folder.join("not/there")] {
        let mut command = Command::from(clone(&command));
        command.arg("--home").arg(&home).args(["--listen", "127.0.0.1:0"]);
        let said: Said = command.output().await.expect("a program").into();
        let message = said.failed(73);
        assert!(
            message.contains("can't be written by user nobody (it belongs to root)"),
            "{message}"
        );
        assert!(message.contains("name another home with --home"), "{message}");
    }
    assert!(!folder.join("not").exists());
}

/// The same command once more.
fn clone(command: &std::process::Command) -> std::process::Command {
    let mut copy = std::process::Command::new(command.get_program());
    copy.args(command.get_args());
    copy
}

#[tokio::test]
async fn a_configuration_with_a_mistake_is_named_by_line_and_key() {
    let site = Site::new();
    let config = site.home().join("config.toml");
    let check = || site.tool("licensed", &["--check-config"]);
    let fine = format!("{}: the configuration is valid.\n", path(&config));
    assert_eq!(check().await.fine(), fine, "no file is all defaults");
    fs::write(&config, "[log]\nkeep = 3\n").expect("a file");
    assert_eq!(check().await.fine(), fine);
    for (text, expected) in [
        ("[log]\nkeep = 3\nutk = true\n", "line 3: unknown field `utk`"),
        ("lissten = \"127.0.0.1:1\"\n", "line 1: unknown field `lissten`"),
        ("[log]\nkeep = -1\n", "line 2: "),
        ("\nlisten", "line 2: "),
    ] {
        fs::write(&config, text).expect("a file");
        let expected = format!("{}, {expected}", path(&config));
        for said in [check().await, site.start_in_vain().await] {
            let message = said.failed(78);
            assert!(message.contains(&expected), "{text:?}: {message}");
        }
    }
    let left: Vec<PathBuf> = fs::read_dir(site.home())
        .expect("a home")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(left.len(), 2, "config.toml and vendor.pub, and nothing was made: {left:?}");
}

#[tokio::test]
async fn a_key_that_is_missing_beside_licenses_is_not_replaced() {
    let site = Site::licensed(|license| license).await;
    let key = site.home().join("identity.key");
    let kept = site.beside("kept.key");
    fs::rename(&key, &kept).expect("a key");
    let message = site.start_in_vain().await.failed(78);
    assert!(message.contains(path(&key)) && message.contains("c2v --new-identity"), "{message}");
    assert!(!key.exists());
    fs::rename(&kept, &key).expect("a key");
    site.start().await.terminate().await;
}

#[tokio::test]
async fn a_ledger_that_is_none_is_left_as_it_is() {
    let site = Site::licensed(|license| license).await;
    site.start().await.terminate().await;
    let path = site.home().join("ledger.db");
    let sound = fs::read(&path).expect("a ledger");
    let mut newer = sound.clone();
    // `PRAGMA user_version`, as the format of SQLite's files has it.
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    let mut foreign = sound.clone();
    // `PRAGMA application_id`: somebody else's database.
    foreign[68..72].copy_from_slice(b"else");
    for (bytes, expected) in [
        (foreign, "is no ledger of a license server; it was left as it is"),
        (newer, "has format 99"),
    ] {
        fs::write(&path, &bytes).expect("a file");
        let message = site.start_in_vain().await.failed(70);
        assert!(
            message.contains(expected) && message.contains("it was left as it is"),
            "{message}"
        );
        assert!(site.log_text().contains("ERROR MAIN "), "the log says it as well");
        assert!(fs::read(&path).expect("a file") == bytes, "the file was changed");
    }
    fs::write(&path, &sound).expect("a file");
    site.start().await.terminate().await;
}

/// What the server says when it had to begin a new ledger, and what it serves with then.
async fn begins_a_new_ledger(site: &Site, why: &str) {
    let server: Server = site.start().await;
    assert_eq!(server.count(&format!("ERROR MAIN ledger.db was {why}")), 1, "{:#?}", server.log());
    assert_eq!(server.count("ERROR MAIN Lost are all sessions"), 1, "{:#?}", server.log());
    let saved = server.logs("ERROR MAIN Saved from marks.reserve: ").await;
    assert!(saved.contains("01.00000001.002.044 had version 1"), "{saved}");
    let text = site.tool("licensectl", &["status"]).await.fine();
    assert!(text.contains("Attention: The ledger was begun anew on "), "{text}");
    Host::new().run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
    server.terminate().await;
}

#[tokio::test]
async fn a_damaged_ledger_is_kept_aside_and_the_log_says_what_is_lost() {
    let site = Site::licensed(|license| license).await;
    site.start().await.terminate().await;
    let path = site.home().join("ledger.db");
    let sound = fs::read(&path).expect("a ledger");
    let mut damaged = sound.clone();
    damaged[5_000..].fill(0xa5);
    for bytes in [damaged, sound[..sound.len() / 2].to_vec()] {
        fs::write(&path, &bytes).expect("a file");
        begins_a_new_ledger(&site, "damaged").await;
        let kept = fs::read_dir(site.home()).expect("a home").any(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            name.starts_with("ledger.db.damaged-") && fs::read(&path).is_ok_and(|b| b == bytes)
        });
        assert!(kept, "the damaged file is gone");
    }
}

#[tokio::test]
async fn a_ledger_that_is_gone_beside_used_licenses_is_news() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    assert_eq!(server.count("ERROR MAIN"), 0, "{:#?}", server.log());
    server.terminate().await;
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(site.home().join(format!("ledger.db{suffix}")));
    }
    begins_a_new_ledger(&site, "missing").await;
}

#[tokio::test]
async fn a_web_address_is_taken_and_the_log_says_that_nothing_is_there() {
    let site = Site::licensed(|license| license).await;
    let mut command = site.command();
    command.args(["--web-listen", "127.0.0.1:0"]);
    let server = Server::start(command).await;
    assert_eq!(server.count("WARN MAIN This version has no web GUI yet"), 1, "{:#?}", server.log());
    server.terminate().await;
}
