//! What the invariants are judged by: everything that went into the machines and came out of them,
//! as the simulator saw it. Nothing here is asked of a node or a client.

use std::fmt;

use ve_core::{
    client::io::{Attempt, Told},
    grant::Grant,
    id::{HostKey, LicenseId, LinkId, SessionId},
    license::License,
    node::{
        event::{Record, Remembered},
        io::{Answer, Ask, Note, RequestId},
        peer::PeerMessage,
    },
    reason::Refusal,
    registry::{Batch, PlatformIdentity, RememberedHosts},
    time::{Elapsed, Now},
};

use crate::{host_fact, ledger::Ledger, roll::Roll};

/// One thing that happened; `{:#}` prints all of it. `now` is by the clocks of the machine that it happened on.
#[derive(Debug)]
pub(crate) enum Fact<'a> {
    /// A server's process begins, with what its ledger remembers.
    ServerStarted {
        server: usize,
        remembered: &'a Remembered,
        reboot: bool,
    },
    ServerReady {
        server: usize,
        now: Now,
    },
    ServerStopped {
        server: usize,
        now: Now,
    },
    /// The ledger was replaced while the server was down: this is what the new one remembers.
    LedgerReplaced {
        server: usize,
        remembered: &'a Remembered,
    },
    /// The ledger and the reserve take nothing from now on.
    MarksRefused {
        server: usize,
        now: Now,
    },
    Written {
        server: usize,
        records: &'a [Record],
    },
    Installed {
        server: usize,
        license: &'a License,
        now: Now,
    },
    Removed {
        server: usize,
        id: &'a LicenseId,
    },
    /// Everything that an installation has decided was reported durable.
    InstallAcknowledged {
        server: usize,
        id: &'a LicenseId,
        version: u32,
    },
    LinkOpened {
        server: usize,
        link: LinkId,
        host: HostKey,
        client: usize,
    },
    /// The server's end is gone; `last_heard` is when the last bytes really came.
    LinkClosed {
        server: usize,
        link: LinkId,
        last_heard: Elapsed,
    },
    /// Something is wrong with the way or an end, so that what is sent may come late or never.
    LinkDisturbed {
        link: LinkId,
    },
    /// A question has reached the node.
    Asked {
        server: usize,
        link: LinkId,
        request: RequestId,
        ask: &'a Ask,
        now: Now,
    },
    /// The node wants this written.
    Appending {
        server: usize,
        records: &'a [Record],
        now: Now,
    },
    /// The node has answered; `ledger` is what is on the disk at this moment.
    Answered {
        server: usize,
        link: LinkId,
        request: RequestId,
        answer: &'a Answer,
        ledger: &'a Ledger,
        roll: &'a Roll,
        now: Now,
    },
    Revoking {
        server: usize,
        link: LinkId,
        session: SessionId,
        refusal: &'a Refusal,
        now: Now,
    },
    Noted {
        server: usize,
        note: &'a Note,
        now: Now,
    },
    ProgramStarted {
        client: usize,
    },
    ProgramEnded {
        client: usize,
    },
    /// A client was granted a login or a check.
    Granted {
        client: usize,
        server: usize,
        attempt: Attempt,
        link: LinkId,
        grant: &'a Grant,
    },
    Refused {
        client: usize,
        server: usize,
        attempt: Attempt,
        link: LinkId,
        request: RequestId,
        refusal: &'a Refusal,
        now: Now,
    },
    Revoked {
        client: usize,
        server: usize,
        attempt: Attempt,
        link: LinkId,
        refusal: &'a Refusal,
        now: Now,
    },
    /// A client's connection ended under it; it had proved its life up to `proven`, heartbeat
    /// time-out included.
    LinkLost {
        client: usize,
        attempt: Attempt,
        link: LinkId,
        proven: Elapsed,
    },
    /// The client gave a connection up.
    GaveUp {
        client: usize,
        attempt: Attempt,
        link: LinkId,
        now: Now,
    },
    LoggingOut {
        client: usize,
        attempt: Attempt,
        now: Now,
    },
    GuestStarted {
        client: usize,
    },
    GuestAskedToShutDown {
        client: usize,
        now: Now,
    },
    GuestStopped {
        client: usize,
        now: Now,
    },
    GuestEnded {
        client: usize,
    },
    /// The operator wants the program to end.
    StopWanted {
        client: usize,
    },
    Told {
        client: usize,
        told: &'a Told,
    },
    HostSleeps {
        client: usize,
    },
    HostWakes {
        client: usize,
    },
    /// Time has passed on a host that is awake, and its programs had the chance to act.
    Watched {
        client: usize,
        now: Now,
    },
    /// A start has read the registry.
    RollRead {
        server: usize,
        remembered: &'a RememberedHosts,
    },
    /// The registry was replaced while the server was down.
    RollReplaced {
        server: usize,
        roll: &'a Roll,
    },
    /// The node wants this written into the registry.
    Enrolling {
        server: usize,
        batch: &'a Batch,
    },
    /// It is written, or is not.
    Enrolled {
        server: usize,
        batch: &'a Batch,
        durable: bool,
    },
    PeerOpened {
        server: usize,
        link: LinkId,
    },
    PeerClosed {
        server: usize,
        link: LinkId,
    },
    /// What one server says may reach the other late or never.
    PeerDisturbed {
        link: LinkId,
    },
    PeerTold {
        server: usize,
        link: LinkId,
        message: &'a PeerMessage,
    },
    PeerHeard {
        server: usize,
        link: LinkId,
        message: &'a PeerMessage,
    },
    PeerRefused {
        server: usize,
        link: LinkId,
        refusal: &'a Refusal,
    },
    /// A host runs in this boot from now on.
    HostBooted {
        host: usize,
        key: HostKey,
        clone: bool,
    },
    HostGone {
        host: usize,
    },
    /// A host shows another document of its provider than before: its own, or another one's, and whom
    /// that names; `forged`: nobody has signed it.
    PapersShown {
        host: usize,
        named: Option<&'a PlatformIdentity>,
        forged: bool,
    },
    ReceiptKept {
        host: usize,
        key: HostKey,
    },
    /// A host's receipts were lost, or replaced by older ones.
    ReceiptsChanged {
        host: usize,
        any: bool,
    },
    RetireAsked {
        server: usize,
        host: HostKey,
    },
    RetireAnswered {
        server: usize,
        host: HostKey,
        done: bool,
        ledger: &'a Ledger,
        roll: &'a Roll,
    },
    /// Everything works again for long; this is what both registries have.
    Healed {
        rolls: [&'a Roll; 2],
    },
    /// How much is planned, under way and open.
    Counted {
        events: usize,
        appends: usize,
        links: usize,
        clients: usize,
    },
}

impl fmt::Display for Fact<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ServerStarted { server, remembered, reboot } => write!(
                f,
                "server {server} starts with {} sessions at position {}, reboot {reboot}",
                remembered.sessions.len(),
                remembered.position
            ),
            Self::ServerReady { server, .. } => write!(f, "server {server} is ready"),
            Self::ServerStopped { server, .. } => write!(f, "server {server} has stopped"),
            Self::LedgerReplaced { server, remembered } => {
                write!(f, "server {server} has another ledger, at position {}", remembered.position)
            }
            Self::MarksRefused { server, .. } => write!(f, "server {server} can't write at all"),
            Self::Written { server, records } => {
                write!(f, "server {server} wrote")?;
                records.iter().try_for_each(|record| write!(f, " {}", record.position))
            }
            Self::Installed { server, license, .. } => {
                write!(f, "server {server} has license {} version {}", license.id, license.version)
            }
            Self::Removed { server, id } => write!(f, "server {server} lost license {id}"),
            Self::InstallAcknowledged { server, id, version } => {
                write!(f, "server {server} has confirmed license {id} version {version}")
            }
            Self::LinkOpened { server, link, client, .. } => {
                write!(f, "link {} of client {client} opens at server {server}", link.0)
            }
            Self::LinkClosed { server, link, last_heard, .. } => write!(
                f,
                "link {} closes at server {server}, last heard at {}",
                link.0, last_heard.0
            ),
            Self::LinkDisturbed { link } => write!(f, "link {} is disturbed", link.0),
            Self::Asked { server, link, request, ask, .. } => {
                write!(f, "link {} asks server {server} ({request}): {}", link.0, asked(ask))
            }
            Self::Appending { server, records, .. } => {
                write!(f, "server {server} appends {} records", records.len())?;
                let detailed: &[Record] = if f.alternate() { records } else { &[] };
                detailed.iter().try_for_each(|record| write!(f, " {:?}", record.event))
            }
            Self::Answered { server, link, request, answer, .. } => write!(
                f,
                "server {server} answers link {} ({request}): {}",
                link.0,
                answered(answer)
            ),
            Self::Revoking { server, link, refusal, .. } => {
                write!(f, "server {server} revokes on link {}: {refusal}", link.0)
            }
            Self::Noted { server, note, .. } if f.alternate() => {
                write!(f, "server {server} notes {note:?}")
            }
            Self::Noted { server, .. } => write!(f, "server {server} notes"),
            Self::Counted { events, appends, links, .. } => {
                write!(f, "{events} events, {appends} appends, {links} links")
            }
            client => client_fact(client, f),
        }
    }
}

fn client_fact(fact: &Fact<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match fact {
        Fact::ProgramStarted { client } => write!(f, "client {client} starts"),
        Fact::ProgramEnded { client } => write!(f, "client {client} has ended"),
        Fact::Granted { client, server, link, grant, .. } => write!(
            f,
            "client {client} is granted by server {server} on link {}: {} version {}, {} ms used",
            link.0, grant.license_id, grant.marks.license_version, grant.marks.hours_used_ms
        ),
        Fact::Refused { client, server, refusal, .. } => {
            write!(f, "client {client} is refused by server {server}: {refusal}")
        }
        Fact::Revoked { client, server, refusal, .. } => {
            write!(f, "client {client} is revoked by server {server}: {refusal}")
        }
        Fact::LinkLost { client, link, proven, .. } => {
            write!(f, "client {client} loses link {}, alive until {}", link.0, proven.0)
        }
        Fact::GaveUp { client, link, .. } => write!(f, "client {client} gives up link {}", link.0),
        Fact::LoggingOut { client, attempt, .. } => {
            write!(f, "client {client} logs out on attempt {attempt}")
        }
        Fact::GuestStarted { client } => write!(f, "guest {client} starts"),
        Fact::GuestAskedToShutDown { client, now } => {
            write!(f, "guest {client} is asked to shut down at {}", now.elapsed.0)
        }
        Fact::GuestStopped { client, now } => {
            write!(f, "guest {client} is stopped at {}", now.elapsed.0)
        }
        Fact::GuestEnded { client } => write!(f, "guest {client} has ended"),
        Fact::StopWanted { client } => write!(f, "client {client} is told to stop"),
        Fact::Told { client, told } if f.alternate() => write!(f, "client {client} tells {told:?}"),
        Fact::Told { client, .. } => write!(f, "client {client} tells"),
        Fact::HostSleeps { client } => write!(f, "client {client} sleeps"),
        Fact::HostWakes { client } => write!(f, "client {client} wakes"),
        of_hosts => host_fact::write(of_hosts, f),
    }
}

fn asked(ask: &Ask) -> String {
    match ask {
        Ask::Login { login, .. } => format!(
            "login of {}, {} session, {} witnesses",
            login.emulator,
            if login.session.is_some() { "with a" } else { "no" },
            login.witnesses.len()
        ),
        Ask::Probe(_) => "probe".to_owned(),
        Ask::Check(_) => "check".to_owned(),
        Ask::Logout(_) => "logout".to_owned(),
    }
}

fn answered(answer: &Answer) -> String {
    match answer {
        Answer::Granted(grant) => {
            format!("granted {} version {}", grant.license_id, grant.marks.license_version)
        }
        Answer::Refused(refusal) => format!("refused, {refusal}"),
        Answer::LoggedOut(_) => "logged out".to_owned(),
    }
}
