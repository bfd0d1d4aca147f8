//! What a submission host says it can (RFC 5321 §4.1.1.1).

use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN, EhloResponse};
use smtp_proto::{
    EXT_8BIT_MIME, EXT_AUTH, EXT_DSN, EXT_ENHANCED_STATUS_CODES, EXT_PIPELINING, EXT_SIZE, EXT_SMTP_UTF8,
    EXT_START_TLS,
};

use crate::smtp::Reply;

/// The extensions that a transaction of ours can use; all others are ignored.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Extensions {
    /// Largest message in octets (RFC 1870); `None` if the host names no limit.
    pub size: Option<u64>,
    /// Whether MAIL may carry `SIZE=` at all.
    pub declares_size: bool,
    pub eight_bit_mime: bool,
    pub pipelining: bool,
    pub dsn: bool,
    pub smtp_utf8: bool,
    pub enhanced_codes: bool,
    pub start_tls: bool,
    pub auth_plain: bool,
    pub auth_login: bool,
}

impl Extensions {
    /// From the reply to EHLO, whose framing is known to be strict; `None` if it is none.
    pub(super) fn of(reply: &Reply) -> Option<Self> {
        let ehlo = EhloResponse::parse(&mut framed(reply).iter()).ok()?;
        let has = |extension| ehlo.capabilities & extension != 0;
        let offers = |mechanism| has(EXT_AUTH) && ehlo.auth_mechanisms & mechanism != 0;
        Some(Self {
            size: Some(ehlo.size as u64).filter(|size| has(EXT_SIZE) && *size > 0),
            declares_size: has(EXT_SIZE),
            eight_bit_mime: has(EXT_8BIT_MIME),
            pipelining: has(EXT_PIPELINING),
            dsn: has(EXT_DSN),
            smtp_utf8: has(EXT_SMTP_UTF8),
            enhanced_codes: has(EXT_ENHANCED_STATUS_CODES),
            start_tls: has(EXT_START_TLS),
            auth_plain: offers(AUTH_PLAIN),
            auth_login: offers(AUTH_LOGIN),
        })
    }
}

/// The reply as it stood on the wire: the parser wants a whole one.
fn framed(reply: &Reply) -> Vec<u8> {
    let lines: Vec<&[u8]> = reply.lines().collect();
    let mut out = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        out.extend_from_slice(if i + 1 == lines.len() { b"250 " } else { b"250-" });
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Extensions;
    use crate::smtp::ReplyReader;

    fn extensions(text: &str) -> Option<Extensions> {
        Extensions::of(&ReplyReader::new().push(text.as_bytes()).unwrap().1.unwrap())
    }

    #[test]
    fn known_keywords_are_seen_and_others_ignored() {
        let seen = extensions(
            "250-mx.example.org Hello\r\n250-SIZE 1000\r\n250-8bitmime\r\n250-XFOO bar\r\n\
             250-AUTH LOGIN PLAIN\r\n250-LIMITS RCPTMAX=100\r\n250 PIPELINING\r\n",
        );
        let expected = Extensions {
            size: Some(1_000),
            declares_size: true,
            eight_bit_mime: true,
            pipelining: true,
            auth_plain: true,
            auth_login: true,
            ..Extensions::default()
        };
        assert_eq!(seen, Some(expected));
    }

    #[test]
    fn a_host_without_extensions_has_none() {
        assert_eq!(extensions("250 mx.example.org\r\n"), Some(Extensions::default()));
        let limitless = extensions("250-mx.example.org\r\n250 SIZE 0\r\n").unwrap();
        assert_eq!((limitless.size, limitless.declares_size), (None, true));
    }

    #[test]
    fn odd_lines_do_not_break_it() {
        for odd in
            ["SIZE 99999999999999999999999999", "AUTH", "AUTH=PLAIN", "", " ", "SIZE x", "8BITMIME\u{e9}"]
        {
            let text = format!("250-mx.example.org\r\n250-{odd}\r\n250 DSN\r\n");
            let seen = extensions(&text);
            assert!(seen.is_none_or(|seen| seen.dsn), "{odd:?} {seen:?}");
        }
    }
}
