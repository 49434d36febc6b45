//! The machine that a server runs on, read as the service reads it.

use std::{env, path::PathBuf};

use ve_core::fingerprint::Platform;
use ve_host::{Host, PlatformError, Sources};

/// Where the service's unit leaves what only root may read.
pub const HANDED_IN: &str = "/run/license-server/handed-in";

/// The environment variable that names another such folder.
pub const HANDED_IN_VARIABLE: &str = "VE_HANDED_IN";

/// Where to look, on behalf of this process's own user.
pub fn sources() -> Sources {
    let folder = env::var_os(HANDED_IN_VARIABLE).map_or_else(|| HANDED_IN.into(), PathBuf::from);
    Sources::this_machine().handed_in_at(folder)
}

/// Reads the machine. `named` is the platform that the operator named, if any.
pub fn read(named: Option<Platform>) -> Result<Host, PlatformError> {
    ve_host::read(&sources(), named)
}
