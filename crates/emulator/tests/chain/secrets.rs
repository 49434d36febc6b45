//! A passphrase is seen by nobody but the server that is trusted.

use std::fs;

use ve_testbed::wait;

use crate::{processes, site::Site, vm::Vm};

const SECRET: &str = "1357-2468-9753-8642";
const VARIABLE: &str = "VE_TEST_PASSPHRASE";

/// A guest that prints its environment, and so do its shutdown command and its hook.
fn talkative() -> Vm {
    Vm::script("guest", "env; trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done")
        .engine("shutdown = [\"sh\", \"-c\", 'env; kill $VE_GUEST_PID']")
}

/// Everything that others can see of a run with this line about the passphrase.
fn seen_of(site: &Site, source: &str, style: &str) -> Vec<String> {
    let (log, hook) = (site.host.file(&format!("{style}.log")), site.host.file("hook"));
    let vm = talkative().license(source).license("[license.hooks]\nlost = \"env > hook\"");
    let mut emulator = site.host.run_with(&vm, |command| {
        if source.contains(VARIABLE) {
            command.env(VARIABLE, SECRET);
        }
        command.args(["--log-style", style, "--log"]).arg(&log)
    });
    emulator.shows("ready");
    let guest = emulator.guest();
    let mut seen = vec![
        processes::command_line(emulator.id()),
        processes::command_line(guest),
        processes::environment(guest),
        site.server.licensectl(&["sessions", "--json"]),
    ];
    let number = site.server.list("sessions")[0]["id"].to_string();
    site.server.licensectl(&["sessions", "release", &number]);
    wait::for_text(&hook, "VE_EVENT=lost");
    emulator.terminate();
    seen.push(emulator.ends_with(0).screen);
    seen.extend([wait::content(&log), wait::content(&hook)]);
    fs::remove_file(hook).expect("removed");
    seen
}

#[test]
fn it_is_in_no_log_no_process_list_and_no_environment_of_others() {
    let site = Site::new(|license| license.passphrase(SECRET));
    fs::write(site.host.file("secret"), SECRET).expect("written");
    for (source, style) in [
        (format!("passphrase = \"{SECRET}\""), "ssp"),
        ("passphrase_file = \"secret\"".to_owned(), "par"),
        (format!("passphrase_env = \"{VARIABLE}\""), "json"),
    ] {
        for seen in seen_of(&site, &source, style) {
            assert!(!seen.is_empty(), "{source}: something was not looked at");
            assert!(!seen.contains(SECRET) && !seen.contains(VARIABLE), "{source}:\n{seen}");
        }
    }
    for text in [site.server.log(), site.server.licensectl(&["denials", "--json"])] {
        assert!(!text.contains(SECRET), "{text}");
    }
}
