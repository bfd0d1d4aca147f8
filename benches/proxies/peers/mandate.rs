//! Mandate as released, set up through its own command line: alice is the manager of
//! support@example.org and logs in to its account view.

use crate::support::proxy::{Proxy, Settings};

use super::{Door, Peer, Running, Scene, THREADS};

const PASSWORD: &str = "correct-horse-battery";

/// All load comes from one address, and all of it is welcome.
fn limits() -> String {
    format!(
        "[daemon]\nworker_threads = {THREADS}\n\n[log]\nlevel = \"warn\"\n\n[limits]\n\
         unauthenticated_per_address = 8000\nunauthenticated = 8000\nper_address = 8000\nper_user = 8000\n"
    )
}

pub fn start(scene: &Scene) -> Peer {
    let proxy = Proxy::with(Settings { certificate: scene.certificate.clone(), extra: limits() });
    let imap = format!("localhost:{}", scene.upstream.imap.port());
    let smtp = format!("localhost:{}", scene.upstream.smtp.port());
    let password = format!("{PASSWORD}\n");
    proxy.run(&["user", "add", "alice@example.org", "--password-stdin"], &password);
    let mailbox = ["mailbox", "add", "support@example.org", "--max-connections", "8000"];
    let imap = ["--imap", &imap, "--imap-security", "plaintext"];
    let smtp = ["--smtp", &smtp, "--smtp-security", "plaintext"];
    let arguments = [&mailbox[..], &imap, &smtp, &["--password-stdin"]].concat();
    proxy.run(&arguments, "secret\n");
    proxy.run(&["grant", "add", "alice@example.org", "support@example.org", "manager"], "");
    Peer {
        door: Door {
            imaps: proxy.imaps(),
            submissions: proxy.submissions(),
            login: "alice@example.org/support",
            password: PASSWORD,
        },
        process: Running::Mandate(Box::new(proxy)),
    }
}
