//! Runtime hours: the clock of a `COUNTDOWN` license.
//!
//! It runs while at least one session of the license is live, whatever their number, and charges up
//! to the last proof of life of the last one. A session that comes back within its lease is charged
//! for the gap: it ran on meanwhile.
//!
//! A gap may reach back before this process: the server was down. Then it begins where the ledger
//! says that the meter was charged last. While the machine ran on, its boot clock knows how long
//! that is; after a boot only the wall clock does, so such a gap is never longer than a client can
//! run without a server. It is charged once, to whoever comes back first, and if no one comes back
//! to no one. A newcomer's start is written down, so that a later restart does not charge the time
//! before it; what the sessions that are still away then might have to be charged for is forgotten
//! with that restart, which errs on the customer's side and by no more than their leases.

use alloc::vec::Vec;

use crate::{
    node::event::Metered,
    time::{Elapsed, Moment, SECOND_MS, Utc},
};

/// How often the used time is written to the ledger while it runs, in milliseconds: a crash loses
/// no more than this.
pub const PERSIST_EVERY_MS: u64 = 50_000;

/// How many uncharged stretches a meter remembers; of more, the oldest are forgotten.
const MAX_IDLE: usize = 64;

/// The meter of one license version.
#[derive(Debug, Clone)]
pub struct Meter {
    used_ms: u64,
    /// What the ledger knows of.
    persisted_ms: u64,
    live: usize,
    /// Up to where `used_ms` was charged, while it runs and during the gap after it.
    charged_to: Elapsed,
    /// The stretches that were not charged because a new session started after them. A session that
    /// left before one and returns later ran through it.
    idle: Vec<(Elapsed, Elapsed)>,
    /// Between the ledger's last charge and this process, as long as no one was charged for it.
    down: Option<Downtime>,
}

/// Time in which no server looked.
#[derive(Debug, Clone, Copy)]
struct Downtime {
    /// Where it begins.
    from: Moment,
    /// How long it is, in milliseconds.
    length_ms: u64,
    /// When this process began.
    until: Elapsed,
    /// Whether the machine booted meanwhile, so that its length is only what the wall clock says.
    booted: bool,
}

/// From what a session comes back.
#[derive(Debug, Clone, Copy)]
pub struct Absence {
    /// When it was last heard of, or when this process began.
    pub left_at: Elapsed,
    /// For a session that is older than this process: how long a client can run without a server,
    /// in milliseconds.
    pub longest_ms: Option<u64>,
}

impl Meter {
    /// A meter that was never charged and counts from `now` on.
    pub fn new(now: Elapsed) -> Self {
        Self { used_ms: 0, persisted_ms: 0, live: 0, charged_to: now, idle: Vec::new(), down: None }
    }

    /// A meter as the ledger remembers it. `now` is the start of this process, with the wall time
    /// that the server judges by.
    pub fn resume(Metered { used_ms, charged_to }: Metered, now: Moment) -> Self {
        let down = charged_to.map(|from| {
            let booted = from.boot != now.boot;
            let length_ms = if booted {
                wall_ms(from.wall, now.wall)
            } else {
                now.elapsed.since_ms(from.elapsed)
            };
            Downtime { from, length_ms, until: now.elapsed, booted }
        });
        Self { used_ms, persisted_ms: used_ms, down, ..Self::new(now.elapsed) }
    }

    /// A session starts at `now`.
    pub fn start(&mut self, now: Elapsed) {
        if self.live > 0 {
            self.charge(now);
        } else {
            self.skip_to(now);
        }
        self.live += 1;
    }

    fn skip_to(&mut self, now: Elapsed) {
        if now <= self.charged_to {
            return;
        }
        if self.idle.len() == MAX_IDLE {
            self.idle.remove(0);
        }
        self.idle.push((self.charged_to, now));
        self.charged_to = now;
    }

    /// A session comes back at `now`, and is charged for the time in which it was away: up to
    /// `licensed_ms` in all, for there is no more to use.
    pub fn come_back(&mut self, now: Elapsed, absence: Absence, licensed_ms: Option<u64>) {
        let before_ms = self.used_ms;
        if let Some(longest_ms) = absence.longest_ms {
            self.charge_downtime(now, longest_ms);
        }
        self.charge_idle_after(absence.left_at);
        self.charge(now);
        if let Some(licensed_ms) = licensed_ms {
            self.used_ms = self.used_ms.min(licensed_ms.max(before_ms));
        }
    }

    fn charge_downtime(&mut self, now: Elapsed, longest_ms: u64) {
        let Some(Downtime { length_ms, until, booted, .. }) = self.down.take() else { return };
        let possible_ms =
            if booted { longest_ms.saturating_sub(now.since_ms(until)) } else { u64::MAX };
        self.used_ms = self.used_ms.saturating_add(length_ms.min(possible_ms));
    }

    fn charge_idle_after(&mut self, left_at: Elapsed) {
        for (from, to) in &mut self.idle {
            let charged_from = left_at.max(*from).min(*to);
            self.used_ms = self.used_ms.saturating_add(to.since_ms(charged_from));
            *to = charged_from;
        }
        self.idle.retain(|(from, to)| from < to);
    }

    /// Someone proves that `used_ms` were used, `age_ms` before this process began. What that
    /// covers is no gap any more.
    pub fn raise(&mut self, used_ms: u64, age_ms: u64) {
        let more_ms = used_ms.saturating_sub(self.used_ms);
        if more_ms == 0 {
            return;
        }
        self.used_ms = used_ms;
        if let Some(down) = &mut self.down {
            let rest_ms = down.length_ms.saturating_sub(more_ms).min(age_ms);
            let covered_ms = down.length_ms - rest_ms;
            down.length_ms = rest_ms;
            down.from.elapsed = down.from.elapsed.plus_ms(covered_ms);
            down.from.wall = down.from.wall.plus_seconds(seconds(covered_ms));
        }
    }

    /// A session is no longer live; its last proof of life was at `last_heard`.
    pub fn stop(&mut self, now: Elapsed, last_heard: Elapsed) {
        self.live = self.live.saturating_sub(1);
        self.charge(if self.live > 0 { now } else { last_heard });
    }

    /// Charges up to `now` if the clock runs.
    pub fn advance(&mut self, now: Elapsed) {
        if self.live > 0 {
            self.charge(now);
        }
    }

    /// Charges up to `now` and stops for good: another license version took its place.
    pub fn retire(&mut self, now: Elapsed) {
        self.advance(now);
        self.live = 0;
    }

    fn charge(&mut self, to: Elapsed) {
        self.used_ms = self.used_ms.saturating_add(to.since_ms(self.charged_to));
        self.charged_to = self.charged_to.max(to);
    }

    /// Whether the clock runs.
    pub fn runs(&self) -> bool {
        self.live > 0
    }

    /// The time that was charged so far, in milliseconds; it never goes back.
    pub fn charged_ms(&self) -> u64 {
        self.used_ms
    }

    /// Up to when it was charged: a session that comes back after a restart is charged from there.
    pub fn charged_to(&self, now: Moment) -> Moment {
        match self.down {
            // Nothing was charged in this process yet, so the gap still begins before it.
            Some(Downtime { from, until, .. }) if self.charged_to <= until => from,
            _ => {
                let ago_ms = now.elapsed.since_ms(self.charged_to);
                let wall = now.wall.plus_seconds(-seconds(ago_ms));
                Moment { boot: now.boot, elapsed: self.charged_to, wall }
            }
        }
    }

    /// The time used up to `now`, in milliseconds, if the live sessions turn out to have run until
    /// then: one that has been silent is not charged for its silence.
    pub fn used_ms(&self, now: Elapsed) -> u64 {
        let running_ms = if self.runs() { now.since_ms(self.charged_to) } else { 0 };
        self.used_ms.saturating_add(running_ms)
    }

    /// The time that was charged in all, if the ledger does not know of all of it yet.
    pub fn unpersisted(&self) -> Option<u64> {
        (self.unpersisted_ms() > 0).then_some(self.used_ms)
    }

    /// How much charged time the ledger does not know of, in milliseconds.
    pub fn unpersisted_ms(&self) -> u64 {
        self.used_ms.saturating_sub(self.persisted_ms)
    }

    /// The ledger knows of `used_ms` now.
    pub fn persisted(&mut self, used_ms: u64) {
        self.persisted_ms = self.persisted_ms.max(used_ms);
    }
}

/// Milliseconds from one wall time to another; 0 when the clock was set back.
fn wall_ms(from: Utc, to: Utc) -> u64 {
    u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0).saturating_mul(SECOND_MS)
}

fn seconds(duration_ms: u64) -> i64 {
    (duration_ms / SECOND_MS).cast_signed()
}

#[cfg(test)]
mod tests;
