//! What a visitor needs to try it: logins, ports, the CA, and commands to copy.

use crate::support::dovecot::{SUPPORT, SUPPORT_PASSWORD};
use crate::support::scene::password;
use crate::support::{ALICE, BOB, CAROL, Proxy, Scene};

/// Prints it all.
pub(crate) fn print(scene: &Scene) {
    let imap = scene.proxy.imaps().port();
    let smtp = scene.proxy.submissions().port();
    let ca = scene.ca.file().display().to_string();
    println!("\n── Try it yourself ─────────────────────────────────────────────────────────────\n");
    println!("IMAP        localhost:{imap}, TLS");
    println!("submission  localhost:{smtp}, TLS");
    println!("CA          {ca}\n");
    println!("{:11} {:28} {:18} and is", "", "user name", "password");
    for (person, role) in [(ALICE, "manager"), (BOB, "responder"), (CAROL, "reader")] {
        let name = person.split('@').next().unwrap_or_default();
        println!("{name:11} {:28} {:18} {role}", format!("{person}/support"), password(person));
    }
    let mandate =
        format!("{} --config {}", Proxy::binary().display(), scene.proxy.configuration_file().display());
    println!("\nRead, mark and delete as alice, then as carol:\n");
    println!("{}", neomutt(imap, &ca, ALICE));
    println!("\nThe bare protocol:\n");
    println!("{}", openssl(imap, &ca, CAROL));
    println!("\nSend as bob; the message that leaves the mail host is shown here:\n");
    println!("{}", swaks(smtp, &ca, BOB));
    println!("\nAdminister:\n");
    println!("  {mandate} grant list");
    println!("  {mandate} grant remove {CAROL} support");
    println!("  {mandate} explain {BOB} support INBOX");
    println!("\nThe mail host itself, past Mandate, to see what really is there:\n");
    println!("{}", past(scene.dovecot.imaps().port(), &ca));
    println!("\nCtrl-C stops everything and removes it.");
}

fn neomutt(port: u16, ca: &str, person: &str) -> String {
    format!(
        "  neomutt -n -F /dev/null -e 'set ssl_ca_certificates_file=\"{ca}\"' \\\n    \
         -e 'set imap_user=\"{person}/support\" imap_pass=\"{}\"' \\\n    \
         -e 'set folder=imaps://localhost:{port}/ spoolfile=+INBOX' -f imaps://localhost:{port}/INBOX",
        password(person).replace('\'', "'\\''")
    )
}

fn openssl(port: u16, ca: &str, person: &str) -> String {
    let commands = format!(
        r#"a LOGIN {person}/support \"{}\"\nb SELECT INBOX\nc STORE 1 +FLAGS (\\Deleted)\nd EXPUNGE\ne LOGOUT\n"#,
        password(person)
    );
    format!(
        "  printf \"{}\" |\n    openssl s_client -quiet -verify_quiet -crlf -connect localhost:{port} -CAfile {ca}",
        commands.replace(r"\\", r"\\\\")
    )
}

fn swaks(port: u16, ca: &str, person: &str) -> String {
    format!(
        "  swaks --server localhost:{port} --tls-on-connect --tls-verify --tls-ca-path {ca} \\\n    \
         --auth PLAIN --auth-user {person}/support --auth-password \"{}\" \\\n    \
         --from {person} --to customer@example.net --h-Subject 'An answer' --body 'It is on its way.'",
        password(person)
    )
}

fn past(port: u16, ca: &str) -> String {
    format!(
        "  printf 'a LOGIN {SUPPORT} {SUPPORT_PASSWORD}\\nb EXAMINE INBOX\\nc FETCH 1:* (UID FLAGS)\\nd LOGOUT\\n' |\n    \
         openssl s_client -quiet -verify_quiet -crlf -connect localhost:{port} -CAfile {ca}"
    )
}
