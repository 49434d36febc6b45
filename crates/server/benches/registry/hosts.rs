//! A host that registers itself.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_rustls::TlsConnector;
use ve_core::id::HostKey;
use ve_documents::keys::SigningKey;
use ve_wire::{
    proto::{HostFacts, Login, Logout, client_message::Kind as Ask, statement::Content},
    random_bytes,
    tls::{self, Identity},
};

use super::talk::{self, Reader, answer, fresh, say};

/// A new host with its own key, connected.
pub(crate) struct Newcomer {
    host: HostKey,
    reader: Reader,
}

/// A host that is registered and has an emulator.
pub(crate) struct Registered {
    host: HostKey,
    reader: Reader,
    session: Vec<u8>,
}

impl Newcomer {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let key = SigningKey::generate();
        let identity = Identity::from_pkcs8(&key.pkcs8_der()).expect("a fresh key");
        let host = identity.host_key();
        let config = tls::client_config(identity).expect("a fresh key");
        let reader = talk::connect(address, TlsConnector::from(Arc::new(config))).await;
        Self { host, reader }
    }

    pub(crate) fn key(&self) -> HostKey {
        self.host
    }

    /// Logs in, which registers the host; says how long the answer took.
    pub(crate) async fn register(mut self) -> (Registered, Duration) {
        let nonce = fresh();
        let facts = HostFacts {
            name: format!("host-{}", self.host).chars().take(20).collect(),
            platform: "kvm".to_owned(),
            boot: random_bytes::<16>().to_vec(),
            ..HostFacts::default()
        };
        let login =
            Login { facts: Some(facts), ..talk::login("emulator".to_owned(), nonce.clone()) };
        let since = Instant::now();
        say(&mut self.reader, Ask::Login(login)).await;
        let granted = answer(&mut self.reader, self.host, &nonce).await;
        let taken = since.elapsed();
        assert!(matches!(granted.content, Content::Grant(_)), "{granted:?}");
        let session = granted.session.expect("a grant names its session").0.to_vec();
        (Registered { host: self.host, reader: self.reader, session }, taken)
    }
}

impl Registered {
    /// Its emulator ends; the host stays registered.
    pub(crate) async fn leave(mut self) {
        let nonce = fresh();
        let logout = Logout { request_id: 2, nonce: nonce.clone(), session: self.session };
        say(&mut self.reader, Ask::Logout(logout)).await;
        let told = answer(&mut self.reader, self.host, &nonce).await.content;
        assert!(matches!(told, Content::LoggedOut(_)), "{told:?}");
    }
}
