//! The rules of money as domain.md states them, in the plainest way that is right. Each answers as the API would: what was
//! made, or the code of the refusal.

use super::figures::{DAY, MINUTE, month, rounded, share};
use super::world::{Move, Payment, Payout, PayoutStatus, Pot, Row, Status, World};

/// A step of a payout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Cancel,
    Approve,
    Reject,
    Start,
    Confirm,
    Fail,
}

/// A payment that is to be told.
#[derive(Debug, Clone)]
pub struct NewPayment {
    pub external_id: String,
    pub container: usize,
    pub yearly: bool,
    pub amount: i64,
    pub tax: i64,
    pub currency: usize,
    pub by_client: bool,
    pub at: i64,
}

impl World {
    /// Time passes: what has been reviewed long enough is ready.
    pub fn move_clock(&mut self, now: i64) {
        self.now = now;
        while let Some((until, row)) = self.review.first().copied().filter(|(until, _)| *until <= now) {
            self.review.remove(&(until, row));
            self.rows[row].status = Status::Ready;
            self.rows[row].ready_at = Some(until);
            let Row { manager, currency, .. } = self.rows[row];
            self.post(manager, currency, self.net(row), Pot::InReview, Pot::Ready, Move::Within);
            self.touched_rows.insert(row);
        }
    }

    /// What a row is worth.
    pub fn net(&self, row: usize) -> i64 {
        self.rows[row].amount - self.rows[row].reversed
    }

    /// A client or manager paid; the row that it made.
    pub fn pay(&mut self, new: &NewPayment) -> Result<Option<usize>, &'static str> {
        if new.at > self.now + 5 * MINUTE {
            return Err("occurredInFuture");
        }
        if self.payments.iter().rev().take(50).any(|payment| payment.external_id == new.external_id) {
            return Err("paymentExists");
        }
        let owner = self.owner_at(new.container, new.at);
        let row = self.manager_at(owner, new.at).map(|manager| self.earn(manager, owner, new));
        self.payments.push(Payment {
            external_id: new.external_id.clone(),
            amount: new.amount,
            currency: new.currency,
            refunded: 0,
            row,
        });
        Ok(row)
    }

    fn earn(&mut self, manager: usize, owner: usize, new: &NewPayment) -> usize {
        let program = self.program_at(new.at);
        let (version, days) = (program.version, program.review_days[usize::from(new.yearly)]);
        let terms = self.rate_at(manager, new.at, self.containers[new.container].product);
        let base = new.amount - new.tax;
        let amount = terms.map_or(0, |(rate, _)| share(base, rate));
        let reason = match terms {
            _ if !new.by_client => Some("paidByManager"),
            None => Some("notPartnerThen"),
            Some(_) if base == 0 => Some("zeroBase"),
            Some((0, _)) => Some("zeroRate"),
            Some(_) if amount == 0 => Some("roundedToZero"),
            Some(_) => None,
        };
        let amount = if reason.is_none() { amount } else { 0 };
        let review_until = reason.is_none().then_some(new.at + days * DAY);
        let is_ready = review_until.is_some_and(|until| until <= self.now);
        let status = match reason {
            Some(_) => Status::NoCommission,
            None if is_ready => Status::Ready,
            None => Status::InReview,
        };
        let index = self.add(Row {
            status,
            reason: reason.map(str::to_owned),
            client: Some(owner),
            base: Some(base),
            rate: terms.map(|(rate, _)| rate),
            level: terms.map(|(_, level)| level),
            version: Some(version),
            review_until,
            ready_at: review_until.filter(|_| is_ready),
            ..blank(manager, new.currency, amount)
        });
        if let Some(until) = review_until {
            self.post(manager, new.currency, amount, Pot::Program, Pot::InReview, Move::Earned);
            if is_ready {
                self.post(manager, new.currency, amount, Pot::InReview, Pot::Ready, Move::Within);
            } else {
                self.review.insert((until, index));
            }
        }
        index
    }

    fn add(&mut self, row: Row) -> usize {
        self.rows.push(row);
        self.touched_rows.insert(self.rows.len() - 1);
        self.rows.len() - 1
    }

    /// A payment goes back; the adjustment that it made, if any.
    pub fn refund(&mut self, payment: usize, amount: i64, reason: &str) -> Result<Option<usize>, &'static str> {
        let Payment { amount: paid, refunded, row, .. } = self.payments[payment];
        if refunded + amount > paid {
            return Err("refundExceedsPayment");
        }
        self.payments[payment].refunded += amount;
        let Some(index) = row.filter(|row| self.rows[*row].status != Status::NoCommission) else { return Ok(None) };
        let old = self.rows[index].clone();
        let total = rounded(i128::from(old.amount) * i128::from(refunded + amount), i128::from(paid));
        let delta = total - (old.reversed + old.taken_by_adjustments);
        if delta == 0 {
            return Ok(None);
        }
        self.touched_rows.insert(index);
        if !matches!(old.status, Status::InReview | Status::Ready) {
            self.rows[index].taken_by_adjustments += delta;
            return Ok(Some(self.adjust(old.manager, old.currency, -delta, reason, Some(index))));
        }
        let pot = if old.status == Status::InReview { Pot::InReview } else { Pot::Ready };
        self.rows[index].reversed += delta;
        if self.net(index) == 0 {
            self.rows[index].status = Status::Reversed;
            if let Some(until) = old.review_until {
                self.review.remove(&(until, index));
            }
        }
        self.post(old.manager, old.currency, delta, pot, Pot::Program, Move::Reversed);
        Ok(None)
    }

    /// An adjustment is ready at once.
    pub fn adjust(
        &mut self,
        manager: usize,
        currency: usize,
        amount: i64,
        reason: &str,
        about: Option<usize>,
    ) -> usize {
        self.post(manager, currency, amount, Pot::Program, Pot::Ready, Move::Adjusted);
        self.add(Row {
            is_adjustment: true,
            status: Status::Ready,
            reason: Some(reason.to_owned()),
            client: about.and_then(|row| self.rows[row].client),
            ready_at: Some(self.now),
            adjusts: about,
            ..blank(manager, currency, amount)
        })
    }

    /// What a payout request of a currency would be refused with.
    pub fn refusal(&self, manager: usize, currency: usize) -> Option<&'static str> {
        if !self.is_partner(manager) {
            return Some("notPartner");
        }
        if self.managers[manager].blocked {
            return Some("accountBlocked");
        }
        if self.balance(manager, currency, Pot::Ready) <= self.program().minimums[currency] {
            return Some("belowMinimum");
        }
        (!self.managers[manager].methods.contains_key(&currency)).then_some("payoutMethodMissing")
    }

    /// A payout takes every ready row of the currency.
    pub fn request(&mut self, manager: usize, currency: usize) -> Result<usize, &'static str> {
        if let Some(refusal) = self.refusal(manager, currency) {
            return Err(refusal);
        }
        let index = self.payouts.len();
        let is_taken = |row: &Row| row.manager == manager && row.currency == currency && row.status == Status::Ready;
        let lines: Vec<usize> = (0..self.rows.len()).filter(|row| is_taken(&self.rows[*row])).collect();
        let mut amount = 0;
        for line in &lines {
            let net = self.net(*line);
            amount += net;
            self.rows[*line].status = Status::InPayout;
            self.rows[*line].payout = Some(index);
            self.post(manager, currency, net, Pot::Ready, Pot::InPayout, Move::Within);
        }
        self.touched_rows.extend(&lines);
        let (year, _) = month(self.now);
        let count = self.managers[manager].numbers.entry(year).or_default();
        *count += 1;
        let number = format!("{year}-{count:04}");
        self.payouts.push(Payout {
            id: String::new(),
            number,
            manager,
            currency,
            amount,
            lines,
            status: PayoutStatus::Requested,
            requested_at: self.now,
            by_schedule: false,
            closed_at: None,
            returned: false,
        });
        self.touched_payouts.insert(index);
        Ok(index)
    }

    /// Takes a step of a payout.
    pub fn step(&mut self, payout: usize, step: Step) -> Result<(), &'static str> {
        use PayoutStatus::{Approved, Canceled, Failed, Paid, Processing, Rejected, Requested};
        let old = self.payouts[payout].status;
        let new = match (old, step) {
            (Requested, Step::Cancel) => Canceled,
            (Requested, Step::Approve) => Approved,
            (Requested | Approved, Step::Reject) => Rejected,
            (Approved, Step::Start) => Processing,
            (Processing, Step::Confirm) => Paid,
            (Processing, Step::Fail) => Failed,
            _ => return Err("invalidTransition"),
        };
        if matches!(step, Step::Approve | Step::Start) && self.managers[self.payouts[payout].manager].blocked {
            return Err("accountBlocked");
        }
        self.payouts[payout].status = new;
        self.touched_payouts.insert(payout);
        let (status, pot, why) = match new {
            Canceled | Rejected | Failed => (Status::Ready, Pot::Ready, Move::Within),
            Paid => (Status::Paid, Pot::Paid, Move::PaidOut),
            Requested | Approved | Processing => return Ok(()),
        };
        self.payouts[payout].closed_at = Some(self.now);
        for line in self.payouts[payout].lines.clone() {
            self.rows[line].status = status;
            if new != Paid {
                self.rows[line].payout = None;
            }
            let Row { manager, currency, .. } = self.rows[line];
            self.post(manager, currency, self.net(line), Pot::InPayout, pot, why);
            self.touched_rows.insert(line);
        }
        Ok(())
    }

    /// Raises a partner's level where its figures reach a higher one and no pin holds it.
    pub fn rise(&mut self, manager: usize) {
        let earned = self.earned_level(manager);
        let levels = &mut self.managers[manager].levels;
        if levels.newest().is_some_and(|(level, pinned)| !pinned && *level < earned) {
            levels.push(self.now, (earned, false));
        }
    }

    /// The operator sets a level, a pin, or both.
    pub fn decide(&mut self, manager: usize, level: Option<usize>, pinned: Option<bool>) -> Result<(), &'static str> {
        let Some((present, is_pinned)) = self.managers[manager].levels.newest().copied() else {
            return Err("notPartner");
        };
        let earned = self.earned_level(manager);
        let is_below = level.is_some_and(|level| level < earned);
        if is_below && pinned == Some(false) {
            return Err("validationFailed");
        }
        let pin = pinned.unwrap_or(is_pinned || is_below);
        let mut next = level.unwrap_or(present);
        if pinned == Some(false) && is_pinned {
            next = next.max(earned);
        }
        if (next, pin) != (present, is_pinned) {
            self.managers[manager].levels.push(self.now, (next, pin));
        }
        self.touched_managers.insert(manager);
        Ok(())
    }
}

fn blank(manager: usize, currency: usize, amount: i64) -> Row {
    Row {
        id: String::new(),
        manager,
        is_adjustment: false,
        status: Status::NoCommission,
        reason: None,
        client: None,
        currency,
        base: None,
        rate: None,
        level: None,
        version: None,
        amount,
        reversed: 0,
        taken_by_adjustments: 0,
        review_until: None,
        ready_at: None,
        payout: None,
        adjusts: None,
    }
}
