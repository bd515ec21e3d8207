//! Two tenants, what the first one has, and everybody who may come.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stape_api::accounts::AccountKind;
use stape_api::auth::{Scope, Scopes};

use super::{By, Caller};
use crate::support::{Account, Client, PASSWORD, TestApp, id, payment, usd};

/// Two tenants with one of everything in the first.
pub(super) struct World {
    pub(super) document: Value,
    pub(super) partner: Account,
    pub(super) client: Account,
    pub(super) other_partner: Account,
    pub(super) other_client: Account,
    pub(super) ids: BTreeMap<&'static str, String>,
}

impl World {
    pub(super) async fn new(app: &TestApp) -> Self {
        let document = app.visitor().get("/openapi.json").await.expect(200);
        let (partner, other_partner) = (app.partner().await, app.partner().await);
        let (client, other_client) = (app.standard().await, app.standard().await);
        let container = app.own_container(&client).await;
        let attach = json!({"email": client.email, "containerName": "shop.example.com"});
        partner.login.post("/v3/sub-accounts/attach", &attach).await.expect(201);
        let access = id(&partner.login.post_nothing(&sub_account(&client, "access-requests")).await.expect(201));
        client.login.post_nothing(&format!("/v3/access-requests/{access}/approve")).await.expect(200);
        let mut ids = BTreeMap::from([
            ("accountId", client.id.clone()),
            ("containerId", container.clone()),
            ("access requestId", access),
            ("month", "2026-01".to_owned()),
            ("currency", "USD".to_owned()),
        ]);
        let paid = payment(&container).with("amount", usd("1000.00")).with("tax", usd("0.00"));
        ids.insert("commissionId", text(&app.apply(&[paid]).await[0]["commissionId"]));
        ids.insert("paymentId", id(&client.login.list("/v3/payments").await[0]));
        let plan = json!({"plan": "pro", "billingPeriod": "monthly"});
        let wish = client.login.post(&format!("/v3/containers/{container}/change-plan"), &plan).await.expect(202);
        ids.insert("operator requestId", id(&wish["pendingRequest"]));
        ids.insert("applicationId", id(&partner.login.list("/v3/partner-applications").await[0]));
        let link = app.default_link(&partner).await;
        ids.extend([("linkId", id(&link)), ("code", text(&link["code"]))]);
        app.payout_method(&partner, "USD").await;
        app.bonus(&partner, "200.00").await;
        let payout = app.payout(&partner).await;
        app.step(&payout, "approve").await;
        let batch = json!({"format": "wiseCsv", "currency": "USD"});
        let batch = app.operator().await.post_once("/v3/operator/payout-batches", &batch).await.expect(201);
        ids.extend([("payoutId", id(&payout)), ("batchId", id(&batch))]);
        ids.insert("userId", id(&partner.login.list("/v3/members").await[0]));
        ids.insert("keyId", id(&key(&partner, &["account:read"]).await));
        Self { document, partner, client, other_partner, other_client, ids }
    }

    /// The id of the first tenant's resource that a parameter of a path stands for.
    pub(super) fn id(&self, name: &str, path: &str) -> String {
        let name = match (name, path) {
            ("code", path) if path.starts_with("/docs/errors/") => return "validationFailed".to_owned(),
            ("requestId", path) if path.starts_with("/v3/operator/") => "operator requestId",
            ("requestId", _) => "access requestId",
            _ => name,
        };
        self.ids.get(name).unwrap_or_else(|| panic!("{path}: say here which {name} the first tenant has")).clone()
    }

    /// Everybody whose rights do not depend on the operation.
    pub(super) async fn callers(&self, app: &TestApp) -> Vec<Caller> {
        let blocked = app.agency().await;
        let blocked_key = app.api_key(&blocked, &["account:read"]).await;
        let block = format!("/v3/operator/accounts/{}/block", blocked.id);
        app.operator().await.post(&block, &json!({"reason": "a test"})).await.expect(200);
        let acting = self.partner.login.post_nothing(&sub_account(&self.client, "login")).await.expect(201);
        let agency = app.agency().await;
        let of = |name, client: &Client, by, kind, scopes, owns| Caller {
            name,
            client: client.clone(),
            by,
            kind,
            scopes,
            owns,
        };
        let none = Scopes::of(&[]);
        let (of_partner, of_client) = (Scopes::of_owner(AccountKind::Partner), Scopes::of_owner(AccountKind::Standard));
        let of_member = Scopes::of_member(AccountKind::Partner);
        let partner_key = app.caller(&text(&key(&self.partner, &words(of_partner)).await["key"]));
        let client_key = app.caller(&text(&key(&self.client, &words(of_client)).await["key"]));
        let agency_scopes = Scopes::of_owner(AccountKind::Agency);
        vec![
            of("nobody", &app.visitor(), By::Nothing, "", none, false),
            of("a malformed key", &app.caller("stp_nonsense"), By::Malformed, "", none, false),
            of("a blocked agency's key", &blocked_key, By::BlockedKey, "agency", none, false),
            of("the partner's owner", &self.partner.login, By::Owner, "partner", of_partner, true),
            of("the partner's member", &member(app, &self.partner).await, By::Member, "partner", of_member, true),
            of("the partner's key", &partner_key, By::Key, "partner", of_partner, true),
            of("another partner's owner", &self.other_partner.login, By::Owner, "partner", of_partner, false),
            of("an agency's owner", &agency.login, By::Owner, "agency", agency_scopes, false),
            of("the client's owner", &self.client.login, By::Owner, "standard", of_client, true),
            of("the client's key", &client_key, By::Key, "standard", of_client, true),
            of("another client's owner", &self.other_client.login, By::Owner, "standard", of_client, false),
            of(
                "the partner as the client",
                &app.caller(&text(&acting["accessToken"])),
                By::OnBehalf,
                "standard",
                Scopes::of_impersonation(),
                true,
            ),
            of("an operator's key", app.operator().await, By::Key, "operator", Scopes::of_operator(), true),
        ]
    }

    /// Keys with every scope but `scope`, of each kind of caller.
    pub(super) async fn without(&self, app: &TestApp, scope: Scope) -> Vec<Caller> {
        let mut callers = Vec::new();
        let tenants =
            [(&self.partner, AccountKind::Partner, "partner"), (&self.client, AccountKind::Standard, "standard")];
        for (account, kind, name) in tenants {
            let scopes = but(Scopes::of_owner(kind), scope);
            let made = key(account, &words(scopes)).await;
            let client = app.caller(&text(&made["key"]));
            callers.push(Caller {
                name: "a key without the scope",
                client,
                by: By::Key,
                kind: name,
                scopes,
                owns: true,
            });
        }
        let scopes = but(Scopes::of_operator(), scope);
        let client = app.caller(&app.operator_key(scopes).await);
        let name = "an operator's key without the scope";
        callers.push(Caller { name, client, by: By::Key, kind: "operator", scopes, owns: true });
        callers
    }
}

fn sub_account(client: &Account, action: &str) -> String {
    format!("/v3/sub-accounts/{}/{action}", client.id)
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn words(scopes: Scopes) -> Vec<&'static str> {
    scopes.list().into_iter().map(Scope::as_str).collect()
}

fn but(scopes: Scopes, scope: Scope) -> Scopes {
    let others: Vec<Scope> = scopes.list().into_iter().filter(|other| *other != scope).collect();
    Scopes::of(&others)
}

/// A new key; an older one of the same scopes goes, for an account has few.
async fn key(account: &Account, scopes: &[&str]) -> Value {
    let keys = account.login.list("/v3/api-keys").await;
    if let Some(oldest) = keys.iter().rev().filter(|key| key["name"] == "one of many").nth(2) {
        account.login.delete(&format!("/v3/api-keys/{}", id(oldest))).await.expect(204);
    }
    let name = if scopes.len() == 1 || words(Scopes::of_owner(AccountKind::Partner)) == scopes {
        "kept"
    } else {
        "one of many"
    };
    account.login.post("/v3/api-keys", &json!({"name": name, "scopes": scopes})).await.expect(201)
}

async fn member(app: &TestApp, manager: &Account) -> Client {
    let email = "member@permissions.example";
    let person = json!({"email": email, "firstName": "Max", "lastName": "Moreau", "role": "member"});
    manager.login.post("/v3/members", &person).await.expect(201);
    let token = app.mail_to(email, "invites you to its team").await.token();
    app.visitor().post("/v3/password-resets/confirm", &json!({"token": token, "password": PASSWORD})).await.expect(204);
    app.sign_in(email, PASSWORD).await
}
