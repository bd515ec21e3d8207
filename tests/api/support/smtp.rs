//! A small SMTP server on loopback: takes every message, unless it is told to refuse some first.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::Mail;

/// A message with its envelope.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub sender: String,
    pub recipients: Vec<String>,
    pub mail: Mail,
}

#[derive(Debug, Default)]
struct State {
    deliveries: Vec<Delivery>,
    refusals_left: usize,
    refused: usize,
}

/// The server; its thread ends with the tests.
#[derive(Debug, Clone)]
pub struct SmtpServer {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl SmtpServer {
    /// Starts on a free port; the first `refusals` messages are told to come again.
    pub fn start(refusals: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State { refusals_left: refusals, ..State::default() }));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { address, state }
    }

    /// What has arrived.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.state().deliveries.clone()
    }

    /// How many messages were refused.
    pub fn refused(&self) -> usize {
        self.state().refused
    }

    /// Waits until so many messages have arrived.
    pub async fn expect(&self, count: usize, patience: Duration) -> Vec<Delivery> {
        let started = Instant::now();
        loop {
            let deliveries = self.deliveries();
            if deliveries.len() >= count {
                return deliveries;
            }
            assert!(started.elapsed() < patience, "{count} messages expected: {deliveries:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("the state")
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).split(b'\n');
    let say = |text: &str| (&mut &*stream).write_all(format!("{text}\r\n").as_bytes()).ok();
    say("220 mail.test ESMTP")?;
    let (mut sender, mut recipients) = (String::new(), Vec::new());
    loop {
        let line = String::from_utf8(lines.next()?.ok()?).ok()?.trim_end().to_owned();
        let address = || line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        match line.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" => say("250-mail.test\r\n250 8BITMIME")?,
            "MAIL" => {
                sender = address();
                say("250 ok")?;
            }
            "RCPT" => {
                recipients.push(address());
                say("250 ok")?;
            }
            "DATA" => {
                say("354 go on")?;
                let message = read_message(&mut lines)?;
                let mut state = state.lock().ok()?;
                if state.refusals_left > 0 {
                    state.refusals_left -= 1;
                    state.refused += 1;
                    say("451 not now")?;
                    continue;
                }
                let recipients = std::mem::take(&mut recipients);
                state.deliveries.push(Delivery { sender: sender.clone(), recipients, mail: Mail::read(&message) });
                say("250 kept")?;
            }
            "QUIT" => return say("221 bye"),
            _ => say("250 ok")?,
        }
    }
}

fn read_message(lines: &mut impl Iterator<Item = std::io::Result<Vec<u8>>>) -> Option<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let line = lines.next()?.ok()?;
        if line == b".\r" {
            return Some(message);
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        message.push(b'\n');
    }
}
