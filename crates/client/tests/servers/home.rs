//! A host with a receipt begins at the server that it is at home with.

use ve_client::{Instruction, Report, Told};

use crate::{
    hosts::{ONE, OTHER, good, grant_at, serve, start, start_again},
    server::Server,
};

#[tokio::test]
async fn whoever_has_a_receipt_logs_in_at_home_only() {
    let primary = Server::new().that_counts_hosts(ONE);
    let backup = primary.sibling().that_counts_hosts(OTHER);
    let port = serve(&primary, grant_at(&primary, 1), good).await;
    let backup_port = serve(&backup, grant_at(&backup, 2), good).await;
    let mut program = start(&backup, &[backup_port]);
    program.until_started().await;
    let file = program.receipts().join(format!("{OTHER}.jwt"));
    program.lives_until(|| file.exists()).await;
    program.report(Report::GuestEnded);
    program.until(|instruction| matches!(instruction, Instruction::Exit(_))).await;

    let mut program = start_again(program, &primary, &[port, backup_port]);
    // A machine on which the home does not answer within a quarter of a second asks the other one, too,
    // and leaves it again.
    let at_home =
        |instruction: &Instruction| matches!(instruction, Instruction::Tell(Told::Licensed(1, _)));
    program.until(at_home).await;
    assert_eq!(backup.logins().len(), 2);
}
