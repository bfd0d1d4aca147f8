//! The display name in From, as a template: `{user} at {mailbox}`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text in which `{mailbox}` and `{user}` stand for their display names. Empty: no name at all.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct NameTemplate(String);

const MAILBOX: &str = "{mailbox}";
const USER: &str = "{user}";

/// Why a text is no template.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TemplateError {
    Word,
    Character,
    TooLong,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Word => "braces stand for {mailbox} and {user} only",
            Self::Character => "a name has no @ and no control characters",
            Self::TooLong => "a name has 100 characters at most",
        })
    }
}

impl NameTemplate {
    pub const MAX: usize = 100;

    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.chars().count() > Self::MAX {
            return Err(TemplateError::TooLong);
        }
        // An address in the name is what a reader takes for the sender.
        if text.chars().any(|c| c.is_control() || c == '@') {
            return Err(TemplateError::Character);
        }
        if text.replace(MAILBOX, "").replace(USER, "").contains(['{', '}']) {
            return Err(TemplateError::Word);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name that goes out. Without a name of the person's, or where it is an address,
    /// which must not go out, it is the mailbox's alone.
    pub fn fill(&self, mailbox: &str, user: &str) -> String {
        let user = user.trim();
        if self.0.contains(USER) && (user.is_empty() || user.contains('@')) {
            return mailbox.trim().to_owned();
        }
        // The user's name last: a mailbox's name may not bring it in.
        let parts: Vec<String> = self.0.split(USER).map(|part| part.replace(MAILBOX, mailbox)).collect();
        parts.join(user).trim().to_owned()
    }
}

impl Default for NameTemplate {
    fn default() -> Self {
        Self(MAILBOX.to_owned())
    }
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for NameTemplate {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        Self::parse(&text)
    }
}

impl From<NameTemplate> for String {
    fn from(template: NameTemplate) -> Self {
        template.0
    }
}

#[cfg(test)]
mod tests {
    use super::{NameTemplate, TemplateError};

    #[test]
    fn names_are_put_in() {
        for (template, user, name) in [
            ("{mailbox}", "Alice Example", "Support"),
            ("{user} at {mailbox}", "Alice Example", "Alice Example at Support"),
            ("{user} at {mailbox}", "{mailbox}", "{mailbox} at Support"),
            ("{user} at {mailbox}", " ", "Support"),
            ("{user}", "alice@example.org", "Support"),
            ("The team", "Alice", "The team"),
            ("", "Alice", ""),
        ] {
            assert_eq!(NameTemplate::parse(template).unwrap().fill("Support", user), name, "{template}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for (text, error) in [
            ("{name}", TemplateError::Word),
            ("{mailbox", TemplateError::Word),
            ("ceo@example.org", TemplateError::Character),
            ("a\r\nBcc: b", TemplateError::Character),
        ] {
            assert_eq!(NameTemplate::parse(text), Err(error), "{text}");
        }
        assert_eq!(NameTemplate::parse(&"x".repeat(101)), Err(TemplateError::TooLong));
    }
}
