//! Submission hosts of every temper.

use super::{SmtpConnection, Submission};
use crate::types::{Account, Secret, Security};
use crate::upstream::error::ConnectError;
use crate::upstream::testing;

fn login(authzid: Option<&str>, password: &str) -> Option<(Account, Secret)> {
    let account = Account { authcid: "support@example.org".to_owned(), authzid: authzid.map(str::to_owned) };
    Some((account, Secret::new(password)))
}

async fn submit(
    script: &str,
    login: Option<(Account, Secret)>,
    security: Security,
) -> Result<SmtpConnection, ConnectError> {
    let (mut endpoint, playing) = testing::host(&[script]).await;
    endpoint.security = security;
    let submission = Submission { endpoint, login, helo: "mandate.example.org".to_owned() };
    let result = testing::connector().submit(&submission).await;
    if result.is_err() {
        playing.await.unwrap();
        return result;
    }
    let connection = result?;
    assert!(connection.is_in_step());
    Ok(connection)
}

#[tokio::test]
async fn logs_in_by_plain() {
    let script = "
        S: 220-mx.example.org
        S: 220 ready
        C: EHLO mandate.example.org
        S: 250-mx.example.org
        S: 250-SIZE 1000
        S: 250 AUTH LOGIN PLAIN
        C: AUTH PLAIN AHN1cHBvcnRAZXhhbXBsZS5vcmcAc2VjcmV0
        S: 235 2.7.0 welcome
        ...";
    let host = submit(script, login(None, "secret"), Security::Plaintext).await.unwrap();
    assert_eq!(host.extensions().size, Some(1_000));
}

#[tokio::test]
async fn logs_in_by_login_where_there_is_no_plain() {
    let script = "
        S: 220 ready
        C: EHLO mandate.example.org
        S: 250-mx.example.org
        S: 250 AUTH LOGIN
        C: AUTH LOGIN
        S: 334 VXNlcm5hbWU6
        C: c3VwcG9ydEBleGFtcGxlLm9yZw==
        S: 334 UGFzc3dvcmQ6
        C: c2VjcmV0
        S: 235 2.7.0 welcome
        ...";
    submit(script, login(None, "secret"), Security::Plaintext).await.unwrap();
    let script = "
        S: 220 ready
        C: EHLO mandate.example.org
        S: 250-mx.example.org
        S: 250 AUTH LOGIN";
    let error = submit(script, login(Some("support"), "secret"), Security::Plaintext).await.err();
    assert!(matches!(error, Some(ConnectError::Protocol(_))), "{error:?}");
}

#[tokio::test]
async fn a_long_credential_waits_for_the_prompt() {
    let password = "x".repeat(500);
    let (script, sent) = {
        use base64::Engine as _;
        let message = format!("\0support@example.org\0{password}");
        let sent = base64::engine::general_purpose::STANDARD.encode(message);
        let script = format!(
            "S: 220 ready
             C: EHLO mandate.example.org
             S: 250-mx.example.org
             S: 250 AUTH PLAIN
             C: AUTH PLAIN
             S: 334 x
             C: {sent}
             S: 235 welcome"
        );
        (script, sent)
    };
    assert!(sent.len() > 510);
    submit(&script, login(None, &password), Security::Plaintext).await.unwrap();
}

#[tokio::test]
async fn a_relay_on_loopback_needs_no_login() {
    let script = "
        S: 220 ready
        C: EHLO mandate.example.org
        S: 250 mx.example.org
        C: MAIL FROM:<support@example.org>
        S: 250 2.1.0 Ok
        C: QUIT
        S: 221 bye
        X:";
    let mut host = submit(script, None, Security::Plaintext).await.unwrap();
    host.line(b"MAIL FROM:<support@example.org>").await.unwrap();
    assert_eq!(host.reply().await.unwrap().code(), 250);
    host.quit().await;
}

#[tokio::test]
async fn every_refusal_has_its_name() {
    let hello = "S: 220 ready\nC: EHLO mandate.example.org\n";
    let auth = "S: 250-x\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AHN1cHBvcnRAZXhhbXBsZS5vcmcAc2VjcmV0\n";
    for (script, label) in [
        ("S: 554 no service here".to_owned(), "bye"),
        ("S: 421 too many connections".to_owned(), "bye"),
        ("X:".to_owned(), "dead"),
        ("S: * OK IMAP here".to_owned(), "protocol"),
        ("S: 220-a\nS: 554 b".to_owned(), "protocol"),
        ("...".to_owned(), "slow"),
        (format!("{hello}S: 502 what?"), "bye"),
        (format!("{hello}S: 250 no auth here"), "protocol"),
        (format!("{hello}{auth}S: 535 5.7.8 wrong"), "credential"),
        (format!("{hello}{auth}S: 454 4.7.0 later"), "bye"),
    ] {
        let error = submit(&script, login(None, "secret"), Security::Plaintext).await.err();
        let Some(error) = error else { panic!("logged in by {script}") };
        assert_eq!(error.label(), label, "{script}: {error}");
        assert!(!error.to_string().contains(['\r', '\n']));
    }
}

#[tokio::test]
async fn nothing_is_said_in_the_clear_where_tls_is_wanted() {
    let hello = "S: 220 ready\nC: EHLO mandate.example.org\n";
    for script in [
        format!("{hello}S: 250-x\nS: 250 AUTH PLAIN"),
        format!("{hello}S: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 454 not now"),
        format!("{hello}S: 250-x\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\\r\\n250 AUTH PLAIN"),
    ] {
        let error = submit(&script, login(None, "secret"), Security::StartTls).await.err();
        assert!(matches!(error, Some(ConnectError::Tls(_))), "{script}: {error:?}");
    }
}
