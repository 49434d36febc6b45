//! `license.log` and the journal, with real files, a real full disk and a real socket.

mod build_time;
mod disk;
mod echo;
mod files;
mod hosts;
mod journal;
mod journald;
mod samples;

use std::{fs, path::Path, time::Duration};

use ve_server::log::{Entry, Level, Log, LogSettings, LogZone, Mirror, Module};

/// Far longer than anything here takes; only a failure ever waits for it.
const LONG: Duration = Duration::from_mins(1);

const TERMINATED: &str = "INFO MAIN The program is terminated.";

/// `license.log` in `folder`, in UTC, with the defaults and no mirror.
fn settings(folder: &Path) -> LogSettings {
    LogSettings {
        zone: LogZone::Utc,
        mirror: Mirror::Nowhere,
        ..LogSettings::new(folder.join("license.log"))
    }
}

fn open(settings: &LogSettings) -> Log {
    Log::open(settings.clone()).expect("a log")
}

fn entry(message: impl std::fmt::Display) -> Entry {
    Entry::new(Level::Info, Module::Server, message)
}

/// A whole life of a server that logs one message.
fn live(settings: &LogSettings, message: &str) {
    let log = open(settings);
    log.write(entry(message));
    assert!(log.close(LONG));
}

/// The lines of a file, each checked to be whole and without its time.
fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a log file");
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is cut off: {text:?}");
    text.lines().map(without_time).collect()
}

fn without_time(line: &str) -> String {
    let (time, rest) = line.split_at_checked(20).unwrap_or_else(|| panic!("no line: {line:?}"));
    let form: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(form, "0000-00-00 00:00:00 ", "{line:?}");
    let mut words = rest.split(' ');
    let (level, module) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    assert!(["INFO", "WARN", "ERROR", "FATAL"].contains(&level), "{line:?}");
    assert!(["MAIN", "License", "Server"].contains(&module), "{line:?}");
    rest.to_owned()
}
