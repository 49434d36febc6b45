//! A server that is asked to end.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::net::TcpStream;

use super::{
    client::{Emulator, Event, Host},
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
