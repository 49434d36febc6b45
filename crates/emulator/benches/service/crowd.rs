//! Many emulators in one process: what each of them would do, but for the guest.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
    task::block_in_place,
};
use ve_client::{
    GrantFolder, Instruction, Licensing, Told,
    config::{Config, HostIdentity, Program, Server},
};
use ve_core::{
    client::io::Settings,
    time::{HOUR_MS, SECOND_MS},
};
use ve_documents::key_files;

use crate::{
    orders::{Measurement, Orders, Request},
    times::Times,
};

/// The best documented figure of a commercial license server, in seconds, until a loss is noticed.
const YARDSTICK_S: f64 = 5.0;
/// How many others try to get in while the server comes back.
const STRANGERS: usize = 1_000;
/// Longer than everything here.
const PATIENCE: Duration = Duration::from_mins(5);

pub(crate) fn run(orders: &str) {
    let orders: Orders = serde_json::from_str(orders).expect("the office's orders");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        match orders.what {
            Measurement::Failover => failover(&orders).await,
            Measurement::Restart => restart(&orders).await,
        }
    });
}

async fn failover(orders: &Orders) {
    let mut crowd = Crowd::start(orders, "emulator", orders.emulators);
    let since = Instant::now();
    let times = crowd.all_licensed_by(0, since).await;
    println!("{} emulators, cold start on the primary: {}", orders.emulators, times.line());
    for (fault, breaks, heals) in [
        ("primary killed", Request::Kill, Request::Start),
        ("primary's network silent", Request::Silence, Request::EndSilence),
        ("primary hangs", Request::Hang, Request::GoOn),
        ("primary stopped by its administrator", Request::Drain, Request::Start),
    ] {
        let Some(since) = block_in_place(|| breaks.make()) else { continue };
        let times = crowd.all_licensed_by(1, since).await;
        let (last, losses) = (times.last(), crowd.losses());
        println!(
            "{fault}: licensed by the backup: {}; the last is {:.2} of {YARDSTICK_S} s; {losses} announced a loss",
            times.line(),
            last / YARDSTICK_S
        );
        let since = block_in_place(|| heals.make()).expect("what was broken can be healed");
        let times = crowd.all_licensed_by(0, since).await;
        println!("   back on the primary (probed every 2 s): {}", times.line());
        assert_eq!(crowd.losses(), 0, "going back is no loss");
    }
}

async fn restart(orders: &Orders) {
    let mut crowd = Crowd::start(orders, "emulator", orders.emulators);
    let times = crowd.all_licensed_by(0, Instant::now()).await;
    println!("{} emulators, cold start: {}", orders.emulators, times.line());
    block_in_place(|| Request::Kill.make());
    // Who finds it back at once says nothing, and could not be counted.
    crowd.all_lost().await;
    let mut strangers = Crowd::start(orders, "stranger", STRANGERS);
    let since = block_in_place(|| Request::Start.make()).expect("a server can be started");
    let times = crowd.all_licensed_by(0, since).await;
    println!(
        "killed and started again with {STRANGERS} strangers at the door: back on their own seats, counted from the start of the process: {}",
        times.line()
    );
    assert_eq!(strangers.licensed(), 0, "no seat was given to a stranger");
}

/// What was seen of one emulator.
struct Seen {
    who: usize,
    what: What,
    at: Instant,
}

enum What {
    LicensedBy(usize),
    Lost,
    /// A server that was of no use, and why.
    Failed(String),
}

struct Crowd {
    seen: UnboundedReceiver<Seen>,
    /// The server that licensed each of them last, and when.
    licensed: Vec<Option<(usize, Instant)>>,
    /// What went wrong last, for who stays without a license.
    failures: Vec<String>,
    losses: usize,
}

impl Crowd {
    fn start(orders: &Orders, name: &str, count: usize) -> Self {
        let config = config(orders);
        let (tell, seen) = mpsc::unbounded_channel();
        for who in 0..count {
            let mut config = config.clone();
            config.program.emulator = format!("{name}-{who}").parse().expect("a name");
            config.run = Config::fresh_run();
            config.settings.seed = Config::fresh_seed();
            tokio::spawn(live(who, config, tell.clone()));
        }
        Self { seen, licensed: vec![None; count], failures: vec![String::new(); count], losses: 0 }
    }

    /// Waits until `server` has licensed every one of them, each after `since` or long before; how
    /// long each took.
    async fn all_licensed_by(&mut self, server: usize, since: Instant) -> Times {
        let mut missing: BTreeSet<usize> = (0..self.licensed.len()).collect();
        missing.retain(|&who| self.licensed[who].is_none_or(|(_, at)| at <= since));
        let deadline = tokio::time::sleep(PATIENCE);
        tokio::pin!(deadline);
        while !missing.is_empty() {
            let seen = tokio::select! {
                seen = self.seen.recv() => seen.expect("they run for ever"),
                () = &mut deadline => panic!(
                    "{} are still without a license: {:?}",
                    missing.len(),
                    missing.iter().take(5).map(|&who| &self.failures[who]).collect::<Vec<_>>()
                ),
            };
            let who = seen.who;
            self.take(&seen);
            match self.licensed[who] {
                Some((by, at)) if at > since && by == server => missing.remove(&who),
                Some((_, at)) if at > since => missing.insert(who),
                _ => false,
            };
        }
        let took = self.licensed.iter().flatten().map(|(_, at)| *at - since);
        Times::new(took.collect())
    }

    fn take(&mut self, seen: &Seen) {
        match &seen.what {
            What::LicensedBy(server) => self.licensed[seen.who] = Some((*server, seen.at)),
            What::Failed(why) => self.failures[seen.who].clone_from(why),
            What::Lost => self.losses += 1,
        }
    }

    /// Waits until every one of them has announced a loss since the last call of [`Self::losses`].
    async fn all_lost(&mut self) {
        while self.losses < self.licensed.len() {
            let seen = self.seen.recv().await.expect("they run for ever");
            self.take(&seen);
        }
    }

    /// How many losses were announced since the last call.
    fn losses(&mut self) -> usize {
        std::mem::take(&mut self.losses)
    }

    /// How many have ever been licensed.
    fn licensed(&mut self) -> usize {
        while let Ok(seen) = self.seen.try_recv() {
            self.take(&seen);
        }
        self.licensed.iter().flatten().count()
    }
}

async fn live(who: usize, config: Config, tell: UnboundedSender<Seen>) {
    let mut licensing = Licensing::new(config, ve_host::clock::now);
    loop {
        let what = match licensing.next().await {
            Instruction::Tell(Told::Licensed(server, _)) => What::LicensedBy(server),
            Instruction::Tell(Told::Lost { .. } | Told::Revoked { .. }) => What::Lost,
            Instruction::Tell(Told::ConnectionFailed { why, .. }) => What::Failed(why),
            Instruction::Tell(Told::Refused { refusal, .. }) => What::Failed(refusal.to_string()),
            Instruction::Exit(exit) => panic!("emulator {who} ends: {exit:?}"),
            _ => continue,
        };
        // Nobody looks any more when everything is over.
        drop(tell.send(Seen { who, what, at: Instant::now() }));
    }
}

fn config(orders: &Orders) -> Config {
    let server = |address: &String| {
        let (host, port) = address.rsplit_once(':').expect("address:port");
        let port = port.parse().expect("a port");
        Server { host: host.to_owned(), port, passphrase: None }
    };
    let name = |text: &str| text.parse().expect("a name");
    std::fs::create_dir_all(&orders.state).expect("a state folder");
    Config {
        servers: orders.servers.iter().map(server).collect(),
        program: Program {
            product: name("Charon-SSP/4M"),
            version: name("5.2.1").try_into().expect("a version"),
            virtual_hardware: name("Charon-SSP/4M"),
            cpus: 1,
            memory_mb: 64,
            emulator: name("emulator"),
        },
        vendor_keys: keys(&orders.vendor_key),
        host: HostIdentity::load_or_create(&orders.state).expect("the host's key"),
        facts: None,
        grants: Some(GrantFolder::new(orders.state.join("grants"))),
        receipts: None,
        run: Config::fresh_run(),
        settings: Settings {
            servers: orders.servers.len(),
            home: None,
            start_wait_ms: HOUR_MS,
            shutdown_lead_ms: SECOND_MS,
            shutdown_timeout_ms: SECOND_MS,
            primary_probe_ms: 2 * SECOND_MS,
            seed: Config::fresh_seed(),
        },
    }
}

fn keys(file: &Path) -> Vec<ve_documents::keys::VerifyingKey> {
    key_files::load_public(file).expect("the vendor's key")
}
