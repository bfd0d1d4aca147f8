//! Atoms, strings, numbers and lists of one line.

use std::borrow::Cow;
use std::fmt;

/// The line is not what its first word says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unparseable;

impl fmt::Display for Unparseable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("upstream sent a response that cannot be read")
    }
}

impl std::error::Error for Unparseable {}

/// Reads a line from its start; never beyond its end.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    pub fn new(rest: &'a [u8]) -> Self {
        Self { rest }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes `octet` if it is next.
    pub fn take(&mut self, octet: u8) -> bool {
        let rest = self.rest.strip_prefix(&[octet]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    pub fn demand(&mut self, octet: u8) -> Result<(), Unparseable> {
        if self.take(octet) { Ok(()) } else { Err(Unparseable) }
    }

    pub fn space(&mut self) -> Result<(), Unparseable> {
        self.demand(b' ')
    }

    fn cut(&mut self, at: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(at);
        self.rest = rest;
        taken
    }

    /// Up to the next space or the end; may be empty.
    pub fn until_space(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|octet| *octet == b' ').unwrap_or(self.rest.len());
        self.cut(end)
    }

    /// An atom, in the widest sense: up to space, parenthesis, quote or the end.
    pub fn atom(&mut self) -> Result<&'a [u8], Unparseable> {
        let ends = |octet: &u8| matches!(octet, b' ' | b'(' | b')' | b'"' | b'{');
        let end = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        if end == 0 { Err(Unparseable) } else { Ok(self.cut(end)) }
    }

    /// Decimal digits, 63 bits (RFC 9051 §9, number64).
    pub fn number(&mut self) -> Result<u64, Unparseable> {
        let end = self.rest.iter().position(|octet| !octet.is_ascii_digit()).unwrap_or(self.rest.len());
        crate::imap::scan::decimal(self.cut(end)).ok_or(Unparseable)
    }

    /// An atom, a quoted string or a literal, decoded.
    pub fn astring(&mut self) -> Result<Cow<'a, [u8]>, Unparseable> {
        match self.rest.first() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => self.atom().map(Cow::Borrowed),
        }
    }

    fn quoted(&mut self) -> Result<Cow<'a, [u8]>, Unparseable> {
        self.demand(b'"')?;
        let mut end = 0;
        let mut escapes = false;
        loop {
            match self.rest.get(end) {
                None => return Err(Unparseable),
                Some(b'"') => break,
                Some(b'\\') => {
                    escapes = true;
                    end += 2;
                }
                Some(_) => end += 1,
            }
        }
        let inner = self.cut(end);
        self.demand(b'"')?;
        Ok(if escapes { Cow::Owned(unescape(inner)) } else { Cow::Borrowed(inner) })
    }

    fn literal(&mut self) -> Result<&'a [u8], Unparseable> {
        self.demand(b'{')?;
        let size = usize::try_from(self.number()?).map_err(|_| Unparseable)?;
        for octet in *b"}\r\n" {
            self.demand(octet)?;
        }
        if size > self.rest.len() { Err(Unparseable) } else { Ok(self.cut(size)) }
    }

    /// Atoms up to the end of the line, with any spaces between them.
    pub fn atoms(&mut self) -> Vec<&'a [u8]> {
        let rest = self.cut(self.rest.len());
        rest.split(|octet| *octet == b' ').filter(|atom| !atom.is_empty()).collect()
    }

    /// `(a b)`: atoms in parentheses.
    pub fn flag_list(&mut self) -> Result<Vec<&'a [u8]>, Unparseable> {
        self.demand(b'(')?;
        let end = self.rest.iter().position(|octet| *octet == b')').ok_or(Unparseable)?;
        let flags = Words::new(self.cut(end)).atoms();
        self.demand(b')')?;
        Ok(flags)
    }

    /// Any one value: list, string or atom. Says nothing about it.
    pub fn skip_value(&mut self) -> Result<(), Unparseable> {
        let mut depth = 0usize;
        loop {
            match self.rest.first() {
                Some(b'(') => {
                    self.cut(1);
                    depth += 1;
                }
                Some(b')') if depth > 0 => {
                    self.cut(1);
                    depth -= 1;
                }
                Some(b' ') if depth > 0 => {
                    self.cut(1);
                }
                _ => {
                    self.astring()?;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

fn unescape(inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(inner.len());
    let mut octets = inner.iter();
    while let Some(octet) = octets.next() {
        let octet = if *octet == b'\\' { octets.next().unwrap_or(octet) } else { octet };
        out.push(*octet);
    }
    out
}
