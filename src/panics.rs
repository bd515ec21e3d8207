//! Panics: faults of ours. Whoever asked for the work gets an error, and the log has the place where it happened.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

use crate::error::Error;

/// What is answered instead of what a caught panic kept from being made; it holds what the panic said.
#[must_use]
pub fn caught(panic: &(dyn Any + Send)) -> Error {
    Error::internal(format!("panic: {}", message(panic)))
}

/// Has every panic logged as one record, with its place and its thread. What it was about is told by whoever catches it.
pub fn log_all() {
    std::panic::set_hook(Box::new(log));
}

fn log(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let message = message(panic.payload());
    // As RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    let frames = match backtrace.status() {
        BacktraceStatus::Captured => format!("\n{backtrace}"),
        _ => String::new(),
    };
    log::error!(thread, location = location.as_str(); "panic at {location}, thread {thread}: {message}{frames}");
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::config::LogFormat;
    use crate::telemetry;

    /// Set where a test runs in a process of its own, for a hook is the whole process's.
    const ALONE: &str = "STAPE_TEST_PANICS";

    #[test]
    fn a_panic_is_one_record_with_its_place_and_an_error_that_says_what_it_said() {
        if std::env::var_os(ALONE).is_some() {
            telemetry::start(LogFormat::Json).unwrap();
            let panicking =
                std::thread::Builder::new().name("worker".to_owned()).spawn(|| panic!("{} rows", 7)).unwrap();
            let error = caught(panicking.join().unwrap_err().as_ref());
            assert!(matches!(error, Error::Internal(cause) if cause == "panic: 7 rows"));
            return;
        }
        let name = "panics::tests::a_panic_is_one_record_with_its_place_and_an_error_that_says_what_it_said";
        let mut alone = Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", name, "--nocapture"]).env(ALONE, "1").env_remove("RUST_LOG").env("RUST_BACKTRACE", "1");
        let output = alone.output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{log}");
        let records: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [record] = records.as_slice() else { panic!("{log}") };
        assert_eq!((&record["level"], &record["thread"]), (&"ERROR".into(), &"worker".into()));
        let location = record["location"].as_str().unwrap();
        assert!(location.starts_with("src/panics.rs:"), "{location}");
        let told = format!("panic at {location}, thread worker: 7 rows\n");
        assert!(record["message"].as_str().unwrap().starts_with(&told), "{log}");
    }
}
