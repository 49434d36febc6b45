//! A computer that runs emulators: VM files, the vendor's public key, and the state folder.

use std::{
    env, fs,
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::{
    emulator::{Emulator, Ended},
    vm::Vm,
};

/// A computer that runs emulators.
#[derive(Debug)]
pub(crate) struct Host {
    folder: PathBuf,
    /// Where emulators look for their license.
    server: String,
}

impl Host {
    /// A host in `folder` that trusts the keys in `vendor_key` and asks `server`.
    pub(crate) fn new(folder: &Path, vendor_key: &Path, server: &str) -> Self {
        fs::create_dir_all(folder).expect("a folder");
        fs::copy(vendor_key, folder.join("vendor.pub")).expect("the vendor's key");
        Self { folder: folder.canonicalize().expect("a folder"), server: server.to_owned() }
    }

    /// The folder with the VM files: guests and hooks run here.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file in that folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a VM's file.
    pub(crate) fn write(&self, vm: &Vm) -> PathBuf {
        let file = self.file(&format!("{}.toml", vm.name));
        fs::write(&file, vm.text(&self.server)).expect("a VM's file");
        file
    }

    /// `ve-emulator`, which knows nothing of the tester's own folders.
    pub(crate) fn ve_emulator(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ve-emulator"));
        // Not the VM files' folder: only guests and hooks are there.
        command.current_dir(env::temp_dir()).stdin(Stdio::null());
        command.env("VE_STATE_DIR", self.file("state"));
        command
    }

    /// Starts an emulator.
    pub(crate) fn run(&self, vm: &Vm) -> Emulator {
        self.run_with(vm, |command| command)
    }

    /// Starts an emulator by a command that `edit` has changed.
    pub(crate) fn run_with(
        &self,
        vm: &Vm,
        edit: impl FnOnce(&mut Command) -> &mut Command,
    ) -> Emulator {
        let mut command = self.ve_emulator();
        command.arg("run").arg(self.write(vm));
        edit(&mut command);
        self.start(vm, &mut command)
    }

    /// Starts an emulator by way of another command, which gets ours as its last arguments.
    pub(crate) fn run_after(&self, prefix: &[String], vm: &Vm) -> Emulator {
        let own = self.ve_emulator();
        let mut command = Command::new(&prefix[0]);
        command.args(&prefix[1..]).arg(own.get_program()).arg("run").arg(self.write(vm));
        command.current_dir(env::temp_dir()).stdin(Stdio::null());
        command.env("VE_STATE_DIR", self.file("state"));
        self.start(vm, &mut command)
    }

    fn start(&self, vm: &Vm, command: &mut Command) -> Emulator {
        let screen = self.new_file(&vm.name);
        let output = File::create(&screen).expect("a file for the console");
        command.stdout(output.try_clone().expect("a second handle")).stderr(output);
        let process = command.spawn().expect("ve-emulator starts");
        Emulator::new(process, self.file(&format!("log/{}.log", vm.name)), screen)
    }

    /// Runs an emulator that ends by itself, with this exit code.
    #[track_caller]
    pub(crate) fn ends_with(&self, vm: &Vm, code: i32) -> Ended {
        self.run(vm).ends_with(code)
    }

    /// Asks whether an emulator would run.
    pub(crate) fn check(&self, vm: &Vm) -> Output {
        let mut command = self.ve_emulator();
        command.arg("check").arg(self.write(vm)).output().expect("ve-emulator runs")
    }

    /// A name for the console of the next start of `name`.
    fn new_file(&self, name: &str) -> PathBuf {
        let numbered = (1..).map(|number| self.file(&format!("{name}-{number}.out")));
        numbered.into_iter().find(|file| !file.exists()).expect("numbers don't end")
    }
}
