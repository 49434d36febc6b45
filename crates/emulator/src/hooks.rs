//! The operator's commands for the moments of a license's life.

use std::{collections::HashMap, future::pending, io, mem, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    process::{Child, Command},
    task::{self, JoinSet},
    time::timeout,
};
use ve_client::Hook;

use crate::{
    log::ServerRole,
    vm_file::{Hooks as Commands, VmFile},
};

/// How long a hook may run before it is ended.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many hooks may run at the same time: more than that hang, or the license comes and goes.
const MAX_RUNNING: usize = 16;

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
    /// Why the license was lost, in words.
    pub(crate) reason: String,
    /// Milliseconds to the end of the grace period.
    pub(crate) left_ms: Option<u64>,
}

/// The hooks that run. Those that still do when this is dropped are ended.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    running: JoinSet<Result<(), String>>,
    names: HashMap<task::Id, &'static str>,
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
}

impl Hooks {
    /// Starts the command for `hook`, if `vm` has one, and does not wait for it: a slow command must
    /// not keep the guest from its shutdown. How it ended is told by [`Self::next_end`].
    pub(crate) fn run(
        &mut self,
        vm: &VmFile,
        hook: Hook,
        facts: &Facts,
    ) -> Result<(), HookFailure> {
        let Some(line) = command_of(&vm.license.hooks, hook) else { return Ok(()) };
        let name = hook.as_str();
        if self.running.len() >= MAX_RUNNING {
            let reason = format!("it was not run, for {MAX_RUNNING} others have not ended yet");
            return Err(HookFailure { hook: name, reason });
        }
        let task = self.running.spawn(run_to_end(command(vm, line, hook, facts)));
        self.names.insert(task.id(), name);
        Ok(())
    }

    /// Whether there are any that have not ended, or whose end was not taken up.
    pub(crate) fn any_runs(&self) -> bool {
        !self.running.is_empty()
    }

    /// Waits for the next hook's end; for ever while none runs. Cancel safe.
    pub(crate) async fn next_end(&mut self) -> Result<(), HookFailure> {
        let (id, outcome) = match self.running.join_next_with_id().await {
            Some(Ok(ended)) => ended,
            Some(Err(error)) => (error.id(), Err(error.to_string())),
            None => pending().await,
        };
        let hook = self.names.remove(&id).unwrap_or_default();
        outcome.map_err(|reason| HookFailure { hook, reason })
    }

    /// Ends all that still run, and says which those were.
    pub(crate) fn end(&mut self) -> Vec<HookFailure> {
        self.running.abort_all();
        let reason = "it was ended, for the program ends";
        let ended = self.names.drain();
        ended.map(|(_, hook)| HookFailure { hook, reason: reason.to_owned() }).collect()
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
        .env("VE_REASON", &facts.reason)
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
