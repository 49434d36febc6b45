//! The whole license server as one value: [`Node::handle`] takes what happened, [`Node::poll`] hands
//! out what is to be done, [`Node::deadline`] says when to come back at the latest.
//!
//! A request is *decided*: refused with a reason code, and then nothing has changed; or turned into
//! events. A decided event is *staged* at once, so that a seat is taken the moment it is promised,
//! and *applied* when the shell reports it durable. No answer leaves before that. From this one rule
//! follows: **a seat is taken when that is decided, and free when that is durable**, so memory and
//! ledger can never both believe in a free seat that is held. What is decided against a session that
//! is still being written down waits until it is durable, and its client is never told of it.
//!
//! - [`io`]: what goes in and what comes out; [`note`]: what the log hears; [`event`]: what the ledger
//!   remembers.
//! - [`sessions`]: who holds which seat.
//! - `login`, `takeover`, `granting`, `denial`, `session`: the client's requests.
//! - `append`, `stage`: durability, and the three phases of an event.
//! - `licenses`, `standing`, `placing`, `hours`: what is installed, what of it is valid now, whom it
//!   covers, and for how long it runs.
//! - `witnesses`, `holders`: what a ledger that is older than its clients may not know.
//! - `hosts`, `enroll`: AutoVE mode: who is registered, served or a guest, and how that gets durable.
//! - [`peer`]: the other server that keeps the same registry.
//! - `review`: everything that time alone changes; `view`: what the lists show.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

mod append;
mod denial;
mod enroll;
pub mod event;
mod granting;
mod holders;
mod hosts;
mod hours;
pub mod io;
mod licenses;
mod login;
pub mod note;
pub mod peer;
mod placing;
mod review;
mod session;
pub mod sessions;
mod settling;
mod stage;
mod standing;
mod takeover;
mod view;
mod witnesses;

pub use hosts::Capacity;
pub use placing::Preview;
pub use view::{HostView, LicenseView, SectionView, SessionView, Standing};

use self::{
    append::Appends,
    enroll::Enrolls,
    event::{BlockedRun, Denial, Remembered},
    holders::Holders,
    hosts::Hosts,
    io::{Answer, Ask, Effect, Input, Note, RequestId, UnusableLicense, Who},
    licenses::Installed,
    peer::Peers,
    sessions::{NO_END, Session, Sessions, State},
    settling::Questions,
    takeover::ParkedLogins,
};
use crate::{
    fingerprint::Machine,
    id::{BootId, HostKey, LicenseId, LinkId, RunId, ServerKey, SessionNumber},
    mark::{ClockState, TimeMark},
    meter::Meter,
    reason::{ReasonCode, Refusal},
    registry::RememberedHosts,
    text::Name,
    time::{Elapsed, Moment, Now, Utc},
};

/// The most sessions of one link.
pub const MAX_SESSIONS_PER_LINK: usize = 1_024;

/// How many denials a node keeps for the list.
pub const MAX_DENIALS_KEPT: usize = 1_000;

/// What a node is told once.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server's own key, which its licenses must be bound to.
    pub server_key: ServerKey,
    /// The boot that the elapsed times of every [`Now`] count from.
    pub boot: BootId,
    /// How long a link may be silent before either side takes it for dead, in milliseconds.
    pub heartbeat_timeout_ms: u64,
}

/// A client's connection.
#[derive(Debug)]
struct Link {
    host: HostKey,
    address: Name,
    /// How many of its logins wait for the ledger.
    opening: usize,
}

/// One request and the way back for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Asker {
    link: LinkId,
    request: RequestId,
}

/// A session that was revoked while it was still being written down.
#[derive(Debug)]
struct Overtaken {
    refusal: Refusal,
    /// Until when its seat stays reserved all the same: it is the seat of a predecessor that may run
    /// on through its grace period.
    held_until: Option<Elapsed>,
}

/// A license server's whole state.
#[derive(Debug)]
pub struct Node {
    settings: Settings,
    machine: Machine,
    licenses: BTreeMap<LicenseId, Installed>,
    unusable: Vec<UnusableLicense>,
    versions: BTreeMap<LicenseId, u32>,
    meters: BTreeMap<(LicenseId, u32), Meter>,
    time_mark: TimeMark,
    clock_state: ClockState,
    sessions: Sessions,
    last_session: u64,
    /// When this process began, and the last session that is older than it.
    started: Elapsed,
    last_older_session: u64,
    blocked: BTreeMap<(HostKey, Name), RunId>,
    links: BTreeMap<LinkId, Link>,
    parked: ParkedLogins,
    appends: Appends,
    overtaken: BTreeMap<SessionNumber, Overtaken>,
    questions: Questions,
    holders: Holders,
    hosts: Hosts,
    peers: Peers,
    enrolls: Enrolls,
    marks_raised: u64,
    /// The last record when this process began, or what a witness has proven since.
    position_at_start: u64,
    /// The time mark when it began to serve.
    served_from: Option<Utc>,
    /// Whether a witness has proven that records are missing.
    ledger_is_old: bool,
    /// How many of the thresholds for low hours were noted of a license version.
    low_hours_noted: BTreeMap<(LicenseId, u32), usize>,
    denials: VecDeque<(Utc, Denial)>,
    effects: VecDeque<Effect>,
    next_review: Elapsed,
    next_meter_write: Elapsed,
    next_time_mark: Elapsed,
    denials_in_review: u32,
    ready: bool,
    draining: bool,
}

impl Node {
    /// A node that knows what its ledger remembers. Known sessions hold their seats from the start;
    /// their leases count from [`Input::Ready`].
    pub fn new(
        settings: Settings,
        remembered: Remembered,
        remembered_hosts: &RememberedHosts,
        now: Now,
    ) -> Self {
        let holders = Holders::new(remembered.may_lack_holders, &remembered.sessions, now);
        let hosts = Hosts::new(&remembered, remembered_hosts);
        let mut sessions = Sessions::default();
        for record in remembered.sessions {
            let state = State::Left { since: now.elapsed, until: NO_END };
            sessions.insert(Session::new(record, state));
        }
        let time_mark = TimeMark::resume(remembered.time_mark, now);
        let moment =
            Moment { boot: settings.boot, elapsed: now.elapsed, wall: time_mark.judged(now) };
        let resumed = |(key, metered)| (key, Meter::resume(metered, moment));
        let block = |run: BlockedRun| ((run.host, run.emulator), run.run);
        Self {
            settings,
            machine: Machine::default(),
            licenses: BTreeMap::new(),
            unusable: Vec::new(),
            versions: remembered.versions,
            meters: remembered.meters.into_iter().map(resumed).collect(),
            time_mark,
            clock_state: ClockState::Sound,
            sessions,
            last_session: remembered.last_session,
            started: now.elapsed,
            last_older_session: remembered.last_session,
            blocked: remembered.blocked.into_iter().map(block).collect(),
            links: BTreeMap::new(),
            parked: ParkedLogins::default(),
            appends: Appends::new(remembered.position),
            overtaken: BTreeMap::new(),
            questions: Questions::default(),
            holders,
            enrolls: Enrolls::new(hosts.registry.last_number()),
            peers: Peers::new(remembered_hosts),
            hosts,
            marks_raised: 0,
            position_at_start: remembered.position,
            served_from: None,
            ledger_is_old: false,
            low_hours_noted: BTreeMap::new(),
            denials: VecDeque::new(),
            effects: VecDeque::new(),
            next_review: now.elapsed,
            next_meter_write: now.elapsed,
            next_time_mark: now.elapsed,
            denials_in_review: 0,
            ready: false,
            draining: false,
        }
    }

    /// Takes what happened, at the time `now`. Never fails: who asked wrongly is told so.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Licenses { trusted, unusable } => self.take_licenses(now, trusted, unusable),
            Input::Machine(machine) => self.take_machine(now, machine),
            Input::Ready => self.begin_to_serve(now),
            Input::LinkOpened { link, host, address } => {
                self.links.insert(link, Link { host, address, opening: 0 });
            }
            Input::LinkClosed { link, last_heard } => {
                self.close_link(now, link, last_heard);
                self.close_peer(now, link);
            }
            Input::Request { link, request, ask } => self.answer(now, Asker { link, request }, ask),
            Input::Pong { link, session, runs } => self.hear_pong(now, link, session, runs),
            Input::Appended { id, outcome } => self.appended(now, id, outcome),
            Input::Enrolled { id, outcome } => self.enrolled(now, id, outcome),
            Input::PeerOpened { link, peer, address, dialed } => {
                self.open_peer(now, link, peer, address, dialed);
            }
            Input::PeerSaid { link, message } => self.hear_peer(now, link, message),
            Input::PeerFailed { refusal } => self.peer_failed(now, refusal),
            Input::AutoVe(rules) => self.take_rules(now, rules),
            Input::Retire { ticket, host } => self.retire(now, ticket, host),
            Input::ImportHosts { ticket, entries } => self.import(now, ticket, entries),
            Input::Release { ticket, number } => self.release(now, ticket, number),
            Input::Settle { ticket } => self.settle_all(ticket),
            Input::Drain => self.drain(now),
            Input::Tick => self.review(now),
        }
        self.tell_peer_news(now);
        self.flush_appends();
    }

    /// The next thing to do, in order; `None` when there is nothing more.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to come back with [`Input::Tick`] at the latest.
    pub fn deadline(&self) -> Elapsed {
        let (sessions, parked) = (self.sessions.first_end(), self.parked.first_end());
        [sessions, parked, self.first_host_end(), self.peers.deadline()]
            .into_iter()
            .flatten()
            .fold(self.next_review, Elapsed::min)
    }

    fn answer(&mut self, now: Now, asker: Asker, ask: Ask) {
        if !self.links.contains_key(&asker.link) {
            return;
        }
        match ask {
            Ask::Login { login, fresh } => self.login(now, asker, login, fresh),
            Ask::Probe(login) => self.probe(now, asker, &login),
            Ask::Check(session) => self.check(now, asker, session),
            Ask::Logout(session) => self.logout(now, asker, session),
        }
    }

    fn drain(&mut self, now: Now) {
        self.draining = true;
        self.write_marks(now);
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        self.effects.extend(links.into_iter().map(|link| Effect::Closing { link }));
    }

    /// Answers a request; no one waits at the end of a link that is gone.
    fn tell(&mut self, asker: Asker, answer: Answer) {
        if !self.links.contains_key(&asker.link) {
            return;
        }
        self.effects.push_back(Effect::Answer { link: asker.link, request: asker.request, answer });
    }

    fn refuse(&mut self, asker: Asker, refusal: Refusal) {
        self.tell(asker, Answer::Refused(refusal));
    }

    fn note(&mut self, note: Note) {
        self.effects.push_back(Effect::Note(note));
    }

    /// Now, so that it can be found again after a restart: by the wall time that expiry is judged by.
    fn moment(&self, now: Now) -> Moment {
        let wall = self.time_mark.judged(now);
        Moment { boot: self.settings.boot, elapsed: now.elapsed, wall }
    }

    fn host_of(&self, link: LinkId) -> Option<HostKey> {
        self.links.get(&link).map(|link| link.host)
    }
}

fn who(session: &Session) -> Who {
    let record = &session.record;
    Who {
        hardware: record.hardware.clone(),
        version: record.version.clone(),
        address: record.address.clone(),
        emulator: record.emulator.clone(),
        session: Some(record.number),
    }
}

fn bad_request(sentence: &str) -> Refusal {
    Refusal::new(ReasonCode::BadRequest, sentence)
}
