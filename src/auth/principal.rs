//! The principal of a request, and the extractors that authorise: kind and scope stand in the parameter's type.
//!
//! `Partner<CommissionsRead>` as a handler's first parameter is the whole of its authorisation. Extraction is synchronous
//! on purpose: actix polls all extractors at once, and a bad body must not answer before 401.

use std::future::{Ready, ready};
use std::marker::PhantomData;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpMessage, HttpRequest};

use super::middleware::readmission;
use super::scope::{Scope, Scopes};
use crate::accounts::{AccountKind, Role};
use crate::context::{Actor, ActorKind};
use crate::error::{Code, Error, Problem};
use crate::id::{AccountId, ApiKeyId, OperatorKeyId, SessionId, UserId};

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrincipalKind {
    /// An account of this kind.
    Account(AccountKind),
    /// The operator.
    Operator,
}

/// By what a caller is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// An account's API key.
    ApiKey(ApiKeyId),
    /// A person's session.
    Login {
        /// Who signed in.
        user_id: UserId,
        /// The session of the access token.
        session_id: SessionId,
        /// The user's role in the account.
        role: Role,
    },
    /// A manager acting as its client.
    Impersonation {
        /// The manager's account.
        manager_id: AccountId,
        /// The manager's user or key, as the audit log names it.
        actor: String,
    },
    /// An operator's key.
    Operator(OperatorKeyId),
}

/// An authenticated caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// What it is.
    pub kind: PrincipalKind,
    /// Its account; an operator has none.
    pub account_id: Option<AccountId>,
    /// By what it is known.
    pub credential: Credential,
    /// What it may do.
    pub scopes: Scopes,
}

impl Principal {
    /// How the audit log names the caller.
    #[must_use]
    pub fn actor(&self) -> Actor {
        let (kind, id, acting_account) = match &self.credential {
            Credential::ApiKey(id) => (ActorKind::ApiKey, id.to_string(), None),
            Credential::Login { user_id, .. } => (ActorKind::User, user_id.to_string(), None),
            Credential::Impersonation { manager_id, actor } => {
                let is_key = actor.parse::<ApiKeyId>().is_ok();
                (if is_key { ActorKind::ApiKey } else { ActorKind::User }, actor.clone(), Some(*manager_id))
            }
            Credential::Operator(id) => (ActorKind::Operator, id.to_string(), None),
        };
        Actor { kind, id, acting_account }
    }

    /// Whether it is an account that has sub-accounts.
    #[must_use]
    pub const fn is_manager(&self) -> bool {
        matches!(self.kind, PrincipalKind::Account(kind) if kind.is_manager())
    }

    fn is_owner(&self) -> bool {
        matches!(self.credential, Credential::Login { role: Role::Owner, .. })
    }
}

/// What the authentication middleware leaves in the request's extensions.
#[derive(Debug, Clone)]
pub enum Authentication {
    /// A valid credential.
    Caller(Arc<Principal>),
    /// A credential was sent and refused, or none was sent.
    Refused(Problem),
}

/// Which kinds of principals an operation takes.
pub trait KindRule: 'static {
    /// Whether `kind` may call, or why not.
    ///
    /// # Errors
    /// 403 `notPartner` or `wrongAccountKind`.
    fn admit(kind: PrincipalKind) -> Result<(), Problem>;
}

/// What a principal needs beyond its kind.
pub trait Right: 'static {
    /// Whether `principal` has it, or why not.
    ///
    /// # Errors
    /// 403 `insufficientScope` or `ownerRequired`.
    fn check(principal: &Principal) -> Result<(), Problem>;
}

macro_rules! kinds {
    ($($(#[$meta:meta])* $name:ident: $pattern:pat => $wanted:literal;)+) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name;

        impl KindRule for $name {
            fn admit(kind: PrincipalKind) -> Result<(), Problem> {
                match kind {
                    $pattern => Ok(()),
                    _ => Err(Problem::new(Code::WrongAccountKind, concat!("this operation is for ", $wanted))),
                }
            }
        }
    )+};
}

kinds! {
    /// Any account.
    AnyKind: PrincipalKind::Account(_) => "accounts, not for operators";
    /// An agency or a partner.
    ManagerKind: PrincipalKind::Account(AccountKind::Agency | AccountKind::Partner) => "agencies and partners";
    /// A client.
    StandardKind: PrincipalKind::Account(AccountKind::Standard) => "standard accounts";
    /// The operator.
    OperatorKind: PrincipalKind::Operator => "operators";
}

/// A partner; an agency is told so.
#[derive(Debug)]
pub struct PartnerKind;

impl KindRule for PartnerKind {
    fn admit(kind: PrincipalKind) -> Result<(), Problem> {
        match kind {
            PrincipalKind::Account(AccountKind::Partner) => Ok(()),
            PrincipalKind::Account(AccountKind::Agency) => {
                Err(Problem::new(Code::NotPartner, "this operation is for partners; the account is an agency"))
            }
            _ => Err(Problem::new(Code::WrongAccountKind, "this operation is for partners")),
        }
    }
}

/// An owner's login: no key, no member, no session on behalf of a client.
#[derive(Debug)]
pub struct Owner;

impl Right for Owner {
    fn check(principal: &Principal) -> Result<(), Problem> {
        if principal.is_owner() {
            return Ok(());
        }
        Err(Problem::new(Code::OwnerRequired, "this operation needs the login of an owner of the account"))
    }
}

/// A person's login, an owner's or a member's: no key, no session on behalf of a client.
#[derive(Debug)]
pub struct SignedIn;

impl Right for SignedIn {
    fn check(principal: &Principal) -> Result<(), Problem> {
        if matches!(principal.credential, Credential::Login { .. }) {
            return Ok(());
        }
        Err(Problem::new(Code::LoginRequired, "this operation needs a person's login"))
    }
}

/// A credential that has the scope: a key by what it was given, a login by the person's role.
macro_rules! rights {
    ($($name:ident),+ $(,)?) => {$(
        #[doc = concat!("The scope `", stringify!($name), "` in the parameter's type.")]
        #[derive(Debug)]
        pub struct $name;

        impl Right for $name {
            fn check(principal: &Principal) -> Result<(), Problem> {
                if principal.scopes.contains(Scope::$name) {
                    return Ok(());
                }
                let wanted = Scope::$name.as_str();
                Err(Problem::new(Code::InsufficientScope, format!("the credential lacks the scope {wanted}")))
            }
        }
    )+};
}

rights!(
    AccountRead,
    AccountWrite,
    SubAccountsRead,
    SubAccountsWrite,
    SubAccountsLogin,
    ContainersRead,
    ContainersWrite,
    CommissionsRead,
    PayoutsRead,
    PayoutsWrite,
    ReferralLinksRead,
    ReferralLinksWrite,
    EventsRead,
    OperatorBilling,
    OperatorPayouts,
    OperatorProgram,
    OperatorAccounts,
);

/// A right that a manager acting as its client does not have, whatever its scopes.
#[derive(Debug)]
pub struct NotOnBehalf<R: Right>(PhantomData<fn() -> R>);

impl<R: Right> Right for NotOnBehalf<R> {
    fn check(principal: &Principal) -> Result<(), Problem> {
        R::check(principal)?;
        if matches!(principal.credential, Credential::Impersonation { .. }) {
            let detail = "a session on behalf of a client cannot do this; the client has to do it itself";
            return Err(Problem::new(Code::InsufficientScope, detail));
        }
        Ok(())
    }
}

/// Any operator's key, whatever its scopes.
#[derive(Debug)]
pub struct AnyScope;

impl Right for AnyScope {
    fn check(_principal: &Principal) -> Result<(), Problem> {
        Ok(())
    }
}

/// A caller of an admitted kind with the right that the operation needs.
#[derive(Debug)]
pub struct Caller<K: KindRule, R: Right> {
    principal: Arc<Principal>,
    rule: PhantomData<fn() -> (K, R)>,
}

/// Any account with a right.
pub type Account<R> = Caller<AnyKind, R>;
/// An agency or partner with a right.
pub type Manager<R> = Caller<ManagerKind, R>;
/// A partner with a right.
pub type Partner<R> = Caller<PartnerKind, R>;
/// A client with a right.
pub type Standard<R> = Caller<StandardKind, R>;
/// An operator with a scope.
pub type Operator<R> = Caller<OperatorKind, R>;

impl<K: KindRule, R: Right> Caller<K, R> {
    /// Who calls.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The caller's account: the tenant of everything it can reach.
    ///
    /// # Errors
    /// 403 for an operator, which the kinds of accounts have refused before.
    pub fn account_id(&self) -> Result<AccountId, Error> {
        self.principal
            .account_id
            .ok_or_else(|| Error::refused(Code::WrongAccountKind, "this operation is for accounts, not for operators"))
    }

    /// Whether the caller of `request` would still be admitted, for answers that take long: what its credential and its account
    /// are may have changed.
    ///
    /// # Errors
    /// As at first: 401 or 403.
    pub async fn readmit(request: &HttpRequest) -> Result<(), Error> {
        admitted::<K, R>(Some(&readmission(request).await)).map(drop)
    }
}

impl<K: KindRule, R: Right> FromRequest for Caller<K, R> {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(authorise::<K, R>(request))
    }
}

fn admitted<K: KindRule, R: Right>(authentication: Option<&Authentication>) -> Result<Arc<Principal>, Error> {
    let principal = match authentication {
        Some(Authentication::Caller(principal)) => principal.clone(),
        Some(Authentication::Refused(problem)) => return Err(problem.clone().into()),
        None => return Err(Error::refused(Code::AuthenticationRequired, "send an API key or an access token")),
    };
    K::admit(principal.kind)?;
    R::check(&principal)?;
    Ok(principal)
}

fn authorise<K: KindRule, R: Right>(request: &HttpRequest) -> Result<Caller<K, R>, Error> {
    let principal = admitted::<K, R>(request.extensions().get())?;
    crate::http::contract::refuse_any_parameter(request)?;
    Ok(Caller { principal, rule: PhantomData })
}

/// Somebody who needs no credential. The first parameter of every public operation that programs call; web pages ignore query
/// parameters that they do not know.
#[derive(Debug, Clone, Copy)]
pub struct Visitor;

impl FromRequest for Visitor {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(crate::http::contract::refuse_any_parameter(request).map(|()| Self))
    }
}
