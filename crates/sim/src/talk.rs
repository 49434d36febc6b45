//! The server's end of a link: messages in, signed answers out, as the product's link does it.

use ve_core::{
    id::{HostKey, LinkId, Nonce, SessionId},
    license::Mode,
    node::io::{Answer, Ask, Input, Login, RequestId},
    reason::{ReasonCode, Refusal},
    time::HOUR_MS,
};
use ve_documents::keys;
use ve_wire::{
    convert,
    proto::{self, statement::Content},
    statement::{self, Bond},
    witness,
};

use crate::{
    Bug,
    fact::Fact,
    network::{End, Message, Side},
    random::Hash,
    vendor::name,
    world::{Event, World},
};

impl World {
    pub(crate) fn server_hears(&mut self, link: LinkId, message: Message) {
        let Some(this) = self.links.get(&link) else { return };
        let server = this.server;
        if let Message::Hello = message {
            return self.greet(server, link);
        }
        if let Message::End = message {
            return self.hear_end(link);
        }
        if !this.server_end.is_open() {
            return;
        }
        match message {
            Message::Login(login) => self.hear_login(server, link, &login),
            Message::Check(request, nonce, session) => {
                self.note_question(link, request, nonce, Some(session));
                self.ask_node(server, link, request, Ask::Check(session));
            }
            Message::Logout(request, nonce, session) => {
                self.note_question(link, request, nonce, Some(session));
                self.ask_node(server, link, request, Ask::Logout(session));
            }
            Message::Pong(session, runs) => self.feed(server, Input::Pong { link, session, runs }),
            _ => {}
        }
    }

    fn greet(&mut self, server: usize, link: LinkId) {
        let Some(this) = self.links.get_mut(&link) else { return };
        let client = this.client;
        let listens = self.servers[server].process.as_ref().filter(|process| !process.draining);
        if listens.is_none() {
            this.server_end = End::Closed;
            return self.transmit(link, Side::Client, Message::Rejected);
        }
        this.server_end = End::Open { silent_since: None };
        let host = self.hosts[self.seats[client].host].key;
        self.servers[server].open_links.insert(link);
        self.checks.see(self.at, &Fact::LinkOpened { server, link, host, client });
        // Two emulators of one AutoVE host have one address.
        let place = match self.plan.mode {
            Mode::General => client,
            Mode::AutoVe => self.seats[client].host,
        };
        let port = link.0 % 60_000;
        let address = name(&format!("10.0.{}.{}:{port}", place / 256, place % 256));
        self.feed(server, Input::LinkOpened { link, host, address });
        self.transmit(link, Side::Client, Message::Welcome);
        // Whoever has given up meanwhile has sent no heartbeat.
        self.reassess_link(link);
    }

    fn hear_end(&mut self, link: LinkId) {
        let Some(this) = self.links.get_mut(&link) else { return };
        if this.server_end == End::Opening {
            this.server_end = End::Closed;
        }
        self.close_end(link, Side::Server, false);
    }

    fn note_question(
        &mut self,
        link: LinkId,
        request: RequestId,
        nonce: Nonce,
        session: Option<SessionId>,
    ) {
        if let Some(this) = self.links.get_mut(&link) {
            this.to_answer.insert(request, (nonce, session));
        }
    }

    fn hear_login(&mut self, server: usize, link: LinkId, message: &proto::Login) {
        let nonce = convert::nonce(&message.nonce).expect("clients here send whole nonces");
        self.note_question(link, message.request_id, nonce, None);
        let login = convert::login(message).expect("clients here keep every limit");
        let witnesses = self.read_witnesses(server, link, message);
        let facts = self.read_facts(message);
        let login = Login { witnesses, facts, ..login };
        let fresh = self.fresh_session(server);
        self.ask_node(server, link, message.request_id, Ask::Login { login, fresh });
    }

    fn fresh_session(&mut self, server: usize) -> SessionId {
        let fresh = SessionId(self.random.bytes());
        let Some(process) = &mut self.servers[server].process else { return fresh };
        if let (Some(Bug::SessionShared), Some(last)) =
            (self.plan.bug, process.last_fresh.replace(fresh))
        {
            return last;
        }
        fresh
    }

    fn read_witnesses(
        &mut self,
        server: usize,
        link: LinkId,
        message: &proto::Login,
    ) -> Vec<ve_core::license::Verified<ve_core::grant::Witness>> {
        let key = self.servers[server].key.public();
        let Some(host) = self.host_key(link) else { return Vec::new() };
        let verified = &mut self.verified;
        // The same grant is shown again and again; its signature is checked once.
        let mut verify = |bytes: &[u8], signature: &[u8]| {
            let known = (server, Hash::of(bytes), Hash::of(signature));
            let holds = verified.contains(&known) || keys::verify(&key, bytes, signature).is_ok();
            if holds {
                verified.insert(known);
            }
            holds
        };
        let shown = message.witnesses.iter();
        shown.filter_map(|signed| witness::read(signed, key, host, &mut verify)).collect()
    }

    pub(crate) fn host_key(&self, link: LinkId) -> Option<HostKey> {
        let client = self.links.get(&link)?.client;
        Some(self.hosts[self.seats[client].host].key)
    }

    fn ask_node(&mut self, server: usize, link: LinkId, request: RequestId, mut ask: Ask) {
        let now = self.servers[server].clock.now(self.at);
        self.checks.see(self.at, &Fact::Asked { server, link, request, ask: &ask, now });
        self.spoil_question(server, link, &mut ask);
        self.feed(server, Input::Request { link, request, ask });
    }

    /// What a shell with a bug keeps from the node.
    fn spoil_question(&self, server: usize, link: LinkId, ask: &mut Ask) {
        let Ask::Login { login, .. } = ask else { return };
        let host = self.host_key(link);
        let is_new = || host.is_some_and(|host| self.servers[server].roll.find(host).is_none());
        match (self.plan.bug, &mut login.facts) {
            (Some(Bug::WitnessIgnored), _) => login.witnesses.clear(),
            (Some(Bug::IdentityHidden), Some(facts)) => facts.identity = None,
            (Some(Bug::NewKeysUnbound), Some(facts)) if is_new() => facts.identity = None,
            (Some(Bug::EarlierKeyKept), Some(facts)) => {
                let roll = &self.servers[server].roll;
                let identity = facts.identity.as_deref();
                let mut keys = roll.entries().filter(|entry| {
                    entry.is_active()
                        && Some(entry.host) != host
                        && entry.identity.as_ref() == identity
                });
                if keys.any(|entry| (0..2).all(|of| !self.checks.has_sessions(of, entry.host))) {
                    facts.identity = None;
                }
            }
            _ => {}
        }
    }

    pub(crate) fn send_answer(
        &mut self,
        server: usize,
        link: LinkId,
        request: RequestId,
        answer: Answer,
    ) {
        let Some(this) = self.links.get_mut(&link) else { return };
        let Some((nonce, asked_of)) = this.to_answer.remove(&request) else { return };
        let mut receipt = String::new();
        let (session, content) = match answer {
            Answer::Granted(mut grant) => {
                if self.plan.bug == Some(Bug::GraceProlonged) {
                    grant.grace_ms *= 2;
                }
                receipt = self.sign_receipt(server, grant.receipt.as_deref());
                (Some(grant.session), Content::Grant(convert::grant_message(&grant)))
            }
            Answer::Refused(refusal) => {
                let refusal = self.spoil_refusal(refusal);
                (asked_of, Content::Refusal(convert::refusal_message(&refusal)))
            }
            Answer::LoggedOut(session) => (Some(session), Content::LoggedOut(proto::LoggedOut {})),
        };
        let signed = self.seal(server, link, nonce, session, content);
        self.transmit(link, Side::Client, Message::Answer(request, Box::new(signed), receipt));
    }

    fn spoil_refusal(&self, refusal: Refusal) -> Refusal {
        match self.plan.bug {
            Some(Bug::ReasonSwapped) => Refusal { code: ReasonCode::ReservedForOthers, ..refusal },
            _ => refusal,
        }
    }

    fn seal(
        &mut self,
        server: usize,
        link: LinkId,
        nonce: Nonce,
        session: Option<SessionId>,
        content: Content,
    ) -> proto::Signed {
        let key = &self.servers[server].key;
        let host = self.host_key(link).unwrap_or(HostKey([0; HostKey::LENGTH]));
        let bond = Bond { nonce, server_key: key.public(), host };
        let mut made = 0;
        let signed = statement::seal(bond, session, content, |message| {
            let signature = key.sign(message);
            made = Hash::of_both(message, &signature);
            signature
        });
        if let Some(this) = self.links.get_mut(&link) {
            this.signed.insert(made);
        }
        signed
    }

    pub(crate) fn send_revoked(
        &mut self,
        server: usize,
        link: LinkId,
        session: SessionId,
        refusal: &Refusal,
    ) {
        let Some(nonce) = self.links.get(&link).map(|this| this.nonce) else { return };
        let content = Content::Revoked(convert::refusal_message(refusal));
        let signed = self.seal(server, link, nonce, Some(session), content);
        let message = Message::Revoked(Box::new(signed));
        if self.plan.bug == Some(Bug::RevokedLate) {
            let late = Event::Arrives { link, to: Side::Client, message };
            return self.queue.plan(self.at + HOUR_MS, late);
        }
        self.transmit(link, Side::Client, message);
    }

    pub(crate) fn send_ping(&mut self, link: LinkId, session: SessionId) {
        self.transmit(link, Side::Client, Message::Ping(session));
    }

    pub(crate) fn send_closing(&mut self, link: LinkId) {
        self.transmit(link, Side::Client, Message::Closing);
    }
}
