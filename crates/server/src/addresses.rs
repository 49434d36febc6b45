//! How many links each address may have, so that one client can't keep all others out.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

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
    #[error("{0} links without a session are open from this address, which is the limit ([limits] max_links_per_address)")]
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
    /// its own account: whoever runs there may have to come back.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Place, TooMany> {
        let address = network_of(address);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.links >= self.limits.links {
            return Err(TooMany::Links(self.limits.links));
        }
        let count = counts.by_address.entry(address).or_default();
        if count.licensed == 0 && count.links >= self.limits.links_per_address {
            return Err(TooMany::FromAddress(self.limits.links_per_address));
        }
        count.links += 1;
        counts.links += 1;
        drop(counts);
        Ok(Place { addresses: Arc::clone(self), address, licensed: false })
    }
}

impl Place {
    /// The link carries a licensed session now.
    pub fn mark_licensed(&mut self) {
        if !self.licensed {
            self.licensed = true;
            let mut counts = self.addresses.counts.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(count) = counts.by_address.get_mut(&self.address) {
                count.licensed += 1;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.addresses.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.links = counts.links.saturating_sub(1);
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

    #[test]
    fn an_address_with_a_session_is_never_refused_on_its_own_account() {
        let addresses = Addresses::new(Limits { links: 4, links_per_address: 2 });
        let address = "192.0.2.1".parse().expect("an address");
        let mut first = addresses.enter(address).expect("room");
        let _second = addresses.enter(address).expect("room");
        assert_eq!(addresses.enter(address).err(), Some(TooMany::FromAddress(2)));
        first.mark_licensed();
        let _third = addresses.enter(address).expect("it has a session");
        let _other = addresses.enter("192.0.2.2".parse().expect("an address")).expect("room");
        assert_eq!(addresses.enter(address).err(), Some(TooMany::Links(4)));
        drop(first);
        assert_eq!(addresses.enter(address).err(), Some(TooMany::FromAddress(2)));
    }

    #[test]
    fn one_ipv6_network_counts_as_one_address() {
        let addresses = Addresses::new(Limits { links: 9, links_per_address: 1 });
        let _one = addresses.enter("2001:db8::1".parse().expect("an address")).expect("room");
        assert!(addresses.enter("2001:db8::2".parse().expect("an address")).is_err());
        assert!(addresses.enter("2001:db8:0:1::2".parse().expect("an address")).is_ok());
    }
}
