//! Mails: written with their cause, delivered soon, once, to a folder or over SMTP.

use std::time::{Duration, Instant};

use diesel::RunQueryDsl;
use serde_json::json;
use stape_api::db::Conn;

use crate::support::{Mail, PASSWORD, SmtpServer, TestApp, both_engines};

both_engines!(
    a_late_letter_leaves_the_link_of_a_newer_one_alone,
    a_letter_that_failed_is_tried_again,
    a_letter_whose_link_would_be_over_is_not_sent,
    a_link_begins_with_the_public_url,
    a_new_password_takes_waiting_letters_with_links_along,
    a_recipient_who_cannot_be_read_keeps_no_other_letter_waiting,
    an_invitation_is_not_sent_to_somebody_who_has_a_password,
    metrics_tell_of_letters_that_wait_and_fail,
    a_refused_request_sends_nothing,
    names_of_all_alphabets_arrive,
    over_smtp_a_mail_reaches_its_recipient_alone,
    the_outbox_keeps_nothing_that_was_sent,
    two_servers_deliver_a_letter_once,
    without_a_server_mails_are_files,
);

/// How long a second attempt may take to come; a busy machine adds to it.
const PATIENCE: Duration = Duration::from_secs(30);

async fn ask_for_password(app: &TestApp, email: &str) {
    app.visitor().post("/v3/password-resets", &json!({"email": email})).await.expect(202);
}

async fn without_a_server_mails_are_files(app: &TestApp) {
    let agency = app.agency().await;
    ask_for_password(app, &agency.email).await;
    let mail = app.mail_to(&agency.email, "new password").await;
    assert_eq!((mail.from.as_str(), mail.to_name.as_str()), ("no-reply@localhost", "Robin Doe"));
    assert!(mail.html.contains(&mail.token()), "{}", mail.html);
    for entry in std::fs::read_dir(&app.settings.mail.dir).expect("the outbox") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        let extension = std::path::Path::new(&name).extension();
        assert!(name.starts_with("mai_") && extension.is_some_and(|extension| extension == "eml"), "{name}");
    }
}

async fn a_link_begins_with_the_public_url(app: &TestApp) {
    let other = app.another(|settings| {
        settings.public_url = Some("https://partners.example.com/app/".parse().expect("a URL"));
    });
    let other = other.await;
    let agency = other.agency().await;
    ask_for_password(&other, &agency.email).await;
    let mail = other.mail_to(&agency.email, "new password").await;
    other.stop().await;
    let prefix = "https://partners.example.com/app/password-reset?token=";
    assert!(mail.link().starts_with(prefix), "{}", mail.link());
}

async fn names_of_all_alphabets_arrive(app: &TestApp) {
    let agency = app.agency().await;
    let company = json!({"companyName": "Łódź & \"Söhne\", 株式会社"});
    agency.login.patch("/v3/account", &company).await.expect(200);
    let body = json!({"email": "zoe@example.com", "firstName": "Zoë", "lastName": "O'Brien, <b>", "role": "member"});
    agency.login.post("/v3/members", &body).await.expect(201);
    let mail = app.mail_to("zoe@example.com", "invites you").await;
    assert_eq!(mail.to_name, "Zoë O'Brien, <b>");
    assert!(mail.subject.starts_with("Łódź & \"Söhne\", 株式会社 ("), "{}", mail.subject);
    assert!(mail.text.contains("Łódź & \"Söhne\", 株式会社"), "{}", mail.text);
    assert!(mail.html.contains("Łódź &amp; &quot;Söhne&quot;, 株式会社"), "{}", mail.html);
    assert_eq!(mail.token().len(), 43);
}

async fn a_refused_request_sends_nothing(app: &TestApp) {
    let agency = app.agency().await;
    let body = json!({"email": agency.email, "firstName": "A", "lastName": "B", "role": "member"});
    agency.login.post("/v3/members", &body).await.problem("emailTaken");
    app.all_mails_sent().await;
    assert!(app.mails_to(&agency.email).is_empty());
}

async fn the_outbox_keeps_nothing_that_was_sent(app: &TestApp) {
    let agency = app.agency().await;
    ask_for_password(app, &agency.email).await;
    ask_for_password(app, "nobody@example.com").await;
    app.mail_to(&agency.email, "new password").await;
    app.all_mails_sent().await;
    assert!(app.mails_to("nobody@example.com").is_empty());
}

/// A server of its own that sends over SMTP.
async fn with_smtp(app: &TestApp, smtp: &SmtpServer) -> TestApp {
    let url = format!("smtp://{}", smtp.address);
    app.another(|settings| {
        settings.mail.smtp_url = url.parse().ok();
        "Stape Partners <partners@stape.test>".clone_into(&mut settings.mail.from);
    })
    .await
}

async fn over_smtp_a_mail_reaches_its_recipient_alone(app: &TestApp) {
    let smtp = SmtpServer::start(0);
    let sender = with_smtp(app, &smtp).await;
    let agency = sender.agency().await;
    ask_for_password(&sender, &agency.email).await;
    let delivery = smtp.expect(1, Duration::from_secs(5)).await.remove(0);
    sender.all_mails_sent().await;
    sender.stop().await;
    assert_eq!(delivery.sender, "partners@stape.test");
    assert_eq!(delivery.recipients, [agency.email.as_str()]);
    assert_eq!((&delivery.mail.to, delivery.mail.from.as_str()), (&agency.email, "partners@stape.test"));
    assert_eq!(delivery.mail.subject, "Set a new password");
    assert!(delivery.mail.message_id.ends_with("@stape.test"), "{}", delivery.mail.message_id);
    assert_eq!(smtp.deliveries().len(), 1);
}

async fn a_letter_that_failed_is_tried_again(app: &TestApp) {
    let smtp = SmtpServer::start(1);
    let sender = with_smtp(app, &smtp).await;
    let agency = sender.agency().await;
    ask_for_password(&sender, &agency.email).await;
    let delivery = smtp.expect(1, Duration::from_secs(20)).await.remove(0);
    assert_eq!(smtp.refused(), 1);
    let confirm = json!({"token": delivery.mail.token(), "password": "Oboe.marsh-4811"});
    sender.visitor().post("/v3/password-resets/confirm", &confirm).await.expect(204);
    sender.stop().await;
}

/// Waits until so many messages were refused.
async fn refused(smtp: &SmtpServer, count: usize) {
    let begun = Instant::now();
    while smtp.refused() < count {
        assert!(begun.elapsed() < PATIENCE, "{} were refused", smtp.refused());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn confirm(app: &TestApp, token: &str) -> u16 {
    let confirm = json!({"token": token, "password": "Oboe.marsh-4811"});
    app.visitor().post("/v3/password-resets/confirm", &confirm).await.status
}

fn execute(app: &TestApp, statement: String) {
    let write = move |conn: &mut Conn| Ok(diesel::sql_query(&statement).execute(conn)?);
    app.database.connect().write_blocking(write).expect("a change behind the product's back");
}

async fn a_late_letter_leaves_the_link_of_a_newer_one_alone(app: &TestApp) {
    let smtp = SmtpServer::start(1);
    let sender = with_smtp(app, &smtp).await;
    let agency = sender.agency().await;
    ask_for_password(&sender, &agency.email.to_uppercase()).await;
    refused(&smtp, 1).await;
    ask_for_password(&sender, &agency.email).await;
    let newer = smtp.expect(1, PATIENCE).await.remove(0);
    sender.all_mails_sent().await;
    assert_eq!(smtp.deliveries().len(), 1);
    assert_eq!(confirm(&sender, &newer.mail.token()).await, 204);
    sender.stop().await;
}

async fn a_new_password_takes_waiting_letters_with_links_along(app: &TestApp) {
    let smtp = SmtpServer::start(2);
    let sender = with_smtp(app, &smtp).await;
    let agency = sender.agency().await;
    ask_for_password(&sender, &agency.email).await;
    refused(&smtp, 1).await;
    let change = json!({"currentPassword": PASSWORD, "password": "Oboe.marsh-4811"});
    agency.login.post("/v3/account/password", &change).await.expect(204);
    assert_eq!(sender.waiting_mails(), 0);
    // What is asked for afterwards, at the same moment of the clock, is another letter.
    ask_for_password(&sender, &agency.email).await;
    refused(&smtp, 2).await;
    let letter = smtp.expect(1, PATIENCE).await.remove(0);
    assert_eq!(confirm(&sender, &letter.mail.token()).await, 204);
    sender.stop().await;
}

async fn a_letter_whose_link_would_be_over_is_not_sent(app: &TestApp) {
    let smtp = SmtpServer::start(1);
    let sender = with_smtp(app, &smtp).await;
    let agency = sender.agency().await;
    ask_for_password(&sender, &agency.email).await;
    refused(&smtp, 1).await;
    sender.move_clock("2026-01-01T01:00:00Z").await;
    sender.all_mails_sent().await;
    assert_eq!(smtp.deliveries().len(), 0);
    sender.stop().await;
}

async fn an_invitation_is_not_sent_to_somebody_who_has_a_password(app: &TestApp) {
    let smtp = SmtpServer::start(1);
    let sender = with_smtp(app, &smtp).await;
    let agency = sender.agency().await;
    let body = json!({"email": "max@example.com", "firstName": "Max", "lastName": "Moor", "role": "member"});
    agency.login.post("/v3/members", &body).await.expect(201);
    refused(&smtp, 1).await;
    execute(&sender, "UPDATE users SET password_hash = 'set' WHERE email = 'max@example.com'".to_owned());
    sender.all_mails_sent().await;
    assert_eq!(smtp.deliveries().len(), 0);
    sender.stop().await;
}

async fn a_recipient_who_cannot_be_read_keeps_no_other_letter_waiting(app: &TestApp) {
    let (broken, other) = (app.agency().await, app.agency().await);
    // On either engine a moment that no server has a form for.
    let never = if app.database.postgres().is_some() { "infinity" } else { "never" };
    execute(app, format!("UPDATE users SET created_at = '{never}' WHERE email = '{}'", broken.email));
    ask_for_password(app, &broken.email).await;
    ask_for_password(app, &other.email).await;
    app.mail_to(&other.email, "new password").await;
    execute(app, format!("UPDATE users SET created_at = '2026-01-01 00:00:00' WHERE email = '{}'", broken.email));
    app.mail_to(&broken.email, "new password").await;
}

async fn metrics_tell_of_letters_that_wait_and_fail(app: &TestApp) {
    let smtp = SmtpServer::start(usize::MAX);
    let sender = with_smtp(app, &smtp).await;
    let agency = sender.agency().await;
    ask_for_password(&sender, &agency.email).await;
    sender.move_clock("2026-01-01T00:01:00Z").await;
    told(&sender, &["stape_mails_waiting 1\n", "stape_mails_oldest_seconds 60\n"]).await;
    execute(&sender, "UPDATE mails SET attempts = 19, next_attempt_at = '2026-01-01 00:00:00'".to_owned());
    told(&sender, &["stape_mails_waiting 0\n", "stape_mails_oldest_seconds 0\n"]).await;
    told(&sender, &["stape_mails_abandoned_total 1\n"]).await;
    let metrics = sender.operator().await.get("/metrics").await.text;
    assert!(!metrics.contains("stape_mail_failures_total 0\n"), "{metrics}");
    sender.stop().await;
}

/// Waits until the metrics have these lines.
async fn told(app: &TestApp, lines: &[&str]) {
    let begun = Instant::now();
    loop {
        let metrics = app.operator().await.get("/metrics").await.text;
        if lines.iter().all(|line| metrics.contains(line)) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{lines:?} in {metrics}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn two_servers_deliver_a_letter_once(app: &TestApp) {
    let agency = app.agency().await;
    let other = TestApp::start_with(&app.database, |settings| {
        settings.mail.dir = app.database.directory.path().join("other");
    })
    .await;
    let emails: Vec<String> = (0..20).map(|number| format!("member{number}@example.com")).collect();
    for email in &emails {
        let body = json!({"email": email, "firstName": "A", "lastName": "B", "role": "member"});
        agency.login.post("/v3/members", &body).await.expect(201);
    }
    app.all_mails_sent().await;
    for email in &emails {
        let mails: Vec<Mail> = app.mails_to(email).into_iter().chain(other.mails_to(email)).collect();
        assert_eq!(mails.len(), 1, "{mails:#?}");
    }
    other.stop().await;
}
