//! The client's end of a link: questions out, answers in, as the product's client shell does it.

use std::cmp::Reverse;

use ve_core::{
    client::io::{Attempt, ConnectError, Input},
    grant::Grant,
    id::{LinkId, Nonce, SessionId},
    license::Mode,
    node::io::RequestId,
    time::SECOND_MS,
};
use ve_documents::keys;
use ve_wire::{
    convert,
    limits::MAX_WITNESSES,
    proto::{self, statement::Content},
    statement::{self, Believed, Bond},
};

use crate::{
    Bug,
    client::Seat,
    fact::Fact,
    network::{End, Link, Message, Question, Side, Way},
    random::Hash,
    world::{Event, World},
};

/// How long handshake and hello may take together, in milliseconds.
const CONNECT_MS: u64 = 5 * SECOND_MS;

/// Of how many links without a session one checks all signatures.
const CHECKS_EVERY: u64 = 8;

impl World {
    pub(crate) fn connect(&mut self, client: usize, attempt: Attempt, server: usize) {
        self.last_link += 1;
        let id = LinkId(self.last_link);
        let program = self.seats[client].program.as_ref().map_or(0, |program| program.number);
        let link = Link {
            client,
            program,
            attempt,
            server,
            nonce: Nonce(self.random.bytes()),
            to_server: Way::default(),
            to_client: Way::default(),
            server_end: End::Opening,
            client_end: End::Opening,
            asked: std::collections::BTreeMap::new(),
            last_request: 0,
            holds: None,
            to_answer: std::collections::BTreeMap::new(),
            signed: std::collections::BTreeSet::new(),
        };
        self.links.insert(id, link);
        if let Some(program) = &mut self.seats[client].program {
            program.links.insert(attempt, id);
        }
        self.transmit(id, Side::Server, Message::Hello);
        self.queue.plan(self.at + CONNECT_MS, Event::ConnectTimeout { link: id });
    }

    fn link_of(&self, client: usize, attempt: Attempt) -> Option<LinkId> {
        self.seats[client].program.as_ref()?.links.get(&attempt).copied()
    }

    /// Notes a question; the answer must repeat its nonce.
    fn note_asked(&mut self, link: LinkId, question: Question) -> Option<(RequestId, Nonce)> {
        let nonce = Nonce(self.random.bytes());
        let this = self.links.get_mut(&link).filter(|this| this.client_end.is_open())?;
        this.last_request += 1;
        this.asked.insert(this.last_request, (nonce, question));
        Some((this.last_request, nonce))
    }

    pub(crate) fn ask_login(
        &mut self,
        client: usize,
        attempt: Attempt,
        session: Option<SessionId>,
    ) {
        let Some(link) = self.link_of(client, attempt) else { return };
        let Some((request, nonce)) = self.note_asked(link, Question::Login) else { return };
        let server = self.links[&link].server;
        let seat = &self.seats[client];
        let Some(program) = &seat.program else { return };
        let login = proto::Login {
            request_id: request,
            nonce: nonce.0.to_vec(),
            product: "Charon-SSP".to_owned(),
            version: "5.3.8".to_owned(),
            virtual_hardware: seat.model.to_owned(),
            cpus: if seat.misfit { 65 } else { 4 },
            memory_mb: 4_096,
            passphrase: String::new(),
            emulator: seat.name.to_string(),
            session: session.map_or_else(Vec::new, |session| session.0.to_vec()),
            run: program.run.0.to_vec(),
            probe: false,
            witnesses: self.witnesses_for(seat, server),
            facts: self.facts_of(seat.host),
        };
        self.transmit(link, Side::Server, Message::Login(Box::new(login)));
    }

    /// The latest grants of this server to this host, the emulator's own first.
    fn witnesses_for(&self, seat: &Seat, server: usize) -> Vec<proto::Signed> {
        let kept = self.hosts[seat.host].witnesses.iter();
        let mut kept: Vec<_> = kept.filter(|((of, ..), _)| *of == server).collect();
        kept.sort_by_key(|((.., emulator), (at, _))| (*emulator != seat.name, Reverse(*at)));
        kept.into_iter().take(MAX_WITNESSES).map(|(_, (_, signed))| signed.clone()).collect()
    }

    pub(crate) fn ask_check(&mut self, client: usize, attempt: Attempt, session: SessionId) {
        let Some(link) = self.link_of(client, attempt) else { return };
        if let Some((request, nonce)) = self.note_asked(link, Question::Check(session)) {
            self.transmit(link, Side::Server, Message::Check(request, nonce, session));
        }
    }

    pub(crate) fn ask_logout(&mut self, client: usize, attempt: Attempt, session: SessionId) {
        let now = self.hosts[self.seats[client].host].clock.now(self.at);
        self.checks.see(self.at, &Fact::LoggingOut { client, attempt, now });
        let Some(link) = self.link_of(client, attempt) else { return };
        if self.plan.bug == Some(Bug::BackupKept)
            && self.links[&link].server == 1
            && self.seats[client].guest_runs()
        {
            return self.tell_machine(client, Input::LoggedOut { attempt });
        }
        if let Some((request, nonce)) = self.note_asked(link, Question::Logout(session)) {
            self.transmit(link, Side::Server, Message::Logout(request, nonce, session));
        }
    }

    /// The machine has no use for a connection any more.
    pub(crate) fn give_up(&mut self, client: usize, attempt: Attempt) {
        let now = self.hosts[self.seats[client].host].clock.now(self.at);
        let Some(link) = self.link_of(client, attempt) else { return };
        self.checks.see(self.at, &Fact::GaveUp { client, attempt, link, now });
        let Some(this) = self.links.get_mut(&link) else { return };
        match this.client_end {
            End::Closed => {}
            End::Opening => {
                this.client_end = End::Closed;
                self.transmit(link, Side::Server, Message::End);
            }
            End::Open { .. }
                if self.plan.bug == Some(Bug::BackupKept)
                    && this.server == 1
                    && this.holds.is_some() => {}
            End::Open { .. } => self.close_end(link, Side::Client, true),
        }
        self.forget_if_over(link);
    }

    pub(crate) fn client_hears(&mut self, link: LinkId, message: Message) {
        let Some(this) = self.links.get_mut(&link) else { return };
        let (client, attempt) = (this.client, this.attempt);
        let current = self.seats[client].program.as_ref().map(|program| program.number);
        if current != Some(this.program) {
            return;
        }
        match (message, this.client_end) {
            (Message::Welcome, End::Opening) => self.be_welcome(link, client, attempt),
            (Message::Rejected | Message::End, End::Opening) => {
                self.fail_to_connect(link, "nobody listens there");
            }
            (Message::End, End::Open { .. }) => self.lose(link, "the server closed the connection"),
            (Message::Answer(request, signed, receipt), End::Open { .. }) => {
                self.keep_receipt(client, receipt);
                self.hear_answer(link, request, &signed);
            }
            (Message::Revoked(signed), End::Open { .. }) => self.hear_revoked(link, &signed),
            (Message::Ping(session), End::Open { .. }) => {
                let runs = this.holds == Some(session);
                self.transmit(link, Side::Server, Message::Pong(session, runs));
            }
            (Message::Closing, End::Open { .. }) => {
                self.tell_machine(client, Input::Closing { attempt });
            }
            _ => {}
        }
    }

    /// The server has said hello, with its credentials.
    fn be_welcome(&mut self, link: LinkId, client: usize, attempt: Attempt) {
        let Some(this) = self.links.get_mut(&link) else { return };
        let server = this.server;
        this.client_end = End::Open { silent_since: None };
        let mut licenses = self.shown_licenses(server);
        if self.plan.mode == Mode::AutoVe && licenses.is_empty() {
            self.close_end(link, Side::Client, true);
            let (why, refusal) = ("it shows no credential".to_owned(), None);
            let why = ConnectError::Unverified { why, refusal };
            return self.tell_machine(client, Input::NotConnected { attempt, why });
        }
        if self.plan.bug == Some(Bug::HomeIgnored) {
            licenses.clear();
        }
        self.tell_machine(client, Input::Connected { attempt, licenses });
        self.reassess_link(link);
    }

    /// Reads what a server has signed. Most of what is said is that there is no instance, and most of
    /// the time would go into checking that: where nothing is held, one link in eight checks its
    /// signatures, and the others see that they are those that the server made.
    fn believe(&mut self, link: LinkId, nonce: Nonce, signed: &proto::Signed) -> Believed {
        let server_key = self.servers[self.links[&link].server].key.public();
        let host = self.host_key(link).expect("the link was just looked up");
        let bond = Bond { nonce, server_key, host };
        let this = self.links.get_mut(&link).expect("the link was just looked up");
        let checks = this.holds.is_some() || link.0.is_multiple_of(CHECKS_EVERY);
        let verify = |message: &[u8], signature: &[u8]| {
            let made = this.signed.remove(&Hash::of_both(message, signature));
            made && (!checks || keys::verify(&server_key, message, signature).is_ok())
        };
        statement::open(Some(signed), bond, verify).expect("nobody forges anything here")
    }

    fn hear_answer(&mut self, link: LinkId, request: RequestId, signed: &proto::Signed) {
        let Some(this) = self.links.get_mut(&link) else { return };
        let Some((nonce, question)) = this.asked.remove(&request) else { return };
        let (client, attempt, server) = (this.client, this.attempt, this.server);
        let Believed { session, content } = self.believe(link, nonce, signed);
        let now = self.hosts[self.seats[client].host].clock.now(self.at);
        match (content, session) {
            (Content::Grant(grant), Some(session)) => {
                let grant = convert::grant(&grant, session).expect("servers here grant in bounds");
                self.keep_witness(client, server, &grant, signed);
                if let (Question::Login, Some(this)) = (question, self.links.get_mut(&link)) {
                    this.holds = Some(session);
                }
                let fact = Fact::Granted { client, server, attempt, link, grant: &grant };
                self.checks.see(self.at, &fact);
                self.tell_machine(client, Input::Granted { attempt, grant });
            }
            (Content::Refusal(refusal), _) => {
                let refusal = convert::refusal(&refusal);
                let fact = Fact::Refused {
                    client,
                    server,
                    attempt,
                    link,
                    request,
                    refusal: &refusal,
                    now,
                };
                self.checks.see(self.at, &fact);
                self.tell_machine(client, Input::Refused { attempt, refusal });
            }
            (Content::LoggedOut(_), _) => {
                if let Some(this) = self.links.get_mut(&link) {
                    this.holds = None;
                }
                self.tell_machine(client, Input::LoggedOut { attempt });
            }
            _ => {}
        }
    }

    fn keep_witness(
        &mut self,
        client: usize,
        server: usize,
        grant: &Grant,
        signed: &proto::Signed,
    ) {
        let seat = &self.seats[client];
        let key = (server, grant.license_id.clone(), seat.name.clone());
        self.hosts[seat.host].witnesses.insert(key, (self.at, signed.clone()));
    }

    fn hear_revoked(&mut self, link: LinkId, signed: &proto::Signed) {
        let Some(this) = self.links.get(&link) else { return };
        let (client, attempt, server, nonce) = (this.client, this.attempt, this.server, this.nonce);
        let Believed { session, content } = self.believe(link, nonce, signed);
        let Content::Revoked(refusal) = content else { return };
        let Some(this) = self.links.get_mut(&link) else { return };
        if session.is_none() || session != this.holds {
            return;
        }
        this.holds = None;
        let refusal = convert::refusal(&refusal);
        let now = self.hosts[self.seats[client].host].clock.now(self.at);
        let fact = Fact::Revoked { client, server, attempt, link, refusal: &refusal, now };
        self.checks.see(self.at, &fact);
        self.tell_machine(client, Input::Revoked { attempt, refusal });
    }
}
