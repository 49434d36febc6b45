//! What comes out of a client, as the stories write it.

use ve_core::{
    client::io::{Attempt, Effect, Exit, ServerIndex, Told},
    time::spoken_duration,
};

/// An effect in a few words; what is done to the guest stands out. Where there are several
/// `servers`, the one that is spoken to is named; `attempts` says whom each attempt is to reach.
pub(crate) fn written(effect: &Effect, servers: usize, attempts: &[ServerIndex]) -> String {
    let to = |what: String, attempt: Attempt| {
        let index = usize::try_from(attempt).expect("few attempts") - 1;
        if servers == 1 { what } else { format!("{what} at {}", attempts[index]) }
    };
    match effect {
        Effect::Connect { server, .. } => format!("connect {server}"),
        Effect::Login { session: None, attempt } => to("login".into(), *attempt),
        Effect::Login { session: Some(session), attempt } => {
            to(format!("login as {}", session.0[0]), *attempt)
        }
        Effect::Check { session, attempt } => to(format!("check {}", session.0[0]), *attempt),
        Effect::Logout { session, attempt } => to(format!("logout {}", session.0[0]), *attempt),
        Effect::Disconnect { attempt } => to("disconnect".into(), *attempt),
        Effect::StartGuest => "START".into(),
        Effect::ShutDownGuest => "SHUT DOWN".into(),
        Effect::StopGuest => "STOP".into(),
        Effect::Tell(told) => format!("tell {}", written_told(told)),
        Effect::RunHook(hook) => format!("hook {}", hook.as_str()),
        Effect::Exit(exit) => format!("exit {}", written_exit(exit)),
    }
}

fn written_told(told: &Told) -> String {
    match told {
        Told::Trying(server) => format!("tries {server}"),
        Told::Licensed(server, _) => format!("licensed by {server}"),
        Told::Lost { server, why } => format!("lost {server}: {why}"),
        Told::Revoked { server, refusal } => format!("revoked by {server}: {}", refusal.code),
        Told::ConnectionFailed { server, why } => format!("no connection to {server}: {why}"),
        Told::Unavailable => "unavailable".into(),
        Told::Refused { server, refusal, verified: true } => {
            format!("refused by {server}: {}", refusal.code)
        }
        Told::Refused { server, refusal, verified: false } => {
            format!("refused by {server}, unverified: {}", refusal.code)
        }
        Told::ProtocolVersionInvalid { server, .. } => format!("other protocol of {server}"),
        Told::EndsWithin(left_ms) => format!("ends within {}", spoken_duration(*left_ms)),
        Told::Restored { .. } => "restored".into(),
        Told::Switched { server, .. } => format!("switched to {server}"),
        Told::ShutdownForLicense(left_ms) => format!("asked, {} left", spoken_duration(*left_ms)),
        Told::ShutdownForOperator => "asked by operator".into(),
        Told::GraceEnded => "grace is over".into(),
        Told::StoppedForOperator => "stopped by operator".into(),
        Told::LoggedOut(server) => format!("logged out of {server}"),
    }
}

fn written_exit(exit: &Exit) -> String {
    match exit {
        Exit::AsGuest => "as guest".into(),
        Exit::LicenseLost => "license lost".into(),
        Exit::NoServer(why) => format!("no server: {why}"),
        Exit::Refused(refusal) => format!("refused: {}", refusal.code),
        Exit::GuestFailed => "guest failed".into(),
        Exit::Stopped => "stopped".into(),
    }
}
