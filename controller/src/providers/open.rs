//! Vendors' enumerations stay open: a word that is new to us is kept, not refused. Pure.

/// Declares an enum of known words with `Other(String)` for every word that is new.
macro_rules! open_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vmeta])* $variant,)+
            /// A word that this version does not know.
            Other(String),
        }

        impl $name {
            /// The vendor's word.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Other(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Other($crate::providers::http::message::line(&word)),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                // `null` and absence of a word are words too: the empty one.
                Option::<String>::deserialize(from).map(|word| Self::from(word.unwrap_or_default()))
            }
        }
    };
}
pub(crate) use open_enum;

#[cfg(test)]
mod tests {
    #![expect(unreachable_pub, reason = "the macro declares public types")]

    open_enum! {
        /// For the test.
        Status {
            /// Known.
            Running = "running",
        }
    }

    #[test]
    fn a_new_word_is_kept() {
        let read = |json: &str| serde_json::from_str::<Status>(json).unwrap();
        assert_eq!(read(r#""running""#), Status::Running);
        assert_eq!(read(r#""hibernating""#), Status::Other("hibernating".to_owned()));
        assert_eq!(read("null").as_str(), "");
    }
}
