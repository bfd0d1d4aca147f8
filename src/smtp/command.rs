//! Commands as typed values: the one parser of each verb (RFC 5321, 4954, 1870, 6152, 6531, 3461).

use smtp_proto::Request;

use super::Path;
use super::syntax::{self, Bad, Verb};
use crate::sasl::Mechanism;
use crate::types::Secret;

/// A client's command.
#[derive(Clone, Debug)]
pub enum Command {
    /// EHLO or HELO; the name that follows is checked and forgotten.
    Hello {
        extended: bool,
    },
    /// AUTH (RFC 4954 §4), with the initial response as it was sent, in base64.
    Auth {
        mechanism: Mechanism,
        initial: Option<Secret>,
    },
    Mail(Mail),
    Rcpt(Rcpt),
    Data,
    Rset,
    Noop,
    Vrfy,
    Help,
    Quit,
    StartTls,
}

/// MAIL FROM and its parameters. `AUTH=` is dropped: we vouch for nobody.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Mail {
    /// `None` is `<>`.
    pub path: Option<Path>,
    /// SIZE (RFC 1870 §4), in octets.
    pub size: Option<u64>,
    pub body: Option<Body>,
    pub smtputf8: bool,
    pub ret: Option<Ret>,
    /// ENVID (RFC 3461 §4.4), decoded: printable ASCII.
    pub envid: Option<String>,
}

/// BODY (RFC 6152 §2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Body {
    SevenBit,
    EightBitMime,
}

/// RET (RFC 3461 §4.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ret {
    Full,
    Headers,
}

/// RCPT TO and its parameters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rcpt {
    pub path: Path,
    pub notify: Option<Notify>,
    /// ORCPT (RFC 3461 §4.2) of type rfc822, decoded: printable ASCII.
    pub orcpt: Option<String>,
}

/// NOTIFY (RFC 3461 §4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Notify {
    Never,
    On { success: bool, failure: bool, delay: bool },
}

/// Parameters of MAIL and RCPT, and whether each has a value; all others are answered 555.
const MAIL_PARAMS: &[(&str, bool)] =
    &[("SIZE", true), ("BODY", true), ("SMTPUTF8", false), ("RET", true), ("ENVID", true), ("AUTH", true)];
const RCPT_PARAMS: &[(&str, bool)] = &[("NOTIFY", true), ("ORCPT", true)];

/// Most digits of SIZE: 10^18 octets is more than any message, and fits every integer.
const MAX_SIZE_DIGITS: usize = 18;

/// Reads a line, without its CRLF, that `frame` found whole.
pub fn parse(line: &[u8]) -> Result<Command, Bad> {
    let text = syntax::text(line)?;
    let (verb, rest) = syntax::verb(text)?;
    match verb {
        Verb::Mail => mail(line, rest),
        Verb::Rcpt => rcpt(line, rest),
        Verb::Auth => auth(rest),
        Verb::Ehlo | Verb::Helo => hello(verb, rest),
        Verb::Data => bare(rest, Command::Data),
        Verb::Rset => bare(rest, Command::Rset),
        Verb::Quit => bare(rest, Command::Quit),
        Verb::StartTls => bare(rest, Command::StartTls),
        Verb::Noop => Ok(Command::Noop),
        Verb::Vrfy => Ok(Command::Vrfy),
        Verb::Help => Ok(Command::Help),
    }
}

fn bare(rest: Option<&str>, command: Command) -> Result<Command, Bad> {
    match rest {
        None => Ok(command),
        Some(_) => Err(Bad::syntax("This command has no argument")),
    }
}

fn hello(verb: Verb, rest: Option<&str>) -> Result<Command, Bad> {
    let name = rest.unwrap_or_default();
    if name.is_empty() || name.len() > 255 || name.contains(' ') {
        return Err(Bad::syntax("EHLO needs the client's name"));
    }
    Ok(Command::Hello { extended: verb == Verb::Ehlo })
}

fn auth(rest: Option<&str>) -> Result<Command, Bad> {
    let form = || Bad::syntax("The form is AUTH mechanism, or AUTH mechanism and an initial response");
    let rest = rest.filter(|rest| !rest.is_empty()).ok_or_else(form)?;
    let (name, initial) = match rest.split_once(' ') {
        Some((name, initial)) => (name, Some(initial)),
        None => (rest, None),
    };
    if initial.is_some_and(|initial| initial.is_empty() || initial.contains(' ')) {
        return Err(form());
    }
    // The initial response is a secret: it stays out of a parser that copies.
    let Request::Auth { mechanism, .. } = read(format!("AUTH {name}").as_bytes())? else {
        return Err(form());
    };
    let mechanism = match mechanism {
        smtp_proto::AUTH_PLAIN => Mechanism::Plain,
        smtp_proto::AUTH_LOGIN => Mechanism::Login,
        _ => return Err(Bad::new(504, 5, 4, "This way to authenticate is not offered here")),
    };
    Ok(Command::Auth { mechanism, initial: initial.map(Secret::new) })
}

fn mail(line: &[u8], rest: Option<&str>) -> Result<Command, Bad> {
    let shape = syntax::envelope(rest, "FROM:", MAIL_PARAMS)?;
    let path = match shape.path {
        "" => None,
        path => Some(Path::parse(path).map_err(|fault| Bad::new(553, 1, 7, fault.sentence()))?),
    };
    for (key, value) in &shape.params {
        let value = value.unwrap_or_default();
        if (key.eq_ignore_ascii_case("ENVID") || key.eq_ignore_ascii_case("AUTH")) && !syntax::is_xtext(value)
        {
            return Err(Bad::syntax("ENVID or AUTH is not valid xtext"));
        }
        let digits = value.bytes().all(|b| b.is_ascii_digit()) && value.len() <= MAX_SIZE_DIGITS;
        if key.eq_ignore_ascii_case("SIZE") && !digits {
            return Err(Bad::syntax("SIZE is not a number of octets"));
        }
    }
    let Request::Mail { from } = read(line)? else { return Err(Bad::syntax("This is not MAIL")) };
    same(&from.address, shape.path)?;
    let has = |bit: u64| from.flags & bit != 0;
    if has(smtp_proto::MAIL_BODY_BINARYMIME) {
        return Err(Bad::new(555, 5, 4, "BINARYMIME is not offered here"));
    }
    let mail = Mail {
        size: shape
            .params
            .iter()
            .any(|(key, _)| key.eq_ignore_ascii_case("SIZE"))
            .then_some(from.size as u64),
        body: match (has(smtp_proto::MAIL_BODY_7BIT), has(smtp_proto::MAIL_BODY_8BITMIME)) {
            (true, _) => Some(Body::SevenBit),
            (_, true) => Some(Body::EightBitMime),
            (false, false) => None,
        },
        smtputf8: has(smtp_proto::MAIL_SMTPUTF8),
        ret: match (has(smtp_proto::MAIL_RET_FULL), has(smtp_proto::MAIL_RET_HDRS)) {
            (true, _) => Some(Ret::Full),
            (_, true) => Some(Ret::Headers),
            (false, false) => None,
        },
        envid: from.env_id,
        path,
    };
    if !mail.smtputf8 && mail.path.as_ref().is_some_and(|path| !path.is_ascii()) {
        return Err(Bad::new(553, 6, 7, "An address beyond ASCII needs SMTPUTF8"));
    }
    Ok(Command::Mail(mail))
}

fn rcpt(line: &[u8], rest: Option<&str>) -> Result<Command, Bad> {
    let shape = syntax::envelope(rest, "TO:", RCPT_PARAMS)?;
    let path = Path::parse(shape.path).map_err(|fault| Bad::new(553, 1, 3, fault.sentence()))?;
    for (key, value) in &shape.params {
        let orcpt = key.eq_ignore_ascii_case("ORCPT");
        let xtext = value.and_then(|value| value.split_once(';')).map(|(_, xtext)| xtext);
        if orcpt && !xtext.is_some_and(syntax::is_xtext) {
            return Err(Bad::syntax("ORCPT is not rfc822; and valid xtext"));
        }
        let words = value.unwrap_or_default().split(',');
        let twice = |word: &str| words.clone().filter(|other| other.eq_ignore_ascii_case(word)).count() > 1;
        if !orcpt && words.clone().any(twice) {
            return Err(Bad::syntax("NOTIFY has a word twice"));
        }
    }
    let Request::Rcpt { to } = read(line)? else { return Err(Bad::syntax("This is not RCPT")) };
    same(&to.address, shape.path)?;
    let has = |bit: u64| to.flags & bit != 0;
    let (success, failure, delay) = (
        has(smtp_proto::RCPT_NOTIFY_SUCCESS),
        has(smtp_proto::RCPT_NOTIFY_FAILURE),
        has(smtp_proto::RCPT_NOTIFY_DELAY),
    );
    let some = success || failure || delay;
    let notify = match has(smtp_proto::RCPT_NOTIFY_NEVER) {
        true if some => return Err(Bad::syntax("NOTIFY=NEVER stands alone")),
        true => Some(Notify::Never),
        false => some.then_some(Notify::On { success, failure, delay }),
    };
    Ok(Command::Rcpt(Rcpt { path, notify, orcpt: to.orcpt }))
}

/// The address that was read is the one that stood there: nothing was stripped or put in.
fn same(read: &str, stood: &str) -> Result<(), Bad> {
    if read == stood { Ok(()) } else { Err(Bad::new(553, 1, 0, "The address is not well formed")) }
}

/// Has smtp-proto read one whole line.
fn read(line: &[u8]) -> Result<Request<String>, Bad> {
    use smtp_proto::Error;
    let line = [line, b"\r\n"].concat();
    let mut octets = line.iter();
    let request = Request::parse(&mut octets).map_err(|error| match error {
        Error::InvalidSenderAddress => Bad::new(553, 1, 7, "The sender is not a valid address"),
        Error::InvalidRecipientAddress => Bad::new(553, 1, 3, "The recipient is not a valid address"),
        Error::UnsupportedParameter { .. } => Bad::new(555, 5, 4, "A parameter is not offered here"),
        Error::UnknownCommand => Bad::new(500, 5, 2, "Unknown command"),
        Error::InvalidParameter { .. } => Bad::syntax("A parameter has an invalid value"),
        Error::NeedsMoreData { .. }
        | Error::SyntaxError { .. }
        | Error::ResponseTooLong
        | Error::InvalidResponse { .. } => Bad::syntax("The command is not well formed"),
    })?;
    if !octets.as_slice().is_empty() {
        return Err(Bad::syntax("The command is not well formed"));
    }
    Ok(request.into_owned())
}

#[cfg(test)]
mod tests {
    use super::{Body, Command, Mail, Notify, Path, Rcpt, Ret, parse};
    use crate::sasl::Mechanism;

    fn code(line: &str) -> u16 {
        match parse(line.as_bytes()) {
            Ok(command) => panic!("{line:?} became {command:?}"),
            Err(bad) => bad.answer.code,
        }
    }

    fn mail(line: &str) -> Mail {
        match parse(line.as_bytes()) {
            Ok(Command::Mail(mail)) => mail,
            other => panic!("{line:?} became {other:?}"),
        }
    }

    fn rcpt(line: &str) -> Rcpt {
        match parse(line.as_bytes()) {
            Ok(Command::Rcpt(rcpt)) => rcpt,
            other => panic!("{line:?} became {other:?}"),
        }
    }

    #[test]
    fn envelopes() {
        let plain = mail("MAIL FROM:<bob@example.org>");
        assert_eq!(plain, Mail { path: Path::parse("bob@example.org").ok(), ..Mail::default() });
        assert_eq!(mail("mail from:<>").path, None);
        let full =
            mail("MAIL FROM:<b@example.org> SIZE=12 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=a+2Bb AUTH=<>");
        assert_eq!((full.size, full.body, full.smtputf8), (Some(12), Some(Body::EightBitMime), true));
        assert_eq!((full.ret, full.envid.as_deref()), (Some(Ret::Headers), Some("a+b")));
        let to = rcpt("RCPT TO:<c@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;c+2Bd@example.org");
        assert_eq!(to.notify, Some(Notify::On { success: true, failure: false, delay: true }));
        assert_eq!(to.orcpt.as_deref(), Some("c+d@example.org"));
        assert_eq!(rcpt("RCPT TO:<c@example.org> NOTIFY=never").notify, Some(Notify::Never));
    }

    #[test]
    fn the_rest() {
        for line in
            ["EHLO [127.0.0.1]", "HELO a", "DATA", "rset", "NOOP x y", "VRFY x", "HELP", "QUIT", "STARTTLS"]
        {
            assert!(parse(line.as_bytes()).is_ok(), "{line}");
        }
        let Ok(Command::Auth { mechanism, initial }) = parse(b"AUTH plain AGEAYg==") else { panic!() };
        assert_eq!((mechanism, initial.unwrap().expose()), (Mechanism::Plain, &b"AGEAYg=="[..]));
        let Ok(Command::Auth { mechanism, initial }) = parse(b"AUTH LOGIN") else { panic!() };
        assert!(mechanism == Mechanism::Login && initial.is_none());
    }

    /// As recorded from Thunderbird, neomutt, msmtp, swaks, Roundcube, Evolution and getmail.
    #[test]
    fn what_clients_say() {
        for line in [
            "EHLO vm",
            "EHLO [127.0.0.1]",
            "EHLO 127.0.0.1",
            "EHLO localhost",
            "AUTH LOGIN",
            "AUTH PLAIN AGFsaWNlL3N1cHBvcnQAYWxpY2UtcHc=",
            "MAIL FROM:<alice/support@example.org>",
            "MAIL FROM:<alice*support@example.org>",
            "MAIL FROM:<support@example.org> BODY=8BITMIME SIZE=584",
            "RCPT TO:<bob@customer.example>",
            "DATA",
            "QUIT",
        ] {
            assert!(parse(line.as_bytes()).is_ok(), "{line}");
        }
    }

    /// Ten ways in which smtp-proto alone would do harm; the numbers are those of its list of
    /// traps in `docs/dependencies.md`. The ones about streams are kept by `frame` (5, 6, 7),
    /// `data` (2, 3, 4, 5) and `reply` (10), and tested there.
    #[test]
    fn traps_of_the_parser_beneath() {
        // 1: quotes are stripped; what stood in them would be written as parameters.
        assert_eq!(code("RCPT TO:<\"x@evil.example> NOTIFY=NEVER <\"@c.example>"), 555);
        assert_eq!(code("RCPT TO:<\"x@evil.example\"@c.example>"), 553);
        // 6: its line limit does not hold in one piece; ours does, in `frame`.
        // 7: a long initial response is taken whole.
        let long = format!("AUTH PLAIN {}", "A".repeat(9_000));
        let Ok(Command::Auth { initial, .. }) = parse(long.as_bytes()) else { panic!() };
        assert_eq!(initial.unwrap().len(), 9_000);
        // 8: all that it is lenient about.
        for (line, wanted) in [
            ("RCPT TO:<Postmaster>", 553),
            ("RCPT TO:<a@[127.0.0.1]>", 553),
            ("RCPT TO:<@a.example,@b.example:c@d.example>", 553),
            ("RCPT TO:<>", 553),
            ("MAIL FROM:<a@b.example>x", 501),
            ("MAIL FROM:<a@b.example> SIZE=1 SIZE=2", 501),
            ("MAIL FROM:<a@b.example> SIZE=1 size=1", 501),
            ("DATA foo", 501),
            ("STARTTLS x", 501),
            ("RSET x", 501),
            ("QUIT x", 501),
            ("DATA ", 501),
        ] {
            assert_eq!(code(line), wanted, "{line}");
        }
        assert!(parse(b"MAIL FROM:<a\xff@b.example>").is_err());
    }

    #[test]
    fn refuses() {
        for (line, wanted) in [
            ("", 500),
            (" NOOP", 500),
            ("FOO", 500),
            ("GET / HTTP/1.1", 500),
            ("BDAT 10 LAST", 502),
            ("XCLIENT ADDR=1.2.3.4", 502),
            ("EXPN x", 502),
            ("EHLO", 501),
            ("EHLO a b", 501),
            ("MAIL", 501),
            ("MAIL FROM:", 501),
            ("MAIL FROM:a@b.example", 501),
            ("MAIL FROM: <a@b.example>", 501),
            ("MAIL FROM :<a@b.example>", 501),
            ("MAIL  FROM:<a@b.example>", 501),
            ("MAIL TO:<a@b.example>", 501),
            ("MAIL FROM:<a@b.example>  SIZE=1", 501),
            ("MAIL FROM:<a@b.example> ", 501),
            ("MAIL FROM:<a@b.example> SIZE", 501),
            ("MAIL FROM:<a@b.example> SIZE=", 501),
            ("MAIL FROM:<a@b.example> SIZE=-1", 501),
            ("MAIL FROM:<a@b.example> SIZE=18446744073709551616", 501),
            ("MAIL FROM:<a@b.example> SMTPUTF8=1", 501),
            ("MAIL FROM:<a@b.example> BODY=9BIT", 501),
            ("MAIL FROM:<a@b.example> BODY=BINARYMIME", 555),
            ("MAIL FROM:<a@b.example> HOLDFOR=5", 555),
            ("MAIL FROM:<a@b.example> REQUIRETLS", 555),
            ("MAIL FROM:<a@b.example> X=Y", 555),
            ("MAIL FROM:<a@b.example> ENVID=+0D+0A", 501),
            ("MAIL FROM:<a@b.example> ENVID=a=b", 501),
            ("MAIL FROM:<a@b.example> AUTH=x+0Ay", 501),
            ("MAIL FROM:<b\u{fc}ro@b.example>", 553),
            ("MAIL FROM:<\"\"@b.example>", 553),
            ("MAIL FROM:<a%c@b.example>", 553),
            ("RCPT TO:<a@b.example> NOTIFY=NEVER,SUCCESS", 501),
            ("RCPT TO:<a@b.example> NOTIFY=DELAY,delay", 501),
            ("RCPT TO:<a@b.example> NOTIFY=SOMETIMES", 501),
            ("RCPT TO:<a@b.example> ORCPT=rfc822;a+0Ab", 501),
            ("RCPT TO:<a@b.example> ORCPT=x400;ab", 501),
            ("RCPT TO:<a@b.example> RRVS=2014-04-03T23:01:00Z", 555),
            ("AUTH", 501),
            ("AUTH ", 501),
            ("AUTH PLAIN  AGEAYg==", 501),
            ("AUTH PLAIN AGEAYg== x", 501),
            ("AUTH CRAM-MD5", 504),
            ("AUTH PLAINX", 504),
            ("NOOP\tx", 500),
        ] {
            assert_eq!(code(line), wanted, "{line}");
        }
        assert!(parse(b"GET / HTTP/1.1").is_err_and(|bad| bad.hang_up));
    }
}
