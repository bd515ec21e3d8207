//! Tests that the migrations of both engines and `schema.rs` declare the same tables and columns.

use std::collections::BTreeMap;
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::{Conn, new_database};

type Tables = BTreeMap<String, Vec<String>>;

/// Tables with their columns, from `CREATE TABLE` and `ALTER TABLE … ADD COLUMN` in all migrations of a folder.
fn declared(engine: &str) -> Tables {
    let mut tables = Tables::new();
    for folder in folders(engine) {
        let path = Path::new("migrations").join(engine).join(folder).join("up.sql");
        let sql = std::fs::read_to_string(path).unwrap();
        let mut open = None;
        for line in sql.lines().map(str::trim) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match (words.as_slice(), &open) {
                (["CREATE", "TABLE", name, ..], _) => open = Some((*name).to_owned()),
                (["ALTER", "TABLE", name, "ADD", "COLUMN", column, ..], _) => {
                    tables.entry((*name).to_owned()).or_default().push((*column).to_owned());
                }
                ([first, ..], Some(_)) if first.starts_with(')') => open = None,
                ([column, _, ..], Some(table)) if column.starts_with(|letter: char| letter.is_ascii_lowercase()) => {
                    tables.entry(table.clone()).or_default().push((*column).to_owned());
                }
                _ => {}
            }
        }
    }
    tables
}

fn folders(engine: &str) -> Vec<String> {
    let entries = std::fs::read_dir(Path::new("migrations").join(engine)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Tables with their columns, from the `table!` declarations.
fn in_schema() -> Tables {
    let mut tables = Tables::new();
    let mut open = None;
    for line in include_str!("schema.rs").lines().map(str::trim) {
        if let Some((column, _)) = line.split_once(" -> ") {
            let table: &String = open.as_ref().unwrap();
            tables.entry(table.clone()).or_default().push(column.to_owned());
        } else if let Some((name, _)) = line.split_once(" (").filter(|(_, rest)| rest.ends_with(") {")) {
            open = Some(name.to_owned());
        }
    }
    tables
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    column_name: String,
}

fn in_sqlite() -> Tables {
    let (_directory, db) = new_database();
    let columns: Vec<Column> = db
        .read_blocking(|conn: &mut Conn| {
            let sql = "SELECT t.name AS table_name, c.name AS column_name \
                       FROM sqlite_master t JOIN pragma_table_info(t.name) c \
                       WHERE t.type = 'table' AND t.name NOT LIKE '\\_\\_%' ESCAPE '\\' ORDER BY c.cid";
            Ok(diesel::sql_query(sql).load(conn)?)
        })
        .unwrap();
    columns.into_iter().fold(Tables::new(), |mut tables, column| {
        tables.entry(column.table_name).or_default().push(column.column_name);
        tables
    })
}

#[test]
fn both_engines_have_migrations_of_the_same_names() {
    assert_eq!(folders("sqlite"), folders("postgres"));
}

#[test]
fn both_engines_declare_the_same_tables_and_columns_and_so_does_the_schema() {
    let schema = in_schema();
    assert!(schema.len() > 20, "{schema:?}");
    assert_eq!(declared("sqlite"), schema);
    assert_eq!(declared("postgres"), schema);
    assert_eq!(in_sqlite(), schema);
}
