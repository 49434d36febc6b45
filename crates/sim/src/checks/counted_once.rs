//! A host never counts twice, whatever it repeats.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{
    id::HostKey,
    node::{
        event::{Event, Record, RegisteredBy},
        peer::PeerMessage,
    },
    registry::HostEntry,
};

use super::{Invariant, books::Books};
use crate::{clock::At, fact::Fact, host_fact::short};

/// What a server says of its numbers is no more than there are hosts, and no host that it knows is
/// registered anew.
#[derive(Default)]
pub(crate) struct CountedOnce {
    registered: BTreeMap<usize, BTreeSet<HostKey>>,
}

impl CountedOnce {
    fn forget(&mut self, server: usize, gone: impl Fn(&HostKey) -> bool) {
        self.registered.entry(server).or_default().retain(|host| !gone(host));
    }

    fn written(&mut self, server: usize, records: &[Record]) -> Result<(), String> {
        for Record { event, .. } in records {
            if let Event::HostRegistered { host, by, .. } = event
                && matches!(by, RegisteredBy::Login | RegisteredBy::Receipt)
                && !self.registered.entry(server).or_default().insert(*host)
            {
                let key = short(host);
                return Err(format!("server {server} has registered {key} a second time"));
            }
        }
        Ok(())
    }
}

fn told(books: &Books, server: usize, message: &PeerMessage) -> Result<(), String> {
    let PeerMessage::Status(status) = message else { return Ok(()) };
    let home = &books.hosts.servers[server];
    let hosts = home.may_be_homed(&status.license_id) as u64;
    if status.homed > hosts {
        let homed = status.homed;
        return Err(format!("server {server} counts {homed} hosts at home, and has {hosts}"));
    }
    let sessions = books.servers[server].sessions.values().map(|session| session.host);
    let asking = books.servers[server].asked.keys();
    let asking = asking.filter_map(|(link, _)| books.host_of(server, *link));
    let present: BTreeSet<HostKey> =
        sessions.chain(asking).chain(home.remembered.iter().copied()).collect();
    if status.guests > present.len() as u64 {
        let (guests, present) = (status.guests, present.len());
        return Err(format!("server {server} counts {guests} guests of {present} hosts"));
    }
    Ok(())
}

impl Invariant for CountedOnce {
    fn name(&self) -> &'static str {
        "counted_once"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Written { server, records } => return self.written(*server, records),
            Fact::PeerTold { server, message, .. } => return told(books, *server, message),
            Fact::RollRead { server, remembered } => {
                let entries = &remembered.entries;
                let known: BTreeSet<HostKey> =
                    entries.iter().map(|(_, entry)| entry.host).collect();
                self.forget(*server, |host| !known.contains(host));
            }
            Fact::Enrolled { server, batch, durable: true } => {
                let ended = |entry: &&HostEntry| !entry.is_active();
                let entries = batch.entries.iter().map(|(_, entry)| entry).filter(ended);
                let ended: BTreeSet<HostKey> = entries.map(|entry| entry.host).collect();
                self.forget(*server, |host| ended.contains(host));
            }
            _ => {}
        }
        Ok(())
    }
}
