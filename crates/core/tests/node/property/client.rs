//! What the clients believe: which sessions they have, and how long their emulators run.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{
    grant::Grant,
    id::{LicenseId, LinkId, SessionId},
    time::Elapsed,
};

use crate::harness::HEARTBEAT_TIMEOUT_MS;

/// An emulator: its host and its name.
pub(crate) type Emulator = (u8, u8);

/// A client that was granted a seat. All its times are of the clock that no one sees.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    /// The latest grant, which it shows at its next login.
    pub(crate) grant: Grant,
    /// Its link, while it believes in it.
    pub(crate) link: Option<LinkId>,
    /// When its emulator has stopped for certain, after a loss.
    runs_until: Elapsed,
}

impl Client {
    pub(crate) fn session(&self) -> SessionId {
        self.grant.session
    }

    pub(crate) fn runs(&self, at: Elapsed) -> bool {
        self.runs_until > at
    }
}

/// All of them. A host's lock per emulator name sees to it that each runs at most once.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    pub(crate) all: BTreeMap<Emulator, Client>,
    /// Those that a restored ledger does not know and that have not come back since.
    pub(crate) forgotten: BTreeSet<Emulator>,
}

impl Clients {
    pub(crate) fn granted(&mut self, emulator: Emulator, link: LinkId, grant: &Grant) {
        let client =
            Client { grant: grant.clone(), link: Some(link), runs_until: Elapsed(u64::MAX) };
        self.all.insert(emulator, client);
        self.forgotten.remove(&emulator);
    }

    /// A check has told a client what its session allows now.
    pub(crate) fn checked(&mut self, grant: &Grant) {
        for client in self.all.values_mut() {
            if client.session() == grant.session && client.link.is_some() {
                client.grant = grant.clone();
            }
        }
    }

    /// A client stops its emulator: it logs out, or says that it does not run it.
    pub(crate) fn stopped(&mut self, session: SessionId) {
        self.all.retain(|_, client| client.session() != session);
    }

    /// The server took the session back: the client runs on through its grace period.
    pub(crate) fn revoked(&mut self, session: SessionId, at: Elapsed) {
        self.lose(|client| client.session() == session, at);
    }

    /// A link was lost; the client notices within one heartbeat time-out.
    pub(crate) fn closed(&mut self, link: LinkId, last_heard: Elapsed) {
        let noticed = last_heard.plus_ms(HEARTBEAT_TIMEOUT_MS);
        self.lose(|client| client.link == Some(link), noticed);
    }

    /// The server is gone, and every link with it.
    pub(crate) fn server_lost(&mut self, at: Elapsed) {
        self.lose(|client| client.link.is_some(), at.plus_ms(HEARTBEAT_TIMEOUT_MS));
    }

    fn lose(&mut self, which: impl Fn(&Client) -> bool, noticed: Elapsed) {
        for client in self.all.values_mut().filter(|client| which(client)) {
            if client.link.take().is_some() {
                client.runs_until = noticed.plus_ms(client.grant.grace_ms);
            }
        }
    }

    /// The emulators that may be running.
    pub(crate) fn running(&self, at: Elapsed) -> impl Iterator<Item = Emulator> {
        self.all.iter().filter(move |(_, client)| client.runs(at)).map(|(emulator, _)| *emulator)
    }

    /// Those that may be running under this license.
    pub(crate) fn running_under(&self, license: &LicenseId, at: Elapsed) -> BTreeSet<Emulator> {
        self.running(at)
            .filter(|emulator| self.all[emulator].grant.license_id == *license)
            .collect()
    }
}
