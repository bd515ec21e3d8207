//! How the crate's own types are stored: words and ids as TEXT, moments as TIMESTAMP, on both engines and through the
//! connection that is either.

/// Stores a type as TEXT: by `as_str` and `FromStr`, or by the two named functions.
macro_rules! text_column {
    ($name:ident) => {
        $crate::db::text_column!(@impl $name, |value| value.as_str().to_owned(), |text: &str| text.parse::<$name>().ok());
    };
    ($name:ident, $write:ident, $read:ident) => {
        $crate::db::text_column!(@impl $name, |value| value.$write(), $name::$read);
    };
    (@impl $name:ident, |$value:ident| $write:expr, $read:expr) => {
        $crate::db::column!($name, diesel::sql_types::Text);

        impl diesel::serialize::ToSql<diesel::sql_types::Text, diesel::pg::Pg> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::pg::Pg>,
            ) -> diesel::serialize::Result {
                let $value = self;
                std::io::Write::write_all(out, $write.as_bytes())?;
                Ok(diesel::serialize::IsNull::No)
            }
        }

        impl diesel::serialize::ToSql<diesel::sql_types::Text, diesel::sqlite::Sqlite> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, diesel::sqlite::Sqlite>,
            ) -> diesel::serialize::Result {
                let $value = self;
                out.set_value($write);
                Ok(diesel::serialize::IsNull::No)
            }
        }

        $crate::db::text_column!(@read $name, diesel::pg::Pg, $read);
        $crate::db::text_column!(@read $name, diesel::sqlite::Sqlite, $read);
    };
    (@read $name:ident, $backend:ty, $read:expr) => {
        impl diesel::deserialize::FromSql<diesel::sql_types::Text, $backend> for $name {
            fn from_sql(
                bytes: <$backend as diesel::backend::Backend>::RawValue<'_>,
            ) -> diesel::deserialize::Result<Self> {
                let text = <String as diesel::deserialize::FromSql<diesel::sql_types::Text, $backend>>::from_sql(bytes)?;
                $read(text.as_str()).ok_or_else(|| format!("{text:?} is no {}", stringify!($name)).into())
            }
        }
    };
}
pub(crate) use text_column;

/// Stores a type that wraps a `NaiveDateTime` as TIMESTAMP.
macro_rules! timestamp_column {
    ($name:ident) => {
        $crate::db::column!($name, diesel::sql_types::Timestamp);
        $crate::db::timestamp_column!(@backend $name, diesel::pg::Pg);
        $crate::db::timestamp_column!(@backend $name, diesel::sqlite::Sqlite);
    };
    (@backend $name:ident, $backend:ty) => {
        impl diesel::serialize::ToSql<diesel::sql_types::Timestamp, $backend> for $name {
            fn to_sql<'b>(&'b self, out: &mut diesel::serialize::Output<'b, '_, $backend>) -> diesel::serialize::Result {
                diesel::serialize::ToSql::<diesel::sql_types::Timestamp, $backend>::to_sql(&self.0, out)
            }
        }

        impl diesel::deserialize::FromSql<diesel::sql_types::Timestamp, $backend> for $name {
            fn from_sql(
                bytes: <$backend as diesel::backend::Backend>::RawValue<'_>,
            ) -> diesel::deserialize::Result<Self> {
                <chrono::NaiveDateTime as diesel::deserialize::FromSql<diesel::sql_types::Timestamp, $backend>>::from_sql(bytes)
                    .map(Self)
            }
        }
    };
}
pub(crate) use timestamp_column;

/// Lets a type that both engines can store go through the connection that is either.
macro_rules! column {
    ($name:ident, $sql_type:path) => {
        impl diesel::serialize::ToSql<$sql_type, $crate::db::MultiBackend> for $name {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, $crate::db::MultiBackend>,
            ) -> diesel::serialize::Result {
                out.set_value(($sql_type, self));
                Ok(diesel::serialize::IsNull::No)
            }
        }

        impl diesel::deserialize::FromSql<$sql_type, $crate::db::MultiBackend> for $name {
            fn from_sql(
                bytes: <$crate::db::MultiBackend as diesel::backend::Backend>::RawValue<'_>,
            ) -> diesel::deserialize::Result<Self> {
                bytes.from_sql::<Self, $sql_type>()
            }
        }
    };
}
pub(crate) use column;
