//! Operations on money that is ready: payouts, their steps and batches, the operator's adjustments.

use reqwest::Method;
use serde_json::json;

use super::events;
use super::figures::{CURRENCIES, money};
use super::operations::{Play, accepted, refused};
use super::rules::Step;
use super::world::PayoutStatus;
use crate::support::{id, new_key};

impl Play<'_> {
    pub async fn request_payout(&mut self) {
        let manager = self.chance.below(self.world.managers.len());
        let currency = self.chance.below(CURRENCIES.len());
        let by_operator = self.chance.one_in(4);
        self.tell(&format!("payout of manager {manager} in {currency}, by the operator: {by_operator}"));
        let row = &self.world.managers[manager];
        let (code, key) = (CURRENCIES[currency].0, new_key());
        let operator = self.app.operator().await;
        let (caller, path, body) = if by_operator {
            (operator, "/v3/operator/payouts", json!({"accountId": row.account.id, "currency": code}))
        } else {
            (&row.key, "/v3/payouts", json!({"currency": code}))
        };
        let send = async || caller.request(Method::POST, path).header("idempotency-key", &key).json(&body).send().await;
        // A blocked account's own key is refused before anything else.
        let is_shut_out = row.blocked && !by_operator;
        let answer = send().await;
        let twin = if self.chance.one_in(8) { Some(send().await) } else { None };
        let expected = if is_shut_out { Err("accountBlocked") } else { self.world.request(manager, currency) };
        match expected {
            Ok(index) => {
                let payout = answer.expect(201);
                assert!(twin.is_none_or(|twin| twin.expect(201) == payout), "a replay is the first answer");
                self.world.payouts[index].id = id(&payout);
            }
            Err(code) => refused(&answer, code),
        }
    }

    pub async fn take_step(&mut self) {
        use PayoutStatus::{Approved, Processing, Requested};
        let is_open = |index: &usize| matches!(self.world.payouts[*index].status, Requested | Approved | Processing);
        let open: Vec<usize> = (0..self.world.payouts.len()).filter(is_open).collect();
        let any = self.chance.one_in(12) || open.is_empty();
        if any && self.world.payouts.is_empty() {
            return;
        }
        let payout = if any { self.chance.below(self.world.payouts.len()) } else { *self.chance.of(&open) };
        let likely: &[Step] = match self.world.payouts[payout].status {
            Requested => &[Step::Approve, Step::Approve, Step::Approve, Step::Cancel, Step::Reject],
            Approved => &[Step::Start, Step::Start, Step::Reject],
            Processing => &[Step::Confirm, Step::Confirm, Step::Fail],
            _ => &[Step::Cancel],
        };
        let all = [Step::Cancel, Step::Approve, Step::Reject, Step::Start, Step::Confirm, Step::Fail];
        let step = if self.chance.one_in(8) { *self.chance.of(&all) } else { *self.chance.of(likely) };
        self.tell(&format!("{step:?} of payout {payout}"));
        let row = &self.world.payouts[payout];
        let manager = &self.world.managers[row.manager];
        let is_shut_out = step == Step::Cancel && manager.blocked;
        let path = format!("/v3/operator/payouts/{}", row.id);
        let operator = self.app.operator().await;
        let answer = match step {
            Step::Cancel => manager.key.post_once(&format!("/v3/payouts/{}/cancel", row.id), &json!({})).await,
            Step::Approve => operator.post(&format!("{path}/approve"), &json!({})).await,
            Step::Start => operator.post(&format!("{path}/start"), &json!({})).await,
            Step::Reject => operator.post(&format!("{path}/reject"), &json!({"reason": "a test"})).await,
            Step::Fail => operator.post(&format!("{path}/fail"), &json!({"reason": "a test"})).await,
            Step::Confirm => operator.post(&format!("{path}/confirm"), &json!({"reference": "T-1"})).await,
        };
        let expected = if is_shut_out { Err("accountBlocked") } else { self.world.step(payout, step) };
        accepted(answer, 200, expected);
    }

    pub async fn send_batch(&mut self) {
        let currency = self.chance.below(CURRENCIES.len());
        self.tell(&format!("batch of payouts in {currency}"));
        let body = json!({"format": "wiseCsv", "currency": CURRENCIES[currency].0});
        let answer = self.app.operator().await.post_once("/v3/operator/payout-batches", &body).await;
        let world = &mut self.world;
        let is_taken = |index: &usize| {
            let payout = &world.payouts[*index];
            let is_approved = payout.currency == currency && payout.status == PayoutStatus::Approved;
            is_approved && !world.managers[payout.manager].blocked
        };
        let taken: Vec<usize> = (0..world.payouts.len()).filter(is_taken).collect();
        if taken.is_empty() {
            return refused(&answer, "batchEmpty");
        }
        let amount: i64 = taken.iter().map(|index| world.payouts[*index].amount).sum();
        for index in &taken {
            world.step(*index, Step::Start).expect("an approved payout of nobody blocked starts");
        }
        let batch = answer.expect(201);
        assert_eq!((&batch["payoutCount"], &batch["amount"]), (&json!(taken.len()), &money(amount, currency)));
    }

    pub async fn adjust(&mut self) {
        let operator = self.app.operator().await;
        let path = "/v3/operator/adjustments";
        let paid = |index: &usize| self.world.payouts[*index].status == PayoutStatus::Paid;
        let paid: Vec<usize> = (0..self.world.payouts.len()).filter(paid).collect();
        if self.chance.one_in(4) && !paid.is_empty() {
            let index = *self.chance.of(&paid);
            self.tell(&format!("return of payout {index}"));
            let payout = &mut self.world.payouts[index];
            let account = &self.world.managers[payout.manager].account.id;
            let amount = money(payout.amount, payout.currency);
            let body = json!({"accountId": account, "amount": amount, "reason": "payoutReturned", "note": "a test",
                "payoutId": payout.id});
            let answer = operator.post_once(path, &body).await;
            if std::mem::replace(&mut payout.returned, true) {
                return refused(&answer, "payoutReturnedAlready");
            }
            let (manager, currency, amount) = (payout.manager, payout.currency, payout.amount);
            let row = self.world.adjust(manager, currency, amount, "payoutReturned", None);
            self.world.rows[row].id = id(&answer.expect(201));
            return;
        }
        let manager = self.chance.below(self.world.managers.len());
        let currency = self.chance.below(CURRENCIES.len());
        let amount = (events::amount(self) + 1) * *self.chance.of(&[1, 1, -1]);
        let reason = *self.chance.of(&["correction", "bonus", "fraud", "refundReversed", "writeOff"]);
        self.tell(&format!("adjustment of {amount} in {currency} for manager {manager}"));
        let rows = self.world.rows.iter().rev().take(200).enumerate();
        let last = self.world.rows.len().saturating_sub(1);
        let about =
            rows.map(|(back, row)| (last - back, row)).find(|(_, row)| row.manager == manager && !row.is_adjustment);
        let about = about.map(|(index, _)| index).filter(|_| amount % 3 == 0);
        let body = json!({
            "accountId": self.world.managers[manager].account.id, "amount": money(amount, currency), "reason": reason,
            "note": "a test", "commissionId": about.map(|row| self.world.rows[row].id.clone()),
        });
        let answer = operator.post_once(path, &body).await;
        if !self.world.is_partner(manager) {
            return refused(&answer, "validationFailed");
        }
        if about.is_some_and(|row| self.world.rows[row].currency != currency) {
            return refused(&answer, "currencyMismatch");
        }
        let row = self.world.adjust(manager, currency, amount, reason, about);
        self.world.rows[row].id = id(&answer.expect(201));
    }
}
