//! What a service knows of its caller: the moment, who acts, and the request it is part of.

use crate::auth::Principal;
use crate::auth::principal::Visitor;
use crate::clock::{Clock, Timestamp};
use crate::id::AccountId;

/// The circumstances of one unit of work; every writing service takes one.
#[derive(Debug, Clone)]
pub struct Context {
    /// The domain's time, read once per unit of work, or once more under its locks.
    pub now: Timestamp,
    /// Who acts.
    pub actor: Actor,
    /// The request's id, or what started the work.
    pub request_id: String,
    /// What tells the time.
    pub clock: Clock,
}

impl Context {
    /// Work that begins now.
    #[must_use]
    pub fn new(clock: &Clock, actor: Actor, request_id: String) -> Self {
        Self { now: clock.now(), actor, request_id, clock: clock.clone() }
    }

    /// Work that the server does by itself.
    #[must_use]
    pub fn of_server(clock: &Clock) -> Self {
        Self::new(clock, Actor::system(), "system".to_owned())
    }

    /// [`Context::of_server`] at a time that stands still.
    #[must_use]
    pub fn system(now: Timestamp) -> Self {
        Self::of_server(&Clock::standing_at(now))
    }

    /// The same at the present moment, which work takes when it has its locks; [`crate::accounts::lock`] and its kin give it back
    /// with the rows. Feeds tell their events in the order of their times, what moves money over the end of a month belongs to the
    /// next one, and what decides who earns how much from now on does not hold for payments that were applied while it waited.
    #[must_use]
    pub fn under_locks(&self) -> Self {
        Self { now: self.clock.now(), ..self.clone() }
    }
}

/// Who acts, as the audit log names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// What kind of actor.
    pub kind: ActorKind,
    /// Id of the user or key; `system` or `visitor` where there is none.
    pub id: String,
    /// The manager's account where a manager acts as its client (RFC 8693 `act`).
    pub acting_account: Option<AccountId>,
}

impl Actor {
    /// The server itself.
    #[must_use]
    pub fn system() -> Self {
        Self { kind: ActorKind::System, id: "system".to_owned(), acting_account: None }
    }

    /// Somebody without a credential.
    #[must_use]
    pub fn visitor() -> Self {
        Self { kind: ActorKind::Visitor, id: "visitor".to_owned(), acting_account: None }
    }
}

impl From<&Principal> for Actor {
    fn from(principal: &Principal) -> Self {
        principal.actor()
    }
}

impl From<Visitor> for Actor {
    fn from(_visitor: Visitor) -> Self {
        Self::visitor()
    }
}

crate::text_enum! {
    /// Kinds of actors.
    pub enum ActorKind {
        /// A signed-in person.
        User = "user",
        /// An account's API key.
        ApiKey = "apiKey",
        /// An operator's key.
        Operator = "operator",
        /// The server itself.
        System = "system",
        /// Somebody without a credential.
        Visitor = "visitor",
    }
}
