//! How many links each address may have, so that one client can't keep all others out.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long an address whose licensed link was lost is let in like one that has a session: its
/// client is out there and tries to come back.
const RETURN_TIME: Duration = Duration::from_hours(1);

/// How many such addresses are remembered at most.
const MAX_REMEMBERED: usize = 20_000;

/// How often a full memory is looked through, which takes a while.
const TIDY_INTERVAL: Duration = Duration::from_mins(1);

/// How many links beyond the limit there may be to addresses of peers: clients can't keep them out.
const PLACES_FOR_PEERS: usize = 8;

/// How many addresses of peers are remembered, configured ones and others; the latest count.
const MAX_PEERS: usize = 16;

/// How many links there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// In all; each needs a file descriptor.
    pub links: usize,
    /// From one address (IPv6: from one /64 network) that has no live session.
    pub links_per_address: usize,
}

/// Who is connected from where.
#[derive(Debug)]
pub struct Addresses {
    limits: Limits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    links: usize,
    by_address: HashMap<IpAddr, Count>,
    /// When an address last lost a licensed link.
    lost: HashMap<IpAddr, Instant>,
    /// When those whose time is over were last taken out of it.
    tidied: Option<Instant>,
    /// Where peers are.
    peers: Peers,
}

/// The addresses of peers. Those that come in never push out those that are configured.
#[derive(Debug, Default)]
struct Peers {
    configured: VecDeque<IpAddr>,
    recognized: VecDeque<IpAddr>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Count {
    links: usize,
    /// Links that carry a licensed session.
    licensed: usize,
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMany {
    /// The server's own limit.
    #[error("{0} links are open, which is this server's limit ([limits] max_links)")]
    Links(usize),
    /// The address's limit.
    #[error(
        "{0} links without a session are open from this address, which is the limit ([limits] max_links_per_address)"
    )]
    FromAddress(usize),
}

/// A place for one link; given back when dropped.
#[derive(Debug)]
pub struct Place {
    addresses: Arc<Addresses>,
    address: IpAddr,
    licensed: bool,
}

impl Addresses {
    /// An empty register.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, counts: Mutex::default() })
    }

    /// A place for one more link from `address`. An address with a live session is never refused on
    /// its own account, nor is one that has just lost it: whoever runs there may have to come back.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Place, TooMany> {
        self.enter_at(address, Instant::now())
    }

    /// Lets these addresses in as if they had just lost their licensed links: a restart has cut them
    /// off, and everyone there comes back at once.
    pub fn expect_back(&self, addresses: impl IntoIterator<Item = IpAddr>) {
        let (mut counts, now) = (self.counts(), Instant::now());
        for address in addresses {
            counts.remember_lost(network_of(address), now);
        }
    }

    /// Lets links from this address in whatever clients do: a peer is there.
    pub fn expect_peer(&self, address: IpAddr) {
        remember_peer(&mut self.counts().peers.configured, network_of(address));
    }

    fn enter_at(self: &Arc<Self>, address: IpAddr, now: Instant) -> Result<Place, TooMany> {
        let address = network_of(address);
        let mut counts = self.counts();
        let is_peer = counts.peers.has(address);
        let places = self.limits.links + if is_peer { PLACES_FOR_PEERS } else { 0 };
        if counts.links >= places {
            return Err(TooMany::Links(self.limits.links));
        }
        let may_return = is_peer || counts.may_return(address, now);
        let count = counts.by_address.entry(address).or_default();
        let is_known = count.licensed > 0 || may_return;
        if !is_known && count.links >= self.limits.links_per_address {
            return Err(TooMany::FromAddress(self.limits.links_per_address));
        }
        count.links += 1;
        counts.links += 1;
        drop(counts);
        Ok(Place { addresses: Arc::clone(self), address, licensed: false })
    }

    /// No one panics while holding the lock, so what a poisoned one guards is sound.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Peers {
    fn has(&self, address: IpAddr) -> bool {
        self.configured.contains(&address) || self.recognized.contains(&address)
    }
}

fn remember_peer(peers: &mut VecDeque<IpAddr>, address: IpAddr) {
    if peers.contains(&address) {
        return;
    }
    if peers.len() >= MAX_PEERS {
        peers.pop_front();
    }
    peers.push_back(address);
}

impl Counts {
    fn may_return(&self, address: IpAddr, now: Instant) -> bool {
        self.lost.get(&address).is_some_and(|at| now.duration_since(*at) < RETURN_TIME)
    }

    fn remember_lost(&mut self, address: IpAddr, now: Instant) {
        let tidied = self.tidied.is_some_and(|at| now.duration_since(at) < TIDY_INTERVAL);
        if self.lost.len() >= MAX_REMEMBERED && !tidied {
            self.tidied = Some(now);
            self.lost.retain(|_, at| now.duration_since(*at) < RETURN_TIME);
        }
        if self.lost.len() < MAX_REMEMBERED || self.lost.contains_key(&address) {
            self.lost.insert(address, now);
        }
    }
}

impl Place {
    /// Whether the link carries a licensed session now.
    pub fn set_licensed(&mut self, licensed: bool) {
        if self.licensed == licensed {
            return;
        }
        self.licensed = licensed;
        let mut counts = self.addresses.counts();
        if licensed {
            counts.lost.remove(&self.address);
        }
        if let Some(count) = counts.by_address.get_mut(&self.address) {
            count.licensed =
                if licensed { count.licensed + 1 } else { count.licensed.saturating_sub(1) };
        }
    }
}

impl Place {
    /// Whether a peer is at this address, as far as is known.
    pub fn is_peer(&self) -> bool {
        self.addresses.counts().peers.has(self.address)
    }

    /// The link is a recognized peer's: it may come back, whatever clients do.
    pub fn set_peer(&mut self) {
        remember_peer(&mut self.addresses.counts().peers.recognized, self.address);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.addresses.counts();
        counts.links = counts.links.saturating_sub(1);
        if self.licensed {
            counts.remember_lost(self.address, Instant::now());
        }
        if let Some(count) = counts.by_address.get_mut(&self.address) {
            count.links = count.links.saturating_sub(1);
            count.licensed = count.licensed.saturating_sub(usize::from(self.licensed));
            if count.links == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

/// One customer's IPv6 addresses share a /64; an IPv4 address stands for itself.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_with_a_session_is_never_refused_on_its_own_account() {
        let addresses = Addresses::new(Limits { links: 4, links_per_address: 2 });
        let (ours, other) = (address("192.0.2.1"), address("192.0.2.2"));
        let mut first = addresses.enter(ours).expect("room");
        let _second = addresses.enter(ours).expect("room");
        assert_eq!(addresses.enter(ours).err(), Some(TooMany::FromAddress(2)));
        first.set_licensed(true);
        let third = addresses.enter(ours).expect("it has a session");
        let _other = addresses.enter(other).expect("room");
        assert_eq!(addresses.enter(ours).err(), Some(TooMany::Links(4)));
        drop(third);
        first.set_licensed(false);
        assert_eq!(addresses.enter(ours).err(), Some(TooMany::FromAddress(2)));
    }

    #[test]
    fn an_address_that_has_lost_its_licensed_link_may_come_back() {
        let addresses = Addresses::new(Limits { links: 9, links_per_address: 1 });
        let ours = address("192.0.2.1");
        let mut licensed = addresses.enter(ours).expect("room");
        licensed.set_licensed(true);
        let _idle = addresses.enter(ours).expect("it has a session");
        drop(licensed);
        let back = addresses.enter(ours).expect("it comes back");
        let late = Instant::now() + RETURN_TIME;
        assert_eq!(addresses.enter_at(ours, late).err(), Some(TooMany::FromAddress(1)));
        drop(back);
    }

    #[test]
    fn an_address_with_seats_may_come_back_after_a_restart() {
        let addresses = Addresses::new(Limits { links: 9, links_per_address: 1 });
        let (ours, other) = (address("2001:db8::1"), address("192.0.2.2"));
        addresses.expect_back([ours, ours]);
        let back: Vec<_> = (0..3).map(|_| addresses.enter(ours).expect("it comes back")).collect();
        let _first = addresses.enter(other).expect("room");
        assert_eq!(addresses.enter(other).err(), Some(TooMany::FromAddress(1)));
        drop(back);
        addresses.expect_back((0..u128::from(u16::MAX)).map(|n| IpAddr::V6((n << 64).into())));
        assert_eq!(addresses.counts().lost.len(), MAX_REMEMBERED);
    }

    #[test]
    fn clients_keep_no_peer_out() {
        let addresses = Addresses::new(Limits { links: 2, links_per_address: 1 });
        let (client, peer) = (address("192.0.2.1"), address("192.0.2.2"));
        let _client = addresses.enter(client).expect("room");
        let mut first = addresses.enter(peer).expect("room");
        assert_eq!(addresses.enter(peer).err(), Some(TooMany::Links(2)));
        assert!(!first.is_peer());
        first.set_peer();
        assert!(first.is_peer());
        let more: Vec<_> = (0..PLACES_FOR_PEERS).map(|_| addresses.enter(peer)).collect();
        assert!(more.iter().all(Result::is_ok));
        assert!(addresses.enter(peer).is_err(), "there is an end to it");
        assert_eq!(addresses.enter(client).err(), Some(TooMany::Links(2)));
        for number in 0..1_000 {
            addresses.expect_peer(IpAddr::V4(number.into()));
        }
        assert_eq!(addresses.counts().peers.configured.len(), MAX_PEERS);
        assert!(addresses.counts().peers.has(peer), "it was recognized");
    }

    #[test]
    fn who_comes_in_as_a_peer_keeps_the_configured_one_not_out() {
        let addresses = Addresses::new(Limits { links: 9, links_per_address: 1 });
        let peer = address("192.0.2.2");
        addresses.expect_peer(peer);
        for number in 0..1_000 {
            addresses.enter(IpAddr::V4(number.into())).expect("room").set_peer();
        }
        assert_eq!(addresses.counts().peers.recognized.len(), MAX_PEERS);
        assert!(addresses.counts().peers.has(peer));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let addresses = Addresses::new(Limits { links: 9, links_per_address: 1 });
        for number in 0..2 * u32::try_from(MAX_REMEMBERED).expect("a small number") {
            let mut place = addresses.enter(IpAddr::V4(number.into())).expect("room");
            place.set_licensed(true);
        }
        let counts = addresses.counts();
        assert_eq!((counts.lost.len(), counts.by_address.len()), (MAX_REMEMBERED, 0));
    }

    #[test]
    fn one_ipv6_network_counts_as_one_address() {
        let addresses = Addresses::new(Limits { links: 9, links_per_address: 1 });
        let _one = addresses.enter(address("2001:db8::1")).expect("room");
        assert!(addresses.enter(address("2001:db8::2")).is_err());
        assert!(addresses.enter(address("2001:db8:0:1::2")).is_ok());
    }
}
