//! Which type of method carries which currency. Pure.

use super::MethodType;
use crate::money::Currency;

/// What PayPal pays out in, but for those that only accounts of one country can hold (BRL, CNY, MYR), and those that it pays
/// without the cents that they have (HUF, TWD): a payout is exact.
const PAYPAL_CURRENCIES: [&str; 19] = [
    "AUD", "CAD", "CHF", "CZK", "DKK", "EUR", "GBP", "HKD", "ILS", "JPY", "MXN", "NOK", "NZD", "PHP", "PLN", "SEK",
    "SGD", "THB", "USD",
];

impl MethodType {
    /// Whether a method of this type can be paid in `currency`.
    #[must_use]
    pub fn carries(self, currency: Currency) -> bool {
        match self {
            Self::Ach => currency == Currency::USD,
            Self::Sepa => currency.as_str() == "EUR",
            Self::Paypal => PAYPAL_CURRENCIES.contains(&currency.as_str()),
            Self::Swift | Self::Wise => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use MethodType::{Ach, Paypal, Sepa, Swift, Wise};

    use super::*;

    #[test]
    fn some_types_carry_some_currencies_alone() {
        let carrying = |code: &str| -> Vec<MethodType> {
            let currency = code.parse().unwrap();
            MethodType::ALL.iter().copied().filter(|method_type| method_type.carries(currency)).collect()
        };
        assert_eq!(carrying("USD"), [Swift, Ach, Paypal, Wise]);
        assert_eq!(carrying("EUR"), [Swift, Sepa, Paypal, Wise]);
        for code in ["KWD", "HUF"] {
            assert_eq!(carrying(code), [Swift, Wise], "{code}");
        }
    }
}
