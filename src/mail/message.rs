//! From what a letter says to a MIME message: plain text and HTML. Headers are only ever made by the mail library, which
//! encodes or refuses whatever could break out of one.

use lettre::Message;
use lettre::error::Error as MessageError;
use lettre::message::header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, MultiPart, SinglePart};

use super::Content;
use crate::clock::Timestamp;
use crate::id::MailId;

/// The longest line that 7bit allows (RFC 5322 section 2.1.1), without its end.
const MAX_LINE: usize = 998;

/// RFC 3834: no out-of-office note shall answer.
#[derive(Debug, Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The message, with the same `Message-ID` however often it is built.
pub(super) fn build(
    from: &Mailbox,
    to: Mailbox,
    id: MailId,
    date: Timestamp,
    content: &Content,
) -> Result<Message, MessageError> {
    let part = |content_type, text| SinglePart::builder().header(content_type).body(body(text));
    Message::builder()
        .from(from.clone())
        .to(to)
        .subject(one_line(&content.subject))
        .date(std::time::SystemTime::from(date.naive().and_utc()))
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .header(AutoSubmitted)
        .multipart(
            MultiPart::alternative()
                .singlepart(part(ContentType::TEXT_PLAIN, content.text()))
                .singlepart(part(ContentType::TEXT_HTML, content.html())),
        )
}

/// The mail library panics at a name with a line break; nothing that the API takes has one.
pub(super) fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// ASCII stays readable as it is, so that links can be followed in any reader; the library chooses for other text.
fn body(text: String) -> Body {
    if text.is_ascii() && text.lines().all(|line| line.len() <= MAX_LINE) {
        return Body::dangerous_pre_encoded(text.replace('\n', "\r\n").into_bytes(), ContentTransferEncoding::SevenBit);
    }
    Body::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Letter;

    fn message(letter: &Letter, name: &str) -> String {
        let from = "Stape <no-reply@localhost>".parse().unwrap();
        let to = Mailbox::new(Some(one_line(name)), "ann@agency.example".parse().unwrap());
        let date = "2026-01-31T12:00:00Z".parse().unwrap();
        let content = letter.content("http://127.0.0.1:8080", Some(&"t".repeat(43)));
        let message = build(&from, to, MailId::new(date), date, &content).unwrap();
        String::from_utf8(message.formatted()).unwrap()
    }

    #[test]
    fn a_link_is_not_broken_by_an_encoding() {
        let text = message(&Letter::PasswordReset, "Ann");
        let link = format!("http://127.0.0.1:8080/password-reset?token={}", "t".repeat(43));
        assert!(text.lines().any(|line| line == link), "{text}");
        assert!(text.contains("Date: Sat, 31 Jan 2026 12:00:00 +0000"), "{text}");
    }

    #[test]
    fn no_name_breaks_out_of_its_header() {
        let letter = Letter::Detached { manager: "Ä\r\nBcc: all@agency.example\r\n\r\nHi".to_owned() };
        let text = message(&letter, "Ann\r\nBcc: other@agency.example");
        let (headers, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!headers.lines().any(|line| line.starts_with("Bcc:")), "{text}");
    }
}
