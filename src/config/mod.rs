//! `proxy.toml`: read once, checked whole, handed out in the parts' own terms. Layer 6.
//!
//! The file, then the environment (`MANDATE__IMAP__LISTEN=127.0.0.1:993`), over the
//! defaults. An unknown key or a wrong type is told with file, line and caret; whatever
//! else is wrong is told all at once, each with its line. No part below sees this module.

mod error;
mod problems;
mod sections;

use std::path::Path;

pub use error::{ConfigError, Problem};
pub use sections::{Admin, Config, Daemon, Imap, Log, State, Submission, Upstream};

/// Largest configuration in octets: a thousand times the sample; a larger one is another file.
const MAX_FILE: u64 = 8 << 20;

impl Config {
    /// Reads and checks a file; relative paths in it start at its directory.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = error::read(file, MAX_FILE)?;
        let config = Self::parse(file, &text, environment())?;
        let problems = problems::of(&config, &text);
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Problems(file.to_owned(), problems)) }
    }

    /// Layers the environment over the file; says where the fault is, if there is one.
    fn parse(file: &Path, text: &str, environment: config::Environment) -> Result<Self, ConfigError> {
        let layered = config::Config::builder()
            .add_source(config::File::from_str(text, config::FileFormat::Toml))
            .add_source(environment)
            .build()
            .and_then(config::Config::try_deserialize::<Self>);
        let parsed = match layered {
            Ok(layered) => toml::from_str::<Self>(text).map(|_| layered),
            // The file is read again alone: toml knows lines. If it finds nothing, the
            // environment is at fault.
            Err(error) => match toml::from_str::<Self>(text) {
                Ok(_) => return Err(ConfigError::Environment(error.to_string())),
                Err(error) => Err(error),
            },
        };
        let mut config = parsed.map_err(|error| ConfigError::file(file, text, &error))?;
        config.resolve(file.parent().unwrap_or(Path::new("")));
        Ok(config)
    }
}

/// Two underscores after the prefix too.
fn environment() -> config::Environment {
    let environment = config::Environment::with_prefix("MANDATE").prefix_separator("__").separator("__");
    // Lists are recognised only together with numbers and truth values; none of our keys
    // holds a text that looks like one of those.
    let lists = environment.try_parsing(true).list_separator(",");
    Config::LISTS.into_iter().fold(lists, |lists, key| lists.with_list_parse_key(key))
}
