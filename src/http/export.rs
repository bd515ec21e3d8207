//! Exports: a list as a file, streamed page by page, so that memory does not grow with the list. Rows come in the list's
//! order; what changes while an export runs may be in it or not. Who may not have the list any more gets no further page.

use std::future::Future;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::Bytes;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::error::{Error, Result};

/// The content type of CSV files.
pub const CSV: &str = "text/csv; charset=utf-8; header=present";

/// Rows of one page.
const PAGE_ROWS: i64 = 500;

/// What spreadsheets take for the start of a formula.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

crate::text_enum! {
    /// The form of an export.
    pub enum ExportFormat {
        /// RFC 4180, with a line of column names.
        Csv = "csv",
        /// One JSON object per line.
        Ndjson = "ndjson",
    }
}

/// The parameter that every export has, beside the filters of its list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// The form of the export; `csv` when left out.
    #[param(inline)]
    pub format: Option<ExportFormat>,
}

/// A value in a CSV file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// What people wrote: it is kept from being read as a formula.
    Text(String),
    /// Numbers, times, ids and words of the API, which stay as they are.
    Plain(String),
}

impl Cell {
    /// Text that may be missing.
    #[must_use]
    pub fn text(text: Option<&str>) -> Self {
        Self::Text(text.unwrap_or_default().to_owned())
    }

    /// A value in its API form.
    #[must_use]
    pub fn plain(value: impl std::fmt::Display) -> Self {
        Self::Plain(value.to_string())
    }

    /// A value in its API form that may be missing.
    #[must_use]
    pub fn maybe(value: Option<impl std::fmt::Display>) -> Self {
        Self::Plain(value.map(|value| value.to_string()).unwrap_or_default())
    }

    fn written(self) -> String {
        match self {
            Self::Text(text) if text.starts_with(FORMULA_STARTS) => format!("'{text}"),
            Self::Text(text) | Self::Plain(text) => text,
        }
    }
}

/// A row of an export. As NDJSON it is the resource that the list shows.
pub trait ExportRow: Serialize {
    /// The names of the CSV columns.
    const COLUMNS: &'static [&'static str];

    /// The values of the CSV columns, as many as there are names.
    fn cells(&self) -> Vec<Cell>;
}

/// Answers an export named `name`. `fetch` gives up to so many rows behind a key, each with its key; `readmit` says before
/// each further page whether the caller may still have it.
///
/// # Errors
/// What the first page fails with; later the connection breaks off, so that nobody takes a part for the whole.
pub async fn export<R, K, F, P, A>(query: &ExportQuery, name: &str, readmit: A, fetch: F) -> Result<HttpResponse>
where
    A: AsyncFn() -> Result<()> + 'static,
    R: ExportRow + 'static,
    K: Clone + 'static,
    F: Fn(Option<K>, i64) -> P + 'static,
    P: Future<Output = Result<Vec<(K, R)>>> + 'static,
{
    let format = query.format.unwrap_or(ExportFormat::Csv);
    let (content_type, extension) = match format {
        ExportFormat::Csv => (CSV, "csv"),
        ExportFormat::Ndjson => ("application/x-ndjson", "ndjson"),
    };
    let first = fetch(None, PAGE_ROWS).await?;
    let state = Some((first, header::<R>(format)?));
    let pages = stream::try_unfold((state, fetch, readmit), move |(state, fetch, readmit)| async move {
        let Some((rows, mut bytes)) = state else { return Ok(None) };
        write(&mut bytes, format, &rows)?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|count| count >= PAGE_ROWS);
        let next = match rows.last().filter(|_| is_full) {
            Some((key, _)) => {
                readmit().await.inspect_err(log_end)?;
                Some((fetch(Some(key.clone()), PAGE_ROWS).await.inspect_err(log_end)?, Vec::new()))
            }
            None => None,
        };
        Ok::<_, Error>(Some((Bytes::from(bytes), (next, fetch, readmit))))
    });
    let disposition = format!("attachment; filename=\"{name}.{extension}\"");
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((CONTENT_DISPOSITION, disposition))
        .streaming(pages))
}

fn log_end(error: &Error) {
    let level = if matches!(error, Error::Problem(_)) { log::Level::Info } else { log::Level::Error };
    log::log!(level, "an export breaks off: {error}");
}

/// A whole table as CSV (RFC 4180), with a line of column names.
///
/// # Errors
/// A row with another number of cells than there are columns.
pub fn csv(columns: &[&str], rows: impl Iterator<Item = Vec<Cell>>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let names = columns.iter().map(|name| (*name).to_owned()).collect();
    let cells = rows.map(|row| row.into_iter().map(Cell::written).collect());
    write_records(&mut bytes, std::iter::once(names).chain(cells))?;
    Ok(bytes)
}

fn header<R: ExportRow>(format: ExportFormat) -> Result<Vec<u8>> {
    match format {
        ExportFormat::Csv => csv(R::COLUMNS, std::iter::empty()),
        ExportFormat::Ndjson => Ok(Vec::new()),
    }
}

/// Writes `rows` behind what is there.
fn write<R: ExportRow, K>(bytes: &mut Vec<u8>, format: ExportFormat, rows: &[(K, R)]) -> Result<()> {
    match format {
        ExportFormat::Csv => {
            write_records(bytes, rows.iter().map(|(_, row)| row.cells().into_iter().map(Cell::written).collect()))
        }
        ExportFormat::Ndjson => rows.iter().try_for_each(|(_, row)| {
            serde_json::to_writer(&mut *bytes, row).map_err(Error::internal)?;
            bytes.push(b'\n');
            Ok(())
        }),
    }
}

fn write_records(bytes: &mut Vec<u8>, records: impl Iterator<Item = Vec<String>>) -> Result<()> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(bytes);
    for record in records {
        writer.write_record(record).map_err(Error::internal)?;
    }
    writer.flush().map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell as Counter;
    use std::future::ready;

    use actix_web::body::to_bytes;

    use super::*;

    #[derive(Serialize)]
    struct Row(&'static str, i64);

    impl ExportRow for Row {
        const COLUMNS: &'static [&'static str] = &["name", "amount"];

        fn cells(&self) -> Vec<Cell> {
            vec![Cell::text(Some(self.0)), Cell::plain(self.1)]
        }
    }

    fn as_csv(rows: &[((), Row)]) -> String {
        let mut bytes = header::<Row>(ExportFormat::Csv).unwrap();
        write(&mut bytes, ExportFormat::Csv, rows).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_text_is_never_a_formula_and_a_number_stays_one() {
        for start in ["=1+1", "+1", "-1", "@SUM", "\tx"] {
            let name: &'static str = Box::leak(start.to_owned().into_boxed_str());
            assert_eq!(as_csv(&[((), Row(name, -7))]), format!("name,amount\r\n'{start},-7\r\n"));
        }
    }

    #[test]
    fn commas_quotes_and_line_ends_are_quoted() {
        assert_eq!(as_csv(&[((), Row("a \"b\", c\nd", 1))]), "name,amount\r\n\"a \"\"b\"\", c\nd\",1\r\n");
        assert_eq!(as_csv(&[((), Row("\rx", 1))]), "name,amount\r\n\"'\rx\",1\r\n");
    }

    #[actix_web::test]
    async fn who_may_not_have_the_list_any_more_gets_no_further_page() {
        let query = ExportQuery { format: Some(ExportFormat::Ndjson) };
        for (pages, is_whole) in [(3, true), (2, false)] {
            let (asked, left) = (Counter::new(0), Counter::new(pages));
            let readmit = async move || {
                left.set(left.get() - 1);
                if left.get() > 0 { Ok(()) } else { Err(Error::not_found()) }
            };
            let fetch = move |_, rows: i64| {
                asked.set(asked.get() + 1);
                let count = if asked.get() < 3 { rows } else { 1 };
                ready(Ok((0..count).map(|number| (number, Row("a", number))).collect::<Vec<_>>()))
            };
            let answer = export(&query, "rows", readmit, fetch).await.unwrap();
            assert_eq!(to_bytes(answer.into_body()).await.is_ok(), is_whole, "{pages}");
        }
    }

    #[test]
    fn ndjson_has_one_value_a_line() {
        let mut lines = header::<Row>(ExportFormat::Ndjson).unwrap();
        write(&mut lines, ExportFormat::Ndjson, &[((), Row("a\nb", 1)), ((), Row("c", 2))]).unwrap();
        assert_eq!(String::from_utf8(lines).unwrap(), "[\"a\\nb\",1]\n[\"c\",2]\n");
    }
}
