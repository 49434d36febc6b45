//! Several links at a time, and when a link is alive.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use ve_client::{Hook, Instruction, Told};
use ve_core::{
    grant::Grant,
    time::{Elapsed, HOUR_MS, MINUTE_MS, Now},
};
use ve_wire::{
    convert,
    proto::{
        self, client_message::Kind as Asked, server_message::Kind as Said, statement::Content,
    },
};

use crate::{
    program::{Program, clock, config},
    server::{LONG_MS, Server, Talk, grant, hello},
};

#[tokio::test]
async fn who_waits_for_an_answer_goes_on_to_show_that_it_lives() {
    let server = Server::new();
    let port = server
        .serve(async |mut talk: Talk| {
            talk.is_lively = true;
            // So short that silence on either side would end the link before the answer.
            talk.greet_with(vec![talk.server.credential()], 1_000).await?;
            let login = talk.hear_login().await?;
            talk.say(Said::Ping(proto::Ping { session: vec![9; 16] })).await?;
            let Some(Asked::Pong(pong)) = talk.hear().await else { panic!("no pong") };
            assert!(!pong.runs);
            let beats = talk.heartbeats;
            let many = async {
                while talk.heartbeats < beats + 20 {
                    // Heartbeats are answered and counted on the way to what never comes.
                    let _ = tokio::time::timeout(Duration::from_millis(50), talk.hear()).await;
                }
            };
            many.await;
            let content = Content::Grant(convert::grant_message(&grant(1)));
            talk.answer(login.request_id, &login.nonce, Some(1), content).await?;
            talk.listen().await
        })
        .await;
    let mut program = Program::start(&server, &[port]);
    program.until_started().await;
    assert_eq!(server.logins().len(), 1, "one login, and one link");
}

/// By how much the machine's clock is ahead of the test's: it sleeps when this grows.
static SLEPT_MS: AtomicU64 = AtomicU64::new(0);

fn clock_of_a_machine_that_sleeps() -> Now {
    let now = clock();
    Now { elapsed: Elapsed(now.elapsed.0 + SLEPT_MS.load(Ordering::Relaxed)), ..now }
}

#[tokio::test]
async fn a_message_that_comes_too_late_proves_nothing() {
    let server = Server::new();
    let port = server
        .serve(async |mut talk: Talk| {
            if talk.number > 1 {
                // Nobody is let in any more.
                return None;
            }
            talk.greet_with(vec![talk.server.credential()], LONG_MS).await?;
            talk.grant(&Grant { grace_ms: 2 * HOUR_MS, ..grant(1) }).await?;
            talk.is_lively = true;
            talk.listen().await
        })
        .await;
    let (config, folder) = config(&server, &[port]);
    let mut program = Program::with_clock(config, folder, clock_of_a_machine_that_sleeps);
    program.until_started().await;
    SLEPT_MS.store(HOUR_MS, Ordering::Relaxed);
    let instructions = program
        .until(|instruction| matches!(instruction, Instruction::Tell(Told::EndsWithin(_))))
        .await;
    let Some(Instruction::Tell(Told::EndsWithin(left_ms))) = instructions.last() else {
        unreachable!()
    };
    // The grace period began when the time-out was over, in the machine's sleep.
    let expected_ms = HOUR_MS..=HOUR_MS + 2 * MINUTE_MS;
    assert!(expected_ms.contains(left_ms), "{instructions:?}");
}

#[tokio::test]
async fn a_server_that_is_about_to_stop_still_answers() {
    let server = Server::new();
    let port = server
        .serve(async |mut talk: Talk| {
            talk.greet().await?;
            if talk.number == 1 {
                talk.grant(&Grant { check_interval_ms: 100, ..grant(1) }).await?;
            } else {
                talk.grant(&grant(1)).await?;
            }
            talk.say(Said::Closing(proto::Closing {})).await?;
            talk.listen().await
        })
        .await;
    let mut program = Program::start(&server, &[port]);
    program.until_started().await;
    let checked = || server.heard().iter().any(|asked| matches!(asked, Asked::Check(_)));
    let instructions = program.lives_until(checked).await;
    assert_eq!(instructions, [], "nothing is lost, and nothing is told");
    assert_eq!(server.logins().len(), 1, "the link goes on");
}

/// Answers logouts, and nothing else.
async fn lets_go(mut talk: Talk) -> Option<()> {
    loop {
        if let Asked::Logout(logout) = talk.hear().await? {
            let content = Content::LoggedOut(proto::LoggedOut {});
            talk.answer(logout.request_id, &logout.nonce, Some(logout.session[0]), content).await?;
        }
    }
}

#[tokio::test]
async fn who_is_told_that_a_server_stops_goes_to_the_other_first() {
    let primary = Server::new();
    let backup = primary.sibling();
    let backup_hears = backup.clone();
    let primary_port = primary
        .serve(move |mut talk: Talk| {
            let backup = backup_hears.clone();
            async move {
                talk.greet().await?;
                talk.grant(&grant(1)).await?;
                assert_eq!(backup.logins().len(), 0, "the backup is not asked without need");
                talk.say(Said::Closing(proto::Closing {})).await?;
                lets_go(talk).await
            }
        })
        .await;
    let backup_port = backup
        .serve(async |mut talk: Talk| {
            talk.greet().await?;
            talk.grant(&grant(2)).await?;
            talk.listen().await
        })
        .await;
    let mut program = Program::start(&primary, &[primary_port, backup_port]);
    program.until_started().await;
    let is_over =
        |instruction: &Instruction| matches!(instruction, Instruction::Tell(Told::LoggedOut(_)));
    let instructions = program.until(is_over).await;
    assert!(
        instructions.contains(&Instruction::Tell(Told::Switched { server: 1, back: false })),
        "{instructions:?}"
    );
    assert!(instructions.contains(&Instruction::RunHook(Hook::Failover)), "{instructions:?}");
    assert!(!instructions.contains(&Instruction::RunHook(Hook::Lost)), "{instructions:?}");
    assert_eq!(instructions.last(), Some(&Instruction::Tell(Told::LoggedOut(0))));
    assert_eq!(backup.logins(), [Vec::<u8>::new()], "no session of the other server's");
}

#[tokio::test]
async fn the_backup_is_used_while_the_primary_is_silent_and_the_primary_when_it_answers() {
    let primary = Server::new();
    let backup = primary.sibling();
    let (answer, may_answer) = tokio::sync::watch::channel(false);
    let primary_port = primary
        .serve(move |mut talk: Talk| {
            let mut may_answer = may_answer.clone();
            async move {
                may_answer.wait_for(|may| *may).await.ok()?;
                talk.greet().await?;
                talk.grant(&grant(1)).await?;
                talk.listen().await
            }
        })
        .await;
    let backup_port = backup
        .serve(async |mut talk: Talk| {
            talk.greet().await?;
            talk.grant(&grant(2)).await?;
            lets_go(talk).await
        })
        .await;
    let mut program = Program::start(&primary, &[primary_port, backup_port]);
    let instructions = program.until(|instruction| *instruction == Instruction::StartGuest).await;
    assert!(
        instructions.contains(&Instruction::Tell(Told::Licensed(1, grant(2)))),
        "{instructions:?}"
    );
    answer.send(true).expect("the primary waits");
    let is_over =
        |instruction: &Instruction| matches!(instruction, Instruction::Tell(Told::LoggedOut(_)));
    let instructions = program.until(is_over).await;
    assert!(
        instructions.contains(&Instruction::Tell(Told::Licensed(0, grant(1)))),
        "{instructions:?}"
    );
    assert_eq!(instructions.last(), Some(&Instruction::Tell(Told::LoggedOut(1))));
    let anew = || vec![Vec::<u8>::new()];
    assert_eq!((primary.logins(), backup.logins()), (anew(), anew()));
}

#[tokio::test]
async fn a_server_that_talks_and_does_not_listen_is_dead() {
    let server = Server::new();
    let port = server
        .serve(async |mut talk: Talk| {
            if talk.number > 1 {
                talk.is_lively = true;
                talk.greet_with(vec![talk.server.credential()], LONG_MS).await?;
                talk.grant(&grant(1)).await?;
                return talk.listen().await;
            }
            talk.greet_with(vec![talk.server.credential()], 1_000).await?;
            talk.grant(&grant(1)).await?;
            // No heartbeat is answered: what this side says does not arrive.
            loop {
                talk.say(Said::Ping(proto::Ping { session: vec![1; 16] })).await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
    let mut program = Program::start(&server, &[port]);
    program.until_started().await;
    program.lives_until(|| server.logins().len() == 2).await;
}

/// The same for a machine of its own.
static SLEPT_IN_A_CHECK_MS: AtomicU64 = AtomicU64::new(0);

fn clock_of_a_machine_that_sleeps_in_a_check() -> Now {
    let now = clock();
    let slept_ms = SLEPT_IN_A_CHECK_MS.load(Ordering::Relaxed);
    Now { elapsed: Elapsed(now.elapsed.0 + slept_ms), ..now }
}

#[tokio::test]
async fn a_check_that_was_out_in_the_machines_sleep_lengthens_no_grace_period() {
    let server = Server::new();
    let port = server
        .serve(async |mut talk: Talk| {
            if talk.number > 1 {
                return None;
            }
            talk.greet_with(vec![talk.server.credential()], 3_000).await?;
            let minute = Grant { grace_ms: MINUTE_MS, check_interval_ms: 100, ..grant(1) };
            talk.grant(&minute).await?;
            while !matches!(talk.hear().await?, Asked::Check(_)) {}
            SLEPT_IN_A_CHECK_MS.store(30_000, Ordering::Relaxed);
            talk.listen().await
        })
        .await;
    let (config, folder) = config(&server, &[port]);
    let mut program =
        Program::with_clock(config, folder, clock_of_a_machine_that_sleeps_in_a_check);
    program.until_started().await;
    let left_ms = loop {
        // Looks at the clock again and again, so that nothing else can find the loss first.
        let instruction = program.next_within(Duration::from_millis(5)).await;
        if let Some(Instruction::Tell(Told::EndsWithin(left_ms))) = instruction {
            break left_ms;
        }
    };
    // Three seconds of the thirty were the heartbeat time-out, and not ten those of the check.
    assert!((20_000..36_000).contains(&left_ms), "{left_ms}");
}

#[tokio::test]
async fn a_server_that_asks_for_rare_heartbeats_is_told_often_enough_that_it_lives() {
    let server = Server::new();
    let (beaten, has_beaten) = tokio::sync::watch::channel(false);
    let port = server
        .serve(move |mut talk: Talk| {
            let beaten = beaten.clone();
            async move {
                talk.is_lively = true;
                talk.hear_hello().await?;
                let mut hello = hello(vec![talk.server.credential()], 2_000);
                hello.heartbeat_interval_ms = LONG_MS;
                talk.say(Said::Hello(hello)).await?;
                talk.grant(&grant(1)).await?;
                while talk.heartbeats < 2 {
                    let _ = tokio::time::timeout(Duration::from_millis(20), talk.hear()).await;
                }
                let _ = beaten.send(true);
                talk.listen().await
            }
        })
        .await;
    let mut program = Program::start(&server, &[port]);
    program.until_started().await;
    program.lives_until(|| *has_beaten.borrow()).await;
    assert_eq!(server.logins().len(), 1, "the link goes on");
}
