//! Hosts of their own on one machine: network namespaces, joined by cables that can be cut.

use std::{
    io::Write,
    net::Ipv4Addr,
    path::Path,
    process::{self, Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
};

use crate::programs;

/// Drops every packet in both directions, without a word to anyone.
const SILENCE: &str = "table inet cut {
    chain in { type filter hook input priority 0; policy drop; }
    chain out { type filter hook output priority 0; policy drop; }
}";

/// Everything that this takes.
const TOOLS: [&str; 2] = ["ip", "nft"];

/// A client's host in the middle, and a few servers around it, each at the end of a cable of its
/// own. Dropping it removes all of it; processes that still run there keep their namespace alive
/// until they end.
#[derive(Debug)]
pub struct Network {
    name: String,
    servers: Vec<Host>,
}

/// A host of a [`Network`].
#[derive(Debug, Clone)]
pub struct Host {
    namespace: String,
    address: Ipv4Addr,
}

impl Network {
    /// A client's host and `servers` servers; `Err` says why this machine doesn't allow that.
    pub fn new(servers: u8) -> Result<Self, String> {
        static CALLS: AtomicU8 = AtomicU8::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let mut network = Self { name: format!("ve{}-{call}", process::id()), servers: Vec::new() };
        for tool in TOOLS {
            attempt(Command::new(tool).arg("-V"))?;
        }
        let client = network.client().namespace;
        make_host(&client)?;
        for number in 1..=servers {
            let host = Host {
                namespace: format!("{}-{number}", network.name),
                address: Ipv4Addr::new(10, 77, number, 2),
            };
            make_host(&host.namespace)?;
            // In the list before its cable is laid: whatever fails, it is removed.
            network.servers.push(host.clone());
            lay_cable(&client, &host, number)?;
        }
        Ok(network)
    }

    /// The client's host.
    pub fn client(&self) -> Host {
        let namespace = format!("{}-0", self.name);
        Host { namespace, address: Ipv4Addr::LOCALHOST }
    }

    /// A server's host, counted from 0.
    pub fn server(&self, index: usize) -> &Host {
        &self.servers[index]
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let namespaces = self.servers.iter().map(|host| &host.namespace);
        for namespace in namespaces.chain([&self.client().namespace]) {
            // Some may not have been made.
            drop(attempt(Command::new("ip").args(["netns", "delete", namespace])));
        }
    }
}

impl Host {
    /// Its address, as the client's host sees it.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A command that runs `program` there.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]).arg(program);
        programs::clean(&mut command);
        command
    }

    /// From now on nothing goes in or out, and nobody is told: a firewall that drops, a switch that
    /// hangs.
    #[track_caller]
    pub fn silence(&self) {
        let mut nft = self.command(Path::new("nft"));
        let mut nft = nft.args(["-f", "-"]).stdin(Stdio::piped()).spawn().expect("nft starts");
        let mut rules = nft.stdin.take().expect("a pipe");
        rules.write_all(SILENCE.as_bytes()).expect("nft reads");
        drop(rules);
        assert!(nft.wait().expect("nft's end").success(), "nft takes the rules");
    }

    /// Ends the silence.
    #[track_caller]
    pub fn end_silence(&self) {
        let mut nft = self.command(Path::new("nft"));
        programs::output_of(nft.args(["delete", "table", "inet", "cut"]));
    }

    /// Pulls the cable out of this host.
    #[track_caller]
    pub fn unplug(&self) {
        programs::output_of(self.command(Path::new("ip")).args(["link", "set", "cable", "down"]));
    }

    /// Puts it in again.
    #[track_caller]
    pub fn plug_in(&self) {
        programs::output_of(self.command(Path::new("ip")).args(["link", "set", "cable", "up"]));
    }
}

fn make_host(namespace: &str) -> Result<(), String> {
    attempt(Command::new("ip").args(["netns", "add", namespace]))?;
    attempt(Command::new("ip").args(["-n", namespace, "link", "set", "lo", "up"]))
}

/// A cable between the client's host and a server's.
fn lay_cable(client: &str, host: &Host, number: u8) -> Result<(), String> {
    let near = format!("cable{number}");
    let far = ["peer", "name", "cable", "netns", &host.namespace];
    let link = ["-n", client, "link", "add", &near, "type", "veth"];
    attempt(Command::new("ip").args(link).args(far))?;
    let near_address = format!("10.77.{number}.1/24");
    let far_address = format!("{}/24", host.address);
    let ends = [(client, near.as_str(), near_address), (&host.namespace, "cable", far_address)];
    for (namespace, device, address) in ends {
        let address = ["-n", namespace, "address", "add", &address, "dev", device];
        attempt(Command::new("ip").args(address))?;
        attempt(Command::new("ip").args(["-n", namespace, "link", "set", device, "up"]))?;
    }
    Ok(())
}

fn attempt(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("{command:?}: {complaint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_hear_each_other_until_the_cable_is_cut() {
        let network = match Network::new(2) {
            Ok(network) => network,
            Err(why) => return crate::skip(format_args!("no network namespaces here: {why}")),
        };
        let host = network.server(1);
        let reaches = || {
            let target = format!("/dev/tcp/{}/9", host.address());
            let script = format!("timeout 1 bash -c '</dev/tcp/{}/9' 2>&1 || true", host.address());
            let mut command = network.client().command(Path::new("bash"));
            let said = programs::output_of(command.args(["-c", &script]));
            // Nobody listens there: a host that hears refuses at once.
            said.contains("Connection refused") && said.contains(&target)
        };
        assert!(reaches());
        host.silence();
        assert!(!reaches());
        host.end_silence();
        assert!(reaches());
        host.unplug();
        assert!(!reaches());
        host.plug_in();
        assert!(reaches());
    }
}
