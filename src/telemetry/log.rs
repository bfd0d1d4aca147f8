//! The operational log, on standard error.
//!
//! Sessions log inside a span: `tracing::info_span!("session", id = %SessionId, svc, peer)`,
//! to which `user` and `mailbox` (stable numbers) are recorded after login.

use std::fmt;
use std::io::IsTerminal as _;

use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{Handle, Layer as Reloadable};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt as format};

/// The filter in force, to be exchanged while the process runs.
static FILTER: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

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
        filter(self).map(drop)
    }
}

/// Starts logging for the process. Under journald (`JOURNAL_STREAM` is set) without time
/// and colour: the journal has its own.
pub fn start(settings: &Settings) -> Result<(), LogError> {
    let (filter, handle) = Reloadable::new(filter(settings)?);
    let journald = std::env::var_os("JOURNAL_STREAM").is_some();
    let lines = format::layer()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(!journald && std::io::stderr().is_terminal());
    let lines = if journald { lines.without_time().boxed() } else { lines.boxed() };
    let started = tracing_subscriber::registry().with(filter).with(lines).try_init();
    started.map_err(|error| LogError(error.to_string()))?;
    // The first start is the only one that succeeds.
    let _ = FILTER.set(handle);
    Ok(())
}

/// Takes another filter, for all that is logged from here on.
pub fn change(settings: &Settings) -> Result<(), LogError> {
    let fresh = filter(settings)?;
    let Some(handle) = FILTER.get() else { return Ok(()) };
    handle.reload(fresh).map_err(|error| LogError(error.to_string()))
}

fn filter(settings: &Settings) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(&settings.filter).map_err(|error| LogError(error.to_string()))
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
