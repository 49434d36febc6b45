//! A license server and a host whose emulators use it, for one test.

use std::path::Path;

use tempfile::TempDir;
use ve_core::{
    license::Lease,
    time::{HOUR_MS, SECOND_MS},
};
use ve_testbed::{LicenseBuilder, Server, Vendor, install, vendor, wait};

use crate::host::Host;

/// A license server, and a host that uses it.
pub(crate) struct Site {
    pub(crate) server: Server,
    pub(crate) host: Host,
    /// Removed last, when all that lives in it is gone.
    folder: TempDir,
}

impl Site {
    /// With a license that `edit` has changed. It allows three instances with up to 4 CPUs and 512
    /// MB, is checked every two seconds, and keeps its grace period and its leases for an hour, so
    /// that nothing ends by itself.
    pub(crate) fn new(edit: impl for<'a> FnOnce(LicenseBuilder<'a>) -> LicenseBuilder<'a>) -> Self {
        Self::make(|vendor, home| install(vendor, home, |license| edit(patient(license))))
    }

    /// Without any license.
    pub(crate) fn without_license() -> Self {
        Self::make(Vendor::trust_in)
    }

    fn make(prepare: impl FnOnce(&Vendor, &Path)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let vendor = vendor(&folder.path().join("vendor"));
        let home = folder.path().join("home");
        prepare(&vendor, &home);
        let server = Server::start(&home);
        let host = Host::new(&folder.path().join("host"), vendor.public_file(), &server.address());
        Self { server, host, folder }
    }

    /// A folder for anything else.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The names of the emulators that hold a seat.
    #[track_caller]
    pub(crate) fn seats(&self) -> Vec<String> {
        seats(&self.server)
    }

    /// Waits until the server has refused somebody with this reason code; what it said then.
    #[track_caller]
    pub(crate) fn denied(&self, code: &str) -> String {
        let denial = wait::until(format_args!("a denial with {code}"), || {
            self.server.list("denials").into_iter().find(|denial| denial["reason"] == code)
        });
        denial["message"].as_str().expect("a sentence").to_owned()
    }
}

/// The names of the emulators that hold a seat of this server's, sorted.
#[track_caller]
pub(crate) fn seats(server: &Server) -> Vec<String> {
    let sessions = server.list("sessions");
    let names = sessions.iter().map(|session| session["emulator"].as_str());
    let mut names: Vec<String> = names.map(|name| name.expect("a name").to_owned()).collect();
    names.sort();
    names
}

/// Nothing ends by itself within an hour; limits that tests meet.
pub(crate) fn patient(license: LicenseBuilder<'_>) -> LicenseBuilder<'_> {
    let limited = license.with(|license| {
        license.check_interval_ms = 2 * SECOND_MS;
        license.sections[0].max_cpu = 4;
        license.sections[0].max_memory_mb = 512;
    });
    lease(grace(limited, HOUR_MS), HOUR_MS)
}

/// Another grace period.
pub(crate) fn grace(license: LicenseBuilder<'_>, grace_ms: u64) -> LicenseBuilder<'_> {
    license.with(|license| license.grace_ms = grace_ms)
}

/// Another time for which a seat stays reserved.
pub(crate) fn lease(license: LicenseBuilder<'_>, lease_ms: u64) -> LicenseBuilder<'_> {
    license.with(|license| license.lease = Lease::For(lease_ms))
}
