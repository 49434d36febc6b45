//! A disk that is full, really.

use std::{fs, path::Path, process::Command};

use ve_server::log::LogSettings;

use super::{LONG, TERMINATED, entry, journal::Journald, lines, open, settings};

/// A small disk of its own; taken away at the end.
struct SmallDisk {
    folder: tempfile::TempDir,
}

impl SmallDisk {
    /// `None`, said aloud, where this machine does not let us mount.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(folder.path());
        let refused = match mount.output() {
            Ok(output) if output.status.success() => return Some(Self { folder }),
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        ve_testbed::skip(format_args!(
            "no small disk can be mounted here (it takes root): {refused}"
        ));
        None
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for SmallDisk {
    /// The writing thread may still be closing the file.
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays", self.path().display());
    }
}

#[test]
fn a_full_disk_loses_whole_lines_counts_them_and_says_so() {
    let Some(disk) = SmallDisk::mount() else { return };
    let filler = disk.path().join("filler");
    fs::write(&filler, vec![0; 32 * 1024]).expect("room for the filler");
    let journald = Journald::start();
    let settings = LogSettings { mirror: journald.mirror(), ..settings(disk.path()) };
    let log = open(&settings);
    for number in 0..1_000 {
        log.write(entry(format!("{number} {}", "x".repeat(100))));
    }
    assert!(!log.flush(LONG), "not everything is on disk");
    let lost = log.losses().unwritten;
    let written = lines(&settings.file);
    assert!(lost > 0 && !written.is_empty());
    assert_eq!(written.len() as u64 + lost, 1_000);

    fs::remove_file(&filler).expect("room again");
    log.write(entry("after"));
    assert!(log.flush(LONG));
    assert!(log.close(LONG));
    let mut expected = written;
    expected.extend([
        format!("WARN MAIN {lost} lines were lost."),
        "INFO Server after".to_owned(),
        TERMINATED.to_owned(),
    ]);
    assert_eq!(lines(&settings.file), expected);
    assert_eq!(log.losses().unwritten, lost, "counted for ever, told once");

    // The journal has every line, and the trouble once.
    let messages = journald.messages();
    assert_eq!(messages.iter().filter(|message| message.ends_with("xxx")).count(), 1_000);
    let trouble: Vec<&String> =
        messages.iter().filter(|message| message.contains("written")).collect();
    let place = format!("The log {} can", settings.file.display());
    assert_eq!(
        trouble,
        [
            &format!(
                "{place}'t be written: No space left on device (os error 28). The server goes on, and every new line tries again. Make room or repair the disk."
            ),
            &format!("{place} be written again; {lost} lines were lost."),
        ]
    );
}

#[test]
fn a_disk_that_is_full_at_the_start_does_not_stop_the_start() {
    let Some(disk) = SmallDisk::mount() else { return };
    let filler = disk.path().join("filler");
    let full = fs::write(&filler, vec![0; 128 * 1024]);
    assert!(full.is_err(), "the disk is full");
    let settings = settings(disk.path());
    let log = open(&settings);
    log.write(entry("lost"));
    assert!(!log.flush(LONG));
    fs::remove_file(&filler).expect("room again");
    log.write(entry("after"));
    assert!(log.close(LONG));
    let expected = ["WARN MAIN 1 line was lost.", "INFO Server after", TERMINATED];
    assert_eq!(lines(&settings.file), expected);
}

/// Where a cut line can't be taken back (here: a file that may only grow), the next one still
/// begins on a line of its own.
#[test]
fn a_line_that_is_cut_off_does_not_swallow_the_next() {
    let Some(disk) = SmallDisk::mount() else { return };
    let filler = disk.path().join("filler");
    fs::write(&filler, vec![0; 32 * 1024]).expect("room for the filler");
    let settings = settings(disk.path());
    let log = open(&settings);
    let only_grows = Command::new("chattr").arg("+a").arg(&settings.file).output();
    if !only_grows.as_ref().is_ok_and(|output| output.status.success()) {
        ve_testbed::skip(format_args!(
            "files that may only grow are not to be had here: {only_grows:?}"
        ));
        return;
    }
    for number in 0..1_000 {
        log.write(entry(format!("{number} {}", "x".repeat(100))));
    }
    assert!(!log.flush(LONG), "not everything is on disk");
    let lost = log.losses().unwritten;
    fs::remove_file(&filler).expect("room again");
    log.write(entry("after"));
    assert!(log.close(LONG));
    let text = fs::read_to_string(&settings.file).expect("the log");
    let lines: Vec<&str> = text.lines().collect();
    let whole = lines.iter().filter(|line| line.ends_with(&"x".repeat(100))).count();
    assert_eq!(whole as u64 + lost, 1_000);
    assert_eq!(lines.len(), whole + 1 + 3, "one line is cut off, and three follow");
    let told = format!("WARN MAIN {lost} lines were lost.");
    let expected = [told.as_str(), "INFO Server after", TERMINATED];
    assert_eq!(lines[whole + 1..].iter().map(|line| &line[20..]).collect::<Vec<_>>(), expected);
}
