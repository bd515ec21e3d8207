//! Strangers that make the server work: it does not grow with them.

#![cfg(target_os = "linux")]

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Client, Process, beside};

/// What the build for tests takes by itself, the memory of two hashes, and as much again.
const BOUND_KIB: u64 = 256 * 1024;

/// The most memory that a process had at once.
fn peak_kib(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.child.id())).expect("its status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    peak.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[actix_web::test]
async fn a_crowd_that_signs_in_takes_the_memory_of_two_hashes() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut command = beside(&directory, &["serve"]);
    command.env("STAPE_RATE_LIMIT", "off");
    let server = Process::start(command);
    let visitors: Vec<Client> = (0..40).map(|_| server.visitor()).collect();
    for _ in 0..5 {
        let sign_ins = visitors.iter().map(|visitor| async {
            let nobody = json!({"email": "nobody@example.com", "password": "not the password"});
            visitor.post("/v3/sessions", &nobody).await.problem("invalidCredentials");
        });
        join_all(sign_ins).await;
    }
    let peak = peak_kib(&server);
    assert!(peak < BOUND_KIB, "{peak} KiB");
}
