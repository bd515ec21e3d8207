//! How long work shows how far it is: a bar on a terminal, a plain line every few seconds otherwise. On stderr, so that
//! stdout stays what a command answers.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Redraws a second on a terminal.
const REFRESH_HZ: u8 = 10;

/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How far a piece of work is.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    unit: &'static str,
    last_line: Instant,
}

impl Progress {
    /// Counts `unit`, up to `length` where that is known.
    #[must_use]
    pub fn start(unit: &'static str, length: Option<u64>) -> Self {
        let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(REFRESH_HZ));
        if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos}/{human_len} {msg} {wide_bar}") {
            bar.set_style(style);
        }
        bar.set_message(unit);
        Self { bar, unit, last_line: Instant::now() }
    }

    /// Shows that so many are done.
    #[expect(clippy::print_stderr, reason = "where no bar can be drawn, lines are how work shows how far it is")]
    pub fn reach(&mut self, done: u64) {
        self.bar.set_position(done);
        if self.bar.is_hidden() && self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            eprintln!("{done} {}", self.unit);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
