//! The operator's commands for the moments of a license's life.

use std::{collections::VecDeque, future::pending, io, mem, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};
use ve_client::Hook;
use ve_core::reason::{ReasonCode, Refusal};

use crate::{
    log::ServerRole,
    vm_file::{Hooks as Commands, VmFile},
};

/// How long a hook may run before it is ended.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many hooks may wait for their turn: with more, those before them hang, or the license comes and
/// goes.
const MAX_WAITING: usize = 16;

/// A hook that did not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HookFailure {
    /// Which.
    pub(crate) hook: &'static str,
    /// What happened.
    pub(crate) reason: String,
}

/// Facts that a hook gets as `VE_*` variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The server that licensed last.
    pub(crate) server: String,
    /// Which of the two that is; `None` before the first license.
    pub(crate) role: Option<ServerRole>,
    /// The server that licensed before it, when that was another one.
    pub(crate) previous_server: Option<String>,
    /// Why the license was lost, in words; empty while there is one.
    pub(crate) reason: String,
    /// Why it had been lost before the newest license; `None` when nothing was lost.
    pub(crate) loss: Option<String>,
    /// Milliseconds to the end of the grace period.
    pub(crate) left_ms: Option<u64>,
}

/// The hooks in the order of their moments: one runs, the others wait. So an alarm that `lost` sets
/// and `restored` clears does not stay on. The one that still runs when this is dropped is ended.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    /// At most one.
    running: JoinSet<Result<(), String>>,
    /// Which that is.
    name: &'static str,
    waiting: VecDeque<Waiting>,
}

/// A hook that waits for its turn. What it is told are the facts of its moment.
#[derive(Debug)]
struct Waiting {
    hook: &'static str,
    command: Command,
}

impl Facts {
    /// A server has granted a license.
    pub(crate) fn licensed_by(&mut self, server: String, role: ServerRole) {
        if !self.server.is_empty() && self.role != Some(role) {
            self.previous_server = Some(mem::replace(&mut self.server, server));
        } else {
            self.server = server;
        }
        self.role = Some(role);
    }

    /// The license is safe, after a loss or without one.
    pub(crate) fn restored(&mut self) {
        let reason = mem::take(&mut self.reason);
        self.loss = self.left_ms.take().map(|_| reason);
    }

    /// What a hook gets as `VE_REASON`: with `failover`, why the other server was left.
    fn reason_for(&self, hook: Hook) -> String {
        match (hook, &self.loss) {
            (Hook::Failover, Some(why)) => why.clone(),
            // A server is left without a loss for one reason only.
            (Hook::Failover, None) => {
                Refusal::new(ReasonCode::ServerDraining, "the server is about to stop.").to_string()
            }
            _ => self.reason.clone(),
        }
    }
}

impl Hooks {
    /// Runs the command for `hook`, if `vm` has one, after those that were wanted before, and does not
    /// wait for it: a slow command must not keep the guest from its shutdown. How it ended is told by
    /// [`Self::next_end`]. Must be called inside a tokio runtime.
    pub(crate) fn run(
        &mut self,
        vm: &VmFile,
        hook: Hook,
        facts: &Facts,
    ) -> Result<(), HookFailure> {
        let Some(line) = command_of(&vm.license.hooks, hook) else { return Ok(()) };
        let name = hook.as_str();
        if self.waiting.len() >= MAX_WAITING {
            let reason = format!("it was not run, for {MAX_WAITING} others wait for their turn");
            return Err(HookFailure { hook: name, reason });
        }
        self.waiting.push_back(Waiting { hook: name, command: command(vm, line, hook, facts) });
        self.start_next();
        Ok(())
    }

    /// Starts the hook whose turn it is, unless the one before it still runs.
    fn start_next(&mut self) {
        if self.running.is_empty()
            && let Some(next) = self.waiting.pop_front()
        {
            self.name = next.hook;
            self.running.spawn(run_to_end(next.command));
        }
    }

    /// Whether there are any that have not ended, or whose end was not taken up.
    pub(crate) fn any_runs(&self) -> bool {
        !self.running.is_empty()
    }

    /// Waits for the next hook's end; for ever while none runs. Cancel safe.
    pub(crate) async fn next_end(&mut self) -> Result<(), HookFailure> {
        let outcome = match self.running.join_next().await {
            Some(Ok(outcome)) => outcome,
            Some(Err(error)) => Err(error.to_string()),
            None => pending().await,
        };
        let hook = self.name;
        self.start_next();
        outcome.map_err(|reason| HookFailure { hook, reason })
    }

    /// Ends the one that still runs, and says which it was, and which did not have their turn.
    pub(crate) fn end(&mut self) -> Vec<HookFailure> {
        let failure = |hook, reason: &str| HookFailure { hook, reason: reason.to_owned() };
        let ended =
            self.any_runs().then(|| failure(self.name, "it was ended, for the program ends"));
        self.running.abort_all();
        let waiting = self.waiting.drain(..);
        let not_run =
            waiting.map(|hook| failure(hook.hook, "it was not run, for the program ends"));
        ended.into_iter().chain(not_run).collect()
    }
}

fn command_of(hooks: &Commands, hook: Hook) -> Option<&str> {
    match hook {
        Hook::Lost => hooks.lost.as_deref(),
        Hook::Restored => hooks.restored.as_deref(),
        Hook::Failover => hooks.failover.as_deref(),
        Hook::Failback => hooks.failback.as_deref(),
        Hook::Expiring => hooks.expiring.as_deref(),
        Hook::Ending => hooks.ending.as_deref(),
    }
}

fn command(vm: &VmFile, line: &str, hook: Hook, facts: &Facts) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .current_dir(&vm.folder)
        .env("VE_EVENT", hook.as_str())
        .env("VE_NAME", vm.name.as_str())
        .env("VE_SERVER", &facts.server)
        .env("VE_REASON", facts.reason_for(hook))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    if let Some(left_ms) = facts.left_ms {
        command.env("VE_SECONDS_LEFT", left_ms.div_ceil(1_000).to_string());
    }
    if let Some(role) = facts.role {
        command.env("VE_ROLE", role.as_str());
    }
    if let (Hook::Failover | Hook::Failback, Some(previous)) = (hook, &facts.previous_server) {
        command.env("VE_PREVIOUS_SERVER", previous);
    }
    for variable in &vm.secret_variables {
        command.env_remove(variable);
    }
    command
}

async fn run_to_end(mut command: Command) -> Result<(), String> {
    let said = |error: io::Error| error.to_string();
    let mut process = Group(command.spawn().map_err(said)?);
    match timeout(PATIENCE, process.0.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(status.to_string()),
        Ok(Err(error)) => Err(said(error)),
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            Err(format!("it was still running after {seconds} seconds and was ended"))
        }
    }
}

/// A process that leads a group; as long as it runs, the whole group is ended when this is dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // Without an ID it has ended and was waited for, and the number may be another's by now.
        let leader = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(leader) = leader {
            // Fails only when all of them have ended already.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// A VM in `folder` with this hook for `lost`.
    fn vm(folder: &Path, lost: &str) -> VmFile {
        let text = format!(
            "name = \"guest\"\narchitecture = \"other\"\nvirtual_hardware = \"PDP-11/70\"\n\
             version = \"1.0\"\ncpus = 1\nmemory_mb = 4\n\
             [license]\nprimary_server = \"license.example.org\"\n\
             [license.hooks]\nlost = '{lost}'\n\
             [engine]\nkind = \"command\"\ncommand = [\"true\"]\n"
        );
        VmFile::parse(&text, &folder.join("guest.toml"), &|_| None).expect("a VM's file")
    }

    fn facts(number: usize) -> Facts {
        Facts { server: number.to_string(), ..Facts::default() }
    }

    #[tokio::test]
    async fn all_that_wait_have_their_turn_and_one_too_many_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        // The first one runs until all others wait.
        let vm = vm(folder.path(), "until test -e go; do sleep 0.01; done; echo $VE_SERVER >> ran");
        let mut hooks = Hooks::default();
        for number in 0..=MAX_WAITING {
            assert_eq!(hooks.run(&vm, Hook::Lost, &facts(number)), Ok(()));
        }
        let refused = hooks.run(&vm, Hook::Lost, &facts(99)).expect_err("one too many");
        let reason = "it was not run, for 16 others wait for their turn";
        assert_eq!((refused.hook, refused.reason.as_str()), ("lost", reason));
        fs::write(folder.path().join("go"), "").expect("written");
        while hooks.any_runs() {
            assert_eq!(hooks.next_end().await, Ok(()));
        }
        let expected: Vec<String> = (0..=MAX_WAITING).map(|number| number.to_string()).collect();
        let ran = fs::read_to_string(folder.path().join("ran")).expect("a file");
        assert_eq!(ran.lines().collect::<Vec<_>>(), expected);
        assert_eq!(hooks.end(), []);
    }

    #[tokio::test]
    async fn a_hook_that_fails_does_not_keep_the_next_one_from_its_turn() {
        let folder = tempfile::tempdir().expect("a folder");
        let vm = vm(folder.path(), "exit $VE_SERVER");
        let mut hooks = Hooks::default();
        for number in [3, 0, 4] {
            assert_eq!(hooks.run(&vm, Hook::Lost, &facts(number)), Ok(()));
        }
        let failed =
            |code: u8| Err(HookFailure { hook: "lost", reason: format!("exit status: {code}") });
        for expected in [failed(3), Ok(()), failed(4)] {
            assert_eq!(hooks.next_end().await, expected);
        }
        assert!(!hooks.any_runs());
    }
}
