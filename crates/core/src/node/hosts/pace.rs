//! Pace: how many hosts of one address may register in a time. A wave of new machines passes, a
//! flood doesn't, and neither fills the memory.

use alloc::{collections::BTreeMap, format, string::String};
use core::net::{IpAddr, SocketAddr};

use super::Node;
use crate::{
    node::io::{AutoVeRules, Note},
    reason::{ReasonCode, Refusal},
    text::Name,
    time::{Elapsed, MINUTE_MS, Now, SECOND_MS},
};

/// The most addresses that are kept apart; the rest shares one bucket.
const MAX_BUCKETS: usize = 10_000;

/// How often buckets that are full again are looked for at most, in milliseconds.
const CLEAR_EVERY_MS: u64 = SECOND_MS;

/// Who shares a bucket: one IPv4 address, or one IPv6 network of 64 bits; `None`: all the others.
type Source = Option<IpAddr>;

/// A bucket's level, counted in 1/[`MINUTE_MS`] of a registration: what flows in during one
/// millisecond is then just the number of registrations in a minute.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: u64,
    at: Elapsed,
    noted: bool,
}

/// The buckets of all addresses that have registered hosts lately.
#[derive(Debug, Default)]
pub(super) struct Pace {
    buckets: BTreeMap<Source, Bucket>,
    cleared: Elapsed,
}

fn brim(rules: &AutoVeRules) -> u64 {
    u64::from(rules.registration_burst) * MINUTE_MS
}

impl Bucket {
    /// As it is by now.
    fn filled(self, now: Elapsed, rules: &AutoVeRules) -> Self {
        let inflow =
            now.since_ms(self.at).saturating_mul(u64::from(rules.registrations_per_minute));
        let level = self.level.saturating_add(inflow).min(brim(rules));
        let noted = self.noted && level < brim(rules);
        Self { level, at: now, noted }
    }
}

impl Pace {
    fn bucket(&self, source: Source, now: Elapsed, rules: &AutoVeRules) -> Bucket {
        let fresh = Bucket { level: brim(rules), at: now, noted: false };
        self.buckets.get(&source).map_or(fresh, |bucket| bucket.filled(now, rules))
    }

    /// Where a source is counted.
    fn source(&self, address: &Name) -> Source {
        let source = source_of(address);
        let fits = self.buckets.contains_key(&source) || self.buckets.len() < MAX_BUCKETS;
        source.filter(|_| fits)
    }

    /// Forgets the buckets that are full again.
    fn clear(&mut self, now: Elapsed, rules: &AutoVeRules) {
        if self.buckets.len() < MAX_BUCKETS || now.since_ms(self.cleared) < CLEAR_EVERY_MS {
            return;
        }
        self.cleared = now;
        self.buckets.retain(|_, bucket| bucket.filled(now, rules).level < brim(rules));
    }
}

fn source_of(address: &Name) -> Source {
    let address = address.as_str().parse::<SocketAddr>().ok()?.ip().to_canonical();
    Some(match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
    })
}

/// An address as the rules about registering go by it: without its port.
pub(super) fn without_port(address: &Name) -> String {
    let machine = address.as_str().parse::<SocketAddr>().map(|address| address.ip().to_canonical());
    machine.map_or_else(|_| address.as_str().into(), |machine| format!("{machine}"))
}

impl Node {
    /// Whether one more host of this address may register now.
    pub(super) fn pace_allows(&self, now: Now, address: &Name) -> Result<(), Refusal> {
        let (pace, rules) = (&self.hosts.pace, &self.hosts.rules);
        let bucket = pace.bucket(pace.source(address), now.elapsed, rules);
        let Some(lacks) = MINUTE_MS.checked_sub(bucket.level).filter(|lacks| *lacks > 0) else {
            return Ok(());
        };
        let address = without_port(address);
        let sentence = match u64::from(rules.registrations_per_minute) {
            0 => format!("too many hosts have registered from {address}; no more may."),
            inflow => {
                let seconds = lacks.div_ceil(inflow).div_ceil(SECOND_MS).max(1);
                format!("too many hosts register from {address} at once; try again in {seconds} s.")
            }
        };
        Err(Refusal::new(ReasonCode::ServerBusy, sentence))
    }

    /// A host of this address registers.
    pub(super) fn pay_pace(&mut self, now: Now, address: &Name) {
        let (pace, rules) = (&mut self.hosts.pace, &self.hosts.rules);
        pace.clear(now.elapsed, rules);
        let source = pace.source(address);
        let mut bucket = pace.bucket(source, now.elapsed, rules);
        bucket.level = bucket.level.saturating_sub(MINUTE_MS);
        pace.buckets.insert(source, bucket);
    }

    /// Says that there is a flood, once until its bucket is full again.
    pub(super) fn note_flood(&mut self, now: Now, address: &Name) {
        if self.pace_allows(now, address).is_ok() {
            return;
        }
        let source = self.hosts.pace.source(address);
        let mut bucket = self.hosts.pace.bucket(source, now.elapsed, &self.hosts.rules);
        if !core::mem::replace(&mut bucket.noted, true) {
            self.hosts.pace.buckets.insert(source, bucket);
            self.note(Note::RegistrationsFlood { address: address.clone() });
        }
    }
}
