//! Habits that no lint knows.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// No file of the crate is longer; a hard look is due at 400 lines.
const LONGEST_FILE: usize = 600;

/// What ends a thread. In the crate itself each needs a reason why it cannot
/// happen, whatever network, disk and admin do.
const ENDS: &[&str] = &[".unwrap()", ".expect(", "panic!(", "unreachable!("];
const REASON: &str = "NOTE(unwrap):";
/// The reason stands on the line itself or at most so many lines above it.
const REACH: usize = 4;

#[test]
fn nothing_panics_without_a_reason() {
    let faults = faults(|lines| {
        let ends = |line: &str| {
            let code = line.split("//").next().unwrap_or_default();
            ENDS.iter().any(|end| code.contains(end))
        };
        let found = (0..lines.len()).filter(|at| ends(&lines[*at]));
        let explained = |at: &usize| lines[at.saturating_sub(REACH)..=*at].iter().any(|l| l.contains(REASON));
        found.filter(|at| !explained(at)).map(|at| (at, lines[at].trim().to_owned())).collect()
    });
    assert!(faults.is_empty(), "may panic, without `// {REASON} why not`:\n{}", faults.join("\n"));
}

#[test]
fn nothing_is_left_for_later() {
    let marks = ["todo!", "unimplemented!", "TODO", "FIXME", "XXX"];
    let faults = faults(|lines| {
        let found = lines.iter().enumerate().filter(|(_, line)| marks.iter().any(|mark| line.contains(mark)));
        found.map(|(at, line)| (at, line.trim().to_owned())).collect()
    });
    assert!(faults.is_empty(), "unfinished:\n{}", faults.join("\n"));
}

#[test]
fn files_stay_readable() {
    let faults = faults(|lines| match lines.len() {
        0..=LONGEST_FILE => Vec::new(),
        length => vec![(length, format!("{length} lines before the tests"))],
    });
    assert!(faults.is_empty(), "split these along a line of thought:\n{}", faults.join("\n"));
}

/// Shows `check` each file of `src/` without its tests, and places what it finds.
fn faults(check: impl Fn(&[String]) -> Vec<(usize, String)>) -> Vec<String> {
    let mut faults = Vec::new();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in rust_files(&src) {
        let of_tests = |part: &OsStr| {
            let name = part.to_string_lossy();
            name == "tests" || name.ends_with("tests.rs") || name == "testing.rs"
        };
        if file.strip_prefix(&src).is_ok_and(|below| below.iter().any(of_tests)) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let lines: Vec<String> = code.lines().map(str::to_owned).collect();
        for (at, what) in check(&lines) {
            faults.push(format!("{}:{}: {what}", file.display(), at + 1));
        }
    }
    faults
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
