//! Where logs are written, and what becomes of those of earlier starts.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ve_emulator::{
    log::{LogEvent, LogPlace, LogWriter},
    vm_file::{LogStyle, VmFile},
};

use crate::{clock, zone};

/// The file names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

fn open(style: LogStyle, place: &LogPlace, time: &str) -> LogWriter {
    let name = "Charon".parse().expect("a name");
    LogWriter::open_at(style, place, name, zone(), clock(&[time])).expect("a log")
}

#[test]
fn every_start_rotates_and_keeps_so_many() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ssp/sun-4m/ss5/ss5.log");
    let start = |code: i32, keep| {
        let place = LogPlace::Rotated { file: file.clone(), keep };
        open(LogStyle::Ssp, &place, "2020-01-01T00:00:00").write(&LogEvent::GuestEnded { code });
    };
    let in_order = || {
        let folder = file.parent().expect("a folder");
        let codes = names(folder).into_iter().map(|name| {
            let text = fs::read_to_string(folder.join(&name)).expect("a log");
            format!(
                "{name}={}",
                text.trim_end().trim_end_matches('.').rsplit(' ').next().expect("a code")
            )
        });
        codes.collect::<Vec<_>>().join(" ")
    };
    for code in 0..6 {
        start(code, 3);
    }
    assert_eq!(in_order(), "ss5.log=5 ss5.log.1=4 ss5.log.2=3 ss5.log.3=2");
    start(6, 1);
    assert_eq!(in_order(), "ss5.log=6 ss5.log.1=5");
    start(7, 0);
    assert_eq!(in_order(), "ss5.log=7");
}

#[test]
fn par_logs_have_names_of_their_own_and_a_link_to_the_latest() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = LogPlace::Dated { folder: folder.path().to_owned() };
    for time in ["2021-12-13T12:02:16", "2021-12-13T12:02:16", "2021-12-14T19:33:42"] {
        drop(open(LogStyle::Par, &place, time));
    }
    let expected = [
        "charon-par.211213-120216-001.log",
        "charon-par.211213-120216-002.log",
        "charon-par.211214-193342-001.log",
        "charon-par.log",
    ];
    assert_eq!(names(folder.path()), expected);
    let link = fs::read_link(folder.path().join("charon-par.log")).expect("a link");
    assert_eq!(link, Path::new("charon-par.211214-193342-001.log"));
}

#[test]
fn a_file_of_the_operator_is_not_replaced_by_the_link() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("charon-par.log"), "mine").expect("written");
    let place = LogPlace::Dated { folder: folder.path().to_owned() };
    let name = "Charon".parse().expect("a name");
    let time = clock(&["2021-12-13T12:02:16"]);
    let error =
        LogWriter::open_at(LogStyle::Par, &place, name, zone(), time).err().expect("refused");
    assert!(error.to_string().contains("charon-par.log is in the way"), "{error}");
    assert_eq!(
        fs::read_to_string(folder.path().join("charon-par.log")).expect("still there"),
        "mine"
    );
}

#[test]
fn a_folder_that_can_not_be_written_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("file"), "").expect("written");
    let file = folder.path().join("file/ss5.log");
    let place = LogPlace::Rotated { file: file.clone(), keep: 5 };
    let name = "Charon".parse().expect("a name");
    let time = clock(&["2021-12-13T12:02:16"]);
    let error =
        LogWriter::open_at(LogStyle::Ssp, &place, name, zone(), time).err().expect("refused");
    assert!(error.to_string().contains(&*file.to_string_lossy()), "{error}");
}

/// Where the log of a VM is, for these `[log]` lines, style and `--log`.
fn place(lines: &str, style: LogStyle, path: Option<&Path>) -> LogPlace {
    let text = format!(
        "name = \"v\"\narchitecture = \"other\"\nvirtual_hardware = \"M\"\nversion = \"1\"\ncpus = 1\nmemory_mb = 1\n\
         [license]\nprimary_server = \"a\"\n[engine]\nkind = \"command\"\ncommand = [\"x\"]\n[log]\n{lines}"
    );
    let vm = VmFile::parse(&text, Path::new("/vms/VM.toml"), &|_| None).expect("a VM file");
    LogPlace::choose(&vm, style, path)
}

#[test]
fn the_place_follows_from_style_file_and_command_line() {
    let rotated = |file: &str, keep| LogPlace::Rotated { file: PathBuf::from(file), keep };
    let dated = |folder: &str| LogPlace::Dated { folder: PathBuf::from(folder) };
    let here = tempfile::tempdir().expect("a folder");
    let inside = here.path().join("v.log");
    for (lines, style, path, expected) in [
        ("", LogStyle::Ssp, None, rotated("log/other/v/v.log", 5)),
        ("", LogStyle::Json, None, rotated("log/other/v/v.log", 5)),
        ("", LogStyle::Par, None, dated(".")),
        ("dir = \"d\"\nkeep = 2", LogStyle::Ssp, None, rotated("/vms/d/v.log", 2)),
        ("dir = \"d\"", LogStyle::Par, None, dated("/vms/d")),
        ("dir = \"d\"", LogStyle::Ssp, Some(Path::new("my.log")), rotated("my.log", 5)),
        ("dir = \"d\"", LogStyle::Par, Some(Path::new("my.log")), rotated("my.log", 5)),
        ("", LogStyle::Ssp, Some(here.path()), rotated(&inside.to_string_lossy(), 5)),
        ("", LogStyle::Par, Some(here.path()), dated(&here.path().to_string_lossy())),
    ] {
        assert_eq!(place(lines, style, path), expected, "{lines} {style} {path:?}");
    }
}
