//! An emulator's side: hosts, the programs on them with core's client machine in each, and guests.

use std::collections::BTreeMap;

use ve_core::{
    client::{
        Client,
        io::{Attempt, Effect, Input},
    },
    id::{HostKey, LicenseId, LinkId, RunId},
    text::Name,
    time::{Elapsed, HOUR_MS, MINUTE_MS, Now, SECOND_MS},
};
use ve_wire::proto;

use crate::{
    Bug,
    clock::{At, Clock},
    fact::Fact,
    network::{End, Side},
    papers::Papers,
    random::Random,
    roster::{Receipts, Slot},
    vendor::{MODELS, name},
    world::{Event, World},
};

/// How long before the end of the grace period guests are asked to shut down, in milliseconds.
pub(crate) const SHUTDOWN_LEAD_MS: u64 = 10 * MINUTE_MS;

/// A machine that emulators run on.
pub(crate) struct Host {
    pub(crate) key: HostKey,
    pub(crate) clock: Clock,
    pub(crate) awake: bool,
    pub(crate) powered: bool,
    /// The last grants, by server, license and emulator, with the moment they came.
    pub(crate) witnesses: BTreeMap<(usize, LicenseId, Name), (At, proto::Signed)>,
    /// What it is in AutoVE mode.
    pub(crate) slot: Slot,
    pub(crate) receipts: Receipts,
    pub(crate) papers: Papers,
}

impl Host {
    pub(crate) fn new(random: &mut Random) -> Self {
        Self {
            key: HostKey(random.bytes()),
            clock: Clock::new(random, 0),
            awake: true,
            powered: true,
            witnesses: BTreeMap::new(),
            slot: Slot::Host,
            receipts: Receipts::default(),
            papers: Papers::default(),
        }
    }

    pub(crate) fn runs(&self) -> bool {
        self.awake && self.powered && self.slot != Slot::Vacant
    }
}

/// An emulator: its place on a host, and the program that runs it while there is one.
pub(crate) struct Seat {
    pub(crate) host: usize,
    pub(crate) name: Name,
    pub(crate) model: &'static str,
    /// It asks for what no license covers.
    pub(crate) misfit: bool,
    /// Its operator wants it to run.
    pub(crate) wants: bool,
    pub(crate) program: Option<Program>,
    programs: u64,
}

/// A run of the client program.
pub(crate) struct Program {
    pub(crate) number: u64,
    pub(crate) run: RunId,
    machine: Client,
    guest: Guest,
    tick_at: Option<At>,
    /// Its connections of which something is left.
    pub(crate) links: BTreeMap<Attempt, LinkId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guest {
    None,
    Runs,
    Ends,
}

impl Seat {
    pub(crate) fn new(random: &mut Random, client: usize) -> Self {
        Self {
            host: client / 2,
            name: name(&format!("emulator-{client}")),
            model: random.pick(&MODELS),
            misfit: client % 16 == 15,
            wants: false,
            program: None,
            programs: 0,
        }
    }

    /// An emulator of an AutoVE host. Its name is unique there, and a clone has the same.
    pub(crate) fn on_host(random: &mut Random, host: usize, number: usize) -> Self {
        let misfit = random.percent(5);
        Self { host, name: name(&format!("emulator-{number}")), misfit, ..Self::new(random, 0) }
    }

    pub(crate) fn guest_runs(&self) -> bool {
        self.program.as_ref().is_some_and(|program| program.guest != Guest::None)
    }

    /// Whether this is still the run that something was planned for.
    fn is_run(&self, number: u64) -> bool {
        self.program.as_ref().is_some_and(|program| program.number == number)
    }
}

impl World {
    /// What the clocks of a client's host say, as its shell reads them.
    fn client_now(&self, client: usize) -> Now {
        let now = self.hosts[self.seats[client].host].clock.now(self.at);
        if self.plan.bug == Some(Bug::WallAsElapsed) {
            let seconds = now.wall.0 - crate::clock::beginning().0 + 10 * 86_400;
            let elapsed = Elapsed(u64::try_from(seconds).unwrap_or(0) * 1_000);
            return Now { elapsed, ..now };
        }
        now
    }

    pub(crate) fn launch(&mut self, client: usize) {
        let seat = &self.seats[client];
        if seat.program.is_some() || !self.hosts[seat.host].runs() || (self.healed && seat.misfit) {
            return;
        }
        let mut settings = self.client_settings(client);
        if self.plan.bug == Some(Bug::FailbackNever) {
            settings.primary_probe_ms = 1_000_000 * HOUR_MS;
        }
        let run = RunId(self.random.bytes());
        let seat = &mut self.seats[client];
        seat.wants = true;
        seat.programs += 1;
        let number = seat.programs;
        let machine = Client::new(settings);
        seat.program = Some(Program {
            number,
            run,
            machine,
            guest: Guest::None,
            tick_at: None,
            links: BTreeMap::new(),
        });
        self.checks.see(self.at, &Fact::ProgramStarted { client });
        self.tell_machine(client, Input::Start);
        let at = self.at + self.random.between(30 * MINUTE_MS, 30 * HOUR_MS);
        self.queue.plan(at, Event::StopWanted { client, program: number });
    }

    pub(crate) fn stop_wanted(&mut self, client: usize, program: u64) {
        let seat = &mut self.seats[client];
        if !seat.is_run(program) || self.healed {
            return;
        }
        if !self.hosts[seat.host].runs() {
            let again = Event::StopWanted { client, program };
            return self.queue.plan(self.at + MINUTE_MS, again);
        }
        seat.wants = false;
        self.stop_for_operator(client);
    }

    pub(crate) fn stop_for_operator(&mut self, client: usize) {
        self.checks.see(self.at, &Fact::StopWanted { client });
        self.tell_machine(client, Input::StopRequested);
    }

    /// Hands a client's machine what happened, and does what it says.
    pub(crate) fn tell_machine(&mut self, client: usize, input: Input) {
        let now = self.client_now(client);
        let Some(program) = &mut self.seats[client].program else { return };
        let number = program.number;
        program.machine.handle(now, input);
        while let Some(effect) = self.next_effect(client, number) {
            self.do_for_client(client, effect);
        }
        self.plan_client_tick(client);
    }

    fn next_effect(&mut self, client: usize, number: u64) -> Option<Effect> {
        let program = self.seats[client].program.as_mut()?;
        if program.number == number { program.machine.poll() } else { None }
    }

    fn plan_client_tick(&mut self, client: usize) {
        let (at, bug) = (self.at, self.plan.bug);
        let seat = &mut self.seats[client];
        let Some(program) = &mut seat.program else { return };
        let Some(deadline) = program.machine.deadline() else { return };
        let mut tick = self.hosts[seat.host].clock.when(deadline).max(at);
        if bug == Some(Bug::WallAsElapsed) {
            tick = at + 10 * SECOND_MS;
        }
        if program.tick_at.is_none_or(|planned| tick < planned || planned < at) {
            program.tick_at = Some(tick);
            self.queue.plan(tick, Event::ClientTick { client, program: program.number });
        }
    }

    pub(crate) fn client_tick(&mut self, client: usize, program: u64) {
        let at = self.at;
        let seat = &mut self.seats[client];
        let runs = self.hosts[seat.host].runs();
        let Some(this) = seat.program.as_mut().filter(|this| this.number == program) else {
            return;
        };
        if this.tick_at == Some(at) && runs {
            this.tick_at = None;
            self.tell_machine(client, Input::Tick);
        }
    }

    fn do_for_client(&mut self, client: usize, effect: Effect) {
        let now = self.hosts[self.seats[client].host].clock.now(self.at);
        match effect {
            Effect::Connect { attempt, server } => self.connect(client, attempt, server),
            Effect::Login { attempt, session } => self.ask_login(client, attempt, session),
            Effect::Check { attempt, session } => self.ask_check(client, attempt, session),
            Effect::Logout { attempt, session } => self.ask_logout(client, attempt, session),
            Effect::Disconnect { attempt } => self.give_up(client, attempt),
            Effect::StartGuest => {
                self.checks.see(self.at, &Fact::GuestStarted { client });
                self.set_guest(client, Guest::Runs);
            }
            Effect::ShutDownGuest if self.plan.bug == Some(Bug::StopBeforeShutdown) => {}
            Effect::ShutDownGuest => self.shut_guest_down(client, now),
            Effect::StopGuest => {
                self.checks.see(self.at, &Fact::GuestStopped { client, now });
                self.end_guest_after(client, 20);
            }
            Effect::Tell(told) => {
                self.checks.see(self.at, &Fact::Told { client, told: &told });
                let lost = matches!(told, ve_core::client::io::Told::EndsWithin(_));
                if lost && self.plan.bug == Some(Bug::ShutdownTooEarly) {
                    self.shut_guest_down(client, now);
                }
            }
            Effect::RunHook(_) => {}
            Effect::Exit(_) => self.end_program(client, true),
        }
    }

    fn shut_guest_down(&mut self, client: usize, now: Now) {
        self.checks.see(self.at, &Fact::GuestAskedToShutDown { client, now });
        // Some take long, and some never end by themselves.
        let takes =
            if self.random.percent(10) { HOUR_MS } else { self.random.between(2, 120) * SECOND_MS };
        self.end_guest_after(client, takes);
    }

    fn end_guest_after(&mut self, client: usize, after_ms: u64) {
        if let Some(program) = &mut self.seats[client].program {
            program.guest = Guest::Ends;
            let number = program.number;
            self.queue.plan(self.at + after_ms, Event::GuestEnds { client, program: number });
        }
    }

    fn set_guest(&mut self, client: usize, guest: Guest) {
        if let Some(program) = &mut self.seats[client].program {
            program.guest = guest;
        }
    }

    pub(crate) fn guest_ends(&mut self, client: usize, program: u64) {
        let seat = &mut self.seats[client];
        if !seat.is_run(program) || !seat.guest_runs() {
            return;
        }
        if !self.hosts[seat.host].runs() {
            let again = Event::GuestEnds { client, program };
            return self.queue.plan(self.at + MINUTE_MS, again);
        }
        self.set_guest(client, Guest::None);
        self.checks.see(self.at, &Fact::GuestEnded { client });
        self.tell_machine(client, Input::GuestEnded);
    }

    /// The program is gone, and with it its guest and its connections.
    pub(crate) fn end_program(&mut self, client: usize, tells: bool) {
        let Some(program) = self.seats[client].program.take() else { return };
        if program.guest != Guest::None {
            self.checks.see(self.at, &Fact::GuestEnded { client });
        }
        self.checks.see(self.at, &Fact::ProgramEnded { client });
        for link in program.links.into_values() {
            let Some(this) = self.links.get_mut(&link) else { continue };
            if this.client_end == End::Closed {
                continue;
            }
            if this.client_end == End::Opening {
                this.client_end = End::Closed;
                self.transmit(link, Side::Server, crate::network::Message::End);
            } else {
                self.close_end(link, Side::Client, tells);
            }
            self.forget_if_over(link);
        }
        let pause = if self.healed {
            self.random.between(10 * SECOND_MS, MINUTE_MS)
        } else if self.seats[client].wants && !self.seats[client].misfit {
            self.random.between(30 * SECOND_MS, 10 * MINUTE_MS)
        } else {
            self.random.between(5 * MINUTE_MS, 4 * HOUR_MS)
        };
        self.queue.plan(self.at + pause, Event::Launch { client });
    }

    pub(crate) fn sleep(&mut self, host: usize) {
        self.hosts[host].awake = false;
        for client in self.clients_of(host) {
            self.checks.see(self.at, &Fact::HostSleeps { client });
        }
        self.reassess();
    }

    pub(crate) fn wake(&mut self, host: usize) {
        if std::mem::replace(&mut self.hosts[host].awake, true) || !self.hosts[host].powered {
            return;
        }
        let clients = self.clients_of(host);
        for &client in &clients {
            self.checks.see(self.at, &Fact::HostWakes { client });
        }
        // Timers and sockets wake in any order.
        let ticks_first = self.random.percent(50);
        for round in 0..2 {
            if (round == 0) == ticks_first {
                self.tick_all(&clients);
            } else {
                self.judge_links_after_sleep(host);
            }
        }
        self.tick_all(&clients);
        self.reassess();
    }

    fn tick_all(&mut self, clients: &[usize]) {
        for &client in clients {
            self.tell_machine(client, Input::Tick);
        }
    }

    pub(crate) fn lose_host_power(&mut self, host: usize) {
        self.hosts[host].powered = false;
        for client in self.clients_of(host) {
            self.end_program(client, false);
        }
        self.reassess();
    }

    pub(crate) fn boot_host(&mut self, host: usize) {
        if self.hosts[host].powered {
            return;
        }
        let at = self.at;
        self.hosts[host].powered = true;
        self.hosts[host].awake = true;
        self.hosts[host].clock.reboot(&mut self.random, at);
        self.tell_boot(host);
        for client in self.clients_of(host) {
            let at = at + self.random.between(SECOND_MS, 10 * MINUTE_MS);
            self.queue.plan(at, Event::Launch { client });
        }
    }

    pub(crate) fn clients_of(&self, host: usize) -> Vec<usize> {
        let of_host = |(client, seat): (usize, &Seat)| (seat.host == host).then_some(client);
        self.seats.iter().enumerate().filter_map(of_host).collect()
    }
}
