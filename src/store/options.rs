//! A mailbox's options: what an admin sets with `mandate mailbox set`.

use serde::{Deserialize, Serialize};

use crate::policy::{CopyOut, Delete, ReadChoice};
use crate::types::NameTemplate;

/// What a team has chosen for its mailbox. A record written before an option existed has
/// its default.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct Options {
    /// Whose `\Seen` is shown.
    pub read_state: ReadChoice,
    /// What becomes of a message that a role without the right to delete wants deleted.
    pub delete: Delete,
    /// Whether the mail host removes a message as soon as it is marked deleted, as Gmail does
    /// by default: then marking needs the right to expunge too.
    pub deleted_is_final: bool,
    /// Whether COPY and MOVE take messages into other mailboxes.
    pub copy_out: CopyOut,
    /// Who files the copy of a sent message.
    pub sent_copy: SentCopy,
    /// Whether the filed copy keeps its Bcc.
    pub bcc_in_sent: bool,
    /// The display name in From: a template with `{mailbox}` and `{user}`.
    pub send_name: NameTemplate,
    /// Whether `support+anything@example.org` counts as the mailbox's address.
    pub plus_tags: bool,
    /// Whether only answers to the mailbox's messages may be sent.
    pub reply_only: bool,
    /// A message that answers one of the mailbox's but comes from the person's own address.
    pub reply_from: ReplyFrom,
    /// Minutes within which a second answer by somebody else is refused; 0: never.
    pub collision_minutes: u32,
    /// Recipients that one user may write to as the mailbox in one message.
    pub recipients: u32,
    /// Messages that one user may send as the mailbox in an hour; 0: no limit.
    pub messages_per_hour: u32,
    /// Messages that one user may send as the mailbox in a day; 0: no limit.
    pub messages_per_day: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            read_state: ReadChoice::ByRole,
            delete: Delete::Refuse,
            deleted_is_final: false,
            copy_out: CopyOut::Allow,
            sent_copy: SentCopy::File,
            bcc_in_sent: true,
            send_name: NameTemplate::default(),
            plus_tags: false,
            reply_only: false,
            reply_from: ReplyFrom::Leave,
            collision_minutes: 0,
            recipients: 100,
            messages_per_hour: 0,
            messages_per_day: 0,
        }
    }
}

/// See [`Options::sent_copy`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SentCopy {
    /// Mandate, whatever the client does.
    File,
    /// The person's mail client.
    Client,
    /// The mail host, by itself.
    Upstream,
}

/// See [`Options::reply_from`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReplyFrom {
    /// It goes out as written.
    Leave,
    /// It goes out from the mailbox.
    Rewrite,
    /// It is refused.
    Refuse,
}

impl Options {
    /// Each option's name and value, as `mandate mailbox set` takes them.
    pub fn pairs(&self) -> Vec<(String, String)> {
        let toml = toml::Table::try_from(self).unwrap_or_default();
        let text = |value: toml::Value| match value {
            toml::Value::String(text) => text,
            other => other.to_string(),
        };
        toml.into_iter().map(|(key, value)| (key, text(value))).collect()
    }

    /// Sets one option by its name.
    ///
    /// # Errors
    /// A sentence for the admin: no such option, or what its values are.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let mut table = toml::Table::try_from(&*self).map_err(|error| error.to_string())?;
        let Some(old) = table.get(key) else {
            let names: Vec<&str> = table.keys().map(String::as_str).collect();
            return Err(format!("there is no option {key}; there are: {}", names.join(", ")));
        };
        let kind = |what: &str| format!("{key} is {what}, not {value:?}");
        let new = match old {
            toml::Value::Boolean(_) => match value {
                "true" | "yes" | "on" => toml::Value::Boolean(true),
                "false" | "no" | "off" => toml::Value::Boolean(false),
                _ => return Err(kind("true or false")),
            },
            toml::Value::Integer(_) => {
                toml::Value::Integer(value.parse::<u32>().map_err(|_| kind("a number"))?.into())
            }
            _ => toml::Value::String(value.to_owned()),
        };
        table.insert(key.to_owned(), new);
        *self = table.try_into().map_err(|error: toml::de::Error| format!("{key}: {}", error.message()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_set_by_name() {
        let mut options = Options::default();
        for (key, value) in Options::default().pairs() {
            options.set(&key, &value).unwrap();
        }
        assert_eq!(options, Options::default());
        options.set("delete", "trash").unwrap();
        options.set("plus_tags", "yes").unwrap();
        options.set("collision_minutes", "15").unwrap();
        options.set("send_name", "{user} at {mailbox}").unwrap();
        assert_eq!((options.delete, options.plus_tags, options.collision_minutes), (Delete::Trash, true, 15));
        assert_eq!(options.send_name.to_string(), "{user} at {mailbox}");
    }

    #[test]
    fn what_cannot_be_set_says_what_can() {
        let mut options = Options::default();
        for (key, value, told) in [
            ("colour", "red", "there is no option colour; there are: bcc_in_sent, "),
            ("plus_tags", "perhaps", "plus_tags is true or false, not \"perhaps\""),
            ("messages_per_hour", "-1", "messages_per_hour is a number, not \"-1\""),
            ("delete", "shred", "`refuse` or `trash`"),
            ("send_name", "{name}", "braces stand for {mailbox} and {user} only"),
        ] {
            let error = options.set(key, value).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
        assert_eq!(options, Options::default());
    }

    #[test]
    fn a_record_from_before_an_option_has_its_default() {
        let options: Options = serde_json::from_str("{\"delete\":\"trash\"}").unwrap();
        assert_eq!(options, Options { delete: Delete::Trash, ..Options::default() });
    }
}
