//! Simulated days of two peers and the hosts that register with them.

use ve_sim::{Mode, Plan, Profile};

use crate::{days::nothing_is_broken, plan};

/// Days of two servers and some hosts, with eight seeds.
fn hosts(profile: Profile) {
    for seed in 1..9 {
        nothing_is_broken(&autove(seed, 2, profile, 8));
    }
}

fn autove(seed: u64, days: u64, profile: Profile, hosts: usize) -> Plan {
    Plan { mode: Mode::AutoVe, ..plan(seed, days, profile, hosts) }
}

#[test]
fn hosts_on_calm_days() {
    hosts(Profile::Calm);
}

#[test]
fn hosts_on_a_bad_network() {
    hosts(Profile::Network);
}

#[test]
fn hosts_and_bad_disks() {
    hosts(Profile::Disks);
}

#[test]
fn hosts_and_bad_clocks() {
    hosts(Profile::Clocks);
}

#[test]
fn hosts_and_everything() {
    hosts(Profile::Everything);
}

#[test]
fn a_day_of_a_hundred_hosts() {
    nothing_is_broken(&autove(1, 1, Profile::Everything, 100));
}

#[test]
fn no_host_runs_beyond_the_instances_of_both() {
    for profile in [Profile::Network, Profile::Disks] {
        nothing_is_broken(&autove(0, 2, profile, 8));
    }
}
