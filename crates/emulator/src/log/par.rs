//! Style `par`: `20211213:120216.970965:message`, with `warn:` or `err:` before the message.

use jiff::Zoned;

use super::{
    event::{
        Level::{Error, Fatal, Info, Warn},
        LicenseFacts, Line, LogEvent, LossReason, grace_period,
    },
    ssp,
};

/// What stands before a line's message.
pub(super) fn prefix(line: &Line, at: &Zoned) -> String {
    let tag = match line.level {
        Info => "",
        Warn => "warn:",
        Error | Fatal => "err:",
    };
    format!("{}:{tag}", at.strftime("%Y%m%d:%H%M%S.%6f"))
}

/// The lines of an event; `display_name` is what messages call the emulator.
pub(super) fn lines(event: &LogEvent, display_name: &str) -> Vec<Line> {
    let failed = || Line::new(Error, "Failed to connect with the license server.");
    match event {
        LogEvent::Servers { primary, backup } => {
            let backup = match backup {
                Some(backup) => format!("VE backup license {}", backup.host()),
                None => "There is no VE backup server.".to_owned(),
            };
            let primary = format!("VE primary license {}", primary.host());
            vec![Line::new(Info, primary), Line::new(Info, backup)]
        }
        LogEvent::ConnectFailed { .. } => {
            let why = "Unable to login to server because the license server failed to respond";
            vec![Line::new(Warn, why), failed()]
        }
        LogEvent::Lost { reason: LossReason::Unreachable(_), .. } | LogEvent::Unavailable => {
            vec![failed()]
        }
        LogEvent::Licensed(facts) => licensed(facts),
        LogEvent::Exit { code } => vec![Line::new(if *code == 0 { Info } else { Error }, "Exit")],
        other => ssp::common(other, display_name),
    }
}

fn licensed(facts: &LicenseFacts) -> Vec<Line> {
    let mut texts = vec![
        format!("License allowed CPUs: {}.", facts.max_cpu),
        format!("License allowed memory size: {}.", facts.max_memory_mb),
        format!("Connected with license server: {}", facts.server.host()),
        format!("Found available license ID: {}.", facts.license_id),
        format!("Customer name: {}", facts.customer),
        format!("Grace period is {}.", grace_period(facts.grace_ms)),
    ];
    texts.extend(ssp::limits(facts));
    texts.push(format!(
        "Product Name = {} License key ID = {}.",
        facts.virtual_hardware, facts.license_id
    ));
    texts.into_iter().map(|text| Line::new(Info, text)).collect()
}
