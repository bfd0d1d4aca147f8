//! What the documents name exists: files, tests, dependencies, commands.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Every document that names files.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "certs/README.md",
    "docs/admin.md",
    "docs/clients.md",
    "docs/dependencies.md",
    "docs/grammar.md",
    "docs/outbox.md",
    "docs/performance.md",
    "docs/proofs.md",
    "docs/rfc.md",
    "docs/rights.md",
    "docs/sending.md",
    "docs/threats.md",
    "docs/upstreams.md",
    "docs/views.md",
];

/// Directories whose files documents name without them: `imap/writer.rs`.
const ROOTS: &[&str] = &["", "src", "docs", "tests", TRANSCRIPTS];

/// A test may also be one of these sessions.
const TRANSCRIPTS: &str = "tests/transcripts/imap";

#[test]
fn every_document_is_looked_at() {
    let documents = files("docs", "md").into_iter().filter(|path| !DOCUMENTS.contains(&path.as_str()));
    assert_eq!(documents.collect::<Vec<_>>(), [""; 0], "name them in DOCUMENTS");
}

#[test]
fn every_file_that_is_named_exists() {
    for document in DOCUMENTS {
        let beside = Path::new(document).parent().unwrap();
        let text = read(document);
        for link in links(&text) {
            assert!(here(beside).join(link).exists(), "{document} links to {link}");
        }
        for word in code_words(&text).into_iter().filter(|word| is_file_name(word)) {
            let found = ROOTS.iter().any(|root| here(root).join(word).exists());
            assert!(found, "{document} names `{word}`, which is in none of {ROOTS:?}");
        }
    }
}

#[test]
fn every_test_that_threats_names_exists() {
    let mut sources = files("src", "rs");
    sources.extend(files("tests", "rs"));
    let code: String = sources.iter().map(|file| read(file)).collect();
    let threats = read("docs/threats.md");
    let rows = threats.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| attack"));
    let mut named = 0;
    for row in rows {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let names = code_words(tests);
        assert!(!names.is_empty(), "no test shows it: {row}");
        for name in names {
            let exists = code.contains(&format!("fn {name}(")) || here(TRANSCRIPTS).join(name).exists();
            assert!(exists, "docs/threats.md names the test `{name}`");
            named += 1;
        }
    }
    assert!(named > 50, "the table has another form now: {named} tests found");
}

#[test]
fn every_dependency_has_its_line() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let direct: BTreeSet<String> = ["dependencies", "dev-dependencies"]
        .iter()
        .flat_map(|table| manifest[*table].as_table().unwrap().keys().cloned())
        .collect();
    let text = read("docs/dependencies.md");
    let first_cell = |line: &str| Some(line.strip_prefix("| ")?.split(" |").next()?.to_owned());
    let rows = text.lines().filter_map(first_cell).filter(|cell| cell != "crate");
    assert_eq!(rows.collect::<BTreeSet<_>>(), direct, "docs/dependencies.md against Cargo.toml");
}

#[test]
fn every_command_is_explained() {
    let text: String = DOCUMENTS.iter().map(|document| read(document)).collect();
    for verb in subcommands(None) {
        let below = subcommands(Some(&verb));
        let whole = below.iter().map(|word| format!("mandate {verb} {word}"));
        let whole = if below.is_empty() { vec![format!("mandate {verb}")] } else { whole.collect() };
        for command in whole {
            assert!(text.contains(&command), "no document has `{command}`");
        }
    }
}

#[test]
fn every_command_that_is_named_exists() {
    let verbs = subcommands(None);
    for document in DOCUMENTS {
        for line in read(document).split(['`', '\n']) {
            let Some(command) = line.trim_start().strip_prefix("mandate ") else { continue };
            let mut words = command.split_whitespace();
            let Some(verb) = words.next().filter(|word| !word.starts_with('-')) else { continue };
            assert!(verbs.iter().any(|known| known == verb), "{document}: {line}");
            let below = subcommands(Some(verb));
            let next = words.next().filter(|_| !below.is_empty());
            assert!(next.is_none_or(|next| below.iter().any(|known| known == next)), "{document}: {line}");
        }
    }
}

/// What `mandate ... --help` lists as commands, without `help`.
fn subcommands(of: Option<&str>) -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_mandate")).args(of).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let commands = help.split("Commands:\n").nth(1).unwrap_or_default();
    let words = commands.lines().take_while(|line| !line.is_empty());
    let words = words.filter_map(|line| line.split_whitespace().next()).filter(|word| *word != "help");
    words.map(str::to_owned).collect()
}

/// Whether a word in code font is a path of ours: `proxy/imap/watch.rs`, `tests/policy/`.
fn is_file_name(word: &str) -> bool {
    let ours = ["rs", "md", "toml", "txt", "service", "sysusers", "cnf"];
    let relative = !word.starts_with(['/', '.', '<']) && !word.contains([' ', '*', '{', '$', '=']);
    relative && word.rsplit_once('.').is_some_and(|(name, kind)| !name.is_empty() && ours.contains(&kind))
}

/// What stands between single backticks.
fn code_words(text: &str) -> Vec<&str> {
    let outside_blocks = text.split("```").step_by(2);
    outside_blocks.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

/// Targets of links to files, without their fragment.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    files.map(|target| target.split('#').next().unwrap()).collect()
}

fn here(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(here(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Files below a directory, by their ending, relative to the repository.
fn files(directory: &str, ending: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(here(directory)).unwrap() {
        let name = format!("{directory}/{}", entry.unwrap().file_name().to_string_lossy());
        if here(&name).is_dir() {
            found.extend(files(&name, ending));
        } else if name.ends_with(&format!(".{ending}")) {
            found.push(name);
        }
    }
    found
}
