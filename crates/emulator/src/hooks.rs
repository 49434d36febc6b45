//! The operator's commands for the moments of a license's life.

use std::{process::Stdio, time::Duration};

use tokio::{process::Command, sync::mpsc::UnboundedSender, time::timeout};
use ve_client::Hook;

use crate::vm_file::{Hooks, VmFile};

/// How long a hook may run before it is ended.
const PATIENCE: Duration = Duration::from_mins(1);

/// A hook that did not do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HookFailure {
    /// Which.
    pub hook: &'static str,
    /// What happened.
    pub reason: String,
}

/// Facts that a hook gets as `VE_*` variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The server that was involved last.
    pub server: String,
    /// Why the license was lost, in words.
    pub reason: String,
    /// Milliseconds to the end of the grace period.
    pub left_ms: Option<u64>,
}

fn command_of(hooks: &Hooks, hook: Hook) -> Option<&str> {
    match hook {
        Hook::Lost => hooks.lost.as_deref(),
        Hook::Restored => hooks.restored.as_deref(),
        Hook::Expiring => hooks.expiring.as_deref(),
        Hook::Ending => hooks.ending.as_deref(),
    }
}

/// Starts the hook's command, if there is one, and does not wait for it: a slow command must not
/// keep the guest from its shutdown. A failure is reported through `failures`.
pub(crate) fn run(vm: &VmFile, hook: Hook, facts: &Facts, failures: UnboundedSender<HookFailure>) {
    let Some(line) = command_of(&vm.license.hooks, hook) else { return };
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
        .process_group(0)
        .kill_on_drop(true);
    if let Some(left_ms) = facts.left_ms {
        command.env("VE_SECONDS_LEFT", left_ms.div_ceil(1_000).to_string());
    }
    for variable in &vm.secret_variables {
        command.env_remove(variable);
    }
    tokio::spawn(async move {
        let reason = match timeout(PATIENCE, command.status()).await {
            Ok(Ok(status)) if status.success() => return,
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => {
                format!("it was still running after {} seconds and was ended", PATIENCE.as_secs())
            }
        };
        // Nobody is interested any more when the program has ended.
        let _ = failures.send(HookFailure { hook: hook.as_str(), reason });
    });
}
