//! Who may call what: every operation of the document with every kind of credential, on own and on foreign resources. What
//! is expected follows from the document alone (`security`, `x-accounts`, `x-on-behalf`), so a new operation is tested from
//! its first day; one with a new kind of id in its path fails until [`World::id`] knows one.

mod operation;
mod world;

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::json;
use stape_api::auth::{Scope, Scopes};

use self::operation::{Operation, Right};
use self::world::World;
use crate::support::{Client, TestApp, both_engines};

both_engines!(every_operation_answers_every_credential_as_the_document_says, nobody_changes_a_foreign_resource,);

/// An id of the right form that nothing has.
const NOBODYS: &str = "01KB0H6Q4N7ZJ8R5T3V9WXY2AC";

/// By what a caller is known.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Nothing,
    Malformed,
    BlockedKey,
    Owner,
    Member,
    Key,
    OnBehalf,
}

struct Caller {
    name: &'static str,
    client: Client,
    by: By,
    kind: &'static str,
    scopes: Scopes,
    /// Whether the resources of the [`World`] are its own.
    owns: bool,
}

impl Caller {
    /// Status and code of the refusal that the document promises; none where the caller is let in.
    fn refusal(&self, operation: &Operation) -> Option<(u16, &'static str)> {
        let (right, kinds) = (operation.right(), operation.kinds());
        if right == Right::Nothing {
            return None;
        }
        let is_login = matches!(self.by, By::Owner | By::Member);
        match self.by {
            By::Nothing => return Some((401, "authenticationRequired")),
            By::Malformed => return Some((401, "invalidCredentials")),
            By::BlockedKey => return Some((403, "accountBlocked")),
            _ if kinds == ["partner"] && self.kind == "agency" => return Some((403, "notPartner")),
            _ if !kinds.contains(&self.kind) => return Some((403, "wrongAccountKind")),
            By::OnBehalf if operation.definition["x-on-behalf"] == "refused" => {
                return Some((403, "insufficientScope"));
            }
            _ => {}
        }
        match right {
            Right::Owner if self.by != By::Owner => Some((403, "ownerRequired")),
            Right::Login if !is_login => Some((403, "loginRequired")),
            Right::Scope(scope) if !self.scopes.contains(scope) => Some((403, "insufficientScope")),
            _ => None,
        }
    }

    /// A call that is let in reads what is there, or is refused for its body or its id: nothing changes.
    async fn check(&self, world: &World, operation: &Operation) {
        let is_read = operation.method == Method::GET;
        let value = |name: &str| {
            if is_read { world.id(name, &operation.path) } else { nobodys(&world.id(name, &operation.path)) }
        };
        let address = operation.address(&world.document, value);
        let answer = operation.send(&self.client, &address, &json!({"unheardOf": 1})).await;
        let told = format!("{} by {}: {} {}", operation.name(), self.name, answer.status, answer.text);
        let code = if answer.status >= 400 {
            answer.body()["code"].as_str().unwrap_or_default().to_owned()
        } else {
            String::new()
        };
        if let Some(refusal) = self.refusal(operation) {
            assert_eq!((answer.status, code.as_str()), refusal, "{told}");
            return;
        }
        let is_foreign = operation.right() != Right::Nothing && operation.has_ids() && !self.owns;
        let may_lack = !self.owns && operation.definition["responses"].get("404").is_some();
        let expected: &[u16] = match (is_read, is_foreign) {
            (true, true) => &[404],
            (true, false) if may_lack => &[200, 302, 404],
            (true, false) => &[200, 302],
            (false, _) => &[404, 422, 428],
        };
        assert!(expected.contains(&answer.status), "{told}");
    }
}

/// The id in `own`'s place that nothing has; what is no id stays.
fn nobodys(own: &str) -> String {
    own.split_once('_').map_or(own.to_owned(), |(prefix, _)| format!("{prefix}_{NOBODYS}"))
}

async fn every_operation_answers_every_credential_as_the_document_says(app: &TestApp) {
    let world = World::new(app).await;
    let callers = world.callers(app).await;
    let mut by_scope: BTreeMap<Scope, Vec<Operation>> = BTreeMap::new();
    for operation in Operation::all(&world.document) {
        for caller in &callers {
            caller.check(&world, &operation).await;
        }
        if let Right::Scope(scope) = operation.right() {
            by_scope.entry(scope).or_default().push(operation);
        }
    }
    for (scope, operations) in by_scope {
        for caller in world.without(app, scope).await {
            for operation in &operations {
                caller.check(&world, operation).await;
            }
        }
    }
}

async fn nobody_changes_a_foreign_resource(app: &TestApp) {
    let world = World::new(app).await;
    let mut tried = 0;
    for operation in Operation::all(&world.document) {
        let kinds = operation.kinds();
        if operation.method == Method::GET || !operation.has_ids() || kinds == ["operator"] {
            continue;
        }
        let body = &operation.definition["requestBody"]["content"]["application/json"]["example"];
        let body = if body.is_null() { json!({}) } else { body.clone() };
        for (kind, account) in [("partner", &world.other_partner), ("standard", &world.other_client)] {
            if !kinds.contains(&kind) {
                continue;
            }
            let address = operation.address(&world.document, |name| world.id(name, &operation.path));
            let answer = operation.send(&account.login, &address, &body).await;
            assert_eq!(answer.status, 404, "{} by another {kind}: {}", operation.name(), answer.text);
            tried += 1;
        }
    }
    assert!(tried > 15, "{tried} operations change a resource by its id");
}
