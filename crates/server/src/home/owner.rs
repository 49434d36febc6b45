//! Acting as a home's owner: a tool that root starts leaves nothing of root's behind.

use std::{env, fs, os::unix::fs::MetadataExt, path::Path, process::Command};

use rustix::process::geteuid;
use thiserror::Error;
use ve_core::text::printable;
use ve_documents::files::read_text;

/// Where `setpriv` is (package util-linux, on every Debian and Red Hat). Not looked up in `PATH`.
const SETPRIV: [&str; 2] = ["/usr/bin/setpriv", "/bin/setpriv"];

/// The user and group that own a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user's ID.
    pub user_id: u32,
    /// The group's ID.
    pub group_id: u32,
}

/// Why a tool can't act as its home's owner.
#[derive(Debug, Error)]
#[error(
    "this command can't act as the home's owner, {user}: {why}. Run it as that user instead, \
     for example with: sudo -u {user} …"
)]
pub struct ActAsOwnerError {
    user: String,
    why: String,
}

impl Owner {
    pub(super) fn to_act_as(home: &Path) -> Option<Self> {
        let owner = Self::of(home)?;
        (geteuid().is_root() && owner.user_id != 0).then_some(owner)
    }

    /// Whose a home is. One that a user's link leads to is that user's, should it be root's: a link
    /// must not choose a folder for root to work in.
    fn of(home: &Path) -> Option<Self> {
        let [folder, link] = [fs::metadata(home).ok()?, fs::symlink_metadata(home).ok()?];
        let metadata = if folder.uid() == 0 { link } else { folder };
        Some(Self { user_id: metadata.uid(), group_id: metadata.gid() })
    }

    /// This very program, to be run as the owner; arguments are for the caller to add.
    ///
    /// A process can change its user only with calls that this house forbids as unsafe, and for all
    /// of its threads only with care; so it is a new process, begun by a program made for it.
    pub fn this_program(self) -> Result<Command, ActAsOwnerError> {
        let setpriv = SETPRIV.iter().find(|path| Path::new(path).exists());
        let setpriv =
            setpriv.ok_or_else(|| self.failed("there is no setpriv (util-linux) here"))?;
        let program = env::current_exe().map_err(|error| self.failed(error))?;
        let mut command = Command::new(setpriv);
        command
            .arg(format!("--reuid={}", self.user_id))
            .arg(format!("--regid={}", self.group_id))
            .args(["--clear-groups", "--no-new-privs", "--"])
            .arg(program);
        Ok(command)
    }

    /// The error for a command of [`Self::this_program`] that could not be started.
    #[allow(clippy::needless_pass_by_value, reason = "an error ends here")]
    pub fn failed(self, why: impl ToString) -> ActAsOwnerError {
        ActAsOwnerError { user: user_name(self.user_id), why: why.to_string() }
    }
}

/// The longest list of users that is searched, in bytes.
const MAX_PASSWD_BYTES: usize = 1 << 20;

/// A user's name for a message: from `/etc/passwd`, else the number.
pub fn user_name(user_id: u32) -> String {
    let users = read_text(Path::new("/etc/passwd"), MAX_PASSWD_BYTES).unwrap_or_default();
    let number = user_id.to_string();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| printable(name, 32))
    });
    named.unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, lchown, symlink};

    use super::*;

    #[test]
    fn a_users_link_leads_root_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let [home, link] = ["home", "link"].map(|name| folder.path().join(name));
        fs::create_dir(&home).unwrap();
        symlink(&home, &link).unwrap();
        let user = |path| Owner::of(path).map(|owner| owner.user_id);
        assert_eq!(user(&link), Some(geteuid().as_raw()));
        if lchown(&link, Some(65_534), Some(65_534)).is_err() {
            return ve_testbed::skip(format_args!("only root can give files away"));
        }
        assert_eq!((user(&home), user(&link)), (Some(0), Some(65_534)));
        chown(&home, Some(65_533), None).unwrap();
        assert_eq!(user(&link), Some(65_533));
    }

    #[test]
    fn users_have_names_or_numbers() {
        assert_eq!(user_name(0), "root");
        assert_eq!(user_name(4_000_000_123), "4000000123");
    }
}
