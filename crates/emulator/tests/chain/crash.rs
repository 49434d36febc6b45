//! A killed `ve-emulator`: no guest without a license, and no seat lost.

use crate::{
    processes,
    site::Site,
    vm::{PROMPT, Vm},
};

#[test]
fn its_guest_goes_with_it_and_its_next_start_gets_its_own_seat() {
    // The lease is an hour: nobody gets the only seat unless it is its own.
    let site = Site::new(|license| license.instances(1));
    let vm = Vm::sun4m("ss5");
    let mut emulator = site.host.run(&vm);
    emulator.shows(PROMPT);
    emulator.kill();
    processes::none_left_in(site.host.folder());

    let refused = site.host.ends_with(&Vm::sun4m("other"), 77);
    assert!(refused.log.contains("instance-limit"), "{}", refused.log);
    assert_eq!(site.seats(), ["ss5"], "the seat is kept for its holder");

    let mut again = site.host.run(&vm);
    again.shows(PROMPT);
    let log = again.log();
    assert!(!log.contains("ERROR") && !log.contains("WARN"), "at the first try: {log}");
    assert_eq!(site.seats(), ["ss5"]);
}
