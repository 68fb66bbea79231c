//! Closed sets of words that appear in documents, in the database and in metrics.

/// Defines an enum of words with one spelling for everything: serde, `as_str`, `Display`, `FromStr` and the schema. The
/// order of the variants is the order of the type.
macro_rules! words {
    (
        $(#[$outer:meta])*
        pub enum $name:ident { $( $(#[$inner:meta])* $variant:ident = $text:literal, )+ }
    ) => {
        $(#[$outer])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            ::serde::Serialize, ::serde::Deserialize, ::schemars::JsonSchema,
        )]
        pub enum $name { $( $(#[$inner])* #[serde(rename = $text)] $variant, )+ }

        impl $name {
            /// Every one, in order.
            pub const ALL: &'static [Self] = &[$( Self::$variant, )+];

            /// The word, as it is written everywhere.
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )+ }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text)
                    .ok_or($crate::words::UnknownWord { set: stringify!($name) })
            }
        }
    };
}

pub(crate) use words;

/// A word that is not in the set: from a newer version, or a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a word of the set {set}")]
pub struct UnknownWord {
    /// The set's name.
    pub(crate) set: &'static str,
}
