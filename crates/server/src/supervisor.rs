//! What comes from outside the protocol: signals, and the service manager that wants to know.

use std::{io, time::Duration};

use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Interval, MissedTickBehavior, interval},
};

/// Something that the whole server must react to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// SIGTERM or SIGINT: end.
    Terminate,
    /// SIGHUP: read everything anew.
    Reload,
    /// The service manager waits for a sign of life.
    Watchdog,
}

/// The events of this process.
#[derive(Debug)]
pub struct Events {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    watchdog: Option<Interval>,
}

impl Events {
    /// Begins to listen.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            watchdog: watchdog_period().map(|period| {
                // Twice as often as it must be.
                let mut ticks = interval(period / 2);
                ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
                ticks
            }),
        })
    }

    /// The next event.
    pub async fn next(&mut self) -> Event {
        let watchdog = async {
            match &mut self.watchdog {
                Some(ticks) => {
                    ticks.tick().await;
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Event::Terminate,
            _ = self.interrupt.recv() => Event::Terminate,
            _ = self.hangup.recv() => Event::Reload,
            () = watchdog => Event::Watchdog,
        }
    }
    /// Waits until this process is asked to end.
    pub async fn terminated(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}

fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn notify(states: &[NotifyState<'_>]) {
    // Without a service manager there is nobody to tell, and with one that is gone nothing to do.
    let _ = sd_notify::notify(states);
}

/// The server serves.
pub fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The server reads its configuration anew.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// The server is about to stop.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// The node has answered.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}
