//! The audit journal's acts, as an auditor reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub(crate) struct Journal(PathBuf);

/// An act that was carried out, or may have been.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) role: String,
    pub(crate) folder: String,
    pub(crate) uids: Vec<(u32, u32)>,
    pub(crate) flags: bool,
    pub(crate) removes: bool,
    pub(crate) target: String,
    pub(crate) target_uids: Vec<(u32, u32)>,
}

impl Journal {
    pub(crate) fn new(state: &Path) -> Journal {
        Journal(state.join("journal.jsonl"))
    }

    /// Octets so far.
    pub(crate) fn len(&self) -> usize {
        std::fs::read(&self.0).unwrap().len()
    }

    /// Acts on folders and messages in the lines from an offset on; subscriptions are not
    /// upstream's.
    pub(crate) fn acts(&self, from: usize) -> Vec<Act> {
        let text = std::fs::read(&self.0).unwrap();
        let whole = text.iter().rposition(|octet| *octet == b'\n').map_or(0, |end| end + 1);
        let text = String::from_utf8_lossy(&text[from.min(whole)..whole]).into_owned();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut acts: BTreeMap<u64, Act> = BTreeMap::new();
        let mut number = 0;
        for line in &lines {
            number += 1;
            let refused = line["outcome"] == "refused";
            match line["event"].as_str().unwrap_or_default() {
                "intent" => {
                    acts.insert(line["seq"].as_u64().unwrap(), act(line, true));
                }
                "outcome" => {
                    let intent = line["intent"].as_u64().unwrap_or_default();
                    if refused {
                        acts.remove(&intent);
                    } else if let Some(act) = acts.get_mut(&intent) {
                        act.target_uids = ranges(&line["target_uids"]);
                    }
                }
                "change" if !refused && !text_of(line, "verb").ends_with("SUBSCRIBE") => {
                    acts.insert(u64::MAX / 2 + number, act(line, false));
                }
                _ => {}
            }
        }
        acts.into_values().collect()
    }
}

impl Act {
    /// Whether it names a message of a folder as changed or removed.
    pub(crate) fn names(&self, folder: &str, uid: u32) -> bool {
        self.folder == folder && within(&self.uids, uid)
    }

    /// Whether it names a message as put into a folder.
    pub(crate) fn puts(&self, folder: &str, uid: u32) -> bool {
        self.target == folder && within(&self.target_uids, uid)
    }
}

fn act(line: &Value, removes: bool) -> Act {
    Act {
        role: text_of(line, "role"),
        folder: text_of(line, "folder"),
        uids: ranges(&line["uids"]),
        flags: line["flags"].is_string(),
        removes,
        target: text_of(line, "target"),
        target_uids: ranges(&line["target_uids"]),
    }
}

fn text_of(line: &Value, key: &str) -> String {
    line[key].as_str().unwrap_or_default().to_owned()
}

fn ranges(value: &Value) -> Vec<(u32, u32)> {
    let text = value.as_str().unwrap_or_default();
    let parts = text.split(',').filter(|part| !part.is_empty());
    let number = |text: &str| text.parse::<u32>().unwrap();
    parts
        .map(|part| {
            let (a, b) = part.split_once(':').unwrap_or((part, part));
            (number(a), number(b))
        })
        .collect()
}

fn within(ranges: &[(u32, u32)], uid: u32) -> bool {
    ranges.iter().any(|(a, b)| (*a..=*b).contains(&uid))
}
