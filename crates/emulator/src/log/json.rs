//! Style `json`: one object a line, with UTC time, level, event, reason, message and the facts.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use ve_core::reason::ReasonCode;

use super::{
    event::{Level, LicenseFacts, LogEvent, LossReason, ShutdownReason},
    ssp,
};

/// The object; its fields stand in this order.
#[derive(Serialize)]
struct Record {
    /// RFC 3339 in UTC, with microseconds.
    time: String,
    level: &'static str,
    event: &'static str,
    /// A reason code where something was refused or revoked, else a sentence or nothing.
    reason: Option<String>,
    /// What the style `ssp` says, in one line.
    message: String,
    #[serde(flatten)]
    facts: Map<String, Value>,
}

/// The line of an event; `display_name` is what messages call the emulator.
pub(super) fn line(event: &LogEvent, display_name: &str, at: Timestamp) -> String {
    let lines = ssp::lines(event, display_name);
    let level = lines.iter().map(|line| line.level).max().unwrap_or(Level::Info);
    let message: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let record = Record {
        time: time(at),
        level: level.as_str(),
        event: event.name(),
        reason: reason(event),
        message: message.join(" "),
        facts: facts(event),
    };
    written(&record)
}

fn reason(event: &LogEvent) -> Option<String> {
    match event {
        LogEvent::Refused { refusal, .. }
        | LogEvent::Lost { reason: LossReason::Revoked(refusal), .. } => {
            Some(refusal.code.to_string())
        }
        LogEvent::ProtocolVersionInvalid { .. } => {
            Some(ReasonCode::ProtocolVersionInvalid.to_string())
        }
        LogEvent::ConnectFailed { reason, .. }
        | LogEvent::Lost { reason: LossReason::Unreachable(reason), .. }
        | LogEvent::ShutdownFailed { reason }
        | LogEvent::StartFailed { reason }
        | LogEvent::ReceiptNotKept { reason }
        | LogEvent::IdentityMissing { reason }
        | LogEvent::HookFailed { reason, .. } => Some(reason.clone()),
        LogEvent::Switched { back: true, .. } => Some("failback".to_owned()),
        LogEvent::Switched { back: false, .. } => Some("failover".to_owned()),
        LogEvent::ShutdownRequested { reason: ShutdownReason::License { .. } } => {
            Some("license".to_owned())
        }
        LogEvent::ShutdownRequested { reason: ShutdownReason::Operator } => {
            Some("operator".to_owned())
        }
        _ => None,
    }
}

fn facts(event: &LogEvent) -> Map<String, Value> {
    let facts = match event {
        LogEvent::Servers { primary, backup } => json!({
            "primary": primary.to_string(),
            "backup": backup.as_ref().map(ToString::to_string),
        }),
        LogEvent::TryingServer { server }
        | LogEvent::ConnectFailed { server, .. }
        | LogEvent::Lost { server, reason: LossReason::Unreachable(_) }
        | LogEvent::ProtocolVersionInvalid { server }
        | LogEvent::LoggedOut { server } => json!({ "server": server.to_string() }),
        LogEvent::Licensed(facts) => license_facts(facts),
        LogEvent::Refused { server, refusal, at_start } => json!({
            "server": server.to_string(), "sentence": refusal.sentence, "at_start": at_start,
        }),
        LogEvent::Lost { server, reason: LossReason::Revoked(refusal) } => {
            json!({ "server": server.to_string(), "sentence": refusal.sentence })
        }
        LogEvent::TerminationWarning { within_ms }
        | LogEvent::ShutdownRequested { reason: ShutdownReason::License { within_ms } } => {
            json!({ "within_ms": within_ms })
        }
        LogEvent::Switched { server, role, .. } => {
            json!({ "server": server.to_string(), "role": role.as_str() })
        }
        LogEvent::HookFailed { hook, .. } => json!({ "hook": hook }),
        LogEvent::GuestEnded { code } | LogEvent::Exit { code } => json!({ "code": code }),
        LogEvent::ShutdownRequested { .. }
        | LogEvent::ShutdownFailed { .. }
        | LogEvent::BackToNormal { .. }
        | LogEvent::Unavailable
        | LogEvent::StartFailed { .. }
        | LogEvent::ReceiptNotKept { .. }
        | LogEvent::IdentityMissing { .. }
        | LogEvent::StoppedAtOnce
        | LogEvent::GraceOver => Value::Null,
    };
    match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    }
}

fn license_facts(facts: &LicenseFacts) -> Value {
    json!({
        "server": facts.server.to_string(),
        "license_id": facts.license_id,
        "customer": facts.customer,
        "product": facts.product,
        "virtual_hardware": facts.virtual_hardware,
        "instances": facts.instances,
        "max_cpu": facts.max_cpu,
        "max_memory_mb": facts.max_memory_mb,
        "major": facts.major,
        "minor": facts.minor,
        "expires": facts.expires.map(|expires| expires.to_string()),
        "remaining_ms": facts.remaining_ms,
        "grace_ms": facts.grace_ms,
    })
}

/// The line that tells of `count` lines that are missing before it.
pub(super) fn lost_lines(count: u64, message: &str, at: Timestamp) -> String {
    let record = Record {
        time: time(at),
        level: Level::Warn.as_str(),
        event: "lines-lost",
        reason: None,
        message: message.to_owned(),
        facts: Map::from_iter([("count".to_owned(), count.into())]),
    };
    written(&record)
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

fn written(record: &Record) -> String {
    serde_json::to_string(record).expect("a record of texts and numbers has a JSON form")
}
