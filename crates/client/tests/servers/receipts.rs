//! Receipts: kept for the host, shown to servers of its customer, and no license depends on them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use ve_client::{Instruction, Report, config::Config, probe::probe};
use ve_core::{grant::Grant, id::HostKey, registry::Receipt};

use crate::{
    hosts::{ONE, OTHER, claims, facts, good, grant_at, serve, shown, sign, start, start_again},
    program::{Program, config},
    server::{LONG_MS, Server, Talk, goodbye, refusal},
};

fn file(program: &Program, license_id: &str) -> PathBuf {
    program.receipts().join(format!("{license_id}.jwt"))
}

/// The receipt in a file.
fn kept(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.strip_suffix('\n')?.to_owned())
}

/// Runs a program until this license's receipt is another one than before, and ends it.
async fn run_until_kept(program: &mut Program, license_id: &str) -> String {
    let file = file(program, license_id);
    let before = kept(&file);
    program.until_started().await;
    program.lives_until(|| kept(&file).is_some_and(|now| Some(&now) != before.as_ref())).await;
    end(program).await;
    kept(&file).expect("a receipt")
}

async fn end(program: &mut Program) {
    program.report(Report::GuestEnded);
    program.until(|instruction| matches!(instruction, Instruction::Exit(_))).await;
}

/// Makes a file older, so that what is written now is newer on any file system.
fn age(path: &Path, hours: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_hours(hours)).unwrap();
}

/// A server of the same vendor with another license that counts hosts.
fn peer_of(server: &Server, license_id: &str) -> Server {
    server.sibling().that_counts_hosts(license_id)
}

#[tokio::test]
async fn a_receipt_is_its_owner_s_alone_and_shown_at_the_next_login_and_probe() {
    let server = Server::new().that_counts_hosts(ONE);
    let port = serve(&server, grant_at(&server, 1), good).await;
    let mut program = start(&server, &[port]);
    let receipt = run_until_kept(&mut program, ONE).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file(&program, ONE)), mode(&program.receipts())), (0o600, 0o700));

    let mut program = start_again(program, &server, &[port]);
    program.until_started().await;
    end(&mut program).await;
    let (config, _folder) = program.again(&server, &[port]);
    let config = Config { facts: Some(facts()), ..config };
    probe(&config, &config.servers[0]).await.expect("a grant");
    assert_eq!(shown(&server), [vec![], vec![receipt.clone()], vec![receipt]]);
}

#[tokio::test]
async fn a_probe_keeps_nothing() {
    let server = Server::new().that_counts_hosts(ONE);
    let port = serve(&server, grant_at(&server, 1), good).await;
    let (config, folder) = config(&server, &[port]);
    let config = Config { facts: Some(facts()), ..config };
    probe(&config, &config.servers[0]).await.expect("a grant");
    assert!(!folder.path().join("receipts").exists());
}

#[tokio::test]
async fn the_newest_two_are_shown_and_one_of_the_same_home_replaces_the_last() {
    let server = Server::new().that_counts_hosts(ONE);
    let mut program = None;
    let mut receipts = vec![];
    for (hours, license_id) in [(3, ONE), (2, OTHER), (1, "01.00000001.002.046")] {
        let peer = peer_of(&server, license_id);
        let port = serve(&peer, grant_at(&peer, 1), good).await;
        let mut next = match program.take() {
            None => start(&server, &[port]),
            Some(last) => start_again(last, &server, &[port]),
        };
        receipts.push(run_until_kept(&mut next, license_id).await);
        age(&file(&next, license_id), hours);
        program = Some(next);
    }
    let revised = |talk: &Talk| {
        sign(&talk.server, &Receipt { revision: 2, ..claims(&talk.server, talk.host) })
    };
    let port = serve(&server, grant_at(&server, 1), revised).await;
    let mut program = start_again(program.expect("a program"), &server, &[port]);
    let newest = run_until_kept(&mut program, ONE).await;
    assert_eq!(shown(&server), [vec![receipts[2].clone(), receipts[1].clone()]]);

    let mut program = start_again(program, &server, &[port]);
    program.until_started().await;
    assert_eq!(shown(&server).last(), Some(&vec![newest, receipts[2].clone()]));
    assert_eq!(fs::read_dir(program.receipts()).unwrap().count(), 3);
}

#[tokio::test]
async fn what_is_no_receipt_of_this_host_is_passed_over_and_replaced() {
    let server = Server::new().that_counts_hosts(ONE);
    let port = serve(&server, grant_at(&server, 1), good).await;
    let mut program = start(&server, &[port]);
    let receipt = run_until_kept(&mut program, ONE).await;
    let others = sign(&server, &claims(&server, HostKey([9; 32])));
    let damaged = format!("{}\n", &receipt[..receipt.len() - 10].replace('e', "f"));
    for contents in [others.into_bytes(), damaged.into_bytes(), vec![], vec![0xff; 9_000]] {
        fs::write(file(&program, ONE), &contents).unwrap();
        program = start_again(program, &server, &[port]);
        assert_eq!(run_until_kept(&mut program, ONE).await, receipt);
        assert_eq!(shown(&server).last(), Some(&vec![]));
    }
    // Neither are these, whatever they are called.
    let named = |number: u32| file(&program, &format!("01.00000001.002.{number:03}"));
    fs::write(named(1), format!("{receipt}\n")).unwrap();
    fs::create_dir(named(2)).unwrap();
    symlink("/dev/zero", named(3)).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, named(4), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    fs::write(program.receipts().join("something else.jwt"), b"x").unwrap();
    let mut program = start_again(program, &server, &[port]);
    program.until_started().await;
    assert_eq!(shown(&server).last(), Some(&vec![receipt]));
}

#[tokio::test]
async fn a_server_of_another_customer_is_shown_nothing() {
    let server = Server::new().that_counts_hosts(ONE);
    let port = serve(&server, grant_at(&server, 1), good).await;
    let mut program = start(&server, &[port]);
    run_until_kept(&mut program, ONE).await;
    let other = peer_of(&server, OTHER);
    let other_port = other
        .serve(|mut talk: Talk| async move {
            let credential = talk.server.credential_of("Somebody Else");
            talk.greet_with(vec![credential], LONG_MS).await?;
            let customer = "Somebody Else".parse().unwrap();
            talk.grant(&Grant { customer, ..grant_at(&talk.server.clone(), 1) }).await?;
            talk.listen().await
        })
        .await;
    let mut program = start_again(program, &server, &[other_port]);
    program.until_started().await;
    assert_eq!(shown(&other), [Vec::<String>::new()]);
}

type Receipts = fn(&Talk) -> String;

/// What stands beside a grant where a receipt should, and what is said of it.
const BAD: &[(&str, Receipts)] = &[
    ("it is another host's", |talk| sign(&talk.server, &claims(&talk.server, HostKey([9; 32])))),
    ("it is another customer's", |talk| {
        let customer = "Somebody Else";
        let claims =
            Receipt { customer: customer.parse().unwrap(), ..claims(&talk.server, talk.host) };
        let credential = talk.server.credential_of(customer);
        ve_documents::receipt::sign(&claims, &credential, &talk.server.key)
    }),
    ("its home is not the grant's", |talk| {
        let home = OTHER.parse().unwrap();
        sign(&talk.server, &Receipt { home, ..claims(&talk.server, talk.host) })
    }),
    ("another server has signed it", |talk| {
        let peer = peer_of(&talk.server, OTHER);
        let home = ONE.parse().unwrap();
        sign(&peer, &Receipt { home, ..claims(&peer, talk.host) })
    }),
    ("the receipt is not accepted: ", |talk| {
        let mut forged = good(talk);
        let last = forged.pop();
        forged.push(if last == Some('A') { 'B' } else { 'A' });
        forged
    }),
    ("is not trusted here", |talk| {
        let stranger = talk.server.of_another_vendor();
        sign(&stranger, &claims(&talk.server, talk.host))
    }),
    ("is longer than 2048 bytes", |_| "x".repeat(2_049)),
    ("the receipt is not accepted: ", |_| "\u{1b}[2J".into()),
];

#[tokio::test]
async fn a_bad_receipt_is_told_of_once_and_the_license_is_as_good_as_any() {
    for (said, bad) in BAD {
        let server = Server::new().that_counts_hosts(ONE);
        let grant = Grant { check_interval_ms: 100, ..grant_at(&server, 1) };
        let port = serve(&server, grant, bad).await;
        let mut program = start(&server, &[port]);
        let is_told = |instruction: &Instruction| {
            matches!(instruction, Instruction::TellOfReceipt(_) | Instruction::Exit(_))
        };
        let mut instructions = program.until(is_told).await;
        let Some(Instruction::TellOfReceipt(told)) = instructions.last() else {
            panic!("{said}: {instructions:?}");
        };
        assert!(told.contains(said), "{told} instead of {said}");
        // The next checks bring it again.
        let checks = || server.heard().len() > 5;
        instructions.extend(program.lives_until(checks).await);
        let times = instructions.iter().filter(|instruction| is_told(instruction)).count();
        assert_eq!(times, 1, "{said}: {instructions:?}");
        assert!(instructions.contains(&Instruction::StartGuest), "{said}: {instructions:?}");
        assert!(!program.receipts().exists(), "{said}");
    }
}

#[tokio::test]
async fn one_that_can_not_be_written_is_told_of_and_shown_all_the_same_while_the_program_runs() {
    let server = Server::new().that_counts_hosts(ONE);
    let port = server
        .serve(|mut talk: Talk| async move {
            talk.greet().await?;
            let login = talk.hear_login().await?;
            let server = talk.server.clone();
            talk.answer_with(&login, &grant_at(&server, 1), good(&talk)).await?;
            if talk.number == 1 {
                talk.say(goodbye(&refusal())).await?;
                return None;
            }
            talk.listen().await
        })
        .await;
    let (config, folder) = config(&server, &[port]);
    // Even root can't make a folder in a file.
    let file = folder.path().join("receipts");
    fs::write(&file, b"a file").unwrap();
    let mut program = Program::of(Config { facts: Some(facts()), ..config }, folder);
    let mut instructions =
        program.until(|instruction| matches!(instruction, Instruction::TellOfReceipt(_))).await;
    let Some(Instruction::TellOfReceipt(told)) = instructions.pop() else { panic!("told") };
    assert!(told.contains("receipts can't be written: ") && !told.contains("eyJ"), "{told}");
    instructions.extend(program.lives_until(|| server.logins().len() == 2).await);
    assert!(instructions.contains(&Instruction::StartGuest), "{instructions:?}");
    let shown = shown(&server);
    assert_eq!((shown[0].len(), shown[1].len()), (0, 1));
}

#[tokio::test]
async fn many_programs_of_a_host_keep_one_whole_receipt() {
    let server = Server::new().that_counts_hosts(ONE);
    let revised = |talk: &Talk| {
        let revision = u64::try_from(talk.number).unwrap();
        sign(&talk.server, &Receipt { revision, ..claims(&talk.server, talk.host) })
    };
    let port = serve(&server, grant_at(&server, 1), revised).await;
    let (config, folder) = config(&server, &[port]);
    let config = Config { facts: Some(facts()), ..config };
    let path = folder.path().join("receipts").join(format!("{ONE}.jwt"));
    let mut programs: Vec<_> =
        (0..16).map(|_| Program::of(config.clone(), tempfile::tempdir().unwrap())).collect();
    for program in &mut programs {
        program.until_started().await;
        if let Some(text) = kept(&path) {
            ve_documents::receipt::verify(&text, &config.vendor_keys).expect("a whole receipt");
        }
    }
    for mut program in programs {
        end(&mut program).await;
    }
    let is_whole = || kept(&path).is_some_and(|text| text.split('.').count() == 3);
    while !is_whole() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let entries = fs::read_dir(folder.path().join("receipts")).unwrap();
    let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.contains(&format!("{ONE}.jwt").into()), "{names:?}");
}
