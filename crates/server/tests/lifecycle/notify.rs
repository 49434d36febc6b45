//! What the service manager hears: a socket of the test's own stands for it.

use std::process::Stdio;

use rustix::process::Signal;
use tokio::{net::UnixDatagram, process::Command};
use ve_testbed::programs;

use super::{awaited, server::Server, site::Site};

/// The service manager's end.
struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    fn bind(site: &Site) -> Self {
        Self { socket: UnixDatagram::bind(site.beside("notify")).expect("a socket") }
    }

    /// The next message that is not a sign of life.
    async fn hears(&self) -> String {
        loop {
            let message = self.hears_anything().await;
            if message != "WATCHDOG=1" {
                return message;
            }
        }
    }

    async fn hears_anything(&self) -> String {
        let mut bytes = [0; 4_096];
        let length =
            awaited("a notification", self.socket.recv(&mut bytes)).await.expect("a socket");
        String::from_utf8(bytes[..length].to_vec()).expect("text").trim().to_owned()
    }
}

/// Starts a server as systemd does. `watchdog_us` is the unit's `WatchdogSec`, in microseconds.
async fn start(site: &Site, watchdog_us: Option<u64>) -> Server {
    let mut command = Command::new("sh");
    // The process that sh becomes is the one that the watchdog is meant for.
    command.args(["-c", "[ -z \"$WATCHDOG_USEC\" ] || export WATCHDOG_PID=$$; exec \"$@\"", "sh"]);
    command.arg(programs::path("licensed")).arg("--home").arg(site.home());
    command.args(["--listen", "127.0.0.1:0"]).stdin(Stdio::null());
    command.env("NOTIFY_SOCKET", site.beside("notify"));
    command.env_remove("WATCHDOG_USEC").env_remove("WATCHDOG_PID");
    if let Some(watchdog_us) = watchdog_us {
        command.env("WATCHDOG_USEC", watchdog_us.to_string());
    }
    Server::start(command).await
}

#[tokio::test]
async fn the_service_manager_hears_of_every_step() {
    let site = Site::licensed(|license| license).await;
    let manager = Manager::bind(&site);
    let server = start(&site, Some(100_000)).await;
    assert_eq!(manager.hears().await, "READY=1");
    for _ in 0..3 {
        assert_eq!(manager.hears_anything().await, "WATCHDOG=1");
    }
    server.signal(Signal::HUP);
    let reloading = manager.hears().await;
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading:?}");
    assert_eq!(manager.hears().await, "READY=1");
    server.signal(Signal::TERM);
    assert_eq!(manager.hears().await, "STOPPING=1");
    let (status, log) = server.ended().await;
    assert!(status.success(), "{status}: {log:#?}");
}

#[tokio::test]
async fn without_a_watchdog_there_are_no_signs_of_life() {
    let site = Site::licensed(|license| license).await;
    let manager = Manager::bind(&site);
    let server = start(&site, None).await;
    assert_eq!(manager.hears_anything().await, "READY=1");
    server.signal(Signal::TERM);
    assert_eq!(manager.hears_anything().await, "STOPPING=1");
    server.ended().await;
    assert!(manager.socket.try_recv(&mut [0; 16]).is_err(), "nothing more");
}

#[tokio::test]
async fn a_start_in_vain_is_never_ready() {
    let site = Site::licensed(|license| license).await;
    let manager = Manager::bind(&site);
    let mut command = site.command();
    command.env("NOTIFY_SOCKET", site.beside("notify"));
    let running = site.start().await;
    let output = command.output().await.expect("a program");
    assert_eq!(output.status.code(), Some(75));
    assert!(manager.socket.try_recv(&mut [0; 16]).is_err(), "nothing was said");
    running.terminate().await;
}
