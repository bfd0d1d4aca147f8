//! The operational log, on standard error.
//!
//! Sessions log inside a span: `tracing::info_span!("session", id = %SessionId, svc, peer)`,
//! to which `user` and `mailbox` (stable numbers) are recorded after login.

use std::fmt;
use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// The log's settings.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// What is logged, in the form of tracing's `EnvFilter`: `info`, `mandate::proxy=debug`.
    pub filter: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self { filter: "info".into() }
    }
}

/// Why logging could not be set up: the filter's own words.
#[derive(Debug)]
pub struct LogError(String);

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log filter: {}", self.0)
    }
}

impl std::error::Error for LogError {}

impl Settings {
    /// Whether the filter can be understood.
    pub fn check(&self) -> Result<(), LogError> {
        EnvFilter::try_new(&self.filter).map(drop).map_err(|error| LogError(error.to_string()))
    }
}

/// Starts logging for the process. Under journald (`JOURNAL_STREAM` is set) without time
/// and colour: the journal has its own.
pub fn start(settings: &Settings) -> Result<(), LogError> {
    let filter = EnvFilter::try_new(&settings.filter).map_err(|error| LogError(error.to_string()))?;
    let journald = std::env::var_os("JOURNAL_STREAM").is_some();
    let format = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(!journald && std::io::stderr().is_terminal());
    let started = if journald { format.without_time().try_init() } else { format.try_init() };
    started.map_err(|error| LogError(error.to_string()))
}

/// Text from outside as a log may show it: in quotes, escaped to printable ASCII, at most
/// [`Quoted::MAX`] octets of it.
///
/// A name with CR LF writes no second line, an escape sequence reaches no terminal.
#[derive(Clone, Copy)]
pub struct Quoted<'a>(&'a [u8]);

impl<'a> Quoted<'a> {
    /// A line of the log stays readable, and a stranger does not decide how long it is.
    pub const MAX: usize = 128;

    pub fn new<T: AsRef<[u8]> + ?Sized>(text: &'a T) -> Self {
        Self(text.as_ref())
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(Self::MAX)];
        let more = if shown.len() < self.0.len() { "..." } else { "" };
        write!(f, "\"{}\"{more}", shown.escape_ascii())
    }
}

impl fmt::Debug for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Quoted, Settings};

    #[test]
    fn quoted_text_is_one_printable_line() {
        let nasty = "a\r\nforged=\"1\"\u{1b}[2J\0é";
        let shown = Quoted::new(nasty).to_string();
        assert_eq!(shown, r#""a\r\nforged=\"1\"\x1b[2J\x00\xc3\xa9""#);
        let long = Quoted::new(&[0xff; 1000]).to_string();
        assert_eq!(long, format!("\"{}\"...", "\\xff".repeat(Quoted::MAX)));
    }

    #[test]
    fn a_bad_filter_is_an_error() {
        assert!(Settings { filter: "mandate=loudly".into() }.check().is_err());
        assert!(Settings::default().check().is_ok());
    }
}
