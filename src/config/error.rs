//! What is wrong with a configuration, told so that it can be mended.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Why there is no configuration.
#[derive(Debug)]
pub enum ConfigError {
    Read(PathBuf, io::Error),
    /// Not TOML, an unknown key, or a wrong type: where, the line with a caret, and what is allowed.
    File(PathBuf, String),
    /// The same, in an environment variable.
    Environment(String),
    /// It reads well but means nothing good: everything that is wrong.
    Problems(PathBuf, Vec<Problem>),
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The line of the file; `None` if the value is a default or from the environment.
    pub line: Option<usize>,
    /// `[imap] listen`.
    pub key: String,
    pub message: String,
}

impl ConfigError {
    pub(super) fn file(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let start = error.span().map_or(0, |span| span.start);
        let line = text[..start.min(text.len())].matches('\n').count() + 1;
        Self::File(path.to_owned(), format!("line {line}: {}", error.to_string().trim_end()))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "{}: {error}", path.display()),
            Self::File(path, message) => write!(f, "{}, {message}", path.display()),
            Self::Environment(message) => write!(f, "environment variables MANDATE__SECTION__KEY: {message}"),
            Self::Problems(path, problems) => {
                write!(f, "{}: {} wrong", path.display(), count(problems.len()))?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

fn count(n: usize) -> String {
    if n == 1 { "one thing is".into() } else { format!("{n} things are") }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}, ")?;
        }
        write!(f, "{}: {}", self.key, self.message)
    }
}

pub(super) fn read(path: &Path, limit: u64) -> Result<String, ConfigError> {
    let fault = |error| ConfigError::Read(path.to_owned(), error);
    let mut text = String::new();
    let file = File::open(path).map_err(fault)?;
    let octets = file.take(limit + 1).read_to_string(&mut text).map_err(fault)?;
    if octets as u64 > limit {
        return Err(fault(io::Error::new(io::ErrorKind::FileTooLarge, format!("more than {limit} octets"))));
    }
    Ok(text)
}
