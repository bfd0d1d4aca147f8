//! QUOTA and QUOTAROOT (RFC 9208 §4).

use super::words::{Unparseable, Words};

/// Most roots or resources read of one response; hosts have a handful.
const MAX: usize = 16;

/// A root's usage.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QuotaData {
    pub root: Vec<u8>,
    /// Resources that we know; others are left out.
    pub resources: Vec<Quota>,
}

/// How much of a resource is used, and may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Quota {
    pub resource: Resource,
    pub used: u64,
    pub limit: u64,
}

/// RFC 9208 §5.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resource {
    /// In units of 1,024 octets.
    Storage,
    /// Messages.
    Message,
}

impl Resource {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Storage => "STORAGE",
            Self::Message => "MESSAGE",
        }
    }
}

pub(super) fn quota(mut words: Words<'_>) -> Result<QuotaData, Unparseable> {
    words.space()?;
    let root = words.astring()?.into_owned();
    words.space()?;
    words.demand(b'(')?;
    let mut resources = Vec::new();
    while !words.take(b')') {
        while words.take(b' ') {}
        let name = words.atom()?;
        words.space()?;
        let used = words.number()?;
        words.space()?;
        let limit = words.number()?;
        while words.take(b' ') {}
        let is = |resource: &Resource| name.eq_ignore_ascii_case(resource.as_str().as_bytes());
        let known = [Resource::Storage, Resource::Message].into_iter().find(is);
        resources.extend(known.map(|resource| Quota { resource, used, limit }));
        if resources.len() > MAX {
            return Err(Unparseable);
        }
    }
    Ok(QuotaData { root, resources })
}

/// The names of the roots of a folder, the folder itself left out.
pub(super) fn roots(mut words: Words<'_>) -> Result<Vec<Vec<u8>>, Unparseable> {
    words.space()?;
    words.astring()?;
    let mut roots = Vec::new();
    while words.take(b' ') {
        if words.is_done() {
            break;
        }
        roots.push(words.astring()?.into_owned());
        if roots.len() > MAX {
            return Err(Unparseable);
        }
    }
    Ok(roots)
}
