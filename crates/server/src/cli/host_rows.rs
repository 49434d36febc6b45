//! Hosts in a file: CSV or JSON, the same columns in both.

use std::{collections::HashSet, str::FromStr};

use serde::{Deserialize, Serialize};
use ve_core::{
    fingerprint::Platform,
    id::{HostKey, LicenseId},
    registry::{HostEntry, HostState, MAX_HOSTS, PlatformIdentity, Seen, entry::MAX_REVISION},
    text::{Name, printable},
    time::Utc,
};

use super::csv;
use crate::{
    control::protocol::HostReport,
    words::{counted_len, plain},
};

/// The columns, in their order in a CSV file.
const COLUMNS: [&str; 11] = [
    "host",
    "home",
    "state",
    "name",
    "platform",
    "address",
    "last_seen",
    "registered",
    "revision",
    "identity_platform",
    "identity_id",
];

/// The columns that a CSV file must have; the others have defaults.
const NEEDED: [&str; 2] = ["host", "home"];

/// The end of the year 9999.
const MAX_UTC: Utc = Utc(253_402_300_799);

/// The longest part of a file that a message repeats, in characters.
const MAX_QUOTED: usize = 80;

/// A host, as a file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    host: HostKey,
    home: LicenseId,
    #[serde(default = "active")]
    state: HostState,
    name: Name,
    #[serde(default)]
    platform: Option<Platform>,
    address: Name,
    last_seen: Utc,
    registered: Utc,
    #[serde(default = "first")]
    revision: u64,
    #[serde(default)]
    identity_platform: Option<Platform>,
    #[serde(default)]
    identity_id: Option<Name>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    instances: Vec<Row>,
}

fn active() -> HostState {
    HostState::Active
}

fn first() -> u64 {
    1
}

impl From<&HostReport> for Row {
    fn from(report: &HostReport) -> Self {
        let report = report.clone();
        Self {
            host: report.host,
            home: report.home,
            state: report.state,
            name: report.name,
            platform: report.platform,
            address: report.address,
            last_seen: report.last_seen,
            registered: report.registered,
            revision: report.revision,
            identity_platform: report.identity_platform,
            identity_id: report.identity_id,
        }
    }
}

impl Row {
    fn into_entry(self) -> Result<HostEntry, String> {
        if !(1..=MAX_REVISION).contains(&self.revision) {
            return Err(format!("revision must be between 1 and {MAX_REVISION}"));
        }
        for (column, at) in [("last_seen", self.last_seen), ("registered", self.registered)] {
            if !(Utc(0)..=MAX_UTC).contains(&at) {
                return Err(format!("{column} is out of range"));
            }
        }
        let identity = match (self.identity_platform, self.identity_id) {
            (Some(platform), Some(id)) => Some(PlatformIdentity { platform, id }),
            (None, None) => None,
            _ => return Err("identity_platform and identity_id belong together".into()),
        };
        Ok(HostEntry {
            host: self.host,
            home: self.home,
            revision: self.revision,
            state: self.state,
            registered: self.registered,
            identity,
            seen: Seen {
                at: self.last_seen,
                name: self.name,
                platform: self.platform,
                address: self.address,
            },
        })
    }

    fn fields(&self) -> [String; COLUMNS.len()] {
        let text =
            |value: Option<&dyn ToString>| value.map_or_else(String::new, ToString::to_string);
        [
            self.host.to_string(),
            self.home.to_string(),
            self.state.to_string(),
            self.name.to_string(),
            text(self.platform.as_ref().map(|platform| platform as _)),
            self.address.to_string(),
            self.last_seen.to_string(),
            self.registered.to_string(),
            self.revision.to_string(),
            text(self.identity_platform.as_ref().map(|platform| platform as _)),
            text(self.identity_id.as_ref().map(|id| id as _)),
        ]
    }
}

/// Hosts as CSV; times are UTC, as `2026-12-31 15:55:00`.
pub(super) fn to_csv(reports: &[HostReport]) -> String {
    let mut text = csv::line(COLUMNS) + "\n";
    for report in reports {
        let fields = Row::from(report).fields();
        text.push_str(&csv::line(fields.iter().map(String::as_str)));
        text.push('\n');
    }
    text
}

/// Hosts as JSON; times are seconds since 1970.
pub(super) fn to_json(reports: &[HostReport]) -> Result<String, serde_json::Error> {
    let rows = Rows { instances: reports.iter().map(Row::from).collect() };
    Ok(serde_json::to_string_pretty(&rows)? + "\n")
}

/// The hosts of a file, and where each stands there.
#[derive(Debug)]
pub(super) struct Listed {
    /// The hosts.
    pub(super) entries: Vec<HostEntry>,
    /// What the numbers count.
    what: &'static str,
    /// For each host, counted from 1.
    numbers: Vec<usize>,
}

impl Listed {
    /// Where a host stands, such as `line 3`.
    pub(super) fn place(&self, host: HostKey) -> Option<String> {
        let index = self.entries.iter().position(|entry| entry.host == host)?;
        Some(format!("{} {}", self.what, self.numbers.get(index)?))
    }

    /// All entries, or what is wrong with the first that is. No host stands there twice.
    fn all_or_none(
        what: &'static str,
        found: impl Iterator<Item = (usize, Result<HostEntry, String>)>,
    ) -> Result<Self, String> {
        let mut all = Self { entries: Vec::new(), what, numbers: Vec::new() };
        let mut hosts = HashSet::new();
        for (number, entry) in found {
            let entry = entry.map_err(|why| format!("{what} {number}: {why}"))?;
            if !hosts.insert(entry.host) {
                return Err(format!("{what} {number}: host {} stands there twice", entry.host));
            }
            all.entries.push(entry);
            all.numbers.push(number);
            if all.entries.len() > MAX_HOSTS {
                return Err(format!("it has more than {MAX_HOSTS} hosts"));
            }
        }
        Ok(all)
    }
}

/// The hosts of a JSON file, or what is wrong with it.
pub(super) fn from_json(text: &str) -> Result<Listed, String> {
    let rows: Rows = serde_json::from_str(text)
        .map_err(|error| printable(&plain(&error.to_string()), 4 * MAX_QUOTED))?;
    let numbered = rows.instances.into_iter().enumerate();
    Listed::all_or_none("host", numbered.map(|(index, row)| (index + 1, row.into_entry())))
}

/// The hosts of a CSV file, or what is wrong with it. The first line names the columns, in any order.
pub(super) fn from_csv(text: &str, now: Utc) -> Result<Listed, String> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (_, header) = lines.next().ok_or("it is empty")?;
    let header = header.strip_prefix('\u{feff}').unwrap_or(header);
    let columns = csv::fields(header).map_err(|why| format!("line 1: {why}"))?;
    check_columns(&columns)?;
    let read = |line: &str| {
        let fields = csv::fields(line).map_err(|why| why.to_string())?;
        if fields.len() != columns.len() {
            let found = counted_len(fields.len(), "field");
            return Err(format!("it has {found}, and line 1 {}", columns.len()));
        }
        let field = |column: &str| {
            let index = columns.iter().position(|known| known == column)?;
            fields.get(index).map(String::as_str).filter(|field| !field.is_empty())
        };
        row(field, now)?.into_entry()
    };
    Listed::all_or_none("line", lines.map(|(index, line)| (index + 1, read(line))))
}

fn check_columns(columns: &[String]) -> Result<(), String> {
    let mut seen = HashSet::new();
    for column in columns {
        let name = printable(column, MAX_QUOTED);
        if !COLUMNS.contains(&column.as_str()) {
            return Err(format!(
                "line 1: there is no column {name:?}; they are {}",
                COLUMNS.join(", ")
            ));
        }
        if !seen.insert(column) {
            return Err(format!("line 1: the column {name:?} stands there twice"));
        }
    }
    match NEEDED.iter().find(|needed| !columns.iter().any(|column| column == *needed)) {
        Some(missing) => Err(format!("line 1: the column {missing:?} is missing")),
        None => Ok(()),
    }
}

fn row<'a>(field: impl Fn(&str) -> Option<&'a str>, now: Utc) -> Result<Row, String> {
    let needed = |column| field(column).ok_or_else(|| format!("{column} is empty"));
    let host: HostKey = parsed("host", needed("host")?)?;
    let short: String = host.to_string().chars().take(12).collect();
    let name = |column: &str, default: &str| parsed(column, field(column).unwrap_or(default));
    let date = |column: &str| {
        field(column)
            .map_or(Ok(now), |text| Utc::parse(text).map_err(|why| wrong(column, text, why)))
    };
    Ok(Row {
        host,
        home: parsed("home", needed("home")?)?,
        state: parsed("state", field("state").unwrap_or("active"))?,
        name: name("name", &short)?,
        platform: field("platform").map(|text| parsed("platform", text)).transpose()?,
        address: name("address", "imported")?,
        last_seen: date("last_seen")?,
        registered: date("registered")?,
        revision: parsed("revision", field("revision").unwrap_or("1"))?,
        identity_platform: field("identity_platform")
            .map(|text| parsed("identity_platform", text))
            .transpose()?,
        identity_id: field("identity_id").map(|text| parsed("identity_id", text)).transpose()?,
    })
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(column: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|why| wrong(column, text, why))
}

fn wrong(column: &str, text: &str, why: impl std::fmt::Display) -> String {
    format!("{column} {:?}: {why}", printable(text, MAX_QUOTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Utc = Utc(1_800_000_000);

    fn report(number: u8) -> HostReport {
        HostReport {
            host: HostKey([number; 32]),
            home: "01.00000001.002.044".parse().expect("a license ID"),
            state: HostState::Retired,
            retired: true,
            standing: "retired".into(),
            emulators: None,
            emulators_at_peer: None,
            name: "a, \"b\"".parse().expect("a name"),
            platform: Some(Platform::Kvm),
            address: "192.0.2.1:4".parse().expect("a name"),
            last_seen: NOW,
            registered: Utc(1_700_000_000),
            revision: 3,
            identity_platform: Some(Platform::AmazonAws),
            identity_id: Some("1/eu/i-1".parse().expect("a name")),
        }
    }

    #[test]
    fn what_is_exported_is_imported_the_same() {
        let reports =
            [report(1), HostReport { identity_platform: None, identity_id: None, ..report(2) }];
        let from_csv = from_csv(&to_csv(&reports), Utc(0)).expect("CSV");
        let from_json = from_json(&to_json(&reports).expect("JSON")).expect("JSON");
        assert_eq!(from_csv.entries, from_json.entries);
        assert_eq!(from_csv.place(HostKey([2; 32])).as_deref(), Some("line 3"));
        assert_eq!(from_json.place(HostKey([2; 32])).as_deref(), Some("host 2"));
        assert_eq!(from_json.place(HostKey([3; 32])), None);
        let rows: Vec<Row> = reports.iter().map(Row::from).collect();
        let expected: Vec<HostEntry> =
            rows.into_iter().map(|row| row.into_entry().expect("an entry")).collect();
        assert_eq!(from_csv.entries, expected);
    }

    #[test]
    fn a_list_by_hand_needs_only_host_and_home() {
        let host = HostKey([1; 32]).to_string();
        let text = format!("\u{feff}home,host\r\n01.00000001.002.044,{host}\r\n\r\n");
        let entries = from_csv(&text, NOW).expect("a list").entries;
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].revision, entries[0].registered), (1, NOW));
        assert_eq!(entries[0].seen.name.as_str(), "010101010101");
    }

    #[test]
    fn a_wrong_line_is_named_and_nothing_is_taken() {
        let good = to_csv(&[report(1)]);
        let row = good.lines().nth(1).expect("a row");
        for (text, part) in [
            (String::new(), "it is empty"),
            ("host\n".into(), "line 1: the column \"home\" is missing"),
            ("host,home,x\u{1b}\n".into(), "line 1: there is no column \"x\\\\u{1b}\""),
            ("host,home,host\n".into(), "stands there twice"),
            ("host,home\n1,2\n".into(), "line 2: host \"1\": expected 64"),
            ("host,home\n\n1\n".into(), "line 3: it has 1 field, and line 1 2"),
            (format!("{good}{row}\n"), "line 3: host 0101"),
            (good.replace("amazon.aws", ""), "belong together"),
            (good.replace(",3,", ",0,"), "revision must be"),
            (
                good.replace("retired", "gone"),
                "line 2: state \"gone\": expected one of active, moved, retired",
            ),
        ] {
            let error = from_csv(&text, NOW).expect_err(part);
            assert!(error.contains(part), "{error}");
        }
        let json = to_json(&[report(1)]).expect("JSON");
        let twice = to_json(&[report(1), report(1)]).expect("JSON");
        for (text, part) in [
            ("{}".to_owned(), "missing field `instances`"),
            ("{\"instances\": {}}".to_owned(), "there is a table, expected a list"),
            (json.replace("\"revision\": 3", "\"revision\": \"x\""), "expected a whole number"),
            (json.replace("revision", "revisions"), "unknown field `revisions`"),
            (json.replace("\"revision\": 3", "\"revision\": 0"), "host 1: revision must be"),
            (twice, "host 2: host 0101"),
        ] {
            let error = from_json(&text).expect_err(part);
            assert!(error.contains(part), "{error}");
        }
    }
}
