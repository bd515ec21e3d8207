//! Operations on payout methods.

use actix_web::{HttpResponse, delete, get, put, web};

use super::models::{PayoutMethod, SetPayoutMethod};
use super::service;
use crate::accounts::sessions;
use crate::auth::principal::{Manager, Owner};
use crate::auth::{Credential, passwords};
use crate::error::{Code, Error, Result};
use crate::http::routes::{ServiceConfig, scope};
use crate::http::{Body, Listing, NoFields, Page, list_type};
use crate::money::Currency;
use crate::program;
use crate::state::App;

list_type!(PayoutMethodList, PayoutMethod, "One page of payout methods, newest first.");

/// Registers the operations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(scope("/v3/payout-methods").service(list).service(set).service(remove));
}

/// List payout methods.
///
/// One per currency, masked. The currency that got one last comes first (`createdAt`), whenever it was changed.
#[utoipa::path(tag = "Payouts", operation_id = "listPayoutMethods",
    responses((status = 200, description = "One page of payout methods", body = PayoutMethodList)),
    extensions(("x-accounts" = json!("manager"))),
    security(("session" = ["owner"])))]
#[get("")]
async fn list(who: Manager<Owner>, app: App, page: Page) -> Result<Listing> {
    let (account_id, now) = (who.account_id()?, app.clock.now());
    app.db
        .read(move |conn| {
            page.rows(service::list(conn, account_id, &page)?, |row| row.currency)
                .map(|row| row.resource(now))
                .listing()
        })
        .await
}

/// Set the payout method of a currency.
///
/// Makes it or replaces it; needs the password of the login that is used. All owners of the account are told by mail, and
/// automatic payouts of the currency wait for 72 hours. `ach` pays in USD alone, `sepa` in EUR alone, `paypal` in the
/// currencies that PayPal pays out in, `swift` and `wise` in every currency of the program. A currency that the program does not
/// have is 422 `currencyNotSupported`. A payout that was requested before keeps the method that it was requested with. Limit: 10
/// tries at the password per 5 minutes, here and where the password is changed.
#[utoipa::path(tag = "Payouts", operation_id = "setPayoutMethod", request_body = SetPayoutMethod,
    params(("currency" = Currency, Path, description = "ISO 4217 code of the currency")),
    responses((status = 200, description = "The method, masked", body = PayoutMethod)),
    extensions(("x-body-any-of" = json!([
        {"properties": {"type": {"const": "swift"}, "details": {"$ref": "#/components/schemas/SwiftDetails"}}},
        {"properties": {"type": {"const": "ach"}, "details": {"$ref": "#/components/schemas/AchDetails"}}},
        {"properties": {"type": {"const": "sepa"}, "details": {"$ref": "#/components/schemas/SepaDetails"}}},
        {"properties": {"type": {"const": "paypal"}, "details": {"$ref": "#/components/schemas/PaypalDetails"}}},
        {"properties": {"type": {"const": "wise"}, "details": {"$ref": "#/components/schemas/WiseDetails"}}}
    ])), ("x-accounts" = json!("manager")), ("x-refusals" = json!(["currencyNotSupported"]))),
    security(("session" = ["owner"])))]
#[put("/{currency}")]
async fn set(
    who: Manager<Owner>,
    app: App,
    currency: web::Path<Currency>,
    body: Body<SetPayoutMethod>,
) -> Result<web::Json<PayoutMethod>> {
    let Credential::Login { user_id, .. } = who.principal().credential else {
        return Err(Error::refused(Code::OwnerRequired, "this operation needs a login"));
    };
    let (account_id, currency, vault, now) = (who.account_id()?, *currency, app.vault.clone(), app.clock.now());
    let present = move |conn: &mut _| {
        let terms = program::currencies::terms_for(conn, account_id, currency)?;
        Ok((terms, sessions::candidate_by_id(conn, user_id)?))
    };
    let (terms, candidate) = app.db.read(present).await?;
    if terms.is_none() {
        let detail = format!("the program does not pay in {currency}");
        return Err(Error::refused(Code::CurrencyNotSupported, detail));
    }
    let details = service::checked(currency, &body.input)?;
    // Who stole a session must not try passwords faster than at the sign-in.
    app.limits.present_password.check(user_id.to_string())?;
    if !passwords::verify(body.input.password.clone(), candidate.password_hash.clone()).await? {
        return Err(sessions::wrong_current_password("/password"));
    }
    let effect =
        move |conn: &mut _, context: &_, _: &_| service::set(conn, context, &vault, &candidate, (currency, &details));
    let row = app.write(who.principal(), body, effect).await?;
    Ok(web::Json(row.resource(now)))
}

/// Remove the payout method of a currency.
///
/// All owners of the account are told by mail. Payouts that were requested before keep the method.
#[utoipa::path(tag = "Payouts", operation_id = "deletePayoutMethod",
    params(("currency" = Currency, Path, description = "ISO 4217 code of the currency")),
    responses((status = 204, description = "There is no method for the currency any more")),
    extensions(("x-accounts" = json!("manager"))),
    security(("session" = ["owner"])))]
#[delete("/{currency}")]
async fn remove(
    who: Manager<Owner>,
    app: App,
    currency: web::Path<Currency>,
    body: Body<NoFields>,
) -> Result<HttpResponse> {
    let account_id = who.account_id()?;
    let effect = move |conn: &mut _, context: &_, _: &_| service::remove(conn, context, account_id, *currency);
    app.write(who.principal(), body, effect).await?;
    Ok(HttpResponse::NoContent().finish())
}
