//! How a guest's program ended.

use std::{fmt, io, os::unix::process::ExitStatusExt, process::ExitStatus};

/// How a guest's program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuestExit {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The system would not say.
    Unknown(String),
}

impl GuestExit {
    /// The code with which this process exits in turn: the guest's own, 128 and the signal's number
    /// as shells do, or 70.
    pub const fn exit_code(&self) -> i32 {
        match self {
            Self::Code(code) => *code,
            Self::Signal(signal) => 128 + *signal,
            Self::Unknown(_) => 70,
        }
    }
}

impl From<io::Result<ExitStatus>> for GuestExit {
    fn from(status: io::Result<ExitStatus>) -> Self {
        match status {
            Ok(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Self::Code(code),
                (None, Some(signal)) => Self::Signal(signal),
                (None, None) => Self::Unknown(status.to_string()),
            },
            Err(error) => Self::Unknown(error.to_string()),
        }
    }
}

impl fmt::Display for GuestExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unknown(reason) => write!(f, "an unknown end ({reason})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_told_as_shells_tell_it() {
        for (raw, exit, code) in [
            (0, GuestExit::Code(0), 0),
            (3 << 8, GuestExit::Code(3), 3),
            (9, GuestExit::Signal(9), 137),
            (15, GuestExit::Signal(15), 143),
        ] {
            let found = GuestExit::from(Ok(ExitStatus::from_raw(raw)));
            assert_eq!((found.exit_code(), found), (code, exit));
        }
        assert_eq!(GuestExit::from(Err(io::ErrorKind::NotFound.into())).exit_code(), 70);
    }
}
