//! Closed sets of words, defined once with the text that interfaces use.

/// Defines an enum whose variants each have one text form: `as_str`, `ALL`, `Display`, `FromStr`,
/// serde. An unknown text is an [`UnknownName`].
macro_rules! closed_names {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every member, in the order of its definition.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The member as it is written.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl core::str::FromStr for $name {
            type Err = $crate::names::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|name| name.as_str() == text).ok_or(
                    $crate::names::UnknownName { known: &[$($text,)*] },
                )
            }
        }
    };
}
pub(crate) use closed_names;

/// A text that is none of a closed set's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of {}", known.join(", "))]
pub struct UnknownName {
    /// The words that are known.
    pub known: &'static [&'static str],
}
