//! Section 2: what both sides show and agree on before the first message.

use data_encoding::HEXLOWER;
use rustls::{NamedGroup, ProtocolVersion};

use super::{
    client::Client,
    connection::{Connection, Host, Offer},
    messages::Login,
    server::{Server, USUAL},
};

#[test]
fn the_key_exchange_is_the_first_of_the_client_s_that_the_server_has() {
    const HYBRID: NamedGroup = NamedGroup::X25519MLKEM768;
    const PLAIN: NamedGroup = NamedGroup::X25519;
    let (server, host) = (Server::start(USUAL), Host::new());
    let cases: [(&[NamedGroup], NamedGroup); 5] = [
        (&[HYBRID, PLAIN], HYBRID),
        (&[HYBRID], HYBRID),
        (&[PLAIN], PLAIN),
        (&[PLAIN, HYBRID], PLAIN),
        (&[NamedGroup::secp256r1], NamedGroup::secp256r1),
    ];
    for (groups, expected) in cases {
        let offer = Offer { groups, ..Offer::of(&host) };
        let connection = Connection::open(server.address, &offer).expect("TLS");
        let group = connection.tls().negotiated_key_exchange_group().expect("one was agreed on");
        assert_eq!(group.name(), expected, "offered: {groups:?}");
        Client::greet(&server, connection).beat();
    }
}

#[test]
fn tls_is_1_3_without_tickets_and_with_the_licensed_key() {
    let (server, host) = (Server::start(USUAL), Host::new());
    let mut client = Client::connect(&server, &host);
    client.beat();
    let tls = client.connection.tls();
    assert_eq!(tls.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(tls.alpn_protocol(), Some(b"ve-license".as_slice()));
    assert_eq!(tls.tls13_tickets_received(), 0);
    assert_eq!(HEXLOWER.encode(&client.connection.server_key()), server.key());
}

#[test]
fn another_application_s_protocol_is_refused_and_none_at_all_is_fine() {
    let (server, host) = (Server::start(USUAL), Host::new());
    let offering =
        |protocols| Connection::open(server.address, &Offer { protocols, ..Offer::of(&host) });
    Client::greet(&server, offering(&[]).expect("TLS")).beat();
    Client::greet(&server, offering(&["h2", "ve-license"]).expect("TLS")).beat();
    let error = offering(&["h2", "http/1.1"]).err().expect("a refusal");
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn a_host_may_have_a_key_of_any_kind_but_must_have_one() {
    let server = Server::start(USUAL);
    let kinds =
        [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384];
    for kind in kinds {
        let mut client = Client::connect(&server, &Host::with_key(kind));
        client.log_in(&Login::of(&format!("{kind:?}")));
    }
    let unused = Host::new();
    let offer = Offer { host: None, ..Offer::of(&unused) };
    // In TLS 1.3 a client learns only after its own last word that the server minds.
    let said = Connection::open(server.address, &offer).map(|mut connection| connection.receive());
    assert!(matches!(said, Ok(None) | Err(_)), "{said:?}");
    server.wait_for_line("was refused: bad-request: no TLS 1.3 connection came about");
}
