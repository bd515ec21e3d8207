//! The product against a simple model: thousands of random operations through the public API, and after each the server
//! and the model must agree on balances, statuses and payouts.
//!
//! The model is written from the rules alone (`rules`), shares no code with the product, and keeps everything in plain
//! vectors. `STAPE_MODEL_OPERATIONS` sets how many operations a run has, `STAPE_MODEL_SEED` replays one: the seed is
//! printed at the start, and with the last operations when a run fails.

mod chance;
mod compare;
mod events;
mod figures;
mod finish;
mod operations;
mod payouts;
mod rules;
mod schedules;
mod setting;
mod world;

use std::io::Write;

use crate::support::{TestApp, both_engines};
use chance::Chance;
use operations::Play;

both_engines!(the_server_and_a_simple_model_agree_after_every_operation);

/// Operations of a run where nothing else is said.
const OPERATIONS: usize = 2_000;

/// How often in a run every row is compared, and not only what was touched.
const FULL_COMPARISONS: usize = 5;

async fn the_server_and_a_simple_model_agree_after_every_operation(app: &TestApp) {
    let seed = setting("STAPE_MODEL_SEED").unwrap_or_else(Chance::any_seed);
    let count = setting("STAPE_MODEL_OPERATIONS").unwrap_or(OPERATIONS);
    // Past the capture of the test harness: a run that hangs has said its seed, too.
    writeln!(std::io::stderr(), "model: STAPE_MODEL_SEED={seed} STAPE_MODEL_OPERATIONS={count}").ok();
    let mut play = setting::set_up(app, Chance::new(seed)).await;
    for part in 1..=FULL_COMPARISONS {
        while play.done < count * part / FULL_COMPARISONS {
            play.act().await;
            compare::touched(&mut play).await;
        }
        compare::everything(&mut play).await;
    }
    finish::books_close(&mut play).await;
    writeln!(std::io::stderr(), "model: {} agree: {}", play.done, play.world.census()).ok();
}

fn setting<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

impl Drop for Play<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("after {} operations; the last ones:\n{}", self.done, self.story());
        }
    }
}
