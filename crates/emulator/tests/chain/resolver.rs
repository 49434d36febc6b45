//! A name server that says nothing: it holds up neither the other license server nor the end.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, UdpSocket},
    path::Path,
    process::{self, Command},
};

use crate::{emulator::Emulator, host::Host, site::Site, vm::Vm};

/// What runs a command with another list of name servers.
const SCRIPT: &str = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";

/// A name server that never answers, on an address of this process; with it the file that names it.
/// One lookup takes longer than any test waits.
fn silent_name_server(file: &Path) -> Result<UdpSocket, String> {
    let [.., high, low] = process::id().to_be_bytes();
    let address = Ipv4Addr::new(127, high, low, 253);
    let socket = UdpSocket::bind((address, 53)).map_err(|error| error.to_string())?;
    let text = format!("nameserver {address}\noptions timeout:30 attempts:5\n");
    fs::write(file, text).map_err(|error| error.to_string())?;
    let trial = with_name_server(file).arg("true").output().map_err(|error| error.to_string())?;
    if trial.status.success() {
        Ok(socket)
    } else {
        Err(String::from_utf8_lossy(&trial.stderr).into_owned())
    }
}

fn with_name_server(file: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", SCRIPT]).arg(file);
    command
}

fn run(host: &Host, name_server: &Path, vm: &Vm) -> Emulator {
    let screen = host.file("screen");
    let output = File::create(&screen).expect("a file for the console");
    let mut command = with_name_server(name_server);
    let emulator = host.ve_emulator();
    command.arg(emulator.get_program()).arg("run").arg(host.write(vm));
    command.env("VE_STATE_DIR", host.file("state"));
    command.stdout(output.try_clone().expect("a second handle")).stderr(output);
    let process = command.spawn().expect("ve-emulator starts");
    Emulator::new(process, host.file(&format!("log/{}.log", vm.name)), screen)
}

#[test]
fn it_holds_up_neither_the_other_server_nor_the_end() {
    let site = Site::new(|license| license);
    let file = site.host.file("resolv.conf");
    let _silent = match silent_name_server(&file) {
        Ok(socket) => socket,
        Err(why) => {
            ve_testbed::skip(format_args!(
                "no name server of its own is to be had here (it takes root): {why}"
            ));
            return;
        }
    };
    let backup = format!("backup_server = \"{}\"", site.server.address());
    let vm = Vm::polite("guest").at("license.example").license(&backup);
    let mut emulator = run(&site.host, &file, &vm);
    emulator.shows("ready");
    assert_eq!(site.seats(), ["guest"]);
    emulator.terminate();
    emulator.ends_with(0);

    let ended = run(&site.host, &file, &Vm::polite("alone").at("license.example")).ends_with(69);
    assert!(ended.screen.contains("no answer within 5 seconds"), "{}", ended.screen);
}
