//! Clients that send next to nothing for as long as they may (slowloris): each is given up in time, and nobody waits for them.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Engine, Event, TestApp, new_email, payment, run};

/// How many of each kind come at once: many more than the server has threads and connections.
const CROWD: usize = 40;

/// One more byte at a time.
const PACE: Duration = Duration::from_millis(250);

/// The server's patience with a body is 30 seconds; a busy machine adds to it.
const PATIENCE: Duration = Duration::from_secs(90);

/// Sends `start`, and then a byte now and then, until the server has had enough; gives what it said.
fn drip(address: &str, start: &str, begun: &Sender<()>) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PACE)).expect("a timeout");
    stream.write_all(start.as_bytes()).expect("the start is taken");
    begun.send(()).expect("the test listens");
    let (started, mut answer, mut buffer) = (Instant::now(), Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                assert!(started.elapsed() < PATIENCE, "the server waits for ever for {start:?}");
                // A server that has closed its side need not be told more.
                stream.write_all(b"a").ok();
            }
            Err(_) => break,
        }
    }
    String::from_utf8(answer).expect("text")
}

#[test]
fn an_export_that_is_read_slowly_ends_with_its_key() {
    run(Engine::Sqlite, async |app: &TestApp| {
        let partner = app.partner().await;
        let client = app.client_of(&partner).await;
        let container = app.container(&partner, &client).await;
        // More than the system takes ahead for a client that does not read.
        for _ in 0..8 {
            let payments: Vec<Event> = (0..1_000).map(|_| payment(&container)).collect();
            app.apply(&payments).await;
        }
        let key = app.api_key(&partner, &["commissions:read"]).await;
        let mut stream = TcpStream::connect(app.address.trim_start_matches("http://")).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let head = "GET /v3/commissions/export?format=ndjson HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
        write!(stream, "{head}X-AUTH-TOKEN: {}\r\n\r\n", key.credential()).expect("the request is taken");
        let mut start = [0; 15];
        stream.peek(&mut start).expect("an answer");
        assert_eq!(&start, b"HTTP/1.1 200 OK");
        for row in partner.login.list("/v3/api-keys").await {
            let path = format!("/v3/api-keys/{}", row["id"].as_str().expect("an id"));
            partner.login.delete(&path).await.expect(204);
        }
        let rest = actix_web::web::block(move || {
            let mut rest = Vec::new();
            // It may end as a connection does that is broken off.
            stream.read_to_end(&mut rest).ok();
            rest
        });
        let rest = rest.await.expect("the answer");
        assert!(!rest.ends_with(b"0\r\n\r\n"), "the export is whole: {} bytes", rest.len());
    });
}

#[test]
fn slow_headers_and_slow_bodies_are_given_up_while_others_are_served() {
    run(Engine::Sqlite, async |app: &TestApp| {
        let agency = app.agency().await;
        let address = app.address.trim_start_matches("http://").to_owned();
        let head = "POST /v3/accounts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
        let token = format!("Authorization: Bearer {}\r\n", agency.login.credential());
        let starts = [
            format!("{head}X-Slow: "),
            format!("{head}Content-Length: 10000\r\n\r\n{{"),
            format!("{}{token}Content-Length: 10000\r\n\r\n{{", head.replace("accounts", "sub-accounts")),
        ];
        let (sender, begun) = channel();
        let mut slow: Vec<(usize, JoinHandle<String>)> = Vec::new();
        for number in 0..3 * CROWD {
            let kind = number % starts.len();
            let (address, start, sender) = (address.clone(), starts[kind].clone(), sender.clone());
            slow.push((kind, std::thread::spawn(move || drip(&address, &start, &sender))));
        }
        begun.iter().take(3 * CROWD).for_each(drop);
        for _ in 0..5 {
            app.visitor().get("/health/ready").await.expect(200);
            agency.login.get("/v3/account").await.expect(200);
            let person = json!({"email": new_email(), "firstName": "Sam", "lastName": "Client"});
            agency.login.post("/v3/sub-accounts", &person).await.expect(201);
        }
        for (kind, client) in slow {
            let answer =
                actix_web::web::block(|| client.join().expect("the server has had enough")).await.expect("text");
            let status = answer.split(' ').nth(1).unwrap_or_default();
            assert_eq!(status, "408", "{kind}: {answer}");
            assert!(kind == 0 || answer.contains("\"requestTimeout\""), "{answer}");
        }
        assert_eq!(agency.login.list("/v3/sub-accounts").await.len(), 5);
    });
}
