//! Whether a backup is this host's: its licenses are bound to a machine and to a server's key, and the
//! core says whether that is this machine, as it would say it to a server.

use ve_core::{
    fingerprint::Machine,
    license::{License, Verified},
    node::event::Remembered,
    reason::{ReasonCode, Refusal},
};
use ve_documents::key_files::{self, LoadKeyError};
use ve_host::{PlatformError, clock};

use super::{place, stage::Stage};
use crate::{config::Config, home::Home, installed::has_license_files, judge, machine};

/// The machine, with the platform that the backup's configuration names, if any.
pub fn machine_for(stage: &Stage) -> Result<Machine, PlatformError> {
    // A configuration that is wrong names nothing; it comes back as it was.
    let config = Config::load(&place(&stage.folder, "config.toml")).unwrap_or_default();
    machine::read(config.host.platform).map(|host| host.machine)
}

/// Refuses a backup whose licenses are bound to another machine.
pub fn refuse_other_machine<'a>(
    stage: &Stage,
    licenses: impl IntoIterator<Item = &'a Verified<License>>,
    machine: &Machine,
) -> Result<(), Refusal> {
    let key = stage.manifest.server_key;
    for license in licenses {
        // An empty ledger: only the binding is asked for.
        let standing = judge::standing(license, key, machine, Remembered::default(), clock::now());
        match standing {
            Err(refusal) if refusal.code == ReasonCode::BindingChanged => return Err(refusal),
            _ => {}
        }
    }
    Ok(())
}

/// Refuses to put the backup of one server over the home of another.
pub fn refuse_other_server(stage: &Stage, home: &Home) -> Result<(), Refusal> {
    let refuse = |sentence: String| Err(Refusal::new(ReasonCode::BindingChanged, sentence));
    match key_files::load(&home.identity_key(), None) {
        Ok(key) if key.public() == stage.manifest.server_key => Ok(()),
        // Licenses that can't even be listed may be there.
        Ok(_) if has_license_files(home).unwrap_or(true) => refuse(format!(
            "{} has licenses for another server key than the backup's; restore the backup into a \
             home of its own",
            home.path().display()
        )),
        Ok(_) | Err(LoadKeyError::Missing { .. } | LoadKeyError::NotAKey { .. }) => Ok(()),
        Err(error) => refuse(format!(
            "whether {} is of the same server can't be found out: {error}",
            home.path().display()
        )),
    }
}

/// Whether the home has another server's key.
pub fn is_other_server(stage: &Stage, home: &Home) -> bool {
    key_files::load(&home.identity_key(), None)
        .is_ok_and(|key| key.public() != stage.manifest.server_key)
}
