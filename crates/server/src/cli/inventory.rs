//! What is installed in a home and how it stands: as the running server says, else as the core
//! judges it from the ledger and the machine.

use ve_core::{
    fingerprint::{Machine, Platform},
    id::ServerKey,
};
use ve_documents::{key_files, key_files::LoadKeyError, keys::SigningKey};
use ve_host::clock;
use ve_store::{HighWater, ReadOnly};

use super::{exit, program::warn};
use crate::{
    config::Config,
    control::{
        client::{self, AskError},
        protocol::{Failure, LicenseReport, Licenses, Request},
        reports,
    },
    home::Home,
    installed::{self, Loaded},
    judge, machine,
};

/// What is installed, and how it stands.
#[derive(Debug)]
pub struct Inventory {
    /// The licenses as files.
    pub loaded: Loaded,
    /// One report for each license.
    pub reports: Vec<LicenseReport>,
}

/// Takes stock of a home.
pub fn take(home: &Home) -> Result<Inventory, Failure> {
    let loaded = installed::load(home);
    if let Some(trouble) = loaded.trouble.first() {
        if loaded.trusted.is_empty() {
            return Err(exit::failure(exit::REFUSED, trouble));
        }
        // The license that it is about is in the list, too.
        warn(trouble);
    }
    let reports = match client::ask::<Licenses>(home, &Request::Licenses) {
        Ok(licenses) => licenses.licenses,
        Err(AskError::NotRunning(_)) => judged(home, &loaded)?,
        Err(AskError::Failed(failure)) => return Err(failure),
    };
    Ok(Inventory { loaded, reports })
}

/// How the licenses stand while no server runs.
fn judged(home: &Home, loaded: &Loaded) -> Result<Vec<LicenseReport>, Failure> {
    if loaded.trusted.is_empty() && loaded.unusable.is_empty() {
        return Ok(Vec::new());
    }
    let mut ledger = ReadOnly::open(&home.ledger())?;
    let remembered = ledger.remember()?;
    let is_lost = !ledger.has_ledger() && HighWater::of(&remembered).is_empty();
    let (trusted, unusable) = (loaded.trusted.clone(), loaded.unusable.clone());
    let (key, machine) = (known_key(home)?, read_machine(home, None)?.machine);
    let now = clock::now();
    let node = judge::node(key, machine, remembered, trusted, unusable, now);
    let reports = reports::licenses(&node, now, false).licenses;
    if is_lost && reports.iter().any(|report| report.remaining_seconds.is_some()) {
        warn(&format!(
            "The hours used are not known: there is neither {} nor a marks.reserve with marks. All \
             hours are shown as left; restore the latest backup with `licensectl restore`.",
            home.ledger().display()
        ));
    }
    Ok(reports)
}

/// The server's public key; without one, a key that no license is bound to.
fn known_key(home: &Home) -> Result<ServerKey, Failure> {
    if let Some(key) = identity(home)? {
        return Ok(key.public());
    }
    let path = home.identity_key();
    warn(&format!("There is no {}, so no license can be bound to this server.", path.display()));
    Ok(ServerKey([0; ServerKey::LENGTH]))
}

/// The server's own key; `None` when there is none yet.
pub fn identity(home: &Home) -> Result<Option<SigningKey>, Failure> {
    match key_files::load(&home.identity_key(), None) {
        Ok(key) => Ok(Some(key)),
        Err(LoadKeyError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The machine, with the platform that was `named`, else the configured one.
pub fn read_machine(home: &Home, named: Option<Platform>) -> Result<ve_host::Host, Failure> {
    let config = Config::load(&home.config_file())?;
    machine::read(named.or(config.host.platform)).map_err(|error| {
        exit::failure(if named.is_some() { exit::USAGE } else { exit::CONFIG }, error)
    })
}

/// The machine alone, as configured.
pub fn configured_machine(home: &Home) -> Result<Machine, Failure> {
    read_machine(home, None).map(|host| host.machine)
}
