//! Earlier grants: what a server signed last is shown to it at the next login, and to nobody else.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use ve_client::{Instruction, Report, probe::probe};
use ve_core::grant::Grant;
use ve_wire::{
    convert,
    limits::MAX_WITNESSES,
    proto::{self, Signed, client_message::Kind as Asked, statement::Content},
    witness,
};

use crate::{
    program::{Program, config},
    server::{Server, Talk, grant},
};

/// The witnesses of every login that the server was asked for.
fn shown(server: &Server) -> Vec<Vec<Signed>> {
    let login = |asked| match asked {
        Asked::Login(login) => Some(login.witnesses),
        _ => None,
    };
    server.heard().into_iter().filter_map(login).collect()
}

/// What the server has signed so far, in order.
type Record = Arc<Mutex<Vec<Signed>>>;

/// A server that grants every login and every check, and records what it signs.
async fn grants_all(mut talk: Talk, grant: Grant, record: Record) -> Option<()> {
    talk.greet().await?;
    loop {
        let (request_id, nonce) = match talk.hear().await? {
            Asked::Login(proto::Login { request_id, nonce, .. })
            | Asked::Check(proto::Check { request_id, nonce, .. }) => (request_id, nonce),
            Asked::Logout(logout) => {
                let content = Content::LoggedOut(proto::LoggedOut {});
                talk.answer(logout.request_id, &logout.nonce, Some(1), content).await?;
                continue;
            }
            other => panic!("{other:?}"),
        };
        let content = Content::Grant(convert::grant_message(&grant));
        let nonce = convert::nonce(&nonce).unwrap();
        let signed = talk.seal(nonce, Some(grant.session.0[0]), content);
        record.lock().unwrap().push(signed.clone());
        let answer = proto::Answer { receipt: String::new(), request_id, signed: Some(signed) };
        talk.say(proto::server_message::Kind::Answer(answer)).await?;
    }
}

/// Serves `grant` to everybody; the port, and what is signed.
async fn serve(server: &Server, grant: Grant) -> (u16, Record) {
    let record = Record::default();
    let recorded = Arc::clone(&record);
    let port =
        server.serve(move |talk| grants_all(talk, grant.clone(), Arc::clone(&recorded))).await;
    (port, record)
}

fn last(record: &Record) -> Signed {
    record.lock().unwrap().last().expect("something was signed").clone()
}

/// The files in a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The files of grants in a folder: those that are whole.
fn whole_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = files(folder);
    files.retain(|file| !file.file_name().unwrap().to_str().unwrap().starts_with('.'));
    files
}

/// Runs a program until its grant is in the folder, and ends it.
async fn run_once(program: &mut Program, record: &Record) {
    program.until_started().await;
    let folder = program.grants();
    let kept = witness::encode(&last(record));
    let is_there =
        || whole_files(&folder).iter().any(|file| fs::read(file).is_ok_and(|bytes| bytes == kept));
    program.lives_until(is_there).await;
    program.report(Report::GuestEnded);
    program.until(|instruction| matches!(instruction, Instruction::Exit(_))).await;
}

#[tokio::test]
async fn the_next_start_shows_the_last_grant_and_the_file_is_its_owner_s_alone() {
    let server = Server::new();
    let (port, record) = serve(&server, grant(1)).await;
    let mut first = Program::start(&server, &[port]);
    run_once(&mut first, &record).await;
    let kept = last(&record);
    let file = whole_files(&first.grants()).pop().expect("a file");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&first.grants())), (0o600, 0o700));
    let name = format!("{}-{}-ss5", server.key.public(), grant(1).license_id);
    assert_eq!(file.file_name().unwrap().to_str(), Some(name.as_str()));

    let mut second = Program::start_again(first, &server, &[port]);
    second.until_started().await;
    assert_eq!(shown(&server), [vec![], vec![kept]]);
}

#[tokio::test]
async fn another_server_is_shown_its_own_only() {
    let server = Server::new();
    let (port, record) = serve(&server, grant(1)).await;
    let other = server.sibling();
    let (other_port, _) = serve(&other, grant(2)).await;
    let mut first = Program::start(&server, &[port]);
    run_once(&mut first, &record).await;
    let mut second = Program::start_again(first, &server, &[other_port]);
    second.until_started().await;
    assert_eq!(shown(&other), [vec![]]);
}

#[tokio::test]
async fn who_comes_back_shows_the_latest_grant_of_the_session_without_any_folder() {
    let server = Server::new();
    let record = Record::default();
    let recorded = Arc::clone(&record);
    let port = server
        .serve(move |mut talk: Talk| {
            let record = Arc::clone(&recorded);
            async move {
                if talk.number > 1 {
                    return grants_all(talk, grant(1), record).await;
                }
                talk.greet().await?;
                talk.grant(&Grant { check_interval_ms: 100, ..grant(1) }).await?;
                let Some(Asked::Check(check)) = talk.hear().await else { panic!("no check") };
                let nonce = convert::nonce(&check.nonce).unwrap();
                let content = Content::Grant(convert::grant_message(&grant(1)));
                let signed = talk.seal(nonce, Some(1), content);
                record.lock().unwrap().push(signed.clone());
                let answer = proto::Answer {
                    receipt: String::new(),
                    request_id: check.request_id,
                    signed: Some(signed),
                };
                talk.say(proto::server_message::Kind::Answer(answer)).await?;
                // It has heard the answer before it hears the end.
                talk.say(crate::server::goodbye(&crate::server::refusal())).await?;
                None
            }
        })
        .await;
    let (config, folder) = config(&server, &[port]);
    let config = ve_client::config::Config { grants: None, ..config };
    let mut program = Program::of(config, folder);
    program.until_started().await;
    program.lives_until(|| server.logins().len() == 2).await;
    let checked = record.lock().unwrap()[0].clone();
    assert_eq!(shown(&server), [vec![], vec![checked]]);
    assert!(files(&program.grants()).is_empty(), "no folder, no files");
}

#[tokio::test]
async fn two_emulators_of_one_license_each_prove_their_own_session() {
    let server = Server::new();
    let record = Record::default();
    let recorded = Arc::clone(&record);
    // Each connection is granted another session of the same license.
    let port = server
        .serve(move |talk: Talk| {
            let number = u8::try_from(talk.number).expect("a small number");
            grants_all(talk, grant(number), Arc::clone(&recorded))
        })
        .await;
    let mut program = Program::start(&server, &[port]);
    run_once(&mut program, &record).await;
    for name in ["other-1", "ss5"] {
        let (mut config, folder) = program.again(&server, &[port]);
        config.program.emulator = name.parse().expect("a name");
        program = Program::of(config, folder);
        run_once(&mut program, &record).await;
    }
    let signed = record.lock().unwrap().clone();
    let [first, other, _] = signed.as_slice() else { panic!("{} grants", signed.len()) };
    // Its own one first, though the other one is newer.
    let expected = [vec![], vec![first.clone()], vec![first.clone(), other.clone()]];
    assert_eq!(shown(&server), expected);
    assert_eq!(whole_files(&program.grants()).len(), 2);
}

#[tokio::test]
async fn a_probe_shows_nothing_and_keeps_nothing() {
    let server = Server::new();
    let (port, record) = serve(&server, grant(1)).await;
    let mut program = Program::start(&server, &[port]);
    run_once(&mut program, &record).await;
    let before = fs::read(whole_files(&program.grants()).pop().expect("a file")).unwrap();
    let (config, folder) = program.again(&server, &[port]);
    probe(&config, &config.servers[0]).await.expect("a grant");
    assert_eq!(shown(&server).last(), Some(&vec![]));
    let after = fs::read(files(&folder.path().join("grants")).pop().expect("a file")).unwrap();
    assert_eq!(before, after);
}

#[tokio::test]
async fn what_is_no_grant_is_passed_over_and_the_login_goes_on() {
    let server = Server::new();
    let (port, record) = serve(&server, grant(1)).await;
    let mut first = Program::start(&server, &[port]);
    run_once(&mut first, &record).await;
    let grants = first.grants();
    let kept = last(&record);
    let name = |number: u32| {
        grants.join(format!("{}-01.00000001.002.{number:03}-ss5", server.key.public()))
    };
    let mut forged = kept.clone();
    forged.statement[40] ^= 1;
    fs::write(name(1), witness::encode(&forged)).unwrap();
    fs::write(name(2), b"").unwrap();
    fs::write(name(3), [0xff; 100]).unwrap();
    fs::write(name(4), vec![0; 1_000_000]).unwrap();
    fs::create_dir(name(5)).unwrap();
    symlink("/dev/zero", name(6)).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, name(7), rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .unwrap();
    fs::write(grants.join("something else"), b"x").unwrap();
    // Another server's name on it makes it no other server's.
    let stolen = format!("{}-01.00000001.002.044-ss5", server.sibling().key.public());
    fs::write(grants.join(stolen), witness::encode(&kept)).unwrap();
    let mut second = Program::start_again(first, &server, &[port]);
    second.until_started().await;
    assert_eq!(shown(&server)[1], [kept]);
}

#[tokio::test]
async fn a_folder_that_can_not_be_is_no_reason_not_to_run() {
    let server = Server::new();
    let (port, _) = serve(&server, grant(1)).await;
    let (config, folder) = config(&server, &[port]);
    // Even root can't make a folder in a file.
    fs::write(folder.path().join("grants"), b"a file").unwrap();
    let mut program = Program::of(config, folder);
    program.until_started().await;
}

#[tokio::test]
async fn only_the_newest_are_shown_and_only_so_many_are_kept() {
    let server = Server::new();
    let record = Record::default();
    let recorded = Arc::clone(&record);
    // Each connection is granted another license.
    let port = server
        .serve(move |talk: Talk| {
            let id = format!("01.00000001.002.{:03}", talk.number).parse().unwrap();
            grants_all(talk, Grant { license_id: id, ..grant(1) }, Arc::clone(&recorded))
        })
        .await;
    let mut program = Program::start(&server, &[port]);
    run_once(&mut program, &record).await;
    // Old ones, and what is left of writers that were killed.
    for number in 0..100_u32 {
        let old = program.grants().join(format!(".new-{number:016x}"));
        let file = fs::File::create(old).unwrap();
        let past = SystemTime::now() - Duration::from_hours(1);
        file.set_modified(past).unwrap();
    }
    for _ in 0..5 {
        program = Program::start_again(program, &server, &[port]);
        run_once(&mut program, &record).await;
    }
    // The last ones go after the last grant was written.
    let begin = Instant::now();
    while files(&program.grants()).len() > 64 {
        assert!(begin.elapsed() < Duration::from_mins(1), "too many files stay");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(files(&program.grants()).len(), 64);
    let signed = record.lock().unwrap().clone();
    let newest: Vec<Signed> = signed.iter().rev().skip(1).take(MAX_WITNESSES).cloned().collect();
    assert_eq!(shown(&server).last(), Some(&newest));
}
