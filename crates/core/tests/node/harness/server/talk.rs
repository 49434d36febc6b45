//! What is asked of a server, and what it answers.

use super::*;

impl Server {
    /// A client of this host connects.
    pub(crate) fn link(&mut self, host: u8) -> LinkId {
        let link = LinkId(self.fresh());
        let address = name(&format!("10.0.0.{host}:{}", 40_000 + link.0));
        self.input(Input::LinkOpened { link, host: HostKey([host; 32]), address });
        self.open.insert(link);
        link
    }

    /// A client of a host connects from an address.
    pub(crate) fn link_of(&mut self, host: HostKey, address: &str) -> LinkId {
        let link = LinkId(self.fresh());
        let address = name(&format!("{address}:{}", 40_000 + link.0 % 20_000));
        self.input(Input::LinkOpened { link, host, address });
        self.open.insert(link);
        link
    }

    /// Another server connects.
    pub(crate) fn peer_link(&mut self, credential: Credential) -> LinkId {
        let link = LinkId(self.fresh());
        let peer = Verified::vouch(credential);
        let address = name("10.9.9.9:8083");
        self.input(Input::PeerOpened { link, peer, address, dialed: false });
        link
    }

    /// The administrator retires a host; the reply, once there is one.
    pub(crate) fn retire(&mut self, host: u8) -> Option<Result<String, Refusal>> {
        let ticket: Ticket = self.fresh();
        self.input(Input::Retire { ticket, host: HostKey([host; 32]) });
        self.reply_to(ticket)
    }

    /// The administrator imports entries; the reply, once there is one.
    pub(crate) fn import(&mut self, entries: Vec<HostEntry>) -> Option<Result<String, Refusal>> {
        let ticket: Ticket = self.fresh();
        self.input(Input::ImportHosts { ticket, entries });
        self.reply_to(ticket)
    }

    /// A link closes; its last bytes came right now.
    pub(crate) fn close(&mut self, link: LinkId) {
        self.close_silent(link, 0);
    }

    /// A link closes; its last bytes came `silence_ms` ago.
    pub(crate) fn close_silent(&mut self, link: LinkId, silence_ms: u64) {
        self.open.remove(&link);
        let last_heard = Elapsed(self.now.elapsed.0 - silence_ms);
        self.input(Input::LinkClosed { link, last_heard });
    }

    /// Asks, and names the question.
    pub(crate) fn ask(&mut self, link: LinkId, ask: Ask) -> RequestId {
        let request = self.fresh();
        self.input(Input::Request { link, request, ask });
        request
    }

    /// The requests that were answered, in the order of their answers.
    pub(crate) fn answered(&self) -> &[RequestId] {
        &self.answered
    }

    /// Every answer there has been.
    pub(crate) fn answers(&self) -> &BTreeMap<RequestId, Answer> {
        &self.answers
    }

    /// Whether a link is open.
    pub(crate) fn is_open(&self, link: LinkId) -> bool {
        self.open.contains(&link)
    }

    /// The answer to a question, if there is one by now.
    pub(crate) fn answer(&self, request: RequestId) -> Option<Answer> {
        self.answers.get(&request).cloned()
    }

    pub(crate) fn ask_login(&mut self, link: LinkId, login: LoginBuilder) -> RequestId {
        let fresh = session_id(self.fresh());
        self.ask(link, Ask::Login { login: login.build(), fresh })
    }

    pub(crate) fn login(&mut self, link: LinkId, login: LoginBuilder) -> Option<Answer> {
        let request = self.ask_login(link, login);
        self.answer(request)
    }

    /// A login from a new link of this host.
    pub(crate) fn login_from(&mut self, host: u8, login: LoginBuilder) -> Option<Answer> {
        let link = self.link(host);
        self.login(link, login)
    }

    /// Asks when everything is durable; the reply, once there is one.
    pub(crate) fn settle(&mut self) -> Option<Result<String, Refusal>> {
        let ticket: Ticket = self.fresh();
        self.input(Input::Settle { ticket });
        self.reply_to(ticket)
    }

    pub(crate) fn check(&mut self, link: LinkId, session: SessionId) -> Option<Answer> {
        let request = self.ask(link, Ask::Check(session));
        self.answer(request)
    }

    pub(crate) fn logout(&mut self, link: LinkId, session: SessionId) -> Option<Answer> {
        let request = self.ask(link, Ask::Logout(session));
        self.answer(request)
    }

    pub(crate) fn probe(&mut self, link: LinkId, login: LoginBuilder) -> Option<Answer> {
        let request = self.ask(link, Ask::Probe(login.build()));
        self.answer(request)
    }

    pub(crate) fn pong(&mut self, link: LinkId, session: SessionId, runs: bool) {
        self.input(Input::Pong { link, session, runs });
    }

    /// The administrator releases a session; the reply, once there is one.
    pub(crate) fn release(&mut self, number: u64) -> Option<Result<String, Refusal>> {
        let ticket: Ticket = self.fresh();
        self.input(Input::Release { ticket, number: SessionNumber(number) });
        self.reply_to(ticket)
    }

    /// The administrator's latest question.
    pub(crate) fn latest_ticket(&self) -> Ticket {
        self.last_name
    }

    /// The reply to a question of the administrator's.
    pub(crate) fn reply_to(&self, ticket: Ticket) -> Option<Result<String, Refusal>> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Reply { ticket: replied, outcome } if *replied == ticket => {
                Some(outcome.clone())
            }
            _ => None,
        })
    }
}
