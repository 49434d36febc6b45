//! Style `ssp`: `2020-07-16 21:25:10 INFO VE message`.

use jiff::Zoned;
use ve_core::time::{spoken_duration, spoken_hours};

use super::event::{
    Level::{Error, Fatal, Info, Warn},
    LicenseFacts, Line, LogEvent, LossReason, ShutdownReason,
};

/// What stands before a line's message.
pub(super) fn prefix(line: &Line, at: &Zoned) -> String {
    format!("{} {} VE ", at.strftime("%Y-%m-%d %H:%M:%S"), line.level)
}

/// The lines of an event; `display_name` is what messages call the emulator.
pub(super) fn lines(event: &LogEvent, display_name: &str) -> Vec<Line> {
    match event {
        LogEvent::ConnectFailed { .. }
        | LogEvent::Lost { reason: LossReason::Unreachable(_), .. } => {
            vec![Line::new(Error, "Failed to connect with the license server!")]
        }
        LogEvent::Licensed(facts) => licensed(facts),
        LogEvent::Unavailable => vec![Line::new(Fatal, "License server is unavailable!")],
        other => common(other, display_name),
    }
}

fn licensed(facts: &LicenseFacts) -> Vec<Line> {
    let mut texts = vec![
        format!("Connected with license server: {}", facts.server.host()),
        format!("Found available license ID: {}.", facts.license_id),
        format!("Customer name: {}.", facts.customer),
    ];
    texts.extend(limits(facts));
    texts.into_iter().map(|text| Line::new(Info, text)).collect()
}

/// The lines from `Virtual hardware model` to the expiry, which both text styles have.
pub(super) fn limits(facts: &LicenseFacts) -> [String; 7] {
    [
        format!("Virtual hardware model {} is licensed.", facts.virtual_hardware),
        format!("Maximum concurrent instances are limited to {}.", facts.instances),
        format!("Maximum allowed virtual CPU(s) are {}.", facts.max_cpu),
        format!("Maximum allowed virtualized memory is {} MB.", facts.max_memory_mb),
        format!("Major allowed version number is {}.", facts.major),
        format!("Minor allowed version number is {}.", facts.minor),
        expiry(facts),
    ]
}

fn expiry(facts: &LicenseFacts) -> String {
    match (facts.remaining_ms, facts.expires) {
        (Some(remaining_ms), _) => {
            format!("Remaining license time: {} hour(s).", spoken_hours(remaining_ms))
        }
        (None, Some(expires)) => format!("Expiration UTC time: {expires}."),
        (None, None) => "Expiration UTC time: none.".to_owned(),
    }
}

/// The events that both text styles tell with the same sentences.
pub(super) fn common(event: &LogEvent, display_name: &str) -> Vec<Line> {
    let line = |level, text: String| vec![Line::new(level, text)];
    match event {
        LogEvent::TryingServer { server } => {
            line(Info, format!("Trying to login to license server: {}", server.host()))
        }
        LogEvent::BackToNormal { now } => vec![
            Line::new(Info, format!("Local UTC time: {now}.")),
            Line::new(Info, "The license is verified, back to normal operation."),
        ],
        LogEvent::Refused { refusal, .. } => {
            line(Error, format!("License request was refused: {refusal}"))
        }
        LogEvent::ProtocolVersionInvalid { .. } => {
            line(Error, "License protocol version is invalid.".to_owned())
        }
        LogEvent::Lost { reason: LossReason::Revoked(refusal), .. } => {
            line(Error, format!("License was revoked: {refusal}"))
        }
        LogEvent::TerminationWarning { within_ms } => line(
            Warn,
            format!("{display_name} will be terminated within {}!", spoken_duration(*within_ms)),
        ),
        LogEvent::Switched { server, role, .. } => {
            line(Info, format!("Switched to {} license server: {}", role.as_str(), server.host()))
        }
        LogEvent::LoggedOut { server } => {
            line(Info, format!("Logged out from license server: {}", server.host()))
        }
        other => ending(other, display_name),
    }
}

/// The guest's end, and what went wrong on the way.
fn ending(event: &LogEvent, display_name: &str) -> Vec<Line> {
    let line = |level, text: String| vec![Line::new(level, text)];
    match event {
        LogEvent::ShutdownRequested { reason: ShutdownReason::License { within_ms } } => {
            let spoken = spoken_duration(*within_ms);
            line(Warn, format!("The guest is asked to shut down, {display_name} ends in {spoken}."))
        }
        LogEvent::ShutdownRequested { reason: ShutdownReason::Operator } => {
            line(Info, "The guest is asked to shut down on request.".to_owned())
        }
        LogEvent::ShutdownFailed { reason } => {
            line(Error, format!("The guest could not be asked to shut down: {reason}"))
        }
        LogEvent::StartFailed { reason } => line(Fatal, reason.clone()),
        LogEvent::StoppedAtOnce => {
            line(Warn, format!("The guest has not shut down, {display_name} is stopped."))
        }
        LogEvent::GraceOver => {
            line(Error, format!("The grace period is over, {display_name} is stopped."))
        }
        LogEvent::GuestEnded { code } => {
            line(Info, format!("{display_name} has ended with exit code {code}."))
        }
        LogEvent::ReceiptNotKept { reason } => {
            line(Warn, format!("The host's receipt is not kept: {reason}"))
        }
        LogEvent::IdentityMissing { reason } => line(
            Warn,
            format!(
                "There is no identity document of this machine: {reason}; if the host's key is lost, its \
                 instance has to be retired"
            ),
        ),
        LogEvent::HookFailed { hook, reason } => {
            line(Warn, format!("The hook {hook} failed: {reason}"))
        }
        // What only one of the styles tells is told there.
        _ => Vec::new(),
    }
}
