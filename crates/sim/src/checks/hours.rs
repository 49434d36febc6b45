//! The hours of `COUNTDOWN` licenses: charged while somebody could run and at no other time, never
//! given back, and at most one minute lost by a crash.

use std::collections::{BTreeMap, BTreeSet};

use ve_core::{
    grant::Grant,
    id::{LicenseId, LinkId, SessionId},
    license::{KeyType, License},
    node::{
        event::{Event, Record, Remembered},
        io::{Answer, Ask, Note},
    },
    time::{Elapsed, MINUTE_MS, SECOND_MS},
};
use ve_wire::limits::HEARTBEAT_TIMEOUT_MS;

use super::{
    Invariant,
    books::{Books, GuestBook, lease_ms},
};
use crate::{clock::At, fact::Fact};

/// What a crash may lose, in milliseconds.
const LOST_MS: u64 = MINUTE_MS;

/// How long a slow disk may sit on a meter's tick, in milliseconds.
const DISK_MS: u64 = 15 * SECOND_MS;

/// How far a meter may be behind these books while its server runs, in milliseconds: it is charged
/// at every look at the clocks.
const BEHIND_MS: u64 = 15 * SECOND_MS;

/// How far a meter may be ahead of these books, in milliseconds: they look twice a minute.
const AHEAD_MS: u64 = 3 * MINUTE_MS;

type Key = (usize, LicenseId);

/// A meter for every server's `COUNTDOWN` license, read beside the server's own.
#[derive(Default)]
pub(crate) struct Hours {
    meters: BTreeMap<Key, Meter>,
}

#[derive(Default)]
struct Meter {
    version: u32,
    /// What was surely used up, in milliseconds, but for the stretch that runs.
    used_ms: u64,
    /// The sessions on links, and when the first of them came.
    live: BTreeMap<SessionId, LinkId>,
    since: Option<Elapsed>,
    /// What was used when the disk began to refuse even marks.
    refused_at_ms: Option<u64>,
    /// The most that can have been used, in milliseconds.
    most_ms: u64,
    /// Somebody got a seat since the last look.
    stirred: bool,
    /// The highest that this run of the server has said.
    said_ms: u64,
}

impl Meter {
    fn least_ms(&self, now: Elapsed) -> u64 {
        self.used_ms + self.since.map_or(0, |since| now.since_ms(since))
    }

    fn go_live(&mut self, now: Elapsed, session: SessionId, link: LinkId) {
        self.live.insert(session, link);
        self.since.get_or_insert(now);
        self.stirred = true;
    }

    fn leave(&mut self, when: Elapsed, leaves: impl Fn(&SessionId, LinkId) -> bool) {
        self.live.retain(|session, link| !leaves(session, *link));
        if self.live.is_empty()
            && let Some(since) = self.since.take()
        {
            self.used_ms += when.since_ms(since);
        }
    }

    fn restart(&mut self, now: Elapsed, version: u32) {
        let live = !self.live.is_empty();
        let refused_at_ms = self.refused_at_ms.map(|_| 0);
        let live_on = std::mem::take(&mut self.live);
        *self = Self { version, live: live_on, refused_at_ms, ..Self::default() };
        self.since = live.then_some(now);
    }
}

impl Hours {
    fn of_server(&mut self, server: usize) -> impl Iterator<Item = (&Key, &mut Meter)> {
        self.meters.iter_mut().filter(move |((of, _), _)| *of == server)
    }

    fn granted(
        &mut self,
        server: usize,
        link: LinkId,
        grant: &Grant,
        now: Elapsed,
    ) -> Result<(), String> {
        let Some(meter) = self.meters.get_mut(&(server, grant.license_id.clone())) else {
            return Ok(());
        };
        let said = grant.marks.hours_used_ms;
        let version = grant.marks.license_version;
        if version != meter.version {
            // A server that lost its marks may know no better; `marks` judges that.
            return Ok(());
        }
        let (least, most) = (meter.least_ms(now), meter.most_ms + meter.most_ms / 1_000);
        let before = std::mem::replace(&mut meter.said_ms, said);
        meter.go_live(now, grant.session, link);
        if said < before {
            return Err(format!("server {server} said {before} ms used, and now {said} ms"));
        }
        if said + BEHIND_MS < least {
            return Err(format!(
                "server {server} says {said} ms used, and it was at least {least}"
            ));
        }
        if said > most + AHEAD_MS {
            return Err(format!("server {server} says {said} ms used, and it was at most {most}"));
        }
        Ok(())
    }

    fn started(
        &mut self,
        books: &Books,
        server: usize,
        remembered: &Remembered,
        reboot: bool,
    ) -> Result<(), String> {
        for ((_, id), meter) in self.of_server(server) {
            let known = used_in(remembered, id, meter.version);
            let least = meter.refused_at_ms.take().unwrap_or(meter.used_ms).min(meter.used_ms);
            if known + LOST_MS + DISK_MS < least {
                return Err(format!(
                    "server {server} starts with {known} ms used of {id} version {}, and it was at \
                     least {least}",
                    meter.version
                ));
            }
            meter.used_ms = meter.used_ms.min(known);
            meter.said_ms = 0;
            if reboot {
                meter.most_ms += longest_gap_ms(books, id);
            }
        }
        Ok(())
    }

    fn look(&mut self, books: &Books, interval_ms: u64) {
        for ((server, id), meter) in &mut self.meters {
            let runs_here = books.clients.iter().any(|client| {
                client.guest != GuestBook::None
                    && client.on.as_ref().is_some_and(|on| (on.0, &on.1) == (*server, &*id))
            });
            if runs_here || !meter.live.is_empty() || meter.stirred {
                meter.most_ms += interval_ms;
            }
            meter.stirred = runs_here || !meter.live.is_empty();
        }
    }

    fn install(&mut self, server: usize, license: &License, now: Elapsed) {
        if let KeyType::Countdown { .. } = license.key_type {
            let meter = self.meters.entry((server, license.id.clone())).or_default();
            if meter.version < license.version {
                meter.restart(now, license.version);
            }
        }
    }

    /// Sessions that are over, or are not on their links any more.
    fn leave(&mut self, server: usize, when: Elapsed, gone: &BTreeSet<SessionId>) {
        for (_, meter) in self.of_server(server) {
            meter.leave(when, |session, _| gone.contains(session));
        }
    }
}

fn used_in(remembered: &Remembered, id: &LicenseId, version: u32) -> u64 {
    remembered.meters.get(&(id.clone(), version)).map_or(0, |metered| metered.used_ms)
}

/// The longest that a client of any version of a license can run without its server.
fn longest_gap_ms(books: &Books, id: &LicenseId) -> u64 {
    let versions = books.issued.range((id.clone(), 0)..=(id.clone(), u32::MAX));
    let gap = |license: &License| {
        license.grace_ms + u64::from(HEARTBEAT_TIMEOUT_MS) + lease_ms(license) + MINUTE_MS
    };
    versions.map(|(_, license)| gap(license)).max().unwrap_or(0)
}

fn closed(books: &Books, server: usize, records: &[Record]) -> BTreeSet<SessionId> {
    let ended = |record: &Record| match &record.event {
        Event::SessionClosed { number, .. } => books.servers[server].id_of(*number),
        Event::SessionOpened(opened) => books.servers[server].id_of(opened.replaces?),
        _ => None,
    };
    records.iter().filter_map(ended).collect()
}

impl Invariant for Hours {
    fn name(&self) -> &'static str {
        "hours"
    }

    fn see(&mut self, books: &Books, _: At, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Installed { server, license, now } => self.install(*server, license, now.elapsed),
            Fact::Answered { server, link, answer: Answer::Granted(grant), now, .. } => {
                return self.granted(*server, *link, grant, now.elapsed);
            }
            Fact::LinkClosed { server, link, last_heard, .. } => {
                for (_, meter) in self.of_server(*server) {
                    meter.leave(*last_heard, |_, on| on == *link);
                }
            }
            Fact::Asked { server, ask: Ask::Logout(session), now, .. } => {
                self.leave(*server, now.elapsed, &BTreeSet::from([*session]));
            }
            Fact::Appending { server, records, now } => {
                self.leave(*server, now.elapsed, &closed(books, *server, records));
            }
            Fact::Noted { server, note: Note::Revoked(who, _) | Note::Disconnected(who), now } => {
                let id = who.session.and_then(|number| books.servers[*server].id_of(number));
                self.leave(*server, now.elapsed, &id.into_iter().collect());
            }
            Fact::MarksRefused { server, now } => {
                for (_, meter) in self.of_server(*server) {
                    let least = meter.least_ms(now.elapsed);
                    meter.refused_at_ms.get_or_insert(least);
                }
            }
            Fact::Written { server, records } => {
                for Record { event, .. } in *records {
                    if let Event::HoursUsed { license_id, .. } = event
                        && let Some(meter) = self.meters.get_mut(&(*server, license_id.clone()))
                    {
                        meter.refused_at_ms = None;
                    }
                }
            }
            Fact::ServerStopped { server, now } => {
                for (_, meter) in self.of_server(*server) {
                    meter.leave(now.elapsed, |_, _| true);
                }
            }
            Fact::LedgerReplaced { server, remembered } => {
                for ((_, id), meter) in self.of_server(*server) {
                    meter.used_ms = meter.used_ms.min(used_in(remembered, id, meter.version));
                    meter.refused_at_ms = None;
                }
            }
            Fact::ServerStarted { server, remembered, reboot } => {
                return self.started(books, *server, remembered, *reboot);
            }
            Fact::Counted { .. } => self.look(books, 30 * SECOND_MS),
            _ => {}
        }
        Ok(())
    }
}
