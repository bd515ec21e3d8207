//! The operation on statements, and its CSV form.

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpResponse, get, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::models::{Month, Statement};
use super::service;
use crate::auth::principal::{Manager, PayoutsRead};
use crate::containers::Product;
use crate::error::Result;
use crate::http::Query;
use crate::http::export::{CSV, Cell, csv};
use crate::http::routes::{ServiceConfig, scope};
use crate::money::{Currency, Money};
use crate::state::App;

crate::text_enum! {
    /// The form of a statement.
    pub enum StatementFormat {
        /// The resource.
        Json = "json",
        /// A table, for a spreadsheet or a book-keeper.
        Csv = "csv",
    }
}

/// Columns of the table: what a row is, about which client or plan, and the amount.
const COLUMNS: [&str; 9] = ["row", "subAccountId", "email", "name", "product", "plan", "amount", "currency", "month"];

/// The table, shown in the document.
const CSV_EXAMPLE: &str = "row,subAccountId,email,name,product,plan,amount,currency,month\r\n\
    openingBalance,,,,,,120.00,USD,2026-01\r\nearned,,,,,,36.00,USD,2026-01\r\nreversed,,,,,,6.00,USD,2026-01\r\n\
    adjusted,,,,,,0.00,USD,2026-01\r\npaidOut,,,,,,0.00,USD,2026-01\r\nclosingBalance,,,,,,150.00,USD,2026-01\r\n\
    subAccount,acc_01KB0H6Q4N7ZJ8R5T3V9WXY2AC,shop@example.com,Ada Lovelace,,,30.00,USD,2026-01\r\n\
    plan,,,,sgtmContainer,pro,30.00,USD,2026-01\r\n";

/// Registers the operation.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/statements").service(get_statement));
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
struct StatementQuery {
    /// The currency.
    currency: Currency,
    /// The form of the statement; `json` when left out.
    #[param(inline)]
    format: Option<StatementFormat>,
}

/// Statement of a month.
///
/// By the time of posting, in UTC: opening balance + earned − reversed + adjusted − paid out = closing balance, which is the
/// next month's opening balance. The present month is shown as far as it has come. As CSV each figure, client and plan has
/// a row; `row` says which.
#[utoipa::path(
    tag = "Ledger",
    operation_id = "getStatement",
    params(("month" = Month, Path, description = "The UTC month"), StatementQuery),
    responses((status = 200, description = "The statement", content(
        (Statement = "application/json"),
        (String = "text/csv", example = json!(CSV_EXAMPLE)),
    ))),
    extensions(("x-accounts" = json!("manager"))),
    security(("apiKey" = ["payouts:read"]))
)]
#[get("/{month}")]
async fn get_statement(
    who: Manager<PayoutsRead>,
    app: App,
    month: web::Path<Month>,
    query: Query<StatementQuery>,
) -> Result<HttpResponse> {
    let (account_id, now, month) = (who.account_id()?, app.clock.now(), *month);
    let StatementQuery { currency, format } = query.0;
    let statement = app.db.snapshot(move |conn| service::statement(conn, now, account_id, month, currency)).await?;
    Ok(match format.unwrap_or(StatementFormat::Json) {
        StatementFormat::Json => HttpResponse::Ok().json(statement),
        StatementFormat::Csv => HttpResponse::Ok()
            .content_type(CSV)
            .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"statement-{month}-{currency}.csv\"")))
            .body(table(&statement)?),
    })
}

/// The statement as a table.
fn table(statement: &Statement) -> Result<Vec<u8>> {
    let figures = [
        ("openingBalance", statement.opening_balance),
        ("earned", statement.earned),
        ("reversed", statement.reversed),
        ("adjusted", statement.adjusted),
        ("paidOut", statement.paid_out),
        ("closingBalance", statement.closing_balance),
    ];
    let figures = figures.into_iter().map(|(name, amount)| row(statement, name, [None; 5], amount));
    let clients = statement.by_sub_account.iter().map(|total| {
        let client = total.sub_account.as_ref();
        let id = client.map(|client| client.id.to_string());
        let (email, name) = (client.map(|client| client.email.as_str()), client.map(|client| client.name.as_str()));
        row(statement, "subAccount", [id.as_deref(), email, name, None, None], total.total)
    });
    let plans = statement.by_plan.iter().map(|total| {
        let product = total.product.map(Product::as_str);
        row(statement, "plan", [None, None, None, product, total.plan.as_deref()], total.total)
    });
    csv(&COLUMNS, figures.chain(clients).chain(plans))
}

fn row(statement: &Statement, name: &str, about: [Option<&str>; 5], amount: Money) -> Vec<Cell> {
    let about = about.into_iter().map(Cell::text);
    let amounts = [Cell::plain(amount.amount()), Cell::plain(amount.currency), Cell::plain(statement.month)];
    std::iter::once(Cell::plain(name)).chain(about).chain(amounts).collect()
}
