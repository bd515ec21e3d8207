//! The ways out: an SMTP server, or a folder of `.eml` files. Knows no database; waits as long as the network does.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::{SmtpTransport, Transport};

use super::{Content, message};
use crate::clock::Timestamp;
use crate::config::{MailSettings, SettingError};
use crate::id::MailId;

/// How long each step of a delivery may take.
const SMTP_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than a delivery takes, connection and all steps.
const SMTP_LEASE_S: i64 = 120;
/// Longer than writing a file takes.
const FOLDER_LEASE_S: i64 = 10;

/// Why a letter was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// A name or address that fits into no message.
    #[error("message: {0}")]
    Message(#[from] lettre::error::Error),
    /// An address that is none.
    #[error("address: {0}")]
    Address(#[from] lettre::address::AddressError),
    /// What the SMTP server or the way to it said.
    #[error("SMTP: {0}")]
    Smtp(#[from] lettre::transport::smtp::Error),
    /// What the folder said.
    #[error("folder: {0}")]
    Folder(#[from] std::io::Error),
}

/// Delivers letters in the sender's name.
#[derive(Debug)]
pub struct Mailer {
    from: Mailbox,
    route: Route,
}

#[derive(Debug)]
enum Route {
    Smtp(Box<SmtpTransport>),
    Folder(PathBuf),
}

impl Mailer {
    /// As the settings say. Connects nowhere; makes the folder where there is no SMTP server.
    ///
    /// # Errors
    /// The setting that cannot be used.
    pub fn new(settings: &MailSettings) -> Result<Self, SettingError> {
        let no_address = "must be an e-mail address with or without a name, such as `Stape <no-reply@example.com>`";
        let from = settings.from.parse().map_err(|_| SettingError::new("STAPE_MAIL_FROM", no_address))?;
        let route = match &settings.smtp_url {
            Some(url) => Route::Smtp(Box::new(smtp(url.reveal())?)),
            None => Route::Folder(folder(&settings.dir)?),
        };
        Ok(Self { from, route })
    }

    /// For how long a letter must be claimed to be delivered in peace, in seconds.
    #[must_use]
    pub const fn lease_s(&self) -> i64 {
        match self.route {
            Route::Smtp(_) => SMTP_LEASE_S,
            Route::Folder(_) => FOLDER_LEASE_S,
        }
    }

    /// Delivers a letter to a person. A repeated delivery has the same `Message-ID`, or replaces the file.
    ///
    /// # Errors
    /// Whatever stood in the way; nothing says that the letter did not arrive all the same.
    pub fn deliver(
        &self,
        id: MailId,
        date: Timestamp,
        (name, email): (&str, &str),
        content: &Content,
    ) -> Result<(), DeliveryError> {
        let to = Mailbox::new(Some(message::one_line(name)), email.parse()?);
        let message = message::build(&self.from, to, id, date, content)?;
        match &self.route {
            Route::Smtp(transport) => transport.send(&message).map(|_| ()).map_err(DeliveryError::from),
            Route::Folder(folder) => Ok(write(folder, &format!("{id}.eml"), &message.formatted())?),
        }
    }
}

fn smtp(url: &str) -> Result<SmtpTransport, SettingError> {
    // The library's own message could repeat the password.
    let unusable =
        || SettingError::new("STAPE_SMTP_URL", "must be smtp://, smtp://…?tls=required or smtps://, with a host");
    let parsed = url::Url::parse(url).map_err(|_| unusable())?;
    if !matches!(parsed.scheme(), "smtp" | "smtps") || parsed.host_str().is_none_or(str::is_empty) {
        return Err(unusable());
    }
    let builder = SmtpTransport::from_url(url).map_err(|_| unusable())?;
    Ok(builder.timeout(Some(SMTP_TIMEOUT)).build())
}

fn folder(path: &Path) -> Result<PathBuf, SettingError> {
    std::fs::create_dir_all(path)
        .and_then(|()| std::path::absolute(path))
        .map_err(|error| SettingError::new("STAPE_MAIL_DIR", format!("{}: {error}", path.display())))
}

/// A reader sees the whole file or none; only the server's user reads it, for it may hold a secret.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".").suffix(".tmp").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(folder.join(name))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_url(url: &str) -> Result<Mailer, SettingError> {
        mailer(url, "Stape <no-reply@localhost>")
    }

    fn mailer(url: &str, from: &str) -> Result<Mailer, SettingError> {
        let dir = PathBuf::from("unused");
        Mailer::new(&MailSettings { smtp_url: url.parse().ok(), from: from.to_owned(), dir })
    }

    #[test]
    fn a_sender_is_an_address_with_or_without_a_name() {
        for from in ["no-reply@example.com", "Stape Partners <no-reply@example.com>"] {
            mailer("smtp://127.0.0.1", from).unwrap();
        }
        for from in ["Stape", "", "Stape <no-reply>"] {
            let error = mailer("smtp://127.0.0.1", from).unwrap_err().to_string();
            assert!(error.starts_with("STAPE_MAIL_FROM: must be an e-mail address"), "{error}");
        }
    }

    #[test]
    fn an_smtp_server_is_named_by_its_url() {
        for url in
            ["smtp://127.0.0.1:2525", "smtp://user:p%40ss@mail.example.com?tls=required", "smtps://mail.example.com"]
        {
            with_url(url).unwrap();
        }
    }

    #[test]
    fn a_url_that_names_none_is_refused_without_its_password() {
        for url in ["http://user:hunter2@mail", "smtp://user:hunter2@mail?tls=maybe", "mail", "smtp://", "smtp:hunter2"]
        {
            let error = with_url(url).unwrap_err().to_string();
            assert!(error.starts_with("STAPE_SMTP_URL: ") && !error.contains("hunter2"), "{error}");
        }
    }
}
