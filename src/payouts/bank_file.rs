//! The files of payout batches, in the forms that the banks document. Pure: the same payouts give the same bytes.
//!
//! Every payout's id stands in its line as the reference. Amounts are decimal with a point and exactly the currency's digits.

use super::batches::BatchFormat;
use super::models::PayoutRow;
use crate::error::{Error, Result};
use crate::payout_methods::{
    self, AccountType, AchDetails, MethodDetails, PaypalDetails, SepaDetails, SwiftDetails, WiseDetails,
};
use crate::vault::Vault;

/// Wise's columns; which of the last ones a line has depends on the method.
const WISE_COLUMNS: [&str; 15] = [
    "name",
    "recipientEmail",
    "paymentReference",
    "receiverType",
    "amountCurrency",
    "amount",
    "sourceCurrency",
    "targetCurrency",
    "IBAN",
    "BIC",
    "abartn",
    "accountNumber",
    "accountType",
    "bankName",
    "country",
];

/// The recipient's amount is exact; the sender bears the fees.
const FIXED_TARGET: &str = "target";

/// The file of `payouts`, one line each, in their order.
///
/// # Errors
/// A method that cannot be decrypted, or that the format does not carry.
pub fn write(vault: &Vault, format: BatchFormat, payouts: &[PayoutRow]) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    if format == BatchFormat::WiseCsv {
        writer.write_record(WISE_COLUMNS).map_err(Error::internal)?;
    }
    for payout in payouts {
        let details = payout_methods::reveal(vault, payout.account_id, payout.currency, &payout.method_details)?;
        let record = match format {
            BatchFormat::WiseCsv => wise_record(payout, &details)?,
            BatchFormat::PaypalCsv => paypal_record(payout, &details)?,
        };
        writer.write_record(record).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(Error::internal)
}

/// What the method says, in the order of [`WISE_COLUMNS`].
#[derive(Default)]
struct Recipient<'a> {
    name: &'a str,
    email: &'a str,
    iban: &'a str,
    bic: &'a str,
    routing_number: &'a str,
    account_number: &'a str,
    account_type: &'a str,
    bank_name: &'a str,
    country: &'a str,
}

fn wise_record(payout: &PayoutRow, details: &MethodDetails) -> Result<Vec<String>> {
    let recipient = match details {
        MethodDetails::Swift(SwiftDetails { holder, bic, account_number, bank_name, country }) => {
            Recipient { name: &holder.0, bic, account_number, bank_name: &bank_name.0, country, ..Recipient::default() }
        }
        MethodDetails::Ach(AchDetails { holder, routing_number, account_number, account_type }) => Recipient {
            name: &holder.0,
            routing_number,
            account_number,
            account_type: match account_type {
                AccountType::Checking => "CHECKING",
                AccountType::Savings => "SAVINGS",
            },
            ..Recipient::default()
        },
        MethodDetails::Sepa(SepaDetails { holder, iban }) => {
            Recipient { name: &holder.0, iban, ..Recipient::default() }
        }
        MethodDetails::Wise(WiseDetails { email, holder }) => {
            Recipient { name: &holder.0, email, ..Recipient::default() }
        }
        MethodDetails::Paypal(_) => return Err(not_carried(payout)),
    };
    let (amount, currency) = (payout.money().amount().to_string(), payout.currency.to_string());
    let id = payout.id.to_string();
    let record: [&str; WISE_COLUMNS.len()] = [
        recipient.name,
        recipient.email,
        &id,
        "",
        FIXED_TARGET,
        &amount,
        &currency,
        &currency,
        recipient.iban,
        recipient.bic,
        recipient.routing_number,
        recipient.account_number,
        recipient.account_type,
        recipient.bank_name,
        recipient.country,
    ];
    Ok(record.map(str::to_owned).to_vec())
}

/// Recipient, amount, currency, customer id (at most 30 characters: a payout's id has as many), note, wallet. The file has
/// no line of column names.
fn paypal_record(payout: &PayoutRow, details: &MethodDetails) -> Result<Vec<String>> {
    let MethodDetails::Paypal(PaypalDetails { email }) = details else { return Err(not_carried(payout)) };
    let note = format!("Partner payout {}", payout.number);
    let (amount, currency) = (payout.money().amount().to_string(), payout.currency.to_string());
    Ok(vec![email.clone(), amount, currency, payout.id.to_string(), note, "PayPal".to_owned()])
}

fn not_carried(payout: &PayoutRow) -> Error {
    Error::internal(format!("{}: the file does not carry its method", payout.id))
}
