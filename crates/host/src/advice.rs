//! What to tell people about a machine's identity.

use ve_core::fingerprint::{Component, Machine, Reading};

/// Plain sentences about what is missing in the machine's identity, one a message; empty when
/// everything is known. Nothing here is an error.
pub fn advice(machine: &Machine) -> Vec<String> {
    let mut messages: Vec<String> = Component::ALL
        .iter()
        .filter_map(|&component| message(component, machine.readings.get(&component)))
        .collect();
    if !has_own_identity(machine) {
        messages.push(
            "Nothing here tells this machine from another one: a license rests on the server's \
             own key alone. Keep identity.key safe."
                .to_string(),
        );
    }
    messages
}

fn message(component: Component, reading: Option<&Reading>) -> Option<String> {
    match reading {
        Some(Reading::Known(_)) => None,
        Some(Reading::Unreadable(why)) => {
            Some(format!("{component}: {why} A C2V made now leaves it out."))
        }
        Some(Reading::Absent) | None => {
            Some(format!("{component}: this machine has none, so no license can be bound to it."))
        }
    }
}

/// Whether something is known that other machines of the same make don't share.
fn has_own_identity(machine: &Machine) -> bool {
    machine.readings.iter().any(|(component, reading)| {
        let is_shared = matches!(component, Component::CpuCores | Component::Platform);
        !is_shared && matches!(reading, Reading::Known(_))
    })
}
