//! A client after docs/protocol.md, sections 4 to 8. It believes nothing that it has not checked.

#![allow(dead_code, reason = "every test binary uses its own part")]

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};

use super::{
    connection::{Connection, Heard, Host, Offer},
    credential,
    messages::{
        self, Content, Grant, Login, Nonce, Refusal, Said, ServerHello, Session, Signed, Statement,
        random,
    },
    server::{LONG, Server},
};

/// What stands before a statement where it is signed.
const DOMAIN: &[u8; 25] = b"ve-license statement v1\0\0";

/// What a client is answered.
pub(crate) type Answer = Result<(Session, Grant), Refusal>;

/// A client that has seen who the server is.
pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) hello: ServerHello,
    server_key: [u8; 32],
    hello_nonce: Nonce,
    last_request: u64,
    /// What the server said while something else was waited for.
    unasked: VecDeque<Said>,
}

impl Client {
    /// Connects, says hello, and holds the server to its credential.
    pub(crate) fn connect(server: &Server, host: &Host) -> Self {
        let connection = Connection::open(server.address, &Offer::of(host)).expect("TLS");
        Self::greet(server, connection)
    }

    /// The same over a connection that is there.
    pub(crate) fn greet(server: &Server, mut connection: Connection) -> Self {
        let hello_nonce = random();
        let hello = messages::hello(&[1], &hello_nonce, "a test");
        connection.send(&hello).expect("an open connection");
        let hello = match connection.receive() {
            Some(Said::Hello(hello)) => hello,
            other => panic!("no hello: {other:?}"),
        };
        assert_eq!((hello.version, hello.versions.as_slice()), (1, &[1][..]));
        let server_key = connection.server_key();
        let vendor_key = server.vendor.key().public().0;
        let proves = |jws: &String| credential::is_for(jws, &vendor_key, &server_key);
        assert!(hello.credentials.iter().any(proves), "no credential holds: {hello:?}");
        let unasked = VecDeque::new();
        Self { connection, hello, server_key, hello_nonce, last_request: 0, unasked }
    }

    /// Asks for a seat.
    pub(crate) fn login(&mut self, login: &Login) -> Answer {
        let asked = self.send_login(login);
        self.granted(&asked)
    }

    /// Asks for a seat that must be there.
    pub(crate) fn log_in(&mut self, login: &Login) -> Session {
        self.login(login).expect("a seat").0
    }

    /// Asks for a seat that must not be there; gives the reason code.
    pub(crate) fn refused(&mut self, login: &Login) -> String {
        self.login(login).expect_err("no seat").code
    }

    /// Asks whether a session is still licensed.
    pub(crate) fn check(&mut self, session: &[u8]) -> Answer {
        let asked = self.ask(|request, nonce| messages::check(request, nonce, session));
        let answer = self.granted(&asked);
        if let Ok((granted, _)) = &answer {
            assert_eq!(granted, session, "a grant for another session");
        }
        answer
    }

    /// Ends a session.
    pub(crate) fn logout(&mut self, session: &[u8]) {
        let asked = self.ask(|request, nonce| messages::logout(request, nonce, session));
        let statement = self.answer(&asked);
        assert_eq!(
            (statement.content, statement.session.as_slice()),
            (Content::LoggedOut, session)
        );
    }

    /// Sends a heartbeat and waits for the server's.
    pub(crate) fn beat(&mut self) {
        self.send(&messages::heartbeat());
        self.wait_for(|said| *said == Said::Heartbeat);
    }

    /// Asks for a seat that must be there; the signed grant as it came.
    pub(crate) fn log_in_signed(&mut self, login: &Login) -> (Session, Signed) {
        let asked = self.send_login(login);
        let signed = self.signed_answer(&asked);
        let statement = self.believe(&signed, &asked.nonce);
        assert!(matches!(statement.content, Content::Grant(_)), "no grant: {statement:?}");
        (statement.session, signed)
    }

    /// Asks for a seat, and does not wait.
    pub(crate) fn send_login(&mut self, login: &Login) -> Asked {
        self.ask(|request, nonce| login.message(request, nonce))
    }

    fn ask(&mut self, message: impl FnOnce(u64, &Nonce) -> Vec<u8>) -> Asked {
        self.last_request += 1;
        let asked = Asked { request: self.last_request, nonce: random() };
        self.send(&message(asked.request, &asked.nonce));
        asked
    }

    pub(crate) fn send(&mut self, message: &[u8]) {
        self.connection.send(message).expect("an open connection");
    }

    /// The grant or refusal that answers a login or check.
    pub(crate) fn granted(&mut self, asked: &Asked) -> Answer {
        let statement = self.answer(asked);
        match statement.content {
            Content::Grant(grant) => Ok((statement.session, grant)),
            Content::Refusal(refusal) => Err(refusal),
            other => panic!("no grant and no refusal: {other:?}"),
        }
    }

    /// The answer to a question, checked in the order that section 6 demands.
    fn answer(&mut self, asked: &Asked) -> Statement {
        let signed = self.signed_answer(asked);
        self.believe(&signed, &asked.nonce)
    }

    /// The answer to a question as it came, unchecked.
    pub(crate) fn signed_answer(&mut self, asked: &Asked) -> Signed {
        let said = self.wait_for(
            |said| matches!(said, Said::Answer { request, .. } if *request == asked.request),
        );
        let Said::Answer { signed, .. } = said else { unreachable!("waited for an answer") };
        signed
    }

    fn believe(&self, signed: &Signed, nonce: &Nonce) -> Statement {
        assert!(signed.statement.len() <= 8_192, "a statement of {}", signed.statement.len());
        let message = [DOMAIN.as_slice(), &signed.statement].concat();
        let key = UnparsedPublicKey::new(&ED25519, self.server_key);
        key.verify(&message, &signed.signature).expect("the server's signature");
        let statement = messages::statement(&signed.statement);
        assert_eq!(statement.server_key, self.server_key);
        assert_eq!(Some(statement.host.as_slice()), self.connection.host.as_ref().map(|h| &h[..]));
        assert_eq!(statement.nonce, nonce);
        statement
    }

    /// Waits until a session is revoked, and says why. Sessions are revoked in order.
    pub(crate) fn wait_for_revocation(&mut self, session: &[u8]) -> Refusal {
        let said = self.wait_for(|said| matches!(said, Said::Revoked(_)));
        let Said::Revoked(signed) = said else { unreachable!("waited for a revocation") };
        let statement = self.believe(&signed, &self.hello_nonce);
        assert_eq!(statement.session, session);
        match statement.content {
            Content::Revoked(refusal) => refusal,
            other => panic!("no revocation: {other:?}"),
        }
    }

    /// Waits until the server asks whether a session runs.
    pub(crate) fn wait_for_ping(&mut self, session: &[u8]) {
        let said = self.wait_for(|said| matches!(said, Said::Ping(_)));
        assert_eq!(said, Said::Ping(session.to_vec()));
    }

    /// Waits until the server says that it is about to stop.
    pub(crate) fn wait_for_closing(&mut self) {
        self.wait_for(|said| *said == Said::Closing);
    }

    /// Waits until the server closes the connection; what it said before is left over.
    pub(crate) fn wait_for_end(&mut self) -> Vec<Said> {
        while let Some(said) = self.connection.receive() {
            self.unasked.push_back(said);
        }
        self.unasked.drain(..).collect()
    }

    /// The first thing that the server says of this kind; the others stay for later. Heartbeats
    /// keep the connection meanwhile.
    fn wait_for(&mut self, is_it: impl Fn(&Said) -> bool) -> Said {
        if let Some(at) = self.unasked.iter().position(&is_it) {
            return self.unasked.remove(at).expect("it was found");
        }
        let interval = Duration::from_millis(self.hello.heartbeat_interval_ms.into());
        let since = Instant::now();
        loop {
            match self.connection.receive_within(interval) {
                Heard::Said(said) if is_it(&said) => return said,
                Heard::Said(Said::Heartbeat) => {}
                Heard::Said(said) => self.unasked.push_back(said),
                Heard::Nothing => self.send(&messages::heartbeat()),
                Heard::End => panic!("the server closed the connection: {:?}", self.unasked),
            }
            assert!(since.elapsed() < LONG, "it was never said, only: {:?}", self.unasked);
        }
    }
}

/// A question that is open.
#[derive(Debug)]
pub(crate) struct Asked {
    request: u64,
    nonce: Nonce,
}
