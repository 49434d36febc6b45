//! A primary and a backup server of one vendor, and a host whose emulators know both.

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use ve_testbed::{LicenseBuilder, Server, Vendor, install, vendor, wait};

use crate::{
    host::Host,
    site::{patient, seats},
    vm::Vm,
};

/// The license ID of the primary's license, and that of the backup's.
pub(crate) const PRIMARY_ID: &str = "01.00000001.002.044";
pub(crate) const BACKUP_ID: &str = "01.00000001.002.045";

/// Two servers and a host.
pub(crate) struct Pair {
    pub(crate) primary: Server,
    pub(crate) backup: Server,
    pub(crate) host: Host,
    pub(crate) vendor: Vendor,
    /// Removed last, when all that lives in it is gone.
    _folder: TempDir,
}

impl Pair {
    /// Both with patient licenses of the same customer, each for three emulators; `edit` changes the
    /// backup's.
    pub(crate) fn new(edit: impl for<'a> FnOnce(LicenseBuilder<'a>) -> LicenseBuilder<'a>) -> Self {
        Self::make(|vendor, home| {
            install(vendor, home, |license| edit(patient(license).id(BACKUP_ID)));
        })
    }

    /// With a backup whose home `prepare` has made.
    pub(crate) fn make(prepare: impl FnOnce(&Vendor, &std::path::Path)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let vendor = vendor(&folder.path().join("vendor"));
        let (one, other) = (folder.path().join("primary"), folder.path().join("backup"));
        install(&vendor, &one, patient);
        prepare(&vendor, &other);
        let (primary, backup) = (Server::start(&one), Server::start(&other));
        let host = Host::new(&folder.path().join("host"), vendor.public_file(), &primary.address());
        Self { primary, backup, host, vendor, _folder: folder }
    }

    /// The VM with both servers in its file; the primary is probed every second.
    pub(crate) fn knows(&self, vm: Vm) -> Vm {
        let backup = format!("backup_server = \"{}\"", self.backup.address());
        vm.license(&backup).license("primary_probe = \"1s\"")
    }

    /// A log's text with the servers' addresses called by their roles.
    pub(crate) fn by_role(&self, log: &str) -> String {
        log.replace(&host_of(&self.primary), "PRIMARY").replace(&host_of(&self.backup), "BACKUP")
    }

    /// Waits until the primary's seats are those of these emulators, and the backup's of those.
    #[track_caller]
    pub(crate) fn seats_are(&self, primary: &[&str], backup: &[&str]) {
        seats_become(&self.primary, primary);
        self.seats_of_the_backup(backup);
    }

    /// Waits until the backup's seats are those of these emulators.
    #[track_caller]
    pub(crate) fn seats_of_the_backup(&self, expected: &[&str]) {
        seats_become(&self.backup, expected);
    }
}

#[track_caller]
fn seats_become(server: &Server, expected: &[&str]) {
    let become_so = || (seats(server) == expected).then_some(());
    wait::until(format_args!("the seats {expected:?}"), become_so);
}

/// The server's address as emulators log it.
pub(crate) fn host_of(server: &Server) -> String {
    let address = server.address();
    address.split_once(':').expect("a port").0.to_owned()
}

/// Stops a server as a service manager does, and waits for its end.
#[track_caller]
pub(crate) fn drain(server: &mut Server) {
    let process = i32::try_from(server.process_id()).ok().and_then(Pid::from_raw);
    kill_process(process.expect("a process"), Signal::TERM).expect("a running server");
    wait::for_text(&server.log_file(), "The program is terminated.");
    // It has ended by itself; what is left of it goes.
    server.kill();
}

/// The messages of a log in the style `ssp` or `par`, without their times, from the line on that
/// contains `text` for the last time.
#[track_caller]
pub(crate) fn messages_from<'a>(log: &'a str, time: &str, text: &str) -> Vec<&'a str> {
    let lines: Vec<&str> = log.lines().collect();
    let from = lines.iter().rposition(|line| line.contains(text));
    let from = from.unwrap_or_else(|| panic!("no {text:?} in:\n{log}"));
    lines[from..].iter().filter_map(|line| line.get(time.len()..)).collect()
}
