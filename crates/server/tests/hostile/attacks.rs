//! One table of attacks, and the helper that runs them.

use std::thread;

use super::{
    bystander::Bystander,
    log,
    server::{Edit, Server},
};

/// Enough seats for whatever is tried.
pub(crate) const ROOMY: Edit = |license| license.instances(100);

/// How much the server's memory may grow by all attacks of a table together, in kB.
///
/// A link has some tens of kB, its greatest message 16; a flood fills queues of some thousands of
/// entries. What grows without bound is beyond this at once.
const MAX_GROWTH_KB: u64 = 24 * 1_024;

/// Something that a hostile client does.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// Does it and waits until the server has closed the connection, or has refused; gives the
    /// address that it was done from, nothing where that is not known.
    pub(crate) run: fn(&Server) -> String,
    /// What the log says of it; nothing for what may be an accident of the network.
    pub(crate) logged: Option<&'static str>,
}

/// Runs attacks one after the other, each beside a licensed bystander.
pub(crate) fn survive(attacks: &[Attack]) {
    beside_bystander(|server, bystander| {
        for attack in attacks {
            run(server, bystander, attack);
        }
    });
}

/// Runs attacks that wait for a time-out, all of them at once.
pub(crate) fn survive_together(attacks: &'static [Attack]) {
    beside_bystander(|server, bystander| {
        thread::scope(|scope| {
            let running: Vec<_> = attacks
                .iter()
                .map(|attack| (attack, scope.spawn(|| (attack.run)(server))))
                .collect();
            for (attack, thread) in running {
                let address = thread.join().unwrap_or_else(|_| panic!("{} failed", attack.name));
                is_logged(server, attack, &address);
                bystander.prove(attack.name);
            }
        });
    });
}

/// What `act` does leaves the bystander licensed, the server's memory bounded and its log sound.
pub(crate) fn beside_bystander(act: impl FnOnce(&Server, &Bystander)) {
    beside_bystander_of(Server::start(ROOMY), act);
}

/// The same with a server that is not the usual one.
pub(crate) fn beside_bystander_of(server: Server, act: impl FnOnce(&Server, &Bystander)) {
    let bystander = Bystander::log_in(&server);
    bystander.prove("before");
    let before_kb = server.memory_kb();
    act(&server, &bystander);
    bystander.prove("all");
    let growth_kb = server.memory_kb().saturating_sub(before_kb);
    assert!(growth_kb < MAX_GROWTH_KB, "the server has grown by {growth_kb} kB");
    server.terminate();
    drop(bystander);
    let (status, log) = server.end();
    assert!(status.success(), "{status}");
    log::is_sound(&log);
}

fn run(server: &Server, bystander: &Bystander, attack: &Attack) {
    let address = (attack.run)(server);
    is_logged(server, attack, &address);
    bystander.prove(attack.name);
}

fn is_logged(server: &Server, attack: &Attack, address: &str) {
    if let Some(logged) = attack.logged {
        server.wait_for_line(&format!("{address} was refused: {logged}"));
    }
}
