//! Mails: written with their cause, delivered soon, once, to a folder or over SMTP.

use std::time::Duration;

use serde_json::json;

use crate::support::{Mail, SmtpServer, TestApp, both_engines};

both_engines!(
    a_letter_that_failed_is_tried_again,
    a_link_begins_with_the_public_url,
    a_refused_request_sends_nothing,
    names_of_all_alphabets_arrive,
    over_smtp_a_mail_reaches_its_recipient_alone,
    the_outbox_keeps_nothing_that_was_sent,
    two_servers_deliver_a_letter_once,
    without_a_server_mails_are_files,
);

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
