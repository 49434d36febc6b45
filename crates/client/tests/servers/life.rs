//! A program's life under a license: granted, checked, lost, found again, given back.

use std::time::Duration;

use ve_client::{Exit, Hook, Instruction, Report, Told};
use ve_core::grant::Grant;
use ve_wire::proto::{self, client_message::Kind as Asked, server_message::Kind as Said};
use ve_wire::{convert, proto::statement::Content};

use crate::{
    program::Program,
    server::{LONG_MS, Server, Talk, grant, refusal},
};

/// A server that is well.
async fn well(talk: &mut Talk) -> Option<()> {
    talk.greet().await?;
    talk.grant(&grant(1)).await?;
    talk.listen().await
}

#[tokio::test]
async fn a_server_that_breaks_off_is_found_again_and_nobody_notices() {
    type Break = fn(&mut Talk) -> Option<Said>;
    let breaks: [(&str, Break); 4] = [
        ("closing", |_| Some(Said::Closing(proto::Closing {}))),
        ("goodbye", |_| Some(crate::server::goodbye(&refusal()))),
        ("silence", |_| None),
        ("an answer that nobody asked for", |talk| {
            let content = Content::Grant(convert::grant_message(&grant(1)));
            let signed = Some(talk.seal(talk.nonce, Some(1), content));
            Some(Said::Answer(proto::Answer { receipt: String::new(), request_id: 77, signed }))
        }),
    ];
    for (name, break_off) in breaks {
        let server = Server::new();
        let port = server
            .serve(move |mut talk: Talk| async move {
                if talk.number > 1 {
                    return well(&mut talk).await;
                }
                let timeout_ms = if name == "silence" { 1_000 } else { LONG_MS };
                talk.greet_with(vec![talk.server.credential()], timeout_ms).await?;
                talk.grant(&grant(1)).await?;
                if let Some(said) = break_off(&mut talk) {
                    talk.say(said).await?;
                }
                // Who said so hangs up.
                if name == "closing" { None } else { talk.listen().await }
            })
            .await;
        let mut program = Program::start(&server, &[port]);
        program.until_started().await;
        let instructions = program.lives_until(|| server.logins().len() == 2).await;
        assert_eq!(instructions, [], "{name}");
        assert_eq!(server.logins(), [vec![], vec![1; 16]], "{name}: its own seat");
    }
}

#[tokio::test]
async fn only_the_own_session_can_be_revoked() {
    let server = Server::new();
    let port = server
        .serve(async |mut talk: Talk| {
            talk.greet().await?;
            talk.grant(&grant(1)).await?;
            talk.revoke(2).await?;
            talk.say(Said::Ping(proto::Ping { session: vec![1; 16] })).await?;
            talk.say(Said::Ping(proto::Ping { session: vec![2; 16] })).await?;
            for runs in [true, false] {
                let Some(Asked::Pong(pong)) = talk.hear().await else { panic!("no pong") };
                assert_eq!(pong.runs, runs);
            }
            talk.revoke(1).await?;
            talk.listen().await
        })
        .await;
    let mut program = Program::start(&server, &[port]);
    program.until_started().await;
    let instruction = program.next().await;
    assert_eq!(instruction, Instruction::Tell(Told::Revoked { server: 0, refusal: refusal() }));
    let pongs = server.heard().iter().filter(|asked| matches!(asked, Asked::Pong(_))).count();
    assert_eq!(pongs, 2, "the revocation of a stranger's session was passed over");
    assert!(matches!(program.next().await, Instruction::Tell(Told::EndsWithin(_))));
    assert_eq!(program.next().await, Instruction::RunHook(Hook::Lost));
}

#[tokio::test]
async fn a_check_is_answered_for_its_own_session_or_not_at_all() {
    let server = Server::new();
    let port = server
        .serve(async |mut talk: Talk| {
            if talk.number > 1 {
                return well(&mut talk).await;
            }
            talk.greet().await?;
            talk.grant(&Grant { check_interval_ms: 100, ..grant(1) }).await?;
            for session in [1, 2] {
                let Some(Asked::Check(check)) = talk.hear().await else { panic!("no check") };
                assert_eq!(check.session, [1; 16]);
                let grant = Grant { check_interval_ms: 100, ..grant(session) };
                let content = Content::Grant(convert::grant_message(&grant));
                talk.answer(check.request_id, &check.nonce, Some(session), content).await?;
            }
            talk.listen().await
        })
        .await;
    let mut program = Program::start(&server, &[port]);
    program.until_started().await;
    let instructions = program.lives_until(|| server.logins().len() == 2).await;
    assert_eq!(instructions, []);
    assert_eq!(server.logins()[1], [1; 16], "the other session was not taken");
}

#[tokio::test]
async fn a_seat_is_given_back_and_the_end_waits_for_it() {
    let server = Server::new();
    let port = server
        .serve(async |mut talk: Talk| {
            talk.greet().await?;
            talk.grant(&grant(1)).await?;
            let Some(Asked::Logout(logout)) = talk.hear().await else { panic!("no logout") };
            assert_eq!(logout.session, [1; 16]);
            let content = Content::LoggedOut(proto::LoggedOut {});
            talk.answer(logout.request_id, &logout.nonce, Some(1), content).await?;
            talk.listen().await
        })
        .await;
    let mut program = Program::start(&server, &[port]);
    program.until_started().await;
    program.report(Report::GuestEnded);
    let instructions =
        program.until(|instruction| matches!(instruction, Instruction::Exit(_))).await;
    assert_eq!(
        instructions,
        [Instruction::Tell(Told::LoggedOut(0)), Instruction::Exit(Exit::AsGuest)]
    );
}

#[tokio::test]
async fn a_server_of_another_customer_does_not_stand_in() {
    let primary = Server::new();
    let refuse = async |mut talk: Talk| {
        talk.greet().await?;
        let login = talk.hear_login().await?;
        let content = Content::Refusal(convert::refusal_message(&refusal()));
        talk.answer(login.request_id, &login.nonce, None, content).await?;
        talk.listen().await
    };
    let primary_port = primary.serve(refuse).await;
    let backup = primary.sibling();
    let backup_port = backup
        .serve(async |mut talk: Talk| {
            let credential = talk.server.credential_of("Somebody else");
            talk.greet_with(vec![credential], LONG_MS).await?;
            talk.listen().await
        })
        .await;
    let mut program = Program::start(&primary, &[primary_port, backup_port]);
    let instructions =
        program.until(|instruction| matches!(instruction, Instruction::Exit(_))).await;
    assert_eq!(
        instructions.last(),
        Some(&Instruction::Exit(Exit::Refused(refusal()))),
        "{instructions:?}"
    );
    assert_eq!((primary.logins().len(), backup.logins().len()), (1, 0));
}

#[tokio::test]
async fn who_is_stopped_while_a_server_hangs_ends_at_once() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut program = Program::start(&Server::new(), &[port]);
    assert_eq!(program.next().await, Instruction::Tell(Told::Trying(0)));
    // It connects, and nobody says a word.
    assert_eq!(program.next_within(Duration::from_millis(50)).await, None);
    program.report(Report::StopRequested);
    assert_eq!(program.next().await, Instruction::Exit(Exit::Stopped));
}

#[tokio::test]
async fn waiting_can_be_broken_off_at_any_time() {
    let server = Server::new();
    let port = server.serve(async |mut talk: Talk| well(&mut talk).await).await;
    let mut program = Program::start(&server, &[port]);
    let mut instructions = vec![];
    while instructions.last() != Some(&Instruction::StartGuest) {
        instructions.extend(program.next_within(Duration::from_micros(50)).await);
    }
    let expected = [
        Instruction::Tell(Told::Trying(0)),
        Instruction::Tell(Told::Licensed(0, grant(1))),
        Instruction::StartGuest,
    ];
    assert_eq!(instructions, expected, "each once, and in order");
}

#[tokio::test]
async fn without_a_server_there_is_no_license() {
    let mut program = Program::start(&Server::new(), &[]);
    let instructions =
        program.until(|instruction| matches!(instruction, Instruction::Exit(_))).await;
    let why = "no license server is configured".to_owned();
    assert_eq!(
        instructions.last(),
        Some(&Instruction::Exit(Exit::NoServer(why))),
        "{instructions:?}"
    );
}
