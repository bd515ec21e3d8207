//! What a first start on SQLite makes beside the server: a file of secrets and the database, for their owner alone.

use crate::support::{ENCRYPTION_KEY, Process, beside, run_command as run, text};

#[test]
fn a_file_of_secrets_that_lacks_a_line_is_named_with_it() {
    for (content, missing) in [
        ("", "STAPE_JWT_SECRET"),
        ("STAPE_JWT_SECRET=0123456789abcdef0123456789abcdef\n", "STAPE_ENCRYPTION_KEY"),
        ("STAPE_JWT_SECRET=0123456789abcdef0123456789abcdef\nSTAPE_ENCRYPTION_KEY=AAECA", "STAPE_ENCRYPTION_KEY"),
    ] {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("stape.db.secrets"), content).expect("a file");
        let output = run(beside(&directory, &["serve"]));
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(&format!("error: {missing}: ")) && told.contains("stape.db.secrets"), "{told}");
        assert!(!told.contains("PostgreSQL") && !told.contains("AAECA"), "{told}");
    }
}

#[actix_web::test]
async fn new_secrets_are_made_for_a_new_database_alone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let secrets = directory.path().join("stape.db.secrets");
    assert!(run(beside(&directory, &["migrate"])).status.success());
    let server = Process::start(beside(&directory, &["serve"]));
    assert!(secrets.exists(), "a database that nobody uses yet is a new one");
    server.sign_up("agency").await;
    assert_eq!(server.terminate(), Some(0));
    std::fs::remove_file(&secrets).expect("the secrets");
    for command in ["serve", "reencrypt"] {
        let output = run(beside(&directory, &[command]));
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("STAPE_ENCRYPTION_KEY") && told.contains("stape.db.secrets"), "{told}");
        assert!(!secrets.exists());
    }
    // With the key for what is encrypted, nothing is lost but sessions.
    let mut serve = beside(&directory, &["serve"]);
    serve.env("STAPE_ENCRYPTION_KEY", ENCRYPTION_KEY);
    assert_eq!(Process::start(serve).terminate(), Some(0));
    assert!(secrets.exists());
}

#[test]
fn the_files_of_a_database_are_for_their_owner_alone() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let server = Process::start(beside(&directory, &["serve"]));
    for entry in std::fs::read_dir(directory.path()).expect("a directory").flatten() {
        let metadata = entry.metadata().expect("metadata");
        let mode = std::os::unix::fs::MetadataExt::mode(&metadata);
        assert!(metadata.is_dir() || mode & 0o777 == 0o600, "{}: {mode:o}", entry.path().display());
    }
    assert_eq!(server.terminate(), Some(0));
}
