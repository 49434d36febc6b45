//! What the clients believe: which sessions they have, and how long their emulators run.

use std::collections::BTreeMap;

use ve_core::{
    grant::Grant,
    id::{LinkId, SessionId},
    time::Elapsed,
};

use crate::harness::HEARTBEAT_TIMEOUT_MS;

/// An emulator: its host and its name.
pub(crate) type Emulator = (u8, u8);

/// A client that was granted a seat.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) session: SessionId,
    /// Its link, while it believes in it.
    pub(crate) link: Option<LinkId>,
    /// When its emulator has stopped for certain, after a loss.
    runs_until: Elapsed,
    grace_ms: u64,
}

/// All of them. A host's lock per emulator name sees to it that each runs at most once.
#[derive(Debug, Default)]
pub(crate) struct Clients(pub(crate) BTreeMap<Emulator, Client>);

impl Clients {
    pub(crate) fn granted(&mut self, emulator: Emulator, link: LinkId, grant: &Grant) {
        let client = Client {
            session: grant.session,
            link: Some(link),
            runs_until: Elapsed(u64::MAX),
            grace_ms: grant.grace_ms,
        };
        self.0.insert(emulator, client);
    }

    /// A client stops its emulator: it logs out, or says that it does not run it.
    pub(crate) fn stopped(&mut self, session: SessionId) {
        self.0.retain(|_, client| client.session != session);
    }

    /// The server took the session back: the client runs on through its grace period.
    pub(crate) fn revoked(&mut self, session: SessionId, at: Elapsed) {
        self.lose(|client| client.session == session, at);
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
        for client in self.0.values_mut().filter(|client| which(client)) {
            if client.link.take().is_some() {
                client.runs_until = noticed.plus_ms(client.grace_ms);
            }
        }
    }

    /// The emulators that may be running.
    pub(crate) fn running(&self, now: Elapsed) -> impl Iterator<Item = Emulator> {
        let runs = move |(_, client): &(&Emulator, &Client)| client.runs_until > now;
        self.0.iter().filter(runs).map(|(emulator, _)| *emulator)
    }
}
