//! Section 10: a client shows what the server has signed before, and the server believes itself.

use super::{
    client::Client,
    connection::Host,
    messages::{Login, Signed, random},
    server::{Server, USUAL},
};

/// A grant that this server has signed for a host, and what the host logs in with.
fn granted(server: &Server, host: &Host, name: &str) -> (Login, Signed) {
    let login = Login::of(name);
    let mut client = Client::connect(server, host);
    let (session, signed) = client.log_in_signed(&login);
    client.logout(&session);
    (login, signed)
}

fn showing(login: &Login, witnesses: &[&Signed]) -> Login {
    login.with(|login| login.witnesses = witnesses.iter().copied().cloned().collect())
}

/// What the server has taken over from witnesses so far.
fn marks_raised(server: &Server) -> u64 {
    server.control(&["status"])["marks_raised"].as_u64().expect("a count")
}

#[test]
fn a_grant_that_says_nothing_new_is_taken_without_a_word() {
    let (server, host) = (Server::start(USUAL), Host::new());
    let (login, signed) = granted(&server, &host, "vm");
    let mut client = Client::connect(&server, &host);
    let session = client.log_in(&showing(&login, &[&signed, &signed, &signed, &signed]));
    client.check(&session).expect("it runs");
    assert_eq!(marks_raised(&server), 0);
    server.terminate();
    drop(client);
    let (_, log) = server.end();
    assert!(!log.contains("An older ledger"), "{log}");
}

#[test]
fn what_proves_nothing_changes_nothing() {
    let (server, other) = (Server::start(USUAL), Server::start(USUAL));
    let (host, neighbour) = (Host::new(), Host::new());
    let (login, signed) = granted(&server, &host, "vm");
    let (_, of_another_server) = granted(&other, &host, "vm");
    let (_, of_another_host) = granted(&server, &neighbour, "vm");
    let edited = |edit: fn(&mut Signed)| {
        let mut signed = signed.clone();
        edit(&mut signed);
        signed
    };
    let refusal = {
        let mut client = Client::connect(&server, &host);
        let wrong = login.with(|login| login.hardware = "unheard of".into());
        let asked = client.send_login(&wrong);
        client.signed_answer(&asked)
    };
    let no_proof = [
        ("another server's", of_another_server),
        ("another host's", of_another_host),
        ("a refusal", refusal),
        ("a statement that was changed", edited(|signed| signed.statement[40] ^= 1)),
        ("a signature that was changed", edited(|signed| signed.signature[0] ^= 1)),
        ("half a signature", edited(|signed| signed.signature.truncate(32))),
        ("no signature", edited(|signed| signed.signature.clear())),
        ("no statement", edited(|signed| signed.statement.clear())),
        ("nothing", Signed { statement: Vec::new(), signature: Vec::new() }),
        ("noise", Signed { statement: random::<200>().into(), signature: random::<64>().into() }),
    ];
    let mut client = Client::connect(&server, &host);
    for (what, witness) in &no_proof {
        let login = Login::of(what);
        let granted = client.login(&showing(&login, &[witness]));
        let (session, _) = granted.unwrap_or_else(|refusal| panic!("{what}: {refusal:?}"));
        client.logout(&session);
        // What is worth nothing takes nothing from what stands beside it.
        let (session, _) = client.login(&showing(&login, &[witness, &signed])).expect("a seat");
        client.logout(&session);
    }
    assert_eq!(marks_raised(&server), 0);
}

#[test]
fn more_than_four_witnesses_are_no_login() {
    let (server, host) = (Server::start(USUAL), Host::new());
    let (login, signed) = granted(&server, &host, "vm");
    let mut client = Client::connect(&server, &host);
    let refusal = client.login(&showing(&login, &[&signed; 5])).expect_err("too many");
    assert_eq!(refusal.code, "bad-request");
    assert!(refusal.sentence.contains("witnesses"), "{refusal:?}");
    // The connection goes on, and so does the client.
    client.log_in(&showing(&login, &[&signed; 4]));
    assert_eq!(server.sessions().len(), 1);
}

#[test]
fn a_probe_shows_witnesses_in_vain() {
    let (server, host) = (Server::start(USUAL), Host::new());
    let (login, signed) = granted(&server, &host, "vm");
    let mut client = Client::connect(&server, &host);
    let probe = showing(&login, &[&signed]).with(|login| login.probe = true);
    client.login(&probe).expect("there is a seat");
    assert!(server.sessions().is_empty());
    assert_eq!(marks_raised(&server), 0);
}
