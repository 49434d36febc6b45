//! Hooks that write down that they ran, and with which facts.

use ve_testbed::wait;

use crate::{host::Host, vm::Vm};

/// Where they write, in the VM files' folder.
const FILE: &str = "hooks";

/// A hook that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) event: String,
    pub(crate) name: String,
    pub(crate) seconds_left: Option<u32>,
    pub(crate) server: String,
    pub(crate) role: String,
    pub(crate) previous_server: String,
    pub(crate) reason: String,
}

/// A VM whose hooks of these names write themselves down. Nothing may be added to its `[license]`
/// after that.
pub(crate) fn recorded(vm: Vm, names: &[&str]) -> Vm {
    let facts =
        "$VE_EVENT|$VE_NAME|$VE_SECONDS_LEFT|$VE_SERVER|$VE_ROLE|$VE_PREVIOUS_SERVER|$VE_REASON";
    names.iter().fold(vm.license("[license.hooks]"), |vm, name| {
        // Under its own name, so that a wrong VE_EVENT is noticed.
        vm.license(&format!("{name} = 'echo \"{name}|{facts}\" >> {FILE}'"))
    })
}

/// The hooks that have run once there is one for `event`.
#[track_caller]
pub(crate) fn until(host: &Host, event: &str) -> Vec<Ran> {
    let whole = |told: String| told.ends_with('\n').then_some(told);
    let told = wait::until(format_args!("the hook {event}"), || {
        whole(wait::content(&host.file(FILE))).filter(|told| told.contains(&format!("{event}|")))
    });
    told.lines().map(read).collect()
}

/// The hook for `event`, which must be among them once.
#[track_caller]
pub(crate) fn one<'a>(ran: &'a [Ran], event: &str) -> &'a Ran {
    let mut of_event = ran.iter().filter(|ran| ran.event == event);
    match (of_event.next(), of_event.next()) {
        (Some(ran), None) => ran,
        _ => panic!("not one {event} in {ran:#?}"),
    }
}

fn read(line: &str) -> Ran {
    let mut parts = line.splitn(8, '|');
    let mut part = || parts.next().unwrap_or_else(|| panic!("a hook said {line:?}")).to_owned();
    let (event, told_event, name, seconds) = (part(), part(), part(), part());
    let (server, role, previous_server, reason) = (part(), part(), part(), part());
    assert_eq!(event, told_event, "{line}");
    let seconds_left = (!seconds.is_empty()).then(|| seconds.parse().expect("seconds"));
    Ran { event, name, seconds_left, server, role, previous_server, reason }
}

/// Asserts which hooks ran, in this order, and the most seconds that were left then: a slow machine
/// runs them a little later.
#[track_caller]
pub(crate) fn assert_ran(ran: &[Ran], expected: &[(&str, Option<u32>)]) {
    let events: Vec<&str> = ran.iter().map(|ran| ran.event.as_str()).collect();
    let expected_events: Vec<&str> = expected.iter().map(|(event, _)| *event).collect();
    assert_eq!(events, expected_events, "{ran:#?}");
    for (ran, (_, most)) in ran.iter().zip(expected) {
        let in_time = match (ran.seconds_left, *most) {
            (Some(left), Some(most)) => (1..=most).contains(&left),
            (left, most) => left == most,
        };
        assert!(in_time, "at most {most:?}: {ran:?}");
    }
}
