//! What all commands have in common.

use ve_testbed::programs;

use crate::office::{Office, Outcome};

const COMMANDS: [&str; 5] = ["licensed", "licensectl", "license_viewer", "c2v", "v2c"];

#[test]
fn every_command_explains_itself() {
    let office = Office::new();
    for command in COMMANDS {
        let run = |arguments: &[&str]| Outcome::of(programs::command(command).args(arguments));
        let help = run(&["--help"]).expect_code(0).stdout;
        assert!(help.contains("--home <DIR>"), "{help}");
        assert!(!help.contains("generate") && !help.contains("document"), "{help}");
        let version = run(&["--version"]).expect_code(0).stdout;
        assert_eq!(version, format!("{command} {}\n", env!("CARGO_PKG_VERSION")));
        run(&["--nonsense"]).expect_failure(64, "--nonsense");
        let page = run(&["--generate-man"]).expect_code(0).stdout;
        assert!(page.contains(&format!(".TH {command} 1")), "{page}");
        for shell in ["bash", "zsh", "fish"] {
            let script = run(&["--generate-completion", shell]).expect_code(0).stdout;
            assert!(script.contains(command), "{shell}: {script}");
        }
        run(&["--generate-completion", "nosh"]).expect_failure(64, "bash, zsh or fish");
    }
    assert!(!office.home().identity_key().exists());
}

#[test]
fn the_manual_of_licensectl_has_all_it_does() {
    let man = Outcome::of(programs::command("licensectl").arg("--generate-man"));
    let page = man.expect_code(0).stdout.to_lowercase();
    for part in ["licensectl status", "licensectl logs", "licensectl backup", "licensectl restore"]
    {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(!page.contains("stdout") && !page.contains("stdin"), "{page}");
}

#[test]
fn questions_to_a_server_that_does_not_run_say_how_to_start_it() {
    let office = Office::with_license(|license| license);
    for arguments in [&["status"][..], &["sessions"], &["sessions", "release", "7"], &["denials"]] {
        let part = "start it with `systemctl start licensed`";
        office.run("licensectl", arguments).expect_failure(69, part);
    }
    office.run("licensectl", &["logs"]).expect_failure(69, "has the server run in this home?");
    let licenses = office.run("licensectl", &["licenses"]).expect_code(0).stdout;
    insta::assert_snapshot!(licenses, @r"
    License              Version  Ends (UTC)  Status
    01.00000001.002.044  1        never       valid

    License              Product         In use  Instances  Virtual hardware
    01.00000001.002.044  Charon-SSP/ALL  -       3          Charon-SSP/4M,Charon-SSP/4U
    ");
}
