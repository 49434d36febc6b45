//! `ve-emulator check`: would it run? It takes no seat.

use std::process::Output;

use crate::{host::Host, pair::Pair, site::Site, vm::Vm};

/// What it printed, with its exit code.
#[track_caller]
fn told(output: &Output, code: i32) -> String {
    let printed = String::from_utf8(output.stdout.clone()).expect("UTF-8");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{printed}{complaints}");
    printed
}

#[test]
fn it_says_what_would_be_and_takes_nothing() {
    let site = Site::new(|license| license.instances(1));
    let address = site.server.address();
    for _ in 0..2 {
        let printed = told(&site.host.check(&Vm::polite("guest")), 0);
        let expected = format!(
            "{address}: would run: Charon-SSP/ALL of license 01.00000001.002.044, without end\n"
        );
        assert_eq!(printed, expected);
        assert_eq!(site.seats(), [""; 0]);
    }
    assert!(!site.server.log().contains("has logged in"), "{}", site.server.log());

    let mut holder = site.host.run(&Vm::polite("holder"));
    holder.shows("ready");
    let printed = told(&site.host.check(&Vm::polite("guest")), 77);
    let expected = format!("{address}: would not run: instance-limit: ");
    assert!(printed.starts_with(&expected), "{printed}");
    assert_eq!(site.seats(), ["holder"]);
}

#[test]
fn it_warns_of_a_guest_that_can_not_be_asked_to_shut_down() {
    let site = Site::new(|license| license);
    let command = "shutdown = [\"true\"]";
    for (vm, warned) in [
        (Vm::sun4m("ss5"), true),
        (Vm::sun4u("ultra"), true),
        (Vm::sun4m("ss5").engine(command), false),
        (Vm::sun4u("ultra").engine(command), false),
        (Vm::linux("linux"), false),
        (Vm::polite("guest"), false),
    ] {
        let printed = told(&site.host.check(&vm), 0);
        assert!(printed.contains("would run"), "{printed}");
        assert_eq!(printed.contains("warning: "), warned, "{}: {printed}", vm.name);
        if warned {
            for word in [vm.architecture, "power button", "shutdown = ["] {
                assert!(printed.contains(word), "no {word} in: {printed}");
            }
        }
    }
}

#[test]
fn no_server_and_no_vendor_are_told_apart() {
    let mut site = Site::new(|license| license);
    let stranger = ve_testbed::vendor(&site.folder().join("stranger"));
    let address = site.server.address();
    let distrustful =
        Host::new(&site.folder().join("distrustful"), stranger.public_file(), &address);
    let printed = told(&distrustful.check(&Vm::polite("guest")), 69);
    assert!(printed.contains("can't be trusted"), "{printed}");
    site.server.kill();
    let printed = told(&site.host.check(&Vm::polite("guest")), 69);
    assert!(printed.contains("can't be reached"), "{printed}");
}

/// What is printed of two servers of which the backup's license is for this much memory.
fn of_two(prepare: impl FnOnce(&mut Pair), backup_mb: u64) -> String {
    let mut pair =
        Pair::new(|license| license.with(|license| license.sections[0].max_memory_mb = backup_mb));
    prepare(&mut pair);
    told(&pair.host.check(&pair.knows(Vm::polite("guest"))), 0)
}

#[test]
fn it_warns_when_one_server_of_two_could_not_stand_in_for_the_other() {
    let printed = of_two(|_| {}, 64);
    assert!(!printed.contains("warning: "), "{printed}");
    for (printed, granting, other, why) in [
        (of_two(|_| {}, 32), "primary", "backup", "memory-limit: "),
        (of_two(|pair| pair.backup.kill(), 64), "primary", "backup", "it can't be reached: "),
        (of_two(|pair| pair.primary.kill(), 64), "backup", "primary", "it can't be reached: "),
    ] {
        let warning = format!(
            "\nwarning: only the {granting} server would let it run; nothing stands in for it, for the {other} server would not: {why}"
        );
        assert!(printed.contains(&warning), "no {warning:?} in {printed}");
    }
}
