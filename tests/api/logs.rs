//! What a server writes down.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Process, beside};

/// What a server says of a request that it cannot serve, for its database has gone.
async fn logged_failure(format: &str) -> String {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let log = std::fs::File::create(directory.path().join("log")).expect("a file");
    let mut command = beside(&directory, &["serve"]);
    command.env("STAPE_LOG_FORMAT", format).stderr(log);
    let server = Process::start_logging(command);
    std::fs::rename(directory.path().join("stape.db"), directory.path().join("gone.db")).expect("it can be moved");
    let request = server.visitor().request(reqwest::Method::GET, "/health/ready").header("x-request-id", "mine-7");
    request.send().await.problem("serviceUnavailable");
    drop(server);
    std::fs::read_to_string(directory.path().join("log")).expect("the log")
}

#[actix_web::test]
async fn the_cause_of_a_failure_is_logged_with_the_requests_id() {
    let text = logged_failure("text").await;
    let with_id = |line: &&str| line.contains("requestId=mine-7");
    assert!(text.lines().filter(with_id).any(|line| line.contains("ERROR") && line.contains("unavailable")), "{text}");
    assert!(text.lines().filter(with_id).any(|line| line.contains("GET /health/ready 503")), "{text}");
    let json = logged_failure("json").await;
    let lines = json.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_request: Vec<Value> = lines.filter(|line| line["requestId"] == "mine-7").collect();
    assert!(of_request.iter().any(|line| line["level"] == "ERROR"), "{json}");
}

#[actix_web::test]
async fn what_goes_on_failing_is_logged_when_it_begins() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let log = std::fs::File::create(directory.path().join("log")).expect("a file");
    let mut command = beside(&directory, &["serve", "--no-migrate"]);
    command.stderr(log);
    let server = Process::start_logging(command);
    tokio::time::sleep(Duration::from_secs(6)).await;
    drop(server);
    let log = std::fs::read_to_string(directory.path().join("log")).expect("the log");
    let times = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!(times("the outbox: database: no such table: mails"), 1, "{log}");
    assert_eq!(times("scheduled payouts: database: no such table: "), 1, "{log}");
}

#[actix_web::test]
async fn what_is_no_request_is_no_error_of_the_server() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let log = std::fs::File::create(directory.path().join("log")).expect("a file");
    let mut command = beside(&directory, &["serve"]);
    command.stderr(log);
    let server = Process::start_logging(command);
    let mut stream = TcpStream::connect(server.address.trim_start_matches("http://")).expect("a connection");
    stream.write_all(b"NO\x00NSENSE\r\n\r\n").expect("it is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    drop(server);
    let log = std::fs::read_to_string(directory.path().join("log")).expect("the log");
    assert!(!log.contains("ERROR"), "{log}");
}
