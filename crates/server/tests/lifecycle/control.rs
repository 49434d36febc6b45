//! The control socket: who may ask, what is no request, and what `licensectl` does to sessions.

use std::{
    fs,
    io::{Read, Write},
    net::Shutdown,
    os::unix::{fs::PermissionsExt, net::UnixStream},
};

use serde_json::Value as Json;
use tokio::{process::Command, task::spawn_blocking};
use ve_core::reason::ReasonCode;
use ve_server::control::protocol::MAX_REQUEST_BYTES;
use ve_testbed::programs;

use super::{
    awaited,
    client::{Emulator, Event, Host},
    site::{Said, Site},
};

#[tokio::test]
async fn another_user_is_refused() {
    let Some(_) = programs::command_as_nobody("licensectl") else {
        ve_testbed::skip("only root can become another user, and the build must be open to all");
        return;
    };
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    let ask = async || -> Said {
        let command = programs::command_as_nobody("licensectl").expect("as before");
        let mut command = Command::from(command);
        command.arg("--home").arg(site.home()).arg("status");
        command.output().await.expect("a program").into()
    };
    let open = |path: &str, mode| {
        let path = site.home().join(path);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("an owner's right");
    };
    open("..", 0o755);
    let message = ask().await.failed(77);
    assert!(message.contains("use sudo"), "{message}");

    // Even where everybody can reach the socket, the server looks at who asks.
    open("", 0o755);
    open("run", 0o755);
    open("run/licensed.sock", 0o777);
    let message = ask().await.failed(77);
    assert!(
        message.contains("only root and the user of the license server may ask it."),
        "{message}"
    );
    site.tool("licensectl", &["status"]).await.fine();
    server.terminate().await;
}

/// What a server replies to these bytes.
async fn reply(site: &Site, request: Vec<u8>) -> Json {
    let socket = site.home().join("run/licensed.sock");
    let conversation = spawn_blocking(move || {
        let mut stream = UnixStream::connect(socket).expect("a server");
        // A server that has read enough reads no more.
        let _ = stream.write_all(&request).and_then(|()| stream.shutdown(Shutdown::Write));
        let mut reply = Vec::new();
        // It closes with the rest unread, which is an error here after the reply.
        let _ = stream.read_to_end(&mut reply);
        serde_json::from_slice(&reply).expect("JSON")
    });
    awaited("a reply", conversation).await.expect("no panic")
}

#[tokio::test]
async fn what_is_no_request_gets_a_clear_failure_and_does_no_harm() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    let running = Host::new().run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
    for (request, expected) in [
        (b"hello\n".to_vec(), "the request can't be understood: "),
        (b"\n".to_vec(), "the request can't be understood: "),
        (b"".to_vec(), "the request can't be understood: "),
        (b"\xff\xfe\x00\n".to_vec(), "the request can't be understood: "),
        (b"{}\n".to_vec(), "missing field `ask`"),
        (b"{\"ask\":\"fly\"}\n".to_vec(), "unknown variant `fly`"),
        (b"{\"ask\":\"release\"}\n".to_vec(), "missing field `number`"),
        (b"{\"ask\":\"release\",\"number\":-1}\n".to_vec(), "the request can't be understood: "),
        (b"{\"ask\":\"release\",\"number\":1,\"force\":true}\n".to_vec(), "unknown field `force`"),
        (b"{\"ask\":\"status\"} {\"ask\":\"status\"}\n".to_vec(), "trailing characters"),
        (b"{\"ask\":\"status\",\"ask\":\"fly\"}\n".to_vec(), "duplicate field"),
        ([b"[".repeat(200_000), b"\n".to_vec()].concat(), "the request can't be understood: "),
        (vec![b'x'; MAX_REQUEST_BYTES + 1], "the request is too long."),
        ([vec![b' '; 4 * MAX_REQUEST_BYTES], b"\n".to_vec()].concat(), "the request is too long."),
    ] {
        let start: String = String::from_utf8_lossy(&request).chars().take(40).collect();
        let reply = reply(&site, request).await;
        let failure = &reply["failed"];
        assert_eq!(failure["exit_code"], 64, "{start:?}: {reply}");
        let message = failure["message"].as_str().expect("a message");
        assert!(message.contains(expected), "{start:?}: {message}");
        assert!(message.chars().count() < 1_000, "{start:?}: a message is no echo");
    }
    running.link.check(running.grant.session).await.expect("nothing has changed");
    site.tool("licensectl", &["status"]).await.fine();
    server.terminate().await;
}

async fn only_session(site: &Site) -> String {
    let sessions = site.sessions().await;
    assert_eq!(sessions.len(), 1, "{sessions:#?}");
    sessions[0]["id"].to_string()
}

#[tokio::test]
async fn a_live_session_that_is_released_is_revoked_and_its_run_stays_out() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    let host = Host::new();
    let mut running = host.run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
    let number = only_session(&site).await;
    let done = site.tool("licensectl", &["sessions", "release", &number]).await.fine();
    assert!(done.contains(&format!("session {number}: revoked")), "{done}");
    match running.link.event().await {
        Event::Revoked(session, refusal) => {
            assert_eq!(session, running.grant.session);
            assert_eq!(refusal.code, ReasonCode::ReleasedByAdministrator);
        }
        other => panic!("{other:?}"),
    }
    let blocked = running.emulator.clone();
    host.refused(server.port(), &blocked, ReasonCode::ReleasedByAdministrator).await;
    // A restart forgets nothing of it, and other hosts are no matter.
    server.kill().await;
    let server = site.start().await;
    host.refused(server.port(), &blocked, ReasonCode::ReleasedByAdministrator).await;
    Host::new().run(server.port(), &blocked).await.expect("a seat for another host's emulator");
    host.run(server.port(), &blocked.started_anew()).await.expect("a seat for a new start");
    server.terminate().await;
}

#[tokio::test]
async fn a_left_session_that_is_released_makes_room() {
    let site = Site::licensed(|license| license.instances(1)).await;
    let server = site.start().await;
    let running = Host::new().run(server.port(), &Emulator::new("gone")).await.expect("a seat");
    drop(running.link);
    server.logs("has been disconnected").await;
    let host = Host::new();
    host.refused(server.port(), &Emulator::new("ss5"), ReasonCode::InstanceLimit).await;
    let number = only_session(&site).await;
    let done = site.tool("licensectl", &["sessions", "release", &number]).await.fine();
    assert!(done.contains("its seat is free"), "{done}");
    host.run(server.port(), &Emulator::new("ss5")).await.expect("the seat");
    for absent in [number.as_str(), "0", "18446744073709551615"] {
        let message = site.tool("licensectl", &["sessions", "release", absent]).await.failed(65);
        assert!(message.contains(&format!("there is no session {absent}.")), "{message}");
    }
    server.terminate().await;
}
