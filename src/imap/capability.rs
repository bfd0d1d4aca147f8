//! Capabilities: upstream's as a set, ours as a list that we generate (invariant 4).

/// What upstream announced (RFC 3501 §7.2.1).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Capabilities(Vec<String>);

/// What this proxy polices and answers by itself, whatever upstream has.
///
/// Order and spelling are Dovecot's: some clients compare strings.
#[derive(Clone, Copy, Debug)]
enum Ours {
    /// Carried out by us, on any upstream.
    Always(&'static str),
    /// Policed by us, carried out by an upstream that has it.
    Shared(&'static str),
    /// The same, and done by us with another capability of upstream's where it has not.
    Replaced(&'static str, &'static str),
}

impl Ours {
    /// Its name, unless it is ours alone.
    fn handed_on(&self) -> Option<&'static str> {
        match self {
            Self::Always(_) => None,
            Self::Shared(name) | Self::Replaced(name, _) => Some(name),
        }
    }

    fn works_on(&self, host: &Capabilities) -> bool {
        match self {
            Self::Always(_) => true,
            Self::Shared("CONDSTORE") => host.has_condstore(),
            Self::Shared(name) => host.has(name),
            Self::Replaced(name, other) => host.has(name) || host.has(other),
        }
    }
}

const OURS: [Ours; 27] = [
    Ours::Always("IMAP4rev1"),
    Ours::Always("SASL-IR"),
    Ours::Always("LITERAL-"),
    Ours::Always("ID"),
    Ours::Always("ENABLE"),
    Ours::Always("IDLE"),
    Ours::Shared("SORT"),
    Ours::Shared("SORT=DISPLAY"),
    Ours::Shared("THREAD=REFERENCES"),
    Ours::Shared("THREAD=REFS"),
    Ours::Shared("THREAD=ORDEREDSUBJECT"),
    Ours::Always("UNSELECT"),
    Ours::Always("CHILDREN"),
    Ours::Always("NAMESPACE"),
    Ours::Shared("UIDPLUS"),
    Ours::Always("LIST-EXTENDED"),
    Ours::Shared("CONDSTORE"),
    Ours::Shared("QRESYNC"),
    Ours::Always("ESEARCH"),
    Ours::Always("SEARCHRES"),
    Ours::Shared("WITHIN"),
    Ours::Shared("QUOTA"),
    Ours::Always("LIST-STATUS"),
    Ours::Replaced("MOVE", "UIDPLUS"),
    Ours::Shared("STATUS=SIZE"),
    Ours::Always("SPECIAL-USE"),
    Ours::Always("ACL RIGHTS=texk"),
];

/// Before login: nothing that depends on an upstream.
pub const BEFORE_LOGIN: &str = "IMAP4rev1 SASL-IR LITERAL- ID AUTH=PLAIN";

impl Capabilities {
    /// Most capabilities kept, and the longest; Dovecot announces 50, Cyrus 80.
    pub const MAX: usize = 256;
    pub const MAX_OCTETS: usize = 64;

    /// From the words of a CAPABILITY response or code. Words that are none are left out.
    pub fn parse(words: &[&[u8]]) -> Self {
        let fine = |word: &&&[u8]| word.len() <= Self::MAX_OCTETS && word.iter().all(u8::is_ascii_graphic);
        let text = |word: &&[u8]| String::from_utf8_lossy(word).to_ascii_uppercase();
        Self(words.iter().filter(fine).take(Self::MAX).map(text).collect())
    }

    /// Whether upstream has it; the case is ignored (RFC 3501 §7.2.1).
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|word| word.eq_ignore_ascii_case(name))
    }

    pub fn has_auth(&self, mechanism: &str) -> bool {
        let mut mechanisms = self.0.iter().filter_map(|word| word.strip_prefix("AUTH="));
        mechanisms.any(|word| word.eq_ignore_ascii_case(mechanism))
    }

    /// QRESYNC implies CONDSTORE (RFC 7162 §3.2.3).
    pub fn has_condstore(&self) -> bool {
        self.has("CONDSTORE") || self.has("QRESYNC")
    }

    /// Largest APPEND in octets (RFC 7889); `None` if there is no global limit.
    pub fn append_limit(&self) -> Option<u64> {
        self.0.iter().find_map(|word| word.strip_prefix("APPENDLIMIT=")?.parse().ok())
    }

    /// A host that can do everything which we hand on.
    pub fn all_shared() -> Self {
        Self(OURS.iter().filter_map(Ours::handed_on).map(str::to_owned).collect())
    }

    /// What we can hand on or do where some folders are on this host and some on the other.
    /// A limit that they do not share is each host's own business.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        let both = OURS.iter().filter(|ours| ours.works_on(self) && ours.works_on(other));
        Self(both.filter_map(Ours::handed_on).map(str::to_owned).collect())
    }

    /// The same without this one.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|word| !word.eq_ignore_ascii_case(name));
        self
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The list for a client that is logged in. `append_limit`: our own, in octets.
    pub fn for_client(&self, append_limit: u64) -> String {
        let mut list = String::with_capacity(256);
        for ours in OURS {
            let name = match ours {
                Ours::Always(name) => name,
                Ours::Shared("CONDSTORE") if self.has_condstore() => "CONDSTORE",
                Ours::Shared(name) if self.has(name) => name,
                Ours::Replaced(name, other) if self.has(name) || self.has(other) => name,
                Ours::Shared(_) | Ours::Replaced(..) => continue,
            };
            list.push_str(name);
            list.push(' ');
        }
        let limit = self.append_limit().unwrap_or(append_limit).min(append_limit);
        list.push_str(&format!("APPENDLIMIT={limit}"));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::{BEFORE_LOGIN, Capabilities};

    fn parse(text: &str) -> Capabilities {
        Capabilities::parse(&text.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    const DOVECOT: &str = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY \
        THREAD=REFERENCES MULTIAPPEND URL-PARTIAL CATENATE UNSELECT CHILDREN NAMESPACE UIDPLUS \
        LIST-EXTENDED I18NLEVEL=1 CONDSTORE QRESYNC ESEARCH ESORT SEARCHRES WITHIN CONTEXT=SEARCH \
        LIST-STATUS BINARY MOVE SNIPPET=FUZZY PREVIEW STATUS=SIZE SAVEDATE LITERAL+ NOTIFY \
        SPECIAL-USE COMPRESS=DEFLATE UTF8=ACCEPT IMAP4rev2 URLAUTH METADATA X-FOO";

    #[test]
    fn only_what_we_police_and_upstream_has() {
        assert_eq!(
            parse(DOVECOT).for_client(50),
            "IMAP4rev1 SASL-IR LITERAL- ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED \
             CONDSTORE QRESYNC ESEARCH SEARCHRES WITHIN LIST-STATUS MOVE STATUS=SIZE SPECIAL-USE ACL RIGHTS=texk APPENDLIMIT=50"
        );
        assert_eq!(
            parse("imap4rev1 qresync APPENDLIMIT=20").for_client(50),
            "IMAP4rev1 SASL-IR LITERAL- ID ENABLE IDLE UNSELECT CHILDREN NAMESPACE LIST-EXTENDED CONDSTORE QRESYNC \
             ESEARCH SEARCHRES LIST-STATUS SPECIAL-USE ACL RIGHTS=texk APPENDLIMIT=20"
        );
    }

    #[test]
    fn what_we_do_by_other_means_is_offered() {
        let offers = |upstream, name| parse(upstream).for_client(50).split(' ').any(|word| word == name);
        assert!(offers("IMAP4rev1 UIDPLUS", "MOVE"));
        assert!(!offers("IMAP4rev1", "MOVE"));
    }

    #[test]
    fn the_smaller_append_limit_counts() {
        for (upstream, limit) in
            [("APPENDLIMIT=70", "APPENDLIMIT=50"), ("APPENDLIMIT", "APPENDLIMIT=50"), ("", "APPENDLIMIT=50")]
        {
            assert!(parse(upstream).for_client(50).ends_with(limit), "{upstream}");
        }
    }

    #[test]
    fn several_hosts_offer_what_all_of_them_can() {
        let (plain, rich) =
            (parse("IMAP4rev1 UIDPLUS CONDSTORE APPENDLIMIT=20"), parse("IMAP4rev1 QRESYNC MOVE UIDPLUS"));
        let both = plain.common(&rich);
        assert!(both.has("UIDPLUS") && both.has_condstore() && both.has("MOVE"));
        assert_eq!(both.append_limit(), None);
        assert!(rich.common(&plain).has_condstore() && !rich.common(&plain).has("QRESYNC"));
        assert!(rich.common(&rich).has("QRESYNC"));
        let none = Capabilities::all_shared().common(&parse("IMAP4rev1"));
        assert!(!none.has("UIDPLUS") && !none.has("MOVE") && !none.has_condstore());
    }

    #[test]
    fn upstream_is_read_in_any_case() {
        let upstream = parse("imap4rev1 auth=plain Move");
        assert!(upstream.has("MOVE") && upstream.has_auth("PLAIN") && !upstream.has_auth("PLA"));
        assert!(!upstream.has("IMAP4"));
    }

    #[test]
    fn nothing_of_upstream_shows_before_login() {
        assert_eq!(BEFORE_LOGIN, "IMAP4rev1 SASL-IR LITERAL- ID AUTH=PLAIN");
    }
}
