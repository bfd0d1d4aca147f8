//! Imports point down: a module may use only modules of a lower layer.
//!
//! One line per top-level module of `src/`, lowest first. A module that is not
//! listed fails the test, so the list stays the map of the crate.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module with its layer and whether it is pure: no I/O, no clock, no
/// randomness, kept by clippy's `disallowed-types` and `disallowed-methods`.
const LAYERS: &[(&str, u8, bool)] = &[
    ("types", 0, true),
    ("policy", 1, true),
    ("protocol", 2, true),
    ("sasl", 2, true),
    ("store", 2, false),
    ("telemetry", 2, false),
    ("imap", 3, true),
    ("smtp", 3, true),
    ("net", 3, false),
    ("auth", 3, false),
    ("upstream", 4, false),
    ("proxy", 5, false),
    ("admin", 5, false),
    ("config", 6, false),
    ("daemon", 7, false),
    ("cli", 8, false),
];

/// What the root file of a pure module begins with, after its doc.
const PURE: &str = "#![deny(clippy::disallowed_types, clippy::disallowed_methods)]";

#[test]
fn imports_point_down() {
    let mut faults = Vec::new();
    for file in rust_files(&source()) {
        let module = top_module(&file);
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(from) = layer(&module) else {
            faults.push(format!("{}: module `{module}` has no layer", file.display()));
            continue;
        };
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            for used in modules_used(line) {
                let place = format!("{}:{}", file.display(), number + 1);
                match layer(&used) {
                    _ if used == module => {}
                    Some(to) if to < from => {}
                    Some(_) => faults.push(format!("{place}: {module} uses {used}")),
                    None => faults.push(format!("{place}: one import names one module")),
                }
            }
        }
    }
    assert!(faults.is_empty(), "imports that do not point down:\n{}", faults.join("\n"));
}

#[test]
fn pure_modules_say_so() {
    for (module, _, _) in LAYERS.iter().filter(|(_, _, pure)| *pure) {
        let places = [format!("{module}.rs"), format!("{module}/mod.rs")];
        let Some(root) = places.iter().map(|place| source().join(place)).find(|root| root.exists()) else {
            continue;
        };
        let text = fs::read_to_string(&root).unwrap();
        assert!(text.lines().any(|line| line == PURE), "{} lacks {PURE}", root.display());
    }
}

#[test]
fn the_reader_of_imports_sees_them() {
    assert_eq!(modules_used("use crate::types::Uid; // crate::net"), ["types"]);
    assert_eq!(modules_used("pub(crate) fn f(a: crate::imap::A) -> crate::smtp::B"), ["imap", "smtp"]);
    assert_eq!(modules_used("use crate::{imap, smtp};"), [""]);
    assert_eq!(modules_used("/// See [`crate::net`]."), [""; 0]);
    assert_eq!(modules_used("pub(in crate::proxy) fn f()"), ["proxy"]);
}

/// The top-level modules that a line of code names, "" for a group of them.
fn modules_used(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or_default();
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    code.split("crate::").skip(1).map(name).collect()
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _, _)| *name == module).map(|(_, layer, _)| *layer)
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn top_module(file: &Path) -> String {
    let first = file.strip_prefix(source()).unwrap().components().next().unwrap();
    first.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
