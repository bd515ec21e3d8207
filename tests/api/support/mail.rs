//! The mails that a server sent, as the people they went to read them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mail_parser::{Message, MessageParser};

use super::TestApp;

/// Mails are promised within 5 seconds of the answer; a busy machine adds to it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A mail, taken apart.
#[derive(Debug, Clone)]
pub struct Mail {
    pub message_id: String,
    pub to: String,
    pub to_name: String,
    pub from: String,
    pub subject: String,
    pub text: String,
    pub html: String,
}

impl Mail {
    /// Reads a message as it went over the wire.
    pub fn read(bytes: &[u8]) -> Self {
        let message: Message = MessageParser::default().parse(bytes).expect("a message");
        let to = message.to().and_then(|to| to.first()).expect("a recipient");
        let from = message.from().and_then(|from| from.first()).expect("a sender");
        Self {
            message_id: message.message_id().expect("a Message-ID").to_owned(),
            to: to.address().expect("an address").to_owned(),
            to_name: to.name().unwrap_or_default().to_owned(),
            from: from.address().expect("an address").to_owned(),
            subject: message.subject().expect("a subject").to_owned(),
            text: message.body_text(0).expect("a text").into_owned(),
            html: message.body_html(0).expect("HTML").into_owned(),
        }
    }

    /// The link in the text.
    pub fn link(&self) -> &str {
        self.text.lines().find(|line| line.starts_with("http")).expect("a link")
    }

    /// The token of the link.
    pub fn token(&self) -> String {
        self.link().split_once("?token=").expect("a token in the query").1.to_owned()
    }
}

impl TestApp {
    /// The mails to this address so far, oldest first.
    pub fn mails_to(&self, email: &str) -> Vec<Mail> {
        let entries = std::fs::read_dir(&self.settings.mail.dir).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
        paths.sort();
        let mails = paths.iter().map(|path| Mail::read(&std::fs::read(path).expect("a mail can be read")));
        mails.filter(|mail| mail.to == email).collect()
    }

    /// The mail to this address whose subject has these words; waits as long as may be.
    pub async fn mail_to(&self, email: &str, words: &str) -> Mail {
        let started = Instant::now();
        loop {
            let mails = self.mails_to(email);
            if let Some(mail) = mails.iter().rev().find(|mail| mail.subject.contains(words)) {
                return mail.clone();
            }
            assert!(started.elapsed() < PATIENCE, "no mail {words:?} to {email} among {mails:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until everything that was written to the outbox has left it.
    pub async fn all_mails_sent(&self) {
        let started = Instant::now();
        while self.waiting_mails() > 0 {
            assert!(started.elapsed() < PATIENCE, "the outbox is not empty");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many letters wait in the outbox.
    pub fn waiting_mails(&self) -> i64 {
        use diesel::prelude::*;
        use stape_api::db::schema::mails;
        let count = |conn: &mut _| Ok(mails::table.count().get_result(conn)?);
        self.database.connect().read_blocking(count).expect("the outbox can be read")
    }
}
