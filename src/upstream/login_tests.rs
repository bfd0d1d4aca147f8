//! Mail hosts of every temper.

use crate::types::Security;
use crate::upstream::connection::Connection;
use crate::upstream::error::ConnectError;
use crate::upstream::pool::Host as _;
use crate::upstream::target::{EnabledSet, Target};
use crate::upstream::testing;

/// `support@example.org` and `secret`.
const PLAIN: &str = "AHN1cHBvcnRAZXhhbXBsZS5vcmcAc2VjcmV0";

/// Logged in by the quickest way.
const LOGIN: &str = "
    S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello
    C: P00000001 AUTHENTICATE PLAIN AHN1cHBvcnRAZXhhbXBsZS5vcmcAc2VjcmV0
    S: P00000001 OK [CAPABILITY IMAP4rev1 UNSELECT ENABLE CONDSTORE QRESYNC] welcome
";

async fn connect_with(
    script: &str,
    enabled: EnabledSet,
    change: impl FnOnce(&mut Target),
) -> Result<Connection, ConnectError> {
    let (endpoint, playing) = testing::host(&[script]).await;
    let mut target = testing::target(endpoint);
    change(&mut target);
    let result = testing::connector().connect(&target, enabled).await;
    if result.is_err() {
        playing.await.unwrap();
    }
    result
}

async fn connect(script: &str) -> Result<Connection, ConnectError> {
    connect_with(script, EnabledSet::Plain, |_| {}).await
}

#[tokio::test]
async fn asks_for_capabilities_that_were_not_told_and_forgets_those_before_login() {
    let script = format!(
        "S: * OK hello
         C: P00000001 CAPABILITY
         S: * CAPABILITY IMAP4rev1 AUTH=PLAIN MOVE
         S: P00000001 OK done
         C: P00000002 AUTHENTICATE PLAIN
         S: +
         C: {PLAIN}
         S: P00000002 OK welcome
         C: P00000003 CAPABILITY
         S: * CAPABILITY IMAP4rev1 IDLE
         S: P00000003 OK done
         ..."
    );
    let connection = connect(&script).await.unwrap();
    assert!(connection.capabilities().has("IDLE") && !connection.capabilities().has("MOVE"));
    assert!(connection.is_quiet());
}

#[tokio::test]
async fn login_waits_for_the_prompt_before_a_literal() {
    let script = "
        S: * OK [CAPABILITY IMAP4rev1] hello
        C: P00000001 LOGIN \"support@example.org\" {3}
        S: + go on
        C: a\"b
        S: * CAPABILITY IMAP4rev1 IDLE
        S: P00000001 OK welcome
        ...";
    let quoted = |target: &mut Target| target.password = crate::types::Secret::new("a\"b");
    let connection = connect_with(script, EnabledSet::Plain, quoted).await.unwrap();
    assert!(connection.capabilities().has("IDLE"));
    let refused = "
        S: * OK [CAPABILITY IMAP4rev1] hello
        C: P00000001 LOGIN \"support@example.org\" {3}
        S: P00000001 NO no literals here";
    let error = connect_with(refused, EnabledSet::Plain, quoted).await.err().unwrap();
    assert_eq!(error.label(), "credential");
}

#[tokio::test]
async fn a_master_user_names_the_account() {
    let script = "
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello
        C: P00000001 AUTHENTICATE PLAIN c3VwcG9ydABtYXN0ZXIAc2VjcmV0
        S: P00000001 OK [CAPABILITY IMAP4rev1] welcome
        ...";
    let master = |target: &mut Target| {
        target.account.authcid = "master".to_owned();
        target.account.authzid = Some("support".to_owned());
    };
    connect_with(script, EnabledSet::Plain, master).await.unwrap();
    let without = "S: * OK [CAPABILITY IMAP4rev1] hello";
    let error = connect_with(without, EnabledSet::Plain, master).await.err().unwrap();
    assert_eq!(error.label(), "protocol");
}

#[tokio::test]
async fn every_refusal_has_its_name() {
    let hello = "S: * OK [CAPABILITY IMAP4rev1] hello\n\
                 C: P00000001 LOGIN \"support@example.org\" \"secret\"\n";
    for (script, label) in [
        ("S: * PREAUTH [CAPABILITY IMAP4rev1] you are in".to_owned(), "preauth"),
        ("S: * BYE go away".to_owned(), "bye"),
        ("S: * BYE [ALERT] Maximum connection limit reached for ::1".to_owned(), "limit"),
        ("S: * NO hello".to_owned(), "protocol"),
        ("S: 220 SMTP here".to_owned(), "protocol"),
        ("S: HTTP/1.1 400 Bad Request".to_owned(), "protocol"),
        ("S: * 3 EXISTS".to_owned(), "protocol"),
        ("S: * OK nul \0 here".to_owned(), "protocol"),
        ("X:".to_owned(), "dead"),
        ("...".to_owned(), "slow"),
        ("S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hello".to_owned(), "protocol"),
        ("S: * OK hello\nC: P00000001 CAPABILITY\nS: P00000001 BAD what?".to_owned(), "protocol"),
        ("S: * OK hello\nC: P00000001 CAPABILITY\n...".to_owned(), "slow"),
        (format!("{hello}S: P00000001 NO [AUTHENTICATIONFAILED] wrong password"), "credential"),
        (format!("{hello}S: P00000001 NO wrong password"), "credential"),
        (format!("{hello}S: P00000001 BAD what?"), "protocol"),
        (format!("{hello}S: P00000001 NO [LIMIT] enough"), "limit"),
        (
            format!(
                "{hello}S: P00000001 NO [UNAVAILABLE] Maximum number of connections from user+IP exceeded"
            ),
            "limit",
        ),
        (format!("{hello}S: P00000001 NO [ALERT] Too many simultaneous connections. (Failure)"), "limit"),
        (format!("{hello}S: P00000001 NO [UNAVAILABLE] try later"), "bye"),
        (format!("{hello}S: * BYE shutting down"), "bye"),
        (format!("{hello}S: * BYE too many connections"), "limit"),
        (format!("{hello}S: P00000002 OK not what was asked"), "protocol"),
        (format!("{hello}S: * OK still\nS: + what now"), "protocol"),
        (format!("{hello}X:"), "dead"),
        (format!("{hello}..."), "slow"),
    ] {
        let Some(error) = connect(&script).await.err() else { panic!("logged in by {script}") };
        assert_eq!(error.label(), label, "{script}: {error}");
        assert!(!error.to_string().contains(['\r', '\n', '\0']), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_said_in_the_clear_where_tls_is_wanted() {
    let hello = "S: * OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hello\nC: P00000001 STARTTLS\n";
    for script in [
        "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello".to_owned(),
        format!("{hello}S: P00000001 NO not now"),
        format!("{hello}S: P00000001 OK go\\r\\n* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] injected"),
    ] {
        let start_tls = |target: &mut Target| target.endpoint.security = Security::StartTls;
        let error = connect_with(&script, EnabledSet::Plain, start_tls).await.err();
        assert!(matches!(error, Some(ConnectError::Tls(_))), "{script}: {error:?}");
    }
}

#[tokio::test]
async fn enables_what_the_set_says_right_after_login() {
    let script = format!(
        "{LOGIN}
         C: P00000002 ENABLE CONDSTORE QRESYNC
         S: * ENABLED CONDSTORE QRESYNC
         S: P00000002 OK done
         ..."
    );
    let connection = connect_with(&script, EnabledSet::CondstoreQresync, |_| {}).await.unwrap();
    assert_eq!(connection.enabled(), EnabledSet::CondstoreQresync);
    let silent = format!("{LOGIN}\nC: P00000002 ENABLE CONDSTORE\nS: P00000002 OK done");
    let error = connect_with(&silent, EnabledSet::Condstore, |_| {}).await.err().unwrap();
    assert_eq!(error.label(), "protocol");
}

#[tokio::test]
async fn an_alert_is_kept_for_whoever_asks() {
    let script = "
        S: * OK [CAPABILITY IMAP4rev1] hello
        C: P00000001 LOGIN \"support@example.org\" \"secret\"
        S: * NO [ALERT] Mailbox is at 98 %
        S: P00000001 OK [CAPABILITY IMAP4rev1] welcome
        ...";
    let mut connection = connect(script).await.unwrap();
    assert_eq!(connection.take_alert().as_deref(), Some("Mailbox is at 98 %"));
    assert_eq!(connection.take_alert(), None);
}

#[tokio::test]
async fn only_a_connection_in_step_is_released() {
    let connector = testing::connector();
    for (rest, selected, good) in [
        ("...", false, true),
        ("C: P00000002 UNSELECT\nS: P00000002 OK done\n...", true, true),
        ("C: P00000002 UNSELECT\nS: * 3 EXISTS\nS: P00000002 OK done\n...", true, true),
        ("C: P00000002 UNSELECT\nS: P00000002 BAD what?\n...", true, false),
        ("C: P00000002 UNSELECT\nS: P00000002 OK done\\r\\n* 3 EXISTS\n...", true, false),
        ("C: P00000002 UNSELECT\nS: P00000007 OK done\n...", true, false),
        ("C: P00000002 UNSELECT\nX:", true, false),
    ] {
        let mut connection = connect(&format!("{LOGIN}{rest}")).await.unwrap();
        connection.set_selected(selected);
        assert_eq!(connector.release(&mut connection).await, good, "{rest}");
        assert!(!good || !connection.is_selected());
    }
}

#[tokio::test]
async fn a_relays_last_answer_must_have_been_read() {
    let connector = testing::connector();
    let script = format!(
        "{LOGIN}
         C: P00000002 CHECK
         C: P00000003 NOOP
         S: P00000002 OK late
         S: P00000003 OK done
         ..."
    );
    let mut connection = connect(&script).await.unwrap();
    let tag = connection.tag();
    connection.wire.queue(format!("{tag} CHECK\r\n").as_bytes());
    connection.wire.flush().await.unwrap();
    assert!(!connector.release(&mut connection).await);
}

#[tokio::test]
async fn an_idle_connection_is_asked_before_it_is_used_again() {
    let connector = testing::connector();
    for (rest, alive) in [
        ("C: P00000002 NOOP\nS: * 3 EXISTS\nS: P00000002 OK done\n...", true),
        ("C: P00000002 NOOP\nS: * BYE idle for too long\n...", false),
        ("X:", false),
        ("C: P00000002 NOOP\n...", false),
    ] {
        let mut connection = connect(&format!("{LOGIN}{rest}")).await.unwrap();
        assert_eq!(connector.is_alive(&mut connection).await, alive, "{rest}");
    }
}

#[tokio::test]
async fn says_goodbye() {
    let script = format!("{LOGIN}C: P00000002 LOGOUT\nS: * BYE then\nS: P00000002 OK done\n...");
    let (endpoint, playing) = testing::host(&[&script]).await;
    let connector = testing::connector();
    let connection = connector.connect(&testing::target(endpoint), EnabledSet::Plain).await.unwrap();
    connector.close(connection).await;
    playing.await.unwrap();
}
