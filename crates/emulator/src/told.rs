//! From what the license client tells to what the emulator's log writes.

use ve_client::Told;
use ve_core::grant::Grant;

use crate::{
    log::{LicenseFacts, LogEvent, LossReason, ServerRole, ShutdownReason},
    vm_file::{LicenseSettings, ServerAddress},
};

/// The servers of a VM's file, found by the client's index.
pub(crate) struct Servers {
    addresses: Vec<ServerAddress>,
}

impl Servers {
    /// The servers in the order in which the client knows them.
    pub(crate) fn new(license: &LicenseSettings) -> Self {
        let servers = std::iter::once(&license.primary).chain(&license.backup);
        Self { addresses: servers.map(|server| server.address.clone()).collect() }
    }

    fn at(&self, index: usize) -> ServerAddress {
        self.addresses[index.min(self.addresses.len() - 1)].clone()
    }

    /// The servers, as the log names them at the start.
    pub(crate) fn configured(&self) -> LogEvent {
        LogEvent::Servers { primary: self.at(0), backup: self.addresses.get(1).cloned() }
    }

    /// A server's name or address.
    pub(crate) fn name(&self, index: usize) -> String {
        self.at(index).host().to_owned()
    }

    /// What the log writes of it. `licensed` says whether the emulator has ever been licensed.
    pub(crate) fn event(&self, told: Told, licensed: bool) -> LogEvent {
        match told {
            Told::Trying(server) => LogEvent::TryingServer { server: self.at(server) },
            Told::Licensed(server, grant) => {
                LogEvent::Licensed(Box::new(facts(self.at(server), grant)))
            }
            Told::ConnectionFailed { server, why } => {
                LogEvent::ConnectFailed { server: self.at(server), reason: why }
            }
            Told::Unavailable => LogEvent::Unavailable,
            Told::Refused { server, mut refusal, verified } => {
                if !verified {
                    refusal.sentence.push_str(" (unverified: the server shows no credential)");
                }
                LogEvent::Refused { server: self.at(server), refusal, at_start: !licensed }
            }
            Told::ProtocolVersionInvalid { server, .. } => {
                LogEvent::ProtocolVersionInvalid { server: self.at(server) }
            }
            Told::Lost { server, why } => {
                LogEvent::Lost { server: self.at(server), reason: LossReason::Unreachable(why) }
            }
            Told::Revoked { server, refusal } => {
                LogEvent::Lost { server: self.at(server), reason: LossReason::Revoked(refusal) }
            }
            Told::EndsWithin(within_ms) => LogEvent::TerminationWarning { within_ms },
            Told::Switched { server, back } => {
                LogEvent::Switched { server: self.at(server), role: ServerRole::of(server), back }
            }
            Told::Restored { wall } => LogEvent::BackToNormal { now: wall },
            Told::ShutdownForLicense(within_ms) => {
                LogEvent::ShutdownRequested { reason: ShutdownReason::License { within_ms } }
            }
            Told::ShutdownForOperator => {
                LogEvent::ShutdownRequested { reason: ShutdownReason::Operator }
            }
            Told::GraceEnded => LogEvent::GraceOver,
            Told::StoppedForOperator => LogEvent::StoppedAtOnce,
            Told::LoggedOut(server) => LogEvent::LoggedOut { server: self.at(server) },
        }
    }
}

fn facts(server: ServerAddress, grant: Grant) -> LicenseFacts {
    LicenseFacts {
        server,
        license_id: grant.license_id,
        customer: grant.customer,
        product: grant.product_code,
        virtual_hardware: grant.virtual_hardware,
        instances: grant.instances,
        max_cpu: grant.max_cpu,
        max_memory_mb: grant.max_memory_mb,
        major: grant.major,
        minor: grant.minor,
        expires: grant.expires,
        remaining_ms: grant.remaining_ms,
        grace_ms: grant.grace_ms,
    }
}
