//! A primary that is back: emulators go home by themselves.

use ve_testbed::{install, wait};

use crate::{
    failover::{SSP_LICENSED, SSP_TIME, assert_told},
    hooks,
    pair::{Pair, host_of, messages_from},
    site::patient,
    vm::Vm,
};

#[test]
fn the_primary_has_its_emulators_back_and_the_backup_its_seats() {
    let mut pair = Pair::new(|license| license);
    let vm = hooks::recorded(pair.knows(Vm::polite("guest")), &["lost", "failover", "failback"]);
    let mut emulator = pair.host.run(&vm);
    emulator.shows("ready");
    let guest = emulator.guest();
    pair.primary.kill();
    emulator.logs("Switched to backup license server: ");
    pair.seats_of_the_backup(&["guest"]);

    pair.primary.restart();
    let log = pair.by_role(&emulator.logs("Logged out from license server: "));
    let told = messages_from(&log, SSP_TIME, "Trying to login to license server: PRIMARY");
    let of_primary = |line: &str| {
        line.replace("BACKUP", "PRIMARY").replace(crate::pair::BACKUP_ID, crate::pair::PRIMARY_ID)
    };
    let block: Vec<String> = SSP_LICENSED.iter().map(|line| of_primary(line)).collect();
    let block: Vec<&str> = block.iter().map(String::as_str).collect();
    let expected = [
        &["INFO VE Trying to login to license server: PRIMARY"],
        block.as_slice(),
        &[
            "INFO VE The license is verified, back to normal operation.",
            "INFO VE Switched to primary license server: PRIMARY",
            "INFO VE Logged out from license server: BACKUP",
        ],
    ];
    assert_told(&told, &expected.concat());
    pair.seats_are(&["guest"], &[]);
    assert_eq!(emulator.guest(), guest, "the same process");

    let ran = hooks::until(&pair.host, "failback");
    let failback = hooks::one(&ran, "failback");
    assert_eq!(
        (&failback.server, &failback.previous_server),
        (&host_of(&pair.primary), &host_of(&pair.backup))
    );
    assert_eq!(failback.role, "primary");
    assert_eq!(ran.iter().filter(|ran| ran.event == "lost").count(), 1, "{ran:#?}");
}

#[test]
fn a_primary_that_refuses_is_told_of_once_and_nothing_is_lost() {
    let mut pair = Pair::new(|license| license);
    let mut emulator = pair.host.run(&pair.knows(Vm::polite("guest")));
    emulator.shows("ready");
    pair.primary.kill();
    emulator.logs("Switched to backup license server: ");
    // While it is down it gets a license that is too small.
    install(&pair.vendor, pair.primary.home(), |license| {
        patient(license).version(2).with(|license| license.sections[0].max_memory_mb = 32)
    });
    pair.primary.restart();
    let log = emulator.logs("ERROR VE License request was refused: memory-limit: ");
    assert_eq!(log.matches("terminated within").count(), 1, "{log}");
    // It is asked again, always after two probes, and that is not told again.
    wait::until("three refusals", || {
        let denials = pair.primary.list("denials");
        let refused = denials.iter().filter(|denial| denial["reason"] == "memory-limit");
        (refused.count() >= 3).then_some(())
    });
    let log = emulator.log();
    for (text, times) in [("memory-limit", 1), ("terminated within", 1), ("Switched to", 1)] {
        assert_eq!(log.matches(text).count(), times, "{text} in {log}");
    }
    pair.seats_of_the_backup(&["guest"]);
}
