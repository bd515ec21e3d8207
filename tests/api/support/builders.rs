//! Situations that many tests begin with, all made through the API.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::{Client, TestApp, payment, subscription, usd};

/// The password of every account that signs up here.
pub const PASSWORD: &str = "a quiet harbour at dawn";

static NEXT_ACCOUNT: AtomicU32 = AtomicU32::new(1);

/// An account whose owner is signed in.
#[derive(Debug, Clone)]
pub struct Account {
    pub id: String,
    pub email: String,
    /// The owner's login.
    pub login: Client,
}

/// An e-mail address that nobody has.
pub fn new_email() -> String {
    format!("person{}@example.com", NEXT_ACCOUNT.fetch_add(1, Ordering::Relaxed))
}

impl TestApp {
    /// A client who signed up by itself.
    pub async fn standard(&self) -> Account {
        self.sign_up("standard").await
    }

    /// An agency, not yet a partner.
    pub async fn agency(&self) -> Account {
        self.sign_up("agency").await
    }

    async fn sign_up(&self, kind: &str) -> Account {
        let email = new_email();
        let person = json!({
            "kind": kind, "email": email, "password": PASSWORD, "firstName": "Robin", "lastName": "Doe",
        });
        let account = self.visitor().post("/v3/accounts", &person).await.expect(201);
        let login = self.sign_in(&email, PASSWORD).await;
        Account { id: id(&account), email, login }
    }

    /// Signs in and gives a client with the access token.
    pub async fn sign_in(&self, email: &str, password: &str) -> Client {
        let credentials = json!({"email": email, "password": password});
        let session = self.visitor().post("/v3/sessions", &credentials).await.expect(201);
        self.caller(session["accessToken"].as_str().expect("a session has an access token"))
    }

    /// A new API key of the account.
    pub async fn api_key(&self, account: &Account, scopes: &[&str]) -> Client {
        let key = account.login.post("/v3/api-keys", &json!({"name": "test", "scopes": scopes})).await.expect(201);
        self.caller(key["key"].as_str().expect("a new key shows itself"))
    }

    /// A partner of level 1 with one client who has six paid containers, by which it reached the threshold.
    pub async fn partner(&self) -> Account {
        let partner = self.agency().await;
        self.reach_threshold(&partner).await;
        self.become_partner(&partner).await;
        partner
    }

    /// Gives a manager a client with six paid containers.
    pub async fn reach_threshold(&self, manager: &Account) -> Vec<String> {
        let client = self.client_of(manager).await;
        let mut containers = Vec::new();
        for _ in 0..6 {
            containers.push(self.container(manager, &client).await);
        }
        let subscriptions: Vec<_> = containers.iter().map(|container| subscription(container)).collect();
        self.apply(&subscriptions).await;
        containers
    }

    /// Lets an agency above the threshold join the program.
    pub async fn become_partner(&self, agency: &Account) {
        let application = agency.login.post_nothing("/v3/partner-applications").await.expect(201);
        let path = format!("/v3/operator/partner-applications/{}/approve", id(&application));
        self.operator().await.post_nothing(&path).await.expect(200);
    }

    /// A client that the manager created: its account id.
    pub async fn client_of(&self, manager: &Account) -> String {
        let person = json!({"email": new_email(), "firstName": "Sam", "lastName": "Client"});
        id(&manager.login.post("/v3/sub-accounts", &person).await.expect(201))
    }

    /// A client that the manager created and invited, and that set its password.
    pub async fn invited_client_of(&self, manager: &Account) -> Account {
        let email = new_email();
        let person = json!({"email": email, "firstName": "Sam", "lastName": "Client", "sendInvite": true});
        let id = id(&manager.login.post("/v3/sub-accounts", &person).await.expect(201));
        let token = self.mail_to(&email, "invites you").await.token();
        let confirm = json!({"token": token, "password": PASSWORD});
        self.visitor().post("/v3/password-resets/confirm", &confirm).await.expect(204);
        Account { id, login: self.sign_in(&email, PASSWORD).await, email }
    }

    /// A container on the free plan, made by the manager for its client.
    pub async fn container(&self, manager: &Account, client_id: &str) -> String {
        let container = json!({"name": "shop.example.com", "product": "sgtmContainer", "accountId": client_id});
        id(&manager.login.post("/v3/containers", &container).await.expect(201))
    }

    /// A client with one container: both ids.
    pub async fn client_with_container(&self, manager: &Account) -> (String, String) {
        let client = self.client_of(manager).await;
        let container = self.container(manager, &client).await;
        (client, container)
    }

    /// Gives the account a Wise method for the currency.
    pub async fn payout_method(&self, account: &Account, currency: &str) {
        let details = json!({"email": "payouts@example.com", "holder": "Robin Doe"});
        let method = json!({"type": "wise", "details": details, "password": PASSWORD});
        account.login.put(&format!("/v3/payout-methods/{currency}"), &method).await.expect(200);
    }

    /// Makes so much ready for the partner by an operator's bonus, in dollars.
    pub async fn bonus(&self, partner: &Account, amount: &str) -> Value {
        self.adjust(partner, usd(amount), "bonus").await
    }

    /// An operator's adjustment without any reference.
    pub async fn adjust(&self, partner: &Account, amount: Value, reason: &str) -> Value {
        let adjustment = json!({"accountId": partner.id, "amount": amount, "reason": reason, "note": "a test"});
        self.operator().await.post_once("/v3/operator/adjustments", &adjustment).await.expect(201)
    }

    /// A payout of what is ready in dollars, requested by the partner.
    pub async fn payout(&self, partner: &Account) -> Value {
        partner.login.post_once("/v3/payouts", &json!({"currency": "USD"})).await.expect(201)
    }

    /// Takes a step of a payout as the operator.
    pub async fn step(&self, payout: &Value, step: &str) -> Value {
        let body = match step {
            "reject" | "fail" => json!({"reason": "a test"}),
            "confirm" => json!({"reference": "TRANSFER-1"}),
            _ => json!({}),
        };
        let path = format!("/v3/operator/payouts/{}/{step}", id(payout));
        self.operator().await.post(&path, &body).await.expect(200)
    }

    /// The referral link that a manager has from the start.
    pub async fn default_link(&self, manager: &Account) -> Value {
        let links = manager.login.list("/v3/referral-links").await;
        links.into_iter().find(|link| link["isDefault"] == true).expect("a default link")
    }

    /// Follows a link as a visitor with a browser; gives the click's id.
    pub async fn click(&self, link: &Value) -> String {
        let code = link["code"].as_str().expect("a code");
        let answer = self.visitor().get(&format!("/r/{code}")).await;
        assert_eq!(answer.status, 302, "{}", answer.text);
        let target: url::Url = answer.header("location").parse().expect("an address");
        let click = target.query_pairs().find(|(name, _)| name == "click");
        click.map(|(_, id)| id.into_owned()).expect("a click id")
    }

    /// A client that signed up with a link's code and is signed in.
    pub async fn sign_up_with(&self, link: &Value) -> Account {
        let email = new_email();
        let person = json!({
            "kind": "standard", "email": email, "password": PASSWORD, "firstName": "Robin", "lastName": "Doe",
            "referralCode": link["code"],
        });
        let account = self.visitor().post("/v3/accounts", &person).await.expect(201);
        assert!(account["managerId"].is_string(), "{account:#}");
        Account { id: id(&account), login: self.sign_in(&email, PASSWORD).await, email }
    }

    /// A container on the free plan that its owner made.
    pub async fn own_container(&self, client: &Account) -> String {
        let container = json!({"name": "shop.example.com", "product": "sgtmContainer"});
        id(&client.login.post("/v3/containers", &container).await.expect(201))
    }

    /// Links a client to a manager as the operator.
    pub async fn link(&self, client_id: &str, manager_id: &str) {
        let path = format!("/v3/operator/accounts/{client_id}/link");
        self.operator().await.post(&path, &json!({"managerId": manager_id})).await.expect(200);
    }

    /// A monthly pro payment of 24.00 now, 4.00 of it tax, and the commission that it made.
    pub async fn commission(&self, partner: &Account, container_id: &str) -> Value {
        let results = self.apply(&[payment(container_id)]).await;
        let id = results[0]["commissionId"].as_str().expect("a commission").to_owned();
        partner.login.get(&format!("/v3/commissions/{id}")).await.expect(200)
    }
}

/// The types of all events in a feed, and what they are about, oldest first.
pub async fn feed(client: &Client) -> Vec<(String, String)> {
    let text = |event: &Value, field: &str| event[field].as_str().expect("a text").to_owned();
    let events = client.list("/v3/events").await;
    events.iter().map(|event| (text(event, "type"), text(event, "resourceId"))).collect()
}

/// The id of a resource.
pub fn id(resource: &Value) -> String {
    resource["id"].as_str().expect("a resource has an id").to_owned()
}
