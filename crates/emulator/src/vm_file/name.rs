//! The emulator's name, which is a file's name as well.

use std::{fmt, str::FromStr};

use thiserror::Error;
use ve_core::text::{Name, NameError};

/// A [`Name`] that is safe as a part of a file's name: no `/`, no dot in front, no blanks around.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VmName(Name);

/// Why a text can't name an emulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VmNameError {
    /// No [`Name`] at all.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It would lead to another folder.
    #[error("must not contain '/', for logs are named after it")]
    Slash,
    /// It would be hidden, or mean a folder.
    #[error("must not begin with a dot, for logs are named after it")]
    LeadingDot,
    /// It could not be told from another name by eye.
    #[error("must not begin or end with a blank")]
    Blank,
}

impl VmName {
    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The name as the license server takes it.
    pub const fn as_name(&self) -> &Name {
        &self.0
    }
}

impl FromStr for VmName {
    type Err = VmNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name: Name = text.parse()?;
        if text.contains('/') {
            Err(VmNameError::Slash)
        } else if text.starts_with('.') {
            Err(VmNameError::LeadingDot)
        } else if text.trim() != text {
            Err(VmNameError::Blank)
        } else {
            Ok(Self(name))
        }
    }
}

impl fmt::Display for VmName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_not_lead_out_of_its_folder() {
        for (text, error) in [
            ("../ss5", VmNameError::Slash),
            ("a/b", VmNameError::Slash),
            ("..", VmNameError::LeadingDot),
            (".ss5", VmNameError::LeadingDot),
            (" ss5", VmNameError::Blank),
            ("ss5 ", VmNameError::Blank),
            ("", VmNameError::Name(NameError::Empty)),
            ("a\nb", VmNameError::Name(NameError::ControlCharacter)),
        ] {
            assert_eq!(text.parse::<VmName>(), Err(error), "{text:?}");
        }
        assert_eq!(
            "ss5.b-1 é".parse::<VmName>().map(|name| name.to_string()),
            Ok("ss5.b-1 é".into())
        );
    }
}
