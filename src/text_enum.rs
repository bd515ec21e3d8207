//! One macro for the closed vocabularies of the API (`inReview`, `pastDue`, …): the same words in JSON, in the OpenAPI
//! document, in query strings and in the database's TEXT columns.

/// Declares an enum whose variants are words of the API.
///
/// A word is a token (`tt`): a `literal` arrives wrapped, and utoipa does not see it. What is said of each variant, users of the
/// API read, as the meaning of the word.
/// The enum is `Copy`, serialises as its word, parses with `FromStr`, lists itself in `ALL`, and is stored as TEXT.
#[macro_export]
macro_rules! text_enum {
    ($(#[doc = $about:tt])* $visibility:vis enum $name:ident { $($(#[doc = $meaning:tt])* $variant:ident = $word:tt,)+ }) => {
        $(#[doc = $about])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize, utoipa::ToSchema,
            diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
        )]
        #[diesel(sql_type = diesel::sql_types::Text)]
        #[schema(description = $crate::text_enum::description(&[$($about),*], $name::MEANINGS))]
        $visibility enum $name {
            $($(#[doc = $meaning])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Each word and what it means, for the OpenAPI document.
            pub const MEANINGS: &'static [(&'static str, &'static str)] = &[$(($word, concat!($($meaning),*)),)+];

            /// The word that the API and the database use.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word).ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    format!("must be one of {}", words.join(", "))
                })
            }
        }

        $crate::db::text_column!($name);
    };
}
pub use text_enum;

/// What an enum is about, and what each of its words means.
#[must_use]
pub fn description(about: &[&str], meanings: &[(&str, &str)]) -> String {
    let about: Vec<&str> = about.iter().map(|line| line.trim()).collect();
    format!("{}\n\n{}", about.join("\n"), list(meanings))
}

/// Words with their meanings, a line each.
#[must_use]
pub fn list(meanings: &[(&str, &str)]) -> String {
    let line = |(word, meaning): &(&str, &str)| format!("- `{word}`: {}", meaning.trim());
    meanings.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;

    crate::text_enum! {
        /// Where a lamp stands
        /// in the hall.
        pub enum Lamp {
            /// It shines.
            On = "on",
            /// It does not,
            /// or is broken.
            Off = "off",
        }
    }

    #[test]
    fn a_schema_says_what_each_word_means() {
        let schema = serde_json::to_value(Lamp::schema()).unwrap();
        let expected = "Where a lamp stands\nin the hall.\n\n- `on`: It shines.\n- `off`: It does not, or is broken.";
        assert_eq!(schema["description"], expected);
        assert_eq!(schema["enum"], serde_json::json!(["on", "off"]));
    }
}
