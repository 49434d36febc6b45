//! Exit codes of the runner, as users' scripts know them.

use std::process::ExitCode;

use crate::engine::GuestExit;

/// How the runner ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitStatus(u8);

impl ExitStatus {
    /// All is well.
    pub const FINE: Self = Self(0);
    /// The command line is wrong.
    pub const USAGE: Self = Self(64);
    /// No license server can be reached.
    pub const NO_SERVER: Self = Self(69);
    /// Something failed inside.
    pub const INTERNAL: Self = Self(70);
    /// A file can't be written.
    pub const CANNOT_WRITE: Self = Self(73);
    /// Try later: the name is in use, or the runner stopped the guest because of the license.
    pub const TEMPORARY: Self = Self(75);
    /// A server refused.
    pub const REFUSED: Self = Self(77);
    /// The VM's file is wrong.
    pub const CONFIGURATION: Self = Self(78);

    /// As the guest's program ended.
    pub fn of_guest(exit: &GuestExit) -> Self {
        Self(u8::try_from(exit.exit_code()).unwrap_or(Self::INTERNAL.0))
    }

    /// The number.
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.0)
    }
}
