//! A server that is asked to end.

use std::{
    fs,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::net::TcpStream;
use ve_core::reason::ReasonCode;

use super::{
    client::{Emulator, Event, Host},
    eventually,
    server::Server,
    site::Site,
    strace::{Threads, attach},
};

/// How long an end may take, whatever the clients do.
const LIMIT: Duration = Duration::from_secs(5);

/// The number of a system call, as `/proc/PID/syscall` shows it.
#[cfg(target_arch = "x86_64")]
const GETDENTS64: &str = "217 ";
#[cfg(not(target_arch = "x86_64"))]
const GETDENTS64: &str = "61 ";

const LAST_LINE: &str = "INFO MAIN The program is terminated.";

fn last_line(text: &str) -> &str {
    &text.lines().last().expect("a log")[20..]
}

#[tokio::test]
async fn clients_are_told_and_their_sessions_are_kept() {
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::licensed(|license| license).await;
        let server = site.start().await;
        let (one, two) = (Host::new(), Host::new());
        let mut first = one.run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
        let mut second = two.run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
        server.signal(signal);
        assert_eq!(first.link.event().await, Event::Closing);
        assert_eq!(second.link.event().await, Event::Closing);
        drop((first.link, second.link));
        let (status, log) = server.ended().await;
        assert!(status.success(), "{status}: {log:#?}");
        let told = "INFO MAIN The server is stopping; 2 clients are told to go elsewhere.";
        assert_eq!(log.iter().filter(|line| line.ends_with(told)).count(), 1, "{log:#?}");
        assert_eq!(last_line(&site.log_text()), LAST_LINE);

        let server = site.start().await;
        assert_eq!(site.sessions().await.len(), 2);
        let again = one.run(server.port(), &first.emulator).await.expect("its own seat");
        assert_eq!(again.grant.session, first.grant.session);
        server.terminate().await;
    }
}

/// What a client does that finds a seat elsewhere: it stays until it has logged out here.
#[tokio::test]
async fn who_logs_out_when_the_server_closes_is_answered() {
    const CLIENTS: usize = 20;
    let site = Site::licensed(|license| license.instances(100)).await;
    let server = site.start().await;
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let emulator = Emulator::new(&format!("vm {number}"));
        clients.push(Host::new().run(server.port(), &emulator).await.expect("a seat"));
    }
    server.signal(Signal::TERM);
    for client in &mut clients {
        assert_eq!(client.link.event().await, Event::Closing);
    }
    // Nobody gets in any more; who is in is answered, in whatever order.
    let late = clients[0].link.login(&Emulator::new("late")).await.expect_err("no seat");
    assert_eq!(late.code, ReasonCode::ServerDraining, "{late}");
    for client in clients.iter().rev() {
        client.link.check(client.grant.session).await.expect("still licensed");
        client.link.logout(client.grant.session).await.expect("an end that is durable");
    }
    drop(clients);
    let (status, log) = server.ended().await;
    assert!(status.success(), "{status}: {log:#?}");
    assert_eq!(last_line(&site.log_text()), LAST_LINE);
    let server = site.start().await;
    assert_eq!(site.sessions().await, Vec::<serde_json::Value>::new());
    server.terminate().await;
}

/// A reload that reads from a disk that hangs: an end does not wait for it.
#[tokio::test]
async fn a_reload_that_hangs_holds_nothing_up() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    let (looks, hang) = ("getdents64", "delay_enter=600000000");
    let Some(strace) = attach(&server, Threads::All, looks, hang).await else { return };
    server.signal(Signal::HUP);
    // It hangs when it reads the folder of the licenses.
    let blocked = async || {
        let threads = fs::read_dir(format!("/proc/{}/task", server.pid())).ok()?;
        let mut calls =
            threads.filter_map(|task| fs::read_to_string(task.ok()?.path().join("syscall")).ok());
        calls.any(|call| call.starts_with(GETDENTS64)).then_some(())
    };
    eventually("a reload that waits for the disk", blocked).await;
    let began = Instant::now();
    server.signal(Signal::TERM);
    server.logs(LAST_LINE).await;
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    strace.end().await;
    let (status, log) = server.ended().await;
    assert!(status.success(), "{status}: {log:#?}");
}

#[tokio::test]
async fn clients_that_are_stuck_hold_nothing_up() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    let address = ("127.0.0.1", server.port());
    let _says_nothing = TcpStream::connect(address).await.expect("a connection");
    let host = Host::new();
    let mut told = host.run(server.port(), &Emulator::new("stays")).await.expect("a seat");
    let frozen = host.run(server.port(), &Emulator::new("frozen")).await.expect("a seat");
    frozen.link.freeze();
    let began = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(told.link.event().await, Event::Closing);
    let (status, log) = server.ended().await;
    assert!(status.success(), "{status}: {log:#?}");
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    assert_eq!(last_line(&site.log_text()), LAST_LINE);
    assert_eq!(told.link.event().await, Event::Closed);
}

#[tokio::test]
async fn a_second_signal_changes_nothing() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    let mut seat = Host::new().run(server.port(), &Emulator::new("ss5")).await.expect("a seat");
    server.signal(Signal::TERM);
    assert_eq!(seat.link.event().await, Event::Closing);
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        server.signal(signal);
    }
    let (status, log) = server.ended().await;
    assert!(status.success(), "{status}: {log:#?}");
    assert_eq!(last_line(&site.log_text()), LAST_LINE);
}

#[tokio::test]
async fn a_signal_that_comes_during_the_start_is_not_lost() {
    let site = Site::licensed(|license| license).await;
    let server = Server::begin(site.command());
    server.logs("INFO MAIN Build time: ").await;
    server.signal(Signal::TERM);
    let (status, log) = server.ended().await;
    assert!(status.success(), "{status}: {log:#?}");
    assert_eq!(last_line(&site.log_text()), LAST_LINE);
}

#[tokio::test]
async fn a_disk_that_hangs_holds_nothing_up() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    // Every flush takes longer than any test.
    let (flushes, hang) = ("fsync,fdatasync", "delay_enter=600000000");
    let Some(strace) = attach(&server, Threads::All, flushes, hang).await else { return };
    let link = Host::new().connect(server.port()).await.expect("a license");
    let waiting = tokio::spawn(async move { link.try_login(&Emulator::new("ss5")).await });
    let opening = async || (site.sessions().await.first()?["state"] == "opening").then_some(());
    eventually("a login that waits for the disk", opening).await;
    let began = Instant::now();
    server.signal(Signal::TERM);
    // The process has ended, but strace doesn't let its threads go.
    let stat = format!("/proc/{}/stat", server.pid());
    let ended = async || fs::read_to_string(&stat).ok()?.contains(") Z ").then_some(());
    eventually("the server's end", ended).await;
    assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    strace.end().await;
    let (status, log) = server.ended().await;
    assert!(status.success(), "{status}: {log:#?}");
    assert!(
        log.iter()
            .any(|line| line.ends_with("ERROR MAIN The ledger did not take everything in time.")),
        "{log:#?}"
    );
    assert!(waiting.await.expect("no panic").is_none(), "nobody was told of a seat");
}
