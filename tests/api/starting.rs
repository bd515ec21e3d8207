//! The binary where there is no database yet: what it makes, what it asks for, what stops it from starting, and how it ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::support::{Process, beside, binary, run_command as run, text};

#[test]
fn errors_of_configuration_name_the_setting() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cases = [
        ("DATABASE_URL", "mysql://db"),
        ("STAPE_BIND", "nowhere"),
        ("STAPE_PUBLIC_URL", "nowhere"),
        ("STAPE_JWT_SECRET", "short"),
        ("STAPE_ENCRYPTION_KEY", "c2hvcnQ="),
        ("STAPE_RATE_LIMIT", "fast"),
        ("STAPE_WORKERS", "0"),
        ("STAPE_WORKERS", "100000"),
        ("STAPE_LOG_FORMAT", "xml"),
        ("STAPE_CORS_ORIGINS", "everywhere"),
        ("STAPE_TEST_CLOCK", "yesterday"),
        ("STAPE_METRICS_BIND", "nowhere"),
        ("STAPE_NO_MIGRATE", "maybe"),
        ("RUST_LOG", "stape_api=inof"),
        ("DATABASE_URL", "sqlite://no/folder/stape.db"),
    ];
    for (setting, value) in cases {
        let mut command = binary(&["serve"]);
        command.current_dir(directory.path()).env("STAPE_BIND", "127.0.0.1:0").env(setting, value);
        let output = run(command);
        assert!(!output.status.success(), "{setting}");
        let flag = setting.trim_start_matches("STAPE_").to_lowercase().replace('_', "-");
        let error = text(&output.stderr);
        assert!(error.contains(setting) || error.contains(&flag), "{setting}: {error}");
    }
}

#[test]
fn a_refused_start_says_in_one_line_what_the_setting_must_be() {
    let address = "STAPE_BIND: nowhere: must be an address and a port, such as 127.0.0.1:8080";
    let cases = [
        ("STAPE_BIND", "nowhere", address),
        ("STAPE_CORS_ORIGINS", "*", "STAPE_CORS_ORIGINS: `*` is not taken: name each origin"),
        ("STAPE_MAIL_FROM", "Stape", "STAPE_MAIL_FROM: must be an e-mail address with or without a name"),
        ("DATABASE_URL", "sqlite://no/folder/stape.db", "DATABASE_URL: sqlite://no/folder/stape.db: "),
        ("DATABASE_URL", "postgres://stape@127.0.0.1:1/stape", "DATABASE_URL: postgres://stape@127.0.0.1:1/stape: "),
    ];
    for (setting, value, expected) in cases {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut command = beside(&directory, &["serve"]);
        command.env("STAPE_JWT_SECRET", "0123456789abcdef0123456789abcdef").env(setting, value);
        command.env("STAPE_ENCRYPTION_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        let error = text(&run(command).stderr);
        assert!(error.starts_with(&format!("error: {expected}")) && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn a_start_that_is_refused_for_a_setting_makes_no_secrets() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let cases = [
        ("STAPE_CORS_ORIGINS", "everywhere"),
        ("STAPE_SMTP_URL", "smtp://mail"),
        ("STAPE_JWT_SECRET", "short"),
        ("STAPE_JWT_SECRET_PREVIOUS", "short"),
        ("STAPE_ENCRYPTION_KEY", "c2hvcnQ="),
        ("STAPE_ENCRYPTION_KEY_PREVIOUS", "c2hvcnQ="),
    ];
    for (setting, value) in cases {
        let mut command = beside(&directory, &["serve"]);
        command.env(setting, value);
        assert_eq!(run(command).status.code(), Some(1), "{setting}");
        assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 0, "{setting}");
    }
}

#[test]
fn postgres_wants_its_secrets_from_the_environment() {
    let output = run({
        let mut command = binary(&["serve"]);
        command.env("DATABASE_URL", "postgres:///nowhere?host=/nonexistent");
        command
    });
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("is required with PostgreSQL"), "{}", text(&output.stderr));
}

#[test]
fn commands_that_look_at_what_there_is_make_no_database() {
    for command in [&["operator-key", "list"][..], &["operator-key", "revoke", "opk_01K5VEYV6AE1K9BPXF8KQEFMDR"]] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let output = run(beside(&directory, command));
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        assert!(text(&output.stderr).contains("DATABASE_URL: "), "{}", text(&output.stderr));
        assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 0);
    }
}

#[test]
fn verify_that_cannot_run_exits_with_two() {
    let output = run({
        let mut command = binary(&["verify"]);
        command.env("DATABASE_URL", "postgres:///nowhere?host=/nonexistent");
        command
    });
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[test]
fn verify_says_of_a_database_without_tables_what_to_do() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("stape.db"), "").expect("a file");
    let output = run(beside(&directory, &["verify"]));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    let said = "error: DATABASE_URL: the database lacks migrations; run `stape-api migrate`";
    assert_eq!(text(&output.stderr).trim_end(), said);
}

#[test]
fn a_plain_start_serves_an_empty_database_and_says_how_to_make_the_first_key() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut command = binary(&[]);
    command.current_dir(directory.path()).env("STAPE_BIND", "127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the binary runs");
    let mut output = BufReader::new(child.stdout.take().expect("its output"));
    let mut said = String::new();
    while !said.contains("listening on http://127.0.0.1:") {
        assert!(output.read_line(&mut said).expect("a line") > 0, "{said}");
    }
    assert!(said.contains("operator-key create"), "{said}");
    let pid = child.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
    output.read_to_string(&mut said).expect("the rest");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let secrets = directory.path().join("stape.db.secrets");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(secrets).expect("a file of secrets"));
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_second_signal_ends_a_server_at_once_that_waits_for_a_request() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut command = beside(&directory, &[]);
    command.stderr(Stdio::piped());
    let mut server = Process::start_logging(command);
    let mut log = BufReader::new(server.child.stderr.take().expect("its log"));
    let mut connection = TcpStream::connect(server.address.trim_start_matches("http://")).expect("a connection");
    let head = "POST /v3/sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 100\r\nExpect: 100-continue\r\n\r\n";
    connection.write_all(head.as_bytes()).expect("a request without its body");
    let mut begun = [0; 12];
    connection.read_exact(&mut begun).expect("the server waits for the body");
    assert_eq!(&begun, b"HTTP/1.1 100");
    server.signal();
    let mut said = String::new();
    while !said.contains("stopping") {
        assert!(log.read_line(&mut said).expect("a line") > 0, "{said}");
    }
    assert_eq!(server.terminate(), Some(1));
    log.read_to_string(&mut said).expect("the rest");
    assert!(said.contains("a second signal"), "{said}");
}
