//! The command line of `ve-sim`.

use std::{
    io::{IsTerminal, stderr},
    process::{Command, ExitCode},
    time::Instant,
};

use clap::Parser;

use crate::{Bug, Mode, Outcome, Plan, Profile, Violation, run_with};

/// How many emulators there are when nothing else is said.
const CLIENTS: usize = 48;

/// Simulates license servers and emulators in a world that misbehaves, and checks at every step what
/// must always be true.
#[derive(Debug, Parser)]
#[command(name = "ve-sim", version)]
struct Arguments {
    /// Where all chance comes from; a new number each time when it is left out
    #[arg(long)]
    seed: Option<u64>,
    /// How many simulated days things go wrong in each run
    #[arg(long, default_value_t = 10)]
    days: u64,
    /// How many runs, with one seed after the other
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// What goes wrong: calm, network, disks, clocks or everything; one after the other when it is
    /// left out
    #[arg(long, value_parser = profile)]
    profile: Option<Profile>,
    /// General mode, AutoVE mode, or each seed in both
    #[arg(long, default_value = "general", value_parser = modes)]
    mode: Modes,
    /// How many emulators; in AutoVE mode, how many hosts
    #[arg(long, default_value_t = CLIENTS, value_parser = count)]
    clients: usize,
    /// Make this mistake on purpose
    #[arg(long, value_parser = bug)]
    bug: Option<Bug>,
    /// Print everything that happens
    #[arg(long)]
    trace: bool,
}

/// The modes that every seed is run in.
#[derive(Debug, Clone, Copy)]
struct Modes(&'static [Mode]);

fn modes(name: &str) -> Result<Modes, String> {
    match name {
        "general" => Ok(Modes(&[Mode::General])),
        "autove" => Ok(Modes(&[Mode::AutoVe])),
        "both" => Ok(Modes(&[Mode::General, Mode::AutoVe])),
        _ => Err("known are general, autove and both".to_owned()),
    }
}

fn profile(name: &str) -> Result<Profile, String> {
    Profile::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Profile::ALL.iter().map(|profile| profile.as_str()).collect();
        format!("known are {}", names.join(", "))
    })
}

fn bug(name: &str) -> Result<Bug, String> {
    Bug::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Bug::ALL.iter().map(|bug| bug.as_str()).collect();
        format!("known are {}", names.join(", "))
    })
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=20_000) => Ok(count),
        _ => Err("a number from 1 to 20000".to_owned()),
    }
}

/// Runs what the command line says; 1: an invariant was broken.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let first = arguments.seed.unwrap_or_else(|| u64::from_le_bytes(ve_wire::random_bytes()) >> 16);
    println!("seed {first}");
    let begun = Instant::now();
    let modes = arguments.mode.0;
    let runs = (0..arguments.runs).flat_map(|seed| modes.iter().map(move |mode| (seed, *mode)));
    for (done, (number, mode)) in (0..).zip(runs) {
        let plan = plan(&arguments, first.wrapping_add(number), mode);
        let outcome = run_with(&plan, |day| show_progress(&arguments, done, day));
        clear_progress();
        if let Some(violation) = &outcome.violation {
            report(&plan, violation, &outcome);
            return ExitCode::from(1);
        }
        println!(
            "seed {}, {}, {}: {} events, {} faults, {} grants, trace {:016x}",
            plan.seed,
            plan.mode,
            plan.profile.as_str(),
            outcome.events,
            outcome.faults,
            outcome.grants,
            outcome.hash
        );
    }
    let days = arguments.days * all_runs(&arguments);
    let tenths = u128::from(days) * 10_000 / begun.elapsed().as_millis().max(1);
    println!("{days} simulated days, {}.{} a second, nothing broken", tenths / 10, tenths % 10);
    ExitCode::SUCCESS
}

fn all_runs(arguments: &Arguments) -> u64 {
    arguments.runs * arguments.mode.0.len() as u64
}

fn plan(arguments: &Arguments, seed: u64, mode: Mode) -> Plan {
    let profiles = Profile::ALL;
    // A seed alone names its profile, so that it can be replayed alone.
    let of_seed = usize::try_from(seed % profiles.len() as u64).unwrap_or(0);
    Plan {
        seed,
        days: arguments.days,
        profile: arguments.profile.unwrap_or(profiles[of_seed]),
        clients: arguments.clients,
        mode,
        bug: arguments.bug,
        trace: arguments.trace,
    }
}

/// A bar on a terminal; in a log a line for every hundred days.
fn show_progress(arguments: &Arguments, run: u64, day: u64) {
    let (done, all) = (run * arguments.days + day, arguments.runs * arguments.days);
    if arguments.trace {
        return;
    }
    if stderr().is_terminal() {
        let width = usize::try_from(done * 40 / all.max(1)).unwrap_or(40);
        eprint!("\r[{:<40}] day {done} of {all}", "#".repeat(width));
    } else if done.is_multiple_of(100) {
        eprintln!("day {done} of {all}");
    }
}

fn clear_progress() {
    if stderr().is_terminal() {
        eprint!("\r\x1b[K");
    }
}

/// Says what was broken, and how to see it again.
fn report(plan: &Plan, violation: &Violation, outcome: &Outcome) {
    println!("BROKEN: {violation}");
    println!("seed {}, commit {}, trace {:016x}", plan.seed, commit(), outcome.hash);
    let bug = plan.bug.map_or_else(String::new, |bug| format!(" --bug {}", bug.as_str()));
    println!(
        "replay: cargo run -p ve-sim -- --seed {} --days {} --mode {} --profile {} --clients {}{bug} --trace",
        plan.seed,
        plan.days,
        plan.mode,
        plan.profile.as_str(),
        plan.clients
    );
}

/// The commit of the sources in the working folder.
fn commit() -> String {
    let described = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let known = described.ok().filter(|output| output.status.success());
    let text = known.and_then(|output| String::from_utf8(output.stdout).ok());
    text.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}
