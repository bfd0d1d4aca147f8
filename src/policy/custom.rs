//! Roles from the configuration: what an admin may write, and what it means.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DraftScope, FolderClass, Rights, Role, RoleName, SendRight};

/// `[roles.NAME]` of proxy.toml.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoleSettings {
    /// Rights letters by folder class; a class that is not there gives none.
    pub rights: BTreeMap<String, String>,
    pub drafts: DraftScope,
    pub send: SendRight,
}

impl Default for RoleSettings {
    fn default() -> Self {
        Self { rights: BTreeMap::new(), drafts: DraftScope::Own, send: SendRight::None }
    }
}

/// What is wrong with a role, and under which of its keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RoleProblem {
    /// A class below `rights`, or a key of the role itself.
    pub class: Option<String>,
    pub key: &'static str,
    pub message: String,
}

/// Names that the configuration cannot give to a role: they have a meaning already.
const TAKEN: [&str; 5] = ["reader", "responder", "manager", "owner", "nobody"];

/// Longest name of a role: it stands in tables and in sentences for people.
const MAX_NAME: usize = 32;

/// The letters that a role may hold in folders of a class.
///
/// `a` is nobody's and `p` follows `send`. `m` is for folders whose mail is kept, `x` for
/// those that are not pinned to a purpose, `k` not for what is thrown away; a write into an
/// Aggregate would hit other folders.
fn allowed(class: FolderClass) -> &'static str {
    match class {
        FolderClass::Inbox | FolderClass::Archive => "lrswiktem",
        FolderClass::Ordinary => "lrswikxtem",
        FolderClass::Drafts | FolderClass::Sent => "lrswikte",
        FolderClass::Trash | FolderClass::Junk => "lrswite",
        FolderClass::Aggregate => "lr",
        FolderClass::Hidden => "",
    }
}

impl Role {
    /// The role that the settings describe, or everything that is wrong with them.
    pub fn configured(name: &str, settings: &RoleSettings) -> Result<Self, Vec<RoleProblem>> {
        let mut problems = Vec::new();
        if let Some(message) = wrong_name(name) {
            problems.push(RoleProblem { class: None, key: "rights", message });
        }
        let mut rights = [Rights::NONE; FolderClass::ALL.len()];
        for (class, letters) in &settings.rights {
            match read(class, letters) {
                Ok((class, held)) => rights[class as usize] = held,
                Err(message) => {
                    problems.push(RoleProblem { class: Some(class.clone()), key: "rights", message });
                }
            }
        }
        let deletes = Rights::DELETED | Rights::EXPUNGE;
        if settings.drafts == DraftScope::Team && !rights[FolderClass::Drafts as usize].has(deletes) {
            let message = "\"team\" needs t and e among the rights on drafts".to_owned();
            problems.push(RoleProblem { class: None, key: "drafts", message });
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        if settings.send != SendRight::None {
            let given = rights.iter_mut().filter(|rights| !rights.is_empty());
            given.for_each(|rights| *rights = *rights | Rights::POST);
        }
        Ok(Self::new(RoleName(name.to_owned()), rights, settings.drafts, settings.send))
    }
}

fn wrong_name(name: &str) -> Option<String> {
    if TAKEN.contains(&name) {
        return Some(format!("{name} is a role of Mandate's own and cannot be defined anew"));
    }
    let plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    let fine = !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(plain);
    (!fine).then(|| format!("a role's name is lower-case letters, digits and hyphens, {MAX_NAME} at most"))
}

/// One class and its letters. `m` brings `i`: what is filed must arrive.
fn read(class: &str, letters: &str) -> Result<(FolderClass, Rights), String> {
    let known = FolderClass::parse(class).filter(|class| *class != FolderClass::Hidden);
    let class = known.ok_or_else(|| {
        let classes = FolderClass::ALL.into_iter().filter(|class| *class != FolderClass::Hidden);
        let names: Vec<_> = classes.map(FolderClass::as_str).collect();
        format!("there is no such class of folders; there are {}", names.join(", "))
    })?;
    let allowed = allowed(class);
    if let Some(letter) = letters.chars().find(|letter| !allowed.contains(*letter)) {
        return Err(format!("{letter:?} is no right in such folders; allowed are the letters {allowed}"));
    }
    let rights = Rights::letters(letters).ok_or_else(|| format!("allowed are the letters {allowed}"))?;
    let files = if rights.has(Rights::FILE) { Rights::INSERT } else { Rights::NONE };
    Ok((class, rights | files))
}

#[cfg(test)]
mod tests {
    use super::{FolderClass, Role, RoleSettings, SendRight, allowed};
    use crate::policy::{DraftScope, Rights};

    fn settings(rights: &[(&str, &str)]) -> RoleSettings {
        let rights = rights.iter().map(|(class, letters)| (class.to_string(), letters.to_string())).collect();
        RoleSettings { rights, ..RoleSettings::default() }
    }

    #[test]
    fn a_role_is_what_is_written() {
        let settings = RoleSettings {
            send: SendRight::OnBehalf,
            ..settings(&[("inbox", "lrswm"), ("archive", "lrm"), ("junk", "i")])
        };
        let role = Role::configured("filer", &settings).unwrap();
        let held = |class| role.rights_on(class).to_string();
        assert_eq!(held(FolderClass::Inbox), "lrswipm", "m brings i, send brings p");
        assert_eq!(held(FolderClass::Archive), "lripm");
        assert_eq!(held(FolderClass::Junk), "ip");
        assert_eq!(held(FolderClass::Sent), "");
        assert_eq!(role.send, SendRight::OnBehalf);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_is_allowed() {
        for (name, rights, expected) in [
            ("reader", &[("inbox", "lr")][..], "Mandate's own"),
            ("owner", &[("inbox", "lr")][..], "Mandate's own"),
            ("No Name", &[("inbox", "lr")][..], "lower-case"),
            (
                "x",
                &[("inbox", "lrz")][..],
                "'z' is no right in such folders; allowed are the letters lrswiktem",
            ),
            ("x", &[("inbox", "lra")][..], "'a'"),
            ("x", &[("inbox", "lrp")][..], "'p'"),
            ("x", &[("inbox", "lrx")][..], "'x'"),
            ("x", &[("trash", "lrm")][..], "'m'"),
            ("x", &[("aggregate", "lrs")][..], "'s'"),
            ("x", &[("hidden", "lr")][..], "there are inbox, ordinary, drafts"),
            ("x", &[("letters", "lr")][..], "there are inbox, ordinary, drafts"),
        ] {
            let problems = Role::configured(name, &settings(rights)).unwrap_err();
            assert!(problems[0].message.contains(expected), "{problems:?}");
        }
        let team = RoleSettings { drafts: DraftScope::Team, ..settings(&[("drafts", "lrswit")]) };
        assert!(Role::configured("x", &team).unwrap_err()[0].message.contains("t and e"));
    }

    #[test]
    fn every_letter_that_is_allowed_is_one() {
        for class in FolderClass::ALL {
            assert!(Rights::letters(allowed(class)).is_some(), "{class}");
        }
    }
}
