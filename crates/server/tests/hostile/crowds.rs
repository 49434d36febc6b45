//! Many at once: connections, handshakes, requests.

use std::{
    net::{Ipv4Addr, TcpStream},
    thread,
};

use super::{
    attacks::beside_bystander,
    client::Client,
    connection::{Connection, Host, Offer},
    messages::Login,
    server::Server,
    socket::{connect_from, is_closed, read_to_end, send},
};

fn newcomer(server: &Server, name: &str) {
    let mut client = Client::connect(server, &Host::new());
    let session = client.log_in(&Login::of(name));
    client.check(&session).expect("it runs");
    client.logout(&session);
}

#[test]
fn three_hundred_half_open_connections_keep_no_one_out() {
    beside_bystander(|server, bystander| {
        let source = Ipv4Addr::new(127, 0, 0, 2);
        let half_open: Vec<TcpStream> = (0..300)
            .map(|_| {
                let stream = connect_from(source, server.address);
                send(&stream, &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]);
                stream
            })
            .collect();
        newcomer(server, "beside them");
        bystander.prove("while they wait");
        assert!(half_open.iter().any(|stream| !is_closed(stream)), "they were not there any more");
        for stream in &half_open {
            read_to_end(stream);
        }
    });
}

#[test]
fn a_flood_of_handshakes_leaves_room_for_others() {
    beside_bystander(|server, bystander| {
        let flood = |_: usize| {
            let host = Host::new();
            for _ in 0..100 {
                // Never to be heard of again.
                drop(Connection::open(server.address, &Offer::of(&host)));
            }
        };
        thread::scope(|scope| {
            for flooder in 0..8 {
                scope.spawn(move || flood(flooder));
            }
            for _ in 0..5 {
                newcomer(server, "in between");
                bystander.prove("a flood of handshakes");
            }
        });
    });
}

#[test]
fn ten_thousand_logins_are_all_answered() {
    beside_bystander(|server, bystander| {
        let host = Host::new();
        let mut client = Client::connect(server, &host);
        let login = Login::of("nobody").with(|login| login.hardware = "unheard of".into());
        for round in 0..10 {
            let asked: Vec<_> = (0..1_000).map(|_| client.send_login(&login)).collect();
            for asked in &asked {
                let refusal = client.granted(asked).expect_err("no such hardware");
                assert_eq!(refusal.code, "hardware-not-licensed");
            }
            bystander.prove(&format!("{round} thousand logins"));
        }
        newcomer(server, "afterwards");
        let denials = server.control(&["denials"]);
        assert_eq!(denials["denials"].as_array().map(Vec::len), Some(1_000), "they are bounded");
    });
}

#[test]
fn ten_thousand_logins_without_waiting_for_one_answer() {
    beside_bystander(|server, bystander| {
        let mut client = Client::connect(server, &Host::new());
        let logins: Vec<u8> = (0..10_000)
            .flat_map(|request| {
                let login = Login::of(&format!("vm-{request}"));
                super::connection::frame(&login.message(request, &[1; 32]))
            })
            .collect();
        // The server stops reading when too many are open, and closes when nothing is read.
        let sent = client.connection.send_bytes(&logins);
        bystander.prove("ten thousand logins in one breath");
        if sent.is_ok() {
            client.beat();
        }
        drop(client);
        // Seats that they got are reserved for them; nobody has more than there are.
        assert!(server.sessions().len() <= 100);
        bystander.prove("ten thousand logins in one breath");
    });
}

#[test]
fn clients_that_come_and_break_off_leave_nothing_behind() {
    beside_bystander(|server, bystander| {
        let host = Host::new();
        let mut login = Login::of("vm");
        let first = Client::connect(server, &host).log_in(&login);
        for _ in 0..200 {
            login = login.resume(&first);
            let mut client = Client::connect(server, &host);
            assert_eq!(client.log_in(&login), first);
        }
        bystander.prove("200 broken connections");
        assert_eq!(server.sessions().len(), 2);
    });
}
