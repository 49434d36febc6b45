//! Which hosts have emulators at the peer, as far as it has said so. What is not said is not there.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{MAX_PRESENCES, Node, Presence, misspoken};
use crate::{
    id::{HostKey, LinkId},
    reason::Refusal,
    registry::MAX_HOSTS,
};

/// What the peer said.
#[derive(Debug, Default)]
pub(super) struct Present {
    hosts: BTreeMap<HostKey, Presence>,
    /// The link over which it began to say so last: what comes over another is older.
    link: Option<LinkId>,
}

impl Present {
    pub(super) fn find(&self, host: HostKey) -> Option<&Presence> {
        self.hosts.get(&host)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn has_room_for(&self, present: &[Presence], limit: usize) -> bool {
        let unknown = present.iter().filter(|presence| !self.hosts.contains_key(&presence.host));
        self.hosts.len().saturating_add(unknown.count()) <= limit
    }
}

impl Node {
    pub(super) fn hear_presence(
        &mut self,
        link: LinkId,
        reset: bool,
        present: Vec<Presence>,
        gone: &[HostKey],
    ) -> Result<(), Refusal> {
        if present.len().saturating_add(gone.len()) > MAX_PRESENCES {
            return Err(misspoken("there are too many hosts in a message"));
        }
        if !self.may_tell_presence(link, reset) {
            return Ok(());
        }
        let heard = &mut self.peers.present;
        if reset {
            heard.hosts.clear();
        }
        heard.link = Some(link);
        for host in gone {
            heard.hosts.remove(host);
        }
        if !heard.has_room_for(&present, MAX_HOSTS) {
            return Err(misspoken("more hosts are there than a registry has"));
        }
        let named: Vec<HostKey> = present.iter().map(|presence| presence.host).collect();
        heard.hosts.extend(present.into_iter().map(|presence| (presence.host, presence)));
        self.look_for_twins(&named);
        Ok(())
    }

    /// The peer tells it over one link at a time, and begins anew on another. A beginning that comes
    /// late over a link that was opened earlier counts no more.
    fn may_tell_presence(&self, link: LinkId, reset: bool) -> bool {
        let opened = |link| self.peers.links.get(&link).map(|peer| peer.opened);
        match self.peers.present.link.filter(|known| opened(*known).is_some()) {
            Some(known) if known != link => reset && opened(link) > opened(known),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peer_names_so_many_hosts_and_no_more() {
        let presence = |host: u8| Presence {
            host: HostKey([host; 32]),
            boot: None,
            since: None,
            beside: None,
            address: "10.0.0.1:4000".parse().expect("a name"),
            emulators: 1,
        };
        let mut present = Present::default();
        present.hosts.insert(HostKey([1; 32]), presence(1));
        assert!(present.has_room_for(&[presence(1), presence(2)], 2));
        assert!(!present.has_room_for(&[presence(2), presence(3)], 2));
    }
}
