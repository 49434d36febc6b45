//! A server that is asked to end.

use std::{
    fs,
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpStream,
    process::{Child, Command},
};

use super::{
    awaited,
    client::{Emulator, Event, Host},
    eventually,
    server::Server,
    site::Site,
};

/// How long an end may take, whatever the clients do.
const LIMIT: Duration = Duration::from_secs(5);

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
        assert_eq!(last_line(&site.log_text()), LAST_LINE);

        let server = site.start().await;
        assert_eq!(site.sessions().await.len(), 2);
        let again = one.run(server.port(), &first.emulator).await.expect("its own seat");
        assert_eq!(again.grant.session, first.grant.session);
        server.terminate().await;
    }
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

/// Makes every flush of a disk take longer than any test; given up when dropped. `None`, said aloud,
/// where this machine doesn't let us.
async fn make_the_disk_hang(server: &Server) -> Option<Child> {
    let mut strace = Command::new("strace");
    strace.args([
        "-f",
        "-e",
        "trace=fsync,fdatasync",
        "-e",
        "inject=fsync,fdatasync:delay_enter=600000000",
    ]);
    strace.args(["-p", &server.pid().to_string()]).stderr(Stdio::piped()).kill_on_drop(true);
    let mut strace = match strace.spawn() {
        Ok(strace) => strace,
        Err(error) => {
            eprintln!("skipped: there is no strace here: {error}");
            return None;
        }
    };
    let mut said = BufReader::new(strace.stderr.take().expect("a pipe")).lines();
    let first =
        awaited("strace's first words", said.next_line()).await.expect("text").unwrap_or_default();
    if !first.contains("attached") {
        eprintln!("skipped: strace may not look at another process here: {first}");
        return None;
    }
    // Whoever writes to a pipe that nobody reads would hang as well.
    tokio::spawn(async move { while said.next_line().await.is_ok_and(|line| line.is_some()) {} });
    Some(strace)
}

#[tokio::test]
async fn a_disk_that_hangs_holds_nothing_up() {
    let site = Site::licensed(|license| license).await;
    let server = site.start().await;
    let Some(mut strace) = make_the_disk_hang(&server).await else { return };
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
    strace.kill().await.expect("strace's end");
    let (status, log) = server.ended().await;
    assert!(status.success(), "{status}: {log:#?}");
    assert!(
        log.iter()
            .any(|line| line.ends_with("ERROR MAIN The ledger did not take everything in time.")),
        "{log:#?}"
    );
    assert!(waiting.await.expect("no panic").is_none(), "nobody was told of a seat");
}
