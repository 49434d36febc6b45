//! The operator's terminal, which a guest may use as its console.
//!
//! When our standard input is a terminal, the guest stays in our process group, for only the
//! foreground group may read from a terminal. QEMU with `-nographic` puts the terminal into raw
//! mode, so Ctrl-C is a character for the guest and no signal for anyone. An engine that leaves the
//! terminal alone is started with SIGINT and SIGQUIT ignored, so that Ctrl-C reaches us alone and
//! becomes a clean shutdown. Without a terminal the guest gets a process group of its own.

use std::io::{self, IsTerminal};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// The settings of the terminal on standard input before the guest changed them.
#[derive(Debug)]
pub(super) struct SavedTerminal(Termios);

impl SavedTerminal {
    /// Takes the settings down; `None` when standard input is no terminal.
    pub(super) fn save() -> Option<Self> {
        let stdin = io::stdin();
        if stdin.is_terminal() { tcgetattr(stdin).ok().map(Self) } else { None }
    }

    /// Puts them back: a guest that was killed left the terminal raw.
    pub(super) fn restore(self) {
        // The terminal may be gone by now, and nobody would miss its settings.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}
