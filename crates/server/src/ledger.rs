//! The ledger at a server's start. One that is damaged or missing never begins from zero in silence:
//! the log says what is lost, what was saved, where the old file is, and what to do.

use ve_core::{id::ServerKey, time::spoken_hours};
use ve_host::clock;
use ve_store::{
    Begun, BegunCause, Embedded, Finding, HighWater, LoadError, Lost, Opened, ReadOnly,
    ReserveFinding, Store,
};

use crate::{
    home::Home,
    log::{Entry, Field, Level, Log, Module},
    words::one_line,
};

/// How many marks a line names at most.
const MAX_NAMED: usize = 8;

/// Opens the ledger of a home, and says in the log what was found. `is_expected`: there are licenses,
/// or have been, so there must be one.
pub fn open(
    home: &Home,
    server_key: ServerKey,
    is_expected: bool,
    log: &Log,
) -> Result<Embedded, LoadError> {
    let (path, now) = (home.ledger(), clock::now().wall);
    let Opened { mut store, finding, reserve } =
        Embedded::open_for_service(&path, Some(server_key), is_expected, now)?;
    for entry in entries(&finding).into_iter().chain(of_reserve(&reserve)) {
        log.write(entry);
    }
    let is_unsure = store.remember()?.may_lack_holders;
    // What can't be read of that is not worth a start.
    let begun = store.begun().ok().flatten();
    if let Some(begun) = begun.filter(|_| is_unsure && finding == Finding::Sound) {
        log.write(entry(Level::Warn, "ledger-begun", in_words(begun)));
    }
    if let Some(trouble) = store.reserve_trouble() {
        let message = format!(
            "The reserve can't be used: {trouble}. While that lasts, hours can't be written when the \
             disk is full, and a lost ledger has no second copy of its marks."
        );
        log.write(entry(Level::Warn, "reserve-failed", message));
    }
    Ok(store)
}

/// What an administrator should know of how the ledger began, for as long as it matters. A ledger that
/// can't be read says so elsewhere.
pub fn attention(home: &Home) -> Option<String> {
    let mut ledger = ReadOnly::open(&home.ledger()).ok()?;
    let begun = ledger.begun().ok()??;
    let matters =
        begun.cause == BegunCause::LostEntirely || ledger.remember().ok()?.may_lack_holders;
    matters.then(|| in_words(begun))
}

/// How a ledger began that may lack holders still, in a sentence.
pub fn in_words(begun: Begun) -> String {
    let Begun { at, cause } = begun;
    match cause {
        BegunCause::Lost => format!(
            "The ledger was begun anew on {at} UTC, because the one before was lost; its hours and \
             versions were saved."
        ),
        BegunCause::LostEntirely => format!(
            "The ledger was begun anew on {at} UTC, because the one before was lost, and nothing of \
             it was found: hours and versions count again when clients prove them."
        ),
        BegunCause::OfOtherServer => format!(
            "The ledger was begun anew on {at} UTC, because the one in its place was another server's."
        ),
        BegunCause::Restored => format!("The ledger was restored from a backup on {at} UTC."),
        BegunCause::Older => {
            format!("An older ledger was put in the place of a newer one; found on {at} UTC.")
        }
    }
}

fn entries(finding: &Finding) -> Vec<Entry> {
    match finding {
        Finding::FirstStart | Finding::Sound => Vec::new(),
        Finding::Older { found, known } => vec![entry(
            Level::Error,
            "ledger-older",
            format!(
                "An older ledger.db was put in place: it has {found} records, and there were {known}. \
                 Lost are the sessions and records in between; hours, versions and time were kept."
            ),
        )],
        Finding::Lost(lost) => of_lost(lost),
    }
}

/// What is wrong with the second copy of the marks.
fn of_reserve(found: &ReserveFinding) -> Option<Entry> {
    let message = match found {
        ReserveFinding::Sound => return None,
        ReserveFinding::Damaged => {
            "marks.reserve was damaged: nothing in it could be read. It was made anew from what the \
             ledger has; check the disk."
                .to_string()
        }
        ReserveFinding::OfOtherServer(aside) => format!(
            "marks.reserve was another server's; it is kept as {}, and a new one was made.",
            aside.display()
        ),
    };
    Some(entry(Level::Warn, "reserve-lost", message))
}

fn of_lost(lost: &Lost) -> Vec<Entry> {
    let damage = lost.damage.as_deref().map(one_line);
    let what = match (&damage, &lost.aside) {
        (_, Some(aside)) if lost.is_of_other_server => format!(
            "ledger.db was another server's, and none of its marks count here; it is kept as {}, and a \
             new one was begun.",
            aside.display()
        ),
        (Some(why), Some(aside)) => format!(
            "ledger.db was damaged ({why}); it is kept as {}, and a new one was begun.",
            aside.display()
        ),
        (Some(why), None) => format!("ledger.db was damaged ({why}); a new one was begun."),
        (None, _) => {
            "ledger.db was missing, and this server has run before or has had licenses; a \
                      new one was begun."
                .to_string()
        }
    };
    let gone = "Lost are all sessions, the audit trail and the list of denials: emulators that run \
                log in again.";
    let source = match (lost.from_reserve, lost.from_ledger) {
        (true, true) => "marks.reserve and the damaged file",
        (true, false) => "marks.reserve",
        _ => "the damaged file",
    };
    let saved = if lost.saved.is_empty() {
        "Nothing was saved: the hours used and the license versions seen are not known, and count \
         again only when clients prove them. Restore the latest backup with `licensectl restore`."
            .to_string()
    } else {
        format!("Saved from {source}: {}.", marks(&lost.saved))
    };
    [what, gone.to_string(), saved]
        .into_iter()
        .map(|message| entry(Level::Error, "ledger-lost", message))
        .collect()
}

/// The marks of licenses, in words.
fn marks(saved: &HighWater) -> String {
    let hours = saved.meters.iter().map(|((id, version), metered)| {
        format!("{} hour(s) of {id} version {version}", spoken_hours(metered.used_ms))
    });
    let versions = saved.versions.iter().map(|(id, version)| format!("{id} had version {version}"));
    let time = saved.time.map(|time| format!("it was {time} UTC"));
    let all: Vec<String> = hours.chain(versions).chain(time).collect();
    let more = all.len().saturating_sub(MAX_NAMED);
    let named = all.into_iter().take(MAX_NAMED).collect::<Vec<_>>().join(", ");
    match (named.is_empty(), more) {
        (true, _) => "how many records and sessions there were".to_string(),
        (false, 0) => named,
        (false, more) => format!("{named}, and {more} more"),
    }
}

fn entry(level: Level, event: &str, message: String) -> Entry {
    Entry::new(level, Module::Main, message).with(Field::Event, event)
}
