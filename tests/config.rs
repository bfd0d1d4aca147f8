//! The sample configuration, and what a person is told about a bad one.

use std::fs;
use std::path::{Path, PathBuf};

use mandate::config::Config;
use tempfile::TempDir;

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("proxy.toml")
}

/// What is told about a file with this text.
fn told(text: &str) -> String {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("proxy.toml");
    fs::write(&file, text).unwrap();
    match Config::load(&file) {
        Ok(_) => String::new(),
        Err(error) => error.to_string().replace(&file.display().to_string(), "proxy.toml"),
    }
}

#[test]
fn the_sample_holds_every_option_at_its_default() {
    let text = fs::read_to_string(sample()).unwrap();
    let given: toml::Table = text.parse().unwrap();
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    assert_eq!(lines("", &given.into()), lines("", &defaults.into()));
    let loaded = Config::load(&sample()).unwrap();
    assert_eq!(loaded.state.key_file, Path::new("/var/lib/mandate/seal.key"));
}

/// `limits.connections = 10000`, one a line, so that a difference shows as one.
fn lines(name: &str, value: &toml::Value) -> Vec<String> {
    let toml::Value::Table(table) = value else { return vec![format!("{name} = {value}")] };
    table.iter().flat_map(|(key, value)| lines(&format!("{name}.{key}"), value)).collect()
}

#[test]
fn every_option_of_the_sample_is_explained() {
    let text = fs::read_to_string(sample()).unwrap();
    let mut explained = false;
    for line in text.lines() {
        if line.starts_with('#') {
            explained = true;
        } else if line.is_empty() || line.starts_with('[') {
            explained = false;
        } else {
            assert!(explained, "{line}");
        }
    }
}

#[test]
fn relative_paths_start_at_the_file() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("proxy.toml");
    fs::write(&file, "[state]\ndirectory = \"state\"\n[admin]\nsocket = \"/run/x\"\n").unwrap();
    let config = Config::load(&file).unwrap();
    assert_eq!(config.state.directory, directory.path().join("state"));
    assert_eq!(config.state.key_file, directory.path().join("state/seal.key"));
    assert_eq!(config.admin.socket, Path::new("/run/x"));
}

#[test]
fn faults_of_form_name_file_line_and_what_is_allowed() {
    for (text, expected) in [
        (
            "[imap]\nlisten = [\"127.0.0.1:993\"]\n[imapp]\n",
            ["line 3", "unknown field `imapp`", "`submission`"],
        ),
        ("\n[limits]\nmax_connections = 5\n", ["line 3", "unknown field `max_connections`", "`per_address`"]),
        ("[limits]\nconnections = \"many\"\n", ["line 2", "connections = \"many\"", "expected usize"]),
        ("[imap]\nlisten = [\"127.0.0.1:99993\"]\n", ["line 2", "^^^", "socket address"]),
        ("[imap]\nlisten = \"127.0.0.1:993\"\n", ["line 2", "^^^", "expected a sequence"]),
        (
            "[upstream]\nplaintext_networks = [\"10.0.0.1/8\"]\n",
            ["line 2", "^^^", "bits set behind its prefix"],
        ),
        ("[login]\nseparator = \"@\"\n", ["line 2", "^^^", "the separator must be / * % or"]),
        ("[state]\ndirectory = \"a\ndirectory = \"b\"\n", ["line 2", "^", "string"]),
        ("[log]\nlevel = \"info\"\nlevel = \"warn\"\n", ["line 3", "level", "duplicate key"]),
    ] {
        let told = told(text);
        assert!(told.starts_with("proxy.toml, "), "{told}");
        for part in expected {
            assert!(told.contains(part), "{text}\nlacks {part:?}:\n{told}");
        }
    }
}

#[test]
fn faults_of_meaning_are_told_all_at_once_with_their_lines() {
    let told = told(
        "[imap]\nlisten = [\"127.0.0.1:993\", \"127.0.0.1:993\"]\n\
         [submission]\nlisten = [\"127.0.0.1:993\"]\nsession = { host_name = \"-x\" }\n\
         [limits]\nper_address = 0\n\
         [upstream]\nconnect_seconds = 0\n\
         [log]\nlevel = \"inof\"\n\
         [daemon]\nworker_threads = 5000\n",
    );
    for part in [
        "7 things are wrong",
        "line 2, [imap] listen: 127.0.0.1:993 is there twice",
        "line 4, [submission] listen: 127.0.0.1:993 is IMAP's already",
        "line 5, [submission.session] host_name: must be a host name",
        "line 7, [limits] per_address: must be at least 1",
        "line 9, [upstream] connect_seconds: must be from 1 to 3600",
        "line 11, [log] level: \"inof\" is no level",
        "line 13, [daemon] worker_threads: must be at most 1024",
    ] {
        assert!(told.contains(part), "lacks {part:?}:\n{told}");
    }
}

#[test]
fn a_role_that_makes_no_sense_is_told_with_its_line() {
    let told = told(
        "[roles.reader]\nrights = { inbox = \"lr\" }\n\
         [roles.filer]\ndrafts = \"team\"\n\
         [roles.filer.rights]\ninbox = \"lrz\"\nbasement = \"lr\"\n",
    );
    for part in [
        "4 things are wrong",
        "line 2, [roles.reader] rights: reader is a role of Mandate's own and cannot be defined anew",
        "line 4, [roles.filer] drafts: \"team\" needs t and e among the rights on drafts",
        "line 6, [roles.filer.rights] inbox: 'z' is no right in such folders; allowed are the letters lrswiktem",
        "line 7, [roles.filer.rights] basement: there is no such class of folders; there are inbox, ordinary",
    ] {
        assert!(told.contains(part), "lacks {part:?}:\n{told}");
    }
    let unknown = self::told("[roles.x]\nsend = \"maybe\"\n");
    assert!(unknown.contains("line 2") && unknown.contains("`on-behalf`"), "{unknown}");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = TempDir::new().unwrap();
    let missing = directory.path().join("none.toml");
    let told = Config::load(&missing).unwrap_err().to_string();
    assert!(told.contains("none.toml") && told.contains("No such file"), "{told}");
    let told = Config::load(directory.path()).unwrap_err().to_string();
    assert!(told.contains("directory"), "{told}");
}
