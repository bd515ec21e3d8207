//! The tables: the same on both engines, as `src/db/schema.rs` describes them, and gone when every migration is undone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_migrations::{FileBasedMigrations, MigrationHarness};
use stape_api::db::Conn;

use crate::support::{Database, Engine};

/// A column's type and whether it may be null, by table and column.
type Columns = BTreeMap<(String, String), (String, bool)>;

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    #[diesel(column_name = table_name)]
    table: String,
    #[diesel(sql_type = Text)]
    #[diesel(column_name = column_name)]
    name: String,
    #[diesel(sql_type = Text)]
    data_type: String,
    #[diesel(sql_type = Bool)]
    nullable: bool,
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

const SQLITE_COLUMNS: &str = "SELECT m.name AS table_name, c.name AS column_name, c.type AS data_type, \
    c.\"notnull\" = 0 AS nullable FROM sqlite_master m, pragma_table_info(m.name) c \
    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE '__diesel%'";

const POSTGRES_COLUMNS: &str = "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'YES' AS nullable \
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_\\_diesel%'";

fn columns(engine: Engine) -> Option<Columns> {
    let database = Database::create(engine)?;
    let query = if engine == Engine::Sqlite { SQLITE_COLUMNS } else { POSTGRES_COLUMNS };
    let load = |conn: &mut Conn| Ok(diesel::sql_query(query).load::<Column>(conn)?);
    let rows: Vec<Column> = database.connect().read_blocking(load).expect("the catalogue can be read");
    let named = |row: Column| ((row.table, row.name), (diesel_type(&row.data_type), row.nullable));
    Some(rows.into_iter().map(named).collect())
}

/// The name that diesel has for a database's type.
fn diesel_type(database_type: &str) -> String {
    match database_type.to_lowercase().as_str() {
        "text" => "Text",
        "bigint" => "BigInt",
        "integer" => "Integer",
        "boolean" => "Bool",
        "timestamp" | "timestamp without time zone" => "Timestamp",
        "blob" | "bytea" => "Binary",
        other => panic!("{other} has no counterpart on the other engine"),
    }
    .to_owned()
}

/// The columns that the code believes in.
fn described() -> Columns {
    let text = std::fs::read_to_string(root().join("src/db/schema.rs")).expect("the schema can be read");
    let mut columns = Columns::new();
    let mut table = String::new();
    for line in text.lines().map(str::trim) {
        if let Some((name, _)) = line.split_once(" (").filter(|_| line.ends_with('{')) {
            name.clone_into(&mut table);
        } else if let Some((column, kind)) = line.trim_end_matches(',').split_once(" -> ") {
            let inner = kind.strip_prefix("Nullable<").and_then(|kind| kind.strip_suffix('>'));
            let known = (inner.unwrap_or(kind).to_owned(), inner.is_some());
            columns.insert((table.clone(), column.trim_matches('"').to_owned()), known);
        }
    }
    columns
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn folders(engine: &str) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(root().join("migrations").join(engine)).expect("the migrations are there");
    entries.flatten().map(|entry| entry.file_name().into()).collect()
}

#[test]
fn both_engines_have_the_same_migrations() {
    let names = folders("sqlite");
    assert!(!names.is_empty());
    assert_eq!(names, folders("postgres"));
}

#[test]
fn the_tables_are_as_the_code_describes_them_on_sqlite() {
    assert_eq!(columns(Engine::Sqlite).expect("SQLite is always there"), described());
}

#[test]
fn the_tables_are_as_the_code_describes_them_on_postgres() {
    let Some(columns) = columns(Engine::Postgres) else { return };
    assert_eq!(columns, described());
}

#[test]
fn undoing_every_migration_leaves_nothing() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let Some(database) = Database::create(engine) else { return };
        let folder = root().join("migrations").join(if engine == Engine::Sqlite { "sqlite" } else { "postgres" });
        let migrations = FileBasedMigrations::from_path(folder).expect("the migrations can be read");
        let revert = move |conn: &mut Conn| {
            let undone = match conn {
                Conn::Postgres(conn) => conn.revert_all_migrations(migrations.clone()).map(|undone| undone.len()),
                Conn::Sqlite(conn) => conn.revert_all_migrations(migrations.clone()).map(|undone| undone.len()),
            };
            assert!(undone.expect("every migration can be undone") > 0);
            let tables = match conn {
                Conn::Postgres(_) => {
                    "SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = 'public'"
                }
                Conn::Sqlite(_) => "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'",
            };
            Ok(diesel::sql_query(tables).load::<Name>(conn)?)
        };
        let left = database.connect().write_blocking(revert).expect("the tables can be dropped");
        let left: Vec<_> = left.into_iter().map(|row| row.name).filter(|name| !name.starts_with("__diesel")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
