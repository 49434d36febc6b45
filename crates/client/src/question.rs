//! What a server is asked, by whom, and how that reads on the wire.

use ve_core::{
    id::{Nonce, RunId, SessionId},
    time::Now,
};
use ve_documents::keys::VerifyingKey;
use ve_wire::{
    convert::{self, FactsShown, IdentityShown},
    limits::{MAX_IDENTITY_DOCUMENT_BYTES, MAX_IDENTITY_SIGNATURE_BYTES},
    proto::{self, Signed, client_message::Kind},
};

use crate::{
    config::{Config, HostDocument, HostFacts, HostIdentity, Program, Server},
    grants::Grants,
    receipts::Receipts,
};

/// What a login shows.
#[derive(Debug)]
pub(crate) struct Shown {
    /// Earlier grants.
    pub(crate) witnesses: Vec<Signed>,
    /// What the host says of itself.
    pub(crate) facts: Option<proto::HostFacts>,
}

/// A question to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// A seat, if possible that of the session.
    Login(Option<SessionId>),
    /// Whether there would be a seat. Takes none.
    Probe,
    /// Whether the session is still licensed.
    Check(SessionId),
    /// The session is over.
    Logout(SessionId),
}

impl Question {
    /// The question as `asker` sends it to `server`; only a login shows anything.
    pub(crate) fn message(
        self,
        request_id: u64,
        nonce: Nonce,
        asker: &Asker,
        server: &Server,
        shown: Shown,
    ) -> Kind {
        let Shown { witnesses, facts } = shown;
        let nonce = nonce.0.to_vec();
        match self {
            Self::Login(session) => {
                let login = login_message(asker, server, session);
                Kind::Login(proto::Login { request_id, nonce, witnesses, facts, ..login })
            }
            Self::Probe => {
                let login = login_message(asker, server, None);
                Kind::Login(proto::Login { request_id, nonce, probe: true, facts, ..login })
            }
            Self::Check(session) => {
                Kind::Check(proto::Check { request_id, nonce, session: session.0.to_vec() })
            }
            Self::Logout(session) => {
                Kind::Logout(proto::Logout { request_id, nonce, session: session.0.to_vec() })
            }
        }
    }
}

/// Who asks, for what, and whom he trusts.
#[derive(Debug, Clone)]
pub(crate) struct Asker {
    pub(crate) program: Program,
    pub(crate) host: HostIdentity,
    pub(crate) vendor_keys: Vec<VerifyingKey>,
    pub(crate) run: RunId,
    pub(crate) facts: Option<HostFacts>,
    pub(crate) grants: Grants,
    pub(crate) receipts: Receipts,
    /// Reads the boot and the wall clock.
    pub(crate) clock: fn() -> Now,
}

impl Asker {
    pub(crate) fn of(config: &Config, clock: fn() -> Now) -> Self {
        Self {
            program: config.program.clone(),
            host: config.host.clone(),
            vendor_keys: config.vendor_keys.clone(),
            run: config.run,
            facts: config.facts.clone(),
            grants: Grants::new(
                config.grants.clone(),
                config.host.key,
                config.program.emulator.clone(),
            ),
            receipts: Receipts::new(
                config.receipts.clone(),
                config.host.key,
                config.vendor_keys.clone(),
            ),
            clock,
        }
    }
}

/// What a host says of itself, with these receipts.
pub(crate) fn facts_message(facts: &HostFacts, receipts: Vec<String>) -> proto::HostFacts {
    let fits = |document: &HostDocument| {
        (1..=MAX_IDENTITY_DOCUMENT_BYTES).contains(&document.document.len())
            && (1..=MAX_IDENTITY_SIGNATURE_BYTES).contains(&document.signature.len())
    };
    // A login that breaks a limit would be refused; without the document it is one of a host that
    // nobody vouches for.
    let identity = facts.identity.clone().filter(fits).map(|identity| IdentityShown {
        platform: identity.platform,
        document: identity.document,
        signature: identity.signature,
    });
    convert::facts_message(&FactsShown {
        name: facts.name.clone(),
        platform: facts.platform,
        boot: facts.boot,
        identity,
        receipts,
    })
}

fn login_message(asker: &Asker, server: &Server, session: Option<SessionId>) -> proto::Login {
    let program = &asker.program;
    let passphrase = server.passphrase.as_ref();
    proto::Login {
        product: program.product.to_string(),
        version: program.version.to_string(),
        virtual_hardware: program.virtual_hardware.to_string(),
        cpus: program.cpus,
        memory_mb: program.memory_mb,
        passphrase: passphrase.map_or_else(String::new, |secret| secret.reveal().to_owned()),
        emulator: program.emulator.to_string(),
        session: session.map_or_else(Vec::new, |session| session.0.to_vec()),
        run: asker.run.0.to_vec(),
        ..proto::Login::default()
    }
}
