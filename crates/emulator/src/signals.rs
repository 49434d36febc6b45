//! The signals by which an operator ends the run.

use std::{fs, io};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Signals that ask for the end, caught from now on.
///
/// SIGTERM and SIGINT are a wish each. SIGHUP, which comes when the terminal is closed, is one only
/// when there was none before: shells and the kernel send it more than once, and that must not end a
/// guest that is shutting down. Under `nohup` it stays ignored.
#[derive(Debug)]
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Option<Signal>,
    /// There was a wish.
    asked: bool,
}

impl StopSignals {
    /// Catches them. Must be called inside a tokio runtime with I/O.
    pub(crate) fn catch() -> io::Result<Self> {
        let hangup = SignalKind::hangup();
        let ignored = is_ignored(hangup, &fs::read_to_string("/proc/self/status")?);
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: if ignored { None } else { Some(signal(hangup)?) },
            asked: false,
        })
    }

    /// The next wish. Cancel safe.
    pub(crate) async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => break,
                _ = self.interrupt.recv() => break,
                () = heard(self.hangup.as_mut()) => if !self.asked { break },
            }
        }
        self.asked = true;
    }
}

async fn heard(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether the status of a process (`/proc/PID/status`) says that it ignores a signal.
fn is_ignored(signal: SignalKind, status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal.as_raw_value() - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use rustix::process::{Signal as Sent, getpid, kill_process};

    use super::*;

    fn send(sent: Sent) {
        kill_process(getpid(), sent).expect("sent to this process");
    }

    #[tokio::test]
    async fn a_closed_terminal_is_a_wish_once_and_never_the_second() {
        let mut signals = StopSignals::catch().expect("caught");
        // Also when the tests themselves run under nohup.
        signals.hangup = Some(signal(SignalKind::hangup()).expect("caught"));
        let mut witness = signal(SignalKind::hangup()).expect("caught");
        send(Sent::HUP);
        signals.next().await;
        witness.recv().await;
        send(Sent::HUP);
        witness.recv().await;
        tokio::select! {
            biased;
            () = signals.next() => panic!("the second hang-up was taken for the second wish"),
            () = ready(()) => {}
        }
        for wish in [Sent::TERM, Sent::INT] {
            send(wish);
            signals.next().await;
        }
    }

    #[test]
    fn who_is_started_under_nohup_is_found_out() {
        for (status, ignored) in [
            ("Name:\tsh\nSigIgn:\t0000000000000001\nSigCgt:\t0000000000000000\n", true),
            ("Name:\tsh\nSigIgn:\t0000000000001006\nSigCgt:\t0000000000000001\n", false),
            ("Name:\tsh\n", false),
        ] {
            assert_eq!(is_ignored(SignalKind::hangup(), status), ignored, "{status}");
        }
    }
}
