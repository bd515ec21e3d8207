//! Scopes: what a credential may do.

use crate::accounts::AccountKind;

crate::text_enum! {
    /// A permission of a credential.
    pub enum Scope {
        /// Read the account.
        AccountRead = "account:read",
        /// Change the account.
        AccountWrite = "account:write",
        /// Read sub-accounts.
        SubAccountsRead = "subAccounts:read",
        /// Create, attach, change and detach sub-accounts.
        SubAccountsWrite = "subAccounts:write",
        /// Act as a sub-account.
        SubAccountsLogin = "subAccounts:login",
        /// Read containers.
        ContainersRead = "containers:read",
        /// Create and change containers.
        ContainersWrite = "containers:write",
        /// Read commissions and payments.
        CommissionsRead = "commissions:read",
        /// Read payouts, ledger and statements.
        PayoutsRead = "payouts:read",
        /// Request and cancel payouts.
        PayoutsWrite = "payouts:write",
        /// Read referral links.
        ReferralLinksRead = "referralLinks:read",
        /// Make and change referral links.
        ReferralLinksWrite = "referralLinks:write",
        /// Read the feed of events.
        EventsRead = "events:read",
        /// Post billing events, usage and container states; see and decline operator requests.
        OperatorBilling = "operator:billing",
        /// Decide on payouts, make batches and adjustments.
        OperatorPayouts = "operator:payouts",
        /// Change the program configuration.
        OperatorProgram = "operator:program",
        /// Look after accounts, links and applications.
        OperatorAccounts = "operator:accounts",
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u32);

impl Scopes {
    /// The scopes of `list`.
    #[must_use]
    pub fn of(list: &[Scope]) -> Self {
        Self(list.iter().fold(0, |bits, scope| bits | Self::bit(*scope)))
    }

    /// All that an owner's login of such an account has (api: Scopes).
    #[must_use]
    pub fn of_owner(kind: AccountKind) -> Self {
        match kind {
            AccountKind::Standard => Self::of(&[
                Scope::AccountRead,
                Scope::AccountWrite,
                Scope::ContainersRead,
                Scope::ContainersWrite,
                Scope::CommissionsRead,
                Scope::EventsRead,
            ]),
            AccountKind::Agency | AccountKind::Partner => Self::of_accounts(),
        }
    }

    /// All that some account's login or key can have.
    #[must_use]
    pub fn of_accounts() -> Self {
        Self(Self::of(Scope::ALL).0 & !Self::of_operator().0)
    }

    /// All that a member's login of a manager has.
    #[must_use]
    pub fn of_member(kind: AccountKind) -> Self {
        Self(Self::of_owner(kind).0 & !Self::of(&[Scope::PayoutsWrite, Scope::AccountWrite]).0)
    }

    /// All that an operator's key can have.
    #[must_use]
    pub fn of_operator() -> Self {
        Self::of(&[Scope::OperatorBilling, Scope::OperatorPayouts, Scope::OperatorProgram, Scope::OperatorAccounts])
    }

    /// All that a manager acting as its client has (domain section 3).
    #[must_use]
    pub fn of_impersonation() -> Self {
        Self::of(&[Scope::AccountRead, Scope::ContainersRead, Scope::ContainersWrite])
    }

    /// Whether `scope` is in the set.
    #[must_use]
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & Self::bit(scope) != 0
    }

    /// The scopes that are in both sets.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The scopes in the set, in the order of declaration.
    #[must_use]
    pub fn list(self) -> Vec<Scope> {
        Scope::ALL.iter().copied().filter(|scope| self.contains(*scope)).collect()
    }

    /// Space-separated words, as the database keeps a set.
    #[must_use]
    pub fn to_text(self) -> String {
        self.list().iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// The set behind [`Scopes::to_text`]; words that are no scope any more are left out.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self::of(&text.split(' ').filter_map(|word| word.parse().ok()).collect::<Vec<_>>())
    }

    #[expect(clippy::as_conversions, reason = "nothing else gives the number of a scope in a const fn")]
    const fn bit(scope: Scope) -> u32 {
        1 << (scope as u32)
    }
}
