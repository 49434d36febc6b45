//! Rotation, and files that others move, delete or put in the way.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    thread,
};

use ve_server::log::{LogSettings, Losses, MIN_MAX_BYTES};

use super::{LONG, TERMINATED, entry, lines, live, open, settings};

/// What is in a log folder: every file's number (0: the current one) and its first message.
fn found(settings: &LogSettings) -> Vec<(u32, String)> {
    let folder = settings.file.parent().expect("a folder");
    let mut found: Vec<(u32, String)> = fs::read_dir(folder)
        .expect("the folder")
        .map(|file| {
            let path = file.expect("a file").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
            let number = match name.strip_prefix("license.log") {
                Some("") => 0,
                Some(number) => number[1..].parse().expect("a number"),
                None => panic!("{name} is not ours"),
            };
            (number, lines(&path).first().cloned().unwrap_or_default())
        })
        .collect();
    found.sort();
    found
}

fn numbered(settings: &LogSettings, number: u32) -> PathBuf {
    PathBuf::from(format!("{}.{number}", settings.file.display()))
}

fn server_lines(messages: &[(u32, &str)]) -> Vec<(u32, String)> {
    messages.iter().map(|(number, text)| (*number, format!("INFO Server {text}"))).collect()
}

#[test]
fn every_start_moves_the_older_files_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(&folder.path().join("log"));
    for start in 1..=13 {
        live(&settings, &format!("start {start}"));
    }
    let expected: Vec<(u32, String)> =
        (0..=10).map(|number| (number, format!("INFO Server start {}", 13 - number))).collect();
    assert_eq!(found(&settings), expected);
}

#[test]
fn as_many_are_kept_as_configured() {
    for (keep, expected) in [
        (0, vec![(0, "5")]),
        (1, vec![(0, "5"), (1, "4")]),
        (3, vec![(0, "5"), (1, "4"), (2, "3"), (3, "2")]),
        // More than can be: not refused here, the configuration says so.
        (u32::MAX, vec![(0, "5"), (1, "4"), (2, "3"), (3, "2"), (4, "1")]),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = LogSettings { keep, ..settings(folder.path()) };
        for start in ["1", "2", "3", "4", "5"] {
            live(&settings, start);
        }
        assert_eq!(found(&settings), server_lines(&expected), "keep = {keep}");
    }
}

#[test]
fn keeping_fewer_than_before_removes_the_rest_and_gaps_move_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = settings(folder.path());
    for start in ["1", "2", "3", "4", "5", "6"] {
        live(&settings, start);
    }
    fs::remove_file(numbered(&settings, 2)).expect("a gap");
    live(&settings, "7");
    let with_gap = [(0, "7"), (1, "6"), (2, "5"), (4, "3"), (5, "2"), (6, "1")];
    assert_eq!(found(&settings), server_lines(&with_gap));
    settings.keep = 2;
    live(&settings, "8");
    // The gap at 3 hides what is above it from the clean-up, as far as it is a gap.
    let kept = found(&settings);
    assert_eq!(kept[..3], server_lines(&[(0, "8"), (1, "7"), (2, "6")])[..]);
}

#[test]
fn a_file_never_exceeds_its_limit_and_no_line_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = LogSettings { max_bytes: MIN_MAX_BYTES, ..settings(folder.path()) };
    let log = open(&settings);
    let messages: Vec<String> =
        (0..3_000).map(|number| format!("{number} {}", "x".repeat(number % 100))).collect();
    for message in &messages {
        log.write(entry(message));
    }
    assert!(log.close(LONG));
    let mut read = Vec::new();
    let count = u32::try_from(found(&settings).len()).expect("few files");
    assert!(count >= 3, "{count} files");
    for number in (1..count).rev() {
        let path = numbered(&settings, number);
        let bytes = fs::metadata(&path).expect("the file").len();
        assert!(bytes <= MIN_MAX_BYTES && bytes > MIN_MAX_BYTES - 200, "{bytes} bytes");
        read.extend(lines(&path));
    }
    read.extend(lines(&settings.file));
    let mut expected: Vec<String> =
        messages.iter().map(|message| format!("INFO Server {message}")).collect();
    expected.push(TERMINATED.to_owned());
    assert_eq!(read, expected);
}

#[test]
fn many_threads_write_whole_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path());
    let log = open(&settings);
    thread::scope(|scope| {
        for thread in 0..16 {
            let log = log.clone();
            scope.spawn(move || {
                for number in 0..500 {
                    log.write(entry(format!("{thread}/{number} {}", "x".repeat(200))));
                }
            });
        }
    });
    assert!(log.close(LONG));
    assert_eq!(log.losses(), Losses::default());
    let lines = lines(&settings.file);
    assert_eq!(lines.len(), 16 * 500 + 1);
    for thread in 0..16 {
        let prefix = format!("INFO Server {thread}/");
        let numbers = lines.iter().filter_map(|line| line.strip_prefix(&prefix));
        let expected = (0..500).map(|number| format!("{number} {}", "x".repeat(200)));
        assert!(numbers.eq(expected), "the lines of thread {thread} are whole and in order");
    }
}

#[test]
fn the_owner_and_the_group_may_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(&folder.path().join("log"));
    live(&settings, "x");
    let mode = |path: &Path| fs::metadata(path).expect("it").permissions().mode() & 0o7777;
    assert_eq!(mode(&settings.file), 0o640);
    assert_eq!(mode(&folder.path().join("log")) & 0o027, 0, "nothing for others");
}

#[test]
fn a_file_that_was_deleted_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path());
    let log = open(&settings);
    log.write(entry("before"));
    assert!(log.flush(LONG));
    fs::remove_file(&settings.file).expect("the file");
    log.write(entry("after"));
    assert!(log.close(LONG));
    assert_eq!(lines(&settings.file), ["INFO Server after", TERMINATED]);
}

#[test]
fn a_file_that_was_moved_is_left_at_reopen() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path());
    let log = open(&settings);
    log.write(entry("1"));
    assert!(log.flush(LONG));
    let moved = folder.path().join("moved");
    fs::rename(&settings.file, &moved).expect("a move");
    log.write(entry("2"));
    assert!(log.flush(LONG));
    log.reopen();
    log.write(entry("3"));
    assert!(log.close(LONG));
    assert_eq!(lines(&moved), ["INFO Server 1", "INFO Server 2"]);
    assert_eq!(lines(&settings.file), ["INFO Server 3", TERMINATED]);
}

#[test]
fn a_reopening_that_fails_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path());
    let log = open(&settings);
    log.write(entry("1"));
    assert!(log.flush(LONG));
    let moved = folder.path().join("moved");
    fs::rename(&settings.file, &moved).expect("a move");
    fs::create_dir(&settings.file).expect("a folder in the way");
    log.reopen();
    log.write(entry("2"));
    assert!(log.close(LONG));
    assert_eq!(lines(&moved), ["INFO Server 1", "INFO Server 2", TERMINATED]);
}

#[test]
fn a_link_in_the_way_is_not_followed() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings(folder.path());
    let log = open(&settings);
    let victim = folder.path().join("victim");
    fs::write(&victim, "mine").expect("a file");
    fs::remove_file(&settings.file).expect("the file");
    symlink(&victim, &settings.file).expect("a link");
    log.write(entry("lost"));
    assert!(!log.flush(LONG), "not on disk");
    assert_eq!(log.losses(), Losses { dropped: 0, unwritten: 1 });
    fs::remove_file(&settings.file).expect("the link");
    log.write(entry("after"));
    assert!(log.close(LONG));
    assert_eq!(fs::read_to_string(&victim).expect("the file"), "mine");
    let expected = ["WARN MAIN 1 line was lost.", "INFO Server after", TERMINATED];
    assert_eq!(lines(&settings.file), expected);
}

#[test]
fn a_log_that_can_not_be_begun_says_where_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let not_a_folder = folder.path().join("log");
    fs::write(&not_a_folder, "").expect("a file");
    let settings = settings(&not_a_folder);
    let Err(error) = ve_server::log::Log::open(settings.clone()) else { panic!("it was opened") };
    let message = error.to_string();
    let start = format!("can't write the log {}: ", settings.file.display());
    assert!(message.starts_with(&start), "{message}");
    assert!(message.ends_with("or name another home"), "{message}");
}

/// A folder in the place of `license.log.1` can't be replaced by a file, not even by root.
#[test]
fn a_rotation_that_fails_is_told_and_the_file_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = LogSettings { keep: 1, max_bytes: MIN_MAX_BYTES, ..settings(folder.path()) };
    let log = open(&settings);
    fs::create_dir_all(numbered(&settings, 1).join("x")).expect("a folder in the way");
    for number in 0..700 {
        log.write(entry(format!("{number} {}", "x".repeat(100))));
    }
    assert!(log.close(LONG));
    assert_eq!(log.losses(), Losses::default());
    let lines = lines(&settings.file);
    let told: Vec<&String> =
        lines.iter().filter(|line| line.contains("can't be rotated")).collect();
    let [told] = told[..] else { panic!("told {} times", told.len()) };
    assert!(told.starts_with("WARN MAIN The log can't be rotated: "), "{told}");
    assert_eq!(lines.len(), 700 + 1 + 1);
}
