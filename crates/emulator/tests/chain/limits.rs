//! Never more CPUs or memory than licensed, and never others than asked for.

use ve_core::text::Name;

use crate::{
    processes,
    site::Site,
    vm::{PROMPT, Vm},
};

/// Two CPUs and 128 MB.
fn small() -> Site {
    Site::new(|license| {
        license.with(|license| {
            license.sections[0].max_cpu = 2;
            license.sections[0].max_memory_mb = 128;
        })
    })
}

#[test]
fn who_asks_for_more_than_licensed_is_refused() {
    let site = small();
    let model = |vm: Vm, virtual_hardware| Vm { virtual_hardware, ..vm };
    let vm = || Vm::sun4m("ss20");
    for (vm, code, numbers) in [
        (Vm { cpus: 3, ..vm() }, "cpu-limit", ["3", "2"]),
        (Vm { memory_mb: 129, ..vm() }, "memory-limit", ["129", "128"]),
        (model(vm(), "Charon-PA9-64-L4"), "hardware-not-licensed", ["Charon-PA9-64-L4", ""]),
    ] {
        let refused = site.host.ends_with(&vm, 77);
        let line = format!("ERROR VE License request was refused: {code}: ");
        let told = refused.log.lines().find_map(|told| Some(told.split_once(&line)?.1));
        let sentence = told.unwrap_or_else(|| panic!("no {code} in:\n{}", refused.log));
        for number in numbers {
            assert!(sentence.contains(number), "no {number} in {sentence}");
        }
        assert_eq!(site.denied(code), sentence, "the server tells its administrator the same");
        assert!(!refused.screen.contains("OpenBIOS"), "{}", refused.screen);
    }
    assert_eq!(site.seats(), [""; 0]);
}

#[test]
fn who_asks_for_all_that_is_licensed_gets_it() {
    let site = small();
    let mut emulator = site.host.run(&Vm { cpus: 2, memory_mb: 128, ..Vm::sun4m("ss20") });
    let screen = emulator.shows(PROMPT);
    assert!(screen.contains("CPUs: 2 x "), "what the firmware found: {screen}");
    let line = processes::command_line(emulator.guest());
    for option in [" -smp 2,maxcpus=2 ", " -m 128M "] {
        assert!(line.contains(option), "no {option} in {line}");
    }
    let sessions = site.server.list("sessions");
    assert_eq!((&sessions[0]["cpus"], &sessions[0]["memory_mb"]), (&2.into(), &128.into()));
}

#[test]
fn an_end_of_the_license_is_told() {
    for (hours, expected) in [
        (None, "INFO VE Expiration UTC time: 2099-12-31 15:55:00."),
        (Some(100), "INFO VE Remaining license time: 100 hour(s)."),
    ] {
        let site = Site::new(|license| match hours {
            None => license.expires("2099-12-31 15:55:00"),
            Some(hours) => license.hours(hours),
        });
        let mut emulator = site.host.run(&Vm::polite("guest"));
        emulator.shows("ready");
        assert!(emulator.log().contains(expected), "{}", emulator.log());
    }
}

#[test]
fn a_model_is_licensed_in_any_case() {
    let site = Site::new(|license| {
        license.with(|license| {
            let model: Name = "CHARON-ssp/4m".parse().expect("a name");
            license.sections[0].virtual_hardware = vec![model];
        })
    });
    let mut emulator = site.host.run(&Vm::polite("guest"));
    emulator.shows("ready");
    emulator.terminate();
    emulator.ends_with(0);
}
