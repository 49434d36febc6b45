//! Servers whose license counts hosts: they alone are told what a host is.

use ve_client::{
    config::{Config, HostDocument, HostFacts},
    probe::probe,
};
use ve_core::{
    fingerprint::Platform,
    grant::Grant,
    id::{BootId, HostKey},
    registry::Receipt,
    time::Utc,
};
use ve_documents::receipt;
use ve_wire::{
    convert,
    proto::{
        self, client_message::Kind as Asked, server_message::Kind as Said, statement::Content,
    },
};

use crate::{
    program::{Program, config},
    server::{CUSTOMER, Server, Talk, grant},
};

/// Two licenses of one customer.
pub(crate) const ONE: &str = "01.00000001.002.044";
pub(crate) const OTHER: &str = "01.00000001.002.045";

/// What the host of these tests says of itself.
pub(crate) fn facts() -> HostFacts {
    HostFacts {
        name: "emu-7".parse().unwrap(),
        platform: Some(Platform::Kvm),
        boot: BootId([7; 16]),
        identity: None,
    }
}

/// Starts a program that knows what its host is.
pub(crate) fn start(server: &Server, ports: &[u16]) -> Program {
    let (config, folder) = config(server, ports);
    Program::of(Config { facts: Some(facts()), ..config }, folder)
}

/// The same host's next start.
pub(crate) fn start_again(program: Program, server: &Server, ports: &[u16]) -> Program {
    let (config, folder) = program.again(server, ports);
    Program::of(Config { facts: Some(facts()), ..config }, folder)
}

/// A grant for a host at home with this server's license.
pub(crate) fn grant_at(server: &Server, session: u8) -> Grant {
    let license_id = server.license_id.clone();
    Grant { home: Some(license_id.clone()), license_id, ..grant(session) }
}

/// What this server would sign for a host that it has registered.
pub(crate) fn claims(server: &Server, host: HostKey) -> Receipt {
    Receipt {
        host,
        customer: CUSTOMER.parse().unwrap(),
        issuer: server.license_id.clone(),
        home: server.license_id.clone(),
        revision: 1,
        registered: Utc(1_600_000_000),
    }
}

pub(crate) fn sign(server: &Server, claims: &Receipt) -> String {
    receipt::sign(claims, &server.credential(), &server.key)
}

/// The receipt that belongs there.
pub(crate) fn good(talk: &Talk) -> String {
    sign(&talk.server, &claims(&talk.server, talk.host))
}

/// Grants everything to everybody, with what `receipt` makes beside it.
pub(crate) async fn serve(
    server: &Server,
    grant: Grant,
    receipt: impl Fn(&Talk) -> String + Clone + Send + Sync + 'static,
) -> u16 {
    server
        .serve(move |mut talk: Talk| {
            let (grant, receipt) = (grant.clone(), receipt.clone());
            async move {
                talk.greet().await?;
                loop {
                    let (request_id, nonce, content, receipt) = match talk.hear().await? {
                        Asked::Login(proto::Login { request_id, nonce, .. })
                        | Asked::Check(proto::Check { request_id, nonce, .. }) => {
                            let content = Content::Grant(convert::grant_message(&grant));
                            (request_id, nonce, content, receipt(&talk))
                        }
                        Asked::Logout(proto::Logout { request_id, nonce, .. }) => {
                            let content = Content::LoggedOut(proto::LoggedOut {});
                            (request_id, nonce, content, String::new())
                        }
                        other => panic!("{other:?}"),
                    };
                    let nonce = convert::nonce(&nonce).unwrap();
                    let signed = Some(talk.seal(nonce, Some(grant.session.0[0]), content));
                    talk.say(Said::Answer(proto::Answer { receipt, request_id, signed })).await?;
                }
            }
        })
        .await
}

/// What every login and probe told the server of the host.
pub(crate) fn told(server: &Server) -> Vec<Option<proto::HostFacts>> {
    let login = |asked| match asked {
        Asked::Login(login) => Some(login.facts),
        _ => None,
    };
    server.heard().into_iter().filter_map(login).collect()
}

/// The receipts that every login and probe showed.
pub(crate) fn shown(server: &Server) -> Vec<Vec<String>> {
    let receipts = |facts: Option<proto::HostFacts>| facts.expect("facts").receipts;
    told(server).into_iter().map(receipts).collect()
}

#[tokio::test]
async fn a_login_and_a_probe_say_what_the_host_is() {
    let server = Server::new().that_counts_hosts(ONE);
    let port = serve(&server, grant_at(&server, 1), |_| String::new()).await;
    let mut program = start(&server, &[port]);
    program.until_started().await;
    let (config, _folder) = config(&server, &[port]);
    let config = Config { facts: Some(facts()), ..config };
    probe(&config, &config.servers[0]).await.expect("a grant");
    let expected = proto::HostFacts {
        name: "emu-7".into(),
        platform: "kvm".into(),
        boot: vec![7; 16],
        identity: None,
        receipts: vec![],
    };
    assert_eq!(told(&server), [Some(expected.clone()), Some(expected)]);
}

#[tokio::test]
async fn a_general_server_is_told_nothing_and_nor_is_anybody_by_who_knows_nothing() {
    let server = Server::new();
    // It says that there is a home, and gives a receipt: neither makes it count hosts.
    let other = server.sibling().that_counts_hosts(ONE);
    let (port, other_port) = (
        serve(&server, grant(1), |_| String::new()).await,
        serve(&other, grant_at(&other, 1), good).await,
    );
    let mut program = start(&server, &[port]);
    program.until_started().await;
    let mut program = start_again(program, &server, &[other_port]);
    program.until_started().await;
    let receipts = program.receipts();
    let has_one = || std::fs::read_dir(&receipts).is_ok_and(|mut all| all.next().is_some());
    program.lives_until(has_one).await;
    let mut program = start_again(program, &server, &[port]);
    program.until_started().await;
    let (config, folder) = program.again(&server, &[port]);
    let knowing = Config { facts: Some(facts()), ..config.clone() };
    probe(&knowing, &knowing.servers[0]).await.expect("a grant");
    assert_eq!(told(&server), [None, None, None]);

    let (ignorant, _folder) = Program::of(config, folder).again(&server, &[other_port]);
    probe(&ignorant, &ignorant.servers[0]).await.expect("a grant");
    assert_eq!(told(&other).last(), Some(&None));
}

#[tokio::test]
async fn a_provider_s_document_is_sent_as_it_is_unless_it_is_too_long_for_the_protocol() {
    let server = Server::new().that_counts_hosts(ONE);
    let port = serve(&server, grant_at(&server, 1), |_| String::new()).await;
    let document = |length, signature_length| HostDocument {
        platform: Platform::AmazonAws,
        document: vec![0xc3; length],
        signature: vec![b'x'; signature_length],
    };
    let cases = [(1, 1), (8_192, 4_096), (8_193, 1), (1, 4_097), (0, 1), (1, 0)];
    for (length, signature_length) in cases {
        let (config, _folder) = config(&server, &[port]);
        let identity = Some(document(length, signature_length));
        let config = Config { facts: Some(HostFacts { identity, ..facts() }), ..config };
        probe(&config, &config.servers[0]).await.expect("a grant");
    }
    let sent = told(&server).into_iter().map(|facts| facts.expect("facts").identity);
    let sent: Vec<_> = sent
        .map(|identity| identity.map(|sent| (sent.platform, sent.document, sent.signature)))
        .collect();
    let mut expected: Vec<_> = cases
        .iter()
        .map(|&(length, signature_length)| {
            let document = document(length, signature_length);
            Some(("amazon.aws".to_owned(), document.document, document.signature))
        })
        .collect();
    expected[2..].fill(None);
    assert_eq!(sent, expected);
}
