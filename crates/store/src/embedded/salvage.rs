//! What can still be read of a ledger that is damaged.

use std::{fs, path::Path};

use rusqlite::{Connection, Row};
use ve_core::{
    node::event::{Metered, RetiredHost},
    registry::MAX_HOSTS,
    time::{DAY_MS, Utc},
};

use crate::{
    high_water::HighWater,
    host_marks::HostMarks,
    reserve,
    rules::MAX_NUMBER,
    sqlite::{
        aside::put_aside_before,
        connection::{self, Access},
    },
};

/// How many damaged ledgers are looked at for hosts that were retired.
const MAX_ASIDE: usize = 10;

/// Every mark that can be found at the ledger's place, in the reserve and in the ledger itself, whole
/// or damaged. Nothing is changed; `now` is the wall clock.
pub fn marks_left(path: &Path, now: Utc) -> HighWater {
    let reserve = reserve::read(path).unwrap_or_default();
    let ledger = match fs::metadata(path) {
        Ok(_) => salvage(path, now),
        Err(_) => HighWater::default(),
    };
    reserve.marks.joined(&ledger)
}

/// What can still be read of a damaged ledger's marks. Each is taken by itself: a page that is gone
/// costs what was on it.
pub(super) fn salvage(path: &Path, now: Utc) -> HighWater {
    let Ok(connection) = connection::open(path, Access::Read) else { return HighWater::default() };
    let mut marks = HighWater::default();
    let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let sql = "SELECT position, last_session, time_mark FROM marks";
    let read: Result<(u64, u64, Option<i64>), _> = connection.query_row(sql, [], row);
    if let Ok((position, last_session, time)) = read {
        let plausible = |number: u64| if number <= MAX_NUMBER { number } else { 0 };
        (marks.position, marks.last_session) = (plausible(position), plausible(last_session));
        marks.time = time.map(Utc).filter(|time| is_plausible(*time, now));
    }
    each(&connection, "SELECT license_id, version FROM versions", |row| {
        if let Ok(id) = row.get_ref(0)?.as_str()?.parse() {
            marks.versions.insert(id, row.get(1)?);
        }
        Ok(())
    });
    each(&connection, "SELECT license_id, version, used_ms, charged_to FROM meters", |row| {
        let charged_to = row.get_ref(3)?.as_str().ok().and_then(|it| serde_json::from_str(it).ok());
        if let Ok(id) = row.get_ref(0)?.as_str()?.parse() {
            let metered = Metered { used_ms: row.get(2)?, charged_to: charged_to.flatten() };
            if metered.used_ms <= MAX_NUMBER {
                marks.meters.insert((id, row.get(1)?), metered);
            }
        }
        Ok(())
    });
    marks
}

/// What can be read of hosts at the ledger's place, whole or damaged, and of retired hosts in damaged
/// ledgers that were put aside before: retired is for ever, and no other copy of that is certain to be
/// left. Nothing is changed.
pub fn hosts_left(path: &Path) -> HostMarks {
    let mut marks = HostMarks::default();
    if fs::metadata(path).is_ok() {
        marks.join(salvage_hosts(path));
    }
    for aside in put_aside_before(path, super::lost::DAMAGED).into_iter().take(MAX_ASIDE) {
        let retired = salvage_hosts(&aside).retired;
        marks.join(HostMarks { retired, ..HostMarks::default() });
    }
    marks
}

/// What can still be read of a damaged ledger's marks of hosts.
fn salvage_hosts(path: &Path) -> HostMarks {
    let Ok(connection) = connection::open(path, Access::Read) else { return HostMarks::default() };
    let mut marks = HostMarks::default();
    each(&connection, "SELECT host, at, name, home, identity FROM retired_hosts", |row| {
        let text = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()?);
        let (host, name, home) = (text(0)?.parse(), text(2)?.parse(), text(3)?.parse());
        if let (Ok(host), Ok(name), Ok(home)) = (host, name, home) {
            let identity = text(4).ok().and_then(|text| serde_json::from_str(text).ok());
            let at = Utc(row.get(1)?);
            marks.retired.insert(host, RetiredHost { at, name, home, identity });
        }
        Ok(())
    });
    each(&connection, "SELECT home, count FROM homed", |row| {
        let count: u64 = row.get(1)?;
        if let Ok(home) = row.get_ref(0)?.as_str()?.parse()
            && count <= MAX_HOSTS as u64
        {
            marks.homed.insert(home, count);
        }
        Ok(())
    });
    marks
}

/// A time mark far ahead of the clock would end licenses for good; from a damaged file it is noise.
fn is_plausible(time: Utc, now: Utc) -> bool {
    time.0 <= now.plus_seconds((DAY_MS / 1_000).cast_signed()).0
}

/// Every row that can be read, until one can't.
fn each(
    connection: &Connection,
    sql: &str,
    mut take: impl FnMut(&Row<'_>) -> Result<(), rusqlite::Error>,
) {
    let Ok(mut statement) = connection.prepare(sql) else { return };
    let Ok(mut rows) = statement.query([]) else { return };
    while let Ok(Some(row)) = rows.next() {
        // A row that makes no sense costs itself.
        let _ = take(row);
    }
}
