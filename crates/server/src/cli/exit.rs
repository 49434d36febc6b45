//! Exit codes, the same for every command of the system, and which error ends with which.

use ve_documents::{
    files::ReadError,
    key_files::{IdentityError, LoadKeyError},
};
use ve_manual::ManualError;
use ve_store::LoadError;

use crate::{
    config::ConfigError,
    control::{client::AskError, protocol::Failure},
    home::{ActAsOwnerError, HomeError, HomeLockError},
    install::InstallError,
};

/// Everything is fine.
pub const FINE: u8 = 0;
/// Wrong usage.
pub const USAGE: u8 = 64;
/// A bad input file.
pub const BAD_INPUT: u8 = 65;
/// No server is reachable.
pub const UNAVAILABLE: u8 = 69;
/// An internal error.
pub const INTERNAL: u8 = 70;
/// Something can't be written.
pub const CANT_WRITE: u8 = 73;
/// The home or the key is in use.
pub const TEMPORARY: u8 = 75;
/// Refused: by a rule, or for want of permission.
pub const REFUSED: u8 = 77;
/// The configuration or the home is not as it must be.
pub const CONFIG: u8 = 78;

/// A failure with an exit code; `message` says what happened, why, and what to do next.
#[allow(clippy::needless_pass_by_value, reason = "an error ends here")]
pub fn failure(exit_code: u8, message: impl ToString) -> Failure {
    Failure { exit_code, reason: None, message: message.to_string() }
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        Self::from(&error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        failure(CONFIG, error)
    }
}

impl From<HomeError> for Failure {
    fn from(error: HomeError) -> Self {
        failure(CANT_WRITE, error)
    }
}

impl From<HomeLockError> for Failure {
    fn from(error: HomeLockError) -> Self {
        match error {
            HomeLockError::InUse { .. } => failure(TEMPORARY, error),
            HomeLockError::Home(error) => error.into(),
        }
    }
}

impl From<ActAsOwnerError> for Failure {
    fn from(error: ActAsOwnerError) -> Self {
        failure(REFUSED, error)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        failure(INTERNAL, error)
    }
}

/// A document that was handed in and can't be read.
impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        failure(if error.is_permission_denied() { REFUSED } else { BAD_INPUT }, error)
    }
}

/// The server's own key.
impl From<LoadKeyError> for Failure {
    fn from(error: LoadKeyError) -> Self {
        match &error {
            LoadKeyError::Read(read) if read.is_permission_denied() => failure(REFUSED, error),
            _ => failure(CONFIG, error),
        }
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Load(error) => error.into(),
            IdentityError::Save(error) => failure(CANT_WRITE, error),
        }
    }
}

impl From<AskError> for Failure {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Failed(failure) => failure,
            AskError::NotRunning(home) => {
                let home = home.display();
                let message = format!(
                    "no license server runs in {home}; start it with `systemctl start licensed`, or \
                     with `licensed --home {home}`"
                );
                failure(UNAVAILABLE, message)
            }
        }
    }
}

impl From<ManualError> for Failure {
    fn from(error: ManualError) -> Self {
        let code = match error {
            ManualError::Shell => USAGE,
            ManualError::Internal(_) => INTERNAL,
        };
        failure(code, error)
    }
}
